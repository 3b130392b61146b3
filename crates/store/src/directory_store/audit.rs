//! The audit log: lines are inserted with the changes they tell of, and nothing here changes or deletes one.

use directory::{Actor, AuditEntry};
use domain::{AuditId, OrganizationId, ProjectId, Timestamp};
use rusqlite::{Connection, params};

use crate::StoreError;
use crate::columns::{from_json, to_json};

/// A line of the audit log, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditLine {
    /// Its id.
    pub id: AuditId,
    /// The project that was changed, or the one of what was changed.
    pub project: Option<ProjectId>,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub actor: Actor,
    /// What happened, such as `api_key.created`.
    pub action: String,
    /// The id of what was changed.
    pub subject: String,
    /// What it was before, as JSON.
    pub before: Option<String>,
    /// What it is now, as JSON.
    pub after: Option<String>,
}

/// Which lines are asked for. Empty lists and `None` ask for all.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Not before this moment.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
    /// Of these projects.
    pub projects: Vec<ProjectId>,
    /// Of these sorts, such as `api_key.created`.
    pub actions: Vec<String>,
    /// About these ids.
    pub subjects: Vec<String>,
    /// By these keys or people.
    pub actors: Vec<String>,
    /// By people with these mail addresses.
    pub emails: Vec<String>,
    /// Older than this line.
    pub after: Option<AuditId>,
    /// Newer than this line.
    pub before: Option<AuditId>,
}

pub(super) fn insert(connection: &Connection, entry: &AuditEntry) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO audit (organization, id, project, at, actor, action, subject, before, after)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            entry.organization.as_bytes(),
            entry.id.as_bytes(),
            entry.project.as_ref().map(ProjectId::as_bytes),
            entry.at.micros(),
            to_json(&entry.actor),
            entry.action,
            entry.subject,
            entry.before,
            entry.after,
        ])
        .map(drop)
}

/// An organization's lines, newest first, `limit` at most.
pub(crate) fn read_audit(
    connection: &Connection,
    organization: OrganizationId,
    filter: &AuditFilter,
    limit: usize,
) -> Result<Vec<AuditLine>, StoreError> {
    // Ids rise with time, so their order is that of writing. A page before a line is read upwards, and turned around.
    let upwards = filter.before.is_some();
    let order = if upwards { "ASC" } else { "DESC" };
    let sql = format!(
        "SELECT id, project, at, actor, action, subject, before, after FROM audit
         WHERE organization = ?1 AND id < ?2 AND id > ?3 AND at >= ?4 AND at < ?5 ORDER BY id {order}"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![
        organization.as_bytes(),
        filter.after.map_or([0xff; 16], |id| *id.as_bytes()),
        filter.before.map_or([0; 16], |id| *id.as_bytes()),
        filter.since.map_or(i64::MIN, Timestamp::micros),
        filter.until.map_or(i64::MAX, Timestamp::micros),
    ])?;
    let mut lines = Vec::new();
    while lines.len() < limit
        && let Some(row) = rows.next()?
    {
        let line = AuditLine {
            id: AuditId::from_bytes(row.get(0)?),
            project: row.get::<_, Option<_>>(1)?.map(ProjectId::from_bytes),
            at: Timestamp::from_micros(row.get(2)?),
            actor: from_json(&row.get::<_, String>(3)?, "audit.actor")?,
            action: row.get(4)?,
            subject: row.get(5)?,
            before: row.get(6)?,
            after: row.get(7)?,
        };
        if filter.fits(&line) {
            lines.push(line);
        }
    }
    if upwards {
        lines.reverse();
    }
    Ok(lines)
}

impl AuditFilter {
    fn fits(&self, line: &AuditLine) -> bool {
        fn any<T: PartialEq>(wanted: &[T], found: &[T]) -> bool {
            wanted.is_empty() || wanted.iter().any(|one| found.contains(one))
        }
        let actor: Vec<String> = line.actor.names();
        any(&self.projects, line.project.as_slice())
            && any(&self.actions, std::slice::from_ref(&line.action))
            && any(&self.subjects, std::slice::from_ref(&line.subject))
            && any(&self.actors, &actor)
            && any(&self.emails, &actor)
    }
}
