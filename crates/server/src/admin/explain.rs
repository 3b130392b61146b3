//! Why a request went as it did: what was decided, as it was recorded then, and what the books say of it now.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use domain::RequestId;

use super::input::{blocking, field};
use super::view::{self, json};
use super::{Answered, Problem, Shared};
use crate::decisions::Recorded;

/// The store writes a decision that comes alone after a moment.
const SECOND_LOOK: Duration = Duration::from_millis(150);

pub(super) async fn show(State(admin): Shared, Path(id): Path<String>) -> Answered {
    let request: RequestId = field("id", &id)?;
    let look = || {
        let reader = std::sync::Arc::clone(&admin.reader);
        blocking(move || Ok((reader.decision(request)?, reader.request(request)?)))
    };
    let mut found = look().await?;
    if found.0.is_none() && admin.explain.recorded != Recorded::Nothing {
        tokio::time::sleep(SECOND_LOOK).await;
        found = look().await?;
    }
    let (decision, record) = found;
    if decision.is_none() && record.is_none() {
        return Err(Problem::forgotten(request, admin.explain.keep_days));
    }
    let explanation = view::explanation(request, decision.as_ref(), record.as_ref());
    Ok(json(StatusCode::OK, &explanation))
}
