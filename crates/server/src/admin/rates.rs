//! Rate limits of an organization, its projects, keys and end users, with every measure there is.

use axum::http::StatusCode;
use directory::{Caps, LimitSubject, NewLimit};
use domain::LimitId;
use serde::Deserialize;
use serde_json::json;

use super::input::{field, parse, shown};
use super::view::{self, json};
use super::{Answered, Call, Problem};

pub(super) fn list(call: &Call) -> Answered {
    let data = call.tenant.limits().iter().map(|limit| view::limit(limit)).collect();
    Ok(json(StatusCode::OK, &view::list(data, false)))
}

pub(super) fn show(call: &Call) -> Answered {
    let limit = call.tenant.limit(call.id::<LimitId>("limit")?).ok_or_else(|| call.unknown("limit"))?;
    Ok(json(StatusCode::OK, &view::limit(limit)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitBody {
    subject: String,
    which: Option<String>,
    model: Option<String>,
    requests_per_minute: Option<u64>,
    tokens_per_minute: Option<u64>,
    input_tokens_per_minute: Option<u64>,
    output_tokens_per_minute: Option<u64>,
    images_per_minute: Option<u64>,
    requests_per_day: Option<u64>,
    tokens_per_day: Option<u64>,
    concurrent_requests: Option<u64>,
}

pub(super) fn set(call: &Call) -> Answered {
    let body: LimitBody = parse(&call.body)?;
    let new = NewLimit {
        organization: call.tenant.organization.id,
        subject: subject(&body.subject, body.which.as_deref())?,
        model: body.model.unwrap_or_else(|| "*".to_owned()),
        caps: Caps {
            requests_per_minute: body.requests_per_minute,
            tokens_per_minute: body.tokens_per_minute,
            input_tokens_per_minute: body.input_tokens_per_minute,
            output_tokens_per_minute: body.output_tokens_per_minute,
            images_per_minute: body.images_per_minute,
            requests_per_day: body.requests_per_day,
            tokens_per_day: body.tokens_per_day,
            concurrent_requests: body.concurrent_requests,
        },
    };
    let limit = call.admin.directory.set_limit(new, &call.admin.mandate(&call.hand))?;
    Ok(json(StatusCode::OK, &view::limit(&limit)))
}

/// Whose calls are counted; without `which`, those of each one separately.
fn subject(subject: &str, which: Option<&str>) -> Result<LimitSubject, Problem> {
    Ok(match (subject, which) {
        ("organization", None) => LimitSubject::Organization,
        ("organization", Some(_)) => {
            let message = "`which` names nothing here: a limit of the organization counts all its calls.";
            return Err(Problem::field("which", message));
        }
        ("project", which) => LimitSubject::Project(which.map(|text| field("which", text)).transpose()?),
        ("key", which) => LimitSubject::Key(which.map(|text| field("which", text)).transpose()?),
        ("user", which) => LimitSubject::User(which.map(str::to_owned)),
        (other, _) => {
            let message =
                format!("`subject`: `{}` must be organization, project, key or user.", shown(other));
            return Err(Problem::field("subject", message));
        }
    })
}

pub(super) fn remove(call: &Call) -> Answered {
    let id: LimitId = call.id("limit")?;
    let mandate = call.admin.mandate(&call.hand);
    call.admin.directory.remove_limit(call.tenant.organization.id, id, &mandate)?;
    Ok(json(StatusCode::OK, &json!({ "id": id, "object": "rate_limit", "deleted": true })))
}
