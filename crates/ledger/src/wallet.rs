//! A wallet: the balance, what is held of it, and the lots it is made of.

use std::collections::HashMap;

use domain::{Money, OrganizationId, RequestId, Timestamp, WalletId};

use crate::{CostRow, Lot};

/// Money set aside for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The request; also the hold's id.
    pub request: RequestId,
    /// How much is set aside.
    pub amount: Money,
    /// When it was admitted.
    pub created_at: Timestamp,
    /// The row to book if the gateway dies before it settles: consumption as of the last checkpoint.
    pub draft: Box<CostRow>,
}

/// Money of one organization: the sums, the open lots in waterfall order, the live holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wallet {
    /// The wallet's id.
    pub id: WalletId,
    /// The owner.
    pub organization: OrganizationId,
    /// The sum of what remains in the lots.
    pub balance: Money,
    /// The sum of the live holds.
    pub held: Money,
    /// What calls cost beyond what the lots could pay.
    pub debt: Money,
    /// The number of the last journal entry, 0 before the first.
    pub sequence: u64,
    /// The hash of the last journal entry, zeros before the first.
    pub head: [u8; 32],
    /// When the last command was applied. The wallet's own time never runs backwards.
    pub last_at: Timestamp,
    /// Set when an invariant broke: nothing moves until an operator has looked.
    pub frozen: bool,
    /// Lots with something remaining, in waterfall order.
    pub lots: Vec<Lot>,
    /// Live holds.
    pub holds: HashMap<RequestId, Hold>,
}

impl Wallet {
    /// An empty wallet.
    pub fn new(id: WalletId, organization: OrganizationId) -> Self {
        Self {
            id,
            organization,
            balance: Money::ZERO,
            held: Money::ZERO,
            debt: Money::ZERO,
            sequence: 0,
            head: [0; 32],
            last_at: Timestamp::default(),
            frozen: false,
            lots: Vec::new(),
            holds: HashMap::new(),
        }
    }

    /// What a new hold may take: the balance less everything held.
    pub fn available(&self) -> Money {
        // Both are within [0, MAX] and held <= balance (invariant I3), so the difference always fits.
        self.balance.checked_sub(self.held).unwrap_or(Money::ZERO)
    }
}
