//! How long an answer is going to be, learned from how long answers were.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Bucket;
use crate::histogram::Histogram;
use crate::name::BuildPassed;

/// Whose answers of which model: a hash made by the caller, as a [`Bucket`] is one.
pub type Pair = Bucket;

/// How many samples there must be before they are believed.
const SAMPLES_LEAST: u8 = 20;
/// What is expected until then.
const UNLEARNED: u64 = 4_096;
/// Enough for threads to miss each other.
const TABLES: usize = 64;

#[derive(Debug)]
struct Known {
    histogram: Histogram,
    /// The table's count of questions when this was last asked for.
    asked: u64,
}

#[derive(Debug, Default)]
struct Table {
    known: HashMap<Pair, Known, BuildPassed>,
    asked: u64,
}

/// The 95th percentile of output tokens, by pair of key and model.
///
/// It keeps about as many pairs as it was made for: when a part of it is full, that half of it which was not asked for
/// the longest is forgotten. A pair takes about 180 bytes, with the table's own room at most 360.
#[derive(Debug)]
pub struct Learned {
    tables: Box<[Mutex<Table>]>,
    /// The most pairs in one table.
    most: usize,
}

impl Default for Learned {
    fn default() -> Self {
        Self::new(Self::PAIRS)
    }
}

impl Learned {
    /// How many pairs are usually kept: at most 24 MiB.
    pub const PAIRS: usize = 65_536;

    /// One that has learned nothing yet, and never keeps more than so many pairs (at least 128).
    pub fn new(pairs_most: usize) -> Self {
        Self { tables: (0..TABLES).map(|_| Mutex::default()).collect(), most: (pairs_most / TABLES).max(2) }
    }

    /// How many output tokens to expect: the 95th percentile of what was learned (until there are 20 samples: 4,096),
    /// but never more than the request itself allows.
    ///
    /// The percentile is rounded up, by less than a quarter, and from 64 at least; it is 1,048,576 at most.
    pub fn expected_output(&self, pair: Pair, cap: Option<u64>) -> u64 {
        let learned = self.table(pair).and_then(|mut table| {
            let known = table.known(pair)?;
            (known.histogram.samples() >= SAMPLES_LEAST).then(|| known.histogram.p95())
        });
        learned.unwrap_or(UNLEARNED).min(cap.unwrap_or(u64::MAX))
    }

    /// An answer had so many output tokens. The latest 128 weigh at least as much as all before them.
    pub fn learn(&self, pair: Pair, output_tokens: u64) {
        let Some(mut table) = self.table(pair) else { return };
        if table.known(pair).is_none() {
            table.make_room(self.most);
        }
        let asked = table.asked;
        let fresh = || Known { histogram: Histogram::new(), asked };
        table.known.entry(pair).or_insert_with(fresh).histogram.learn(output_tokens);
    }

    /// How many pairs are known.
    pub fn len(&self) -> usize {
        self.tables.iter().map(|table| hold(table).known.len()).fold(0, usize::saturating_add)
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn table(&self, pair: Pair) -> Option<MutexGuard<'_, Table>> {
        let [_, _, _, _, _, byte, _, _] = pair.digest().to_le_bytes();
        let place = usize::from(byte).checked_rem(self.tables.len())?;
        self.tables.get(place).map(hold)
    }
}

impl Table {
    /// What is known of a pair, which is thereby the latest that was asked for.
    fn known(&mut self, pair: Pair) -> Option<&Known> {
        self.asked = self.asked.saturating_add(1);
        let known = self.known.get_mut(&pair)?;
        known.asked = self.asked;
        Some(known)
    }

    /// Forgets the older half when the table is full. So each new pair pays for looking at two.
    fn make_room(&mut self, most: usize) {
        if self.known.len() < most {
            return;
        }
        let mut asked: Vec<u64> = self.known.values().map(|known| known.asked).collect();
        let middle = asked.len() / 2;
        let (_, middle, _) = asked.select_nth_unstable(middle);
        self.known.retain(|_, known| known.asked > *middle);
    }
}

/// A panic elsewhere leaves whole numbers behind, so a poisoned table goes on learning.
fn hold(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}
