//! Keys of projects, without their secrets. There is no making one here, as with OpenAI: keys come with service
//! accounts, and `POST /admin/v1/keys` makes those of people.

use std::sync::Arc;

use directory::{BoundsChanges, Key, KeyChanges, KeyOwner, Permission, Scope, Tenant};
use domain::{KeyId, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{LIMIT_MAX, deleted, expiry, ok, seconds};
use crate::admin::input::{field, optional, shown};
use crate::admin::{Answered, Call, Problem};

/// Keys that are looked through at once for those that are asked for.
const KEYS_AT_ONCE: usize = 1_000;

fn show(tenant: &Tenant, key: &Key, last_used: Option<Timestamp>) -> Value {
    let active = tenant.has_part(key.owner, key.project);
    json!({
        "id": key.id,
        "object": "organization.project.api_key",
        "name": key.name,
        "redacted_value": key.redacted,
        "created_at": key.created_at.seconds(),
        "expires_at": seconds(key.expires_at),
        "last_used_at": seconds(last_used),
        "owner": owner(tenant, key),
        "owner_project_access": if active { "active" } else { "inactive" },
    })
}

/// Whose key it is, as far as they are still there.
fn owner(tenant: &Tenant, key: &Key) -> Value {
    match key.owner {
        KeyOwner::User(id) => {
            let user = tenant.user(id);
            let part = tenant.member(key.project, id).map(|member| member.role.as_str());
            let role = part.or_else(|| user.map(|user| user.role.as_str()));
            json!({ "type": "user", "user": {
                "id": id,
                "email": user.map(|user| &user.email),
                "name": user.map(|user| &user.name),
                "created_at": user.map(|user| user.added_at.seconds()),
                "role": role,
            } })
        }
        KeyOwner::ServiceAccount(id) => {
            let account = tenant.service_account(id);
            json!({ "type": "service_account", "service_account": {
                "id": id,
                "name": account.map(|account| &account.name),
                "created_at": account.map(|account| account.created_at.seconds()),
                "role": "member",
            } })
        }
    }
}

pub(super) fn list(call: &Call) -> Answered {
    let access = match call.query.one("owner_project_access")? {
        None | Some("any") => None,
        Some("active") => Some(true),
        Some("inactive") => Some(false),
        Some(other) => {
            let message =
                format!("`owner_project_access`: `{}` must be active, inactive or any.", shown(other));
            return Err(Problem::field("owner_project_access", message));
        }
    };
    let page = call.query.page(20, LIMIT_MAX)?;
    let after = optional::<KeyId>("after", page.after.as_deref())?;
    let fits = |key: &Key| {
        let has_access = call.tenant.has_part(key.owner, key.project);
        key.revoked_at.is_none() && access.is_none_or(|wanted| wanted == has_access)
    };
    let mut keys = fitting(call, after, page.limit.saturating_add(1), fits)?;
    let has_more = keys.len() > page.limit;
    keys.truncate(page.limit);
    let directory = call.admin.directory.directory();
    let data: Vec<Value> =
        keys.iter().map(|key| show(&call.tenant, key, directory.last_used(key.id))).collect();
    Ok(super::list(&data, has_more))
}

/// Keys that fit, after one of them, so many at most.
fn fitting(
    call: &Call,
    mut after: Option<KeyId>,
    limit: usize,
    fits: impl Fn(&Key) -> bool,
) -> Result<Vec<Arc<Key>>, Problem> {
    let project = call.project()?.id;
    let mut found = Vec::new();
    loop {
        let keys = call.admin.directory.directory().keys(project, after, KEYS_AT_ONCE);
        after = keys.last().map(|key| key.id);
        let last = keys.len() < KEYS_AT_ONCE;
        found.extend(keys.into_iter().filter(|key| fits(key)).take(limit - found.len()));
        if last || found.len() >= limit {
            return Ok(found);
        }
    }
}

/// The key of the path, if it was not revoked.
fn live(call: &Call) -> Result<&Key, Problem> {
    let key = call.key()?;
    if key.revoked_at.is_some() { Err(call.unknown("key")) } else { Ok(key) }
}

pub(super) fn retrieve(call: &Call) -> Answered {
    let key = live(call)?;
    ok(&show(&call.tenant, key, call.admin.directory.directory().last_used(key.id)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    scopes: Option<Vec<String>>,
    expires_in_seconds: Option<i64>,
}

pub(super) fn update(call: &Call) -> Answered {
    let key = live(call)?;
    let body: Update = call.members()?;
    if body.scopes.is_some() || body.expires_in_seconds.is_some() {
        // Who bounded a member's key had a reason; the member does not undo it.
        call.require(Permission::ManageProject)?;
    }
    let endpoints = body.scopes.map(|scopes| endpoints(&scopes)).transpose()?;
    let bounds = BoundsChanges { endpoints, ..BoundsChanges::default() };
    let expires_at = expiry(call, body.expires_in_seconds)?.map(Some);
    let changes = KeyChanges { bounds, expires_at, ..KeyChanges::default() };
    let changed = call.admin.directory.update_key(key.id, changes, &call.admin.mandate(&call.hand))?;
    ok(&show(&call.tenant, &changed, call.admin.directory.directory().last_used(changed.id)))
}

/// Scopes as endpoints; none is no bound, as with OpenAI.
pub(super) fn endpoints(scopes: &[String]) -> Result<Option<Vec<Scope>>, Problem> {
    let endpoints: Vec<Scope> =
        scopes.iter().map(|scope| field("scopes", scope)).collect::<Result<_, _>>()?;
    Ok((!endpoints.is_empty()).then_some(endpoints))
}

pub(super) fn delete(call: &Call) -> Answered {
    let key = live(call)?;
    call.admin.directory.revoke_key(key.id, &call.admin.mandate(&call.hand))?;
    deleted("organization.project.api_key.deleted", key.id)
}
