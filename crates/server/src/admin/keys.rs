//! Keys of projects: made, bounded, disabled, rotated, revoked. Only an answer to making or rotating holds a secret.

use axum::http::StatusCode;
use directory::{
    Administrator, Bounds, BoundsChanges, KeyChanges, KeyOwner, ModelAccess, NewKey, Permission, Scope,
};
use domain::{KeyId, ServiceAccountId, Timestamp};
use serde::Deserialize;
use serde_json::json;

use super::input::{field, nullable, optional, parse};
use super::view::{self, json};
use super::{Answered, Call, Problem};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyBody {
    #[serde(rename = "project")]
    _project: String,
    name: Option<String>,
    expires_at: Option<String>,
    owner: Option<String>,
    endpoints: Option<Vec<String>>,
    models: Option<ModelAccess>,
    #[serde(default)]
    networks: Vec<String>,
}

pub(super) fn create(call: &Call) -> Answered {
    let body: KeyBody = parse(&call.body)?;
    let new = NewKey {
        project: call.project()?.id,
        owner: owner(call, body.owner.as_deref())?,
        name: body.name,
        bounds: Bounds {
            endpoints: body.endpoints.map(|words| endpoints(&words)).transpose()?,
            models: body.models,
            networks: networks(&body.networks)?,
        },
        expires_at: optional::<Timestamp>("expires_at", body.expires_at.as_deref())?,
    };
    let made = call.admin.directory.create_key(new, &call.admin.mandate(&call.hand))?;
    Ok(json(StatusCode::CREATED, &view::created_key(&made)))
}

/// Whose key it will be: one's own unless a service account is named, which takes a right to the project. What the
/// operator names nobody for is the service account's.
fn owner(call: &Call, named: Option<&str>) -> Result<Option<KeyOwner>, Problem> {
    let own = match &call.hand.by {
        Administrator::Operator => None,
        Administrator::Member { user, .. } => Some(KeyOwner::User(user.id)),
    };
    let owner = match named {
        Some(text) if text.starts_with(ServiceAccountId::PREFIX) => {
            Some(KeyOwner::ServiceAccount(field("owner", text)?))
        }
        Some(text) => Some(KeyOwner::User(field("owner", text)?)),
        None => own.filter(|own| call.project().is_ok_and(|project| call.tenant.has_part(*own, project.id))),
    };
    if let Some(owner) = owner {
        in_ones_own_name(call, "owner", owner)?;
    }
    if owner.is_none() || owner != own {
        call.require(Permission::ManageProject)?;
    }
    Ok(owner)
}

fn in_ones_own_name(call: &Call, field: &str, owner: KeyOwner) -> Result<(), Problem> {
    let found = somebody_elses(&call.hand.by, owner);
    found.map_or(Ok(()), |problem| Err(Problem::field(field, format!("`{field}`: {problem}."))))
}

/// Why somebody must not have the secret of this owner's key: whoever had the secret of another person's key could call
/// in their name. `None` when they may.
pub(crate) fn somebody_elses(by: &Administrator, owner: KeyOwner) -> Option<String> {
    match (by, owner) {
        (Administrator::Member { user, .. }, KeyOwner::User(id)) if id != user.id => Some(format!(
            "{id} is somebody else; a person's key is made and rotated by this person alone. Use a service account \
             for what several people call with"
        )),
        (Administrator::Operator | Administrator::Member { .. }, _) => None,
    }
}

pub(super) fn list(call: &Call) -> Answered {
    let page = call.query.page(20, 1_000)?;
    let after = optional::<KeyId>("after", page.after.as_deref())?;
    let directory = call.admin.directory.directory();
    let mut keys = directory.keys(call.project()?.id, after, page.limit.saturating_add(1));
    let has_more = keys.len() > page.limit;
    keys.truncate(page.limit);
    let data = keys.iter().map(|key| view::key(key, directory.last_used(key.id))).collect();
    Ok(json(StatusCode::OK, &view::list(data, has_more)))
}

pub(super) fn show(call: &Call) -> Answered {
    let key = call.key()?;
    let last_used = call.admin.directory.directory().last_used(key.id);
    Ok(json(StatusCode::OK, &view::key(key, last_used)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "a missing bound stays, null takes it away")]
struct KeyPatch {
    name: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    expires_at: Option<Option<String>>,
    disabled: Option<bool>,
    #[serde(default, deserialize_with = "nullable")]
    endpoints: Option<Option<Vec<String>>>,
    #[serde(default, deserialize_with = "nullable")]
    models: Option<Option<ModelAccess>>,
    #[serde(default, deserialize_with = "nullable")]
    networks: Option<Option<Vec<String>>>,
}

pub(super) fn update(call: &Call) -> Answered {
    let patch: KeyPatch = parse(&call.body)?;
    let bounds = patch.expires_at.is_some()
        || patch.endpoints.is_some()
        || patch.models.is_some()
        || patch.networks.is_some();
    if patch.disabled == Some(false) || bounds {
        // Who disabled or bounded a member's key had a reason; the member does not undo it.
        call.require(Permission::ManageProject)?;
    }
    let key = call.key()?;
    let scopes = |words: Option<Vec<String>>| words.map(|words| endpoints(&words)).transpose();
    let bounds = BoundsChanges {
        endpoints: patch.endpoints.map(scopes).transpose()?,
        models: patch.models,
        networks: patch.networks.map(|texts| networks(&texts.unwrap_or_default())).transpose()?,
    };
    let changes = KeyChanges {
        name: patch.name,
        bounds,
        expires_at: patch.expires_at.map(|text| optional("expires_at", text.as_deref())).transpose()?,
        disabled: patch.disabled,
    };
    let changed = call.admin.directory.update_key(key.id, changes, &call.admin.mandate(&call.hand))?;
    let last_used = call.admin.directory.directory().last_used(changed.id);
    Ok(json(StatusCode::OK, &view::key(&changed, last_used)))
}

pub(super) fn revoke(call: &Call) -> Answered {
    let key = call.admin.directory.revoke_key(call.key()?.id, &call.admin.mandate(&call.hand))?;
    Ok(json(StatusCode::OK, &json!({ "id": key.id, "object": "key", "deleted": true })))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    grace_seconds: Option<i64>,
}

pub(super) fn rotate(call: &Call) -> Answered {
    let Rotation { grace_seconds } = call.members()?;
    in_ones_own_name(call, "key", call.key()?.owner)?;
    let mandate = call.admin.mandate(&call.hand);
    let rotated = call.admin.directory.rotate_key(call.key()?.id, grace_seconds.unwrap_or(0), &mandate)?;
    Ok(json(StatusCode::OK, &view::created_key(&rotated)))
}

/// Endpoints by their words.
pub(super) fn endpoints(words: &[String]) -> Result<Vec<Scope>, Problem> {
    words.iter().map(|word| field("endpoints", word)).collect()
}

fn networks<T: std::str::FromStr<Err: std::fmt::Display>>(texts: &[String]) -> Result<Vec<T>, Problem> {
    texts.iter().map(|text| field("networks", text)).collect()
}
