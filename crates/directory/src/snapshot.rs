//! The directory as requests see it: an immutable snapshot behind one atomic pointer, read without a lock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use domain::{KeyId, OrganizationId, ProjectId, Refusal, Timestamp};

use crate::port::{Contents, RecordKind};
use crate::record::{DataClass, Environment, InFlight, Key, KeyHash, Organization, Project};
use crate::refusal;
use crate::secret::{KeyHasher, KeyKind};

/// Who is calling: everything later steps ask about a key, put together when the key was published and not when it is
/// used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The key.
    pub key: KeyId,
    /// Its name.
    pub key_name: String,
    /// What may be shown of its secret.
    pub key_redacted: String,
    /// From when on it is refused; `None` if never.
    pub key_expires_at: Option<Timestamp>,
    /// The project it calls for.
    pub project: ProjectId,
    /// Its name.
    pub project_name: String,
    /// The organization that pays.
    pub organization: OrganizationId,
    /// Its name.
    pub organization_name: String,
    /// What becomes of the organization's running calls when its credit runs out.
    pub in_flight: InFlight,
    /// What the project's traffic is for.
    pub environment: Environment,
    /// What the project's prompts may contain.
    pub data_class: DataClass,
}

/// A record names a parent that is not there, or not the one it should be. The store's foreign keys forbid it, so a
/// directory that meets it does not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the {child} {id} names the {parent} {parent_id}, which the store does not hold; restore it from a backup"
)]
pub struct Inconsistent {
    child: RecordKind,
    id: String,
    parent: RecordKind,
    parent_id: String,
}

/// All organizations, projects and keys, with reads that take no lock.
#[derive(Debug)]
pub struct Directory {
    hasher: KeyHasher,
    snapshot: ArcSwap<Snapshot>,
    publishing: Mutex<()>,
}

impl Directory {
    /// The directory of these contents, whose keys were hashed by `hasher`. Fails when a record's parent is missing.
    pub fn new(hasher: KeyHasher, contents: Contents) -> Result<Self, Inconsistent> {
        let mut snapshot = Snapshot::default();
        for organization in contents.organizations {
            snapshot.add_organization(Arc::new(organization))?;
        }
        for project in contents.projects {
            snapshot.add_project(Arc::new(project))?;
        }
        for key in contents.keys {
            snapshot.add_key(Arc::new(key))?;
        }
        Ok(Self { hasher, snapshot: ArcSwap::from_pointee(snapshot), publishing: Mutex::new(()) })
    }

    /// Who presents this key at this moment. One checksum, one keyed hash, one look-up, no lock, no allocation unless
    /// the answer is a refusal. Refusals come in the order of [`domain::RefusalCode`].
    pub fn authenticate(&self, presented: &str, now: Timestamp) -> Result<Arc<Principal>, Refusal> {
        match KeyKind::of(presented) {
            Ok(KeyKind::Project) => {}
            Ok(KeyKind::Operator) => return Err(refusal::operator_key(presented)),
            Err(malformed) => return Err(refusal::not_a_key(presented, malformed)),
        }
        let snapshot = self.snapshot.load();
        let entry = snapshot
            .by_hash
            .get(&self.hasher.hash(presented))
            .ok_or_else(|| refusal::unknown_key(presented))?;
        if let Some(expires_at) = entry.expires_at.filter(|at| *at <= now) {
            return Err(refusal::expired(presented, &entry.principal, expires_at));
        }
        // Whenever it was: a wall clock that steps back must not revive a disabled key or an archived project.
        if let Some(disabled_at) = entry.disabled_at {
            return Err(refusal::disabled(presented, &entry.principal, disabled_at));
        }
        if let Some(archived_at) = entry.archived_at {
            return Err(refusal::archived(&entry.principal, archived_at));
        }
        Ok(Arc::clone(&entry.principal))
    }

    /// Whose key this is, whether or not it is still good; `None` when nobody knows it. For records and messages: only
    /// [`Directory::authenticate`] lets anybody in.
    pub fn holder(&self, presented: &str) -> Option<Arc<Principal>> {
        if !matches!(KeyKind::of(presented), Ok(KeyKind::Project)) {
            return None;
        }
        let snapshot = self.snapshot.load();
        snapshot.by_hash.get(&self.hasher.hash(presented)).map(|entry| Arc::clone(&entry.principal))
    }

    /// The organization with this id.
    pub fn organization(&self, id: OrganizationId) -> Option<Arc<Organization>> {
        self.snapshot.load().organizations.get(&id).cloned()
    }

    /// The project with this id.
    pub fn project(&self, id: ProjectId) -> Option<Arc<Project>> {
        self.snapshot.load().projects.get(&id).cloned()
    }

    /// The key with this id, without its secret.
    pub fn key(&self, id: KeyId) -> Option<Arc<Key>> {
        self.snapshot.load().keys.get(&id).cloned()
    }

    /// The hash by which a key with this text is known.
    pub(crate) fn hash(&self, text: &str) -> KeyHash {
        self.hasher.hash(text)
    }

    /// Shows a stored organization to requests, for the first time or changed.
    pub(crate) fn publish_organization(&self, organization: Organization) -> Result<(), Inconsistent> {
        self.publish(|next| next.add_organization(Arc::new(organization)))
    }

    /// Shows a stored project to requests.
    pub(crate) fn publish_project(&self, project: Project) -> Result<(), Inconsistent> {
        self.publish(|next| next.add_project(Arc::new(project)))
    }

    /// Lets a stored key in.
    pub(crate) fn publish_key(&self, key: Key) -> Result<(), Inconsistent> {
        self.publish(|next| next.add_key(Arc::new(key)))
    }

    /// Copies the maps (of pointers), changes the copy and swaps it in. A change costs time in proportion to the number
    /// of records so that a read costs none: changes are rare.
    fn publish<R>(&self, change: impl FnOnce(&mut Snapshot) -> R) -> R {
        // Writers queue here; readers never see this lock.
        let _one_at_a_time = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = Snapshot::clone(&self.snapshot.load());
        let outcome = change(&mut next);
        self.snapshot.store(Arc::new(next));
        outcome
    }
}

#[derive(Clone, Debug, Default)]
struct Snapshot {
    organizations: HashMap<OrganizationId, Arc<Organization>>,
    projects: HashMap<ProjectId, Arc<Project>>,
    keys: HashMap<KeyId, Arc<Key>>,
    by_hash: HashMap<KeyHash, Entry>,
}

/// What authentication needs of a key.
#[derive(Clone, Debug)]
struct Entry {
    principal: Arc<Principal>,
    expires_at: Option<Timestamp>,
    disabled_at: Option<Timestamp>,
    archived_at: Option<Timestamp>,
}

impl Snapshot {
    fn add_organization(&mut self, organization: Arc<Organization>) -> Result<(), Inconsistent> {
        let id = organization.id;
        if self.organizations.insert(id, organization).is_none() {
            return Ok(());
        }
        // It was here before: its keys' principals say what it was then.
        let keys: Vec<_> = self.keys.values().filter(|key| key.organization == id).cloned().collect();
        keys.into_iter().try_for_each(|key| self.add_key(key))
    }

    fn add_project(&mut self, project: Arc<Project>) -> Result<(), Inconsistent> {
        if !self.organizations.contains_key(&project.organization) {
            return Err(Inconsistent {
                child: RecordKind::Project,
                id: project.id.to_string(),
                parent: RecordKind::Organization,
                parent_id: project.organization.to_string(),
            });
        }
        self.projects.insert(project.id, project);
        Ok(())
    }

    fn add_key(&mut self, key: Arc<Key>) -> Result<(), Inconsistent> {
        let missing = |parent, parent_id: String| Inconsistent {
            child: RecordKind::Key,
            id: key.id.to_string(),
            parent,
            parent_id,
        };
        let project = self
            .projects
            .get(&key.project)
            // A key never reaches another organization's project, even if a row says so.
            .filter(|project| project.organization == key.organization)
            .ok_or_else(|| missing(RecordKind::Project, key.project.to_string()))?;
        let organization = self
            .organizations
            .get(&key.organization)
            .ok_or_else(|| missing(RecordKind::Organization, key.organization.to_string()))?;
        let principal = Principal {
            key: key.id,
            key_name: key.name.clone(),
            key_redacted: key.redacted.clone(),
            key_expires_at: key.expires_at,
            project: project.id,
            project_name: project.name.clone(),
            organization: organization.id,
            organization_name: organization.name.clone(),
            in_flight: organization.in_flight,
            environment: project.environment,
            data_class: project.data_class,
        };
        let entry = Entry {
            principal: Arc::new(principal),
            expires_at: key.expires_at,
            disabled_at: key.disabled_at,
            archived_at: project.archived_at,
        };
        self.by_hash.insert(key.hash, entry);
        self.keys.insert(key.id, key);
        Ok(())
    }
}
