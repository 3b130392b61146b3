//! Logging to standard error: structured, without secrets or prompt texts, which nothing in the product ever logs.

use gateway::Finished;
use ledger::{Event, EventKind};
use tracing_subscriber::fmt;

use crate::config::Log;

/// Starts logging for the whole process. Called once; a second call changes nothing.
pub fn start_logging(log: Log) {
    let lines = fmt().with_max_level(log.level).with_writer(std::io::stderr).with_target(false);
    // An error means that logging has been started already.
    let started = if log.json { lines.json().flatten_event(true).try_init() } else { lines.try_init() };
    drop(started);
}

/// One line for what the owner of the books should hear of. The table of events has it too, and for good.
pub(crate) fn event(event: &Event) {
    let Event { organization, kind, .. } = event;
    let name = crate::sweeper::name_of(kind);
    match kind {
        EventKind::BudgetThreshold { budget, value, percent, spent, .. } => {
            tracing::info!(event = name, %organization, %budget, %value, percent, %spent, "a budget is used up so far");
        }
        EventKind::CreditExpiring { wallet, lot, remaining, expires_at, .. } => {
            tracing::info!(event = name, %organization, %wallet, %lot, %remaining, %expires_at, "credit expires soon");
        }
        EventKind::WentIntoDebt { wallet, request, owed } => {
            tracing::warn!(event = name, %organization, %wallet, %request, %owed, "a call left a debt");
        }
        EventKind::HoldTimedOut { request, charged } => {
            tracing::warn!(event = name, %organization, %request, %charged, "nobody ended a call");
        }
        EventKind::TierReached { tier } => {
            tracing::info!(event = name, %organization, tier = %tier, "a usage tier is reached");
        }
        EventKind::Payment { what, detail, .. } => {
            tracing::warn!(event = name, %organization, what = %what, detail = %detail, "look at a payment");
        }
    }
}

/// One line a call, also for a refused one: at `debug`, because the cost rows say more about those that were made.
pub(crate) fn call(request: &Finished) {
    tracing::debug!(
        request = %request.request,
        endpoint = request.endpoint,
        outcome = request.outcome,
        status = request.status,
        provider = request.provider.as_deref(),
        duration_us = request.duration_us,
        cost = %request.cost,
        "call"
    );
}
