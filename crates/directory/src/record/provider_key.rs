//! Provider keys that an organization brings (2.7): whose they are and where they are used. The secret itself is sealed
//! before it comes here, and opened by nobody here.

use std::fmt;

use domain::{OrganizationId, ProjectId, ProviderKeyId, Timestamp, UserId};
use serde::Serialize;

use super::KeyHash;

/// A key at a provider that an organization brought. It pays the provider itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProviderKey {
    /// Its id.
    pub id: ProviderKeyId,
    /// The organization that brought it.
    pub organization: OrganizationId,
    /// The one project that it is for; `None` for all of the organization's.
    pub project: Option<ProjectId>,
    /// The provider's name in the configuration.
    pub provider: String,
    /// What people call it; not unique.
    pub label: String,
    /// The last four characters of the secret, by which its owner knows it again.
    pub last_four: String,
    /// By what the same secret is recognised when it is brought again.
    #[serde(skip)]
    pub fingerprint: KeyHash,
    /// The secret, sealed.
    #[serde(skip)]
    pub sealed: Sealed,
    /// The member who brought it; `None` when the operator did.
    pub brought_by: Option<UserId>,
    /// When it was brought.
    pub created_at: Timestamp,
    /// When it was disabled, which can be undone; `None` while it is used.
    pub disabled_at: Option<Timestamp>,
    /// When the provider was last asked whether it takes it; `None` if never.
    pub tested_at: Option<Timestamp>,
    /// What the provider said against it then; `None` if nothing.
    pub test_failure: Option<String>,
}

/// A sealed secret. What is in it, only the vault that sealed it knows.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// A secret that is sealed so.
    pub const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes that are stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}
