//! Histories to try: moves that say what to do in words of the wallet's state, so that they meet its edges, and that
//! stay what they are while a failing history is shrunk.

use std::ops::RangeInclusive;

use proptest::collection::vec;
use proptest::prelude::*;
use tollkeeper_ledger::{EntryKind, LotKind};

use crate::model::{Answer, Ask, Booking, Charge, Lot, MAX, Model};

/// The dearest row there can be, in nano: i64::MAX pico, rounded up.
const ROW_MAX: i128 = MAX / 1_000 + 1;

/// What the clock does before a command.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tick {
    Still,
    By(i64),
    /// To the next moment at which a lot expires, or this much off it.
    Due(i64),
    To(i64),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Size {
    Plain(i64),
    /// What is free, and this much more.
    Free(i64),
    /// What still fits into the wallet, and this much more.
    Room(i64),
}

/// What a settlement costs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bill {
    Percent(u8),
    Above(i64),
    /// All that the hold and what is free can pay, and this much more.
    Everything(i64),
    /// So many of the dearest rows there are.
    Flood(u32),
}

/// What is wrong with a row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Flaw {
    Cost(i64),
    Negative(i64),
    Stray,
    Attempt(u32),
    Missing,
}

/// Which hold is meant.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Which {
    Live(u8),
    Ended,
    Unknown,
}

#[derive(Clone, Debug)]
pub(crate) enum Act {
    Grant { kind: LotKind, size: Size, lifetime: Option<i64>, again: bool },
    Hold { size: Size, again: bool, flaw: Option<Flaw> },
    Extend { which: Which, size: Size, cost_pico: i64 },
    Settle { which: Which, bill: Bill, rows: u32, shave: u16, flaw: Option<Flaw> },
}

/// One thing to do.
#[derive(Clone, Debug)]
pub(crate) struct Move {
    tick: Tick,
    /// Whether the wallet is frozen while it is asked this.
    pub(crate) frozen: bool,
    act: Act,
}

pub(crate) fn moves() -> impl Strategy<Value = Vec<Move>> {
    let frozen = proptest::bool::weighted(0.01);
    vec((tick(), frozen, act()).prop_map(|(tick, frozen, act)| Move { tick, frozen, act }), 1..160)
}

fn tick() -> impl Strategy<Value = Tick> {
    prop_oneof![
        400 => Just(Tick::Still),
        400 => (1_i64..20).prop_map(Tick::By),
        100 => (-50_i64..0).prop_map(Tick::By),
        100 => (-2_i64..=1).prop_map(Tick::Due),
        10 => (1_000_i64..100_000).prop_map(Tick::By),
        5 => Just(Tick::To(i64::MIN)),
        3 => (0_i64..400).prop_map(|short| Tick::To(i64::MAX - short * short * short)),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let kind = prop_oneof![
        3 => Just(LotKind::Promo),
        3 => Just(LotKind::Prepaid),
        1 => Just(LotKind::Refund),
        1 => Just(LotKind::Adjustment),
    ];
    let lifetime =
        prop_oneof![4 => Just(None), 10 => (2_i64..600).prop_map(Some), 1 => (-3_i64..=1).prop_map(Some)];
    let again = || proptest::bool::weighted(0.05);
    let rows = prop_oneof![3 => Just(1_u32), 1 => 2_u32..=3];
    prop_oneof![
        20 => (kind, size(1..=60), lifetime, again())
            .prop_map(|(kind, size, lifetime, again)| Act::Grant { kind, size, lifetime, again }),
        40 => (size(0..=20), again(), flaw()).prop_map(|(size, again, flaw)| Act::Hold { size, again, flaw }),
        12 => (which(), size(0..=10), -3_000_i64..30_000)
            .prop_map(|(which, size, cost_pico)| Act::Extend { which, size, cost_pico }),
        28 => (which(), bill(), rows, 0_u16..1_000, flaw())
            .prop_map(|(which, bill, rows, shave, flaw)| Act::Settle { which, bill, rows, shave, flaw }),
    ]
}

fn size(plain: RangeInclusive<i64>) -> impl Strategy<Value = Size> {
    prop_oneof![
        800 => plain.prop_map(Size::Plain),
        150 => (-2_i64..=2).prop_map(Size::Free),
        8 => (-2_i64..=2).prop_map(Size::Room),
        4 => (0_i64..3).prop_map(|short| Size::Plain(i64::MAX - short)),
        15 => (-3_i64..=0).prop_map(Size::Plain),
        4 => Just(Size::Plain(i64::MIN)),
    ]
}

fn bill() -> impl Strategy<Value = Bill> {
    prop_oneof![
        500 => (0_u8..=100).prop_map(Bill::Percent),
        100 => prop_oneof![Just(Bill::Percent(0)), Just(Bill::Percent(100))],
        60 => (1_i64..40).prop_map(Bill::Above),
        40 => (-2_i64..=10).prop_map(Bill::Everything),
        4 => prop_oneof![1_u32..3, 998_u32..=1_002].prop_map(Bill::Flood),
    ]
}

fn which() -> impl Strategy<Value = Which> {
    prop_oneof![20 => any::<u8>().prop_map(Which::Live), 1 => Just(Which::Ended), 1 => Just(Which::Unknown)]
}

fn flaw() -> impl Strategy<Value = Option<Flaw>> {
    let flaw = prop_oneof![
        prop_oneof![Just(1_i64), Just(-1_i64)].prop_map(Flaw::Cost),
        prop_oneof![Just(-1_i64), Just(-999), Just(-1_000), Just(i64::MIN)].prop_map(Flaw::Negative),
        Just(Flaw::Stray),
        (0_u32..=3).prop_map(Flaw::Attempt),
        Just(Flaw::Missing),
    ];
    proptest::option::weighted(0.06, flaw)
}

/// The model and the clock, and which ids are taken.
#[derive(Default)]
pub(crate) struct History {
    pub(crate) model: Model,
    pub(crate) clock: i64,
    lots: u64,
    requests: u64,
    ended: Option<u64>,
}

impl History {
    /// Turns the clock and says what the move comes to in the state there is.
    pub(crate) fn resolve(&mut self, step: &Move) -> Ask {
        self.tick(step.tick);
        match step.act {
            Act::Grant { kind, size, lifetime, again } => {
                // An id whose lot still has something and keeps it: the wallet knows no others, a store does.
                let lasting = |lot: &&Lot| again && lot.remaining > 0 && lot.expires_at.is_none();
                let taken = self.model.lots.iter().find(lasting).map(|lot| lot.id);
                let lot = taken.unwrap_or_else(|| fresh(&mut self.lots));
                let now = (self.model.now + 1).max(i128::from(self.clock));
                let expires_at = lifetime.map(|micros| (now + i128::from(micros)).min(MAX - 1));
                Ask::Grant { lot, kind, amount: self.size(size), expires_at }
            }
            Act::Hold { size, again, flaw } => {
                let live = self.model.holds.first().filter(|_| again).map(|(id, _)| *id);
                let request = live.unwrap_or_else(|| fresh(&mut self.requests));
                // A draft cannot be missing.
                let draft = charges(7, 1, 0, flaw).first().copied().unwrap_or(good(1, 0, 0));
                Ask::Hold { request, amount: self.size(size), draft }
            }
            Act::Extend { which, size, cost_pico } => {
                let (request, amount) = (self.which(which), self.size(size));
                Ask::Extend { request, amount, cost_pico: i128::from(cost_pico) }
            }
            Act::Settle { which, bill, rows, shave, flaw } => {
                let request = self.which(which);
                let rows = match bill {
                    Bill::Flood(count) => charges(i128::from(count) * ROW_MAX, count, shave, None),
                    Bill::Percent(_) | Bill::Above(_) | Bill::Everything(_) => {
                        charges(self.bill(bill, request), rows, shave, flaw)
                    }
                };
                Ask::Settle { request, rows }
            }
        }
    }

    /// Remembers which hold ended last.
    pub(crate) fn note(&mut self, ask: &Ask, answer: &Answer) {
        if let (Ask::Settle { request, .. }, Answer::Settled { .. }) = (ask, answer) {
            self.ended = Some(*request);
        }
    }

    fn tick(&mut self, tick: Tick) {
        let due = self.model.lots.iter().filter(|lot| lot.remaining > 0).filter_map(|lot| lot.expires_at);
        let next = due.filter(|at| *at > self.model.now).min();
        self.clock = match (tick, next) {
            (Tick::By(micros), _) => self.clock.saturating_add(micros),
            (Tick::To(clock), _) => clock,
            (Tick::Due(off), Some(at)) => clamp(at + i128::from(off)),
            (Tick::Still, _) | (Tick::Due(_), None) => self.clock,
        };
    }

    fn size(&self, size: Size) -> i128 {
        let amount = match size {
            Size::Plain(nano) => i128::from(nano),
            Size::Free(more) => self.model.free() + i128::from(more),
            Size::Room(more) => MAX - self.model.balance() + i128::from(more),
        };
        i128::from(clamp(amount))
    }

    fn which(&self, which: Which) -> u64 {
        let live = &self.model.holds;
        match which {
            Which::Live(at) if !live.is_empty() => live[usize::from(at) % live.len()].0,
            Which::Ended => self.ended.unwrap_or(u64::MAX - 1),
            Which::Live(_) | Which::Unknown => u64::MAX - 1,
        }
    }

    fn bill(&self, bill: Bill, request: u64) -> i128 {
        let held = self.model.hold_amount(request).unwrap_or(10);
        match bill {
            Bill::Percent(percent) => held * i128::from(percent) / 100,
            Bill::Above(more) => held + i128::from(more),
            Bill::Everything(more) => held + self.model.free() + i128::from(more),
            Bill::Flood(rows) => ROW_MAX * i128::from(rows),
        }
    }
}

fn fresh(counter: &mut u64) -> u64 {
    *counter += 1;
    *counter
}

fn clamp(number: i128) -> i64 {
    i64::try_from(number).unwrap_or(if number > 0 { i64::MAX } else { i64::MIN })
}

/// Splits a charge into rows, each at most as dear as a row can be. The last of them gets the flaw.
fn charges(total: i128, rows: u32, shave: u16, flaw: Option<Flaw>) -> Vec<Charge> {
    let mut left = total.max(0);
    let mut charges: Vec<Charge> = (1..=rows)
        .map(|attempt| {
            let cost = (left / i128::from(rows - attempt + 1)).min(ROW_MAX);
            left -= cost;
            good(attempt, cost, i128::from(shave))
        })
        .collect();
    if let (Some(flaw), Some(last)) = (flaw, charges.last_mut()) {
        match flaw {
            Flaw::Cost(off) => last.cost += i128::from(off),
            Flaw::Negative(pico) => {
                last.cost_pico = i128::from(pico);
                last.cost = last.cost_pico / 1_000;
            }
            Flaw::Stray => last.belongs = false,
            Flaw::Attempt(attempt) => last.attempt = attempt,
            Flaw::Missing => charges.clear(),
        }
    }
    charges
}

/// A row for `cost`, whose exact cost is up to 999 pico less.
fn good(attempt: u32, cost: i128, shave: i128) -> Charge {
    let cost_pico = (cost * 1_000 - shave).clamp(0, MAX);
    let cost_pico = if cost == 0 { 0 } else { cost_pico };
    Charge { attempt, belongs: true, cost_pico, cost }
}

/// What a step of the model was, for the count of where histories get.
pub(crate) fn marks(answer: &Answer, bookings: &[Booking], model: &Model) -> Vec<&'static str> {
    let mut marks = vec![match answer {
        Answer::Granted(_) => "granted",
        Answer::Held => "held",
        Answer::Extended => "extended",
        Answer::Settled { .. } => "settled",
        Answer::Insufficient { .. } => "insufficient",
        Answer::InDebt { .. } => "in debt",
        Answer::Duplicate => "duplicate",
        Answer::HoldGone => "hold gone",
        Answer::Invalid => "invalid",
        Answer::Overflow => "overflow",
        Answer::Frozen => "frozen",
        Answer::Unexpected => "unexpected",
    }];
    let over = |id: u64| {
        let lot = model.lots.iter().find(|lot| lot.id == id);
        lot.and_then(|lot| lot.expires_at).is_some_and(|at| at <= model.now)
    };
    for booking in bookings {
        marks.push(match booking.kind {
            EntryKind::Grant => "grant booked",
            EntryKind::Settle => "settle booked",
            EntryKind::Expire => "expire booked",
            EntryKind::PayDebt => "pay debt booked",
        });
        let settled = booking.kind == EntryKind::Settle;
        let conditions = [
            ("drawn from several lots", settled && booking.lots.len() > 1),
            ("half paid", settled && booking.debt > 0 && !booking.lots.is_empty()),
            ("grace drawn", settled && booking.lots.iter().any(|(id, _)| over(*id))),
            ("debt paid by several lots", booking.kind == EntryKind::PayDebt && booking.lots.len() > 1),
            ("expired by a denial", booking.kind == EntryKind::Expire && answer.is_denial()),
        ];
        marks.extend(conditions.into_iter().filter(|(_, holds)| *holds).map(|(mark, _)| mark));
    }
    let grace = model.lots.iter().any(|lot| lot.remaining > 0 && over(lot.id));
    let states = [
        ("grace", grace),
        ("debt beside a hold", model.debt > 0 && model.held() > 0),
        ("the end of time", model.now == MAX),
    ];
    marks.extend(states.into_iter().filter(|(_, holds)| *holds).map(|(mark, _)| mark));
    marks
}
