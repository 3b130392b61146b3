//! What must hold after every command, by name. Checked in production: a breach freezes the wallet.

use std::fmt;

use domain::{Money, WalletId};

use crate::{Entry, Wallet};

/// The ledger's promises. Numbers are those of the design's list (I1 to I14).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// I1: the legs of an entry sum to zero.
    EntryBalances,
    /// I2: granted = remaining + used + expired, none of them negative.
    LotArithmetic,
    /// I3: the balance is the sum of what remains in the lots.
    BalanceIsLots,
    /// I3: held is the sum of the live holds.
    HeldIsHolds,
    /// I3: held is neither negative nor above the balance.
    HeldWithinBalance,
    /// I5: every hold has exactly one end.
    OneEndPerHold,
    /// I6: a charge is the exact cost rounded up once, and is what lots and debt paid.
    ChargeIsCost,
    /// I8: free credit never stands beside debt.
    NoDebtBesideCredit,
    /// I8: free credit never stands beside what has expired.
    NoGraceBesideCredit,
    /// I10: numbers have no gap, times only rise, and each hash continues the one before.
    ChainIntact,
    /// I11: replaying the journal gives the tables.
    ReplayMatches,
}

/// A broken promise, with what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// Which promise.
    pub invariant: Invariant,
    /// Where.
    pub wallet: WalletId,
    /// What was found.
    pub detail: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} broken in {}: {}", self.invariant, self.wallet, self.detail)
    }
}

impl Wallet {
    /// Every promise that can be checked on the wallet alone. The holds are summed only when `whole`, because a busy
    /// wallet has many and the check runs after every command.
    ///
    /// # Errors
    /// The first broken promise.
    pub fn check(&self, whole: bool) -> Result<(), Breach> {
        let breach = |invariant, detail: String| Err(Breach { invariant, wallet: self.id, detail });
        for lot in &self.lots {
            let parts = [lot.remaining, lot.used, lot.expired];
            if parts.iter().any(|part| part.is_negative()) || Money::sum(parts) != Some(lot.granted) {
                return breach(Invariant::LotArithmetic, format!("{lot:?}"));
            }
        }
        let remaining = Money::sum(self.lots.iter().map(|lot| lot.remaining));
        if remaining != Some(self.balance) {
            return breach(Invariant::BalanceIsLots, format!("lots {remaining:?}, balance {}", self.balance));
        }
        if self.held.is_negative() || self.held > self.balance {
            return breach(
                Invariant::HeldWithinBalance,
                format!("held {}, balance {}", self.held, self.balance),
            );
        }
        if self.debt.is_negative() || (!self.debt.is_zero() && !self.available().is_zero()) {
            return breach(
                Invariant::NoDebtBesideCredit,
                format!("debt {}, free {}", self.debt, self.available()),
            );
        }
        if !self.available().is_zero() && self.lots.iter().any(|lot| lot.is_due(self.last_at)) {
            return breach(Invariant::NoGraceBesideCredit, format!("free {}", self.available()));
        }
        if whole {
            let held = Money::sum(self.holds.values().map(|hold| hold.amount));
            if held != Some(self.held) {
                return breach(Invariant::HeldIsHolds, format!("holds {held:?}, held {}", self.held));
            }
        }
        Ok(())
    }
}

impl Entry {
    /// The promises of one entry that follows `previous` (number and hash, zeros before the first).
    ///
    /// # Errors
    /// The first broken promise.
    pub fn check(&self, previous: (u64, &[u8; 32])) -> Result<(), Breach> {
        let breach = |invariant, detail: String| Err(Breach { invariant, wallet: self.wallet, detail });
        if !self.is_balanced() {
            return breach(Invariant::EntryBalances, format!("entry {}: {:?}", self.sequence, self.legs));
        }
        if Some(self.sequence) != previous.0.checked_add(1) {
            return breach(Invariant::ChainIntact, format!("entry {} after {}", self.sequence, previous.0));
        }
        if self.hash != self.compute_hash(previous.1) {
            return breach(Invariant::ChainIntact, format!("entry {} has another hash", self.sequence));
        }
        Ok(())
    }
}
