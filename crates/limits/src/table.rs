//! The buckets that are in use: tables behind locks, and the order in which locks are taken.
//!
//! A bucket's counters all lie in one table, found by its name's digest. Whoever needs several tables locks all of them
//! in rising order before looking at any, so nobody waits in a circle and nobody sees another's half-taken state.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use smallvec::SmallVec;

use crate::counter::{Counter, Full, Now, fit_unused};
use crate::limiter::Cap;
use crate::meter::Taken;
use crate::name::{Bucket, BuildPassed, Name};
use crate::{Measure, Period};

/// Enough for many threads to miss each other, and for a sweep of one of them to be short.
const TABLES: usize = 256;
/// A table with fewer counters than this is never swept by itself.
const SWEEP_FROM: usize = 32;
/// So many tables a request locks without asking for memory: each bucket needs at most one.
pub(crate) const USUAL: usize = 16;

/// What one bucket counts: mostly requests and tokens, which share a place in memory.
type Counters = SmallVec<[(Measure, Counter); 2]>;

/// The counters of some buckets.
#[derive(Debug, Default)]
pub(crate) struct Table {
    buckets: HashMap<Bucket, Counters, BuildPassed>,
    /// Counters of days that changed since they were last told.
    changed: Vec<Name>,
    /// The latest moment that was seen: threads read the clock before they get the lock, so a later one may come
    /// first, and what has been forgotten by then must stay too old for all.
    seen: u64,
    /// With so many buckets the next new one lets the table be swept first.
    sweep_at: usize,
}

impl Table {
    fn at(&mut self, now: Now) -> Now {
        self.seen = self.seen.max(now.micros);
        Now { micros: self.seen, day: now.day }
    }

    /// Reads what the next questions will.
    pub(crate) fn touch(&self, bucket: Bucket) -> usize {
        self.buckets.get(&bucket).map_or(0, Counters::len)
    }

    /// Reads what the next questions will, behind what [`Table::touch`] reads.
    pub(crate) fn touch_behind(&self, bucket: Bucket) -> u64 {
        let counters = self.buckets.get(&bucket).into_iter().flatten();
        counters.fold(0, |sum, (_, counter)| sum ^ counter.touch())
    }

    pub(crate) fn check(&mut self, name: Name, now: Now, most: u64, amount: u64) -> Result<(), Full> {
        let now = self.at(now);
        match self.find(name) {
            Some(counter) => counter.check(now, most, amount),
            None => fit_unused(most, amount),
        }
    }

    /// Counts a use and says how the bucket stands then. An amount of 0 leaves no trace.
    pub(crate) fn take(&mut self, name: Name, now: Now, most: u64, amount: u64) -> (Taken, u64, u64) {
        let now = self.at(now);
        if amount == 0 {
            let (used, empty_in) = self.read(name, now);
            return (Counter::none_taken(name.measure, most, now), used, empty_in);
        }
        // A table is swept when it has doubled since it was last, so each new counter pays for two that are looked at.
        if self.buckets.len() >= self.sweep_at.max(SWEEP_FROM) && !self.buckets.contains_key(&name.bucket) {
            self.sweep(now);
        }
        let none = || Counter::none_taken(name.measure, most, now);
        let (taken, (used, empty_in)) = match self.counter(name, now, most) {
            Some(counter) => (counter.take(now, most, amount), counter.read(now)),
            None => (none(), (0, 0)),
        };
        self.list(name);
        (taken, used, empty_in)
    }

    /// A use turns out to be so much in all. `now` has the day on which it began, if it is one of a day.
    pub(crate) fn correct(&mut self, name: Name, now: Now, most: u64, taken: &mut Taken, amount: u64) {
        let now = self.at(now);
        // A bucket that was forgotten has nothing to give back, but can count what is more.
        if amount > taken.amount || self.find(name).is_some() {
            if let Some(counter) = self.counter(name, now, most) {
                counter.correct(now.micros, taken, amount);
            }
            self.list(name);
        }
        taken.amount = amount;
    }

    pub(crate) fn read(&mut self, name: Name, now: Now) -> (u64, u64) {
        let now = self.at(now);
        self.find(name).map_or((0, 0), |counter| counter.read(now))
    }

    /// Lets go of a place that a call held.
    pub(crate) fn leave(&mut self, name: Name, amount: u64) {
        if let Some(Counter::Gauge(used)) = self.find(name) {
            *used = used.saturating_sub(amount);
        }
    }

    /// Adds what was counted of a day before a restart, which is no change to be stored.
    pub(crate) fn restore(&mut self, name: Name, now: Now, used: u64) {
        if let Some(Counter::Day(count)) = self.counter(name, now, 0) {
            count.turn(now.day);
            if count.day() == now.day {
                let _ = count.take(used);
            }
        }
    }

    /// Moves out the counts of a day that changed since they were last moved out.
    pub(crate) fn changed(&mut self, day: u32, told: &mut Vec<(Bucket, Measure, u64)>) {
        let buckets = &mut self.buckets;
        self.changed.retain(|name| {
            let Some(Counter::Day(count)) = find(buckets, *name) else { return false };
            if count.day() > day {
                // It is told when its own day is asked for.
                return true;
            }
            count.listed = None;
            if count.day() == day {
                told.push((name.bucket, name.measure, count.used()));
            }
            false
        });
    }

    /// Forgets every counter on which nothing counts any more.
    pub(crate) fn sweep(&mut self, now: Now) {
        let now = self.at(now);
        self.buckets.retain(|_, counters| {
            counters.retain(|(_, counter)| !counter.is_idle(now));
            !counters.is_empty()
        });
        let buckets = &mut self.buckets;
        self.changed.retain(|name| find(buckets, *name).is_some());
        self.sweep_at = buckets.len().saturating_mul(2).max(SWEEP_FROM);
        if buckets.capacity() / 4 > self.sweep_at {
            buckets.shrink_to(self.sweep_at);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.buckets.values().map(Counters::len).fold(0, usize::saturating_add)
    }

    fn find(&mut self, name: Name) -> Option<&mut Counter> {
        find(&mut self.buckets, name)
    }

    /// The counter of a name, new if there is none.
    fn counter(&mut self, name: Name, now: Now, most: u64) -> Option<&mut Counter> {
        let counters = self.buckets.entry(name.bucket).or_default();
        let known = counters.iter().position(|(measure, _)| *measure == name.measure);
        let place = known.unwrap_or(counters.len());
        if known.is_none() {
            counters.push((name.measure, Counter::new(name.measure, most, now)));
        }
        counters.get_mut(place).map(|(_, counter)| counter)
    }

    /// Remembers that a day's count has changed.
    fn list(&mut self, name: Name) {
        if name.measure.period() == Period::Day
            && let Some(Counter::Day(count)) = self.find(name)
            && count.listed.replace(count.day()).is_none()
        {
            self.changed.push(name);
        }
    }
}

fn find(buckets: &mut HashMap<Bucket, Counters, BuildPassed>, name: Name) -> Option<&mut Counter> {
    let mut counters = buckets.get_mut(&name.bucket)?.iter_mut();
    counters.find(|(measure, _)| *measure == name.measure).map(|(_, counter)| counter)
}

/// A table in memory of its own: two processors that write to neighbours would slow each other down.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard(Mutex<Table>);

/// All tables.
#[derive(Debug)]
pub(crate) struct Tables(Box<[Shard]>);

/// Those tables that a request needs, locked.
pub(crate) struct Locked<'a> {
    /// Their numbers, rising.
    places: SmallVec<[u8; USUAL]>,
    tables: SmallVec<[MutexGuard<'a, Table>; USUAL]>,
}

impl Tables {
    pub(crate) fn new() -> Self {
        Self((0..TABLES).map(|_| Shard::default()).collect())
    }

    /// Locks the tables of some buckets.
    pub(crate) fn lock(&self, buckets: impl Iterator<Item = Bucket>) -> Locked<'_> {
        let mut places: SmallVec<[u8; USUAL]> = SmallVec::new();
        for place in buckets.map(place) {
            if let Err(before) = places.binary_search(&place) {
                places.insert(before, place);
            }
        }
        let tables = places.iter().filter_map(|place| self.0.get(usize::from(*place))).map(hold).collect();
        Locked { places, tables }
    }

    /// Locks the table of one bucket.
    pub(crate) fn of(&self, bucket: Bucket) -> Option<MutexGuard<'_, Table>> {
        self.0.get(usize::from(place(bucket))).map(hold)
    }

    /// Every table in turn, each locked while it is looked at.
    pub(crate) fn each(&self) -> impl Iterator<Item = MutexGuard<'_, Table>> {
        self.0.iter().map(hold)
    }
}

impl Locked<'_> {
    /// Reads what the next questions about some caps will, so that it is near when they come.
    pub(crate) fn touch(&mut self, caps: &[Cap]) {
        let firsts =
            || caps.chunk_by(|one, other| one.bucket == other.bucket).filter_map(|same| same.first());
        let near =
            firsts().fold(0, |sum, cap| sum ^ self.of(cap.bucket).map_or(0, |table| table.touch(cap.bucket)));
        let behind = firsts()
            .fold(0, |sum, cap| sum ^ self.of(cap.bucket).map_or(0, |table| table.touch_behind(cap.bucket)));
        std::hint::black_box((near, behind));
    }

    /// The table of one of the buckets that were locked for.
    pub(crate) fn of(&mut self, bucket: Bucket) -> Option<&mut Table> {
        let index = self.places.binary_search(&place(bucket)).ok()?;
        self.tables.get_mut(index).map(|guard| &mut **guard)
    }
}

/// The number of a bucket's table: bits of the digest that the table itself does not sort by.
const fn place(bucket: Bucket) -> u8 {
    let [_, _, _, _, _, byte, _, _] = bucket.digest().to_le_bytes();
    byte
}

/// A panic elsewhere leaves whole numbers behind, so a poisoned table goes on counting.
fn hold(shard: &Shard) -> MutexGuard<'_, Table> {
    shard.0.lock().unwrap_or_else(PoisonError::into_inner)
}
