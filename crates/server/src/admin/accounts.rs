//! Projects and people, beyond what OpenAI's shapes can say.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Extensions, StatusCode};
use directory::{
    Actor, ActorKind, Administrator, AfterGrant, Byok, DataClass, Environment, Mandate, ModelAccess,
    NewAdminKey, NewUser, OrganizationRole, Permission, ProjectChanges,
};
use domain::{Timestamp, UserId};
use serde::Deserialize;
use serde_json::json;

use super::input::{blocking, nullable, optional, parse};
use super::view::{self, json};
use super::{Answered, Call, ClientAddress, Problem, Shared};

pub(super) fn projects(call: &Call) -> Answered {
    let data = call.tenant.projects().iter().map(|project| view::project(project)).collect();
    Ok(json(StatusCode::OK, &view::list(data, false)))
}

pub(super) fn show_project(call: &Call) -> Answered {
    Ok(json(StatusCode::OK, &view::project(call.project()?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "a missing list stays, null takes it away")]
struct ProjectPatch {
    name: Option<String>,
    environment: Option<String>,
    data_class: Option<String>,
    after_grant: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    models: Option<Option<ModelAccess>>,
    byok: Option<String>,
    byok_fallback: Option<bool>,
}

pub(super) fn update_project(call: &Call) -> Answered {
    let patch: ProjectPatch = parse(&call.body)?;
    let pays = patch.byok.is_some() || patch.byok_fallback.is_some() || patch.after_grant.is_some();
    if patch.environment.is_some() || patch.data_class.is_some() || pays {
        // They decide which contracts cover the project's calls, who pays the provider, and whether these may spend what the
        // organization has paid for, which is not for the project to say.
        call.require(Permission::ManageProjects)?;
    }
    let changes = ProjectChanges {
        name: patch.name,
        environment: optional::<Environment>("environment", patch.environment.as_deref())?,
        data_class: optional::<DataClass>("data_class", patch.data_class.as_deref())?,
        after_grant: optional::<AfterGrant>("after_grant", patch.after_grant.as_deref())?,
        models: patch.models,
        byok: optional::<Byok>("byok", patch.byok.as_deref())?,
        byok_fallback: patch.byok_fallback,
    };
    let mandate = call.admin.mandate(&call.hand);
    let changed = call.admin.directory.update_project(call.project()?.id, changes, &mandate)?;
    Ok(json(StatusCode::OK, &view::project(&changed)))
}

pub(super) fn archive_project(call: &Call) -> Answered {
    let mandate = call.admin.mandate(&call.hand);
    let archived = call.admin.directory.archive_project(call.project()?.id, &mandate)?;
    Ok(json(StatusCode::OK, &view::project(&archived)))
}

pub(super) fn users(call: &Call) -> Answered {
    let data = call.tenant.users().iter().map(|user| view::user(user)).collect();
    Ok(json(StatusCode::OK, &view::list(data, false)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserBody {
    email: String,
    name: Option<String>,
    role: Option<String>,
}

pub(super) fn add_user(call: &Call) -> Answered {
    let body: UserBody = parse(&call.body)?;
    let new = NewUser {
        organization: call.tenant.organization.id,
        email: body.email,
        name: body.name,
        role: optional::<OrganizationRole>("role", body.role.as_deref())?.unwrap_or_default(),
    };
    let added = call.admin.directory.add_user(new, &call.admin.mandate(&call.hand))?;
    Ok(json(StatusCode::CREATED, &view::user(&added)))
}

pub(super) fn remove_user(call: &Call) -> Answered {
    let id: UserId = call.id("user")?;
    let mandate = call.admin.mandate(&call.hand);
    call.admin.directory.remove_user(call.tenant.organization.id, id, &mandate)?;
    Ok(json(StatusCode::OK, &json!({ "id": id, "object": "user", "deleted": true })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdminKeyBody {
    user: Option<String>,
    name: Option<String>,
    expires_at: Option<String>,
}

pub(super) fn create_admin_key(call: &Call) -> Answered {
    let body: AdminKeyBody = call.members()?;
    let named = optional::<UserId>("user", body.user.as_deref())?;
    let user = match &call.hand.by {
        Administrator::Operator => named.ok_or_else(|| Problem::missing("user"))?,
        Administrator::Member { user, .. } if named.is_none_or(|named| named == user.id) => user.id,
        Administrator::Member { .. } => {
            // Whoever could make a key in another's name could do things in it, too.
            let message =
                "`user` names somebody else: administrators make keys in their own name; leave it out.";
            return Err(Problem::field("user", message));
        }
    };
    let new = NewAdminKey {
        organization: call.tenant.organization.id,
        user,
        name: body.name.unwrap_or_else(|| "admin".to_owned()),
        expires_at: optional::<Timestamp>("expires_at", body.expires_at.as_deref())?,
    };
    let made = call.admin.directory.create_admin_key(new, &call.admin.mandate(&call.hand))?;
    Ok(json(StatusCode::CREATED, &view::created_admin_key(&made)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Acceptance {
    token: String,
    name: Option<String>,
}

/// Lets somebody in by the token of an invitation, which is 40 random characters and known by its hash alone: guessing
/// is hopeless at any rate, and how long a look-up takes tells nothing of the token.
pub(super) async fn accept_invite(State(admin): Shared, extensions: Extensions, body: Bytes) -> Answered {
    let Acceptance { token, name } = parse(&body)?;
    let address = extensions.get().and_then(|ClientAddress(address)| *address);
    blocking(move || {
        let directory = admin.directory.directory();
        let email = directory.invitation(&token).map(|(_, invite)| invite.email.clone());
        let actor = Actor { by: ActorKind::Invited { email: email.unwrap_or_default() }, address };
        let mandate = Mandate { actor, ids: admin.ids.as_ref(), now: admin.clock.now() };
        let accepted = admin.directory.accept_invite(&token, name, &mandate)?;
        Ok(json(
            StatusCode::CREATED,
            &json!({
                "object": "invite.accepted",
                "organization": accepted.user.organization,
                "user": view::user(&accepted.user),
                "admin_key": view::created_admin_key(&accepted.admin_key),
            }),
        ))
    })
    .await
}
