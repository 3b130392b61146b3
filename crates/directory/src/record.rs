//! The records of the directory, as they are stored.

mod access;
mod audit;
mod consent;
mod key;
mod limit;
mod people;
mod provider_key;
mod words;

use domain::{Country, OrganizationId, ProjectId, Timestamp, WalletId, Zone};
use serde::Serialize;

pub use access::{Bounds, ModelAccess};
pub use audit::{Actor, ActorKind, AuditEntry};
pub use consent::{App, Consent, ConsentState, Revocation};
pub use key::{AdminKey, Key, KeyHash, KeyOwner, Previous};
pub use limit::{Caps, LimitSubject, RateLimit};
pub use people::{Invite, InvitedTo, Member, ServiceAccount, User};
pub use provider_key::{ProviderKey, Sealed};
pub use words::{
    AccessMode, AfterGrant, Byok, DataClass, Environment, InFlight, LimitReset, OrganizationRole,
    ProjectRole, Scope, UnknownWord,
};

/// The owner of credit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// What people call it; not unique.
    pub name: String,
    /// Its own wallet, which pays for whatever no other one does.
    pub wallet: WalletId,
    /// Where its days begin, for budgets and statements that name no zone of their own.
    pub time_zone: Zone,
    /// What becomes of its running calls when its credit runs out.
    pub in_flight: InFlight,
    /// Where it is; `None` when nobody has stated it, which routes with a list of countries refuse.
    pub country: Option<Country>,
    /// When somebody verified who it is; `None` when nobody has.
    pub verified_at: Option<Timestamp>,
    /// The usage tier it has reached; `None` before the first.
    pub tier: Option<String>,
    /// The programmes that it has joined, in which data is shared for complimentary tokens; by name, in order.
    pub programmes: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A part of an organization that calls are made for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// The organization that pays for it.
    pub organization: OrganizationId,
    /// What people call it; not unique.
    pub name: String,
    /// What its traffic is for.
    pub environment: Environment,
    /// What its prompts may contain.
    pub data_class: DataClass,
    /// What pays for its calls when no grant can.
    pub after_grant: AfterGrant,
    /// Models that it may call; `None` for all.
    pub models: Option<ModelAccess>,
    /// Whether its calls use the provider keys that the organization brought.
    pub byok: Byok,
    /// Whether a call by a brought key may go on with ours where that fails.
    pub byok_fallback: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was closed for calls; `None` while it is open.
    pub archived_at: Option<Timestamp>,
}
