//! Copying the write-ahead log back into the database, beside the writer.
//!
//! The copy takes tens of milliseconds, during which the writer would answer nobody. So a thread with a connection of
//! its own does it a piece at a time, and the little that is left when the log is long is copied by the writer itself,
//! which alone can start the log anew.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use crate::{StoreError, schema};

/// Busy commits between two rounds. A quiet gateway asks for none: its log grows slowly, and a round beside it was
/// measured to slow each call by a third.
const ROUND_COMMITS: u64 = 256;

/// The handle to the thread. Dropping it lets the round in hand end.
pub(crate) struct Checkpointer {
    rounds: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    commits: u64,
    /// Set when a round failed.
    failed: Arc<AtomicBool>,
}

impl Checkpointer {
    pub(crate) fn start(path: &Path) -> Result<Self, StoreError> {
        let connection = schema::open_for_checkpoints(path)?;
        let (rounds, asked) = sync_channel(1);
        let failed = Arc::new(AtomicBool::new(false));
        let noticed = Arc::clone(&failed);
        let body = move || {
            for () in asked {
                match copy(&connection) {
                    Ok(()) => {}
                    // There may be room again the next time; nothing was lost.
                    Err(error) if is_passing(&error) => {
                        tracing::warn!(%error, "the log could not be copied back");
                    }
                    Err(error) => {
                        tracing::error!(%error, "the log could not be copied back");
                        noticed.store(true, Ordering::Release);
                        return;
                    }
                }
            }
        };
        let thread = std::thread::Builder::new().name("checkpoint".to_owned()).spawn(body);
        Ok(Self {
            rounds: Some(rounds),
            thread: Some(thread.map_err(StoreError::Thread)?),
            commits: 0,
            failed,
        })
    }

    /// Whether a round failed. Nobody knows then what of the log is on the disk, and a later sync need not tell: after a
    /// failed one the system may think of the lost pages as written. As at a commit, only a restart may look.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Waits for the round in hand; whether one failed.
    pub(crate) fn end(self) -> bool {
        let failed = Arc::clone(&self.failed);
        drop(self);
        failed.load(Ordering::Acquire)
    }

    /// Counts a busy commit, and asks for a round when it is time. Never waits.
    pub(crate) fn committed(&mut self) {
        self.commits += 1;
        if self.commits.is_multiple_of(ROUND_COMMITS)
            && let Some(rounds) = &self.rounds
        {
            // A round that is under way or asked for is as good as another.
            let _ = rounds.try_send(());
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.rounds = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the checkpoint thread ended in a panic");
        }
    }
}

/// Whether a round that failed so says nothing about what is on the disk.
pub(crate) fn is_passing(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull};
    matches!(error.sqlite_error_code(), Some(DiskFull | DatabaseBusy | DatabaseLocked))
}

/// One round: copies what it can without making anybody wait.
pub(crate) fn copy(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}
