//! How often each kind of command, answer, entry, event and fault occurred, so that a generator which goes blind is
//! seen to be blind.

use std::collections::BTreeMap;
use std::fmt;

use ledger::{Act, Command, Denial, EntryKind, EventKind, Measure, PromoFault, Reply};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counted {
    /// A command of a kind.
    Command,
    /// An answer that is not a denial.
    Reply,
    /// A denial.
    Denial,
    /// An entry.
    Entry,
    /// An event.
    Event,
    /// A fault that was delivered.
    Fault,
    /// A situation that a test wants to have seen.
    Seen,
}

/// Counts by kind and name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    counts: BTreeMap<(Counted, &'static str), u64>,
}

impl Tally {
    /// Counts one.
    pub fn add(&mut self, counted: Counted, name: &'static str) {
        self.add_many(counted, name, 1);
    }

    /// Counts several.
    pub fn add_many(&mut self, counted: Counted, name: &'static str, count: u64) {
        let sum = self.counts.entry((counted, name)).or_default();
        *sum = sum.saturating_add(count);
    }

    /// How often something was counted.
    pub fn of(&self, counted: Counted, name: &'static str) -> u64 {
        self.counts.get(&(counted, name)).copied().unwrap_or(0)
    }

    /// How much of one sort was counted in all.
    pub fn all(&self, counted: Counted) -> u64 {
        self.counts.iter().filter(|((of, _), _)| *of == counted).map(|(_, count)| count).sum()
    }

    /// Takes over what another counted.
    pub fn merge(&mut self, other: &Self) {
        for ((counted, name), count) in &other.counts {
            self.add_many(*counted, name, *count);
        }
    }

    /// Those of the vocabulary that were never counted.
    pub fn missing(&self) -> Vec<(Counted, &'static str)> {
        let vocabulary =
            VOCABULARY.iter().flat_map(|(counted, names)| names.iter().map(|name| (*counted, *name)));
        vocabulary.filter(|(counted, name)| self.of(*counted, name) == 0).collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = None;
        for ((counted, name), count) in &self.counts {
            if last.replace(*counted) != Some(*counted) {
                writeln!(f, "{counted:?}")?;
            }
            writeln!(f, "  {count:>12}  {name}")?;
        }
        Ok(())
    }
}

/// Everything that a run of some length must reach.
pub const VOCABULARY: [(Counted, &[&str]); 7] = [
    (
        Counted::Command,
        &[
            "open",
            "hold",
            "probe",
            "extend",
            "settle",
            "sweep",
            "issue",
            "grant",
            "top_up",
            "redeem",
            "open_wallet",
            "transfer",
            "refund",
            "pay_out",
            "adjust",
            "set_budget",
            "remove_budget",
        ],
    ),
    (
        Counted::Reply,
        &[
            "opened",
            "held",
            "would_hold",
            "extended",
            "settled",
            "swept",
            "granted",
            "withdrawn",
            "budget_set",
            "budget_removed",
            "issued",
        ],
    ),
    (
        Counted::Denial,
        &[
            "budget: cost",
            "budget: tokens",
            "budget: steps",
            "pool used up",
            "in debt",
            "insufficient credit",
            "frozen",
            "unknown organization",
            "unknown wallet",
            "unknown to",
            "unknown request",
            "unknown code",
            "unknown budget",
            "duplicate",
            "hold gone",
            "idempotency conflict",
            "promo expired",
            "promo used up",
            "promo redeemed",
            "refund too large",
            "overflow",
            "amount",
            "rows",
            "cost",
            "cost_pico",
            "ceiling",
            "cover",
            "actor",
            "reason",
            "kind",
            "payment",
            "expires_at",
            "name",
            "models",
            "project",
            "overflows",
            "to",
            "caps",
            "thresholds",
            "budget",
            "code",
            "uses",
            "credit_days",
        ],
    ),
    (
        Counted::Entry,
        &[
            "grant", "settle", "expire", "pay debt", "top-up", "redeem", "transfer", "refund", "pay out",
            "adjust",
        ],
    ),
    (Counted::Event, &["budget threshold", "credit expiring", "went into debt", "hold timed out"]),
    (
        Counted::Fault,
        &[
            "duplicate",
            "late",
            "reordered",
            "retry, same body",
            "retry, other body",
            "clock back",
            "clock forward",
            "clock far forward",
            "clock frozen",
            "price changed",
            "cap changed",
            "another pool in the end",
            "over-reported",
            "under-reported",
            "crash",
            "settled at restart",
            "memory dropped",
            "frozen",
            "spoilt",
            "wrong request",
        ],
    ),
    (
        Counted::Seen,
        &[
            "clock at an expiry",
            "expiry in a settlement",
            "grace left",
            "settle after time-out",
            "chain of several",
            "shrunk hold",
            "zero charge",
            "held zero",
            "several lots paid",
            "several wallets paid",
            "debt paid",
            "pool paid all",
            "pool straddled",
            "pool empty, money paid",
            "counted on less than the ceiling",
            "found less than counted on",
            "strict taken",
            "strict used up",
            "strict given back",
            "grants short, prepaid there",
            "no need, in debt",
            "left a pool, held enough",
        ],
    ),
];

/// What a command is called.
pub const fn command_name(command: &Command) -> &'static str {
    match command {
        Command::Open { .. } => "open",
        Command::Hold(_) => "hold",
        Command::Probe(_) => "probe",
        Command::Extend(_) => "extend",
        Command::Settle { .. } => "settle",
        Command::Sweep { .. } => "sweep",
        Command::Issue(_) => "issue",
        Command::Book(booking) => act_name(&booking.act),
    }
}

const fn act_name(act: &Act) -> &'static str {
    match act {
        Act::Grant(_) => "grant",
        Act::TopUp { .. } => "top_up",
        Act::Redeem { .. } => "redeem",
        Act::OpenWallet { .. } => "open_wallet",
        Act::Transfer { .. } => "transfer",
        Act::Refund { .. } => "refund",
        Act::PayOut { .. } => "pay_out",
        Act::Adjust { .. } => "adjust",
        Act::SetBudget(_) => "set_budget",
        Act::RemoveBudget(_) => "remove_budget",
    }
}

/// What an answer is called.
pub const fn reply_name(reply: &Reply) -> &'static str {
    match reply {
        Reply::Opened => "opened",
        Reply::Held(_) => "held",
        Reply::WouldHold(_) => "would_hold",
        Reply::Extended(_) => "extended",
        Reply::Settled(_) => "settled",
        Reply::Swept(_) => "swept",
        Reply::Granted(_) => "granted",
        Reply::Withdrawn(_) => "withdrawn",
        Reply::BudgetSet(_) => "budget_set",
        Reply::BudgetRemoved => "budget_removed",
        Reply::Issued(_) => "issued",
    }
}

/// What a denial is called.
pub fn denial_name(denial: &Denial) -> &'static str {
    match denial {
        Denial::BudgetExceeded(bound) => match bound.measure {
            Measure::Cost => "budget: cost",
            Measure::Tokens => "budget: tokens",
            Measure::Steps => "budget: steps",
        },
        Denial::PoolUsedUp { .. } => "pool used up",
        Denial::InDebt { .. } => "in debt",
        Denial::InsufficientCredit { .. } => "insufficient credit",
        Denial::Frozen => "frozen",
        Denial::UnknownOrganization => "unknown organization",
        Denial::Unknown { field } => match *field {
            "wallet" => "unknown wallet",
            "to" => "unknown to",
            "request" => "unknown request",
            "code" => "unknown code",
            "budget" => "unknown budget",
            _ => "unknown, of what nobody expects",
        },
        Denial::Duplicate => "duplicate",
        Denial::HoldGone => "hold gone",
        Denial::IdempotencyConflict => "idempotency conflict",
        Denial::PromoSpent(PromoFault::Expired) => "promo expired",
        Denial::PromoSpent(PromoFault::UsedUp) => "promo used up",
        Denial::PromoSpent(PromoFault::Redeemed) => "promo redeemed",
        Denial::RefundTooLarge { .. } => "refund too large",
        Denial::Invalid { field: "overflow" } => "overflows",
        Denial::Invalid { field } => field,
        Denial::Overflow => "overflow",
    }
}

/// What an entry is called.
pub const fn entry_name(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::Grant => "grant",
        EntryKind::Settle => "settle",
        EntryKind::Expire => "expire",
        EntryKind::PayDebt => "pay debt",
        EntryKind::TopUp => "top-up",
        EntryKind::Redeem => "redeem",
        EntryKind::Transfer => "transfer",
        EntryKind::Refund => "refund",
        EntryKind::PayOut => "pay out",
        EntryKind::Adjust => "adjust",
    }
}

/// What an event is called.
pub const fn event_name(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::BudgetThreshold { .. } => "budget threshold",
        EventKind::CreditExpiring { .. } => "credit expiring",
        EventKind::WentIntoDebt { .. } => "went into debt",
        EventKind::HoldTimedOut { .. } => "hold timed out",
        EventKind::TierReached { .. } => "tier reached",
        EventKind::Payment { .. } => "payment",
    }
}
