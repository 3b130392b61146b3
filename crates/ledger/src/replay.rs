//! Replaying an organization's journal: what the tables must say, from the entries alone.

use std::collections::BTreeMap;

use domain::{LotId, Money, Timestamp, WalletId};

use crate::{Account, Breach, Entry, EntryKind, Invariant};

/// One lot as the journal tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplayedLot {
    /// The amount put in.
    pub granted: Money,
    /// What settlements and debt took.
    pub used: Money,
    /// What ran out of time.
    pub expired: Money,
    /// What was taken out again.
    pub withdrawn: Money,
    /// The wallet it lies in; `None` before anything was put in.
    pub wallet: Option<WalletId>,
}

impl ReplayedLot {
    /// What is left; `None` when more was taken than put in, or less than nothing.
    pub fn remaining(&self) -> Option<Money> {
        let rest = self.granted.checked_sub(self.used)?.checked_sub(self.expired)?;
        let rest = rest.checked_sub(self.withdrawn)?;
        let negative = [rest, self.used, self.expired, self.withdrawn].iter().any(|part| part.is_negative());
        (!negative).then_some(rest)
    }
}

/// An organization's books as their journal tells them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Every lot there ever was.
    pub lots: BTreeMap<LotId, ReplayedLot>,
    /// What is owed, by wallet; only wallets that ever owed.
    pub debts: BTreeMap<WalletId, Money>,
    /// What remains in all wallets less what they owe.
    pub net: Money,
    /// What calls earned, less what was given back; the largest amount when no amount can say it.
    pub revenue: Money,
    /// The number of the last entry.
    pub sequence: u64,
    /// The hash of the last entry.
    pub head: [u8; 32],
    /// The charge of every ended hold, by request.
    pub charges: BTreeMap<[u8; 16], Money>,
    /// What was given back of charges, by request.
    pub refunds: BTreeMap<[u8; 16], Money>,
}

/// Replays one organization's entries in order.
///
/// # Errors
/// The first broken promise: I1, I2, I4, I5, I6 or I10.
pub fn replay(entries: impl IntoIterator<Item = Entry>) -> Result<Replayed, Breach> {
    let mut replayed = Replayed::default();
    let mut last_at = Timestamp::from_micros(i64::MIN);
    for entry in entries {
        entry.check((replayed.sequence, &replayed.head, replayed.net))?;
        let breach = |invariant, detail: &str| Breach {
            invariant,
            organization: entry.organization,
            detail: format!("entry {}: {detail}", entry.sequence),
        };
        if entry.at < last_at {
            return Err(breach(Invariant::ChainIntact, "is earlier than the one before"));
        }
        last_at = entry.at;
        replayed.book(&entry).ok_or_else(|| breach(Invariant::LotArithmetic, "amounts do not fit"))?;
        match entry.kind {
            EntryKind::Settle => {
                let charge = entry.amount_on(Account::Revenue).and_then(Money::checked_neg);
                let charge = charge.ok_or_else(|| breach(Invariant::ChargeIsCost, "charge does not fit"))?;
                if replayed.charges.insert(entry.reference, charge).is_some() {
                    return Err(breach(Invariant::OneEndPerHold, "settles a request for the second time"));
                }
            }
            EntryKind::Refund => {
                let charged = replayed.charges.get(&entry.reference).copied().unwrap_or_default();
                let refunded = replayed.refunds.entry(entry.reference).or_default();
                let back = entry.amount_on(Account::Revenue).and_then(|back| refunded.checked_add(back));
                *refunded = back
                    .filter(|back| *back <= charged)
                    .ok_or_else(|| breach(Invariant::ChargeIsCost, "gives back more than was charged"))?;
            }
            EntryKind::Grant
            | EntryKind::Expire
            | EntryKind::PayDebt
            | EntryKind::TopUp
            | EntryKind::Redeem
            | EntryKind::Transfer
            | EntryKind::PayOut
            | EntryKind::Adjust => {}
        }
    }
    Ok(replayed)
}

impl Replayed {
    /// What remains in the lots of each wallet; `None` when it does not fit.
    pub fn balances(&self) -> Option<BTreeMap<WalletId, Money>> {
        let mut balances: BTreeMap<WalletId, Money> = BTreeMap::new();
        for lot in self.lots.values() {
            let balance = balances.entry(lot.wallet?).or_default();
            *balance = balance.checked_add(lot.remaining()?)?;
        }
        Some(balances)
    }

    /// Books one entry; `None` when an amount does not fit or a lot is overdrawn.
    fn book(&mut self, entry: &Entry) -> Option<()> {
        for leg in &entry.legs {
            match leg.account {
                Account::Lot(id) => self.book_lot(entry, id, leg.amount)?,
                Account::Receivable => {
                    let debt = self.debts.entry(entry.wallet).or_default();
                    *debt = debt.checked_add(leg.amount).filter(|debt| !debt.is_negative())?;
                }
                // A figure of a whole life, on which no promise rests: that it does not fit breaks none.
                Account::Revenue => {
                    self.revenue = self.revenue.checked_sub(leg.amount).unwrap_or(Money::MAX);
                }
                Account::Cash | Account::PromoExpense | Account::Breakage | Account::Correction => {}
            }
        }
        (self.sequence, self.head, self.net) = (entry.sequence, entry.hash, entry.balance);
        Some(())
    }

    /// Below zero a lot is made, in the entry's wallet; above zero something is taken out of it.
    fn book_lot(&mut self, entry: &Entry, id: LotId, amount: Money) -> Option<()> {
        let lot = self.lots.entry(id).or_default();
        if amount.is_negative() {
            if lot.wallet.is_some() {
                return None;
            }
            (lot.granted, lot.wallet) = (amount.checked_neg()?, Some(entry.wallet));
            return Some(());
        }
        let column = match entry.kind {
            EntryKind::Settle | EntryKind::PayDebt => &mut lot.used,
            EntryKind::Expire => &mut lot.expired,
            EntryKind::Transfer | EntryKind::PayOut | EntryKind::Adjust => &mut lot.withdrawn,
            EntryKind::Grant | EntryKind::TopUp | EntryKind::Redeem | EntryKind::Refund => return None,
        };
        *column = column.checked_add(amount)?;
        lot.remaining().map(|_| ())
    }
}
