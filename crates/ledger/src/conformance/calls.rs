//! Holds, extensions and settlements in one wallet, and the order in which commands are applied.

use domain::{Money, OrganizationId, Timestamp};

use super::{
    Payer, START, Trial, budget, cost_cap, draws_of, extended, held, invalid, named, owes, short, wallet_id,
};
use crate::{
    Caps, Command, CostRow, Denial, Extension, HoldRequest, LotKind, NextAttempt, Period, Reply, Settled,
    Subject,
};

pub(super) fn opens_once(trial: &Trial<'_>) {
    let (payer, other) = (Payer::number(1), Payer::number(2));
    trial.answers(payer.open(), Ok(Reply::Opened));
    trial.answers(payer.open(), Err(Denial::Duplicate));
    let again = Command::Open { organization: payer.organization, wallet: wallet_id(9) };
    trial.answers(again, Err(Denial::Duplicate));
    let taken = Command::Open { organization: other.organization, wallet: payer.wallet };
    trial.answers(taken, Err(Denial::Duplicate));
    trial.expect_available(payer, 0);
    trial.answers(other.open(), Ok(Reply::Opened));
}

pub(super) fn names_unknown_organizations(trial: &Trial<'_>) {
    trial.fund(Payer::number(1), 1, 100);
    let nobody = Payer::number(2);
    let grant = nobody.grant(2, LotKind::Promo, 5, Timestamp::MAX);
    let commands: [Command; 6] = [
        grant.clone().into(),
        named(grant.clone(), "a", 1).into(),
        nobody.hold(1, 1).into(),
        nobody.extend(1, 1).into(),
        nobody.settle_for(1, 1),
        nobody.sweep(60, START),
    ];
    trial.refuses(commands.map(|command| (command, Denial::UnknownOrganization)));
    // Nothing of it was kept.
    trial.answers(nobody.open(), Ok(Reply::Opened));
    trial.does(named(grant, "a", 2));
    trial.expect_available(nobody, 5);
}

pub(super) fn holds_and_settles(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    trial.fund(payer, 1, 100);
    trial.does(payer.grant(2, LotKind::Prepaid, 10, START.plus_seconds(600)));
    trial.does(payer.grant(3, LotKind::Promo, 10, Timestamp::MAX));
    trial.does(payer.grant(4, LotKind::Promo, 10, START.plus_seconds(900)));

    trial.answers(payer.hold(1, 40), held(40));
    trial.answers(payer.hold(2, 0), held(0));
    trial.expect_available(payer, 90);
    // Who lost the first answer asks again, and holds nothing twice.
    trial.answers(payer.extend(1, 55), extended(55));
    trial.answers(payer.extend(1, 55), extended(55));
    trial.answers(payer.extend(1, 0), extended(55));
    trial.expect_available(payer, 75);

    // Promotional before paid, then the earliest expiry; the rows of one request are one charge.
    let rows = vec![payer.row(1, 1, 20_001), payer.row(1, 2, 0), payer.row(1, 3, 11_000)];
    trial.expect_settled(payer.settle(1, rows), &[(4, 10), (3, 10), (2, 10), (1, 2)], 0);
    trial.expect_available(payer, 98);
    trial.expect_settled(payer.settle_for(2, 0), &[], 0);
    trial.expect_available(payer, 98);
}

pub(super) fn denies_without_a_trace(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    trial.fund(payer, 1, 100);
    trial.answers(payer.hold(1, 60), held(60));
    trial.refuses([(payer.hold(2, 41), short(40, 41)), (payer.hold(2, -1), invalid("amount"))]);
    trial.refuses([(payer.extend(1, 101), short(40, 41)), (payer.extend(1, -1), invalid("amount"))]);
    let too_little = HoldRequest { least: Money::from_nano(2), ..payer.hold(2, 1) };
    trial.answers(too_little, Err(invalid("amount")));
    trial.answers(Extension { cost_pico: -1, ..payer.extend(1, 1) }, Err(invalid("cost_pico")));
    // A restart could not settle such a draft, and the hold would never end.
    let draft = Box::new(payer.row(2, 1, -1));
    trial.answers(HoldRequest { draft, ..payer.hold(2, 1) }, Err(invalid("cost")));

    let good = payer.row(1, 1, 5_000);
    let stranger = OrganizationId::from_bytes([9; 16]);
    let wrong_rows = [
        (vec![], "rows"),
        (vec![payer.row(2, 1, 5_000)], "rows"),
        (vec![good.clone(), CostRow { organization: stranger, ..payer.row(1, 2, 0) }], "rows"),
        (vec![good.clone(), good.clone()], "rows"),
        (vec![payer.row(1, 0, 5_000)], "rows"),
        (vec![CostRow { cost: Money::from_nano(6), ..good.clone() }], "cost"),
        (vec![good.clone(), payer.row(1, 2, -1_000)], "cost"),
        (vec![payer.row(1, 1, -1)], "cost"),
    ];
    trial.refuses(wrong_rows.map(|(rows, field)| (payer.settle(1, rows), invalid(field))));
    trial.expect_available(payer, 40);
    trial.answers(payer.hold(2, 40), held(40));
    trial.expect_settled(payer.settle(1, vec![good]), &[(1, 5)], 0);
    trial.expect_available(payer, 55);
}

pub(super) fn tells_duplicates(trial: &Trial<'_>) {
    let (payer, other) = (Payer::number(1), Payer::number(2));
    trial.fund(payer, 1, 10);
    trial.fund(other, 1, 10);
    trial.answers(payer.hold(1, 10), held(10));
    // Who lost the first answer must learn that the hold is there, although nothing is left for a second.
    trial.answers(payer.hold(1, 10), Err(Denial::Duplicate));
    trial.expect_available(payer, 0);
    trial.expect_settled(payer.settle_for(1, 3), &[(1, 3)], 0);
    trial.expect_available(payer, 7);
    // A call that has ended is not begun again, whatever it cost; nor is one that was swept.
    trial.answers(payer.hold(2, 0), held(0));
    trial.expect_settled(payer.settle_for(2, 0), &[], 0);
    trial.answers(payer.hold(3, 5), held(5));
    trial.answers(payer.sweep(0, Timestamp::MAX), Ok(Reply::Swept(1)));
    trial.clock.advance_seconds(400 * 86_400);
    for request in [1, 2, 3] {
        trial.answers(payer.hold(request, 1), Err(Denial::Duplicate));
    }
    trial.expect_available(payer, 7);
    // Another organization's requests are its own.
    trial.answers(other.hold(1, 10), held(10));
    trial.expect_settled(other.settle_for(1, 4), &[(1, 4)], 0);
}

pub(super) fn ends_holds_once(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    trial.fund(payer, 1, 100);
    trial.answers(payer.settle_for(1, 5), Err(Denial::HoldGone));
    trial.answers(payer.extend(1, 5), Err(Denial::HoldGone));
    trial.answers(payer.hold(1, 10), held(10));
    trial.expect_settled(payer.settle_for(1, 5), &[(1, 5)], 0);
    trial.answers(payer.settle_for(1, 5), Err(Denial::HoldGone));
    trial.answers(payer.extend(1, 0), Err(Denial::HoldGone));
    trial.expect_available(payer, 95);
}

pub(super) fn owes_and_pays(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    trial.fund(payer, 1, 100);
    trial.answers(payer.hold(1, 10), held(10));
    trial.answers(payer.hold(2, 70), held(70));
    // 30 are not held by the other: they pay, the rest is owed.
    trial.expect_settled(payer.settle_for(1, 75), &[(1, 30)], 45);
    trial.answers(payer.hold(3, 1), Err(owes(1, 45)));
    // Whoever needs no money is not asked for it.
    trial.answers(payer.hold(4, 0), held(0));
    trial.expect_settled(payer.settle_for(4, 0), &[], 0);
    trial.answers(payer.extend(2, 71), Err(owes(1, 45)));
    trial.answers(payer.extend(2, 70), extended(70));
    trial.does(payer.grant(2, LotKind::Promo, 5, Timestamp::MAX));
    trial.answers(payer.hold(3, 1), Err(owes(1, 40)));
    // The 50 that the other hold leaves over pay the 40.
    trial.expect_settled(payer.settle_for(2, 20), &[(1, 20)], 0);
    trial.expect_available(payer, 10);
}

pub(super) fn expires(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    trial.fund(payer, 1, 10);
    trial.does(payer.grant(2, LotKind::Promo, 20, START.plus_seconds(60)));
    trial.answers(payer.hold(1, 15), held(15));
    trial.clock.advance_seconds(59);
    trial.expect_available(payer, 15);
    trial.clock.advance_seconds(1);
    // Of the promotional 20 the hold still needs 5, which stay as grace; the 10 that were paid for stay.
    trial.expect_available(payer, 0);
    trial.expect_settled(payer.settle_for(1, 3), &[(2, 3)], 0);
    trial.expect_available(payer, 10);
    trial.clock.set(START);
    trial.expect_available(payer, 10);
    trial.answers(payer.hold(2, 10), held(10));
    trial.expect_settled(payer.settle_for(2, 10), &[(1, 10)], 0);
}

pub(super) fn shrinks_to_fit(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    trial.fund(payer, 1, 100);
    let hold =
        |request, nano, least| HoldRequest { least: Money::from_nano(least), ..payer.hold(request, nano) };
    trial.answers(hold(1, 60, 10), held(60));
    trial.answers(hold(2, 60, 41), Err(short(40, 41)));
    trial.answers(hold(2, 60, 40), held(40));
    trial.answers(hold(3, 60, 1), Err(short(0, 1)));
    trial.answers(hold(3, 60, 0), held(0));
    trial.answers(hold(4, 5, 6), Err(invalid("amount")));
    trial.answers(hold(4, 5, -1), Err(invalid("amount")));
    // A charge above a hold that was shrunk takes what is free, here nothing.
    trial.expect_settled(payer.settle_for(1, 60), &[(1, 60)], 0);
    trial.expect_settled(payer.settle_for(2, 30), &[(1, 30)], 0);
    trial.expect_settled(payer.settle_for(3, 12), &[(1, 10)], 2);
}

pub(super) fn probes(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    let probe = |request, nano| Command::Probe(payer.hold(request, nano));
    let would = |nano| Ok(Reply::WouldHold(Money::from_nano(nano)));
    trial.answers(probe(1, 5), Err(Denial::UnknownOrganization));
    trial.fund(payer, 1, 100);
    trial.does(payer.grant(2, LotKind::Promo, 50, START.plus_seconds(60)));
    let budget = budget(1, Subject::Organization, Period::Total, Caps { steps: Some(1), ..cost_cap(120) });
    trial.does(payer.set_budget(budget));
    // However often it is asked: no step is counted, nothing is set aside.
    for _ in 0..3 {
        trial.answers(probe(1, 120), would(120));
        trial.answers(probe(1, -1), Err(invalid("amount")));
    }
    trial.clock.advance_seconds(60);
    // What is due is not there for a hold, though nobody has expired it yet; after the clock is set back it still is.
    trial.answers(probe(1, 101), Err(short(100, 101)));
    trial.clock.set(START);
    trial.answers(probe(1, 101), would(101));
    trial.answers(payer.hold(1, 101), held(101));
    trial.answers(probe(1, 1), Err(Denial::Duplicate));
    let exceeded = trial.ask(probe(2, 1));
    assert!(matches!(exceeded, Err(Denial::BudgetExceeded(_))), "{}: {exceeded:?}", trial.place);
    trial.does(payer.settle_for(1, 7));
    trial.answers(probe(1, 1), Err(Denial::Duplicate));
}

pub(super) fn sweeps(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    trial.fund(payer, 1, 100);
    trial.answers(payer.hold(1, 10), held(10));
    let at_cost = |request, nano, cost_pico| Extension { cost_pico, ..payer.extend(request, nano) };
    trial.answers(at_cost(1, 15, 7_001), extended(15));
    trial.answers(payer.hold(2, 20), held(20));
    trial.clock.advance_seconds(60);
    trial.answers(payer.hold(3, 30), held(30));
    // An extension does not make a hold younger.
    trial.answers(at_cost(2, 0, 12_000), extended(20));
    trial.answers(payer.sweep(0, START), Ok(Reply::Swept(0)));
    trial.answers(payer.sweep(0, START.plus_seconds(60)), Ok(Reply::Swept(2)));
    trial.answers(payer.sweep(0, START.plus_seconds(60)), Ok(Reply::Swept(0)));
    trial.expect_available(payer, 100 - 8 - 12 - 30);
    trial.answers(payer.settle_for(1, 1), Err(Denial::HoldGone));
    trial.answers(payer.settle_for(2, 1), Err(Denial::HoldGone));
    trial.expect_settled(payer.settle_for(3, 30), &[(1, 30)], 0);
    trial.expect_available(payer, 50);
    // What was charged at the last checkpoint can be given back like any other charge.
    trial.answers(
        payer.refund(1, 9, 2),
        Err(Denial::RefundTooLarge { charged: Money::from_nano(8), refunded: Money::ZERO }),
    );
    trial.does(payer.refund(1, 8, 2));
    trial.expect_available(payer, 58);
    // The draft follows the attempts; a number that is neither the present nor the next one is a mistake.
    let next = |attempt| {
        let earlier = (1..attempt).map(|attempt| payer.row(4, attempt, 1_000)).collect();
        let next = NextAttempt { earlier, ..payer.next(attempt, "m", "other/model") };
        Extension { cost_pico: 3_000, next: Some(Box::new(next)), ..payer.extend(4, 0) }
    };
    trial.answers(payer.hold(4, 5), held(5));
    let forgetful = |attempt, number| {
        let earlier = Vec::from_iter(number).into_iter().map(|number| payer.row(4, number, 1_000)).collect();
        let next = NextAttempt { earlier, ..payer.next(attempt, "m", "other/model") };
        Extension { next: Some(Box::new(next)), ..payer.extend(4, 0) }
    };
    trial.answers(next(0), Err(invalid("attempt")));
    trial.answers(next(3), Err(invalid("attempt")));
    trial.answers(forgetful(2, None), Err(invalid("rows")));
    trial.answers(forgetful(2, Some(2)), Err(invalid("rows")));
    trial.answers(forgetful(1, Some(1)), Err(invalid("rows")));
    trial.answers(next(2), extended(5));
    trial.answers(next(1), Err(invalid("attempt")));
    trial.answers(forgetful(3, Some(1)), Err(invalid("rows")));
    // Of two that run at once the other one ends first: its row replaces the one that stood for the first.
    let swapped = NextAttempt { earlier: vec![payer.row(4, 1, 2_000)], ..payer.next(2, "m", "p/m") };
    let swapped = Extension { cost_pico: 3_000, next: Some(Box::new(swapped)), ..payer.extend(4, 0) };
    trial.answers(swapped, extended(5));
    // Both attempts are booked.
    trial.answers(payer.sweep(0, Timestamp::MAX), Ok(Reply::Swept(1)));
    trial.answers(
        payer.refund(4, 6, 4),
        Err(Denial::RefundTooLarge { charged: Money::from_nano(5), refunded: Money::ZERO }),
    );
    trial.does(payer.refund(4, 5, 4));
    trial.expect_available(payer, 58);
    // Credit that is due goes with a sweep as with any command.
    trial.does(payer.grant(3, LotKind::Promo, 5, START.plus_seconds(90)));
    trial.clock.advance_seconds(30);
    trial.answers(payer.sweep(600, START), Ok(Reply::Swept(0)));
    trial.clock.set(START);
    trial.expect_available(payer, 58);
}

pub(super) fn keeps_the_queue(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    trial.answers(payer.open(), Ok(Reply::Opened));
    let mut tickets = Vec::new();
    for n in 1..=40 {
        // Whoever drops a ticket does not take the grant back.
        drop(trial.submit(payer.grant(n, LotKind::Prepaid, 10, Timestamp::MAX)));
        tickets.push((trial.submit(payer.hold(n, 10)), held(10)));
        tickets.push((trial.submit(payer.hold(1_000, 1)), Err(short(0, 1))));
        let paid = Reply::Settled(Settled { draws: draws_of(&[(n, 10)]), debt: Money::ZERO });
        tickets.push((trial.submit(payer.settle_for(n, 10)), Ok(paid)));
        tickets.push((trial.submit(payer.hold(n, 0)), Err(Denial::Duplicate)));
    }
    for (ticket, expected) in tickets {
        assert_eq!(trial.answer(ticket), expected, "{}", trial.place);
    }
    trial.expect_available(payer, 0);
}
