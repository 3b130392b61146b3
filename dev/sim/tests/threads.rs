//! The store as it is in service, with its threads, on a disk that fails: what the simulation leaves to a single thread.
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::path::Path;
use std::sync::Arc;

use disk::{Faults, Loss, Machine};
use domain::Timestamp;
use ledger::conformance::{ManualClock, Payer, START};
use ledger::{Command, LedgerError, LotKind};
use store::{Durability, Store, verify};

/// What the log may grow to before it is started anew, and a batch more.
const LOG_BYTES_MAX: usize = 24 << 20;
const LOG: &str = "tollkeeper.db-wal";

fn open(folder: &Path) -> Store {
    Store::open(folder, Durability::Process, Arc::new(ManualClock::new(START))).unwrap()
}

/// An organization with a grant that lasts.
fn payer(store: &Store) -> Payer {
    let payer = Payer::number(7);
    for command in [payer.open(), payer.grant(1, LotKind::Prepaid, 1_000_000_000, Timestamp::MAX).into()] {
        store.ledger().submit(command).wait().unwrap();
    }
    payer
}

/// Holds and settles a call, each in a transaction of its own: nothing here is busy enough for the thread's own rounds.
fn call(store: &Store, payer: &Payer, request: u64) -> Result<(), LedgerError> {
    let ledger = store.ledger();
    ledger.submit(Command::Hold(payer.hold(request, 50))).wait()?;
    ledger.submit(payer.settle_for(request, 30)).wait().map(drop)
}

fn log(machine: &Machine) -> usize {
    machine.image().get(LOG).map_or(0, Vec::len)
}

#[test]
fn a_log_that_grew_long_is_started_anew() {
    let folder = tempfile::tempdir().unwrap();
    let machine = disk::install(1).machine(folder.path());
    let store = open(folder.path());
    let payer = payer(&store);
    let mut request = 0;
    while machine.counters().bytes_written < 4 * u64::try_from(LOG_BYTES_MAX).unwrap() {
        request += 1;
        call(&store, &payer, request).unwrap();
    }
    assert!(log(&machine) < LOG_BYTES_MAX, "{} bytes after {request} calls", log(&machine));
}

/// Without a sync at each commit, only the copy says whether the log is on the disk. When that fails and the system
/// forgets what it should have saved, a later copy would mix what is saved with what is not.
#[test]
fn a_copy_that_fails_stops_the_store_and_breaks_nothing() {
    for failing in 0..4 {
        let folder = tempfile::tempdir().unwrap();
        let machine = disk::install(1).machine(folder.path());
        let store = open(folder.path());
        let payer = payer(&store);
        let failing_syncs = vec![failing];
        machine.set_faults(Faults { failing_syncs, failed_sync_forgets: true, ..Faults::default() });
        let stopped = (1..20_000).find_map(|request| call(&store, &payer, request).err());
        assert!(stopped.is_some(), "sync {failing} failed, and nobody noticed");
        drop(store);
        machine.set_faults(Faults::default());
        let mut dice = 0;
        machine.power_cycle(Loss::Power, &mut |bound| {
            dice += 7;
            dice % bound
        });
        drop(open(folder.path()));
        assert_eq!(verify(folder.path()).unwrap().breaches, Vec::<String>::new(), "sync {failing}");
    }
}
