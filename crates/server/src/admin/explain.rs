//! Why a request went as it did: what was decided, as it was recorded then, and what the books say of it now.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use domain::RequestId;

use super::input::{blocking, field};
use super::records::organization_of;
use super::view::{self, json};
use super::{Answered, Hand, Problem, Shared};
use crate::decisions::Recorded;

pub(super) async fn show(
    State(admin): Shared,
    Extension(hand): Extension<Hand>,
    Path(id): Path<String>,
) -> Answered {
    let request: RequestId = field("id", &id)?;
    // Somebody else's request is as unknown as one that does not exist, and takes as long.
    let look = || {
        let (reader, hand) = (std::sync::Arc::clone(&admin.reader), hand.clone());
        blocking(move || {
            let decision = reader.decision(request)?.filter(|found| hand.may_see(found.organization));
            let record = reader.request(request)?.filter(|found| hand.may_see(organization_of(found)));
            Ok((decision, record))
        })
    };
    let mut found = look().await?;
    if found.0.is_none() && admin.explain.recorded != Recorded::Nothing {
        // The store writes a decision that comes alone after a moment.
        admin.decisions.catch_up().await;
        found = look().await?;
    }
    let (decision, record) = found;
    if decision.is_none() && record.is_none() {
        return Err(Problem::forgotten(request, admin.explain.keep_days));
    }
    let explanation = view::explanation(request, decision.as_ref(), record.as_ref());
    Ok(json(StatusCode::OK, &explanation))
}
