//! Top-ups and auto-recharge on the operator's word.

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use domain::{OrganizationId, TopUpId};
use ledger::Period;
use payments::recharge::State as RechargeState;
use payments::{CallName, Cents, Limits, PaymentError, PaymentStoreError, Recharge, TopUp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::input::{Order, Page, cut, field};
use super::view;
use super::{Answered, Problem, Shared};
use crate::payments::PaymentProblem;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TopUpBody {
    organization: String,
    amount: String,
    save_method: Option<bool>,
}

pub(super) async fn create(State(admin): Shared, uri: Uri, headers: HeaderMap, body: Bytes) -> Answered {
    let order = Order::read(&uri, &headers, body)?;
    let body: TopUpBody = order.parse()?;
    let organization = admin.organization("organization", &body.organization)?;
    let amount = field("amount", &body.amount)?;
    let bounds = admin.payments.settings.bounds;
    if !(bounds.amount_min..=bounds.amount_max).contains(&amount) {
        let message = format!("`amount` must be from {} to {}.", bounds.amount_min, bounds.amount_max);
        return Err(Problem::field("amount", message));
    }
    let amount =
        Cents::try_from(amount).map_err(|error| Problem::field("amount", format!("`amount`: {error}.")))?;
    let save_method = body.save_method.unwrap_or(true);
    let begun = admin.payments.begin(organization.id, amount, save_method, name_of(&order)).await;
    Ok(view::json(StatusCode::CREATED, &shown(&begun.map_err(problem)?)))
}

pub(super) async fn list(State(admin): Shared, Query(page): Query<Page>) -> Answered {
    let organization = admin.organization("organization", page.organization()?)?.id;
    let limit = page.limit()?;
    let before = page.before.as_deref().map(|text| field::<TopUpId>("before", text)).transpose()?;
    let asked = limit.saturating_add(1);
    let found = admin.payments.keep(move |store| store.topups(organization, before, asked)).await;
    let (topups, has_more) = cut(found.map_err(kept)?, limit);
    Ok(view::json(StatusCode::OK, &view::list(topups.iter().map(shown).collect(), has_more)))
}

pub(super) async fn show(State(admin): Shared, Path(id): Path<String>) -> Answered {
    let topup = find(&admin, &id).await?;
    Ok(view::json(StatusCode::OK, &shown(&topup)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfirmBody {
    reason: String,
}

pub(super) async fn confirm(
    State(admin): Shared,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Answered {
    let order = Order::read(&uri, &headers, body)?;
    let ConfirmBody { reason } = order.parse()?;
    if reason.trim().is_empty() || reason.len() > 500 {
        return Err(Problem::field("reason", "`reason` must say how it was paid, in 1 to 500 bytes."));
    }
    let topup = find(&admin, &id).await?;
    let paid = admin.payments.confirm(topup, reason, name_of(&order)).await.map_err(problem)?;
    Ok(view::json(StatusCode::OK, &shown(&paid)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RechargeBody {
    threshold: String,
    amount: String,
    monthly_max: String,
}

pub(super) async fn set_recharge(State(admin): Shared, Path(id): Path<String>, body: Bytes) -> Answered {
    let organization = admin.organization("id", &id)?.id;
    let body: RechargeBody = super::input::parse(&body)?;
    let limits = Limits {
        threshold: field("threshold", &body.threshold)?,
        amount: field("amount", &body.amount)?,
        monthly_max: field("monthly_max", &body.monthly_max)?,
    };
    if !admin.payments.settings.provider.can_recharge() {
        return Err(Problem::conflict(
            "Auto-recharge needs a payment provider that can charge by itself; set payments.provider = \"stripe\" in \
             the configuration.",
        ));
    }
    let settings = admin.payments.settings_of(&limits).map_err(|errors| {
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let first = texts.first().and_then(|text| text.split(' ').next()).unwrap_or("amount").to_owned();
        Problem::field(&first, format!("{}.", texts.join("; ")))
    })?;
    let known = admin.payments.keep(move |store| store.recharge(organization)).await.map_err(kept)?;
    if known.is_none_or(|known| known.payment_method.is_none()) {
        return Err(Problem::conflict(format!(
            "There is no payment method to charge yet; let the customer pay one top-up first: `tollkeeper credits topup \
             --org {organization} --amount AMOUNT`."
        )));
    }
    admin
        .payments
        .keep(move |store| store.set_recharge(organization, Some(&settings)))
        .await
        .map_err(kept)?;
    answer_recharge(&admin, organization).await
}

pub(super) async fn show_recharge(State(admin): Shared, Path(id): Path<String>) -> Answered {
    let organization = admin.organization("id", &id)?.id;
    answer_recharge(&admin, organization).await
}

pub(super) async fn stop_recharge(State(admin): Shared, Path(id): Path<String>) -> Answered {
    let organization = admin.organization("id", &id)?.id;
    admin.payments.keep(move |store| store.set_recharge(organization, None)).await.map_err(kept)?;
    answer_recharge(&admin, organization).await
}

async fn answer_recharge(admin: &super::Admin, id: OrganizationId) -> Answered {
    let zone = admin.directory.directory().organization(id).map(|found| found.time_zone.clone());
    let month = Period::Monthly.around(admin.payments.now(), &zone.unwrap_or_default()).start;
    let looked =
        admin.payments.keep(move |store| Ok((store.recharge(id)?, store.recharge_state(id, month)?)));
    let (recharge, state) = looked.await.map_err(kept)?;
    Ok(view::json(StatusCode::OK, &shown_recharge(id, recharge.as_ref(), &state)))
}

async fn find(admin: &super::Admin, id: &str) -> Result<TopUp, Problem> {
    let topup: TopUpId = field("id", id)?;
    let found = admin.payments.keep(move |store| store.topup(topup)).await.map_err(kept)?;
    found.ok_or_else(|| Problem::not_found("id", topup))
}

fn name_of(order: &Order) -> Option<CallName> {
    order.name().map(|name| CallName { key: name.key.clone(), digest: name.digest })
}

fn problem(problem: PaymentProblem) -> Problem {
    match problem {
        PaymentProblem::Store(error) => kept(error),
        PaymentProblem::Provider(error) => Problem::payment(not_begun(&error)),
        error @ (PaymentProblem::TooOld(_) | PaymentProblem::NotManual { .. }) => {
            Problem::conflict(format!("{error}."))
        }
    }
}

/// What is known of a top-up that the provider did not begin as it should, and what to do.
fn not_begun(error: &PaymentError) -> String {
    if error.may_have_charged() {
        format!(
            "Whether the payment provider began the top-up is unknown: {error}. Repeat the call with the same \
             Idempotency-Key, which begins it once."
        )
    } else if error.retryable() {
        format!("The top-up was not begun yet: {error}. Repeat the call with the same Idempotency-Key.")
    } else if matches!(error, PaymentError::UnknownPayer(_)) {
        format!(
            "The top-up was not begun: {error}. The customer is forgotten here; repeat the call with a fresh \
             Idempotency-Key, which makes a new one."
        )
    } else {
        format!(
            "The top-up was not begun: {error}. Mend that, and begin another one with a fresh Idempotency-Key."
        )
    }
}

fn kept(error: PaymentStoreError) -> Problem {
    match error {
        PaymentStoreError::NameTaken => Problem::ledger(ledger::Denial::IdempotencyConflict.into()),
        PaymentStoreError::Unknown(topup) => Problem::not_found("id", topup),
        PaymentStoreError::Refused(reason) => Problem::conflict(format!(
            "The ledger did not take the credit: {reason}. Run `tollkeeper verify`."
        )),
        error @ PaymentStoreError::Failed(_) => Problem::internal(&error),
    }
}

fn shown(topup: &TopUp) -> Value {
    let started = topup.started.as_ref();
    json!({
        "id": topup.id,
        "object": "top_up",
        "organization": topup.organization,
        "amount": topup.amount.money(),
        "purpose": topup.purpose,
        "provider": topup.provider,
        "status": topup.status,
        "url": started.and_then(|started| started.url.as_ref()),
        "instructions": started.map(|started| &started.instructions).filter(|text| !text.is_empty()),
        "provider_ref": started.map(|started| &started.provider_ref),
        "payment": topup.payment,
        "detail": topup.detail,
        "created_at": topup.created_at,
        "updated_at": topup.updated_at,
    })
}

fn shown_recharge(organization: OrganizationId, recharge: Option<&Recharge>, state: &RechargeState) -> Value {
    let limits = recharge.and_then(|recharge| recharge.limits);
    json!({
        "object": "recharge",
        "organization": organization,
        "enabled": recharge.is_some_and(|recharge| recharge.enabled),
        "threshold": limits.map(|limits| limits.threshold),
        "amount": limits.map(|limits| limits.amount),
        "monthly_max": limits.map(|limits| limits.monthly_max),
        "charged_this_month": state.charged_this_month,
        "payment_method": recharge.and_then(|recharge| recharge.payment_method.as_ref()),
        "pending": state.pending,
        "declines": state.declines,
        "last_decline_at": (state.declines > 0).then_some(state.last_decline_at),
    })
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn a_problem_says_what_is_known_and_never_more() {
        let same = "the same Idempotency-Key";
        let fresh = "a fresh Idempotency-Key";
        let rejected = |status| {
            let (code, message) = ("word".to_owned(), "text".to_owned());
            PaymentError::Rejected { status, code, message, retry: status >= 429 }
        };
        let unreachable = |sent| PaymentError::Unreachable { reason: "gone", sent };
        let failed = || PaymentStoreError::Failed("disk".to_owned());
        let unknown = "Whether the payment provider began the top-up is unknown";
        // What happened, the status, what is said of the outcome, and what to do.
        for (found, status, outcome, step) in [
            (problem(unreachable(true).into()), 502, unknown, same),
            (problem(PaymentError::Garbage("html").into()), 502, unknown, same),
            (problem(rejected(500).into()), 502, unknown, same),
            (problem(rejected(429).into()), 502, "was not begun yet", same),
            (problem(unreachable(false).into()), 502, "was not begun yet", same),
            (problem(rejected(401).into()), 502, "was not begun:", fresh),
            (problem(PaymentError::UnknownPayer("cus_1".to_owned()).into()), 502, "forgotten here", fresh),
            // A session may have been made by then.
            (problem(failed().into()), 503, "whether it did is unknown", same),
        ] {
            let response = found.into_response();
            assert_eq!(response.status().as_u16(), status, "{outcome}");
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let text = String::from_utf8_lossy(&body);
            assert!(text.contains(outcome) && text.contains(step), "{text}");
            assert!(!text.contains("disk"), "the log's: {text}");
            assert!(!text.contains("Nothing was changed"), "{text}");
        }
    }
}
