//! The directory's port: organizations and what belongs to them. Writes go through the writer, loads have a look of
//! their own.

mod audit;
mod load;
mod put;

use directory::{Change, Commit, Contents, DirectoryStore, Record, RecordKind};
use domain::{OrganizationId, Timestamp, WalletId};
use ledger::EventKind;
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use crate::StoreError;
use crate::columns::to_json;
use crate::day_counts::{self, DayCount};
use crate::writer::Writer;

pub(crate) use audit::read_audit;
pub use audit::{AuditFilter, AuditLine};
pub(crate) use load::{load, provider_keys};

/// What a directory write is answered with.
pub(crate) type Written = Result<(), directory::StoreError>;

/// One thing to write.
pub(crate) enum DirectoryWrite {
    Commit(Commit),
    Uses(Vec<([u8; 16], Timestamp)>),
    DayCounts(Vec<DayCount>),
}

impl DirectoryStore for Writer {
    fn load(&self) -> Result<Contents, directory::StoreError> {
        self.load_directory()
    }

    fn commit(&self, commit: Commit) -> Written {
        self.write_directory(DirectoryWrite::Commit(commit))
    }

    fn save_uses(&self, uses: Vec<([u8; 16], Timestamp)>) -> Written {
        self.write_directory(DirectoryWrite::Uses(uses))
    }
}

/// The organizations that a write made, with their own wallets.
pub(crate) type Made = Vec<(OrganizationId, WalletId)>;

/// Writes in the writer's open transaction: all of a commit, or nothing of it. The inner answer is the commit's own;
/// the outer error fails the whole batch.
pub(crate) fn write(
    connection: &Connection,
    write: &DirectoryWrite,
) -> Result<Result<Made, directory::StoreError>, StoreError> {
    let commit = match write {
        DirectoryWrite::Uses(uses) => return save_uses(connection, uses).map(|()| Ok(Made::new())),
        DirectoryWrite::DayCounts(counts) => {
            return day_counts::save(connection, counts).map(|()| Ok(Made::new()));
        }
        DirectoryWrite::Commit(commit) => commit,
    };
    connection.execute_batch("SAVEPOINT directory")?;
    let mut made = Made::new();
    for change in &commit.changes {
        let (kind, done) = match change {
            Change::Put(record) => (record.kind(), put_one(connection, record, &mut made)),
            Change::RemoveMember(organization, project, user) => {
                let sql = "DELETE FROM member WHERE organization = ?1 AND project = ?2 AND user = ?3";
                let row = params![organization.as_bytes(), project.as_bytes(), user.as_bytes()];
                (RecordKind::Member, connection.execute(sql, row).map(drop))
            }
            Change::RemoveLimit(organization, limit) => {
                let sql = "DELETE FROM rate_limit WHERE organization = ?1 AND id = ?2";
                let row = params![organization.as_bytes(), limit.as_bytes()];
                (RecordKind::Limit, connection.execute(sql, row).map(drop))
            }
            Change::RemoveProviderKey(organization, key) => {
                let sql = "DELETE FROM provider_key WHERE organization = ?1 AND id = ?2";
                let row = params![organization.as_bytes(), key.as_bytes()];
                (RecordKind::ProviderKey, connection.execute(sql, row).map(drop))
            }
        };
        if let Err(error) = done {
            return undo(connection, kind, error);
        }
    }
    for entry in &commit.audit {
        if let Err(error) = audit::insert(connection, entry) {
            return undo(connection, RecordKind::Audit, error);
        }
    }
    connection.execute_batch("RELEASE directory")?;
    for (organization, tier, at) in &commit.reached {
        let kind = EventKind::TierReached { tier: tier.as_str().into() };
        let sql = "INSERT INTO event (organization, at, detail) VALUES (?1, ?2, ?3)";
        connection.execute(sql, params![organization.as_bytes(), at.micros(), to_json(&kind)])?;
    }
    Ok(Ok(made))
}

fn put_one(connection: &Connection, record: &Record, made: &mut Made) -> rusqlite::Result<()> {
    if let Record::Organization(organization) = record {
        let known = connection
            .prepare_cached("SELECT 1 FROM organization WHERE id = ?1")?
            .query_row([organization.id.as_bytes()], |_| Ok(()))
            .optional()?;
        if known.is_none() {
            made.push((organization.id, organization.wallet));
        }
    }
    put::put(connection, record)
}

/// Takes a commit back that breaks a constraint, and leaves the batch whole.
fn undo(
    connection: &Connection,
    kind: RecordKind,
    error: rusqlite::Error,
) -> Result<Result<Made, directory::StoreError>, StoreError> {
    let rusqlite::Error::SqliteFailure(failure, _) = &error else { return Err(error.into()) };
    if failure.code != ErrorCode::ConstraintViolation {
        return Err(error.into());
    }
    let orphan = failure.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY;
    connection.execute_batch("ROLLBACK TO directory; RELEASE directory")?;
    Ok(Err(if orphan { directory::StoreError::Orphan(kind) } else { directory::StoreError::Duplicate(kind) }))
}

fn save_uses(connection: &Connection, uses: &[([u8; 16], Timestamp)]) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO key_use (id, at) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET at = excluded.at",
    )?;
    for (id, at) in uses {
        statement.execute(params![id, at.micros()])?;
    }
    Ok(())
}
