//! Who may call: organizations, projects and keys, and the lock-free look-up that turns a presented key into a
//! [`Principal`].
//!
//! Pure: no file, no socket, no SQL, no clock. Records are kept by a [`DirectoryStore`]; every change is durable
//! there before [`DirectoryService`] publishes it into the [`Directory`] that requests read.

mod authority;
mod checksum;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod directory;
mod mask;
#[cfg(any(test, feature = "testing"))]
mod memory;
mod port;
mod published;
mod record;
mod refusal;
mod secret;
mod service;
mod snapshot;
mod tag;
mod tenant;
#[cfg(test)]
mod tests;
mod trie;

pub use authority::{Administrator, Permission};
pub use directory::{Directory, Principal, Visit};
pub use mask::mask;
#[cfg(any(test, feature = "testing"))]
pub use memory::MemoryDirectory;
pub use port::{Change, Commit, Contents, DirectoryStore, Record, RecordKind, StoreError};
pub use published::{PUBLISHED_KEYS_MAX, PublishedKeys, published_line};
pub use record::{
    AccessMode, Actor, ActorKind, AdminKey, AfterGrant, App, AuditEntry, Bounds, Byok, Caps, Consent,
    ConsentState, DataClass, Environment, InFlight, Invite, InvitedTo, Key, KeyHash, KeyOwner, LimitReset,
    LimitSubject, Member, ModelAccess, Organization, OrganizationRole, Previous, Project, ProjectRole,
    ProviderKey, RateLimit, Revocation, Scope, Sealed, ServiceAccount, UnknownWord, User,
};
pub use refusal::missing_key;
pub use secret::{Found, KeyHasher, KeyKind, Malformed, Secret, scan};
pub use service::*;
pub use snapshot::Inconsistent;
pub use tenant::Tenant;
