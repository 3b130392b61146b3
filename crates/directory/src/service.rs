//! How the directory changes: validate, store durably, then publish to requests, in this order.

use std::sync::{Arc, Mutex, PoisonError};

use domain::{Ids, KeyId, OrganizationId, ProjectId, Timestamp, WalletId, Zone};

use crate::port::{DirectoryStore, StoreError};
use crate::record::{DataClass, Environment, InFlight, Key, Organization, Project};
use crate::secret::{KeyHasher, KeyKind, Secret};
use crate::snapshot::{Directory, Inconsistent};

/// The longest name of an organization, project or key, in characters.
const NAME_CHARS_MAX: usize = 100;

/// What a key is called whose maker gave no name.
pub const DEFAULT_KEY_NAME: &str = "default";

/// An organization to be made.
#[derive(Clone, Debug, Default)]
pub struct NewOrganization {
    /// Its name, 1 to 100 characters.
    pub name: String,
    /// Where its days begin.
    pub time_zone: Zone,
    /// What becomes of its running calls when its credit runs out.
    pub in_flight: InFlight,
}

/// What is to change of an organization; `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct OrganizationChanges {
    /// Its name, 1 to 100 characters.
    pub name: Option<String>,
    /// Where its days begin. Budgets that are made already keep the zone they were made with.
    pub time_zone: Option<Zone>,
    /// What becomes of its running calls when its credit runs out. Calls that run already keep the policy they began
    /// with.
    pub in_flight: Option<InFlight>,
}

/// A project to be made.
#[derive(Clone, Debug)]
pub struct NewProject {
    /// The organization it belongs to.
    pub organization: OrganizationId,
    /// Its name, 1 to 100 characters.
    pub name: String,
    /// What its traffic is for.
    pub environment: Environment,
    /// What its prompts may contain.
    pub data_class: DataClass,
}

/// A key to be made.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// The project it will call for.
    pub project: ProjectId,
    /// Its name, 1 to 100 characters; [`DEFAULT_KEY_NAME`] without one.
    pub name: Option<String>,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
}

/// A key just made, with the one copy of its secret there is.
#[derive(Debug)]
pub struct CreatedKey {
    /// The record.
    pub key: Key,
    /// Its secret, to be shown once.
    pub secret: Secret,
}

/// Why a record was not made or not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
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
    /// The record could not be stored, or not be changed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The record was stored but its parent has gone from the directory.
    #[error(transparent)]
    Inconsistent(#[from] Inconsistent),
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

    /// Makes an organization with an empty wallet.
    pub fn create_organization(
        &self,
        new: NewOrganization,
        ids: &dyn Ids,
        now: Timestamp,
    ) -> Result<Organization, CreateError> {
        let organization = Organization {
            id: OrganizationId::fresh(ids),
            name: valid_name(&new.name)?,
            wallet: WalletId::fresh(ids),
            time_zone: new.time_zone,
            in_flight: new.in_flight,
            created_at: now,
        };
        self.store.insert_organization(&organization)?;
        self.directory.publish_organization(organization.clone())?;
        Ok(organization)
    }

    /// Changes an organization. Calls that are admitted after this returns go by what it says now.
    pub fn update_organization(
        &self,
        id: OrganizationId,
        changes: OrganizationChanges,
    ) -> Result<Organization, CreateError> {
        let name = changes.name.as_deref().map(valid_name).transpose()?;
        // From the look to the publication: of two changes at once neither may undo the other's.
        let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = self.directory.organization(id) else {
            return Err(CreateError::NotFound { field: "organization", id: id.to_string() });
        };
        let mut organization = Organization::clone(&known);
        organization.name = name.unwrap_or(organization.name);
        organization.time_zone = changes.time_zone.unwrap_or(organization.time_zone);
        organization.in_flight = changes.in_flight.unwrap_or(organization.in_flight);
        self.store.update_organization(&organization)?;
        self.directory.publish_organization(organization.clone())?;
        Ok(organization)
    }

    /// Makes a project of an existing organization.
    pub fn create_project(
        &self,
        new: NewProject,
        ids: &dyn Ids,
        now: Timestamp,
    ) -> Result<Project, CreateError> {
        let name = valid_name(&new.name)?;
        if self.directory.organization(new.organization).is_none() {
            return Err(CreateError::NotFound { field: "organization", id: new.organization.to_string() });
        }
        let project = Project {
            id: ProjectId::fresh(ids),
            organization: new.organization,
            name,
            environment: new.environment,
            data_class: new.data_class,
            created_at: now,
            archived_at: None,
        };
        self.store.insert_project(&project)?;
        self.directory.publish_project(project.clone())?;
        Ok(project)
    }

    /// Makes a key of an existing, open project. The secret in the answer is nowhere else.
    pub fn create_key(&self, new: NewKey, ids: &dyn Ids, now: Timestamp) -> Result<CreatedKey, CreateError> {
        let name = valid_name(new.name.as_deref().unwrap_or(DEFAULT_KEY_NAME))?;
        if new.expires_at.is_some_and(|at| at <= now) {
            let problem = format!("is not in the future; now is {now}");
            return Err(CreateError::Invalid { field: "expires_at", problem });
        }
        let id = new.project.to_string();
        let Some(project) = self.directory.project(new.project) else {
            return Err(CreateError::NotFound { field: "project", id });
        };
        if project.archived_at.is_some() {
            return Err(CreateError::Archived { field: "project", id });
        }
        let secret = Secret::generate(KeyKind::Project, ids);
        let key = Key {
            id: KeyId::fresh(ids),
            organization: project.organization,
            project: project.id,
            name,
            hash: self.directory.hash(secret.expose()),
            redacted: secret.redacted(),
            created_at: now,
            expires_at: new.expires_at,
            disabled_at: None,
        };
        self.store.insert_key(&key)?;
        self.directory.publish_key(key.clone())?;
        Ok(CreatedKey { key, secret })
    }
}

/// The name without surrounding blanks, if it is one.
fn valid_name(name: &str) -> Result<String, CreateError> {
    let invalid = |problem: String| Err(CreateError::Invalid { field: "name", problem });
    let name = name.trim();
    if name.is_empty() {
        return invalid("is empty; give a name of 1 to 100 characters".to_owned());
    }
    let chars = name.chars().count();
    if chars > NAME_CHARS_MAX {
        return invalid(format!("has {chars} characters; at most {NAME_CHARS_MAX} are allowed"));
    }
    if name.chars().any(char::is_control) {
        return invalid("contains a control character, such as a line break; leave it out".to_owned());
    }
    Ok(name.to_owned())
}
