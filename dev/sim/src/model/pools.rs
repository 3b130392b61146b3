//! Section 7 of the rules: what pools pay for, what is counted on, what strict ones give out.

use std::collections::{BTreeMap, BTreeSet};

use domain::Money;
use ledger::{AttemptStatus, CostRow, Cover, Denial, Part, PoolKey};

use super::calls::rounded_up;
use super::{Owner, Stake, Trace, Twist, fitted, invalid, nano};

/// What a hold or an extension counts on, and what that is worth in whole nano-units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Prospect {
    pub(super) units: u128,
    pub(super) pays: i128,
}

impl Owner {
    /// What was used of a pool: what settled rows say, and what live calls took of it when they began.
    pub fn pool_used(&self, key: &PoolKey) -> u128 {
        let same = |known: &PoolKey| {
            known.pool == key.pool && (known.start == key.start || self.twisted(Twist::AnyPeriod))
        };
        let settled: u128 = self.drawn.iter().filter(|(known, _)| same(known)).map(|(_, units)| units).sum();
        let live = self.stakes.values().flat_map(|stake| stake.earlier.iter().chain([&stake.draft]));
        let covers = live.filter_map(|row| row.cover.as_ref()).filter(|c| c.strict && same(&c.key));
        settled + covers.map(|cover| units_of(&cover.parts)).sum::<u128>()
    }

    /// What live holds count on of a pool.
    pub fn pool_held(&self, key: &PoolKey) -> u128 {
        let counts = |stake: &&Stake| soft(stake.draft.cover.as_deref()).is_some_and(|c| c.key == *key);
        self.stakes.values().filter(counts).map(|stake| stake.units).sum()
    }

    /// The pools that anything was ever used of, or that live holds count on.
    pub fn pools(&self) -> BTreeSet<PoolKey> {
        let live = self.stakes.values().flat_map(Stake::rows).filter_map(|row| row.cover);
        self.drawn.keys().cloned().chain(live.map(|cover| cover.key)).collect()
    }

    fn left(&self, key: &PoolKey, cap: u64) -> u128 {
        u128::from(cap).saturating_sub(self.pool_used(key))
    }

    /// What a call with this cover may count on of a ceiling; what it has counted on so far, it lets go.
    pub(super) fn prospect(
        &self,
        cover: Option<&Cover>,
        ceiling: &[Part],
        own: Option<&Stake>,
        trace: &mut Trace,
    ) -> Prospect {
        let Some(cover) = soft(cover) else { return Prospect::default() };
        let all = units_of(ceiling);
        let lets_go = |stake: &&Stake| soft(stake.draft.cover.as_deref()).is_some_and(|c| c.key == cover.key);
        let own = own.filter(|_| !self.twisted(Twist::OwnUnitsNotFree)).filter(lets_go);
        let held = self.pool_held(&cover.key) - own.map_or(0, |stake| stake.units);
        let free = self.left(&cover.key, cover.cap).saturating_sub(held);
        let units = all.min(free);
        let pico = self.cost_of_first(ceiling, units);
        if units < all {
            trace.seen.push("counted on less than the ceiling");
        }
        let up = units == all || self.twisted(Twist::RoundUpPart);
        let pays = if up { pico.saturating_add(999).div_euclid(1000) } else { pico.div_euclid(1000) };
        Prospect { units, pays }
    }

    /// What the first so many units of these parts cost, in pico-units.
    fn cost_of_first(&self, parts: &[Part], units: u128) -> i128 {
        let mut parts = parts.to_vec();
        if self.twisted(Twist::LastPartFirst) {
            parts.reverse();
        }
        let mut left = units;
        let mut sum: i128 = 0;
        for part in parts {
            let covered = left.min(u128::from(part.units));
            left -= covered;
            let covered = i128::try_from(covered).unwrap_or(i128::MAX);
            sum = sum.saturating_add(covered.saturating_mul(i128::from(part.unit_pico)));
        }
        sum
    }

    /// What rows take of a strict pool.
    fn taken_of(&self, key: &PoolKey, rows: &[CostRow]) -> u128 {
        let strict = |row: &&CostRow| row.cover.as_ref().is_some_and(|c| c.strict && c.key == *key);
        rows.iter().filter(strict).map(|row| row.cover.as_ref().map_or(0, |c| units_of(&c.parts))).sum()
    }

    /// What a hold or a next attempt takes of strict pools must be left there.
    pub(super) fn check_strict(
        &self,
        before: &[CostRow],
        after: &[CostRow],
        trace: &mut Trace,
    ) -> Result<(), Denial> {
        let strict = |row: &CostRow| row.cover.clone().filter(|cover| cover.strict);
        let covers: Vec<Cover> = after.iter().filter_map(|row| strict(row).map(|cover| *cover)).collect();
        let gone: Vec<Cover> = before.iter().filter_map(|row| strict(row).map(|cover| *cover)).collect();
        if gone.iter().any(|cover| self.taken_of(&cover.key, after) < self.taken_of(&cover.key, before)) {
            trace.seen.push("strict given back");
        }
        let keys: BTreeSet<&PoolKey> = covers.iter().map(|cover| &cover.key).collect();
        for key in keys {
            let more = self.taken_of(key, after).saturating_sub(self.taken_of(key, before));
            let cap = covers.iter().rev().find(|cover| cover.key == *key).map_or(0, |cover| cover.cap);
            if more > self.left(key, cap) {
                trace.seen.push("strict used up");
                let used = amount_of_units(self.pool_used(key));
                return Err(Denial::PoolUsedUp { key: key.clone(), cap, used });
            }
            if more > 0 {
                trace.seen.push("strict taken");
            }
        }
        Ok(())
    }

    /// The rows of a settlement after the pools have paid.
    pub(super) fn paid_by_pools(&self, stake: &Stake, rows: &[CostRow], trace: &mut Trace) -> Vec<CostRow> {
        let mut rows = rows.to_vec();
        rows.sort_by_key(|row| row.attempt);
        // What the call took of strict pools is what its settled rows say, from now on.
        let mut used: BTreeMap<PoolKey, u128> = BTreeMap::new();
        let mut counted_on = stake.units;
        for row in &mut rows {
            let Some(cover) = row.cover.as_deref().cloned() else { continue };
            let used = used.entry(cover.key.clone()).or_insert_with(|| {
                self.pool_used(&cover.key).saturating_sub(self.taken_of(&cover.key, &stake.rows()))
            });
            let wanted = units_of(&cover.parts);
            let units = if cover.strict {
                wanted
            } else {
                let mut left = u128::from(cover.cap).saturating_sub(*used);
                if self.twisted(Twist::CountedOnStays) {
                    left = left.saturating_sub(self.pool_held(&cover.key));
                }
                if self.twisted(Twist::PaysWhatWasCountedOn) {
                    left = left.min(counted_on);
                    counted_on -= left.min(wanted);
                }
                note(wanted, left, row, stake, trace);
                wanted.min(left)
            };
            *used += units;
            row.cost_pico =
                fitted(i128::from(row.cost_pico) - self.cost_of_first(&cover.parts, units)).nano();
            row.cost = fitted(rounded_up(row.cost_pico));
            row.cover = Some(Box::new(Cover { parts: Vec::new(), units: amount_of_units(units), ..cover }));
        }
        rows
    }

    /// Takes over what the pools paid for.
    pub(super) fn draw_on_pools(&mut self, rows: &[CostRow]) {
        for row in rows {
            let Some(cover) = &row.cover else { continue };
            let given_back = cover.strict && row.status == AttemptStatus::Failed;
            if !(given_back && self.twisted(Twist::FailedGivesBack)) {
                *self.drawn.entry(cover.key.clone()).or_default() += u128::from(cover.units);
            }
        }
    }
}

/// What a settlement met.
fn note(wanted: u128, left: u128, row: &CostRow, stake: &Stake, trace: &mut Trace) {
    if wanted == 0 {
        return;
    }
    trace.seen.push(match left {
        0 if row.cost_pico > 0 => "pool empty, money paid",
        0 => "pool empty, nothing to pay",
        left if left < wanted => "pool straddled",
        _ => "pool paid all",
    });
    let own = |cover: &&Cover| row.cover.as_ref().is_some_and(|c| c.key == cover.key);
    let counted_on = soft(stake.draft.cover.as_deref()).filter(own).map_or(0, |_| stake.units);
    if left < counted_on.min(wanted) {
        trace.seen.push("found less than counted on");
    }
}

/// Whether covers are fit: named, of parts that cost nothing below zero and no more than their rows, and not paid yet.
pub(super) fn check_covers<'a>(rows: impl IntoIterator<Item = &'a CostRow>) -> Result<(), Denial> {
    for row in rows {
        let Some(cover) = &row.cover else { continue };
        let name = &cover.key.pool;
        let cost = cover.parts.iter().fold(0_i128, |sum, part| {
            sum.saturating_add(i128::from(part.units).saturating_mul(i128::from(part.unit_pico)))
        });
        let wrong = name.trim().is_empty()
            || name.len() > 128
            || cover.units > 0
            || cover.parts.len() > 100
            || cover.parts.iter().any(|part| part.unit_pico < 0)
            || cost > i128::from(row.cost_pico);
        if wrong {
            return Err(invalid("cover"));
        }
    }
    Ok(())
}

/// A ceiling's parts cost nothing below zero.
pub(super) fn check_ceiling(ceiling: &[Part]) -> Result<(), Denial> {
    if ceiling.iter().any(|part| part.unit_pico < 0) { Err(invalid("ceiling")) } else { Ok(()) }
}

/// What is needed in money beside what a pool will pay for.
pub(super) fn need(owner: &Owner, least: Money, prospect: Prospect) -> i128 {
    let spared = if owner.twisted(Twist::NeedNotReduced) { 0 } else { prospect.pays };
    (nano(least) - spared).max(0)
}

/// The cover of a pool that is not strict: one that can be counted on.
pub(super) fn soft(cover: Option<&Cover>) -> Option<&Cover> {
    cover.filter(|cover| !cover.strict)
}

fn units_of(parts: &[Part]) -> u128 {
    parts.iter().map(|part| u128::from(part.units)).sum()
}

/// Units as answers say them: the largest number stands for more.
fn amount_of_units(units: u128) -> u64 {
    u64::try_from(units).unwrap_or(u64::MAX)
}
