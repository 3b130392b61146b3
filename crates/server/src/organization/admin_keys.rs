//! Administrators' keys. Each acts in the name of the member who made it, and may what this member may.

use std::sync::Arc;

use directory::{AdminKey, Administrator, NewAdminKey, Tenant};
use domain::{AdminKeyId, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{LIMIT_MAX, deleted, expiry, ok, page, seconds};
use crate::admin::input::{optional, shown};
use crate::admin::{Answered, Call, Problem};

fn show(tenant: &Tenant, key: &AdminKey, last_used: Option<Timestamp>) -> Value {
    let user = tenant.user(key.user);
    json!({
        "id": key.id,
        "object": "organization.admin_api_key",
        "name": key.name,
        "redacted_value": key.redacted,
        "created_at": key.created_at.seconds(),
        "expires_at": seconds(key.expires_at),
        "last_used_at": seconds(last_used),
        "owner": {
            "type": "user",
            "object": "organization.user",
            "id": key.user,
            "name": user.map(|user| &user.name),
            "created_at": user.map(|user| user.added_at.seconds()),
            "role": user.map(|user| user.role),
        },
    })
}

fn shown_with_use(call: &Call, key: &AdminKey) -> Value {
    let last_used = call.admin.directory.directory().admin_key(key.id).and_then(|(_, used)| used);
    show(&call.tenant, key, last_used)
}

pub(super) fn list(call: &Call) -> Answered {
    let mut keys: Vec<Arc<AdminKey>> =
        call.admin.directory.directory().admin_keys(call.tenant.organization.id);
    keys.retain(|key| key.revoked_at.is_none());
    match call.query.one("order")? {
        None | Some("asc") => page(call, &keys, 20, |key| key.id, |key| shown_with_use(call, key)),
        Some("desc") => newest_first(call, &keys),
        Some(other) => {
            Err(Problem::field("order", format!("`order`: `{}` is neither asc nor desc.", shown(other))))
        }
    }
}

fn newest_first(call: &Call, keys: &[Arc<AdminKey>]) -> Answered {
    let page = call.query.page(20, LIMIT_MAX)?;
    let after = optional::<AdminKeyId>("after", page.after.as_deref())?;
    let older = keys.iter().rev().filter(|key| after.is_none_or(|after| key.id < after));
    let mut data: Vec<Value> =
        older.take(page.limit.saturating_add(1)).map(|key| shown_with_use(call, key)).collect();
    let has_more = data.len() > page.limit;
    data.truncate(page.limit);
    Ok(super::list(&data, has_more))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    name: String,
    expires_in_seconds: Option<i64>,
}

pub(super) fn create(call: &Call) -> Answered {
    let body: Create = call.members()?;
    let Administrator::Member { user, .. } = &call.hand.by else {
        let message = "The operator is no member in whose name a key could act: make it with \
                       POST /admin/v1/organizations/ORGANIZATION/admin-keys, which takes the `user`.";
        return Err(Problem::field("user", message));
    };
    let new = NewAdminKey {
        organization: call.tenant.organization.id,
        user: user.id,
        name: body.name,
        expires_at: expiry(call, body.expires_in_seconds)?,
    };
    let made = call.admin.directory.create_admin_key(new, &call.admin.mandate(&call.hand))?;
    let mut shown = show(&call.tenant, &made.key, None);
    if let Some(members) = shown.as_object_mut() {
        members.insert("value".to_owned(), json!(made.secret.expose()));
    }
    ok(&shown)
}

fn live(call: &Call) -> Result<Arc<AdminKey>, Problem> {
    let found = call.admin.directory.directory().admin_key(call.id("admin_key")?).map(|(key, _)| key);
    let organization = call.tenant.organization.id;
    let found = found.filter(|key| key.organization == organization && key.revoked_at.is_none());
    found.ok_or_else(|| call.unknown("admin_key"))
}

pub(super) fn retrieve(call: &Call) -> Answered {
    ok(&shown_with_use(call, &*live(call)?))
}

pub(super) fn delete(call: &Call) -> Answered {
    let key = live(call)?;
    let mandate = call.admin.mandate(&call.hand);
    call.admin.directory.revoke_admin_key(call.tenant.organization.id, key.id, &mandate)?;
    deleted("organization.admin_api_key.deleted", key.id)
}
