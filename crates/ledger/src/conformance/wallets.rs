//! Several wallets of one organization: what they are for, in which order they pay, and what moves between them.

use domain::{Money, Timestamp};

use super::{
    NewLot, Payer, START, Trial, extended, held, held_for, invalid, owes, project_id, purpose, short, unknown,
};
use crate::{AttemptStatus, CostRow, Denial, Extension, HoldRequest, LotKind, NextAttempt, Purpose, Reply};

pub(super) fn opens_wallets(trial: &Trial<'_>) {
    let (payer, other) = (Payer::number(1), Payer::number(2));
    trial.answers(payer.open(), Ok(Reply::Opened));
    trial.answers(other.open(), Ok(Reply::Opened));
    let open = |wallet, purpose| payer.open_wallet(wallet, purpose);
    let long = "m".repeat(129);
    let many = vec!["m"; 101];
    let name = |name: &str| Purpose { name: name.into(), ..purpose(Some(1), &[], false) };
    trial.refuses([
        (open(3, name("")), invalid("name")),
        (open(3, name(&long)), invalid("name")),
        (open(3, purpose(None, &[" "], false)), invalid("models")),
        (open(3, purpose(None, &[&long], false)), invalid("models")),
        (open(3, purpose(None, &many, false)), invalid("models")),
        (open(3, purpose(None, &[], false)), invalid("project")),
        (open(3, purpose(None, &["m"], true)), invalid("overflow")),
        (open(3, purpose(Some(1), &["m"], true)), invalid("overflow")),
    ]);
    trial.answers(open(3, purpose(Some(1), &["a", "b"], false)), Ok(Reply::Opened));
    trial.refuses([
        (open(3, purpose(Some(2), &[], false)), Denial::Duplicate),
        (open(1, purpose(Some(2), &[], false)), Denial::Duplicate),
        // Ids of wallets are not shared between organizations.
        (open(2, purpose(Some(2), &[], false)), Denial::Duplicate),
        (open(4, purpose(Some(1), &["a", "b"], false)), Denial::Duplicate),
    ]);
    for (wallet, purpose) in [
        (4, purpose(Some(1), &["b", "a"], false)),
        (5, purpose(Some(2), &["a", "b"], false)),
        (6, purpose(None, &["a", "b"], false)),
        (7, purpose(Some(1), &[], true)),
    ] {
        trial.answers(open(wallet, purpose), Ok(Reply::Opened));
    }
    trial.answers(open(8, purpose(Some(1), &[], false)), Err(Denial::Duplicate));
    trial.answers(other.open_wallet(3, purpose(Some(1), &[], false)), Err(Denial::Duplicate));
    trial.answers(other.open_wallet(8, purpose(Some(1), &[], false)), Ok(Reply::Opened));
    trial.refuses([
        (payer.grant_to(8, 1, 10), unknown("wallet")),
        (payer.transfer(1, 8, 10, 1), unknown("to")),
    ]);
}

/// Opens the books and these wallets, and puts a lot of the wallet's number into each that gets something.
fn fund_chain(trial: &Trial<'_>, payer: Payer, own: i64, wallets: &[(u64, Purpose, i64)]) {
    trial.fund(payer, 1, own);
    for (wallet, purpose, nano) in wallets {
        trial.answers(payer.open_wallet(*wallet, purpose.clone()), Ok(Reply::Opened));
        if *nano > 0 {
            trial.does(payer.grant_to(*wallet, *wallet, *nano));
        }
    }
}

pub(super) fn pays_in_chain_order(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    fund_chain(
        trial,
        payer,
        100,
        &[
            (2, purpose(Some(1), &[], true), 10),
            (3, purpose(None, &["sm*"], false), 10),
            (4, purpose(None, &["other", "simulated/sim-small"], false), 10),
            (5, purpose(Some(1), &["small"], false), 10),
            (6, purpose(Some(1), &["simulated/*"], false), 10),
            (7, purpose(Some(1), &["big"], false), 10),
            (8, purpose(Some(2), &["small"], false), 10),
            (9, purpose(Some(2), &[], false), 10),
        ],
    );
    let model = |name: &'static str| held_for(payer.hold(90, 0), move |row| row.model = name.into());
    let project = |n| held_for(payer.hold(90, 0), move |row| row.project = project_id(n));
    trial.expect_available(payer, 150);
    trial.expect_available_to(model("big"), 140);
    trial.expect_available_to(project(2), 40);
    trial.expect_available_to(project(3), 120);

    trial.answers(payer.hold(1, 55), held(55));
    trial.expect_available(payer, 95);
    trial.answers(HoldRequest { least: Money::ZERO, ..payer.hold(2, 96) }, held(95));
    trial.expect_settled(payer.settle_for(1, 51), &[(5, 10), (6, 10), (3, 10), (4, 10), (2, 10), (1, 1)], 0);
    // Each wallet pays out of what it had set aside: the second hold had taken the own wallet's 95.
    trial.expect_settled(payer.settle_for(2, 3), &[(1, 3)], 0);
    trial.expect_available(payer, 96);
}

pub(super) fn keeps_projects_apart(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    fund_chain(
        trial,
        payer,
        100,
        &[(2, purpose(Some(1), &[], false), 10), (3, purpose(None, &["small"], false), 5)],
    );
    let other = |request, nano| held_for(payer.hold(request, nano), |row| row.project = project_id(2));
    trial.answers(payer.hold(1, 16), Err(short(15, 16)));
    trial.answers(payer.hold(1, 12), held(12));
    trial.expect_available(payer, 3);
    trial.expect_available_to(other(9, 0), 100);
    // The charge is above the hold: what is free in the chain pays, then the project's wallet owes.
    trial.expect_settled(payer.settle_for(1, 20), &[(3, 5), (2, 10)], 5);
    trial.answers(payer.hold(2, 1), Err(owes(2, 5)));
    // Nobody else is concerned, and credit elsewhere does not pay it.
    trial.answers(other(3, 50), held(50));
    trial.does(payer.grant(4, LotKind::Promo, 10, Timestamp::MAX));
    trial.does(payer.grant_to(3, 5, 10));
    trial.answers(payer.hold(2, 1), Err(owes(2, 5)));
    trial.expect_available_to(other(9, 0), 70);
    trial.does(payer.transfer(1, 2, 3, 6));
    trial.answers(payer.hold(2, 1), Err(owes(2, 2)));
    trial.does(payer.grant_to(2, 9, 4));
    trial.expect_available(payer, 12);
}

pub(super) fn extends_along_the_chain(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    fund_chain(trial, payer, 100, &[(2, purpose(Some(1), &[], true), 10)]);
    trial.answers(payer.hold(1, 6), held(6));
    // A wallet that is made while the call runs is no part of its chain.
    trial.answers(payer.open_wallet(3, purpose(None, &["small"], false)), Ok(Reply::Opened));
    trial.does(payer.grant_to(3, 3, 50));
    trial.answers(payer.extend(1, 111), Err(short(104, 105)));
    trial.answers(payer.extend(1, 30), extended(30));
    trial.expect_available(payer, 130);
    trial.does(payer.grant_to(2, 4, 5));
    trial.answers(payer.extend(1, 37), extended(37));
    trial.expect_available(payer, 128);
    // Of 37 the project's wallet holds 15 and pays them first.
    trial.expect_settled(payer.settle_for(1, 16), &[(2, 10), (4, 5), (1, 1)], 0);
    trial.expect_available(payer, 149);
}

pub(super) fn moves_with_the_model(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    // Wallets 2 and 3 are for one model each, 4 for a target of the second one.
    let wallets = [(2, purpose(None, &["small"], false), 50), (3, purpose(None, &["big"], false), 3)];
    fund_chain(trial, payer, 10, &wallets);
    trial.does(payer.open_wallet(4, purpose(None, &["other/*"], false)));
    let turn = |earlier: &[&CostRow], model, target| {
        let earlier: Vec<CostRow> = earlier.iter().copied().cloned().collect();
        let attempt = earlier.last().map_or(1, |row| row.attempt + 1);
        let next = NextAttempt { earlier, ..payer.next(attempt, model, target) };
        Extension { next: Some(Box::new(next)), ..payer.extend(1, 0) }
    };
    let row = |attempt, nano: i64, status| CostRow { status, ..payer.row(1, attempt, nano * 1_000) };
    let big = || held_for(payer.hold(9, 0), |draft| draft.model = "big".into());
    trial.answers(payer.hold(1, 20), held(20));
    trial.expect_available(payer, 40);
    trial.expect_available_to(big(), 13);
    // What the new model's wallets do not have is not to be had, and the hold stays as it was.
    let failed = row(1, 0, AttemptStatus::Failed);
    trial.answers(turn(&[&failed], "big", "p/big"), Err(short(13, 20)));
    trial.expect_available(payer, 40);
    trial.does(payer.grant_to(3, 7, 9));
    trial.answers(turn(&[&failed], "big", "p/big"), extended(20));
    // 12 of the model's own, 8 of the organization's; the first model's are free again.
    trial.expect_available(payer, 52);
    trial.expect_available_to(big(), 2);
    // An attempt that cost something must be covered, too: no wallet for one model alone pays for both.
    let at_big = |row| CostRow { model: "big".into(), target: "p/big".into(), ..row };
    // Only one that failed and cost nothing need not be.
    let cut = at_big(row(2, 2, AttemptStatus::Cancelled));
    for (nano, status) in [(2, AttemptStatus::Failed), (0, AttemptStatus::Cancelled)] {
        let other = at_big(row(2, nano, status));
        trial.answers(turn(&[&failed, &other], "small", "other/small"), Err(short(10, 20)));
    }
    trial.answers(turn(&[&failed, &cut], "small", "other/small"), Err(short(10, 20)));
    trial.does(payer.grant_to(1, 8, 10));
    trial.answers(turn(&[&failed, &cut], "small", "other/small"), extended(20));
    trial.expect_available(payer, 50);
    trial.expect_available_to(big(), 12);
    // One that was not sent after all leaves no row.
    trial.answers(turn(&[&failed], "big", "p/big"), Err(invalid("attempt")));
    trial.answers(turn(&[&failed, &cut], "big", "p/big"), extended(20));
    trial.expect_available_to(big(), 12);
    let last = row(3, 5, AttemptStatus::Succeeded);
    trial.expect_settled(payer.settle(1, vec![failed, cut, last]), &[(3, 3), (7, 4)], 0);
    trial.expect_available(payer, 70);
    trial.expect_available_to(big(), 25);
}

pub(super) fn transfers(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    fund_chain(
        trial,
        payer,
        10,
        &[(2, purpose(Some(1), &[], false), 0), (3, purpose(Some(2), &[], true), 0)],
    );
    let soon = START.plus_seconds(60);
    trial.does(payer.grant(2, LotKind::Prepaid, 10, soon));
    trial.does(payer.grant(3, LotKind::Promo, 100, Timestamp::MAX));
    trial.does(payer.adjust(1, 10, 4));
    trial.refuses([
        (payer.transfer(1, 1, 5, 20), invalid("to")),
        (payer.transfer(1, 9, 5, 20), unknown("to")),
        (payer.transfer(1, 2, 0, 20), invalid("amount")),
        (payer.transfer(1, 2, -5, 20), invalid("amount")),
        (payer.transfer(9, 2, 5, 20), unknown("wallet")),
        (payer.transfer(1, 2, 31, 20), short(30, 31)),
        (payer.transfer(1, 2, 5, 4), Denial::Duplicate),
    ]);
    // What is soonest over moves first; what was given away stays.
    trial.expect_lots(
        payer.transfer(1, 2, 15, 20),
        &[NewLot(20, 2, LotKind::Prepaid, 10, soon), NewLot(21, 2, LotKind::Prepaid, 5, Timestamp::MAX)],
    );
    trial.expect_available(payer, 15);
    trial.expect_lots(
        payer.transfer(1, 3, 15, 30),
        &[
            NewLot(30, 3, LotKind::Prepaid, 5, Timestamp::MAX),
            NewLot(31, 3, LotKind::Adjustment, 10, Timestamp::MAX),
        ],
    );
    trial.answers(payer.transfer(1, 3, 1, 40), Err(short(0, 1)));
    // No lot that a transfer makes may bear an id that was used, be the lot spent or not.
    trial.does(payer.grant(51, LotKind::Prepaid, 1, Timestamp::MAX));
    trial.expect_withdrawn(payer.pay_out(1, 1, 61), &[(51, 1)]);
    trial.answers(payer.transfer(3, 2, 6, 50), Err(Denial::Duplicate));
    trial.answers(payer.transfer(3, 2, 1, 50), Err(Denial::Duplicate));
    trial.answers(payer.transfer(3, 2, 6, 60), Err(Denial::Duplicate));
    // Held credit does not move, and neither does what another organization has.
    trial.answers(payer.hold(1, 12), held(12));
    trial.answers(payer.transfer(2, 3, 4, 40), Err(short(3, 4)));
    trial.clock.advance_seconds(60);
    trial.expect_available(payer, 0);
    // The lot that moved has kept its time: of its 10 three are over, seven are needed.
    trial.expect_settled(payer.settle_for(1, 14), &[(20, 7), (21, 5)], 2);
    trial.answers(payer.hold(2, 1), Err(owes(2, 2)));
    // Credit that moves pays what its new wallet owes.
    trial.does(payer.transfer(3, 2, 6, 40));
    trial.expect_available(payer, 4);
    trial.answers(payer.hold(2, 4), held(4));
    trial.expect_settled(payer.settle_for(2, 4), &[(40, 3), (41, 1)], 0);
}
