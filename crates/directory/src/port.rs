//! The port through which the directory is kept.

use std::fmt;

use crate::record::{Key, Organization, Project};

/// Everything a directory holds. The order of records has no meaning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// All organizations.
    pub organizations: Vec<Organization>,
    /// All projects.
    pub projects: Vec<Project>,
    /// All keys.
    pub keys: Vec<Key>,
}

/// Which sort of record is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// An [`Organization`].
    Organization,
    /// A [`Project`].
    Project,
    /// A [`Key`].
    Key,
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Organization => "organization",
            Self::Project => "project",
            Self::Key => "key",
        })
    }
}

/// Why a store did not do as told. Whatever the reason, it holds what it held before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The id, the wallet of an organization, or the hash of a key is taken.
    #[error("this {0} is stored already")]
    Duplicate(RecordKind),
    /// The parent is not stored: a project's organization, or a key's project within the key's organization.
    #[error("this {0} belongs to a record that is not stored")]
    Orphan(RecordKind),
    /// There is no record with this id.
    #[error("this {0} is not stored")]
    Missing(RecordKind),
    /// The storage itself failed; the text is for the operator's log, not for a caller.
    #[error("the directory's storage failed: {0}")]
    Failed(String),
}

/// Keeps the directory. Calls block, so the server makes them off the data path; each change is durable before it
/// returns. `conformance::check` (feature `conformance`) says the same in tests.
pub trait DirectoryStore: Send + Sync {
    /// Everything stored.
    fn load(&self) -> Result<Contents, StoreError>;

    /// Stores an organization.
    fn insert_organization(&self, organization: &Organization) -> Result<(), StoreError>;

    /// Gives the stored organization with this id the name, the time zone and the policy for running calls of this one.
    /// Its wallet and the time it was made stay as they are.
    fn update_organization(&self, organization: &Organization) -> Result<(), StoreError>;

    /// Stores a project of a stored organization.
    fn insert_project(&self, project: &Project) -> Result<(), StoreError>;

    /// Stores a key of a stored project; `key.organization` must be the project's.
    fn insert_key(&self, key: &Key) -> Result<(), StoreError>;
}
