//! Many threads on one store.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use domain::{LotId, Money, Timestamp};

use super::{Payer, Subject, lot_id, short};
use crate::{Denial, LotKind, Reply, Settled};

const GRANTED: i64 = 200_000;
const THREADS: u64 = 8;
const ROUNDS: u64 = 20;
const HOLDS: u64 = 8;

/// What all threads together did.
#[derive(Default)]
struct Tally {
    /// Live holds whose answer has come, and charges: never above what was granted.
    committed: AtomicI64,
    spent: AtomicI64,
    held: AtomicU64,
    refused: AtomicU64,
}

/// One thread of the crowd.
struct Spender<'a> {
    subject: &'a Subject<'a>,
    payer: Payer,
    tally: &'a Tally,
    chance: u64,
    /// What each lot paid.
    paid: BTreeMap<LotId, i64>,
}

/// Threads that hold, extend and settle on one wallet: what is held and spent never exceeds what was granted, and in
/// the end nothing is missing.
pub(super) fn never_holds_too_much(subject: &Subject<'_>) {
    let payer = Payer::number(1);
    subject.fund(payer, 1, GRANTED / 2);
    subject.granted(payer.grant(2, LotKind::Promo, GRANTED / 2, Timestamp::MAX));
    let tally = Tally::default();
    let paid: Vec<BTreeMap<LotId, i64>> = std::thread::scope(|scope| {
        let spend = |thread| {
            let mut spender =
                Spender { subject, payer, tally: &tally, chance: thread, paid: BTreeMap::new() };
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
    assert_eq!(u64::try_from(paid.len()), Ok(THREADS), "{}: a thread failed", subject.place);
    let (held, refused) = (tally.held.into_inner(), tally.refused.into_inner());
    assert!(held > 0 && refused > 0, "{}: no crowd: {held} held, {refused} refused", subject.place);

    let spent = tally.spent.into_inner();
    subject.expect_available(payer, GRANTED - spent);
    let paid_by = |lot| paid.iter().filter_map(|draws| draws.get(&lot_id(lot))).sum::<i64>();
    let waterfall = (spent.min(GRANTED / 2), (spent - GRANTED / 2).max(0));
    assert_eq!((paid_by(2), paid_by(1)), waterfall, "{}", subject.place);
}

impl Spender<'_> {
    /// Holds several requests at once, numbered from `first`, extends those that were admitted, and settles them.
    fn spend(&mut self, first: u64) {
        let asked: Vec<(u64, i64)> = (first..first + HOLDS).map(|n| (n, 100 + self.below(60_000))).collect();
        let hold = |(request, nano): (u64, i64)| {
            (request, nano, self.subject.submit(self.payer.hold(request, nano)))
        };
        let tickets: Vec<_> = asked.into_iter().map(hold).collect();
        let mut live = Vec::new();
        for (request, nano, ticket) in tickets {
            if self.admitted(nano, self.subject.answer(ticket), Reply::Held) {
                live.push((request, nano));
            }
        }
        for (request, nano) in &mut live {
            let answer = self.subject.ask(self.payer.extend(*request, 50));
            *nano += if self.admitted(50, answer, Reply::Extended) { 50 } else { 0 };
        }
        let mut settlements = Vec::new();
        for (request, nano) in live {
            let charge = self.below(151);
            // What is given back is free before the answer comes.
            self.commit(charge - nano);
            self.tally.spent.fetch_add(charge, Ordering::SeqCst);
            settlements.push((charge, self.subject.submit(self.payer.settle_for(request, charge))));
        }
        for (charge, ticket) in settlements {
            self.paid(charge, self.subject.answer(ticket));
        }
    }

    /// Counts an answer to a hold of `nano`; whether it was `yes`.
    fn admitted(&self, nano: i64, answer: Result<Reply, Denial>, yes: Reply) -> bool {
        if let Err(Denial::InsufficientCredit { available, needed }) = answer {
            assert!(available < needed && needed == Money::from_nano(nano), "{}", self.subject.place);
            self.tally.refused.fetch_add(1, Ordering::SeqCst);
            return false;
        }
        assert_eq!(answer, Ok(yes), "{}", self.subject.place);
        self.tally.held.fetch_add(1, Ordering::SeqCst);
        self.commit(nano);
        true
    }

    fn commit(&self, nano: i64) {
        let total = self.tally.committed.fetch_add(nano, Ordering::SeqCst) + nano;
        assert!(total <= GRANTED, "{}: {total} of {GRANTED}", self.subject.place);
    }

    fn paid(&mut self, charge: i64, answer: Result<Reply, Denial>) {
        let draws = match &answer {
            Ok(Reply::Settled(Settled { draws, debt: Money::ZERO })) => draws.as_slice(),
            _ => &[],
        };
        let sum: i64 = draws.iter().map(|draw| draw.amount.nano()).sum();
        assert_eq!(sum, charge, "{}: {answer:?}", self.subject.place);
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

/// Threads with a wallet each: every answer is what it would be alone.
pub(super) fn keeps_wallets_apart(subject: &Subject<'_>) {
    let alone = |number: u64, granted: i64| {
        let payer = Payer::number(number);
        subject.fund(payer, number, granted);
        let mut left = granted;
        for request in 1..=25 {
            subject.answers(payer.hold(request, left), Ok(Reply::Held));
            subject.answers(payer.hold(1_000, 1), Err(short(0, 1)));
            subject.expect_settled(payer.settle_for(request, 7), &[(number, 7)], 0);
            left -= 7;
        }
        subject.expect_available(payer, left);
    };
    std::thread::scope(|scope| {
        for (number, granted) in [(1, 1_000), (2, 175), (3, 3_000), (4, 4_000), (5, 5_000), (6, 6_000)] {
            scope.spawn(move || alone(number, granted));
        }
    });
}
