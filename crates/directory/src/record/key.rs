//! Keys: credentials. They carry no quota and no money, and their secrets are not here.

use std::fmt;

use domain::{AdminKeyId, ConsentId, KeyId, OrganizationId, ProjectId, ServiceAccountId, Timestamp, UserId};
use serde::Serialize;

use super::Bounds;

/// A credential of one project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Key {
    /// Its id.
    pub id: KeyId,
    /// The organization of its project.
    pub organization: OrganizationId,
    /// The project it calls for.
    pub project: ProjectId,
    /// Who calls with it.
    pub owner: KeyOwner,
    /// The consent that it was made by, which says which app has it; `None` for a key that its owner has.
    pub consent: Option<ConsentId>,
    /// What people call it; not unique.
    pub name: String,
    /// What its secret is recognised by.
    #[serde(skip)]
    pub hash: KeyHash,
    /// What may be shown of its secret, such as `tk-a1b…xyz9`.
    pub redacted: String,
    /// The secret before the last rotation, while it still works.
    pub previous: Option<Previous>,
    /// What it may do less than its project.
    pub bounds: Bounds,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused; `None` if never.
    pub expires_at: Option<Timestamp>,
    /// When it was disabled, which holds at once and can be undone; `None` while it works.
    pub disabled_at: Option<Timestamp>,
    /// When it was revoked, which cannot be undone.
    pub revoked_at: Option<Timestamp>,
}

/// Who calls with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyOwner {
    /// A person. The key works as long as the person has a part in the project.
    User(UserId),
    /// A service account of the project.
    ServiceAccount(ServiceAccountId),
}

/// A rotated key's former secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Previous {
    /// What it is recognised by.
    #[serde(skip)]
    pub hash: KeyHash,
    /// What may be shown of it.
    pub redacted: String,
    /// From when on it is refused.
    pub until: Timestamp,
}

/// An administrator's key: it changes an organization's directory in the name of one of its members, and calls no
/// models.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AdminKey {
    /// Its id.
    pub id: AdminKeyId,
    /// The organization it administers.
    pub organization: OrganizationId,
    /// In whose name. What it may do follows from this person's roles at the moment of use.
    pub user: UserId,
    /// What people call it; not unique.
    pub name: String,
    /// What its secret is recognised by.
    #[serde(skip)]
    pub hash: KeyHash,
    /// What may be shown of its secret.
    pub redacted: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused; `None` if never.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked, which cannot be undone.
    pub revoked_at: Option<Timestamp>,
}

/// The keyed hash of a key's secret: 32 bytes, worthless to whoever steals the table without the pepper.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// The hash with these bytes, as stored.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes that are stored.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for KeyHash {
    /// The first four bytes: enough to tell two apart in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "KeyHash({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}
