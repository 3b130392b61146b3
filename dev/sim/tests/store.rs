//! The real store on a disk that fails, a few seeds of it. CI and releases run more: `sim store`.

use disk::Nap;
use tollkeeper_sim::store::{Figures, Plan, run};

/// Runs seeds and adds up what they did; panics on the first violation.
fn all(seeds: std::ops::Range<u64>, commands: u64) -> Figures {
    let disk = disk::install(1);
    disk.set_nap(Nap::Skipped);
    let folder = tempfile::tempdir().unwrap();
    let mut figures = Figures::default();
    let mut bad = 0;
    for seed in seeds {
        if seed % 20 == 0 { println!("at {seed}"); }
        let plan = Plan { seed, commands, durability: None, demanded: None };
        match run(plan, disk, folder.path()) {
            Ok(done) => figures.add(&done),
            Err(what) => { bad += 1; println!("seed {seed}: {}", what.chars().take(4000).collect::<String>()); }
        }
    }
    println!("bad {bad}");
    figures
}

#[test]
fn what_was_answered_is_in_the_books_after_every_fault() {
    let figures = all(48..49, 400);
    println!("{figures}");
}
