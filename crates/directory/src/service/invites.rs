//! Invitations: sent, accepted, withdrawn.

use std::collections::HashSet;

use domain::{InviteId, OrganizationId, Timestamp};

use super::people::valid_email;
use super::{ChangeError, CreatedAdminKey, DirectoryService, Draft, Mandate, NewAdminKey, NewUser, told};
use crate::record::{Invite, InvitedTo, Member, OrganizationRole, User};
use crate::secret::{KeyKind, Secret};
use crate::tenant::Tenant;

/// How long an invitation can be accepted: seven days.
const OPEN_SECONDS: i64 = 7 * 24 * 60 * 60;

/// An invitation to be sent.
#[derive(Clone, Debug)]
pub struct NewInvite {
    /// The organization.
    pub organization: OrganizationId,
    /// Whom it is for.
    pub email: String,
    /// What they will be in the organization.
    pub role: OrganizationRole,
    /// What they will be in projects.
    pub projects: Vec<InvitedTo>,
}

/// An invitation just made, with the one copy of its token there is.
#[derive(Debug)]
pub struct SentInvite {
    /// The record.
    pub invite: Invite,
    /// What accepts it, to be given to the person.
    pub token: Secret,
}

/// Somebody who has just come in by an invitation.
#[derive(Debug)]
pub struct Accepted {
    /// The person.
    pub user: User,
    /// The key by which they administer what their roles allow.
    pub admin_key: CreatedAdminKey,
}

impl DirectoryService {
    /// Makes an invitation. Sending its token is up to the caller.
    pub fn create_invite(&self, new: NewInvite, mandate: &Mandate<'_>) -> Result<SentInvite, ChangeError> {
        let email = valid_email(&new.email)?;
        let _guard = self.one_at_a_time();
        let tenant = self.tenant("organization", new.organization)?;
        if tenant.user_by_email(&email).is_some() {
            let problem = format!("`email`: {email} is the address of a member already");
            return Err(ChangeError::conflict("email", problem));
        }
        check_projects(&tenant, &new.projects)?;
        let token = Secret::generate(KeyKind::Invite, mandate.ids);
        let invite = Invite {
            id: InviteId::fresh(mandate.ids),
            organization: new.organization,
            email,
            role: new.role,
            projects: new.projects,
            invited_by: mandate.actor.user(),
            token: self.directory.hash(token.expose()),
            created_at: mandate.now,
            expires_at: mandate.now.plus_seconds(OPEN_SECONDS),
            accepted_at: None,
            withdrawn_at: None,
        };
        let mut draft = Draft::new(mandate, new.organization);
        draft.put(told("invite.sent", None, invite.id), None, &invite);
        self.finish(draft)?;
        Ok(SentInvite { invite, token })
    }

    /// Lets the person in whom a token was given to.
    pub fn accept_invite(
        &self,
        token: &str,
        name: Option<String>,
        mandate: &Mandate<'_>,
    ) -> Result<Accepted, ChangeError> {
        let unknown = || ChangeError::invalid("token", "belongs to no open invitation; ask for another");
        // Strangers come here: nobody's change waits for one whose token is none.
        self.directory.invitation(token).ok_or_else(unknown)?;
        let _guard = self.one_at_a_time();
        let (tenant, before) = self.directory.invitation(token).ok_or_else(unknown)?;
        if before.accepted_at.is_some() || before.withdrawn_at.is_some() || before.expires_at <= mandate.now {
            return Err(unknown());
        }
        if !may_still_invite(&tenant, &before) {
            let problem =
                "is of somebody who may not invite any more; ask an owner of the organization for another";
            return Err(ChangeError::invalid("token", problem));
        }
        let mut draft = Draft::new(mandate, before.organization);
        let new = NewUser {
            organization: before.organization,
            email: before.email.clone(),
            name,
            role: before.role,
        };
        let user = draft.add_user(&tenant, new)?;
        // A project that was archived meanwhile is no reason to keep the person out.
        let open = before
            .projects
            .iter()
            .filter(|part| tenant.project(part.id).is_some_and(|project| project.archived_at.is_none()));
        for part in open {
            let member = Member {
                organization: before.organization,
                project: part.id,
                user: user.id,
                role: part.role,
                added_at: mandate.now,
            };
            draft.put(told("project.user.added", Some(part.id), user.id), None, &member);
        }
        let key = NewAdminKey {
            organization: before.organization,
            user: user.id,
            name: "from the invitation".to_owned(),
            expires_at: None,
        };
        let admin_key = self.add_admin_key(&mut draft, key)?;
        let after = Invite { accepted_at: Some(mandate.now), ..Invite::clone(&before) };
        draft.put(told("invite.accepted", None, after.id), Some(&*before), &after);
        self.finish(draft)?;
        Ok(Accepted { user, admin_key })
    }

    /// Takes an invitation back that was not accepted.
    pub fn withdraw_invite(
        &self,
        organization: OrganizationId,
        id: InviteId,
        mandate: &Mandate<'_>,
    ) -> Result<(), ChangeError> {
        let _guard = self.one_at_a_time();
        let tenant = self.tenant("organization", organization)?;
        let before = tenant.invite(id).filter(|invite| invite.withdrawn_at.is_none());
        let before = before.ok_or_else(|| ChangeError::not_found("invite", id))?;
        if before.accepted_at.is_some() {
            let problem = "`invite`: it was accepted; remove the member instead";
            return Err(ChangeError::conflict("invite", problem));
        }
        let after = Invite { withdrawn_at: Some(mandate.now), ..Invite::clone(before) };
        let mut draft = Draft::new(mandate, organization);
        draft.put(told("invite.deleted", None, id), Some(&**before), &after);
        self.finish(draft)
    }
}

/// Whether a person can be given these parts: each in an open project of the organization, and one in each.
fn check_projects(tenant: &Tenant, parts: &[InvitedTo]) -> Result<(), ChangeError> {
    let mut named = HashSet::new();
    for part in parts {
        let project = tenant.project(part.id).ok_or_else(|| ChangeError::not_found("projects", part.id))?;
        if project.archived_at.is_some() {
            return Err(ChangeError::Archived { field: "projects", id: part.id.to_string() });
        }
        if !named.insert(part.id) {
            let problem = format!("names {} twice; a person has one role in a project", part.id);
            return Err(ChangeError::invalid("projects", problem));
        }
    }
    Ok(())
}

impl Invite {
    /// How it stands, in OpenAI's words.
    pub fn status(&self, now: Timestamp) -> &'static str {
        match (self.accepted_at, self.expires_at) {
            (Some(_), _) => "accepted",
            (None, expires_at) if expires_at <= now => "expired",
            (None, _) => "pending",
        }
    }
}

/// Whether whoever sent an invitation could send it now: who was removed or put down does not come back by an invitation
/// of their own.
fn may_still_invite(tenant: &Tenant, invite: &Invite) -> bool {
    let Some(sender) = invite.invited_by else { return true };
    tenant.user(sender).is_some_and(|sender| match sender.role {
        OrganizationRole::Owner => true,
        OrganizationRole::Admin => invite.role == OrganizationRole::Reader,
        OrganizationRole::Reader => false,
    })
}
