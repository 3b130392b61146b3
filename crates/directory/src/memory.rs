//! The directory's store in memory: the oracle of the conformance suite, and a store for tests of other crates.

use std::sync::{Mutex, PoisonError};

use crate::port::{Contents, DirectoryStore, RecordKind, StoreError};
use crate::record::{Key, Organization, Project};

/// Keeps a directory as long as it lives.
#[derive(Debug, Default)]
pub struct MemoryDirectory(Mutex<Contents>);

impl MemoryDirectory {
    /// A store that holds these contents from the start, consistent or not.
    pub fn with(contents: Contents) -> Self {
        Self(Mutex::new(contents))
    }

    fn change(&self, change: impl FnOnce(&mut Contents) -> Result<(), StoreError>) -> Result<(), StoreError> {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl DirectoryStore for MemoryDirectory {
    fn load(&self) -> Result<Contents, StoreError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn insert_organization(&self, organization: &Organization) -> Result<(), StoreError> {
        self.change(|contents| {
            let same =
                |other: &Organization| other.id == organization.id || other.wallet == organization.wallet;
            if contents.organizations.iter().any(same) {
                return Err(StoreError::Duplicate(RecordKind::Organization));
            }
            contents.organizations.push(organization.clone());
            Ok(())
        })
    }

    fn update_organization(&self, organization: &Organization) -> Result<(), StoreError> {
        self.change(|contents| {
            let stored = contents.organizations.iter_mut().find(|stored| stored.id == organization.id);
            let stored = stored.ok_or(StoreError::Missing(RecordKind::Organization))?;
            stored.name.clone_from(&organization.name);
            stored.time_zone = organization.time_zone.clone();
            stored.in_flight = organization.in_flight;
            Ok(())
        })
    }

    fn insert_project(&self, project: &Project) -> Result<(), StoreError> {
        self.change(|contents| {
            if contents.projects.iter().any(|other| other.id == project.id) {
                return Err(StoreError::Duplicate(RecordKind::Project));
            }
            if !contents.organizations.iter().any(|organization| organization.id == project.organization) {
                return Err(StoreError::Orphan(RecordKind::Project));
            }
            contents.projects.push(project.clone());
            Ok(())
        })
    }

    fn insert_key(&self, key: &Key) -> Result<(), StoreError> {
        self.change(|contents| {
            if contents.keys.iter().any(|other| other.id == key.id || other.hash == key.hash) {
                return Err(StoreError::Duplicate(RecordKind::Key));
            }
            let parent =
                |project: &Project| project.id == key.project && project.organization == key.organization;
            if !contents.projects.iter().any(parent) {
                return Err(StoreError::Orphan(RecordKind::Key));
            }
            contents.keys.push(key.clone());
            Ok(())
        })
    }
}
