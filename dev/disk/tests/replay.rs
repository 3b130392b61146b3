//! Equal seeds give equal runs, to the byte. In a test of its own, because SQLite's randomness is one for the process.

mod script;

use std::collections::BTreeMap;

use script::{Fresh, Mode, Told, chance, found, run};
use tollkeeper_disk::{Counters, Crash, Faults, Loss, Moment, OperationKind};

/// A run with a crash, and what is left of it.
#[derive(Debug, PartialEq, Eq)]
struct Played {
    told: Told,
    digest: (u64, u64),
    counters: Counters,
    image: BTreeMap<String, Vec<u8>>,
}

fn play(seed: u64, operation: u64) -> Played {
    let fresh = Fresh::new("replay");
    fresh.disk.reseed(seed);
    let crash = Some(Crash { operation, moment: Moment::During });
    fresh.machine.set_faults(Faults { crash, ..Faults::default() });
    let told = run(&fresh, Mode { journal: "WAL", synchronous: "NORMAL" });
    fresh.machine.power_cycle(Loss::Power, &mut chance(seed));
    let (digest, counters, image) = (fresh.machine.digest(), fresh.machine.counters(), fresh.machine.image());
    assert!(found(&fresh).is_ok());
    Played { told, digest, counters, image }
}

#[test]
fn equal_seeds_give_equal_runs() {
    let mut images = Vec::new();
    for operation in (5..60).step_by(5) {
        let one = play(7, operation);
        assert_eq!(one, play(7, operation));
        let other = play(8, operation);
        assert_eq!(one.digest.0, other.digest.0, "the same was done to the same places");
        images.push((one.image, other.image));
    }
    assert!(images.iter().any(|(one, other)| one != other), "other seeds lose other things");

    let fresh = Fresh::new("record");
    fresh.machine.record(true);
    run(&fresh, Mode { journal: "WAL", synchronous: "FULL" });
    let recorded = fresh.machine.recorded();
    let counters = fresh.machine.counters();
    assert_eq!(u64::try_from(recorded.len()), Ok(counters.operations));
    let count = |kind| u64::try_from(recorded.iter().filter(|step| step.kind == kind).count()).unwrap_or(0);
    assert_eq!((count(OperationKind::Sync), count(OperationKind::Write)), (counters.syncs, counters.writes));
    let last = recorded.last().map(|step| (step.kind, step.file.as_str()));
    assert_eq!(last, Some((OperationKind::Delete, "script.db-wal")));
}
