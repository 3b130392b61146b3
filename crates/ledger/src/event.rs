//! What the owner of the books should hear of, told once and kept with the books.

use domain::{BudgetId, LotId, Money, OrganizationId, RequestId, Timestamp, TopUpId, WalletId};
use serde::{Deserialize, Serialize};

use crate::Subject;

/// Something worth telling, as it was when it happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Whose books.
    pub organization: OrganizationId,
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// Kinds of events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum EventKind {
    /// A budget's consumption has reached a threshold, for the first time in this period.
    BudgetThreshold {
        /// The budget.
        budget: BudgetId,
        /// Which calls it counts.
        subject: Subject,
        /// Whose consumption: a project's id, a user's name, …; empty for the organization.
        value: Box<str>,
        /// When the period began.
        period_start: Timestamp,
        /// The threshold, in percent of the cap.
        percent: u8,
        /// What was spent in the period.
        spent: Money,
        /// The cap on money, if that is what is capped.
        cap: Option<Money>,
    },
    /// Credit will expire soon if it is not used (3.4).
    CreditExpiring {
        /// Where it lies.
        wallet: WalletId,
        /// The lot.
        lot: LotId,
        /// What is left of it.
        remaining: Money,
        /// When it stops being usable.
        expires_at: Timestamp,
    },
    /// A call cost more than was held and more than the wallet had: it owes, and new calls wait for a top-up.
    WentIntoDebt {
        /// The wallet that owes.
        wallet: WalletId,
        /// The call.
        request: RequestId,
        /// What the call left owing.
        owed: Money,
    },
    /// Nobody ended a call, so its hold was settled at its last checkpoint.
    HoldTimedOut {
        /// The call.
        request: RequestId,
        /// What was charged for it.
        charged: Money,
    },
    /// The organization has reached a usage tier. The rules never tell of it: it comes from outside.
    TierReached {
        /// The tier's name.
        tier: Box<str>,
    },
    /// Something about a payment that a person should look at. The rules never tell of it: it comes from outside.
    Payment {
        /// What, as a word: `paid_twice`, `recharge_declined`, `recharge_switched_off`, …
        what: Box<str>,
        /// The top-up it is about.
        topup: Option<TopUpId>,
        /// What about it, as a sentence.
        detail: Box<str>,
    },
}
