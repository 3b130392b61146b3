//! Copying the write-ahead log back into the database, beside the writer.
//!
//! The copy takes tens of milliseconds, during which the writer would answer nobody. So a thread with a connection of
//! its own does it a piece at a time. The log is started anew by the commit that finds all of it copied; beside a busy
//! writer that never happens, so once the log is long the writer waits for the little that is left.
//!
//! Nobody else copies: SQLite does it by itself at commits if it is let, and tells nobody when it fails.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use crate::{StoreError, schema};

/// Busy commits between two rounds. A quiet gateway asks for none: its log grows slowly, and a round beside it was
/// measured to slow each call by a third.
const ROUND_COMMITS: u64 = 256;

/// Pages in the log (16 MB) at which the writer waits for the rest to be copied, so that the log starts anew. Writing
/// over a file's pages is cheaper than making it longer, so the log is kept short.
const LOG_PAGES_MAX: i32 = 4_000;

/// A round that is asked for, and who waits for its end.
type Round = Option<SyncSender<()>>;

/// The handle to the thread. Dropping it lets the round in hand end.
pub(crate) struct Checkpointer {
    rounds: Option<SyncSender<Round>>,
    thread: Option<JoinHandle<()>>,
    commits: u64,
    /// Pages in the log after the last commit.
    log_pages: Arc<AtomicI32>,
    /// Set when a round failed.
    failed: Arc<AtomicBool>,
}

impl Checkpointer {
    /// Starts the thread for the database at `path`, which `writer` alone writes to.
    pub(crate) fn start(path: &Path, writer: &mut Connection) -> Result<Self, StoreError> {
        let connection = schema::open_for_checkpoints(path)?;
        let log_pages = Arc::new(AtomicI32::new(0));
        let counted = Arc::clone(&log_pages);
        writer.wal_hook(Some(move |_: &mut _, pages| {
            counted.store(pages, Ordering::Relaxed);
            Ok(())
        }))?;
        let (rounds, asked) = sync_channel::<Round>(1);
        let failed = Arc::new(AtomicBool::new(false));
        let noticed = Arc::clone(&failed);
        let body = move || {
            // Who waits for a round is let go by its end, whatever it was.
            for _waits in asked {
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
            log_pages,
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

    /// Counts a commit, and asks for a round when it is time. Waits only when the log is long.
    pub(crate) fn committed(&mut self, busy: bool) {
        let Some(rounds) = &self.rounds else { return };
        if self.log_pages.load(Ordering::Relaxed) >= LOG_PAGES_MAX {
            let (done, end) = sync_channel(0);
            // The thread is gone if a round failed, which the next batch is stopped by.
            if rounds.send(Some(done)).is_ok() {
                let _ = end.recv();
            }
            return;
        }
        self.commits += u64::from(busy);
        if busy && self.commits.is_multiple_of(ROUND_COMMITS) {
            // A round that is under way or asked for is as good as another.
            let _ = rounds.try_send(None);
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
