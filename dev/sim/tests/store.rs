//! The real store on a disk that fails: a few seeds of `sim store`, and that its checks can fail.

use disk::{Disk, Nap};
use store::Durability;
use tollkeeper_sim::store::{Figures, Plan, run};

fn disk() -> &'static Disk {
    let disk = disk::install(1);
    disk.set_nap(Nap::Skipped);
    disk
}

fn plan(seed: u64) -> Plan {
    Plan { seed, commands: 300, durability: None, demanded: None }
}

/// Runs one plan in a folder of its own.
fn alone(plan: Plan) -> Result<Figures, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    run(plan, disk(), folder.path())
}

#[test]
fn what_was_answered_is_in_the_books_whatever_befalls_the_disk() {
    let mut sum = Figures::default();
    for seed in 0..40 {
        sum.add(&alone(plan(seed)).unwrap_or_else(|what| panic!("seed {seed}: {what}")));
    }
    // Seeds that meet nothing prove nothing.
    let met = [
        ("unknown", sum.unknown),
        ("unknown, kept", sum.unknown_kept),
        ("abandoned", sum.abandoned),
        ("retried", sum.retried),
        ("lost", sum.lost),
        ("failed openings", sum.failed_openings),
        ("recovered", sum.recovered),
        ("closed", sum.closed),
        ("killed", sum.killed),
        ("power losses", sum.power_losses),
        ("writes lost", sum.disk.lost),
        ("writes torn", sum.disk.torn),
        ("read errors", sum.disk.read_errors),
        ("write errors", sum.disk.write_errors),
        ("sync errors", sum.disk.sync_errors),
        ("full", sum.disk.full),
    ];
    for (name, count) in met {
        assert!(count > 0, "{name}: never met");
    }
    assert!(sum.crashes.len() >= 6, "{:?}", sum.crashes);
}

#[test]
fn a_seed_gives_the_same_run_again() {
    for seed in 100..104 {
        assert_eq!(alone(plan(seed)), alone(plan(seed)), "seed {seed}");
    }
}

#[test]
fn a_store_that_does_not_sync_is_found_out() {
    let lazy = |seed| Plan {
        durability: Some(Durability::Process),
        demanded: Some(Durability::Power),
        ..plan(seed)
    };
    let found = (0..20).filter_map(|seed| alone(lazy(seed)).err()).collect::<Vec<_>>();
    assert!(found.len() > 3, "{} of 20 stores were found out", found.len());
    assert!(found.iter().any(|what| what.contains("possible states is in the books")), "{found:?}");
}
