//! Money that comes in and goes out from outside: payments, refunds, payouts, adjustments, promo codes.

use domain::{Money, Timestamp};

use super::{
    NewLot, Payer, START, Trial, held, held_for, invalid, lot_id, named, project_id, promo, purpose, short,
    unknown,
};
use crate::{Act, Denial, Grant, LotKind, PromoCode, PromoFault, Reply};

pub(super) fn tops_up_once(trial: &Trial<'_>) {
    let (payer, other) = (Payer::number(1), Payer::number(2));
    trial.answers(payer.open(), Ok(Reply::Opened));
    trial.answers(other.open(), Ok(Reply::Opened));
    let top_up = |kind, nano, payment: &str| {
        let (amount, expires_at) = (Money::from_nano(nano), START.plus_seconds(60));
        let grant = Grant { wallet: None, lot: lot_id(9), kind, amount, expires_at };
        payer.booking(Act::TopUp { grant, payment: payment.into() })
    };
    trial.refuses([
        (top_up(LotKind::Promo, 5, "bank:1"), invalid("kind")),
        (top_up(LotKind::Prepaid, 5, ""), invalid("payment")),
        (top_up(LotKind::Prepaid, 5, &"x".repeat(129)), invalid("payment")),
        (top_up(LotKind::Prepaid, 0, "bank:1"), invalid("amount")),
    ]);
    let first = trial.ask(payer.top_up(1, 50, "bank:1"));
    assert!(matches!(first, Ok(Reply::Granted(_))), "{}: {first:?}", trial.place);
    trial.does(payer.hold(1, 50));
    trial.does(payer.settle_for(1, 50));
    trial.clock.advance_seconds(3 * 366 * 86_400);
    // Whatever else is told of the payment, and by whichever name.
    for booking in [
        payer.top_up(1, 50, "bank:1"),
        payer.top_up(2, 60, "bank:1"),
        top_up(LotKind::Promo, 0, "bank:1"),
        named(payer.top_up(3, 50, "bank:1"), "a", 1),
        named(payer.top_up(3, 50, "bank:2"), "a", 1),
    ] {
        trial.answers(booking, first.clone());
    }
    trial.answers(named(payer.top_up(3, 50, "bank:2"), "a", 2), Err(Denial::IdempotencyConflict));
    trial.answers(other.top_up(2, 50, "bank:1"), Err(Denial::Duplicate));
    trial.answers(named(other.top_up(2, 50, "bank:1"), "a", 1), Err(Denial::Duplicate));
    trial.expect_available(payer, 0);
    trial.expect_available(other, 0);
    trial.does(named(other.top_up(2, 50, "bank:2"), "a", 1));
    trial.answers(payer.top_up(3, 50, "bank:2"), Err(Denial::Duplicate));
    trial.expect_available(other, 50);
}

pub(super) fn refunds(trial: &Trial<'_>) {
    let (payer, other) = (Payer::number(1), Payer::number(2));
    trial.fund(payer, 1, 1_000);
    trial.fund(other, 1, 1_000);
    trial.does(payer.open_wallet(3, purpose(Some(2), &[], false)));
    trial.does(payer.grant_to(3, 2, 100));
    trial.does(payer.hold(1, 100));
    trial.answers(payer.refund(1, 1, 10), Err(unknown("request")));
    trial.does(payer.settle_for(1, 40));
    trial.does(held_for(payer.hold(2, 20), |row| row.project = project_id(2)));
    trial.does(payer.settle_for(2, 20));
    trial.does(payer.hold(3, 1));
    trial.does(payer.settle_for(3, 0));
    // Long ago, and far down in the books.
    trial.clock.advance_seconds(3 * 366 * 86_400);
    for request in 10..60 {
        trial.does(payer.hold(request, 1));
        trial.does(payer.settle_for(request, 1));
    }
    trial.expect_available(payer, 910);
    let too_large = |charged, refunded| Denial::RefundTooLarge {
        charged: Money::from_nano(charged),
        refunded: Money::from_nano(refunded),
    };
    trial.refuses([
        (payer.refund(9, 1, 10), unknown("request")),
        (other.refund(1, 1, 10), unknown("request")),
        (payer.refund(1, 0, 10), invalid("amount")),
        (payer.refund(1, -1, 10), invalid("amount")),
        (payer.refund(1, 1, 1), Denial::Duplicate),
        (payer.refund(1, 41, 10), too_large(40, 0)),
        (payer.refund(3, 1, 10), too_large(0, 0)),
    ]);
    trial.expect_lots(payer.refund(1, 25, 10), &[NewLot(10, 1, LotKind::Refund, 25, Timestamp::MAX)]);
    trial.refuses([
        (payer.refund(1, 16, 11), too_large(40, 25)),
        (payer.refund(1, 15, 10), Denial::Duplicate),
    ]);
    trial.does(payer.refund(1, 14, 11));
    trial.clock.advance_seconds(3 * 366 * 86_400);
    trial.answers(payer.refund(1, 2, 12), Err(too_large(40, 39)));
    trial.does(payer.refund(1, 1, 12));
    trial.answers(payer.refund(1, 1, 13), Err(too_large(40, 40)));
    trial.expect_available(payer, 950);
    // Into the wallet that paid.
    trial.expect_lots(payer.refund(2, 20, 14), &[NewLot(14, 3, LotKind::Refund, 20, Timestamp::MAX)]);
    trial.expect_available(payer, 950);
    trial.expect_available_to(held_for(payer.hold(99, 1), |row| row.project = project_id(2)), 100);
    // The same request of another organization is another call.
    trial.does(other.hold(1, 5));
    trial.does(other.settle_for(1, 5));
    trial.does(other.refund(1, 5, 10));
    trial.answers(payer.refund(1, 1, 13), Err(too_large(40, 40)));
    trial.expect_available(other, 1_000);
}

pub(super) fn pays_out(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    trial.fund(payer, 1, 100);
    trial.does(payer.grant(2, LotKind::Promo, 50, Timestamp::MAX));
    trial.does(payer.adjust(1, 30, 3));
    trial.does(payer.grant(4, LotKind::Prepaid, 20, START.plus_seconds(60)));
    trial.refuses([
        (payer.pay_out(1, 0, 10), invalid("amount")),
        (payer.pay_out(1, -1, 10), invalid("amount")),
        (payer.pay_out(2, 1, 10), unknown("wallet")),
        (payer.pay_out(1, 121, 10), short(120, 121)),
        (payer.pay_out(1, 1, 3), Denial::Duplicate),
    ]);
    trial.answers(payer.hold(1, 150), held(150));
    trial.answers(payer.pay_out(1, 51, 10), Err(short(50, 51)));
    trial.expect_withdrawn(payer.pay_out(1, 35, 10), &[(4, 20), (1, 15)]);
    trial.answers(payer.pay_out(1, 1, 10), Err(Denial::Duplicate));
    trial.expect_available(payer, 15);
    // What the hold needs is still there.
    trial.expect_settled(payer.settle_for(1, 150), &[(2, 50), (1, 85), (3, 15)], 0);
    trial.answers(payer.pay_out(1, 1, 11), Err(short(0, 1)));
    trial.expect_available(payer, 15);
}

pub(super) fn adjusts(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    trial.fund(payer, 1, 100);
    trial.does(payer.grant(2, LotKind::Promo, 10, Timestamp::MAX));
    trial.refuses([
        (payer.adjust(1, 0, 10), invalid("amount")),
        (payer.adjust(2, 1, 10), unknown("wallet")),
        (payer.adjust(2, -1, 10), unknown("wallet")),
        (payer.adjust(1, -111, 10), short(110, 111)),
        (payer.adjust(1, 5, 1), Denial::Duplicate),
        (payer.adjust(1, -5, 1), Denial::Duplicate),
        (payer.adjust(1, i64::MAX, 10), Denial::Overflow),
    ]);
    trial.expect_lots(payer.adjust(1, 5, 3), &[NewLot(3, 1, LotKind::Adjustment, 5, Timestamp::MAX)]);
    trial.expect_withdrawn(payer.adjust(1, -15, 4), &[(2, 10), (1, 5)]);
    trial.answers(payer.adjust(1, 5, 4), Err(Denial::Duplicate));
    trial.expect_available(payer, 100);
    // A correction pays debt, too.
    trial.does(payer.hold(1, 100));
    trial.expect_settled(payer.settle_for(1, 107), &[(1, 95), (3, 5)], 7);
    trial.answers(payer.adjust(1, -1, 5), Err(short(0, 1)));
    trial.does(payer.adjust(1, 10, 5));
    trial.expect_available(payer, 3);
}

pub(super) fn redeems(trial: &Trial<'_>) {
    let [first, second, third] = [1, 2, 3].map(Payer::number);
    let spent = |fault| Denial::PromoSpent(fault);
    for payer in [first, second, third] {
        trial.answers(payer.open(), Ok(Reply::Opened));
    }
    let code = PromoCode {
        expires_at: START.plus_seconds(100),
        credit_seconds: Some(60),
        ..promo("SPRING-26", 30, 2)
    };
    let flawed: [(PromoCode, &str); 8] = [
        (PromoCode { code: "ABC".into(), ..code.clone() }, "code"),
        (PromoCode { code: "X".repeat(65).into(), ..code.clone() }, "code"),
        (PromoCode { code: "spring".into(), ..code.clone() }, "code"),
        (PromoCode { amount: Money::ZERO, ..code.clone() }, "amount"),
        (PromoCode { amount: Money::from_nano(-1), ..code.clone() }, "amount"),
        (PromoCode { uses_max: 0, ..code.clone() }, "uses"),
        (PromoCode { credit_seconds: Some(0), ..code.clone() }, "credit_days"),
        (PromoCode { credit_seconds: Some(-1), ..code.clone() }, "credit_days"),
    ];
    trial.refuses(flawed.map(|(code, field)| (code, invalid(field))));
    trial.answers(first.redeem("SPRING-26", 1, 90), Err(unknown("code")));
    trial.answers(code.clone(), Ok(Reply::Issued(code.clone())));
    let until = START.plus_seconds(60);
    trial.expect_lots(first.redeem("SPRING-26", 1, 90), &[NewLot(1, 1, LotKind::Promo, 30, until)]);
    trial.answers(first.redeem("SPRING-26", 2, 90), Err(spent(PromoFault::Redeemed)));
    // The same code again is the code there is; uses do not begin anew.
    let used = |uses| PromoCode { uses, ..code.clone() };
    trial
        .answers(PromoCode { created_at: START.plus_seconds(9), ..code.clone() }, Ok(Reply::Issued(used(1))));
    trial.answers(used(0), Ok(Reply::Issued(used(1))));
    for other in [
        PromoCode { amount: Money::from_nano(31), ..code.clone() },
        PromoCode { uses_max: 3, ..code.clone() },
        PromoCode { models: vec!["m".into()], ..code.clone() },
        PromoCode { credit_seconds: None, ..code.clone() },
        PromoCode { expires_at: Timestamp::MAX, ..code.clone() },
    ] {
        trial.answers(other, Err(Denial::Duplicate));
    }
    trial.does(first.grant(7, LotKind::Promo, 1, Timestamp::MAX));
    trial.does(second.grant(7, LotKind::Promo, 1, Timestamp::MAX));
    trial.answers(second.redeem("SPRING-26", 7, 90), Err(Denial::Duplicate));
    trial.clock.advance_seconds(59);
    trial.does(second.redeem("SPRING-26", 1, 90));
    trial.answers(third.redeem("SPRING-26", 1, 90), Err(spent(PromoFault::UsedUp)));
    trial.answers(first.redeem("SPRING-26", 2, 90), Err(spent(PromoFault::Redeemed)));
    trial.answers(code.clone(), Ok(Reply::Issued(used(2))));
    trial.clock.advance_seconds(1);
    trial.expect_available(first, 1);
    trial.expect_available(second, 31);
    // After its time it is over for those who might, and redeemed for those who have.
    trial.clock.advance_seconds(40);
    trial.answers(third.redeem("SPRING-26", 1, 90), Err(spent(PromoFault::Expired)));
    trial.answers(first.redeem("SPRING-26", 2, 90), Err(spent(PromoFault::Redeemed)));
    trial.expect_available(third, 0);
    // Promotional credit stays where it is.
    trial.does(third.open_wallet(4, purpose(Some(2), &[], false)));
    trial.does(promo("OTHER-26", 30, 1));
    trial.does(third.redeem("OTHER-26", 1, 90));
    trial.answers(third.transfer(3, 4, 1, 9), Err(short(0, 1)));
    trial.answers(third.pay_out(3, 1, 9), Err(short(0, 1)));
    trial.expect_available(third, 30);
}

pub(super) fn redeems_for_models(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    trial.fund(payer, 1, 100);
    let code = |code: &str, models: &[&str]| PromoCode {
        models: models.iter().map(|model| Box::from(*model)).collect(),
        ..promo(code, 30, 10)
    };
    for code in [code("SMALL-1", &["small"]), code("SMALL-2", &["small"]), code("BIG-1", &["big", "huge*"])] {
        trial.answers(code.clone(), Ok(Reply::Issued(code)));
    }
    let model = |name: &'static str| held_for(payer.hold(90, 0), move |row| row.model = name.into());
    // The wallet's id is taken, so the code is still to be had.
    trial.answers(payer.redeem("SMALL-1", 2, 1), Err(Denial::Duplicate));
    trial.answers(payer.redeem("SMALL-1", 1, 5), Err(Denial::Duplicate));
    let lot = NewLot(2, 5, LotKind::Promo, 30, Timestamp::MAX);
    trial.expect_lots(payer.redeem("SMALL-1", 2, 5), &[lot]);
    trial.expect_lots(payer.redeem("SMALL-2", 3, 6), &[NewLot(3, 5, LotKind::Promo, 30, Timestamp::MAX)]);
    trial.expect_lots(payer.redeem("BIG-1", 4, 6), &[NewLot(4, 6, LotKind::Promo, 30, Timestamp::MAX)]);
    trial.expect_available(payer, 160);
    trial.expect_available_to(model("big"), 130);
    trial.expect_available_to(model("huge-2"), 130);
    trial.expect_available_to(model("hug"), 100);
    trial.answers(payer.open_wallet(7, purpose(None, &["small"], false)), Err(Denial::Duplicate));
    trial.answers(payer.hold(1, 70), held(70));
    trial.expect_settled(payer.settle_for(1, 65), &[(2, 30), (3, 30), (1, 5)], 0);
    // A wallet that the operator made for just these models takes the credit, too.
    trial.does(payer.open_wallet(8, purpose(None, &["mid"], false)));
    trial.does(code("MID-1", &["mid"]));
    trial.expect_lots(payer.redeem("MID-1", 5, 9), &[NewLot(5, 8, LotKind::Promo, 30, Timestamp::MAX)]);
    trial.expect_available_to(model("mid"), 125);
}
