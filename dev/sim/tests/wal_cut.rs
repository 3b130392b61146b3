//! The write-ahead log of sixty commands, cut and damaged: `sim wal-cut` does it at every byte, this at some.

use std::collections::BTreeSet;

use disk::Nap;
use tollkeeper_sim::store::cut::Script;

#[test]
fn a_cut_or_damaged_log_gives_back_the_transactions_before() {
    let disk = disk::install(1);
    disk.set_nap(Nap::Skipped);
    let folder = tempfile::tempdir().unwrap();
    let script = Script::run(disk, folder.path()).unwrap();
    assert_eq!(script.commands(), 60);
    assert_eq!(script.missing_kinds(), Vec::<&str>::new(), "the script lacks something");
    let (step, frames) = if cfg!(debug_assertions) { (30_011, 24) } else { (499, 1) };
    let cuts = script.cut(disk, folder.path(), &script.cuts(step, frames)).unwrap();
    let damaged: Vec<usize> = (0..script.frames()).step_by(frames).collect();
    let flips = script.flip(disk, folder.path(), &damaged).unwrap();
    assert!(flips.logs > 75, "{}", flips.logs);
    // A cut for every length of the prefix: from no tables at all to everything.
    let found: BTreeSet<Option<usize>> = cuts.recovered.keys().copied().collect();
    let all: BTreeSet<Option<usize>> = (0..=script.transactions()).map(Some).chain([None]).collect();
    assert_eq!(found, all);
}

#[test]
fn a_log_whose_damage_is_hidden_is_noticed() {
    let disk = disk::install(1);
    disk.set_nap(Nap::Skipped);
    let folder = tempfile::tempdir().unwrap();
    let script = Script::run(disk, folder.path()).unwrap();
    // Said to be whole, and cut: what it lacks must be missed.
    let wrong = script.cut_in_secret(disk, folder.path(), script.log_length() / 2);
    assert!(wrong.is_err_and(|what| what.contains("due is")), "nobody missed half of the log");
}
