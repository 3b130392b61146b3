//! What `/admin/v1` answers, as JSON: one function a shape.

mod books;
mod budget;
mod effective;
mod explanation;
mod route;
mod row;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use directory::{
    Consent, ConsentState, CreatedAdminKey, CreatedKey, Key, KeyOwner, LimitSubject, Organization, Project,
    RateLimit, User,
};
use domain::{Money, RequestId, Timestamp};
use ledger::CostRow;
use serde_json::{Value, json};
use store::RequestRecord;

pub(crate) use books::{OWN, balance, entry, granted, promo_code, transfer, wallet, wallets, withdrawal};
pub(crate) use budget::{budget, budget_record, budget_removed, event};
pub(crate) use effective::{effective, remaining};
pub(crate) use explanation::explanation;
pub(crate) use route::route;
use row::cost_row;
pub(crate) use row::list_price;

/// A JSON answer.
pub(crate) fn json(status: StatusCode, body: &Value) -> Response {
    text(status, body.to_string())
}

/// The same of a text that is JSON already.
pub(crate) fn text(status: StatusCode, body: impl Into<axum::body::Body>) -> Response {
    let content_type = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    (status, [content_type], body.into()).into_response()
}

/// An error in OpenAI's shape.
pub(crate) fn error(
    status: StatusCode,
    message: &str,
    kind: &str,
    param: Option<&str>,
    code: &str,
) -> Response {
    json(status, &json!({ "error": { "message": message, "type": kind, "param": param, "code": code } }))
}

/// Many objects, or a page of them.
pub(crate) fn list(data: Vec<Value>, has_more: bool) -> Value {
    json!({ "object": "list", "data": data, "has_more": has_more })
}

pub(crate) fn organization(organization: &Organization) -> Value {
    json!({
        "id": organization.id,
        "object": "organization",
        "name": organization.name,
        "time_zone": organization.time_zone,
        "in_flight": organization.in_flight,
        "country": organization.country,
        "verified_at": organization.verified_at,
        "tier": organization.tier,
        "programmes": organization.programmes,
        "created_at": organization.created_at,
    })
}

pub(crate) fn project(project: &Project) -> Value {
    json!({
        "id": project.id,
        "object": "project",
        "name": project.name,
        "organization": project.organization,
        "environment": project.environment,
        "data_class": project.data_class,
        "after_grant": project.after_grant,
        "models": project.models,
        "byok": project.byok,
        "byok_fallback": project.byok_fallback,
        "archived_at": project.archived_at,
        "created_at": project.created_at,
    })
}

/// A key without its secret.
pub(crate) fn key(key: &Key, last_used: Option<Timestamp>) -> Value {
    let owner = match key.owner {
        KeyOwner::User(id) => id.to_string(),
        KeyOwner::ServiceAccount(id) => id.to_string(),
    };
    json!({
        "id": key.id,
        "object": "key",
        "name": key.name,
        "project": key.project,
        "organization": key.organization,
        "owner": owner,
        "consent": key.consent,
        "redacted": key.redacted,
        "previous": key.previous,
        "endpoints": key.bounds.endpoints,
        "models": key.bounds.models,
        "networks": key.bounds.networks,
        "expires_at": key.expires_at,
        "disabled_at": key.disabled_at,
        "revoked_at": key.revoked_at,
        "last_used_at": last_used,
        "created_at": key.created_at,
    })
}

/// A consent, and how it stands.
pub(crate) fn consent(consent: &Consent, state: ConsentState) -> Value {
    json!({
        "id": consent.id,
        "object": "consent",
        "organization": consent.organization,
        "project": consent.project,
        "user": consent.user,
        "app": consent.app,
        "state": state,
        "limit": consent.limit,
        "limit_reset": consent.reset,
        "models": consent.models,
        "given_at": consent.given_at,
        "fetch_until": consent.fetch_until,
        "expires_at": consent.expires_at,
        "key": consent.key,
        "revoked": consent.revoked,
    })
}

/// The one answer that holds a key's secret.
pub(crate) fn created_key(created: &CreatedKey) -> Value {
    let mut shown = key(&created.key, None);
    if let Some(members) = shown.as_object_mut() {
        members.insert("secret".to_owned(), json!(created.secret.expose()));
    }
    shown
}

/// A member of an organization.
pub(crate) fn user(user: &User) -> Value {
    json!({
        "id": user.id,
        "object": "user",
        "organization": user.organization,
        "email": user.email,
        "name": user.name,
        "role": user.role,
        "added_at": user.added_at,
    })
}

/// The one answer that holds the secret of an administrator's key.
pub(crate) fn created_admin_key(created: &CreatedAdminKey) -> Value {
    let key = &created.key;
    json!({
        "id": key.id,
        "object": "admin_key",
        "organization": key.organization,
        "user": key.user,
        "name": key.name,
        "secret": created.secret.expose(),
        "redacted": key.redacted,
        "expires_at": key.expires_at,
        "created_at": key.created_at,
    })
}

/// A rate limit.
pub(crate) fn limit(limit: &RateLimit) -> Value {
    let (subject, which) = match &limit.subject {
        LimitSubject::Organization => ("organization", None),
        LimitSubject::Project(id) => ("project", id.map(|id| id.to_string())),
        LimitSubject::Key(id) => ("key", id.map(|id| id.to_string())),
        LimitSubject::User(name) => ("user", name.clone()),
    };
    let mut shown = json!({
        "id": limit.id,
        "object": "rate_limit",
        "organization": limit.organization,
        "subject": subject,
        "which": which,
        "model": limit.model,
    });
    if let (Some(members), Ok(Value::Object(caps))) =
        (shown.as_object_mut(), serde_json::to_value(limit.caps))
    {
        members.extend(caps);
    }
    shown
}

pub(crate) fn usage(rows: &[CostRow], has_more: bool) -> Value {
    list(rows.iter().map(cost_row).collect(), has_more)
}

pub(crate) fn request(id: RequestId, record: &RequestRecord) -> Value {
    let attempts: Vec<Value> = record.rows.iter().map(cost_row).collect();
    let total = |rows: &[CostRow]| Money::sum(rows.iter().map(|row| row.cost)).unwrap_or(Money::MAX);
    let cost = total(&record.rows);
    // What came to nothing: every attempt but the last, which is the one that was answered, or ended the request.
    let retried = record.rows.split_last().map_or(Money::ZERO, |(_, before)| total(before));
    let hold = match (&record.hold, record.rows.first()) {
        (Some(hold), _) => json!({ "amount": hold.amount, "state": "live", "created_at": hold.created_at }),
        (None, Some(row)) => json!({ "amount": row.held, "state": "settled", "created_at": row.at }),
        (None, None) => Value::Null,
    };
    let journal: Vec<Value> = record
        .entry
        .iter()
        .map(|entry| {
            json!({
                "seq": entry.sequence,
                "kind": entry.kind,
                "amount": entry.amount,
                "at": entry.at,
                "draws": entry.draws,
                "debt": entry.debt,
            })
        })
        .collect();
    json!({
        "object": "request",
        "id": id,
        "state": if record.hold.is_some() { "held" } else { "settled" },
        "hold": hold,
        "attempts": attempts,
        "cost": cost,
        "retry_cost": retried,
        "refunded": record.refunded,
        "journal": journal,
    })
}

/// A moment that may never come.
fn expiry(at: Timestamp) -> Option<Timestamp> {
    (at != Timestamp::MAX).then_some(at)
}
