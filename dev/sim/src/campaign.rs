//! Many seeds on several threads. Each seed is a world of its own, so that neither the number of threads nor their haste
//! changes what happens in it.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crate::run::Depth;
use crate::script::Violation;
use crate::seed::{Plan, run};
use crate::tally::Tally;

/// What is run.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The seeds.
    pub seeds: Range<u64>,
    /// Steps of each seed, before it comes to its end.
    pub steps: usize,
    /// How many threads share the seeds.
    pub threads: usize,
    /// How much is checked.
    pub depth: Depth,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Seeds that were run to their end.
    pub seeds: u64,
    /// What happened in them.
    pub tally: Tally,
    /// The seeds that failed, with how. After the first no further seeds are begun.
    pub failed: Vec<(u64, Violation)>,
}

/// Runs a campaign.
pub fn campaign(campaign: &Campaign) -> Outcome {
    let next = AtomicU64::new(campaign.seeds.start);
    let stop = AtomicBool::new(false);
    let outcome = Mutex::new(Outcome::default());
    let worker = || {
        let mut own = Outcome::default();
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= campaign.seeds.end {
                break;
            }
            match run(Plan { seed, steps: campaign.steps, depth: campaign.depth, twist: None }) {
                Ok(tally) => {
                    own.seeds += 1;
                    own.tally.merge(&tally);
                }
                Err(violation) => {
                    own.failed.push((seed, violation));
                    stop.store(true, Ordering::Relaxed);
                }
            }
        }
        outcome.lock().unwrap_or_else(PoisonError::into_inner).add(own);
    };
    thread::scope(|scope| {
        for _ in 1..campaign.threads {
            scope.spawn(worker);
        }
        worker();
    });
    let mut outcome = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcome.failed.sort_by_key(|(seed, _)| *seed);
    outcome
}

impl Outcome {
    fn add(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.tally.merge(&other.tally);
        self.failed.extend(other.failed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_change_nothing() {
        let of =
            |threads| campaign(&Campaign { seeds: 100..120, steps: 150, threads, depth: Depth { every: 8 } });
        let (one, two) = (of(1), of(2));
        assert_eq!(one.seeds, 20);
        assert_eq!((one.seeds, one.tally), (two.seeds, two.tally));
    }
}
