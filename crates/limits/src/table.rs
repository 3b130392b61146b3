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
    /// Where each bucket lies in the list. Apart from it because this is small enough to stay near.
    places: HashMap<Bucket, usize, BuildPassed>,
    buckets: Vec<(Bucket, Counters)>,
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

    /// Where a bucket lies, until the table is swept; `None` when nothing of it is counted.
    fn place(&self, bucket: Bucket) -> Option<usize> {
        self.places.get(&bucket).copied()
    }

    fn at_place(&mut self, place: Option<usize>, measure: Measure) -> Option<&mut Counter> {
        let (_, counters) = self.buckets.get_mut(place?)?;
        counters.iter_mut().find(|(other, _)| *other == measure).map(|(_, counter)| counter)
    }

    fn check(&mut self, place: Option<usize>, cap: &Cap, now: Now, amount: u64) -> Result<(), Full> {
        let now = self.at(now);
        match self.at_place(place, cap.measure) {
            Some(counter) => counter.check(now, cap.most, amount),
            None => fit_unused(cap.most, amount),
        }
    }

    /// Counts a use and says how the bucket stands then. An amount of 0 leaves no trace.
    fn take(&mut self, place: Option<usize>, cap: &Cap, now: Now, amount: u64) -> (Taken, u64, u64) {
        let now = self.at(now);
        // An earlier cap of the same request may have made the bucket.
        let place = place.or_else(|| self.place(cap.bucket));
        let none = || Counter::none_taken(cap.measure, cap.most, now);
        if amount == 0 {
            let stands = self.at_place(place, cap.measure).map(|counter| counter.read(now));
            let (used, empty_in) = stands.unwrap_or_default();
            return (none(), used, empty_in);
        }
        let counter = if self.at_place(place, cap.measure).is_some() {
            self.at_place(place, cap.measure)
        } else {
            self.counter(cap.name(), now, cap.most)
        };
        let Some(counter) = counter else { return (none(), 0, 0) };
        let taken = counter.take(now, cap.most, amount);
        let (used, empty_in) = counter.read(now);
        self.list(cap.name());
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
        let mut names = std::mem::take(&mut self.changed);
        names.retain(|name| {
            let Some(Counter::Day(count)) = self.find(*name) else { return false };
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
        self.changed = names;
    }

    /// Forgets every counter on which nothing counts any more.
    pub(crate) fn sweep(&mut self, now: Now) {
        let now = self.at(now);
        self.buckets.retain_mut(|(_, counters)| {
            counters.retain(|(_, counter)| !counter.is_idle(now));
            !counters.is_empty()
        });
        self.sweep_at = self.buckets.len().saturating_mul(2).max(SWEEP_FROM);
        self.buckets.shrink_to(self.sweep_at);
        self.places.clear();
        self.places.shrink_to(self.sweep_at);
        self.places.extend((0..).zip(&self.buckets).map(|(place, (bucket, _))| (*bucket, place)));
        let mut names = std::mem::take(&mut self.changed);
        names.retain(|name| self.find(*name).is_some());
        self.changed = names;
    }

    /// Sweeps a table that has doubled since it was swept last. So each new bucket pays for two that are looked at.
    fn make_room(&mut self, now: Now) {
        if self.buckets.len() >= self.sweep_at.max(SWEEP_FROM) {
            self.sweep(now);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.buckets.iter().map(|(_, counters)| counters.len()).fold(0, usize::saturating_add)
    }

    fn find(&mut self, name: Name) -> Option<&mut Counter> {
        self.at_place(self.place(name.bucket), name.measure)
    }

    /// The counter of a name, new if there is none.
    fn counter(&mut self, name: Name, now: Now, most: u64) -> Option<&mut Counter> {
        let place = *self.places.entry(name.bucket).or_insert(self.buckets.len());
        if place == self.buckets.len() {
            self.buckets.push((name.bucket, Counters::new()));
        }
        let (_, counters) = self.buckets.get_mut(place)?;
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
    numbers: SmallVec<[u8; USUAL]>,
    tables: SmallVec<[MutexGuard<'a, Table>; USUAL]>,
    /// For each cap: which of the tables, and where in it.
    spots: SmallVec<[Spot; USUAL]>,
}

#[derive(Clone, Copy)]
struct Spot {
    table: usize,
    place: Option<usize>,
}

impl Tables {
    pub(crate) fn new() -> Self {
        Self((0..TABLES).map(|_| Shard::default()).collect())
    }

    /// Locks the tables of some caps, and finds their buckets.
    pub(crate) fn lock(&self, caps: &[Cap], now: Now) -> Locked<'_> {
        let mut numbers: SmallVec<[u8; USUAL]> = SmallVec::new();
        for cap in caps {
            let number = number(cap.bucket);
            if let Err(before) = numbers.binary_search(&number) {
                numbers.insert(before, number);
            }
        }
        let tables = numbers.iter().filter_map(|number| self.0.get(usize::from(*number))).map(hold).collect();
        let mut locked = Locked { numbers, tables, spots: SmallVec::new() };
        locked.find(caps, now);
        locked
    }

    /// Locks the table of one bucket.
    pub(crate) fn of(&self, bucket: Bucket) -> Option<MutexGuard<'_, Table>> {
        self.0.get(usize::from(number(bucket))).map(hold)
    }

    /// Every table in turn, each locked while it is looked at.
    pub(crate) fn each(&self) -> impl Iterator<Item = MutexGuard<'_, Table>> {
        self.0.iter().map(hold)
    }
}

impl Locked<'_> {
    fn find(&mut self, caps: &[Cap], now: Now) {
        // Later places would move.
        self.tables.iter_mut().for_each(|table| table.make_room(now));
        for same in caps.chunk_by(|one, other| one.bucket == other.bucket) {
            let Some(cap) = same.first() else { continue };
            let table = self.numbers.binary_search(&number(cap.bucket)).unwrap_or(usize::MAX);
            let place = self.tables.get(table).and_then(|table| table.place(cap.bucket));
            self.spots.extend(same.iter().map(|_| Spot { table, place }));
        }
        // With many buckets in use almost all of what comes next lies far away. Reading it once, with no answer that
        // depends on the one before, lets the processor fetch all of it at a time.
        let far = self.spots.iter().fold(0, |sum, spot| {
            let bucket =
                self.tables.get(spot.table).zip(spot.place).map(|(table, place)| table.buckets.get(place));
            let counters = bucket.flatten().map(|(_, counters)| counters);
            sum ^ counters.into_iter().flatten().fold(0, |sum, (_, counter)| sum ^ counter.touch())
        });
        std::hint::black_box(far);
    }

    /// Whether so much fits under a cap: the one of this number in the list that was locked for.
    pub(crate) fn check(&mut self, index: usize, cap: &Cap, now: Now, amount: u64) -> Result<(), Full> {
        match self.of(index) {
            Some((table, place)) => table.check(place, cap, now, amount),
            None => Ok(()),
        }
    }

    /// Counts a use under a cap, and says how it stands then: what is used, and when nothing will be.
    pub(crate) fn take(
        &mut self,
        index: usize,
        cap: &Cap,
        now: Now,
        amount: u64,
    ) -> Option<(Taken, u64, u64)> {
        self.of(index).map(|(table, place)| table.take(place, cap, now, amount))
    }

    fn of(&mut self, index: usize) -> Option<(&mut Table, Option<usize>)> {
        let spot = *self.spots.get(index)?;
        self.tables.get_mut(spot.table).map(|table| (&mut **table, spot.place))
    }
}

/// The number of a bucket's table: bits of the digest that the table itself does not sort by.
const fn number(bucket: Bucket) -> u8 {
    let [_, _, _, _, _, byte, _, _] = bucket.digest().to_le_bytes();
    byte
}

/// A panic elsewhere leaves whole numbers behind, so a poisoned table goes on counting.
fn hold(shard: &Shard) -> MutexGuard<'_, Table> {
    shard.0.lock().unwrap_or_else(PoisonError::into_inner)
}
