//! The money rules a second time, written from their text alone, as the oracle of `apply`.
//!
//! Everything here is as plain as it can be: i128 amounts that cannot overflow, one list of all lots there ever were,
//! sums added up anew whenever they are wanted. It shares no code with the rules; ids are small numbers.

use std::collections::BTreeSet;
use std::ops::Range;

use tollkeeper_ledger::{EntryKind, LotKind};

/// The largest amount the ledger can write, and the last moment.
pub(crate) const MAX: i128 = 9_223_372_036_854_775_807;

/// One grant, for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lot {
    pub id: u64,
    pub kind: LotKind,
    pub granted: i128,
    pub remaining: i128,
    pub used: i128,
    pub expired: i128,
    /// Nothing for never.
    pub expires_at: Option<i128>,
}

/// What one journal entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Booking {
    pub kind: EntryKind,
    /// The lot granted or expired, or the request settled; nothing for a payment of debt.
    pub about: Option<u64>,
    /// What was taken from which lot, in order; for a grant, what was put in.
    pub lots: Vec<(u64, i128)>,
    /// How much the wallet's debt grew by it; below zero when it shrank.
    pub debt: i128,
}

/// One thing asked of the wallet.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Grant { lot: u64, kind: LotKind, amount: i128, expires_at: Option<i128> },
    Hold { request: u64, amount: i128, draft: Charge },
    Extend { request: u64, amount: i128, cost_pico: i128 },
    Settle { request: u64, rows: Vec<Charge> },
}

/// The charge of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Charge {
    pub attempt: u32,
    /// Whether the row names this request, and the organization whose wallet it is.
    pub belongs: bool,
    /// The exact cost.
    pub cost_pico: i128,
    /// What is said to be its ceiling in nano.
    pub cost: i128,
}

impl Charge {
    fn is_rounded_up(&self) -> bool {
        self.cost_pico >= 0 && self.cost == (self.cost_pico + 999) / 1000
    }
}

/// What the wallet must answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Granted(Lot),
    Held,
    Extended,
    Settled {
        draws: Vec<(u64, i128)>,
        debt: i128,
    },
    Insufficient {
        available: i128,
        needed: i128,
    },
    InDebt {
        debt: i128,
    },
    Duplicate,
    HoldGone,
    Invalid,
    Overflow,
    Frozen,
    /// Nothing the rules may say to what is asked here.
    Unexpected,
}

impl Answer {
    /// Whether the wallet said no.
    pub(crate) fn is_denial(&self) -> bool {
        !matches!(self, Self::Granted(_) | Self::Held | Self::Extended | Self::Settled { .. })
    }
}

/// The wallet as the rules' text has it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub now: i128,
    pub lots: Vec<Lot>,
    pub holds: Vec<(u64, i128)>,
    pub debt: i128,
    pub frozen: bool,
    /// Every booking so far.
    pub journal: Vec<Booking>,
    /// Everything ever charged.
    pub charged: i128,
}

impl Model {
    pub(crate) fn balance(&self) -> i128 {
        self.lots.iter().map(|lot| lot.remaining).sum()
    }

    pub(crate) fn held(&self) -> i128 {
        self.holds.iter().map(|(_, amount)| amount).sum()
    }

    pub(crate) fn free(&self) -> i128 {
        self.balance() - self.held()
    }

    pub(crate) fn hold_amount(&self, request: u64) -> Option<i128> {
        self.holds.iter().find(|(id, _)| *id == request).map(|(_, amount)| *amount)
    }

    /// Applies one request at the time the clock shows, and tells the answer and which bookings it made.
    pub(crate) fn ask(&mut self, ask: &Ask, clock: i128) -> (Answer, Range<usize>) {
        let from = self.journal.len();
        if self.frozen {
            return (Answer::Frozen, from..from);
        }
        // The wallet's own time goes on with each command. What is due falls due whatever the answer will be.
        self.now = (self.now + 1).max(clock).min(MAX);
        self.tidy();
        let kept = self.clone();
        let answer = match ask {
            Ask::Grant { lot, kind, amount, expires_at } => self.grant(*lot, *kind, *amount, *expires_at),
            Ask::Hold { request, amount, draft } => self.hold(*request, *amount, draft),
            Ask::Extend { request, amount, cost_pico } => self.extend(*request, *amount, *cost_pico),
            Ask::Settle { request, rows } => self.settle(*request, rows),
        };
        if answer.is_denial() {
            *self = kept;
        } else {
            self.tidy();
        }
        (answer, from..self.journal.len())
    }

    fn grant(&mut self, id: u64, kind: LotKind, amount: i128, expires_at: Option<i128>) -> Answer {
        if amount <= 0 || self.is_over(expires_at) {
            return Answer::Invalid;
        }
        if self.lots.iter().any(|lot| lot.id == id) {
            return Answer::Duplicate;
        }
        if self.balance() + amount > MAX {
            return Answer::Overflow;
        }
        let lot = Lot { id, kind, granted: amount, remaining: amount, used: 0, expired: 0, expires_at };
        self.lots.push(lot.clone());
        self.book(EntryKind::Grant, Some(id), vec![(id, amount)], 0);
        Answer::Granted(lot)
    }

    fn hold(&mut self, request: u64, amount: i128, draft: &Charge) -> Answer {
        // The draft is what a restart settles, so it must be such that it can be.
        if amount < 0 || !draft.belongs || draft.attempt == 0 || !draft.is_rounded_up() {
            return Answer::Invalid;
        }
        // Who asks again for a hold that is there must learn that, whatever credit is left.
        if self.hold_amount(request).is_some() {
            return Answer::Duplicate;
        }
        if let Some(denial) = self.refuse(amount) {
            return denial;
        }
        self.holds.push((request, amount));
        Answer::Held
    }

    fn extend(&mut self, request: u64, more: i128, cost_pico: i128) -> Answer {
        if more < 0 || cost_pico < 0 {
            return Answer::Invalid;
        }
        let Some(place) = self.holds.iter().position(|(id, _)| *id == request) else {
            return Answer::HoldGone;
        };
        // Zero only moves the checkpoint, which takes no credit.
        if more > 0
            && let Some(denial) = self.refuse(more)
        {
            return denial;
        }
        self.holds[place].1 += more;
        Answer::Extended
    }

    /// A hold is admitted when nothing is owed and the free credit covers it.
    fn refuse(&self, amount: i128) -> Option<Answer> {
        if self.debt > 0 {
            Some(Answer::InDebt { debt: self.debt })
        } else if self.free() < amount {
            Some(Answer::Insufficient { available: self.free(), needed: amount })
        } else {
            None
        }
    }

    fn settle(&mut self, request: u64, rows: &[Charge]) -> Answer {
        let Some(place) = self.holds.iter().position(|(id, _)| *id == request) else {
            return Answer::HoldGone;
        };
        let attempts: BTreeSet<u32> = rows.iter().map(|row| row.attempt).filter(|n| *n > 0).collect();
        let each_once = !rows.is_empty() && attempts.len() == rows.len();
        if !each_once || !rows.iter().all(|row| row.belongs && row.is_rounded_up()) {
            return Answer::Invalid;
        }
        let charge: i128 = rows.iter().map(|row| row.cost).sum();
        self.holds.remove(place);
        let paid = charge.min(self.free());
        let unpaid = charge - paid;
        if charge > MAX || self.debt + unpaid > MAX {
            return Answer::Overflow;
        }
        let draws = self.draw(paid);
        self.debt += unpaid;
        self.charged += charge;
        self.book(EntryKind::Settle, Some(request), draws.clone(), unpaid);
        Answer::Settled { draws, debt: unpaid }
    }

    /// Free credit pays debt first; what is then still free of lots whose time is over expires.
    fn tidy(&mut self) {
        let pay = self.debt.min(self.free());
        if pay > 0 {
            let draws = self.draw(pay);
            self.debt -= pay;
            self.book(EntryKind::PayDebt, None, draws, -pay);
        }
        for place in self.burn_order() {
            let gone = self.lots[place].remaining.min(self.free());
            if self.is_over(self.lots[place].expires_at) && gone > 0 {
                let lot = &mut self.lots[place];
                lot.remaining -= gone;
                lot.expired += gone;
                let id = lot.id;
                self.book(EntryKind::Expire, Some(id), vec![(id, gone)], 0);
            }
        }
    }

    fn is_over(&self, expires_at: Option<i128>) -> bool {
        expires_at.is_some_and(|moment| moment <= self.now)
    }

    /// Where the lots stand, in the order they burn: promotional first, then the earliest expiry, then the oldest.
    fn burn_order(&self) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.lots.len()).collect();
        places.sort_by_key(|place| {
            let lot = &self.lots[*place];
            (lot.kind != LotKind::Promo, lot.expires_at.unwrap_or(MAX), lot.id)
        });
        places
    }

    fn draw(&mut self, mut amount: i128) -> Vec<(u64, i128)> {
        let mut draws = Vec::new();
        for place in self.burn_order() {
            let lot = &mut self.lots[place];
            let part = amount.min(lot.remaining);
            if part > 0 {
                lot.remaining -= part;
                lot.used += part;
                amount -= part;
                draws.push((lot.id, part));
            }
        }
        assert_eq!(amount, 0, "the model drew more than there is");
        draws
    }

    fn book(&mut self, kind: EntryKind, about: Option<u64>, lots: Vec<(u64, i128)>, debt: i128) {
        self.journal.push(Booking { kind, about, lots, debt });
    }
}
