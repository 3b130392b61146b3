//! The exact window: every use with its moment, until it is a span old.
//!
//! Uses of one moment are one entry, and each use is at least 1, so there are never more entries than the limit allows
//! uses. What is corrected upward may be beyond it.

use std::collections::VecDeque;

use crate::Limit;

#[derive(Clone, Debug, Default)]
pub(crate) struct Window {
    /// Moments, rising, with what was used then.
    uses: VecDeque<(u64, u64)>,
    /// Their sum.
    used: u64,
}

impl Window {
    /// Lets go of what is a span old or older. Every other question counts only what is left.
    pub(crate) fn forget(&mut self, limit: Limit, now: u64) {
        while let Some((at, amount)) = self.uses.front().copied() {
            if at.saturating_add(limit.span_micros()) > now {
                break;
            }
            self.uses.pop_front();
            self.used = self.used.saturating_sub(amount);
        }
    }

    pub(crate) const fn used(&self) -> u64 {
        self.used
    }

    /// Counts a use at a moment.
    pub(crate) fn add(&mut self, at: u64, amount: u64) {
        if amount == 0 {
            return;
        }
        self.used = self.used.saturating_add(amount);
        let place = self.uses.partition_point(|(moment, _)| *moment < at);
        match self.uses.get_mut(place).filter(|(moment, _)| *moment == at) {
            Some((_, used)) => *used = used.saturating_add(amount),
            None => self.uses.insert(place, (at, amount)),
        }
    }

    /// Takes back a part of what was used at a moment, if that still counts.
    pub(crate) fn take_back(&mut self, at: u64, amount: u64) {
        let Ok(place) = self.uses.binary_search_by_key(&at, |(moment, _)| *moment) else { return };
        let Some((_, used)) = self.uses.get_mut(place) else { return };
        let back = amount.min(*used);
        *used = used.saturating_sub(back);
        self.used = self.used.saturating_sub(back);
        if *used == 0 {
            self.uses.remove(place);
        }
    }

    /// The moment from which `amount` more fits; `None` when it never does.
    pub(crate) fn fits_at(&self, limit: Limit, amount: u64, now: u64) -> Option<u64> {
        let room = limit.most().checked_sub(amount)?;
        let mut left = self.used;
        let mut moment = now;
        for (at, used) in &self.uses {
            if left <= room {
                break;
            }
            left = left.saturating_sub(*used);
            moment = at.saturating_add(limit.span_micros());
        }
        Some(moment)
    }

    /// The moment from which nothing counts any more.
    pub(crate) fn empty_at(&self, limit: Limit, now: u64) -> u64 {
        self.uses.back().map_or(now, |(at, _)| at.saturating_add(limit.span_micros()))
    }
}
