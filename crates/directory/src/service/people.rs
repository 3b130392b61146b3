//! People and service accounts.

use std::sync::Arc;

use domain::{OrganizationId, ProjectId, ServiceAccountId, UserId};

use super::{ChangeError, DirectoryService, Draft, Mandate, told, valid_name};
use crate::port::Change;
use crate::record::{Key, KeyOwner, Member, OrganizationRole, ProjectRole, ServiceAccount, User};
use crate::tenant::Tenant;

/// The longest mail address there is, in bytes (RFC 5321, 4.5.3.1.3, without the brackets).
const EMAIL_BYTES_MAX: usize = 254;

/// A person to be added.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The organization.
    pub organization: OrganizationId,
    /// Where mail reaches them.
    pub email: String,
    /// What they are called; their mail address without one.
    pub name: Option<String>,
    /// What they may do in the organization.
    pub role: OrganizationRole,
}

/// What is to change of a person; `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct UserChanges {
    /// What they are called.
    pub name: Option<String>,
    /// What they may do in the organization.
    pub role: Option<OrganizationRole>,
}

impl DirectoryService {
    /// Adds a person without an invitation.
    pub fn add_user(&self, new: NewUser, mandate: &Mandate<'_>) -> Result<User, ChangeError> {
        let _guard = self.one_at_a_time();
        let tenant = self.tenant("organization", new.organization)?;
        let mut draft = Draft::new(mandate, new.organization);
        let user = draft.add_user(&tenant, new)?;
        self.finish(draft)?;
        Ok(user)
    }

    /// Changes a person.
    pub fn update_user(
        &self,
        organization: OrganizationId,
        id: UserId,
        changes: UserChanges,
        mandate: &Mandate<'_>,
    ) -> Result<User, ChangeError> {
        let name = changes.name.as_deref().map(valid_name).transpose()?;
        let _guard = self.one_at_a_time();
        let tenant = self.tenant("organization", organization)?;
        let before = tenant.user(id).ok_or_else(|| ChangeError::not_found("user", id))?;
        let after = User {
            name: name.unwrap_or_else(|| before.name.clone()),
            role: changes.role.unwrap_or(before.role),
            ..User::clone(before)
        };
        if after.role != OrganizationRole::Owner {
            keep_an_owner(&tenant, before)?;
        }
        let mut draft = Draft::new(mandate, organization);
        draft.put(told("user.updated", None, id), Some(&**before), &after);
        self.finish(draft)?;
        Ok(after)
    }

    /// Removes a person. Their keys are refused from now on.
    pub fn remove_user(
        &self,
        organization: OrganizationId,
        id: UserId,
        mandate: &Mandate<'_>,
    ) -> Result<(), ChangeError> {
        self.remove_user_if(organization, id, |_| true, mandate)
    }

    /// The same, of a person whose role at that moment is one that the caller may remove.
    pub fn remove_user_if(
        &self,
        organization: OrganizationId,
        id: UserId,
        may_go: impl Fn(OrganizationRole) -> bool,
        mandate: &Mandate<'_>,
    ) -> Result<(), ChangeError> {
        let _guard = self.one_at_a_time();
        let tenant = self.tenant("organization", organization)?;
        let before = tenant.user(id).ok_or_else(|| ChangeError::not_found("user", id))?;
        if !may_go(before.role) {
            let problem =
                format!("{} has become {} meanwhile; nobody was removed", before.email, before.role);
            return Err(ChangeError::conflict("role", problem));
        }
        keep_an_owner(&tenant, before)?;
        let after = User { removed_at: Some(mandate.now), ..User::clone(before) };
        let mut draft = Draft::new(mandate, organization);
        for member in tenant.members.values().filter(|member| member.user == id) {
            draft.remove_member(member);
        }
        draft.put(told("user.deleted", None, id), Some(&**before), &after);
        self.finish(draft)
    }

    /// Gives a person a part in a project, or another role there.
    pub fn set_member(
        &self,
        project: ProjectId,
        user: UserId,
        role: ProjectRole,
        mandate: &Mandate<'_>,
    ) -> Result<(Arc<User>, Member), ChangeError> {
        let _guard = self.one_at_a_time();
        let (tenant, _) = self.open_project(project)?;
        let known = tenant.user(user).ok_or_else(|| ChangeError::not_found("user_id", user))?;
        let before = tenant.member(project, user);
        let member = Member {
            organization: tenant.organization.id,
            project,
            user,
            role,
            added_at: before.map_or(mandate.now, |member| member.added_at),
        };
        let action = if before.is_some() { "project.user.updated" } else { "project.user.added" };
        let mut draft = Draft::new(mandate, member.organization);
        draft.put(told(action, Some(project), user), before.map(|member| &**member), &member);
        self.finish(draft)?;
        Ok((Arc::clone(known), member))
    }

    /// Ends a person's part in a project. Their keys there are refused from now on, unless they own the organization and
    /// so have a part in each of its projects.
    pub fn remove_member(
        &self,
        project: ProjectId,
        user: UserId,
        mandate: &Mandate<'_>,
    ) -> Result<(), ChangeError> {
        let _guard = self.one_at_a_time();
        let (tenant, _) = self.project(project)?;
        let before = tenant.member(project, user).ok_or_else(|| ChangeError::not_found("user", user))?;
        let mut draft = Draft::new(mandate, before.organization);
        draft.remove_member(before);
        self.finish(draft)
    }

    /// Makes a service account of an open project.
    pub fn create_service_account(
        &self,
        project: ProjectId,
        name: &str,
        mandate: &Mandate<'_>,
    ) -> Result<ServiceAccount, ChangeError> {
        let name = valid_name(name)?;
        let _guard = self.one_at_a_time();
        let (tenant, _) = self.open_project(project)?;
        let mut draft = Draft::new(mandate, tenant.organization.id);
        let account = draft.add_service_account(project, name);
        self.finish(draft)?;
        Ok(account)
    }

    /// Gives a service account another name.
    pub fn rename_service_account(
        &self,
        project: ProjectId,
        id: ServiceAccountId,
        name: &str,
        mandate: &Mandate<'_>,
    ) -> Result<ServiceAccount, ChangeError> {
        let name = valid_name(name)?;
        let _guard = self.one_at_a_time();
        let (tenant, before) = self.account_of(project, id)?;
        let after = ServiceAccount { name, ..ServiceAccount::clone(&before) };
        let mut draft = Draft::new(mandate, tenant.organization.id);
        draft.put(told("service_account.updated", Some(project), id), Some(&*before), &after);
        self.finish(draft)?;
        Ok(after)
    }

    /// Removes a service account, and revokes its keys.
    pub fn remove_service_account(
        &self,
        project: ProjectId,
        id: ServiceAccountId,
        mandate: &Mandate<'_>,
    ) -> Result<(), ChangeError> {
        let _guard = self.one_at_a_time();
        let (tenant, before) = self.account_of(project, id)?;
        let mut draft = Draft::new(mandate, tenant.organization.id);
        for key in self.directory.keys(project, None, usize::MAX) {
            if key.owner == KeyOwner::ServiceAccount(id) && key.revoked_at.is_none() {
                let revoked = Key { revoked_at: Some(mandate.now), ..Key::clone(&key) };
                draft.put(told("api_key.deleted", Some(project), key.id), Some(&*key), &revoked);
            }
        }
        let after = ServiceAccount { removed_at: Some(mandate.now), ..ServiceAccount::clone(&before) };
        draft.put(told("service_account.deleted", Some(project), id), Some(&*before), &after);
        self.finish(draft)
    }

    fn account_of(
        &self,
        project: ProjectId,
        id: ServiceAccountId,
    ) -> Result<(Arc<Tenant>, Arc<ServiceAccount>), ChangeError> {
        let (tenant, _) = self.project(project)?;
        let account = tenant.service_account(id).filter(|account| account.project == project);
        let account = account.cloned().ok_or_else(|| ChangeError::not_found("service_account", id))?;
        Ok((tenant, account))
    }
}

impl Draft<'_> {
    pub(super) fn add_user(&mut self, tenant: &Tenant, new: NewUser) -> Result<User, ChangeError> {
        let email = valid_email(&new.email)?;
        if tenant.user_by_email(&email).is_some() {
            let problem = format!("`email`: {email} is the address of a member already");
            return Err(ChangeError::conflict("email", problem));
        }
        let user = User {
            id: UserId::fresh(self.mandate.ids),
            organization: new.organization,
            name: new.name.as_deref().map(valid_name).transpose()?.unwrap_or_else(|| email.clone()),
            email,
            role: new.role,
            added_at: self.mandate.now,
            removed_at: None,
        };
        self.put(told("user.added", None, user.id), None, &user);
        Ok(user)
    }

    pub(super) fn add_service_account(&mut self, project: ProjectId, name: String) -> ServiceAccount {
        let account = ServiceAccount {
            id: ServiceAccountId::fresh(self.mandate.ids),
            organization: self.organization,
            project,
            name,
            created_at: self.mandate.now,
            removed_at: None,
        };
        self.put(told("service_account.created", Some(project), account.id), None, &account);
        account
    }

    fn remove_member(&mut self, member: &Member) {
        let change = Change::RemoveMember(member.organization, member.project, member.user);
        self.remove(told("project.user.deleted", Some(member.project), member.user), change, member);
    }
}

/// An organization that has an owner keeps one: nobody else could make the next.
fn keep_an_owner(tenant: &Tenant, leaving: &User) -> Result<(), ChangeError> {
    let others =
        tenant.users().iter().any(|user| user.id != leaving.id && user.role == OrganizationRole::Owner);
    if leaving.role == OrganizationRole::Owner && !others {
        let problem =
            "`role`: this is the last owner of the organization; make another member an owner first";
        return Err(ChangeError::conflict("role", problem));
    }
    Ok(())
}

/// A mail address as people write it; whether mail arrives there only mail can tell.
pub(super) fn valid_email(email: &str) -> Result<String, ChangeError> {
    let email = email.trim();
    let plausible = email.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty()
            && !host.is_empty()
            && !host.contains('@')
            && !host.starts_with('.')
            && !host.ends_with('.')
    });
    let clean = email.chars().all(|c| !c.is_whitespace() && !super::is_invisible(c) && c != '<' && c != '>');
    if plausible && clean && email.len() <= EMAIL_BYTES_MAX {
        return Ok(email.to_owned());
    }
    Err(ChangeError::invalid("email", "is not a mail address such as name@example.com"))
}
