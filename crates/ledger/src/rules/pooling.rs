//! Pools, inside the money rules: what holds count on, what attempts take, what settlements pay for.

use std::collections::BTreeMap;

use domain::{Money, Pico};

use super::Clerk;
use crate::pool::{units_of, worth, worth_in_money};
use crate::{CostRow, Cover, Denial, Hold, Part, PoolKey, PoolUse};

/// What a call needs in money, beside what its pool will pay for.
pub(super) struct Covered {
    /// Units of the pool to count on.
    pub(super) units: u64,
    /// What they would have cost.
    pub(super) worth: Money,
    /// The least that must be held.
    pub(super) need: Money,
}

/// Units of strict pools by key, each with its cap.
type Takings = BTreeMap<PoolKey, (u64, u64)>;

/// What these rows take of strict pools.
fn takings<'a>(rows: impl IntoIterator<Item = &'a CostRow>) -> Takings {
    let mut takings = Takings::new();
    for cover in rows.into_iter().filter_map(|row| row.cover.as_deref()).filter(|cover| cover.strict) {
        let (units, cap) = takings.entry(cover.key.clone()).or_default();
        // A row that is booked has no parts any more.
        *units = units.saturating_add(cover.wanted().max(cover.units));
        *cap = cover.cap;
    }
    takings
}

impl Clerk<'_> {
    /// What a pool will pay for of what is asked, for a call that has this hold, if any.
    pub(super) fn covered(
        &self,
        draft: &CostRow,
        ceiling: &[Part],
        least: Money,
        own: Option<&Hold>,
    ) -> Covered {
        let Some(cover) = draft.cover.as_deref().filter(|cover| !cover.strict) else {
            return Covered { units: 0, worth: Money::ZERO, need: least };
        };
        let PoolUse { used, held } = self.pool(&cover.key);
        // What the hold itself counts on is free for it.
        let own = own.filter(|hold| hold.counts_on() == Some(&cover.key)).map_or(0, |hold| hold.units);
        let free = cover.cap.saturating_sub(used).saturating_sub(held.saturating_sub(own));
        let units = units_of(ceiling).min(free);
        let worth = worth_in_money(ceiling, units);
        let need = least.checked_sub(worth).unwrap_or(Money::ZERO).max(Money::ZERO);
        Covered { units, worth, need }
    }

    /// Whether strict pools have what these rows take beyond those.
    pub(super) fn check_takings<'r>(
        &self,
        before: impl IntoIterator<Item = &'r CostRow>,
        after: impl IntoIterator<Item = &'r CostRow>,
    ) -> Result<(), Denial> {
        let before = takings(before);
        for (key, (units, cap)) in takings(after) {
            let more = units.saturating_sub(before.get(&key).map_or(0, |(units, _)| *units));
            let used = self.pool(&key).used;
            if more > cap.saturating_sub(used) {
                return Err(Denial::PoolUsedUp { key, cap, used });
            }
        }
        Ok(())
    }

    /// Takes from strict pools what these rows take beyond those, or gives it back.
    fn take_units(&mut self, before: Takings, after: Takings) {
        for (key, (units, _)) in before {
            self.change_pool(&key, |pool| pool.used = pool.used.saturating_sub(units));
        }
        for (key, (units, _)) in after {
            self.change_pool(&key, |pool| pool.used = pool.used.saturating_add(units));
        }
    }

    /// A hold begins: it takes what its draft does, and counts on its units.
    pub(super) fn begin_cover(&mut self, hold: &Hold) {
        self.take_units(Takings::new(), takings(hold.rows()));
        self.count_on(hold);
    }

    /// A hold goes on as this one: what it took of strict pools and counted on becomes what this one does.
    pub(super) fn extend_cover(&mut self, after: &Hold) {
        let Some(before) = self.books.holds.get(&after.request) else { return };
        let (taken, counted_on, units) = (takings(before.rows()), before.counts_on().cloned(), before.units);
        self.take_units(taken, takings(after.rows()));
        self.let_go(counted_on.as_ref(), units);
        self.count_on(after);
    }

    /// A hold ends with these rows, which pools have paid for.
    pub(super) fn end_cover(&mut self, hold: &Hold, rows: &[CostRow]) {
        self.take_units(takings(hold.rows()), takings(rows));
        self.let_go(hold.counts_on(), hold.units);
        self.use_units(rows);
    }

    fn count_on(&mut self, hold: &Hold) {
        if let Some(key) = hold.counts_on().filter(|_| hold.units > 0) {
            self.change_pool(key, |pool| pool.held = pool.held.saturating_add(hold.units));
        }
    }

    fn let_go(&mut self, key: Option<&PoolKey>, units: u64) {
        if let Some(key) = key.filter(|_| units > 0) {
            self.change_pool(key, |pool| pool.held = pool.held.saturating_sub(units));
        }
    }

    /// Rows as they are booked: pools have paid for what they have left, in the order of the attempts. Changes nothing yet.
    pub(super) fn cover(&self, hold: &Hold, mut rows: Vec<CostRow>) -> Result<Vec<CostRow>, Denial> {
        // What the hold took goes back first, and what its rows take of the same pool is taken row by row: the terms of
        // a pool may have changed while the call ran, so that one of them is strict and another is not.
        let taken = takings(hold.rows()).into_iter();
        let mut used: BTreeMap<PoolKey, u64> = taken
            .map(|(key, (units, _))| (key.clone(), self.pool(&key).used.saturating_sub(units)))
            .collect();
        rows.sort_by_key(|row| row.attempt);
        rows.into_iter().map(|row| self.cover_row(row, &mut used)).collect()
    }

    fn cover_row(&self, mut row: CostRow, used: &mut BTreeMap<PoolKey, u64>) -> Result<CostRow, Denial> {
        let Some(cover) = row.cover.as_deref_mut() else { return Ok(row) };
        let so_far = used.entry(cover.key.clone()).or_insert_with(|| self.pool(&cover.key).used);
        let left = if cover.strict { u64::MAX } else { cover.cap.saturating_sub(*so_far) };
        cover.units = cover.wanted().min(left);
        *so_far = so_far.saturating_add(cover.units);
        let paid = i64::try_from(worth(&cover.parts, cover.units).get()).map_err(|_| Denial::Overflow)?;
        cover.parts = Vec::new();
        row.cost_pico = row.cost_pico.checked_sub(paid).ok_or(Denial::Overflow)?;
        row.cost = Pico::new(i128::from(row.cost_pico)).ceil_to_money().ok_or(Denial::Overflow)?;
        Ok(row)
    }

    /// What the pools of these rows, which are not strict, have paid for is used.
    fn use_units(&mut self, rows: &[CostRow]) {
        for cover in rows.iter().filter_map(|row| row.cover.as_deref()).filter(|cover| !cover.strict) {
            let units = cover.units;
            self.change_pool(&cover.key, |pool| pool.used = pool.used.saturating_add(units));
        }
    }

    fn pool(&self, key: &PoolKey) -> PoolUse {
        self.books.pools.get(key).copied().unwrap_or_default()
    }

    fn change_pool(&mut self, key: &PoolKey, change: impl FnOnce(&mut PoolUse)) {
        change(self.books.pools.entry(key.clone()).or_default());
        if !self.changes.pools.contains(key) {
            self.changes.pools.push(key.clone());
        }
    }
}

impl Cover {
    /// Whether a row of this exact cost may have it before it is settled.
    pub(crate) fn is_fit(&self, cost_pico: i64) -> bool {
        const NAME_BYTES_MAX: usize = 128;
        // More would not fit into what a store keeps of a live hold; no usage has nearly as many buckets.
        const PARTS_MAX: usize = 100;
        let name = &*self.key.pool;
        let all = worth(&self.parts, u64::MAX).get();
        !name.trim().is_empty()
            && name.len() <= NAME_BYTES_MAX
            && self.units == 0
            && self.parts.len() <= PARTS_MAX
            && are_fit(&self.parts)
            && all <= i128::from(cost_pico)
    }
}

/// Whether no part costs less than nothing.
pub(super) fn are_fit(parts: &[Part]) -> bool {
    parts.iter().all(|part| part.unit_pico >= 0)
}
