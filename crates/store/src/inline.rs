//! A store that works when told to: the same writer, without its threads, so that a simulation decides what shares a
//! transaction and replays exactly.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use domain::{Clock, OrganizationId};
use ledger::{Books, Command, LedgerAnswer, Ticket};
use rusqlite::Connection;

pub use crate::past::Remembered;
use crate::writer::{Counters, Inline};
use crate::{Durability, StoreError, books, checkpoint, database_path, schema};

/// Opens or makes the store in `folder`, settles what a dead gateway left held, and lets `work` use it.
///
/// # Errors
/// When the store cannot be opened or recovered.
pub fn open<R>(
    folder: &Path,
    durability: Durability,
    clock: &dyn Clock,
    work: impl FnOnce(&mut Machine<'_>) -> R,
) -> Result<R, StoreError> {
    let path = database_path(folder);
    let connection = schema::open_for_writing(&path, durability)?;
    let recovered = books::recover(&connection, clock)?;
    let counters = Counters::default();
    let writer = Inline::new(&connection, clock, &counters)?;
    let mut machine = Machine { writer, connection: &connection, path, recovered, failed: Cell::new(false) };
    let worked = work(&mut machine);
    let failed = machine.failed.get();
    drop(machine);
    if !failed {
        schema::copies_at_close(&connection, true)?;
    }
    Ok(worked)
}

/// An open store.
pub struct Machine<'c> {
    writer: Inline<'c>,
    connection: &'c Connection,
    path: PathBuf,
    recovered: usize,
    /// It stopped, as a real one does.
    failed: Cell<bool>,
}

impl Machine<'_> {
    /// How many holds were settled when the store was opened.
    pub const fn recovered(&self) -> usize {
        self.recovered
    }

    /// An organization's books as they are saved, between two transactions.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn books(&self, organization: OrganizationId) -> Result<Option<Books>, StoreError> {
        books::load(self.connection, organization)
    }

    /// What an organization's books remember and no reader shows.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn remembered(&self, organization: OrganizationId) -> Result<Remembered, StoreError> {
        Remembered::load(self.connection, organization)
    }

    /// Copies the log back into the database as far as that goes, as the checkpoint thread does beside the writer;
    /// answers whether it did.
    ///
    /// # Errors
    /// When it failed in a way after which the writer stops, as a real one does.
    pub fn checkpoint(&self) -> Result<bool, StoreError> {
        // The thread has its connection from the start: one that cannot be had here means nothing.
        let Ok(connection) = schema::open_for_checkpoints(&self.path) else { return Ok(false) };
        match checkpoint::copy(&connection) {
            Ok(()) => Ok(true),
            Err(error) if checkpoint::is_passing(&error) => Ok(false),
            Err(error) => {
                self.failed.set(true);
                Err(error.into())
            }
        }
    }

    /// Runs commands in one transaction and answers them in order.
    ///
    /// # Errors
    /// When the commit failed, after which nobody knows what is on the disk: only opening it anew tells.
    pub fn run(&mut self, commands: Vec<Command>) -> Result<Vec<LedgerAnswer>, StoreError> {
        let tickets = self.writer.run(commands).inspect_err(|_| self.failed.set(true))?;
        Ok(tickets.into_iter().map(Ticket::wait).collect())
    }
}
