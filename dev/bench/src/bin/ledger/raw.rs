//! The engine alone: one thread, one connection, one row a command, one transaction for all that is waiting.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use rusqlite::Connection;
use store::Durability;
use tokio::sync::oneshot;

use crate::{Outcome, rate_of};

const ROW: [u8; 300] = [7; 300];
/// As in the ledger's writer: so many commands at most share a transaction.
const BATCH: usize = 512;

type Job = oneshot::Sender<()>;

pub(crate) struct Raw {
    queue: SyncSender<Job>,
}

impl Raw {
    pub(crate) fn open(folder: &Path, durability: Durability) -> Outcome<Self> {
        let connection = Connection::open(folder.join("raw.db"))?;
        let synchronous = match durability {
            Durability::Power => "FULL",
            Durability::Process => "NORMAL",
        };
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", synchronous)?;
        // As the ledger's log.
        connection.pragma_update(None, "wal_autocheckpoint", 4_000)?;
        connection.execute_batch(
            "CREATE TABLE row (owner BLOB NOT NULL, number INTEGER NOT NULL, data BLOB NOT NULL,
               PRIMARY KEY (owner, number)) STRICT, WITHOUT ROWID",
        )?;
        let (queue, jobs) = sync_channel(8_192);
        std::thread::Builder::new().name("raw".to_owned()).spawn(move || {
            if let Err(error) = write(&connection, &jobs) {
                eprintln!("the raw writer ended: {error}");
            }
        })?;
        Ok(Self { queue })
    }

    pub(crate) fn rate(&self, in_flight: usize, window: Duration) -> Outcome<u64> {
        let one = async || -> Outcome<()> {
            let (sender, receiver) = oneshot::channel();
            self.queue.try_send(sender)?;
            Ok(receiver.await?)
        };
        rate_of(in_flight, window, std::future::pending(), |_| async {
            one().await?;
            one().await
        })
    }
}

fn write(connection: &Connection, jobs: &Receiver<Job>) -> rusqlite::Result<()> {
    let mut begin = connection.prepare("BEGIN IMMEDIATE")?;
    let mut insert = connection.prepare("INSERT INTO row (owner, number, data) VALUES (?1, ?2, ?3)")?;
    let mut commit = connection.prepare("COMMIT")?;
    let mut number = 0_i64;
    let mut answers = Vec::new();
    while let Ok(first) = jobs.recv() {
        begin.execute([])?;
        answers.push(first);
        while answers.len() < BATCH
            && let Ok(next) = jobs.try_recv()
        {
            answers.push(next);
        }
        for _ in &answers {
            number += 1;
            insert.execute(rusqlite::params![[1_u8; 16], number, ROW])?;
        }
        commit.execute([])?;
        for answer in answers.drain(..) {
            // Whoever no longer waits has stopped measuring.
            let _ = answer.send(());
        }
    }
    Ok(())
}
