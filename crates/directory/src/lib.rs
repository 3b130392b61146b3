//! Who may call: organizations, projects and keys, and the lock-free look-up that turns a presented key into a
//! [`Principal`].
//!
//! Pure: no file, no socket, no SQL, no clock. Records are kept by a [`DirectoryStore`]; every change is durable
//! there before [`DirectoryService`] publishes it into the [`Directory`] that requests read.

mod checksum;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod mask;
#[cfg(any(test, feature = "testing"))]
mod memory;
mod port;
mod record;
mod refusal;
mod secret;
mod service;
mod snapshot;
#[cfg(test)]
mod tests;

pub use mask::mask;
#[cfg(any(test, feature = "testing"))]
pub use memory::MemoryDirectory;
pub use port::{Contents, DirectoryStore, RecordKind, StoreError};
pub use record::{DataClass, Environment, InFlight, Key, KeyHash, Organization, Project, UnknownWord};
pub use refusal::missing_key;
pub use secret::{Found, KeyHasher, KeyKind, Malformed, Secret, scan};
pub use service::{
    CreateError, CreatedKey, DEFAULT_KEY_NAME, DirectoryService, NewKey, NewOrganization, NewProject,
    OpenError, OrganizationChanges,
};
pub use snapshot::{Directory, Inconsistent, Principal};
