//! Opening the database: settings, and the migrations that bring an older one up to date.

use std::cmp::Ordering;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::{Durability, StoreError};

/// Every migration ever, in order. A published one is never edited; the database's `user_version` counts them.
const MIGRATIONS: &[&str] = &[include_str!("../migrations/0001_init.sql")];

/// Opens the writer's connection, making and migrating the database as needed.
pub(crate) fn open_for_writing(path: &Path, durability: Durability) -> Result<Connection, StoreError> {
    let mut connection = Connection::open(path)?;
    copies_at_close(&connection, false)?;
    // A reader never holds the writer up for long, but a person with a shell might: wait for them, then fail the batch.
    connection.busy_timeout(Duration::from_secs(5))?;
    // FULL syncs the log on every commit; NORMAL only when it is copied back, which a kill -9 survives.
    let synchronous = match durability {
        Durability::Power => "FULL",
        Durability::Process => "NORMAL",
    };
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    migrate(&mut connection)?;
    // Asked only now, after a real statement: an error while the mode changed is reported by nobody, and a rollback
    // journal does not keep what `synchronous = FULL` promises here.
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if mode.eq_ignore_ascii_case("wal") { Ok(connection) } else { Err(StoreError::NoLog(mode)) }
}

/// Opens a connection that copies the log back and does nothing else.
pub(crate) fn open_for_checkpoints(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path)?;
    copies_at_close(&connection, false)?;
    // The log must be on the disk before the database takes from it, whatever commits wait for.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(connection)
}

/// Whether the log is copied back when this connection is the last to close: only one that ended well may. After a failed
/// sync the system may think of lost pages as written; a copy would take from a log that is not on the disk, and a loss of
/// power in it leaves a database that is neither.
pub(crate) fn copies_at_close(connection: &Connection, copies: bool) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !copies).map(drop)
}

/// Opens a connection that can only read.
pub(crate) fn open_for_reading(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.pragma_update(None, "query_only", true)?;
    let found = match user_version(&connection) {
        Err(StoreError::Sqlite(error)) if is_half_done(&error) => {
            roll_back(path)?;
            user_version(&connection)?
        }
        found => found?,
    };
    let known = known_version();
    match found.cmp(&known) {
        Ordering::Equal => Ok(connection),
        Ordering::Less => Err(StoreError::TooOld { found, known }),
        Ordering::Greater => Err(StoreError::TooNew { found, known }),
    }
}

/// Whether somebody died in the middle of a change, which whoever comes next must undo before anything can be read. A
/// gateway never leaves this, since it keeps a log; a restore does that is killed while it merges the old log.
fn is_half_done(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    matches!(code, Some(rusqlite::ffi::SQLITE_READONLY_ROLLBACK | rusqlite::ffi::SQLITE_READONLY_RECOVERY))
}

/// Undoes a change in the middle of which somebody died: SQLite does it by itself for whoever may write.
fn roll_back(path: &Path) -> Result<(), StoreError> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    user_version(&connection).map(drop)
}

/// Brings the schema up to date and marks the start, which commits and so syncs: what a dead process had committed and not
/// yet synced becomes durable before anybody reads it and relies on it.
///
/// The mark is one that no other start has. After a loss of power the log may have a hole with good pages behind it, and
/// a page of the log is good if its checksum fits those of all before it. Would this start write what the one before it
/// wrote, it would fill the hole, and what is lost and by now has been seen to be lost would be back at the next start.
fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = user_version(&transaction)?;
    let applied = usize::try_from(found).unwrap_or(usize::MAX);
    let pending = MIGRATIONS.get(applied..).ok_or(StoreError::TooNew { found, known: known_version() })?;
    for migration in pending {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", known_version())?;
    transaction.execute("INSERT OR REPLACE INTO start (id, mark) VALUES (1, randomblob(16))", [])?;
    transaction.commit()?;
    Ok(())
}

fn user_version(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

fn known_version() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_died_in_the_middle_of_a_change_leaves_what_was_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("whole.db");
        let connection = open_for_writing(&path, Durability::Process).unwrap();
        connection.pragma_update(None, "journal_mode", "DELETE").unwrap();
        // With no room in memory the pages of a change reach the file before its end, as its journal does.
        connection.pragma_update(None, "cache_size", 1).unwrap();
        connection.execute_batch("BEGIN; PRAGMA user_version = 99;").unwrap();
        for number in 0..2_000_i64 {
            let sql =
                "INSERT INTO event (organization, at, detail) VALUES (zeroblob(16), ?1, hex(zeroblob(500)))";
            connection.execute(sql, [number]).unwrap();
        }
        let dead = folder.path().join("dead.db");
        std::fs::copy(&path, &dead).unwrap();
        std::fs::copy(folder.path().join("whole.db-journal"), folder.path().join("dead.db-journal")).unwrap();
        let read = open_for_reading(&dead).unwrap();
        assert_eq!((events(&read), user_version(&read).unwrap()), (0, known_version()));
    }

    #[test]
    fn what_a_loss_of_power_took_never_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second, third, fourth] =
            ["1.db", "2.db", "3.db", "4.db"].map(|name| folder.path().join(name));
        let open = |path: &Path| open_for_writing(path, Durability::Process).unwrap();
        let log = |path: &Path| std::fs::read(path.with_extension("db-wal")).unwrap();
        kill(&open(&first), &second);
        // A start upon the log of a dead process, a commit, and a loss of power: all of the log is saved but for what the
        // start wrote.
        let dead = log(&second).len();
        let living = open(&second);
        let start = log(&second).len();
        living.execute("INSERT INTO event (organization, at, detail) VALUES (x'00', 0, '{}')", []).unwrap();
        kill(&living, &third);
        let mut torn = log(&third);
        torn[dead..start].fill(0);
        std::fs::write(third.with_extension("db-wal"), torn).unwrap();
        // The next start does not find the commit. The one after it, nothing having happened, neither.
        let living = open(&third);
        assert_eq!(events(&living), 0);
        kill(&living, &fourth);
        assert_eq!(events(&open(&fourth)), 0);
    }

    /// A store that stopped because something failed must not copy its log back as it ends.
    #[test]
    fn only_what_ended_well_is_copied_back() {
        for ended_well in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("1.db");
            let living = open_for_writing(&path, Durability::Process).unwrap();
            living
                .execute("INSERT INTO event (organization, at, detail) VALUES (x'00', 0, '{}')", [])
                .unwrap();
            let before = std::fs::read(&path).unwrap();
            if ended_well {
                copies_at_close(&living, true).unwrap();
            }
            drop(living);
            assert_eq!(std::fs::read(&path).unwrap() != before, ended_well);
            assert_eq!(path.with_extension("db-wal").exists(), !ended_well);
            // Either way nothing that was committed is lost.
            assert_eq!(events(&open_for_writing(&path, Durability::Process).unwrap()), 1);
        }
    }

    /// Copies a living database as a kill would leave it.
    fn kill(living: &Connection, to: &Path) {
        let path = Path::new(living.path().unwrap());
        for kind in ["db", "db-wal"] {
            std::fs::copy(path.with_extension(kind), to.with_extension(kind)).unwrap();
        }
    }

    fn events(connection: &Connection) -> i64 {
        connection.query_row("SELECT count(*) FROM event", [], |row| row.get(0)).unwrap()
    }
}
