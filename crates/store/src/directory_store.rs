//! The directory's port: organizations, projects, keys. Writes go through the writer, loads have a look of their own.

use std::str::FromStr;

use directory::{Contents, DirectoryStore, Key, KeyHash, Organization, Project, RecordKind};
use domain::{KeyId, OrganizationId, ProjectId, Timestamp, WalletId};
use rusqlite::{Connection, ErrorCode, Row, params};

use crate::StoreError;
use crate::writer::Writer;

/// What a directory write is answered with.
pub(crate) type Written = Result<(), directory::StoreError>;

/// One record to insert or to change.
pub(crate) enum DirectoryWrite {
    Organization(Organization),
    OrganizationUpdate(Organization),
    Project(Project),
    Key(Key),
}

impl DirectoryStore for Writer {
    fn load(&self) -> Result<Contents, directory::StoreError> {
        self.load_directory()
    }

    fn insert_organization(&self, organization: &Organization) -> Written {
        self.write_directory(DirectoryWrite::Organization(organization.clone()))
    }

    fn update_organization(&self, organization: &Organization) -> Written {
        self.write_directory(DirectoryWrite::OrganizationUpdate(organization.clone()))
    }

    fn insert_project(&self, project: &Project) -> Written {
        self.write_directory(DirectoryWrite::Project(project.clone()))
    }

    fn insert_key(&self, key: &Key) -> Written {
        self.write_directory(DirectoryWrite::Key(key.clone()))
    }
}

/// Inserts one record in the writer's open transaction. The inner answer is the record's own; the outer error fails
/// the whole batch.
pub(crate) fn write(connection: &Connection, write: &DirectoryWrite) -> Result<Written, StoreError> {
    let (kind, inserted) = match write {
        DirectoryWrite::Organization(organization) => {
            (RecordKind::Organization, insert_organization(connection, organization))
        }
        DirectoryWrite::OrganizationUpdate(organization) => {
            let missing = directory::StoreError::Missing(RecordKind::Organization);
            return Ok(if update_organization(connection, organization)? == 1 {
                Ok(())
            } else {
                Err(missing)
            });
        }
        DirectoryWrite::Project(project) => (RecordKind::Project, insert_project(connection, project)),
        DirectoryWrite::Key(key) => (RecordKind::Key, insert_key(connection, key)),
    };
    match inserted {
        Ok(_) => Ok(Ok(())),
        Err(rusqlite::Error::SqliteFailure(failure, _)) if failure.code == ErrorCode::ConstraintViolation => {
            // A broken constraint undoes its own statement and leaves the transaction whole.
            let orphan = failure.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY;
            Ok(Err(if orphan {
                directory::StoreError::Orphan(kind)
            } else {
                directory::StoreError::Duplicate(kind)
            }))
        }
        Err(error) => Err(error.into()),
    }
}

fn insert_organization(connection: &Connection, organization: &Organization) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "INSERT INTO organization (id, name, wallet, time_zone, in_flight, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            organization.id.as_bytes(),
            organization.name,
            organization.wallet.as_bytes(),
            organization.time_zone.to_string(),
            organization.in_flight.as_str(),
            organization.created_at.micros(),
        ])
}

fn update_organization(connection: &Connection, organization: &Organization) -> rusqlite::Result<usize> {
    connection
        .prepare_cached("UPDATE organization SET name = ?2, time_zone = ?3, in_flight = ?4 WHERE id = ?1")?
        .execute(params![
            organization.id.as_bytes(),
            organization.name,
            organization.time_zone.to_string(),
            organization.in_flight.as_str(),
        ])
}

fn insert_project(connection: &Connection, project: &Project) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "INSERT INTO project (organization, id, name, environment, data_class, created_at, archived_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            project.organization.as_bytes(),
            project.id.as_bytes(),
            project.name,
            project.environment.as_str(),
            project.data_class.as_str(),
            project.created_at.micros(),
            project.archived_at.map(Timestamp::micros),
        ])
}

fn insert_key(connection: &Connection, key: &Key) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "INSERT INTO key (organization, project, id, name, hash, redacted, created_at, expires_at, disabled_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            key.organization.as_bytes(),
            key.project.as_bytes(),
            key.id.as_bytes(),
            key.name,
            key.hash.as_bytes(),
            key.redacted,
            key.created_at.micros(),
            key.expires_at.map(Timestamp::micros),
            key.disabled_at.map(Timestamp::micros),
        ])
}

/// Everything stored.
pub(crate) fn load(connection: &Connection) -> Result<Contents, StoreError> {
    Ok(Contents {
        organizations: collect(
            connection,
            "SELECT id, name, wallet, time_zone, in_flight, created_at FROM organization",
            |row| {
                Ok(Organization {
                    id: OrganizationId::from_bytes(row.get(0)?),
                    name: row.get(1)?,
                    wallet: WalletId::from_bytes(row.get(2)?),
                    time_zone: word(row, 3, "organization.time_zone")?,
                    in_flight: word(row, 4, "organization.in_flight")?,
                    created_at: Timestamp::from_micros(row.get(5)?),
                })
            },
        )?,
        projects: collect(
            connection,
            "SELECT organization, id, name, environment, data_class, created_at, archived_at FROM project",
            |row| {
                Ok(Project {
                    organization: OrganizationId::from_bytes(row.get(0)?),
                    id: ProjectId::from_bytes(row.get(1)?),
                    name: row.get(2)?,
                    environment: word(row, 3, "project.environment")?,
                    data_class: word(row, 4, "project.data_class")?,
                    created_at: Timestamp::from_micros(row.get(5)?),
                    archived_at: row.get::<_, Option<i64>>(6)?.map(Timestamp::from_micros),
                })
            },
        )?,
        keys: collect(
            connection,
            "SELECT organization, project, id, name, hash, redacted, created_at, expires_at, disabled_at FROM key",
            |row| {
                Ok(Key {
                    organization: OrganizationId::from_bytes(row.get(0)?),
                    project: ProjectId::from_bytes(row.get(1)?),
                    id: KeyId::from_bytes(row.get(2)?),
                    name: row.get(3)?,
                    hash: KeyHash::from_bytes(row.get(4)?),
                    redacted: row.get(5)?,
                    created_at: Timestamp::from_micros(row.get(6)?),
                    expires_at: row.get::<_, Option<i64>>(7)?.map(Timestamp::from_micros),
                    disabled_at: row.get::<_, Option<i64>>(8)?.map(Timestamp::from_micros),
                })
            },
        )?,
    })
}

fn collect<T>(
    connection: &Connection,
    sql: &str,
    read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.push(read(row)?);
    }
    Ok(records)
}

fn word<T: FromStr>(row: &Row<'_>, index: usize, column: &'static str) -> Result<T, StoreError> {
    row.get::<_, String>(index)?.parse().map_err(|_| StoreError::Unreadable(column))
}
