//! What an admitted request has taken.

use std::fmt;
use std::sync::Arc;

use crate::counter::Now;
use crate::limiter::{Cap, Standing};
use crate::meter::Taken;
use crate::table::Tables;
use crate::{Measure, Need};

/// What was taken under one cap, and how it stood then.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) cap: Cap,
    pub(crate) taken: Taken,
    /// Whether the cap is the first of its bucket and measure in the list: the others count nothing.
    pub(crate) is_first: bool,
    pub(crate) used: u64,
    pub(crate) empty_in: u64,
}

/// Evidence that a request was admitted. Dropping it frees the places that it had among concurrent requests; what it
/// counted under rates and days stands, since it was used.
#[must_use = "a dropped slot frees its places"]
pub struct Slot {
    tables: Arc<Tables>,
    held: Vec<Held>,
}

impl fmt::Debug for Slot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Slot").field("held", &self.held).finish_non_exhaustive()
    }
}

impl Slot {
    pub(crate) const fn new(tables: Arc<Tables>, held: Vec<Held>) -> Self {
        Self { tables, held }
    }

    /// How the caps stood right after this request was admitted, in their order: what response headers say.
    pub fn standings(&self) -> impl ExactSizeIterator<Item = Standing> + '_ {
        self.held.iter().map(|held| held.cap.standing(held.used, held.empty_in))
    }

    /// The request turns out to use so much in all: the difference is given back, or counted now. Never refuses: a call
    /// that runs passes a limit rather than stopping, and the ones after it wait longer.
    ///
    /// While a call runs, say what it used so far only once that is more than it was expected to use.
    pub fn correct(&mut self, now_micros: u64, need: &Need) {
        self.settle(now_micros, |measure| need.of(measure));
    }

    /// Undoes the admission, as if the request had never come: for one that was refused later on.
    pub fn give_back(mut self, now_micros: u64) {
        self.settle(now_micros, |_| 0);
    }

    fn settle(&mut self, now_micros: u64, amount: impl Fn(Measure) -> u64) {
        for held in self.held.iter_mut().filter(|held| held.is_first) {
            let amount = amount(held.cap.measure);
            if amount == held.taken.amount {
                continue;
            }
            if let Some(mut table) = self.tables.of(held.cap.bucket) {
                let now = Now { micros: now_micros, day: held.day() };
                table.correct(held.cap.name(), now, held.cap.most, &mut held.taken, amount);
            }
        }
    }
}

impl Held {
    /// The day that was taken from, where one was: another counter of it begins with that day.
    fn day(&self) -> u32 {
        u32::try_from(self.taken.at).unwrap_or(u32::MAX)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let places = self.held.iter().filter(|held| held.cap.measure == Measure::ConcurrentRequests);
        for held in places.filter(|held| held.taken.amount > 0) {
            if let Some(mut table) = self.tables.of(held.cap.bucket) {
                table.leave(held.cap.name(), held.taken.amount);
            }
        }
    }
}
