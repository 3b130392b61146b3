//! SQLite on the disk that fails: it works when nothing fails, it keeps its promises when something does, and where it
//! promises less the loss shows.

mod script;

use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};
use script::{COMMITS, Fresh, Mode, Told, chance, commit, found, prepare, run};
use tollkeeper_disk::{Counters, Crash, Faults, Loss, Moment};

const FULL: Mode = Mode { journal: "WAL", synchronous: "FULL" };
const NORMAL: Mode = Mode { journal: "WAL", synchronous: "NORMAL" };
const OFF: Mode = Mode { journal: "WAL", synchronous: "OFF" };
const JOURNAL_FULL: Mode = Mode { journal: "DELETE", synchronous: "FULL" };
const JOURNAL_EXTRA: Mode = Mode { journal: "DELETE", synchronous: "EXTRA" };
/// Every commit of the script.
const ALL: u32 = (1 << (COMMITS + 1)) - 2;

#[test]
fn three_threads_share_a_database() {
    let fresh = Fresh::new("threads");
    let writer = |number: u32| {
        let mut connection = prepare(&fresh, NORMAL).unwrap();
        connection.busy_timeout(Duration::from_secs(60)).unwrap();
        for turn in 0..100 {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
            let row = (1_000 * (number + 1) + turn, 0, [0_u8; 600]);
            transaction.execute("INSERT INTO pair VALUES (?1, ?2, ?3)", row).unwrap();
            transaction.commit().unwrap();
            if turn % 25 == number {
                connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).unwrap();
            }
            let own = "SELECT count(*) FROM pair WHERE id / 1000 = ?1";
            let seen: u32 = connection.query_row(own, [number + 1], |row| row.get(0)).unwrap();
            assert_eq!(seen, turn + 1, "a connection reads what it wrote");
        }
    };
    // The table, and a connection that keeps the log from being deleted between two threads.
    let keeper = prepare(&fresh, NORMAL).unwrap();
    keeper.busy_timeout(Duration::from_secs(60)).unwrap();
    std::thread::scope(|scope| {
        for number in 0..3 {
            scope.spawn(move || writer(number));
        }
    });
    let count = |connection: &Connection| -> (u32, String) {
        let count = connection.query_row("SELECT count(*) FROM pair", [], |row| row.get(0)).unwrap();
        (count, connection.pragma_query_value(None, "integrity_check", |row| row.get(0)).unwrap())
    };
    assert_eq!(count(&keeper), (300, "ok".to_owned()));
    assert!(fresh.machine.image().contains_key("script.db-wal"));
    drop(keeper);
    let left: Vec<String> = fresh.machine.image().into_keys().collect();
    assert_eq!(left, ["script.db"], "the last to close copies the log back and deletes it");
    assert_eq!(count(&fresh.open().unwrap()), (300, "ok".to_owned()));
    assert!(!fresh.folder.exists(), "nothing of it is on a real disk");
}

/// Runs the script with a crash at every operation in every way, `seeds` times, then once more with a second crash
/// while the database recovers. Returns what the disks counted and how many runs missed a commit that succeeded.
fn crash_everywhere(name: &str, mode: Mode, loss: Loss, seeds: u64) -> (Counters, u64) {
    let fresh = Fresh::new(name);
    assert_eq!(run(&fresh, mode), Told { tried: COMMITS, done: ALL, failures: 0 });
    let operations = fresh.machine.counters().operations;
    drop(fresh);
    let (mut counters, mut missing) = (Counters::default(), 0);
    for seed in 0..seeds {
        for operation in 0..operations {
            for moment in Moment::ALL {
                let fresh = Fresh::new(name);
                let place = format!("{mode:?} {loss:?} seed {seed}, {moment:?} operation {operation}");
                fresh
                    .machine
                    .set_faults(Faults { crash: Some(Crash { operation, moment }), ..Faults::default() });
                let told = run(&fresh, mode);
                assert!(fresh.machine.is_crashed(), "{place}");
                let mut chance =
                    chance(seed * 1_000_003 + operation * 3 + u64::from(moment == Moment::After));
                fresh.machine.power_cycle(loss, &mut chance);
                let again = Crash { operation: chance(8), moment: Moment::ALL[usize::from(seed % 3 == 0)] };
                fresh.machine.set_faults(Faults { crash: Some(again), ..Faults::default() });
                let _ = found(&fresh);
                fresh.machine.power_cycle(loss, &mut chance);
                let found = found(&fresh);
                assert!(found.is_ok(), "{place}: {found:?}");
                let found = found.unwrap_or_default();
                assert!((found + 2).is_power_of_two() || found == 0, "{place}: a gap in {found:b}");
                assert_eq!(found & !((1 << (told.tried + 1)) - 1), 0, "{place}: {found:b} from nowhere");
                missing += u64::from(told.done & !found != 0);
                counters.add(&fresh.machine.counters());
            }
        }
    }
    (counters, missing)
}

/// No commit that succeeded is ever missing.
fn survives(rows: &[(&str, Mode, Loss)]) {
    for (name, mode, loss) in rows {
        let (counters, missing) = crash_everywhere(name, *mode, *loss, 1);
        assert_eq!(missing, 0, "{mode:?} {loss:?}");
        assert!(counters.crashes > 300 && counters.torn > 0, "{mode:?} {loss:?}: {counters:?}");
        assert_eq!(counters.lost > 0, *loss == Loss::Power, "{mode:?} {loss:?}: {counters:?}");
    }
}

#[test]
fn a_commit_survives_the_process_in_every_mode() {
    survives(&[
        ("full-process", FULL, Loss::Process),
        ("normal-process", NORMAL, Loss::Process),
        ("off-process", OFF, Loss::Process),
        ("journal-process", JOURNAL_FULL, Loss::Process),
    ]);
}

#[test]
fn a_commit_that_was_synced_survives_the_power() {
    survives(&[("full-power", FULL, Loss::Power), ("extra-power", JOURNAL_EXTRA, Loss::Power)]);
}

/// The disk is worth something only if it shows what SQLite's manual says is not safe.
#[test]
fn a_commit_that_was_not_synced_is_lost_at_times_and_the_database_never_damaged() {
    let (counters, missing) = crash_everywhere("normal-power", NORMAL, Loss::Power, 1);
    assert!(missing > 0, "a log that is not synced loses commits: {counters:?}");
    // In this mode a commit is the deletion of a file, which only EXTRA makes durable.
    let (counters, missing) = crash_everywhere("journal-power", JOURNAL_FULL, Loss::Power, 1);
    assert!(missing > 0 && counters.undone > 0, "{counters:?}");
}

#[test]
fn without_syncs_a_loss_of_power_loses_commits_or_damages_the_database() {
    let (mut missing, mut damaged) = (0, 0);
    for seed in 0..200 {
        let fresh = Fresh::new("off");
        let mut connection = prepare(&fresh, OFF).unwrap();
        for number in 1..=COMMITS {
            commit(&mut connection, number).unwrap();
        }
        fresh.machine.crash();
        drop(connection);
        fresh.machine.power_cycle(Loss::Power, &mut chance(seed));
        match found(&fresh) {
            Ok(found) => missing += u64::from(found != ALL),
            Err(_) => damaged += 1,
        }
    }
    assert!(missing > 20, "{missing} runs missed a commit");
    assert!(damaged > 20, "{damaged} databases were damaged: checkpoints were not synced either");
}

/// Plans of one error each, at every read, write and sync of the script.
fn plans(counters: &Counters) -> Vec<(String, Faults)> {
    let plan = |what: &str, number: u64, faults: Faults| (format!("{what} {number}"), faults);
    let mut plans = Vec::new();
    for number in 0..counters.reads {
        let faults = Faults { failing_reads: vec![number], ..Faults::default() };
        plans.push(plan("read", number, faults));
    }
    for number in 0..counters.writes + counters.truncations {
        let faults = Faults { failing_writes: vec![number], ..Faults::default() };
        plans.push(plan("write", number, faults));
    }
    for number in 0..counters.syncs {
        let faults = Faults { failing_syncs: vec![number], ..Faults::default() };
        plans.push(plan("sync", number, faults));
    }
    plans
}

#[test]
fn an_error_is_told_and_nothing_that_succeeded_is_lost() {
    for (mode, loss) in [(FULL, Loss::Process), (FULL, Loss::Power), (JOURNAL_EXTRA, Loss::Power)] {
        let fresh = Fresh::new("errors");
        run(&fresh, mode);
        let plans = plans(&fresh.machine.counters());
        drop(fresh);
        let (mut failures, mut counters) = (0, Counters::default());
        for (seed, (place, faults)) in (0_u64..).zip(plans) {
            let fresh = Fresh::new("errors");
            fresh.machine.set_faults(faults);
            let told = run(&fresh, mode);
            fresh.machine.power_cycle(loss, &mut chance(seed));
            let found = found(&fresh).unwrap_or_else(|damage| panic!("{mode:?} {place}: {damage}"));
            assert_eq!(told.done & !found, 0, "{mode:?} {place}: lost of {told:?}");
            failures += told.failures;
            counters.add(&fresh.machine.counters());
        }
        let delivered = [counters.read_errors, counters.write_errors, counters.sync_errors];
        assert!(delivered.iter().all(|count| *count > 0), "{counters:?}");
        assert!(failures > 50, "errors of the disk are told: {failures}");
    }
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    let mut refused = Counters::default();
    for capacity in (0..80_000).step_by(2_777) {
        for mode in [FULL, JOURNAL_EXTRA] {
            let fresh = Fresh::new("full");
            fresh.machine.set_faults(Faults { capacity: Some(capacity), ..Faults::default() });
            let told = run(&fresh, mode);
            let size: usize = fresh.machine.image().values().map(Vec::len).sum();
            assert!(size <= usize::try_from(capacity).unwrap(), "{capacity}");
            refused.add(&fresh.machine.counters());
            assert_eq!(told.failures > 0, fresh.machine.counters().full > 0, "{mode:?} {capacity}: {told:?}");
            fresh.machine.set_faults(Faults::default());
            let before = found(&fresh).unwrap();
            assert_eq!(before, told.done, "{mode:?} {capacity}");
            let mut connection = prepare(&fresh, mode).unwrap();
            commit(&mut connection, COMMITS + 1).unwrap();
            drop(connection);
            assert_eq!(found(&fresh).unwrap(), before | 1 << (COMMITS + 1), "{mode:?} {capacity}");
        }
    }
    assert!(refused.full > 50, "{refused:?}");
}

#[test]
fn a_log_that_is_cut_anywhere_leaves_a_prefix_of_the_commits() {
    let fresh = Fresh::new("cut");
    let mut connection = prepare(&fresh, FULL).unwrap();
    connection.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    for number in 1..=3 {
        commit(&mut connection, number).unwrap();
    }
    let image = fresh.machine.image();
    fresh.machine.crash();
    drop(connection);
    let whole = image.get("script.db-wal").unwrap().len();
    let mut seen = Vec::new();
    for length in (0..=whole).rev().step_by(97) {
        let mut cut = image.clone();
        cut.get_mut("script.db-wal").unwrap().truncate(length);
        fresh.machine.load(cut);
        seen.push(found(&fresh).unwrap());
    }
    assert!(seen.is_sorted_by(|longer, shorter| longer >= shorter), "{seen:?}");
    seen.dedup();
    assert_eq!(seen, [0b1110, 0b110, 0b10, 0]);
}

/// A dead process can do nothing, not even when a new one has started on its disk.
#[test]
fn handles_of_a_dead_process_stay_dead() {
    let fresh = Fresh::new("dead");
    let mut old = prepare(&fresh, FULL).unwrap();
    commit(&mut old, 1).unwrap();
    fresh.machine.crash();
    assert!(fresh.open().is_err() || found(&fresh).is_err());
    fresh.machine.power_cycle(Loss::Process, &mut chance(1));
    assert!(commit(&mut old, 2).is_err());
    let mut new = prepare(&fresh, FULL).unwrap();
    commit(&mut new, 2).unwrap();
    drop(old);
    commit(&mut new, 3).unwrap();
    drop(new);
    assert_eq!(found(&fresh).unwrap(), 0b1110);
}
