//! Invitations. This gateway sends no mail: the answer to making one has its token, once, for whoever made it to pass
//! on; `POST /admin/v1/invites/accept` takes it.

use directory::{Invite, InvitedTo, NewInvite, OrganizationRole, Permission};
use domain::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{deleted, ok, page, seconds};
use crate::admin::input::field;
use crate::admin::{Answered, Call, Problem};

fn show(invite: &Invite, now: Timestamp) -> Value {
    json!({
        "id": invite.id,
        "object": "organization.invite",
        "email": invite.email,
        "role": invite.role,
        "status": invite.status(now),
        "created_at": invite.created_at.seconds(),
        "expires_at": invite.expires_at.seconds(),
        "accepted_at": seconds(invite.accepted_at),
        "projects": invite.projects,
    })
}

pub(super) fn list(call: &Call) -> Answered {
    let now = call.admin.clock.now();
    page(call, &call.tenant.invites(), 20, |invite| invite.id, |invite| show(invite, now))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    email: String,
    role: String,
    #[serde(default)]
    projects: Vec<InvitedTo>,
}

pub(super) fn create(call: &Call) -> Answered {
    let body: Create = call.members()?;
    let role = field::<OrganizationRole>("role", &body.role)?;
    allowed(call, role)?;
    let organization = call.tenant.organization.id;
    let new = NewInvite { organization, email: body.email, role, projects: body.projects };
    let sent = call.admin.directory.create_invite(new, &call.admin.mandate(&call.hand))?;
    let mut shown = show(&sent.invite, call.admin.clock.now());
    if let Some(members) = shown.as_object_mut() {
        members.insert("token".to_owned(), json!(sent.token.expose()));
    }
    ok(&shown)
}

/// Owners alone decide on owners and admins.
fn allowed(call: &Call, role: OrganizationRole) -> Result<(), Problem> {
    if role == OrganizationRole::Reader { Ok(()) } else { call.require(Permission::ManagePeople) }
}

fn invite(call: &Call) -> Result<&Invite, Problem> {
    let found = call.tenant.invite(call.id("invite")?).filter(|invite| invite.withdrawn_at.is_none());
    found.map(AsRef::as_ref).ok_or_else(|| call.unknown("invite"))
}

pub(super) fn retrieve(call: &Call) -> Answered {
    ok(&show(invite(call)?, call.admin.clock.now()))
}

pub(super) fn delete(call: &Call) -> Answered {
    let invite = invite(call)?;
    allowed(call, invite.role)?;
    let mandate = call.admin.mandate(&call.hand);
    call.admin.directory.withdraw_invite(call.tenant.organization.id, invite.id, &mandate)?;
    deleted("organization.invite.deleted", invite.id)
}
