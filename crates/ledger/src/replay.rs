//! Replaying a wallet's journal: what the tables must say, from the entries alone.

use std::collections::BTreeMap;

use domain::{LotId, Money, Timestamp};

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
}

impl ReplayedLot {
    /// What is left; `None` when more was taken than put in, or less than nothing.
    pub fn remaining(&self) -> Option<Money> {
        let rest = self.granted.checked_sub(self.used)?.checked_sub(self.expired)?;
        let negative = [rest, self.used, self.expired].iter().any(|part| part.is_negative());
        (!negative).then_some(rest)
    }
}

/// A wallet as its journal tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Every lot there ever was.
    pub lots: BTreeMap<LotId, ReplayedLot>,
    /// What remains in the lots.
    pub balance: Money,
    /// What is owed.
    pub debt: Money,
    /// What calls earned, less what was given back; the largest amount when no amount can say it.
    pub revenue: Money,
    /// The number of the last entry.
    pub sequence: u64,
    /// The hash of the last entry.
    pub head: [u8; 32],
    /// The charge of every ended hold, by request.
    pub charges: BTreeMap<[u8; 16], Money>,
}

/// Replays one wallet's entries in order.
///
/// # Errors
/// The first broken promise: I1, I2, I5 or I10.
pub fn replay(entries: impl IntoIterator<Item = Entry>) -> Result<Replayed, Breach> {
    let mut replayed = Replayed::default();
    let mut last_at = Timestamp::from_micros(i64::MIN);
    for entry in entries {
        entry.check((replayed.sequence, &replayed.head))?;
        let breach = |invariant, detail: &str| Breach {
            invariant,
            wallet: entry.wallet,
            detail: format!("entry {}: {detail}", entry.sequence),
        };
        if entry.at < last_at {
            return Err(breach(Invariant::ChainIntact, "is earlier than the one before"));
        }
        last_at = entry.at;
        replayed.book(&entry).ok_or_else(|| breach(Invariant::LotArithmetic, "amounts do not fit"))?;
        if entry.kind == EntryKind::Settle {
            let charge = entry.amount_on(Account::Revenue).and_then(Money::checked_neg);
            let charge = charge.ok_or_else(|| breach(Invariant::ChargeIsCost, "charge does not fit"))?;
            if replayed.charges.insert(entry.reference, charge).is_some() {
                return Err(breach(Invariant::OneEndPerHold, "settles a request for the second time"));
            }
        }
    }
    Ok(replayed)
}

impl Replayed {
    /// Books one entry; `None` when an amount does not fit or a lot is overdrawn.
    fn book(&mut self, entry: &Entry) -> Option<()> {
        for leg in &entry.legs {
            match leg.account {
                Account::Lot(id) => {
                    let lot = self.lots.entry(id).or_default();
                    if entry.kind == EntryKind::Grant {
                        lot.granted = lot.granted.checked_sub(leg.amount)?;
                    } else if entry.kind == EntryKind::Expire {
                        lot.expired = lot.expired.checked_add(leg.amount)?;
                    } else {
                        lot.used = lot.used.checked_add(leg.amount)?;
                    }
                    lot.remaining()?;
                    self.balance = self.balance.checked_sub(leg.amount)?;
                }
                Account::Receivable => self.debt = self.debt.checked_add(leg.amount)?,
                // A figure of a whole life, on which no promise rests: that it does not fit breaks none.
                Account::Revenue => {
                    self.revenue = self.revenue.checked_sub(leg.amount).unwrap_or(Money::MAX);
                }
                Account::Cash | Account::PromoExpense | Account::Breakage => {}
            }
        }
        (self.sequence, self.head) = (entry.sequence, entry.hash);
        Some(())
    }
}
