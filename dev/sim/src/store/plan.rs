//! What goes wrong in one life of a store, drawn from a seed.

use disk::{Crash, Faults, Loss, Moment};

use crate::Random;

/// When a life's faults come, counted in operations of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// While the store is opened and recovers.
    Opening,
    /// While it runs this many transactions.
    Running(u64),
}

/// Operations that opening a store takes, roughly.
const OPENING: u64 = 120;
/// Operations of a transaction, roughly.
const TRANSACTION: u64 = 16;

/// The faults of a phase. `used` is how many bytes the disk has on it.
pub(crate) fn faults(random: &mut Random, phase: Phase, used: u64) -> Faults {
    let scale = match phase {
        Phase::Opening => OPENING,
        Phase::Running(transactions) => transactions.saturating_mul(TRANSACTION).max(1),
    };
    let mut faults = Faults { failed_sync_forgets: random.chance(500), ..Faults::default() };
    match random.below(100) {
        0..=9 => {}
        10..=59 => faults.crash = Some(crash(random, scale)),
        60..=69 => faults.failing_writes = numbers(random, scale),
        70..=84 => faults.failing_syncs = numbers(random, scale / TRANSACTION + 1),
        // Reads are rare: what is read once stays in memory.
        85..=92 => faults.failing_reads = numbers(random, scale / 12 + 1),
        _ => faults.capacity = Some(used.saturating_add(random.below(scale.saturating_mul(1_500)))),
    }
    if faults.crash.is_none() && random.chance(200) {
        faults.crash = Some(crash(random, scale));
    }
    faults
}

/// How a life that is cut short ends.
pub(crate) fn loss(random: &mut Random) -> Loss {
    if random.chance(500) { Loss::Power } else { Loss::Process }
}

fn crash(random: &mut Random, scale: u64) -> Crash {
    let moment = *random.pick(&Moment::ALL).unwrap_or(&Moment::During);
    Crash { operation: random.below(scale), moment }
}

fn numbers(random: &mut Random, scale: u64) -> Vec<u64> {
    let first = random.below(scale);
    // One bad moment, or a bad patch.
    let length = if random.chance(700) { 1 } else { 1 + random.below(6) };
    (first..first.saturating_add(length)).collect()
}
