//! The only SQL: every port of the product on SQLite.
//!
//! One writer thread owns the connection that writes and the books in memory. It takes what is queued, applies it
//! by the ledger's rules, saves it in one transaction, and answers when the transaction is durable. Readers have
//! connections of their own and never wait for the writer.

mod backup;
mod books;
mod checkpoint;
mod columns;
mod day_counts;
mod decisions;
mod directory_store;
pub mod draft;
mod figures;
mod folder;
mod inbox;
#[cfg(feature = "simulation")]
pub mod inline;
mod past;
mod payment_store;
mod reader;
mod schema;
mod statement;
mod statements;
mod unfreeze;
mod unsaved;
mod verify;
mod writer;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::Clock;

pub use backup::{Backup, BackupError, Head, Restored, backup, restore};
pub use day_counts::DayCount;
pub use decisions::{DecisionRecord, Decisions, FORGET_AT_ONCE};
pub use directory_store::{AuditFilter, AuditLine};
pub use figures::{CreditTotals, KeyCost, Spent};
pub use reader::{Balance, BookedEntry, BudgetRecord, PoolRecord, Reader, RequestRecord};
pub use statement::{BookingLine, Statement, StatementError, StatementItem, StatementLine, UsageLine};
pub use unfreeze::{UnfreezeError, unfreeze};
pub use verify::{Report, verify};
pub use writer::WriterFigures;

use checkpoint::Checkpointer;
use writer::{Desk, Writer};

const DATABASE: &str = "tollkeeper.db";

/// What an answered command survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// A loss of power: every commit reaches the disk before it is answered.
    #[default]
    Power,
    /// The death of the process (kill -9), but not a loss of power.
    Process,
}

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The data folder cannot be made or read.
    #[error("data folder {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process works in the folder.
    #[error("data folder {} is in use by another tollkeeper; stop it first or name another folder", .0.display())]
    InUse(PathBuf),
    /// There is no database in the folder.
    #[error("there is no tollkeeper.db in {}; name the data folder of a gateway", .0.display())]
    NoDatabase(PathBuf),
    /// The database was written by a newer version.
    #[error("the database has schema {found}, this program knows {known}; use a newer tollkeeper")]
    TooNew {
        /// What the database says.
        found: i64,
        /// What this program knows.
        known: i64,
    },
    /// The database was written by an older version.
    #[error("the database has schema {found}, this program knows {known}; start the gateway on it once")]
    TooOld {
        /// What the database says.
        found: i64,
        /// What this program knows.
        known: i64,
    },
    /// SQLite failed.
    #[error("database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The database does not take a write-ahead log.
    #[error(
        "the database keeps a journal in mode `{0}` and not a write-ahead log; is the disk a network share or full?"
    )]
    NoLog(String),
    /// The log could not be copied into the database.
    #[error("the log could not be copied back; the disk may be failing")]
    Checkpoint,
    /// A stored value is not what this program writes.
    #[error("database: unreadable {0}")]
    Unreadable(&'static str),
    /// The recovery of holds that a dead gateway left behind failed.
    #[error("recovery: {0}")]
    Recovery(String),
    /// The system gave no thread.
    #[error("cannot start the writer: {0}")]
    Thread(std::io::Error),
}

impl StoreError {
    /// Whether what is stored is at fault, and not the disk or the machine: doing the same again cannot help.
    pub(crate) fn is_of_the_data(&self) -> bool {
        match self {
            Self::Unreadable(_) | Self::Recovery(_) => true,
            Self::Sqlite(
                rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::Utf8Error(..),
            ) => true,
            Self::Sqlite(error) => {
                error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation)
            }
            Self::Folder { .. }
            | Self::InUse(_)
            | Self::NoDatabase(_)
            | Self::TooNew { .. }
            | Self::TooOld { .. }
            | Self::NoLog(_)
            | Self::Checkpoint
            | Self::Thread(_) => false,
        }
    }
}

/// The store of one gateway: a folder with `tollkeeper.db` in it, locked while open.
pub struct Store {
    writer: Arc<Writer>,
    reader: Arc<Reader>,
    recovered: usize,
    events_before: i64,
    // Held for its lock, which the system drops with the process however that ends.
    _lock: File,
}

impl Store {
    /// Opens or makes the store in `folder`, settles what a dead gateway left held, and starts the writer.
    ///
    /// # Errors
    /// When the folder is unusable or in use, or the database is damaged or too new.
    pub fn open(folder: &Path, durability: Durability, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let lock = folder::lock(folder)?;
        let path = database_path(folder);
        // SQLite makes its other files like this one.
        folder::private_file(folder, DATABASE)?;
        folder::renew_log(folder)?;
        let mut connection = schema::open_for_writing(&path, durability)?;
        let events_before =
            connection.query_row("SELECT coalesce(max(id), 0) FROM event", [], |row| row.get(0))?;
        let recovered = books::recover(&connection, clock.as_ref())?;
        let checkpointer = Checkpointer::start(&path, &mut connection)?;
        let writer = Arc::new(Writer::start(connection, checkpointer, clock)?);
        let reader = Arc::new(Reader::new(path));
        Ok(Self { writer, reader, recovered, events_before, _lock: lock })
    }

    /// The ledger's port.
    pub fn ledger(&self) -> Arc<dyn ledger::LedgerStore> {
        Arc::clone(&self.writer) as Arc<dyn ledger::LedgerStore>
    }

    /// The ledger's port for one thread, whose answers come by way of its postbox.
    pub fn ledger_at(&self, postbox: Arc<ledger::Postbox>) -> Arc<dyn ledger::LedgerStore> {
        Arc::new(Desk::new(Arc::clone(&self.writer), postbox))
    }

    /// The directory's port.
    pub fn directory(&self) -> Arc<dyn directory::DirectoryStore> {
        Arc::clone(&self.writer) as Arc<dyn directory::DirectoryStore>
    }

    /// Keeps what was used of a day's rate limits, and waits, on this thread, until that is durable.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub fn save_day_counts(&self, counts: Vec<DayCount>) -> Result<(), directory::StoreError> {
        self.writer.write_directory(directory_store::DirectoryWrite::DayCounts(counts))
    }

    /// The port to payments.
    pub fn payments(&self) -> Arc<dyn payments::PaymentStore> {
        Arc::new(payment_store::Till::new(Arc::clone(&self.writer), Arc::clone(&self.reader)))
    }

    /// The way for decisions about requests.
    pub fn decisions(&self) -> Decisions {
        Decisions::new(Arc::clone(&self.writer))
    }

    /// The queries.
    pub fn reader(&self) -> Arc<Reader> {
        Arc::clone(&self.reader)
    }

    /// What the writer has done so far.
    pub fn figures(&self) -> WriterFigures {
        self.writer.figures()
    }

    /// The number of the newest event before this start: what came of settling a dead gateway's holds is after it.
    pub const fn events_before(&self) -> i64 {
        self.events_before
    }

    /// How many holds of a dead gateway were settled when the store was opened.
    pub const fn recovered(&self) -> usize {
        self.recovered
    }
}

fn database_path(folder: &Path) -> PathBuf {
    folder.join(DATABASE)
}
