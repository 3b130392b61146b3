//! Who may change what: the roles, written as one table.
//!
//! It knows people's roles and the sorts of changes; it knows neither routes nor HTTP.

use std::sync::Arc;

use domain::{OrganizationId, ProjectId};

use crate::record::{Actor, ActorKind, AdminKey, OrganizationRole, ProjectRole, User};
use crate::tenant::Tenant;

/// Somebody who administers.
#[derive(Clone, Debug)]
pub enum Administrator {
    /// Whoever has the operator's key: everything, everywhere.
    Operator,
    /// A member, by an administrator's key, as the organization was when it was presented.
    Member {
        /// The key.
        key: Arc<AdminKey>,
        /// The member.
        user: Arc<User>,
        /// The organization.
        tenant: Arc<Tenant>,
    },
}

/// Something that not everybody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// Sees the organization: projects, people, keys without their secrets, limits, balances.
    Read,
    /// Reads the audit log.
    ReadAudit,
    /// Renames the organization, changes its time zone and policies.
    ManageOrganization,
    /// Makes, changes and archives projects.
    ManageProjects,
    /// Changes one project: its name, members, service accounts, keys, models and limits.
    ManageProject,
    /// Makes keys of one's own in a project, and ends them.
    OwnKeys,
    /// Sets rate limits and budgets of the organization.
    ManageLimits,
    /// Invites and removes readers.
    ManageReaders,
    /// Invites and removes people of any role, and changes roles.
    ManagePeople,
    /// Makes and revokes administrators' keys.
    ManageAdminKeys,
    /// Joins and leaves programmes in which data is shared with a provider.
    ShareData,
}

impl Permission {
    /// Every permission.
    pub const ALL: &'static [Self] = &[
        Self::Read,
        Self::ReadAudit,
        Self::ManageOrganization,
        Self::ManageProjects,
        Self::ManageProject,
        Self::OwnKeys,
        Self::ManageLimits,
        Self::ManageReaders,
        Self::ManagePeople,
        Self::ManageAdminKeys,
        Self::ShareData,
    ];
}

impl Administrator {
    /// Whether this may be done in an organization, and where a project matters, in this one.
    pub fn may(
        &self,
        permission: Permission,
        organization: OrganizationId,
        project: Option<ProjectId>,
    ) -> bool {
        let Self::Member { user, tenant, .. } = self else { return true };
        if tenant.organization.id != organization {
            return false;
        }
        let part = project.and_then(|project| tenant.member(project, user.id)).map(|member| member.role);
        allows(user.role, part, permission)
    }

    /// The organization that this administrator's key is for; `None` for the operator's, which is for all.
    pub fn organization(&self) -> Option<OrganizationId> {
        match self {
            Self::Operator => None,
            Self::Member { tenant, .. } => Some(tenant.organization.id),
        }
    }

    /// As the audit log names them.
    pub fn actor(&self, address: Option<std::net::IpAddr>) -> Actor {
        let by = match self {
            Self::Operator => ActorKind::Operator,
            Self::Member { key, user, .. } => {
                ActorKind::AdminKey { key: key.id, user: user.id, email: user.email.clone() }
            }
        };
        Actor { by, address }
    }
}

/// The table of roles.
const fn allows(role: OrganizationRole, part: Option<ProjectRole>, permission: Permission) -> bool {
    use OrganizationRole::{Admin, Owner, Reader};
    match permission {
        Permission::Read => true,
        Permission::ManageOrganization
        | Permission::ReadAudit
        | Permission::ManageProjects
        | Permission::ManageLimits
        | Permission::ManageReaders => matches!(role, Owner | Admin),
        Permission::ManageProject => match role {
            Owner | Admin => true,
            Reader => matches!(part, Some(ProjectRole::Owner)),
        },
        Permission::OwnKeys => match role {
            Owner | Admin => true,
            Reader => part.is_some(),
        },
        Permission::ManagePeople | Permission::ManageAdminKeys | Permission::ShareData => {
            matches!(role, Owner)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_this_table() {
        use Permission as P;
        let owner = P::ALL;
        let admin = &[
            P::Read,
            P::ReadAudit,
            P::ManageOrganization,
            P::ManageProjects,
            P::ManageProject,
            P::OwnKeys,
            P::ManageLimits,
            P::ManageReaders,
        ];
        for (role, part, allowed) in [
            (OrganizationRole::Owner, None, owner),
            (OrganizationRole::Owner, Some(ProjectRole::Member), owner),
            (OrganizationRole::Admin, None, admin),
            (OrganizationRole::Admin, Some(ProjectRole::Owner), admin),
            (OrganizationRole::Reader, None, &[P::Read]),
            (OrganizationRole::Reader, Some(ProjectRole::Member), &[P::Read, P::OwnKeys]),
            (OrganizationRole::Reader, Some(ProjectRole::Owner), &[P::Read, P::ManageProject, P::OwnKeys]),
        ] {
            for permission in P::ALL {
                let expected = allowed.contains(permission);
                assert_eq!(allows(role, part, *permission), expected, "{role} {part:?} {permission:?}");
            }
        }
    }
}
