//! The model: a second implementation of the ledger's rules, written from `docs/ledger.md` alone. It shares the
//! ledger's vocabulary (commands, answers, ids) and nothing of its rules, its state or its arithmetic.
//!
//! It aims to be obviously right, not fast: sums are added up anew whenever they are needed, in numbers that cannot
//! overflow.

mod bookings;
mod budgets;
pub mod calendar;
mod calls;
mod pools;
mod state;
mod twist;

use std::collections::{BTreeMap, BTreeSet};

use domain::{BudgetId, LotId, Money, OrganizationId, Timestamp, WalletId};
use ledger::{Command, Denial, Draw, EntryKind, Event, Leg, PromoCode, Purpose, Reply};

pub use state::{Owner, Piece, Purse, Rank, Stake, Tab, TabKey, Taken};
pub use twist::Twist;

/// An entry as the model expects it: all of it but the number, the hash and the note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booked {
    /// What was booked.
    pub kind: EntryKind,
    /// The wallet it names.
    pub wallet: WalletId,
    /// What it is about.
    pub reference: [u8; 16],
    /// Its legs.
    pub legs: Vec<Leg>,
    /// The net of the books after it.
    pub balance: Money,
}

/// What a command must bring about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The answer.
    pub reply: Result<Reply, Denial>,
    /// What is booked, in order.
    pub entries: Vec<Booked>,
    /// What is told.
    pub events: Vec<Event>,
    /// Situations that it met, for those who want to have seen them.
    pub seen: Vec<&'static str>,
}

/// What happened so far in one command.
#[derive(Debug, Default)]
struct Trace {
    entries: Vec<Booked>,
    events: Vec<Event>,
    seen: Vec<&'static str>,
}

/// All books, and what is known beyond them.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// The books, by owner.
    pub owners: BTreeMap<OrganizationId, Owner>,
    /// Promo codes, with their uses.
    pub promos: BTreeMap<Box<str>, PromoCode>,
    /// What payments were booked for, and the answers.
    pub payments: BTreeMap<Box<str>, (OrganizationId, Reply)>,
    /// Ids of lots, payouts and corrections that were ever used.
    pub lot_ids: BTreeSet<LotId>,
    /// Ids of wallets that were ever used.
    pub wallet_ids: BTreeSet<WalletId>,
    /// Ids of budgets that were ever used, with their owners.
    pub budget_ids: BTreeMap<BudgetId, OrganizationId>,
    /// A rule that is turned wrong on purpose, to show that the comparison notices.
    pub twist: Option<Twist>,
}

impl Model {
    /// Does a command at a time, and says what must come of it.
    pub fn run(&mut self, command: &Command, now: Timestamp) -> Expected {
        let mut trace = Trace::default();
        let reply = self.answer(command, now, &mut trace);
        Expected { reply, entries: trace.entries, events: trace.events, seen: trace.seen }
    }

    fn answer(&mut self, command: &Command, now: Timestamp, trace: &mut Trace) -> Result<Reply, Denial> {
        let Some(organization) = command.organization() else {
            let Command::Issue(code) = command else { return Err(Denial::UnknownOrganization) };
            return self.issue(code);
        };
        let Some(owner) = self.owners.get_mut(&organization) else {
            let Command::Open { wallet, .. } = command else { return Err(Denial::UnknownOrganization) };
            self.open(organization, *wallet);
            return Ok(Reply::Opened);
        };
        if owner.frozen {
            return Err(Denial::Frozen);
        }
        owner.twist = self.twist;
        if let Command::Probe(hold) = command {
            return owner.probe(hold, now);
        }
        owner.begin(now);
        owner.expire(trace);
        let reply = self.obey(command, organization, trace)?;
        if let Some(owner) = self.owners.get_mut(&organization) {
            owner.expire(trace);
        }
        Ok(reply)
    }

    fn obey(&mut self, command: &Command, owner: OrganizationId, trace: &mut Trace) -> Result<Reply, Denial> {
        if let Command::Book(booking) = command {
            return self.book(booking, trace);
        }
        let Some(owner) = self.owners.get_mut(&owner) else { return Err(Denial::UnknownOrganization) };
        match command {
            Command::Hold(hold) => owner.hold(hold, trace),
            Command::Extend(extension) => owner.extend(extension, trace),
            Command::Settle { request, rows, .. } => owner.settle(*request, rows, trace).map(Reply::Settled),
            Command::Sweep { warn_seconds, stale_before, .. } => {
                owner.sweep(*warn_seconds, stale_before.micros(), trace).map(Reply::Swept)
            }
            Command::Open { .. } => Err(Denial::Duplicate),
            Command::Probe(hold) => owner.probe(hold, Timestamp::from_micros(owner.now)),
            Command::Book(_) | Command::Issue(_) => Err(Denial::UnknownOrganization),
        }
    }

    fn open(&mut self, organization: OrganizationId, wallet: WalletId) {
        self.wallet_ids.insert(wallet);
        self.owners.insert(organization, Owner::new(organization, wallet, Purpose::default()));
    }

    fn issue(&mut self, code: &PromoCode) -> Result<Reply, Denial> {
        let proper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-';
        let strange = |model: &str| model.trim().is_empty() || model.len() > 128;
        let wrong = [
            ("code", code.code.len() < 4 || code.code.len() > 64 || !code.code.chars().all(proper)),
            ("amount", code.amount.nano() <= 0),
            ("uses", code.uses_max == 0),
            ("credit_days", code.credit_seconds.is_some_and(|seconds| seconds < 1)),
            ("models", code.models.len() > 100 || code.models.iter().any(|model| strange(model))),
        ];
        if let Some((field, _)) = wrong.iter().find(|(_, wrong)| *wrong) {
            return Err(Denial::Invalid { field });
        }
        let Some(known) = self.promos.get(&code.code) else {
            let fresh = PromoCode { uses: 0, ..code.clone() };
            self.promos.insert(code.code.clone(), fresh.clone());
            return Ok(Reply::Issued(fresh));
        };
        let same_terms = known.amount == code.amount
            && known.expires_at == code.expires_at
            && known.uses_max == code.uses_max
            && known.credit_seconds == code.credit_seconds
            && known.models == code.models;
        if same_terms { Ok(Reply::Issued(known.clone())) } else { Err(Denial::Duplicate) }
    }
}

/// An amount of 64 bits, or the refusal of a sum that does not fit.
fn money(amount: i128) -> Result<Money, Denial> {
    i64::try_from(amount).map(Money::from_nano).map_err(|_| Denial::Overflow)
}

/// An amount that was found to fit before; what it is a part of would have been refused otherwise.
fn fitted(amount: i128) -> Money {
    Money::from_nano(i64::try_from(amount).unwrap_or(i64::MAX))
}

fn nano(amount: Money) -> i128 {
    i128::from(amount.nano())
}

fn invalid(field: &'static str) -> Denial {
    Denial::Invalid { field }
}

fn sum(draws: &[Draw]) -> i128 {
    draws.iter().map(|draw| nano(draw.amount)).sum()
}
