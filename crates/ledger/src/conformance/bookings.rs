//! What holds of every booking: fields, ids that are used once, idempotency keys.

use domain::Timestamp;

use super::{
    NewLot, Payer, START, Trial, budget, cost_cap, held, invalid, named, promo, purpose, short, unknown,
};
use crate::{Booking, Caps, Denial, LotKind, Note, Period, Reply, Subject};

pub(super) fn grants(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    trial.answers(payer.open(), Ok(Reply::Opened));
    trial.does(payer.open_wallet(2, purpose(Some(1), &[], true)));
    let soon = START.plus_seconds(60);
    trial.expect_lots(payer.grant(1, LotKind::Promo, 10, soon), &[NewLot(1, 1, LotKind::Promo, 10, soon)]);
    let paid = NewLot(2, 1, LotKind::Prepaid, 20, Timestamp::MAX);
    trial.expect_lots(payer.grant(2, LotKind::Prepaid, 20, Timestamp::MAX), &[paid]);
    trial.expect_lots(payer.grant_to(2, 3, 30), &[NewLot(3, 2, LotKind::Prepaid, 30, Timestamp::MAX)]);
    let grant = |kind, nano, expires_at| payer.grant(9, kind, nano, expires_at);
    trial.refuses([
        (grant(LotKind::Refund, 10, soon), invalid("kind")),
        (grant(LotKind::Adjustment, 10, soon), invalid("kind")),
        (grant(LotKind::Promo, 0, soon), invalid("amount")),
        (grant(LotKind::Promo, -1, soon), invalid("amount")),
        (grant(LotKind::Prepaid, i64::MIN, soon), invalid("amount")),
        (grant(LotKind::Promo, 10, START), invalid("expires_at")),
        (grant(LotKind::Promo, i64::MAX, soon), Denial::Overflow),
        (payer.grant_to(3, 9, 10), unknown("wallet")),
    ]);
    trial.expect_available(payer, 60);
}

pub(super) fn refuses_used_lots(trial: &Trial<'_>) {
    let (payer, other) = (Payer::number(1), Payer::number(2));
    trial.fund(payer, 1, 10);
    trial.does(payer.grant(2, LotKind::Prepaid, 5, START.plus_seconds(60)));
    let again = |lot| payer.grant(lot, LotKind::Promo, 20, Timestamp::MAX);
    trial.answers(again(1), Err(Denial::Duplicate));
    trial.does(payer.pay_out(1, 1, 3));
    trial.does(payer.adjust(1, -1, 4));
    trial.does(payer.hold(1, 10));
    trial.answers(again(1), Err(Denial::Duplicate));
    trial.expect_settled(payer.settle_for(1, 10), &[(2, 3), (1, 7)], 0);
    trial.clock.advance_seconds(60);
    // What was spent, what moved out and what an id was used for otherwise: each bars it.
    for lot in [2, 3, 4] {
        trial.refuses([
            (again(lot), Denial::Duplicate),
            (payer.adjust(1, 20, lot), Denial::Duplicate),
            (payer.adjust(1, -1, lot), Denial::Duplicate),
            (payer.pay_out(1, 1, lot), Denial::Duplicate),
            (payer.top_up(lot, 20, "bank:1"), Denial::Duplicate),
            (payer.refund(1, 1, lot), Denial::Duplicate),
        ]);
    }
    trial.expect_available(payer, 3);
    // Another organization's ids are its own.
    trial.fund(other, 1, 10);
    trial.expect_available(other, 10);
}

pub(super) fn asks_who_and_why(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    trial.fund(payer, 1, 100);
    trial.does(payer.hold(1, 10));
    trial.does(payer.settle_for(1, 10));
    let long = "x".repeat(129);
    let note =
        |actor: &str, reason: Option<&str>| Note { actor: actor.into(), reason: reason.map(Box::from) };
    let by = |booking: &Booking, note: Note| Booking { note, ..booking.clone() };
    let grant = payer.grant(2, LotKind::Promo, 5, Timestamp::MAX);
    for booking in [&grant, &payer.pay_out(1, 5, 3), &payer.remove_budget(1)] {
        trial.refuses([(by(booking, note("", Some("why"))), invalid("actor"))]);
        trial.refuses([(by(booking, note(&long, Some("why"))), invalid("actor"))]);
        trial.refuses([(by(booking, note("me", Some(&"x".repeat(501)))), invalid("reason"))]);
    }
    for booking in
        [payer.pay_out(1, 5, 3), payer.adjust(1, 5, 4), payer.adjust(1, -5, 5), payer.refund(1, 5, 6)]
    {
        trial.refuses([(by(&booking, note("me", None)), invalid("reason"))]);
        trial.refuses([(by(&booking, note("me", Some(" "))), invalid("reason"))]);
    }
    trial.expect_available(payer, 90);
    trial.does(by(&grant, note(&long[1..], None)));
    trial.does(by(&payer.adjust(1, 5, 4), note("me", Some(&"x".repeat(500)))));
    trial.expect_available(payer, 100);
}

/// One booking of each kind that succeeds in books that [`stocked`] made, and how it changes what is available.
fn one_of_each(payer: Payer) -> Vec<(Booking, i64)> {
    let no_cap = Caps { tokens: Some(u64::MAX), ..Caps::default() };
    vec![
        (payer.grant(10, LotKind::Promo, 10, Timestamp::MAX), 10),
        (payer.top_up(11, 20, "bank:1"), 20),
        (payer.redeem("WELCOME", 12, 90), 30),
        (payer.open_wallet(3, purpose(Some(9), &[], false)), 0),
        (payer.transfer(1, 2, 5, 13), -5),
        (payer.refund(1, 4, 14), 4),
        (payer.pay_out(1, 6, 15), -6),
        (payer.adjust(1, 7, 16), 7),
        (payer.adjust(1, -8, 17), -8),
        (payer.set_budget(budget(2, Subject::Organization, Period::Total, no_cap)), 0),
        (payer.remove_budget(1), 0),
    ]
}

/// 1,000 in the own wallet, of which a call took 10; another wallet; a budget without effect; a promo code.
fn stocked(trial: &Trial<'_>, payer: Payer) {
    trial.fund(payer, 1, 1_000);
    trial.does(payer.hold(1, 10));
    trial.does(payer.settle_for(1, 10));
    trial.does(payer.open_wallet(2, purpose(Some(2), &[], false)));
    let subject = Subject::User(Some("nobody".into()));
    trial.does(payer.set_budget(budget(1, subject, Period::Total, cost_cap(0))));
    trial.does(promo("WELCOME", 30, 100));
}

pub(super) fn happens_once(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    stocked(trial, payer);
    let mut available = 990;
    let mut answers = Vec::new();
    for (n, (booking, change)) in (1_u64..).zip(one_of_each(payer)) {
        let key = format!("key-{n}");
        let first = trial.ask(named(booking.clone(), &key, 1));
        assert!(first.is_ok(), "{}: {first:?} to {booking:?}", trial.place);
        available += change;
        trial.answers(named(booking.clone(), &key, 1), first.clone());
        trial.answers(named(booking.clone(), &key, 2), Err(Denial::IdempotencyConflict));
        trial.expect_available(payer, available);
        answers.push((booking, key, first));
    }
    // The first answer stays the answer, whatever has become of the money, and whatever else the body says: it is
    // the digest that counts.
    trial.does(payer.hold(2, available));
    trial.does(payer.settle_for(2, available));
    trial.clock.advance_seconds(3 * 366 * 86_400);
    for (booking, key, first) in &answers {
        trial.answers(named(booking.clone(), key, 1), first.clone());
        trial.answers(named(booking.clone(), key, 2), Err(Denial::IdempotencyConflict));
        trial.answers(named(payer.adjust(1, 0, 99), key, 1), first.clone());
        let nameless = Booking { note: Note::default(), ..named(booking.clone(), key, 1) };
        trial.answers(nameless, first.clone());
    }
    trial.expect_available(payer, 0);
    // Another name is another call.
    trial.does(named(payer.grant(20, LotKind::Promo, 5, Timestamp::MAX), "KEY-1", 1));
    trial.expect_available(payer, 5);
}

pub(super) fn forgets_denials(trial: &Trial<'_>) {
    let (payer, other) = (Payer::number(1), Payer::number(2));
    trial.fund(payer, 1, 10);
    trial.answers(named(payer.adjust(1, 0, 2), "a", 1), Err(invalid("amount")));
    trial.answers(named(payer.pay_out(1, 11, 2), "a", 1), Err(short(10, 11)));
    trial.does(payer.adjust(1, 5, 3));
    trial.answers(named(payer.pay_out(1, 11, 2), "a", 1), Err(short(10, 11)));
    trial.does(payer.grant(4, LotKind::Prepaid, 1, Timestamp::MAX));
    trial.expect_withdrawn(named(payer.pay_out(1, 11, 2), "a", 1), &[(1, 10), (4, 1)]);
    trial.expect_withdrawn(named(payer.pay_out(1, 11, 2), "a", 1), &[(1, 10), (4, 1)]);
    trial.answers(named(payer.pay_out(1, 11, 2), "a", 3), Err(Denial::IdempotencyConflict));
    trial.expect_available(payer, 5);
    // The same key of another organization is another call.
    trial.fund(other, 1, 10);
    trial.expect_withdrawn(named(other.pay_out(2, 3, 2), "a", 1), &[(1, 3)]);
    trial.expect_available(other, 7);
}

pub(super) fn happens_once_in_flight(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    stocked(trial, payer);
    let mut available = 990;
    for (n, (booking, change)) in (1_u64..).zip(one_of_each(payer)) {
        let key = format!("key-{n}");
        let ask = |digest| trial.submit(named(booking.clone(), &key, digest));
        let tickets = [ask(1), ask(1), ask(2), ask(1)];
        let [first, second, other, third] = tickets.map(|ticket| trial.answer(ticket));
        assert!(first.is_ok(), "{}: {first:?} to {booking:?}", trial.place);
        assert_eq!((&second, &third), (&first, &first), "{}", trial.place);
        assert_eq!(other, Err(Denial::IdempotencyConflict), "{}", trial.place);
        available += change;
        trial.expect_available(payer, available);
    }
    // The same without names, where the body itself says that it is the same.
    let tickets = [(); 3].map(|()| trial.submit(payer.top_up(20, 5, "bank:2")));
    let [first, second, third] = tickets.map(|ticket| trial.answer(ticket));
    assert!(matches!(first, Ok(Reply::Granted(_))), "{}: {first:?}", trial.place);
    assert_eq!((&second, &third), (&first, &first), "{}", trial.place);
    let tickets = [21, 21, 22].map(|lot| trial.submit(payer.grant(lot, LotKind::Promo, 5, Timestamp::MAX)));
    let answers = tickets.map(|ticket| trial.answer(ticket).map(|_| ()));
    assert_eq!(answers, [Ok(()), Err(Denial::Duplicate), Ok(())], "{}", trial.place);
    trial.expect_available(payer, available + 15);
    trial.answers(payer.hold(3, available + 15), held(available + 15));
    // A settlement and the refund of it in one go.
    let tickets = (trial.submit(payer.settle_for(3, 1)), trial.submit(payer.refund(3, 1, 30)));
    assert!(trial.answer(tickets.0).is_ok() && trial.answer(tickets.1).is_ok(), "{}", trial.place);
}
