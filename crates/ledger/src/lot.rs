//! A lot: one grant inside a wallet, drawn down by settlements.

use domain::{LotId, Money, Timestamp, WalletId};
use serde::{Deserialize, Serialize};

/// Where a lot's money came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LotKind {
    /// Given: burns before anything that was paid for, and stays where it was put.
    Promo,
    /// Bought. The only kind that can be paid back.
    Prepaid,
    /// Given back for a charge.
    Refund,
    /// A correction by an operator.
    Adjustment,
}

impl LotKind {
    /// Promotional credit burns before credit that was paid for (3.5).
    const fn burn_class(self) -> u8 {
        match self {
            Self::Promo => 0,
            Self::Prepaid | Self::Refund | Self::Adjustment => 1,
        }
    }
}

/// One grant: `granted = remaining + used + expired + withdrawn`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lot {
    /// The lot's id.
    pub id: LotId,
    /// The wallet it lies in, for good.
    pub wallet: WalletId,
    /// Where the money came from.
    pub kind: LotKind,
    /// The amount put in.
    pub granted: Money,
    /// What is left, held or free.
    pub remaining: Money,
    /// What settlements and debt took.
    pub used: Money,
    /// What ran out of time.
    pub expired: Money,
    /// What was taken out again: moved to another wallet, paid back, corrected away.
    pub withdrawn: Money,
    /// When it was booked.
    pub created_at: Timestamp,
    /// When it stops being usable; [`Timestamp::MAX`] is never.
    pub expires_at: Timestamp,
    /// Whether its owner was warned that it will expire.
    pub warned: bool,
}

impl Lot {
    /// The waterfall's key: promotional first, then the earliest expiry, then the oldest.
    pub fn burn_order(&self) -> (u8, Timestamp, LotId) {
        (self.kind.burn_class(), self.expires_at, self.id)
    }

    /// Whether the lot's time is over. What live holds still need of it stays as grace until they end.
    pub fn is_due(&self, now: Timestamp) -> bool {
        // Never stays never, even on a clock that shows the last moment there is.
        self.expires_at <= now && self.expires_at != Timestamp::MAX
    }
}
