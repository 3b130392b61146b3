//! Rate limits of a project's models: those that are set. A measure without a cap is `null`.
//!
//! OpenAI makes a limit for every model by itself and lets nobody make one. Here `rl-MODEL` in place of an id sets the
//! first limit of a model, and the answer has its id.

use std::sync::Arc;

use directory::{Caps, LimitSubject, NewLimit, RateLimit};
use domain::LimitId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ok, page};
use crate::admin::{Answered, Call, Problem};

fn show(limit: &RateLimit) -> Value {
    json!({
        "id": limit.id,
        "object": "project.rate_limit",
        "model": limit.model,
        "max_requests_per_1_minute": limit.caps.requests_per_minute,
        "max_tokens_per_1_minute": limit.caps.tokens_per_minute,
        "max_images_per_1_minute": limit.caps.images_per_minute,
        "max_requests_per_1_day": limit.caps.requests_per_day,
    })
}

fn of_project(call: &Call) -> Result<Vec<Arc<RateLimit>>, Problem> {
    let subject = LimitSubject::Project(Some(call.project()?.id));
    let mut limits = call.tenant.limits();
    limits.retain(|limit| limit.subject == subject);
    Ok(limits)
}

pub(super) fn list(call: &Call) -> Answered {
    page(call, &of_project(call)?, super::LIMIT_MAX, |limit| limit.id, |limit| show(limit))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    max_requests_per_1_minute: Option<u64>,
    max_tokens_per_1_minute: Option<u64>,
    max_images_per_1_minute: Option<u64>,
    max_requests_per_1_day: Option<u64>,
}

pub(super) fn update(call: &Call) -> Answered {
    let named = call.text("rate_limit");
    let model = match named.strip_prefix("rl-") {
        Some(model) => model.to_owned(),
        None => {
            let id: LimitId = call.id("rate_limit")?;
            let known = of_project(call)?.into_iter().find(|limit| limit.id == id);
            known.ok_or_else(|| call.unknown("rate_limit"))?.model.clone()
        }
    };
    let body: Update = call.members()?;
    let caps = Caps {
        requests_per_minute: body.max_requests_per_1_minute,
        tokens_per_minute: body.max_tokens_per_1_minute,
        images_per_minute: body.max_images_per_1_minute,
        requests_per_day: body.max_requests_per_1_day,
        // What OpenAI has no word for stays as it is, as does what the body does not name.
        ..Caps::default()
    };
    let subject = LimitSubject::Project(Some(call.project()?.id));
    let new = NewLimit { organization: call.tenant.organization.id, subject, model, caps };
    ok(&show(&call.admin.directory.update_limit(new, &call.admin.mandate(&call.hand))?))
}
