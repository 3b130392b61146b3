//! Who has a part in an organization and its projects: people, service accounts, invitations.

use domain::{InviteId, OrganizationId, ProjectId, ServiceAccountId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use super::{KeyHash, OrganizationRole, ProjectRole};

/// A person, as one organization knows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// The organization.
    pub organization: OrganizationId,
    /// Where mail reaches them; no two people of an organization have the same.
    pub email: String,
    /// What they are called.
    pub name: String,
    /// What they may do in the organization.
    pub role: OrganizationRole,
    /// When they came.
    pub added_at: Timestamp,
    /// When they were removed, which ends their keys; `None` while they have a part.
    pub removed_at: Option<Timestamp>,
}

/// A person's part in a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Member {
    /// The organization of both.
    pub organization: OrganizationId,
    /// The project.
    pub project: ProjectId,
    /// The person.
    pub user: UserId,
    /// What they may do there.
    pub role: ProjectRole,
    /// When they came.
    pub added_at: Timestamp,
}

/// What calls for a project when no person does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServiceAccount {
    /// Its id.
    pub id: ServiceAccountId,
    /// The organization of its project.
    pub organization: OrganizationId,
    /// The project.
    pub project: ProjectId,
    /// What people call it; not unique.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was removed, which ends its keys; `None` while it is there.
    pub removed_at: Option<Timestamp>,
}

/// An invitation of a person into an organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Invite {
    /// Its id.
    pub id: InviteId,
    /// The organization.
    pub organization: OrganizationId,
    /// Whom it is for.
    pub email: String,
    /// What they will be in the organization.
    pub role: OrganizationRole,
    /// What they will be in projects.
    pub projects: Vec<InvitedTo>,
    /// The member who sent it; `None` when the operator did.
    pub invited_by: Option<UserId>,
    /// What the token that accepts it is recognised by.
    #[serde(skip)]
    pub token: KeyHash,
    /// When it was sent.
    pub created_at: Timestamp,
    /// From when on it cannot be accepted.
    pub expires_at: Timestamp,
    /// When it was accepted.
    pub accepted_at: Option<Timestamp>,
    /// When it was withdrawn.
    pub withdrawn_at: Option<Timestamp>,
}

/// A part in a project that comes with an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitedTo {
    /// The project.
    pub id: ProjectId,
    /// What they will be there.
    pub role: ProjectRole,
}
