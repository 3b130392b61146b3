//! Budgets and events as JSON.

use domain::{BudgetId, OrganizationId, Timestamp};
use ledger::{Budget, Event, EventKind, Subject, Tag};
use serde_json::{Value, json};
use store::BudgetRecord;

use super::expiry;

/// A budget's definition.
pub(crate) fn budget(organization: OrganizationId, budget: &Budget) -> Value {
    let (of, which) = subject(&budget.subject);
    json!({
        "id": budget.id,
        "object": "budget",
        "organization": organization,
        "of": of,
        "which": which,
        "period": budget.period,
        "zone": budget.zone,
        "cost": budget.caps.cost,
        "tokens": budget.caps.tokens,
        "steps": budget.caps.steps,
        "hard": budget.hard,
        "thresholds": budget.thresholds,
    })
}

/// A budget with what was consumed of it in the period that runs.
pub(crate) fn budget_record(organization: OrganizationId, record: &BudgetRecord, now: Timestamp) -> Value {
    let mut shown = budget(organization, &record.budget);
    let uses: Vec<Value> = record
        .uses
        .iter()
        .map(|(key, used)| {
            json!({
                "value": (!key.value.is_empty()).then_some(&key.value),
                "spent": used.spent,
                "held": used.held,
                "tokens": used.tokens,
                "tokens_held": used.tokens_held,
                "steps": used.steps,
                "told_percent": used.told,
            })
        })
        .collect();
    let span = record.budget.span(now);
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("period_start".to_owned(), json!(beginning(span.start)));
        fields.insert("resets_at".to_owned(), json!(expiry(span.end)));
        fields.insert("uses".to_owned(), Value::Array(uses));
    }
    shown
}

pub(crate) fn budget_removed(organization: OrganizationId, id: BudgetId) -> Value {
    json!({ "id": id, "object": "budget", "organization": organization, "deleted": true })
}

/// An event with its number.
pub(crate) fn event(number: i64, event: &Event) -> Value {
    let mut shown = match &event.kind {
        EventKind::BudgetThreshold { budget, subject: counted, value, period_start, percent, spent, cap } => {
            let (of, _) = subject(counted);
            json!({
                "event": "budget_threshold",
                "budget": budget,
                "of": of,
                "value": (!value.is_empty()).then_some(value),
                "period_start": beginning(*period_start),
                "percent": percent,
                "spent": spent,
                "cost": cap,
            })
        }
        // The others hold nothing but ids, amounts and moments, which are written as the books write them.
        EventKind::CreditExpiring { .. }
        | EventKind::WentIntoDebt { .. }
        | EventKind::HoldTimedOut { .. }
        | EventKind::TierReached { .. }
        | EventKind::Payment { .. } => serde_json::to_value(&event.kind).unwrap_or_default(),
    };
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("id".to_owned(), json!(number));
        fields.insert("object".to_owned(), json!("event"));
        fields.insert("organization".to_owned(), json!(event.organization));
        fields.insert("at".to_owned(), json!(event.at));
    }
    shown
}

/// The two words by which a subject is written: of what, and of which of them if it is one alone.
pub(super) fn subject(subject: &Subject) -> (&'static str, Option<&str>) {
    match subject {
        Subject::Organization => ("organization", None),
        Subject::Project(which) => ("project", which.as_deref()),
        Subject::Key(which) => ("key", which.as_deref()),
        Subject::User(which) => ("user", which.as_deref()),
        Subject::Tag(Tag::Feature, which) => ("feature", which.as_deref()),
        Subject::Tag(Tag::Environment, which) => ("environment", which.as_deref()),
        Subject::Run(which) => ("run", which.as_deref()),
    }
}

/// When a period began; `None` for the one that has no beginning.
fn beginning(start: Timestamp) -> Option<Timestamp> {
    (start.micros() != i64::MIN).then_some(start)
}
