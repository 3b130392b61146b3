//! What can be asked of the ledger, and what it answers.

use std::sync::Arc;

use domain::{
    AccessClass, BudgetId, LotId, Money, OrganizationId, RequestId, ServiceTier, Timestamp, Usage, WalletId,
};
use serde::{Deserialize, Serialize};

use crate::{Budget, BudgetBound, CostRow, Cover, Draw, Lot, LotKind, Part, PoolKey, PromoCode, Purpose};

/// One request to the ledger. Each touches the books of one organization, and happens whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Makes the books of an organization, with its own wallet.
    Open {
        /// The organization.
        organization: OrganizationId,
        /// Its own wallet, which pays whatever no other one does.
        wallet: WalletId,
    },
    /// Sets money aside before a call.
    Hold(HoldRequest),
    /// Asks what a hold would be answered now, and changes nothing: no money, no stamp, no journal, and credit that is due
    /// stays for the next command to expire. Nothing is promised by the answer.
    Probe(HoldRequest),
    /// Sets aside what a running call lacks, and records how far it has come.
    Extend(Extension),
    /// Ends a hold: charges the sum of the rows, frees the rest.
    Settle {
        /// Whose books.
        organization: OrganizationId,
        /// The hold.
        request: RequestId,
        /// One row for each attempt; their costs are the charge.
        rows: Vec<CostRow>,
    },
    /// Does what has fallen due: credit expires, its owner is warned, holds that nobody ends are ended.
    Sweep {
        /// Whose books.
        organization: OrganizationId,
        /// Credit that expires within this many seconds is warned of.
        warn_seconds: i64,
        /// Holds admitted before this moment are settled at their last checkpoint.
        stale_before: Timestamp,
    },
    /// Moves money on somebody's word, or sets a rule for it.
    Book(Box<Booking>),
    /// Makes a promo code, which belongs to no organization. The same code again is the same code.
    Issue(PromoCode),
}

impl Command {
    /// Whose books this command touches; `None` when it touches none.
    pub const fn organization(&self) -> Option<OrganizationId> {
        match self {
            Self::Open { organization, .. }
            | Self::Settle { organization, .. }
            | Self::Sweep { organization, .. } => Some(*organization),
            Self::Hold(hold) | Self::Probe(hold) => Some(hold.organization),
            Self::Extend(extension) => Some(extension.organization),
            Self::Book(booking) => Some(booking.organization),
            Self::Issue(_) => None,
        }
    }
}

/// A new hold. Which wallets pay follows from the project and the model of its draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldRequest {
    /// Who pays.
    pub organization: OrganizationId,
    /// The request the money is set aside for.
    pub request: RequestId,
    /// How much; zero only for a call that cannot cost anything.
    pub amount: Money,
    /// The least that is of use: if not `amount` but this much can be had, all that can be had is held. Equal to
    /// `amount` when less is no use.
    pub least: Money,
    /// Input and output tokens as estimated, for budgets of tokens.
    pub tokens: u64,
    /// What of the amount the draft's pool may pay for, in the order in which it does: as many of these units as the
    /// pool has left need no money.
    pub ceiling: Vec<Part>,
    /// Whether promotional credit alone may pay.
    pub grants_only: bool,
    /// The row that is booked if the gateway dies before it settles; refused like a settlement's when it does not fit.
    pub draft: Box<CostRow>,
}

/// What a running call needs in all, and how far it has come. The same extension twice holds nothing twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Who pays.
    pub organization: OrganizationId,
    /// The hold.
    pub request: RequestId,
    /// How much is to be held for the whole call, what is held already included; no more than that only moves the
    /// checkpoint.
    pub amount: Money,
    /// The least of it that is of use, as of a hold.
    pub least: Money,
    /// Input and output tokens of the whole call as estimated, as of a hold.
    pub tokens: u64,
    /// Consumption so far, charged if the gateway dies before it settles.
    pub usage: Usage,
    /// The cost of `usage`, in pico-units.
    pub cost_pico: i64,
    /// What of `usage` the draft's pool may pay for.
    pub consumed: Vec<Part>,
    /// What of the amount the draft's pool may pay for, as of a hold: what was counted on before is let go.
    pub ceiling: Vec<Part>,
    /// Whether promotional credit alone may pay.
    pub grants_only: bool,
    /// Where the call goes on, if it does elsewhere or is tried again: from then on the draft is that attempt's.
    pub next: Option<Box<NextAttempt>>,
}

/// What the draft says of a further attempt of its call. The wallets that pay are those for its model and target from
/// then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextAttempt {
    /// Its number: the draft's, or one above it.
    pub attempt: u32,
    /// When it was dispatched.
    pub at: Timestamp,
    /// The model, of those the caller asked for.
    pub model: Arc<str>,
    /// The target, as `provider/upstream model`.
    pub target: Arc<str>,
    /// The provider.
    pub provider: Arc<str>,
    /// The price version that was pinned when the call was held.
    pub price_version: Arc<str>,
    /// The service tier that was asked for there.
    pub service_tier: ServiceTier,
    /// How the access there was come by.
    pub class: AccessClass,
    /// What its usage so far costs at list price, in pico-units.
    pub list_pico: Option<i64>,
    /// The pool that pays there before money does.
    pub cover: Option<Box<Cover>>,
    /// The rows of all other attempts, numbered from 1 to the one below `attempt`, booked as they are if the gateway
    /// dies. They replace those that the hold has: of two attempts that run at once, which one ends first is not known
    /// when the second begins.
    pub earlier: Vec<CostRow>,
}

impl NextAttempt {
    /// Makes a draft the one of this attempt.
    pub(crate) fn write(&self, draft: &mut CostRow) {
        (draft.attempt, draft.at, draft.model) = (self.attempt, self.at, Arc::clone(&self.model));
        (draft.target, draft.provider) = (Arc::clone(&self.target), Arc::clone(&self.provider));
        (draft.price_version, draft.service_tier) = (Arc::clone(&self.price_version), self.service_tier);
        (draft.class, draft.list_pico, draft.cover) = (self.class, self.list_pico, self.cover.clone());
    }
}

/// Something that a person or a payment caused, as opposed to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booking {
    /// Whose books.
    pub organization: OrganizationId,
    /// The caller's key against doing one thing twice.
    pub idempotency: Option<Idempotency>,
    /// Who did it and why; kept with the entry for ever.
    pub note: Note,
    /// What is done.
    pub act: Act,
}

/// Who booked something, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Note {
    /// Who.
    pub actor: Box<str>,
    /// Why; required where somebody's judgement moves money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Box<str>>,
}

/// A caller's own name for a money-moving call: the same name with the same body is the same call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The caller's key, 1 to 255 bytes.
    pub key: String,
    /// A digest of the body that came with it.
    pub digest: [u8; 32],
}

/// What a booking does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Puts credit in that the operator gives or was paid for by other means.
    Grant(Grant),
    /// Puts credit in that a payment provider vouches for. The same payment is booked once, for ever.
    TopUp {
        /// The credit; prepaid.
        grant: Grant,
        /// The payment, as `provider:its id`.
        payment: Box<str>,
    },
    /// Puts credit in for a promo code.
    Redeem {
        /// The code, in its normal form.
        code: Box<str>,
        /// The new lot's id.
        lot: LotId,
        /// The id of the wallet that is made when the code is for some models and no wallet is for just these.
        wallet: WalletId,
    },
    /// Makes a wallet beside the organization's own.
    OpenWallet {
        /// The new wallet.
        wallet: WalletId,
        /// Whose calls it pays for.
        purpose: Purpose,
    },
    /// Moves free credit between two wallets of the organization. Promotional credit stays where it is, and what moves
    /// keeps its kind and its expiry.
    Transfer {
        /// The wallet that gives.
        from: WalletId,
        /// The wallet that receives.
        to: WalletId,
        /// How much; above zero.
        amount: Money,
        /// The id of the first new lot; further ones count up from it.
        lot: LotId,
    },
    /// Gives a call's charge back, or a part of it, as new credit in the wallet that paid.
    Refund {
        /// The call.
        request: RequestId,
        /// How much; all refunds of a call together never exceed its charge.
        amount: Money,
        /// The new lot's id.
        lot: LotId,
        /// When it stops being usable.
        expires_at: Timestamp,
    },
    /// Takes free prepaid credit out, because its owner was paid back.
    PayOut {
        /// The wallet that gives.
        wallet: WalletId,
        /// How much; above zero.
        amount: Money,
        /// The payout's id, for the books.
        payout: LotId,
    },
    /// Puts right what was wrong: above zero adds a lot, below zero takes free credit out in waterfall order.
    Adjust {
        /// The wallet.
        wallet: WalletId,
        /// How much, and in which direction; not zero.
        amount: Money,
        /// The new lot's id, or the id of the correction.
        lot: LotId,
        /// When a new lot stops being usable.
        expires_at: Timestamp,
    },
    /// Makes a budget, or gives the one of this id other caps and thresholds.
    SetBudget(Budget),
    /// Ends a budget.
    RemoveBudget(BudgetId),
}

/// A new lot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The wallet that receives; `None` for the organization's own.
    pub wallet: Option<WalletId>,
    /// The new lot's id.
    pub lot: LotId,
    /// Where the money comes from: promotional or prepaid.
    pub kind: LotKind,
    /// How much; above zero.
    pub amount: Money,
    /// When it stops being usable; [`Timestamp::MAX`] is never.
    pub expires_at: Timestamp,
}

/// What a command brought about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// The books or the wallet exist.
    Opened,
    /// So much the call may cost, durably: what is held, and what its pool pays for.
    Held(Money),
    /// A hold would be given so much now.
    WouldHold(Money),
    /// So much a running call may cost now, durably: what is held, and what its pool pays for.
    Extended(Money),
    /// The hold has ended.
    Settled(Settled),
    /// What was due is done; so many holds were ended.
    Swept(u64),
    /// Credit was added: the lots as booked.
    Granted(Vec<Lot>),
    /// Credit was taken out of these lots.
    Withdrawn(Vec<Draw>),
    /// The budget as it is now.
    BudgetSet(Box<Budget>),
    /// The budget is gone.
    BudgetRemoved,
    /// The promo code as it is now.
    Issued(PromoCode),
}

/// How a charge was paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// The lots that paid, wallet by wallet, in waterfall order.
    pub draws: Vec<Draw>,
    /// What no lot could pay.
    pub debt: Money,
}

impl Settled {
    /// What was charged.
    pub fn charge(&self) -> Money {
        // Both together were one amount before they were split.
        let drawn = Money::sum(self.draws.iter().map(|draw| draw.amount)).unwrap_or(Money::MAX);
        drawn.checked_add(self.debt).unwrap_or(Money::MAX)
    }
}

/// Why the rules said no. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// A budget has no room.
    #[error("the budget {} is exhausted", .0.budget)]
    BudgetExceeded(Box<BudgetBound>),
    /// A wallet that would have to pay owes, and takes no new hold until topped up.
    #[error("the wallet {wallet} owes {debt}")]
    InDebt {
        /// The wallet.
        wallet: WalletId,
        /// What it owes.
        debt: Money,
    },
    /// What is free in the wallets is below the amount.
    #[error("{available} available, {needed} needed")]
    InsufficientCredit {
        /// Balance less everything held, over all wallets that may pay; for a transfer or payout, what may move.
        available: Money,
        /// The amount asked for.
        needed: Money,
    },
    /// A pool that pays for all of an attempt, or for none of it, has no units left.
    #[error("the pool {} is used up", .key.pool)]
    PoolUsedUp {
        /// The pool and its period.
        key: PoolKey,
        /// The units that it has.
        cap: u64,
        /// The units that are used.
        used: u64,
    },
    /// An invariant broke; an operator must look.
    #[error("the books are frozen")]
    Frozen,
    /// No such organization.
    #[error("no such organization")]
    UnknownOrganization,
    /// No such wallet, budget, call or promo code in this organization.
    #[error("no such {field}")]
    Unknown {
        /// What is not there.
        field: &'static str,
    },
    /// The id is taken.
    #[error("this id exists already")]
    Duplicate,
    /// No such hold: it never was, or it was settled.
    #[error("the hold has ended or never was")]
    HoldGone,
    /// The same idempotency key came with another body.
    #[error("this idempotency key was used with another body")]
    IdempotencyConflict,
    /// The promo code is past its expiry, used up, or redeemed by this organization before.
    #[error("the promo code is {0}")]
    PromoSpent(PromoFault),
    /// More would be given back than the call was charged.
    #[error("{charged} charged, {refunded} refunded already")]
    RefundTooLarge {
        /// What the call was charged.
        charged: Money,
        /// What was given back of it before.
        refunded: Money,
    },
    /// An amount is negative, zero where it must not be, or not the ceiling of its exact cost; an expiry has passed;
    /// rows are not one for each attempt of this request, on the account of these books' owner; a reason is missing.
    #[error("invalid {field}")]
    Invalid {
        /// What is wrong.
        field: &'static str,
    },
    /// A sum does not fit.
    #[error("amount out of range")]
    Overflow,
}

/// Why a promo code gives nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromoFault {
    /// Its time is over.
    Expired,
    /// As many organizations as may have redeemed it.
    UsedUp,
    /// This organization has redeemed it.
    Redeemed,
}

impl std::fmt::Display for PromoFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Expired => "past its expiry",
            Self::UsedUp => "used up",
            Self::Redeemed => "redeemed already",
        })
    }
}
