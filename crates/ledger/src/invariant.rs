//! What must hold after every command, by name. Checked in production: a breach freezes the books.

use std::fmt;

use std::collections::HashMap;

use domain::{Money, OrganizationId, WalletId};

use crate::{Books, Entry, PoolKey, UseKey, Wallet};

/// The ledger's promises. Numbers are those of the design's list (I1 to I14).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// I1: the legs of an entry sum to zero.
    EntryBalances,
    /// I2: granted = remaining + used + expired + withdrawn, none of them negative.
    LotArithmetic,
    /// I3: the balance is the sum of what remains in the lots.
    BalanceIsLots,
    /// I3: held is the sum of the live holds.
    HeldIsHolds,
    /// I3: held is neither negative nor above the balance.
    HeldWithinBalance,
    /// What budgets reserve is what the live holds that count in them set aside.
    ReservedIsHolds,
    /// What is held of pools is what the live holds count on.
    PooledIsHolds,
    /// What was used of pools is what they paid for and what running calls took.
    PooledIsRows,
    /// I4: what the journal says there is, is what the wallets have and owe.
    NetIsWallets,
    /// I5: every hold has exactly one end.
    OneEndPerHold,
    /// I6: a charge is the exact cost rounded up once, and is what lots and debt paid.
    ChargeIsCost,
    /// I7: lots lie in waterfall order, in the wallet that they name.
    WaterfallOrder,
    /// I8: free credit never stands beside debt.
    NoDebtBesideCredit,
    /// I8: free credit never stands beside what has expired. Looked at after a command: books that were just loaded have
    /// seen no time.
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
    /// Whose books.
    pub organization: OrganizationId,
    /// What was found.
    pub detail: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} broken in the books of {}: {}", self.invariant, self.organization, self.detail)
    }
}

impl Books {
    /// Every promise that can be checked on the books alone.
    ///
    /// # Errors
    /// The first broken promise.
    pub fn check(&self) -> Result<(), Breach> {
        let ids: Vec<WalletId> = self.wallets.iter().map(|wallet| wallet.id).collect();
        self.check_wallets(&ids)?;
        self.check_holds()?;
        self.check_pools()?;
        self.check_net()
    }

    /// The promises of some wallets. Cheap: it runs after every command.
    ///
    /// # Errors
    /// The first broken promise.
    pub fn check_wallets(&self, ids: &[WalletId]) -> Result<(), Breach> {
        for wallet in self.wallets.iter().filter(|wallet| ids.contains(&wallet.id)) {
            let breach = |(invariant, detail): (Invariant, String)| {
                self.breach(invariant, format!("{}: {detail}", wallet.id))
            };
            self.check_wallet(wallet).map_err(breach)?;
        }
        Ok(())
    }

    fn breach(&self, invariant: Invariant, detail: String) -> Breach {
        Breach { invariant, organization: self.organization, detail }
    }

    fn check_wallet(&self, wallet: &Wallet) -> Result<(), (Invariant, String)> {
        for lot in &wallet.lots {
            let parts = [lot.remaining, lot.used, lot.expired, lot.withdrawn];
            if parts.iter().any(|part| part.is_negative()) || Money::sum(parts) != Some(lot.granted) {
                return Err((Invariant::LotArithmetic, format!("{lot:?}")));
            }
        }
        if !wallet.lots.is_sorted_by_key(|lot| lot.burn_order())
            || wallet.lots.iter().any(|lot| lot.wallet != wallet.id)
        {
            return Err((Invariant::WaterfallOrder, format!("{:?}", wallet.lots)));
        }
        let remaining = Money::sum(wallet.lots.iter().map(|lot| lot.remaining));
        if remaining != Some(wallet.balance) {
            let detail = format!("lots {remaining:?}, balance {}", wallet.balance);
            return Err((Invariant::BalanceIsLots, detail));
        }
        if wallet.held.is_negative() || wallet.held > wallet.balance {
            let detail = format!("held {}, balance {}", wallet.held, wallet.balance);
            return Err((Invariant::HeldWithinBalance, detail));
        }
        let free = wallet.available();
        if wallet.debt.is_negative() || (!wallet.debt.is_zero() && !free.is_zero()) {
            return Err((Invariant::NoDebtBesideCredit, format!("debt {}, free {free}", wallet.debt)));
        }
        if !free.is_zero() && wallet.lots.iter().any(|lot| lot.is_due(self.seen_at)) {
            return Err((Invariant::NoGraceBesideCredit, format!("free {free}")));
        }
        Ok(())
    }

    /// What is held is what the holds say, in every wallet and every budget.
    fn check_holds(&self) -> Result<(), Breach> {
        let mut held: HashMap<WalletId, Money> = HashMap::new();
        let mut reserved: HashMap<&UseKey, (Money, u64)> = HashMap::new();
        let sum = |total: Money, part: Money| total.checked_add(part).unwrap_or(Money::MAX);
        for hold in self.holds.values() {
            if Money::sum(hold.shares.iter().map(|share| share.amount)) != Some(hold.amount) {
                return Err(
                    self.breach(Invariant::HeldIsHolds, format!("{}: {:?}", hold.request, hold.shares))
                );
            }
            for share in &hold.shares {
                let total = held.entry(share.wallet).or_default();
                *total = sum(*total, share.amount);
            }
            for key in &hold.uses {
                let (total, tokens) = reserved.entry(key).or_default();
                (*total, *tokens) = (sum(*total, hold.amount), tokens.saturating_add(hold.tokens));
            }
        }
        for wallet in &self.wallets {
            let expected = held.remove(&wallet.id).unwrap_or_default();
            if expected != wallet.held {
                let detail = format!("{}: holds {expected}, held {}", wallet.id, wallet.held);
                return Err(self.breach(Invariant::HeldIsHolds, detail));
            }
        }
        if let Some(wallet) = held.keys().next() {
            return Err(self.breach(Invariant::HeldIsHolds, format!("{wallet} is no wallet here")));
        }
        for (key, used) in &self.uses {
            let expected = reserved.remove(key).unwrap_or_default();
            if expected != (used.held, used.tokens_held) {
                let (held, tokens) = (used.held, used.tokens_held);
                let detail = format!("{key:?}: holds {expected:?}, reserved {held} and {tokens} tokens");
                return Err(self.breach(Invariant::ReservedIsHolds, detail));
            }
        }
        if let Some((key, lost)) = reserved.iter().find(|(_, taken)| **taken != Default::default()) {
            let detail = format!("{key:?}: holds {lost:?}, nothing reserved");
            return Err(self.breach(Invariant::ReservedIsHolds, detail));
        }
        Ok(())
    }

    /// What is held of pools is what the holds count on.
    fn check_pools(&self) -> Result<(), Breach> {
        let mut counted_on: HashMap<&PoolKey, u64> = HashMap::new();
        for hold in self.holds.values() {
            if let Some(key) = hold.counts_on().filter(|_| hold.units > 0) {
                let units = counted_on.entry(key).or_default();
                *units = units.saturating_add(hold.units);
            }
        }
        for (key, pool) in &self.pools {
            let expected = counted_on.remove(key).unwrap_or_default();
            if expected != pool.held {
                let detail = format!("{key:?}: holds {expected}, held {}", pool.held);
                return Err(self.breach(Invariant::PooledIsHolds, detail));
            }
        }
        if let Some((key, lost)) = counted_on.iter().next() {
            return Err(self.breach(Invariant::PooledIsHolds, format!("{key:?}: holds {lost}, nothing held")));
        }
        Ok(())
    }

    pub(crate) fn check_net(&self) -> Result<(), Breach> {
        // In wider numbers: a part of the sum may be larger than any amount, though the whole is not.
        let nano = |amount: Money| i128::from(amount.nano());
        let has = |wallet: &Wallet| nano(wallet.balance).saturating_sub(nano(wallet.debt));
        let net = self.wallets.iter().fold(0_i128, |sum, wallet| sum.saturating_add(has(wallet)));
        if net == nano(self.net) {
            return Ok(());
        }
        Err(self.breach(Invariant::NetIsWallets, format!("wallets {net}, journal {}", nano(self.net))))
    }
}

impl Entry {
    /// The promises of one entry that follows `previous` (number, hash and balance; zeros before the first).
    ///
    /// # Errors
    /// The first broken promise.
    pub fn check(&self, previous: (u64, &[u8; 32], Money)) -> Result<(), Breach> {
        let breach =
            |invariant, detail: String| Err(Breach { invariant, organization: self.organization, detail });
        if !self.is_balanced() {
            return breach(Invariant::EntryBalances, format!("entry {}: {:?}", self.sequence, self.legs));
        }
        if Some(self.sequence) != previous.0.checked_add(1) {
            return breach(Invariant::ChainIntact, format!("entry {} after {}", self.sequence, previous.0));
        }
        if self.net_change().and_then(|change| previous.2.checked_add(change)) != Some(self.balance) {
            return breach(Invariant::NetIsWallets, format!("entry {} has another balance", self.sequence));
        }
        if self.hash != self.compute_hash(previous.1) {
            return breach(Invariant::ChainIntact, format!("entry {} has another hash", self.sequence));
        }
        Ok(())
    }
}
