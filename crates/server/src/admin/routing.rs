//! Where a call of a model would go now, and why: of a key, or of anybody.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use gateway::explain_route;
use serde::Deserialize;

use super::effective::principal_of;
use super::view::{self, json};
use super::{Answered, Call, Problem, Shared};

#[derive(Deserialize)]
pub(super) struct Asked {
    model: Option<String>,
}

/// Without a key: the operator's question. What depends on whose call it is, is left open.
pub(super) async fn explain(State(admin): Shared, Query(asked): Query<Asked>) -> Answered {
    let model = asked.model.ok_or_else(|| Problem::missing("model"))?;
    let explained = explain_route(&admin.gateway, &model, None);
    let explained = explained.map_err(|refusal| Problem::field("model", refusal.message))?;
    Ok(json(StatusCode::OK, &view::route(&model, &explained, admin.clock.now())))
}

/// For one key: with what its project's data and environment, and its organization's country allow.
pub(super) fn of_key(call: &Call) -> Answered {
    let (admin, id) = (&call.admin, call.key()?.id);
    let model = call.query.one("model")?.ok_or_else(|| Problem::missing("model"))?;
    let principal = principal_of(admin.directory.directory(), id).ok_or_else(|| call.unknown("key"))?;
    let explained = explain_route(&admin.gateway, model, Some(&principal));
    let explained = explained.map_err(|refusal| Problem::field("model", refusal.message))?;
    Ok(json(StatusCode::OK, &view::route(model, &explained, admin.clock.now())))
}
