//! All that is limited at the moment, and the one question: does this request fit?

use std::sync::Arc;

use crate::counter::{Full, Now};
use crate::name::{Bucket, Name};
use crate::slot::{Held, Slot};
use crate::table::Tables;
use crate::{Measure, Need, Period, When};

/// One limit that a request falls under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cap {
    /// Whose, and of what.
    pub bucket: Bucket,
    /// What it counts.
    pub measure: Measure,
    /// The most that there may be; 0 stops everything that needs any.
    pub most: u64,
}

/// Which cap a request does not fit under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Its place in the list of caps: the first that refuses.
    pub index: usize,
    /// What it counts.
    pub measure: Measure,
    /// The most that there may be.
    pub most: u64,
    /// What is used; more than the most after a call used more than it was expected to.
    pub used: u64,
    /// What the request needs.
    pub needed: u64,
    /// When it would fit under this cap.
    pub fits: When,
}

/// How a cap stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What it counts.
    pub measure: Measure,
    /// The most that there may be.
    pub most: u64,
    /// What could still be used.
    pub remaining: u64,
    /// When all of it could be used again, if nothing else is admitted.
    pub full: When,
}

/// The buckets in use, shared by all threads. A clone is another handle to the same.
#[derive(Clone, Debug)]
pub struct Limiter {
    tables: Arc<Tables>,
}

impl Default for Limiter {
    fn default() -> Self {
        Self::new()
    }
}

impl Limiter {
    /// One that has counted nothing yet.
    pub fn new() -> Self {
        Self { tables: Arc::new(Tables::new()) }
    }

    /// Takes what a request needs under every cap, or nothing under any.
    ///
    /// `now_micros` is of a clock that never steps back, `day` the number of the calendar day in UTC. Of a need of 0
    /// nothing is asked: a request without images fits under a cap of images that is used up. A bucket and measure named
    /// twice is counted once, and both limits hold.
    ///
    /// # Errors
    /// The first cap of the list that the request does not fit under.
    pub fn admit(&self, now_micros: u64, day: u32, caps: &[Cap], need: &Need) -> Result<Slot, Bound> {
        let now = Now { micros: now_micros, day };
        let mut locked = self.tables.lock(caps, now);
        for (index, cap) in caps.iter().enumerate() {
            let needed = need.of(cap.measure);
            if needed > 0 {
                locked.check(index, cap, now, needed).map_err(|full| cap.bound(index, needed, full))?;
            }
        }
        let mut held = Vec::with_capacity(caps.len());
        for (index, cap) in caps.iter().enumerate() {
            let is_first = caps.iter().take(index).all(|other| other.name() != cap.name());
            let amount = if is_first { need.of(cap.measure) } else { 0 };
            if let Some((taken, used, empty_in)) = locked.take(index, cap, now, amount) {
                held.push(Held { cap: *cap, taken, is_first, used, empty_in });
            }
        }
        drop(locked);
        Ok(Slot::new(Arc::clone(&self.tables), held))
    }

    /// How caps stand now, in their order.
    pub fn standings(&self, now_micros: u64, day: u32, caps: &[Cap]) -> Vec<Standing> {
        let now = Now { micros: now_micros, day };
        let stand = |cap: &Cap| {
            let (used, empty_in) =
                self.tables.of(cap.bucket).map_or((0, 0), |mut table| table.read(cap.name(), now));
            cap.standing(used, empty_in)
        };
        caps.iter().map(stand).collect()
    }

    /// Forgets every bucket on which nothing counts any more. New buckets make room for themselves, so this is only needed
    /// to give memory back when no new ones come: once a minute is plenty.
    pub fn forget(&self, now_micros: u64, day: u32) {
        for mut table in self.tables.each() {
            table.sweep(Now { micros: now_micros, day });
        }
    }

    /// How many counters are remembered.
    pub fn len(&self) -> usize {
        self.tables.each().map(|table| table.len()).fold(0, usize::saturating_add)
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was used of a day, of all that changed since this was last asked: to be stored, each in place of what was
    /// stored of it before.
    pub fn day_counts(&self, day: u32) -> Vec<(Bucket, Measure, u64)> {
        let mut told = Vec::new();
        for mut table in self.tables.each() {
            table.changed(day, &mut told);
        }
        told
    }

    /// Counts what was used of a day before a restart; once for each, before the first request. Nothing happens for a
    /// measure that does not count by the day.
    pub fn restore(&self, day: u32, bucket: Bucket, measure: Measure, used: u64) {
        if measure.period() == Period::Day
            && used > 0
            && let Some(mut table) = self.tables.of(bucket)
        {
            table.restore(Name { bucket, measure }, Now { micros: 0, day }, used);
        }
    }
}

impl Cap {
    pub(crate) const fn name(&self) -> Name {
        Name { bucket: self.bucket, measure: self.measure }
    }

    pub(crate) const fn standing(&self, used: u64, empty_in: u64) -> Standing {
        let full = match self.measure.period() {
            Period::SlidingMinute => When::In(empty_in),
            _ if used == 0 => When::In(0),
            Period::Day => When::NextDay,
            Period::Now => When::CallEnds,
        };
        Standing { measure: self.measure, most: self.most, remaining: self.most.saturating_sub(used), full }
    }

    const fn bound(&self, index: usize, needed: u64, full: Full) -> Bound {
        let Full { used, fits } = full;
        Bound { index, measure: self.measure, most: self.most, used, needed, fits }
    }
}
