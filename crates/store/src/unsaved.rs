//! What a transaction has yet to write: sums that many commands of a batch change are written once, as they stand at
//! its end.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::{LotId, OrganizationId, WalletId};
use ledger::{Books, Changes, Lot, PoolKey, UseKey};

use crate::StoreError;
use crate::statements::Statements;

/// Rows that are written at the end of the transaction. Ordered, so that the same batch writes the same way.
#[derive(Default)]
pub(crate) struct Unsaved {
    wallets: BTreeSet<(OrganizationId, WalletId)>,
    uses: BTreeSet<(OrganizationId, UseKey)>,
    pools: BTreeSet<(OrganizationId, PoolKey)>,
    lots: BTreeMap<(OrganizationId, LotId), Lot>,
}

/// What could not be written, and whose it is.
pub(crate) struct Unwritten {
    pub(crate) owner: OrganizationId,
    pub(crate) error: StoreError,
}

impl From<Unwritten> for StoreError {
    fn from(unwritten: Unwritten) -> Self {
        unwritten.error
    }
}

impl Unsaved {
    /// Writes what a command changed, but for the sums, which wait. Leaves `changes` empty.
    pub(crate) fn take(
        &mut self,
        statements: &mut Statements<'_>,
        books: &Books,
        changes: &mut Changes,
    ) -> Result<(), StoreError> {
        let organization = books.organization;
        for request in changes.holds.drain(..) {
            let hold = books.holds.get(&request).ok_or(StoreError::Unreadable("changed hold"))?;
            statements.save_hold(organization, hold)?;
        }
        for request in changes.holds_ended.drain(..) {
            statements.delete_hold(organization, request)?;
        }
        for entry in changes.entries.drain(..) {
            statements.append_entry(&entry)?;
        }
        for (entry, row) in changes.rows.drain(..) {
            statements.append_row(&row, entry)?;
        }
        for id in changes.budgets.drain(..) {
            let budget = books.budgets.iter().find(|budget| budget.id == id);
            statements.save_budget(organization, id, budget)?;
            if budget.is_none() {
                self.uses.retain(|(owner, key)| (*owner, key.budget) != (organization, id));
            }
        }
        for event in changes.events.drain(..) {
            statements.append_event(&event)?;
        }
        if let Some(promo) = changes.promo.take() {
            statements.save_promo(&promo)?;
            statements.save_redemption(organization, &promo.code)?;
        }
        self.wallets.extend(changes.wallets.drain(..).map(|id| (organization, id)));
        self.uses.extend(changes.uses.drain(..).map(|key| (organization, key)));
        self.pools.extend(changes.pools.drain(..).map(|key| (organization, key)));
        self.lots.extend(changes.lots.drain(..).map(|lot| ((organization, lot.id), lot)));
        Ok(())
    }

    /// Writes the sums as the books show them.
    pub(crate) fn flush(
        &mut self,
        statements: &mut Statements<'_>,
        all: &HashMap<OrganizationId, Books>,
    ) -> Result<(), Unwritten> {
        self.flush_made(statements, all)?;
        for (owner, key) in std::mem::take(&mut self.uses) {
            let used = all.get(&owner).and_then(|books| books.uses.get(&key)).copied().unwrap_or_default();
            statements.save_use(owner, &key, &used).map_err(|error| Unwritten { owner, error })?;
        }
        for (owner, key) in std::mem::take(&mut self.pools) {
            let used = all.get(&owner).and_then(|books| books.pools.get(&key)).copied().unwrap_or_default();
            statements.save_pool(owner, &key, used).map_err(|error| Unwritten { owner, error })?;
        }
        Ok(())
    }

    /// Writes wallets and lots alone, so that what was made can be found.
    pub(crate) fn flush_made(
        &mut self,
        statements: &mut Statements<'_>,
        all: &HashMap<OrganizationId, Books>,
    ) -> Result<(), Unwritten> {
        for (owner, id) in std::mem::take(&mut self.wallets) {
            let found = all.get(&owner).and_then(|books| Some((books, books.wallet(id)?)));
            found
                .ok_or(StoreError::Unreadable("changed wallet"))
                .and_then(|(books, wallet)| statements.save_wallet(books, wallet))
                .map_err(|error| Unwritten { owner, error })?;
        }
        for ((owner, _), lot) in std::mem::take(&mut self.lots) {
            statements.save_lot(owner, &lot).map_err(|error| Unwritten { owner, error })?;
        }
        Ok(())
    }

    pub(crate) fn clear(&mut self) {
        self.wallets.clear();
        self.uses.clear();
        self.pools.clear();
        self.lots.clear();
    }
}
