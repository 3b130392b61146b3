//! Covers and ceilings: pools that are small, large, empty or of another period, parts that straddle their end, and
//! what no pool can mean.

use ledger::{CostRow, Cover, Extension, HoldRequest, NextAttempt, Part};

use super::Chaos;
use super::calls::charge;
use crate::tally::{Counted, Tally};

impl Chaos {
    /// Parts that cost about so many pico-units together, some of them nothing.
    fn parts(&mut self, pico: i64) -> Vec<Part> {
        let count = match self.random.below(10) {
            0 => 0,
            1..=5 => 1,
            _ => 1 + self.random.below(3),
        };
        let share = pico.checked_div(i64::try_from(count).unwrap_or(0)).unwrap_or(0).max(0);
        let part = |_| {
            let units = match self.random.below(12) {
                0 => 0,
                1..=4 => 1,
                5 => self.random.below(1 << 31),
                _ => self.random.below(30),
            };
            let most = share.checked_div(i64::try_from(units).unwrap_or(i64::MAX)).unwrap_or(0);
            let unit_pico = match self.random.below(6) {
                0 => 0,
                1 => self.random.within(0, most),
                _ => most,
            };
            Part { units, unit_pico }
        };
        (0..count).map(part).collect()
    }

    /// A cover for a row as it is now, of some pool or none.
    fn cover(&mut self, row: &mut CostRow) {
        row.cover = None;
        if !self.random.chance(self.universe.pooled) {
            return;
        }
        let Some((key, cap, strict)) = self.random.pick(&self.universe.pools).cloned() else { return };
        row.cover = Some(Box::new(Cover { key, cap, strict, parts: Vec::new(), units: 0 }));
        self.consume(row);
    }

    /// New parts for the cover of a row that costs what it costs; now and then it costs exactly them, or less.
    fn consume(&mut self, row: &mut CostRow) {
        let Some(mut cover) = row.cover.take() else { return };
        let parts = self.parts(row.cost_pico);
        // An attempt that a strict pool pays for is one of its units, mostly.
        let one = cover.strict && self.random.chance(700);
        let unit_pico = if self.random.chance(500) { 0 } else { row.cost_pico };
        cover.parts = if one { vec![Part { units: 1, unit_pico }] } else { parts };
        let worth = i64::try_from(worth_of(&cover)).unwrap_or(i64::MAX);
        match self.random.below(40) {
            0..=15 => charge(row, worth),
            16 => charge(row, worth.saturating_sub(1)),
            _ => {}
        }
        row.cover = Some(cover);
    }

    /// What a settlement says of its row's pool: other parts; now and then another cap, another pool, or none.
    pub(super) fn cover_in_the_end(&mut self, row: &mut CostRow, tally: &mut Tally) {
        if self.random.chance(60) {
            tally.add(Counted::Fault, "another pool in the end");
            return self.cover(row);
        }
        if self.random.chance(100)
            && let Some(cover) = &mut row.cover
        {
            tally.add(Counted::Fault, "cap changed");
            cover.cap = self.random.below(cover.cap.saturating_mul(2).max(4));
            // As a pool does whose terms change while the call runs.
            cover.strict ^= self.random.chance(200);
        }
        self.consume(row);
    }

    /// A row that costs less than its parts must have others.
    pub(super) fn cover_less(&mut self, row: &mut CostRow) {
        let unfit = row.cover.as_deref().is_some_and(|cover| worth_of(cover) > i128::from(row.cost_pico));
        if unfit
            && self.random.chance(950)
            && let Some(cover) = &mut row.cover
        {
            // What a failed attempt took of a strict pool stays taken.
            cover.parts.iter_mut().for_each(|part| part.unit_pico = 0);
            if self.random.chance(300) {
                cover.parts.clear();
            }
        }
    }

    /// Lets a hold draw on a pool, and promotional credit alone pay.
    pub(super) fn pool_hold(&mut self, hold: &mut HoldRequest) {
        self.cover(&mut hold.draft);
        hold.grants_only = self.random.chance(self.universe.grants_only);
        hold.ceiling = self.ceiling(hold.amount.nano(), hold.draft.cover.as_deref());
    }

    fn ceiling(&mut self, nano: i64, cover: Option<&Cover>) -> Vec<Part> {
        match (self.random.below(6), cover) {
            (0, _) => Vec::new(),
            (1, Some(cover)) => cover.parts.clone(),
            (2, _) => self.parts(nano.saturating_mul(1_500)),
            (_, Some(_)) => self.parts(nano.saturating_mul(1_000)),
            (_, None) => Vec::new(),
        }
    }

    /// Lets an extension say what was consumed, where its next attempt draws, and what that may cost.
    pub(super) fn pool_extension(&mut self, extension: &mut Extension, draft: Option<&CostRow>) {
        extension.grants_only = self.random.chance(self.universe.grants_only);
        let pico = extension.cost_pico;
        let too_much = i64::from(self.random.chance(50)) * 50;
        extension.consumed = self.parts(pico.saturating_add(too_much));
        let cover = match (&mut extension.next, draft) {
            (Some(next), Some(draft)) => {
                self.cover_next(next, draft, pico);
                next.cover.clone()
            }
            (_, draft) => draft.and_then(|draft| draft.cover.clone()),
        };
        extension.ceiling = self.ceiling(extension.amount.nano(), cover.as_deref());
    }

    /// The next attempt keeps its call's pool, changes it, gains one or loses it.
    fn cover_next(&mut self, next: &mut NextAttempt, draft: &CostRow, pico: i64) {
        let mut row = draft.clone();
        charge(&mut row, pico);
        if self.random.chance(400) {
            self.consume(&mut row);
        } else {
            self.cover(&mut row);
        }
        charge(&mut row, pico);
        self.cover_less(&mut row);
        next.cover = row.cover;
    }
}

fn worth_of(cover: &Cover) -> i128 {
    cover.parts.iter().map(|part| i128::from(part.units) * i128::from(part.unit_pico)).sum()
}
