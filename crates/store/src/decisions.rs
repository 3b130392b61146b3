//! Decisions about requests: kept with whatever the writer saves next, looked up by request, forgotten when they are old.
//!
//! They are best effort. None ever waits, none fails a batch of the ledger's, and of what comes faster than it can be
//! kept the rest is dropped and counted. What a decision says this module does not know: it is a text.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::{OrganizationId, RequestId, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use crate::StoreError;
use crate::past::first_request;
use crate::reader::Reader;
use crate::writer::Writer;

/// Decisions that may wait; beyond it the newest are dropped.
pub(crate) const WAITING_MAX: usize = 4_096;
/// Decisions in one transaction for each command in it, so that a flood of refusals leaves the writer to the ledger.
const EACH_COMMAND: usize = 1;
/// The least and the most of them in one transaction.
const LEAST: usize = 64;
const MOST: usize = 256;
/// Rows that one transaction forgets.
pub const FORGET_AT_ONCE: u32 = 256;
/// Who owns the decisions about callers whom nobody knows.
const NOBODY: OrganizationId = OrganizationId::from_bytes([0; 16]);

/// What was decided about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionRecord {
    /// Whose request it was; `None` when nobody knows.
    pub organization: Option<OrganizationId>,
    /// The request.
    pub request: RequestId,
    /// When it came.
    pub at: Timestamp,
    /// What was decided, as JSON.
    pub body: String,
}

/// How many decisions were dropped.
#[derive(Debug, Default)]
pub(crate) struct Dropped(AtomicU64);

impl Dropped {
    pub(crate) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The way for decisions into the store.
#[derive(Clone)]
pub struct Decisions {
    writer: Arc<Writer>,
}

impl Decisions {
    pub(crate) const fn new(writer: Arc<Writer>) -> Self {
        Self { writer }
    }

    /// Keeps a decision with the next batch, or drops it when too many wait. Never waits.
    pub fn keep(&self, record: DecisionRecord) {
        self.writer.keep_decision(record);
    }

    /// Waits until every decision that was kept before can be read, or was dropped.
    pub async fn catch_up(&self) {
        self.writer.catch_up_decisions().await;
    }

    /// Forgets some of the decisions about requests that came before this moment, [`FORGET_AT_ONCE`] at most; answers how
    /// many. `None` are those about callers whom nobody knew.
    ///
    /// # Errors
    /// When the store could not do it.
    pub async fn forget(
        &self,
        organization: Option<OrganizationId>,
        before: Timestamp,
    ) -> Result<usize, StoreError> {
        self.writer.forget_decisions(organization.unwrap_or(NOBODY), before).await
    }

    /// How many were dropped since the start.
    pub fn dropped(&self) -> u64 {
        self.writer.decisions_dropped()
    }
}

/// How many decisions a transaction with so many commands takes.
pub(crate) fn share(commands: usize) -> usize {
    commands.saturating_mul(EACH_COMMAND).clamp(LEAST, MOST)
}

/// Writes one. The first word about a request stays.
pub(crate) fn insert(connection: &Connection, record: &DecisionRecord) -> rusqlite::Result<()> {
    let sql = "INSERT OR IGNORE INTO decision (organization, request, at, body) VALUES (?1, ?2, ?3, ?4)";
    let owner = record.organization.unwrap_or(NOBODY);
    connection
        .prepare_cached(sql)?
        .execute(params![owner.as_bytes(), record.request.as_bytes(), record.at.micros(), record.body])
        .map(|_| ())
}

/// Deletes some old ones. Ids rise with time, so the key finds them.
pub(crate) fn delete(
    connection: &Connection,
    organization: OrganizationId,
    before: Timestamp,
) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM decision WHERE organization = ?1 AND request IN
                 (SELECT request FROM decision WHERE organization = ?1 AND request < ?2 ORDER BY request LIMIT ?3)";
    connection.prepare_cached(sql)?.execute(params![
        organization.as_bytes(),
        first_request(before.micros() / 1_000),
        FORGET_AT_ONCE
    ])
}

impl Reader {
    /// What was decided about a request, if that was recorded and is not forgotten yet.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn decision(&self, request: RequestId) -> Result<Option<DecisionRecord>, StoreError> {
        self.read(|connection| {
            // One look into each organization, as for cost rows.
            let sql = "SELECT decision.organization, at, body FROM organization
                         CROSS JOIN decision ON decision.organization = organization.id WHERE request = ?1
                       UNION ALL SELECT organization, at, body FROM decision
                         WHERE organization = zeroblob(16) AND request = ?1 LIMIT 1";
            let mut statement = connection.prepare_cached(sql)?;
            let found = statement.query_row([request.as_bytes()], |row| {
                let owner = OrganizationId::from_bytes(row.get(0)?);
                Ok(DecisionRecord {
                    organization: (owner != NOBODY).then_some(owner),
                    request,
                    at: Timestamp::from_micros(row.get(1)?),
                    body: row.get(2)?,
                })
            });
            Ok(found.optional()?)
        })
    }

    /// Whose decisions reach back beyond this moment. `None` stands for callers whom nobody knew.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn decisions_before(&self, before: Timestamp) -> Result<Vec<Option<OrganizationId>>, StoreError> {
        self.read(|connection| {
            let sql =
                "SELECT owner.id FROM (SELECT id FROM organization UNION ALL SELECT zeroblob(16)) AS owner
                       WHERE EXISTS (SELECT 1 FROM decision WHERE organization = owner.id AND request < ?1)";
            let mut statement = connection.prepare_cached(sql)?;
            let owners = statement.query_map([first_request(before.micros() / 1_000)], |row| {
                let owner = OrganizationId::from_bytes(row.get(0)?);
                Ok((owner != NOBODY).then_some(owner))
            })?;
            Ok(owners.collect::<Result<_, _>>()?)
        })
    }
}
