//! Many threads on one store.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use domain::{LotId, Money, Timestamp};

use super::{Payer, Trial, budget, cost_cap, held, held_for, lot_id, named, project_id, purpose};
use crate::{Denial, LotKind, Period, Reply, Settled, Subject};

const GRANTED: i64 = 200_000;
const THREADS: u64 = 8;
const ROUNDS: u64 = 20;
const HOLDS: u64 = 8;

/// What all threads together may do, and did.
#[derive(Default)]
struct Tally {
    limit: i64,
    /// Live holds whose answer has come, and charges: never above the limit.
    committed: AtomicI64,
    spent: AtomicI64,
    held: AtomicU64,
    refused: AtomicU64,
}

/// One thread of the crowd.
struct Spender<'a> {
    trial: &'a Trial<'a>,
    payer: Payer,
    tally: &'a Tally,
    chance: u64,
    /// What each lot paid.
    paid: BTreeMap<LotId, i64>,
}

/// Threads that hold, extend and settle on one wallet: what is held and spent never exceeds what was granted, and in
/// the end nothing is missing.
pub(super) fn never_holds_too_much(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    trial.fund(payer, 1, GRANTED / 2);
    trial.does(payer.grant(2, LotKind::Promo, GRANTED / 2, Timestamp::MAX));
    let (spent, paid) = crowd(trial, payer, GRANTED);
    trial.expect_available(payer, GRANTED - spent);
    let paid_by = |lot| paid.get(&lot_id(lot)).copied().unwrap_or_default();
    let waterfall = (spent.min(GRANTED / 2), (spent - GRANTED / 2).max(0));
    assert_eq!((paid_by(2), paid_by(1)), waterfall, "{}", trial.place);
}

/// The same, where the money lies in three wallets.
pub(super) fn never_holds_more_than_a_chain(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    trial.fund(payer, 1, GRANTED / 2);
    trial.does(payer.open_wallet(2, purpose(Some(1), &[], true)));
    trial.does(payer.open_wallet(3, purpose(None, &["sm*"], false)));
    trial.does(payer.grant_to(2, 2, GRANTED / 4));
    trial.does(payer.grant_to(3, 3, GRANTED / 4));
    let (spent, paid) = crowd(trial, payer, GRANTED);
    trial.expect_available(payer, GRANTED - spent);
    let elsewhere = held_for(payer.hold(u64::MAX, 0), |row| {
        (row.project, row.model) = (project_id(9), "big".into());
    });
    let own = paid.get(&lot_id(1)).copied().unwrap_or_default();
    trial.expect_available_to(elsewhere, GRANTED / 2 - own);
}

/// The same, where a budget leaves less than there is.
pub(super) fn never_passes_a_budget(trial: &Trial<'_>) {
    let payer = Payer::number(1);
    trial.fund(payer, 1, GRANTED);
    let cap = GRANTED / 2;
    trial.does(payer.set_budget(budget(1, Subject::Project(None), Period::Total, cost_cap(cap))));
    let (spent, _) = crowd(trial, payer, cap);
    trial.answers(payer.hold(u64::MAX - 1, cap - spent), held(cap - spent));
    let answer = trial.ask(payer.hold(u64::MAX, 1));
    assert!(matches!(answer, Err(Denial::BudgetExceeded(_))), "{}: {answer:?}", trial.place);
    trial.does(payer.remove_budget(1));
    trial.expect_available(payer, GRANTED - cap);
}

/// Lets many threads spend, so that never more than `limit` is held and spent: what was spent, and what each lot paid.
fn crowd(trial: &Trial<'_>, payer: Payer, limit: i64) -> (i64, BTreeMap<LotId, i64>) {
    let tally = Tally { limit, ..Tally::default() };
    let paid: Vec<BTreeMap<LotId, i64>> = std::thread::scope(|scope| {
        let spend = |thread| {
            let mut spender = Spender { trial, payer, tally: &tally, chance: thread, paid: BTreeMap::new() };
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    spender.spend((thread * ROUNDS + round) * HOLDS);
                }
                spender.paid
            })
        };
        let threads: Vec<_> = (0..THREADS).map(spend).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    assert_eq!(u64::try_from(paid.len()), Ok(THREADS), "{}: a thread failed", trial.place);
    let (held, refused) = (tally.held.into_inner(), tally.refused.into_inner());
    assert!(held > 0 && refused > 0, "{}: no crowd: {held} held, {refused} refused", trial.place);
    let mut sums: BTreeMap<LotId, i64> = BTreeMap::new();
    for (lot, nano) in paid.into_iter().flatten() {
        *sums.entry(lot).or_default() += nano;
    }
    (tally.spent.into_inner(), sums)
}

impl Spender<'_> {
    /// Holds several requests at once, numbered from `first`, extends those that were admitted, and settles them.
    fn spend(&mut self, first: u64) {
        let asked: Vec<(u64, i64)> = (first..first + HOLDS).map(|n| (n, 100 + self.below(60_000))).collect();
        let hold =
            |(request, nano): (u64, i64)| (request, nano, self.trial.submit(self.payer.hold(request, nano)));
        let tickets: Vec<_> = asked.into_iter().map(hold).collect();
        let mut live = Vec::new();
        for (request, nano, ticket) in tickets {
            if self.admitted(nano, self.trial.answer(ticket), Reply::Held(Money::from_nano(nano))) {
                live.push((request, nano));
            }
        }
        for (request, nano) in &mut live {
            let answer = self.trial.ask(self.payer.extend(*request, *nano + 50));
            *nano +=
                if self.admitted(50, answer, Reply::Extended(Money::from_nano(*nano + 50))) { 50 } else { 0 };
        }
        let mut settlements = Vec::new();
        for (request, nano) in live {
            let charge = self.below(151);
            // What is given back is free before the answer comes.
            self.commit(charge - nano);
            self.tally.spent.fetch_add(charge, Ordering::SeqCst);
            settlements.push((charge, self.trial.submit(self.payer.settle_for(request, charge))));
        }
        for (charge, ticket) in settlements {
            self.paid(charge, self.trial.answer(ticket));
        }
    }

    /// Counts an answer to a hold of `nano`; whether it was `yes`.
    fn admitted(&self, nano: i64, answer: Result<Reply, Denial>, yes: Reply) -> bool {
        if let Err(Denial::InsufficientCredit { available, needed }) = answer {
            assert!(available < needed && needed == Money::from_nano(nano), "{}", self.trial.place);
        }
        if matches!(answer, Err(Denial::InsufficientCredit { .. } | Denial::BudgetExceeded(_))) {
            self.tally.refused.fetch_add(1, Ordering::SeqCst);
            return false;
        }
        assert_eq!(answer, Ok(yes), "{}", self.trial.place);
        self.tally.held.fetch_add(1, Ordering::SeqCst);
        self.commit(nano);
        true
    }

    fn commit(&self, nano: i64) {
        let total = self.tally.committed.fetch_add(nano, Ordering::SeqCst) + nano;
        let limit = self.tally.limit;
        assert!(total <= limit, "{}: {total} of {limit}", self.trial.place);
    }

    fn paid(&mut self, charge: i64, answer: Result<Reply, Denial>) {
        let draws = match &answer {
            Ok(Reply::Settled(Settled { draws, debt: Money::ZERO })) => draws.as_slice(),
            _ => &[],
        };
        let sum: i64 = draws.iter().map(|draw| draw.amount.nano()).sum();
        assert_eq!(sum, charge, "{}: {answer:?}", self.trial.place);
        for draw in draws {
            *self.paid.entry(draw.lot).or_default() += draw.amount.nano();
        }
    }

    /// A number in `0..bound`, another each time, the same ones in each run.
    fn below(&mut self, bound: i64) -> i64 {
        self.chance =
            self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(self.chance >> 33).unwrap_or_default() % bound
    }
}

/// Threads with an organization each: every answer is what it would be alone.
pub(super) fn keeps_organizations_apart(trial: &Trial<'_>) {
    let alone = |number: u64, granted: i64| {
        let payer = Payer::number(number);
        trial.fund(payer, 1, granted);
        let all = budget(1, Subject::Organization, Period::Daily, cost_cap(granted));
        trial.does(named(payer.set_budget(all), "budget", 1));
        let mut left = granted;
        for request in 1..=25 {
            trial.answers(payer.hold(request, left), held(left));
            let answer = trial.ask(payer.hold(1_000, 1));
            assert!(matches!(answer, Err(Denial::BudgetExceeded(_))), "{}: {answer:?}", trial.place);
            trial.expect_settled(payer.settle_for(request, 7), &[(1, 7)], 0);
            left -= 7;
        }
        trial.does(named(payer.remove_budget(1), "no budget", 1));
        trial.does(named(payer.refund(1, 7, 2), "refund", 1));
        trial.does(named(payer.refund(1, 7, 2), "refund", 1));
        trial.expect_available(payer, left + 7);
    };
    std::thread::scope(|scope| {
        for (number, granted) in [(1, 1_000), (2, 175), (3, 3_000), (4, 4_000), (5, 5_000), (6, 6_000)] {
            scope.spawn(move || alone(number, granted));
        }
    });
}
