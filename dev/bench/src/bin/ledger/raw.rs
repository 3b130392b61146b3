//! The engine alone: one thread, one connection, one transaction for all that is waiting, and no rules.

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use rusqlite::{Connection, PrepFlags, Statement, params};
use store::Durability;
use tokio::sync::oneshot;

use crate::{Outcome, rate_of};

const ROW: [u8; 300] = [7; 300];
/// As in the ledger's writer: so many commands at most share a transaction.
const BATCH: usize = 512;
/// The ledger's own tables.
const SCHEMA: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/store/migrations/0001_init.sql"));
const OWNER: [u8; 16] = [1; 16];

/// What a pair of commands writes.
#[derive(Clone, Copy)]
pub(crate) enum Rows {
    /// A row of 300 bytes for each command.
    One,
    /// What the ledger writes for a hold and its settlement, into its own tables: the same rows of the same sizes, made
    /// of nothing.
    Ledger,
}

/// One step of the writer.
#[derive(Clone, Copy)]
enum Step {
    /// The first command of this pair.
    First(i64),
    /// The second command of this pair.
    Second(i64),
    /// The end of the transaction.
    End,
}

type Job = (Step, oneshot::Sender<()>);

pub(crate) struct Raw {
    queue: SyncSender<Job>,
    pairs: AtomicI64,
}

impl Raw {
    pub(crate) fn open(folder: &Path, durability: Durability, rows: Rows) -> Outcome<Self> {
        let connection = Connection::open(folder.join("raw.db"))?;
        let synchronous = match durability {
            Durability::Power => "FULL",
            Durability::Process => "NORMAL",
        };
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", synchronous)?;
        // As the ledger's log.
        connection.pragma_update(None, "wal_autocheckpoint", 4_000)?;
        let (queue, jobs) = sync_channel(8_192);
        std::thread::Builder::new().name("raw".to_owned()).spawn(move || {
            let ended = match rows {
                Rows::One => one_row(&connection).and_then(|mut step| write(&connection, &jobs, &mut step)),
                Rows::Ledger => {
                    ledger_rows(&connection).and_then(|mut step| write(&connection, &jobs, &mut step))
                }
            };
            if let Err(error) = ended {
                eprintln!("the raw writer ended: {error}");
            }
        })?;
        Ok(Self { queue, pairs: AtomicI64::new(1) })
    }

    pub(crate) fn rate(&self, in_flight: usize, window: Duration) -> Outcome<u64> {
        let one = async |step: Step| -> Outcome<()> {
            let (sender, receiver) = oneshot::channel();
            self.queue.try_send((step, sender))?;
            Ok(receiver.await?)
        };
        rate_of(in_flight, window, std::future::pending(), |_| async {
            let pair = self.pairs.fetch_add(1, Ordering::Relaxed);
            one(Step::First(pair)).await?;
            one(Step::Second(pair)).await
        })
    }
}

fn write(
    connection: &Connection,
    jobs: &Receiver<Job>,
    step: &mut dyn FnMut(Step) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut begin = prepare(connection, "BEGIN IMMEDIATE")?;
    let mut commit = prepare(connection, "COMMIT")?;
    let mut answers = Vec::new();
    while let Ok(first) = jobs.recv() {
        begin.execute([])?;
        let mut next = Some(first);
        while let Some((job, answer)) = next.take() {
            step(job)?;
            answers.push(answer);
            if answers.len() < BATCH {
                next = jobs.try_recv().ok();
            }
        }
        step(Step::End)?;
        commit.execute([])?;
        for answer in answers.drain(..) {
            // Whoever no longer waits has stopped measuring.
            let _ = answer.send(());
        }
    }
    Ok(())
}

/// As the ledger's writer prepares what it keeps.
fn prepare<'c>(connection: &'c Connection, sql: &str) -> rusqlite::Result<Statement<'c>> {
    connection.prepare_with_flags(sql, PrepFlags::SQLITE_PREPARE_PERSISTENT)
}

fn one_row(connection: &Connection) -> rusqlite::Result<impl FnMut(Step) -> rusqlite::Result<()>> {
    connection.execute_batch(
        "CREATE TABLE row (owner BLOB NOT NULL, number INTEGER NOT NULL, data BLOB NOT NULL,
           PRIMARY KEY (owner, number)) STRICT, WITHOUT ROWID",
    )?;
    let mut insert = prepare(connection, "INSERT INTO row (owner, number, data) VALUES (?1, ?2, ?3)")?;
    let mut number = 0_i64;
    Ok(move |step| {
        if !matches!(step, Step::End) {
            number += 1;
            insert.execute(params![OWNER, number, ROW])?;
        }
        Ok(())
    })
}

fn ledger_rows(connection: &Connection) -> rusqlite::Result<impl FnMut(Step) -> rusqlite::Result<()>> {
    open_books(connection)?;
    let mut hold = prepare(connection, "INSERT INTO hold VALUES (?1, ?2, 5000000, ?3, 20, 0, 1, ?4)")?;
    let mut ended = prepare(connection, "DELETE FROM hold WHERE organization = ?1 AND request = ?2")?;
    let mut entry = prepare(
        connection,
        "INSERT INTO journal VALUES (?1, ?2, ?3, 1, ?1, ?4, ?5, ?6, NULL, NULL, zeroblob(32))",
    )?;
    let mut row = prepare(connection,
        "INSERT INTO cost_row VALUES (?1, ?2, ?3, ?4, ?1, ?1, ?5, ?6, ?7, ?8, NULL, ?9, ?10, 'direct', 'organization', ?25,
           NULL, NULL, NULL, NULL, NULL, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, 0,
           ?25, ?26, NULL, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36, NULL, ?37)",
    )?;
    let mut wallet = prepare(
        connection,
        "UPDATE wallet SET balance = ?3, held = 0, debt = 0 WHERE organization = ?1 AND id = ?2",
    )?;
    let mut lot = prepare(
        connection,
        "UPDATE lot SET remaining = ?3, used = 1000000000 - ?3 WHERE organization = ?1 AND id = ?2",
    )?;
    let (shares, draft, legs) = ([1_u8; 24], [2_u8; 211], [3_u8; 34]);
    let mut left = 1_000_000_000_i64;
    Ok(move |step| {
        match step {
            Step::First(pair) => {
                hold.execute(params![OWNER, request_id(pair), shares, draft])?;
            }
            Step::Second(pair) => {
                left -= 1;
                ended.execute(params![OWNER, request_id(pair)])?;
                entry.execute(params![OWNER, pair, pair, request_id(pair), legs, left])?;
                insert_cost_row(&mut row, pair)?;
            }
            Step::End => {
                wallet.execute(params![OWNER, OWNER, left])?;
                lot.execute(params![OWNER, OWNER, left])?;
            }
        }
        Ok(())
    })
}

/// One organization with credit.
fn open_books(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(SCHEMA)?;
    connection.execute("INSERT INTO books VALUES (?1, 0)", [OWNER])?;
    connection.execute(
        "INSERT INTO wallet VALUES (?1, ?1, 0, '', NULL, '[]', 1, 'USD', 1000000000, 0, 0)",
        [OWNER],
    )?;
    connection.execute(
        "INSERT INTO lot VALUES (?1, ?1, ?1, 'prepaid', 1000000000, 1000000000, 0, 0, 0, 1, ?2, 0)",
        params![OWNER, i64::MAX],
    )?;
    Ok(())
}

fn insert_cost_row(row: &mut Statement<'_>, pair: i64) -> rusqlite::Result<()> {
    row.execute(params![
        OWNER,
        request_id(pair),
        1,
        pair,
        "prod",
        "small",
        "simulated/sim-small",
        "simulated",
        "2026-09-01",
        "standard",
        // What went in, fourteen kinds of usage in the order of their columns.
        1_200,
        300,
        0,
        0,
        0,
        0,
        250,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        1_234_567_000,
        1_234_567,
        "succeeded",
        "stop",
        false,
        200,
        false,
        1_500,
        5_000_000,
        None::<&str>,
        None::<&str>,
        None::<&str>,
        pair
    ])?;
    Ok(())
}

fn request_id(pair: i64) -> [u8; 16] {
    u128::try_from(pair).unwrap_or(0).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows stand beside the schema here, and a schema that grows leaves them behind.
    #[test]
    fn the_ledgers_rows_fit_its_tables() {
        let connection = Connection::open_in_memory().unwrap();
        let mut step = ledger_rows(&connection).unwrap();
        for one in [Step::First(1), Step::First(2), Step::Second(1), Step::End] {
            step(one).unwrap();
        }
        let count = |table: &str| -> i64 {
            connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
        };
        assert_eq!(["hold", "journal", "cost_row"].map(count), [1, 1, 1]);
    }
}
