//! Service accounts, and the keys that come with them.

use directory::{Bounds, CreatedKey, KeyOwner, NewKey, ServiceAccount};
use domain::{ServiceAccountId, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{api_keys, deleted, expiry, ok, page, seconds};
use crate::admin::{Answered, Call, Problem};

fn show(account: &ServiceAccount) -> Value {
    json!({
        "id": account.id,
        "object": "organization.project.service_account",
        "name": account.name,
        "role": "member",
        "created_at": account.created_at.seconds(),
    })
}

/// The one answer that holds a key's secret.
fn show_key(created: &CreatedKey) -> Value {
    json!({
        "id": created.key.id,
        "object": "organization.project.service_account.api_key",
        "name": created.key.name,
        "value": created.secret.expose(),
        "created_at": created.key.created_at.seconds(),
        "expires_at": seconds(created.key.expires_at),
    })
}

pub(super) fn list(call: &Call) -> Answered {
    let accounts = call.tenant.service_accounts(call.project()?.id);
    page(call, &accounts, 20, |account| account.id, |account| show(account))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    name: String,
    expires_in_seconds: Option<i64>,
    create_service_account_only: Option<bool>,
}

pub(super) fn create(call: &Call) -> Answered {
    let body: Create = call.members()?;
    let expires_at = expiry(call, body.expires_in_seconds)?;
    let alone = body.create_service_account_only.unwrap_or_default();
    if alone && expires_at.is_some() {
        let message = "`expires_in_seconds` is for the key, which create_service_account_only leaves out.";
        return Err(Problem::field("expires_in_seconds", message));
    }
    let mandate = call.admin.mandate(&call.hand);
    let account = call.admin.directory.create_service_account(call.project()?.id, &body.name, &mandate)?;
    let key = if alone {
        Value::Null
    } else {
        show_key(&make_key(call, account.id, Some(account.name.clone()), Bounds::default(), expires_at)?)
    };
    let mut shown = show(&account);
    if let Some(members) = shown.as_object_mut() {
        members.insert("api_key".to_owned(), key);
    }
    ok(&shown)
}

fn make_key(
    call: &Call,
    account: ServiceAccountId,
    name: Option<String>,
    bounds: Bounds,
    expires_at: Option<Timestamp>,
) -> Result<CreatedKey, Problem> {
    let owner = Some(KeyOwner::ServiceAccount(account));
    let new = NewKey { project: call.project()?.id, owner, name, bounds, expires_at };
    Ok(call.admin.directory.create_key(new, &call.admin.mandate(&call.hand))?)
}

fn account(call: &Call) -> Result<&ServiceAccount, Problem> {
    let project = call.project()?.id;
    let found = call.tenant.service_account(call.id("service_account")?);
    let found = found.filter(|account| account.project == project);
    found.map(AsRef::as_ref).ok_or_else(|| call.unknown("service_account"))
}

pub(super) fn retrieve(call: &Call) -> Answered {
    ok(&show(account(call)?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    name: Option<String>,
    role: Option<String>,
}

pub(super) fn update(call: &Call) -> Answered {
    let account = account(call)?;
    let body: Update = call.members()?;
    if body.role.is_some_and(|role| role != "member") {
        return Err(Problem::field(
            "role",
            "`role` must be member: a service account calls models and administers nothing.",
        ));
    }
    let Some(name) = body.name else { return ok(&show(account)) };
    let mandate = call.admin.mandate(&call.hand);
    ok(&show(&call.admin.directory.rename_service_account(account.project, account.id, &name, &mandate)?))
}

pub(super) fn delete(call: &Call) -> Answered {
    let account = account(call)?;
    let mandate = call.admin.mandate(&call.hand);
    call.admin.directory.remove_service_account(account.project, account.id, &mandate)?;
    deleted("organization.project.service_account.deleted", account.id)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateKey {
    name: Option<String>,
    scopes: Option<Vec<String>>,
    expires_in_seconds: Option<i64>,
}

pub(super) fn create_key(call: &Call) -> Answered {
    let account = account(call)?;
    let body: CreateKey = call.members()?;
    let endpoints = body.scopes.map(|scopes| api_keys::endpoints(&scopes)).transpose()?.flatten();
    let bounds = Bounds { endpoints, ..Bounds::default() };
    ok(&show_key(&make_key(call, account.id, body.name, bounds, expiry(call, body.expires_in_seconds)?)?))
}
