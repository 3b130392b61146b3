//! How the directory changes: validate, store durably with its line of the audit log, then publish to requests, in this
//! order.
//!
//! Whether somebody *may* make a change is not asked here (see [`Permission`](crate::Permission)); whether it can be
//! made is.

mod consents;
mod elsewhere;
mod invites;
mod keys;
mod limits;
mod organizations;
mod people;
mod provider_keys;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{AuditId, Ids, OrganizationId, ProjectId, Timestamp};
use serde::Serialize;

use crate::directory::Directory;
use crate::port::{Change, Commit, DirectoryStore, Record, StoreError};
use crate::record::{Actor, ActorKind, AuditEntry, Project};
use crate::secret::KeyHasher;
use crate::snapshot::Inconsistent;
use crate::tenant::Tenant;

pub use consents::NewConsent;
pub use elsewhere::Elsewhere;
pub use invites::{Accepted, NewInvite, SentInvite};
pub use keys::{
    BoundsChanges, CreatedAdminKey, CreatedKey, DEFAULT_KEY_NAME, KeyChanges, NewAdminKey, NewKey,
};
pub use limits::NewLimit;
pub use organizations::{NewOrganization, NewProject, OrganizationChanges, ProjectChanges};
pub use people::{NewUser, UserChanges};
pub use provider_keys::{NewProviderKey, ProviderKeyChanges};

/// The longest name of anything, in characters.
const NAME_CHARS_MAX: usize = 100;

/// In whose name, with which ids and when a change is made.
pub struct Mandate<'a> {
    /// Who, and from where.
    pub actor: Actor,
    /// Fresh ids and secrets.
    pub ids: &'a dyn Ids,
    /// When.
    pub now: Timestamp,
}

impl<'a> Mandate<'a> {
    /// The operator's, from nowhere in particular.
    pub const fn operator(ids: &'a dyn Ids, now: Timestamp) -> Self {
        Self { actor: Actor { by: ActorKind::Operator, address: None }, ids, now }
    }
}

/// Why a change was not made. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// A field's value cannot be taken.
    #[error("`{field}` {problem}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong and how to mend it.
        problem: String,
    },
    /// The record a field names does not exist.
    #[error("`{field}`: there is no {id}; check the id")]
    NotFound {
        /// The field.
        field: &'static str,
        /// The id it held.
        id: String,
    },
    /// The project a field names is closed.
    #[error("`{field}`: {id} is archived; name a project that is open")]
    Archived {
        /// The field.
        field: &'static str,
        /// The id it held.
        id: String,
    },
    /// The change does not go with how things are.
    #[error("{problem}")]
    Conflict {
        /// The field that asks for it.
        field: &'static str,
        /// What stands against it and how to mend it.
        problem: String,
    },
    /// It could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It was stored but its parent has gone from the directory.
    #[error(transparent)]
    Inconsistent(#[from] Inconsistent),
}

impl ChangeError {
    fn not_found(field: &'static str, id: impl ToString) -> Self {
        Self::NotFound { field, id: id.to_string() }
    }

    fn invalid(field: &'static str, problem: impl Into<String>) -> Self {
        Self::Invalid { field, problem: problem.into() }
    }

    fn conflict(field: &'static str, problem: impl Into<String>) -> Self {
        Self::Conflict { field, problem: problem.into() }
    }
}

/// Why the directory could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was read does not hang together.
    #[error(transparent)]
    Inconsistent(#[from] Inconsistent),
}

/// Changes the directory. Calls block on the store: make them off the data path.
pub struct DirectoryService {
    store: Arc<dyn DirectoryStore>,
    directory: Arc<Directory>,
    changing: Mutex<()>,
}

impl DirectoryService {
    /// Loads the store into a directory and keeps both in step from then on.
    pub fn open(store: Arc<dyn DirectoryStore>, hasher: KeyHasher) -> Result<Self, OpenError> {
        let directory = Arc::new(Directory::new(hasher, store.load()?)?);
        Ok(Self { store, directory, changing: Mutex::new(()) })
    }

    /// The directory that requests read.
    pub const fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// Stores when keys were last used after `since`.
    ///
    /// # Errors
    /// When they cannot be stored; they stay to be asked for again.
    pub fn save_uses(&self, since: Timestamp) -> Result<(), StoreError> {
        let uses = self.directory.uses_since(since);
        if uses.is_empty() { Ok(()) } else { self.store.save_uses(uses) }
    }

    /// From the look to the publication: of two changes at once neither may undo the other's.
    fn one_at_a_time(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self, draft: Draft<'_>) -> Result<(), ChangeError> {
        if draft.commit.changes.is_empty() && draft.commit.audit.is_empty() {
            return Ok(());
        }
        self.store.commit(draft.commit.clone())?;
        Ok(self.directory.publish(draft.commit.changes)?)
    }

    fn tenant(&self, field: &'static str, id: OrganizationId) -> Result<Arc<Tenant>, ChangeError> {
        self.directory.tenant(id).ok_or_else(|| ChangeError::not_found(field, id))
    }

    /// A project, and the organization it is of.
    fn project(&self, id: ProjectId) -> Result<(Arc<Tenant>, Arc<Project>), ChangeError> {
        let found = self.directory.project(id);
        let project = found.ok_or_else(|| ChangeError::not_found("project", id))?;
        Ok((self.tenant("organization", project.organization)?, project))
    }

    /// The same, of one that is open.
    fn open_project(&self, id: ProjectId) -> Result<(Arc<Tenant>, Arc<Project>), ChangeError> {
        let (tenant, project) = self.project(id)?;
        if project.archived_at.is_some() {
            return Err(ChangeError::Archived { field: "project", id: id.to_string() });
        }
        Ok((tenant, project))
    }
}

/// A change that is being put together.
struct Draft<'a> {
    mandate: &'a Mandate<'a>,
    organization: OrganizationId,
    commit: Commit,
}

impl<'a> Draft<'a> {
    fn new(mandate: &'a Mandate<'a>, organization: OrganizationId) -> Self {
        Self { mandate, organization, commit: Commit::default() }
    }

    /// Stores a record, and tells of it if it is not what it was.
    fn put<T>(&mut self, told: Told, before: Option<&T>, after: &T)
    where
        T: Clone + PartialEq + Serialize + Into<Record>,
    {
        if before == Some(after) {
            return;
        }
        self.commit.changes.push(Change::Put(Box::new(after.clone().into())));
        self.tell(told, before.map(json), Some(json(after)));
    }

    /// Does something that leaves nothing.
    fn remove<T: Serialize>(&mut self, told: Told, change: Change, before: &T) {
        self.commit.changes.push(change);
        self.tell(told, Some(json(before)), None);
    }

    fn tell(&mut self, told: Told, before: Option<String>, after: Option<String>) {
        let Told { action, project, subject } = told;
        self.commit.audit.push(AuditEntry {
            id: AuditId::fresh(self.mandate.ids),
            organization: self.organization,
            project,
            at: self.mandate.now,
            actor: self.mandate.actor.clone(),
            action,
            subject,
            before,
            after,
        });
    }
}

/// What a line of the audit log is about.
struct Told {
    action: &'static str,
    project: Option<ProjectId>,
    subject: String,
}

fn told(action: &'static str, project: Option<ProjectId>, subject: impl ToString) -> Told {
    Told { action, project, subject: subject.to_string() }
}

fn json(record: &impl Serialize) -> String {
    // Strings, numbers and lists into memory: there is nothing that could fail.
    serde_json::to_string(record).unwrap_or_default()
}

/// The name without surrounding blanks, if it is one.
fn valid_name(name: &str) -> Result<String, ChangeError> {
    let name = name.trim();
    if name.is_empty() {
        return Err(ChangeError::invalid("name", "is empty; give a name of 1 to 100 characters"));
    }
    let chars = name.chars().count();
    if chars > NAME_CHARS_MAX {
        let problem = format!("has {chars} characters; at most {NAME_CHARS_MAX} are allowed");
        return Err(ChangeError::invalid("name", problem));
    }
    if name.chars().any(is_invisible) {
        let problem = "contains a control or invisible character, such as a line break; leave it out";
        return Err(ChangeError::invalid("name", problem));
    }
    Ok(name.to_owned())
}

/// Characters that no name needs and that make one look like another: controls, and what turns the direction of text or
/// takes no room (the Unicode bidirectional controls, zero-width characters, fillers, tags and the byte order mark).
pub(crate) fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}
