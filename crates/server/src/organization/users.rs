//! Members of the organization, and their parts in its projects.

use std::collections::HashSet;

use directory::{Member, OrganizationRole, Permission, ProjectRole, Tenant, User, UserChanges};
use domain::UserId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{deleted, ok, page};
use crate::admin::input::{field, optional};
use crate::admin::{Answered, Call, Problem};

fn show(user: &User) -> Value {
    json!({
        "id": user.id,
        "object": "organization.user",
        "email": user.email,
        "name": user.name,
        "role": user.role,
        "added_at": user.added_at.seconds(),
    })
}

fn show_part(tenant: &Tenant, member: &Member) -> Value {
    let user = tenant.user(member.user);
    json!({
        "id": member.user,
        "object": "organization.project.user",
        "email": user.map(|user| &user.email),
        "name": user.map(|user| &user.name),
        "role": member.role,
        "added_at": member.added_at.seconds(),
    })
}

pub(super) fn list(call: &Call) -> Answered {
    let emails: HashSet<String> =
        call.query.list("emails").iter().map(|email| email.to_lowercase()).collect();
    let mut users = call.tenant.users();
    users.retain(|user| emails.is_empty() || emails.contains(&user.email.to_lowercase()));
    page(call, &users, 20, |user| user.id, |user| show(user))
}

fn user(call: &Call) -> Result<&User, Problem> {
    let found = call.tenant.user(call.id::<UserId>("user")?);
    found.map(AsRef::as_ref).ok_or_else(|| call.unknown("user"))
}

pub(super) fn retrieve(call: &Call) -> Answered {
    ok(&show(user(call)?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Role {
    role: String,
}

pub(super) fn update(call: &Call) -> Answered {
    let id = user(call)?.id;
    let Role { role } = call.members()?;
    let role = field::<OrganizationRole>("role", &role)?;
    let changes = UserChanges { role: Some(role), ..UserChanges::default() };
    let mandate = call.admin.mandate(&call.hand);
    ok(&show(&call.admin.directory.update_user(call.tenant.organization.id, id, changes, &mandate)?))
}

pub(super) fn delete(call: &Call) -> Answered {
    let user = user(call)?;
    if user.role != OrganizationRole::Reader {
        call.require(Permission::ManagePeople)?;
    }
    // Who was a reader when the call came may have been promoted since.
    let may_go = |role| role == OrganizationRole::Reader || call.require(Permission::ManagePeople).is_ok();
    let (organization, mandate) = (call.tenant.organization.id, call.admin.mandate(&call.hand));
    call.admin.directory.remove_user_if(organization, user.id, may_go, &mandate)?;
    deleted("organization.user.deleted", user.id)
}

pub(super) fn in_project(call: &Call) -> Answered {
    let members = call.tenant.members(call.project()?.id);
    page(call, &members, 20, |member| member.user, |member| show_part(&call.tenant, member))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Join {
    user_id: Option<String>,
    email: Option<String>,
    role: String,
}

pub(super) fn join_project(call: &Call) -> Answered {
    let body: Join = call.members()?;
    let id = match (optional::<UserId>("user_id", body.user_id.as_deref())?, &body.email) {
        (Some(id), None) => id,
        (None, Some(email)) => {
            call.tenant.user_by_email(email).ok_or_else(|| Problem::unknown("email", email))?.id
        }
        (Some(_), Some(_)) | (None, None) => {
            return Err(Problem::field(
                "user_id",
                "Name the person by `user_id` or by `email`, one of the two.",
            ));
        }
    };
    set_part(call, id, &body.role)
}

fn set_part(call: &Call, id: UserId, role: &str) -> Answered {
    let role = field::<ProjectRole>("role", role)?;
    let mandate = call.admin.mandate(&call.hand);
    let (user, member) = call.admin.directory.set_member(call.project()?.id, id, role, &mandate)?;
    ok(&json!({
        "id": member.user,
        "object": "organization.project.user",
        "email": user.email,
        "name": user.name,
        "role": member.role,
        "added_at": member.added_at.seconds(),
    }))
}

fn part(call: &Call) -> Result<&Member, Problem> {
    let found = call.tenant.member(call.project()?.id, call.id("user")?);
    found.map(AsRef::as_ref).ok_or_else(|| call.unknown("user"))
}

pub(super) fn part_in_project(call: &Call) -> Answered {
    ok(&show_part(&call.tenant, part(call)?))
}

pub(super) fn change_part(call: &Call) -> Answered {
    let id = part(call)?.user;
    let Role { role } = call.members()?;
    set_part(call, id, &role)
}

pub(super) fn leave_project(call: &Call) -> Answered {
    let id = part(call)?.user;
    call.admin.directory.remove_member(call.project()?.id, id, &call.admin.mandate(&call.hand))?;
    deleted("organization.project.user.deleted", id)
}
