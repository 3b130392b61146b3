//! What can be asked of the ledger, and what it answers.

use domain::{LotId, Money, OrganizationId, RequestId, Timestamp, Usage, WalletId};

use crate::{CostRow, Draw, Lot, LotKind};

/// One request to the ledger. Each touches one wallet, and happens whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Makes an empty wallet.
    Open {
        /// The new wallet.
        wallet: WalletId,
        /// Its owner.
        organization: OrganizationId,
    },
    /// Puts money in.
    Grant(Grant),
    /// Sets money aside before a call.
    Hold(HoldRequest),
    /// Sets more aside for a running call, and records how far it has come.
    Extend {
        /// The wallet of the hold.
        wallet: WalletId,
        /// The hold.
        request: RequestId,
        /// How much more to hold; zero only moves the checkpoint.
        amount: Money,
        /// Consumption so far, charged if the gateway dies before it settles.
        usage: Usage,
        /// The cost of `usage`, in pico-units.
        cost_pico: i64,
    },
    /// Ends a hold: charges the sum of the rows, frees the rest.
    Settle {
        /// The wallet of the hold.
        wallet: WalletId,
        /// The hold.
        request: RequestId,
        /// One row for each attempt; their costs are the charge.
        rows: Vec<CostRow>,
    },
}

impl Command {
    /// The wallet this command touches.
    pub const fn wallet(&self) -> WalletId {
        match self {
            Self::Open { wallet, .. } | Self::Extend { wallet, .. } | Self::Settle { wallet, .. } => *wallet,
            Self::Grant(grant) => grant.wallet,
            Self::Hold(hold) => hold.wallet,
        }
    }
}

/// A new lot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The wallet that receives.
    pub wallet: WalletId,
    /// The new lot's id.
    pub lot: LotId,
    /// Where the money comes from.
    pub kind: LotKind,
    /// How much; above zero.
    pub amount: Money,
    /// When it stops being usable; [`Timestamp::MAX`] is never.
    pub expires_at: Timestamp,
    /// The caller's key against booking one grant twice.
    pub idempotency: Option<Idempotency>,
}

/// A caller's own name for a money-moving call: the same name with the same body is the same call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The caller's key, 1 to 255 bytes.
    pub key: String,
    /// A digest of the body that came with it.
    pub digest: [u8; 32],
}

/// A new hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldRequest {
    /// The wallet that pays.
    pub wallet: WalletId,
    /// The request the money is set aside for.
    pub request: RequestId,
    /// How much; zero only for a call that cannot cost anything.
    pub amount: Money,
    /// The row that is booked if the gateway dies before it settles; refused like a settlement's when it does not fit.
    pub draft: Box<CostRow>,
}

/// What a command brought about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The wallet exists.
    Opened,
    /// The lot as booked, or as it was booked the first time under the same idempotency key.
    Granted(Lot),
    /// The hold is durable.
    Held,
    /// The hold is larger, or its checkpoint newer.
    Extended,
    /// The hold has ended.
    Settled(Settled),
}

/// How a charge was paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The lots that paid, in waterfall order.
    pub draws: Vec<Draw>,
    /// What no lot could pay.
    pub debt: Money,
}

/// Why the rules said no. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// The free balance is below the amount.
    #[error("{available} available, {needed} needed")]
    InsufficientCredit {
        /// Balance less everything held.
        available: Money,
        /// The amount asked for.
        needed: Money,
    },
    /// The wallet owes, and takes no new hold until topped up.
    #[error("the wallet owes {debt}")]
    InDebt {
        /// What it owes.
        debt: Money,
    },
    /// An invariant broke; an operator must look.
    #[error("the wallet is frozen")]
    Frozen,
    /// No such wallet.
    #[error("no such wallet")]
    UnknownWallet,
    /// The id is taken by another wallet, lot or hold.
    #[error("this id exists already")]
    Duplicate,
    /// No such hold: it never was, or it was settled.
    #[error("the hold has ended or never was")]
    HoldGone,
    /// The same idempotency key came with another body.
    #[error("this idempotency key was used with another body")]
    IdempotencyConflict,
    /// An amount is negative, zero where it must not be, or not the ceiling of its exact cost; an expiry has passed; or
    /// rows are not one for each attempt of this request, on the account of the wallet's owner.
    #[error("invalid {field}")]
    Invalid {
        /// What is wrong.
        field: &'static str,
    },
    /// A sum does not fit.
    #[error("amount out of range")]
    Overflow,
}
