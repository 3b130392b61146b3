//! A short life of a database, and what must be left of it after any death.
#![expect(clippy::unwrap_used, reason = "a step that fails where it may not is a test that fails")]

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Error, Result, params};
use tollkeeper_disk::{Disk, Machine, install};

/// Transactions of the script.
pub(crate) const COMMITS: u32 = 6;

/// A database of its own, in a folder that exists on the failing disk only.
pub(crate) struct Fresh {
    pub(crate) disk: &'static Disk,
    pub(crate) folder: PathBuf,
    pub(crate) machine: Machine,
}

impl Fresh {
    pub(crate) fn new(name: &str) -> Self {
        let disk = install(1);
        let folder = Path::new("/failing").join(name);
        disk.discard(&folder);
        Self { disk, machine: disk.machine(&folder), folder }
    }

    pub(crate) fn open(&self) -> Result<Connection> {
        Connection::open(self.folder.join("script.db"))
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        self.disk.discard(&self.folder);
    }
}

/// A source of chance: the same series for the same seed.
pub(crate) fn chance(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move |bound| {
        // Xorshift: plain, and good enough to toss coins with.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) % bound
    }
}

/// How the script's database is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode {
    pub(crate) journal: &'static str,
    pub(crate) synchronous: &'static str,
}

/// What the script was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// The last commit that was tried.
    pub(crate) tried: u32,
    /// Commits that succeeded, one bit each.
    pub(crate) done: u32,
    /// Steps that failed.
    pub(crate) failures: u32,
}

/// Every step of the script, whatever becomes of the one before.
pub(crate) fn run(fresh: &Fresh, mode: Mode) -> Told {
    let mut told = Told::default();
    let Ok(mut connection) = prepare(fresh, mode) else {
        told.failures += 1;
        return told;
    };
    for number in 1..=COMMITS {
        told.tried = number;
        match commit(&mut connection, number) {
            Ok(()) => told.done |= 1 << number,
            Err(_) => told.failures += 1,
        }
    }
    drop(connection);
    told
}

pub(crate) fn prepare(fresh: &Fresh, mode: Mode) -> Result<Connection> {
    let connection = fresh.open()?;
    connection.pragma_update(None, "journal_mode", mode.journal)?;
    connection.pragma_update(None, "synchronous", mode.synchronous)?;
    // A checkpoint every few commits, so that the script has some.
    connection.pragma_update(None, "wal_autocheckpoint", 8)?;
    connection.pragma_update(None, "cache_size", 6)?;
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS pair (id INTEGER, half INTEGER, filling BLOB, PRIMARY KEY (id, half));",
    )?;
    // An I/O error in the switch leaves the old mode. SQLite tells, but after a first row that rusqlite stops at.
    let journal: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if journal.eq_ignore_ascii_case(mode.journal) { Ok(connection) } else { Err(Error::InvalidQuery) }
}

/// One transaction of two rows, of a page or so each, and a change of an earlier row.
pub(crate) fn commit(connection: &mut Connection, number: u32) -> Result<()> {
    let transaction = connection.transaction()?;
    for half in 0..2 {
        transaction
            .execute("INSERT INTO pair VALUES (?1, ?2, ?3)", params![number, half, filling(number)])?;
    }
    transaction
        .execute("UPDATE pair SET filling = ?2 WHERE id = ?1", params![number - 1, filling(number)])?;
    transaction.commit()
}

fn filling(number: u32) -> Vec<u8> {
    let byte = u8::try_from(number).unwrap();
    vec![byte; 900 + 700 * usize::from(byte)]
}

/// The commits that a database holds, one bit each. Fails if it is damaged or holds a part of a commit.
pub(crate) fn found(fresh: &Fresh) -> std::result::Result<u32, String> {
    let text = |error: rusqlite::Error| error.to_string();
    let connection = fresh.open().map_err(text)?;
    let whole: String =
        connection.pragma_query_value(None, "integrity_check", |row| row.get(0)).map_err(text)?;
    if whole != "ok" {
        return Err(whole);
    }
    let tables: u32 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(text)?;
    if tables == 0 {
        return Ok(0);
    }
    let mut statement =
        connection.prepare("SELECT id, half, filling FROM pair ORDER BY id, half").map_err(text)?;
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let rows: Vec<(u32, u32, Vec<u8>)> =
        statement.query_map([], row).map_err(text)?.collect::<Result<_>>().map_err(text)?;
    let mut commits = 0;
    for (id, half, bytes) in &rows {
        let next = commits_has(&rows, id + 1);
        if *bytes != filling(if next { id + 1 } else { *id }) || rows.len() % 2 == 1 || *half > 1 {
            return Err(format!(
                "half a commit: row {id}/{half} of {} with {} bytes",
                rows.len(),
                bytes.len()
            ));
        }
        commits |= 1 << id;
    }
    Ok(commits)
}

fn commits_has(rows: &[(u32, u32, Vec<u8>)], id: u32) -> bool {
    rows.iter().any(|row| row.0 == id)
}
