//! Why an operator's call was not done: which field, which fix, which status. The one place that turns a denial of the
//! ledger into words.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use dialect::ErrorBody;
use directory::ChangeError;
use domain::{Refusal, RequestId};
use ledger::{Denial, LedgerError};
use store::StoreError;

use super::view;

/// Why a call was not done, as the caller reads it.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    message: String,
    param: Option<String>,
    code: &'static str,
    /// What a limit owner said, which is told as the gateway tells it everywhere.
    refusal: Option<Box<ErrorBody>>,
}

impl Problem {
    const fn new(status: StatusCode, message: String, param: Option<String>, code: &'static str) -> Self {
        Self { status, message, param, code, refusal: None }
    }

    /// A limit owner said no.
    pub(crate) fn refused(refusal: &Refusal) -> Self {
        let body = ErrorBody::from(refusal);
        let status = StatusCode::from_u16(body.status).unwrap_or(StatusCode::FORBIDDEN);
        let told = Self::new(status, refusal.message.clone(), None, refusal.code.as_str());
        Self { refusal: Some(Box::new(body)), ..told }
    }

    /// A field holds what cannot be meant.
    pub(crate) fn field(param: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message.into(), Some(param.to_owned()), "invalid_value")
    }

    /// A field is missing.
    pub(crate) fn missing(param: &str) -> Self {
        Self::field(param, format!("`{param}` is missing."))
    }

    /// The body is no JSON, or not the fields that this call takes. `path` leads to what is wrong, `.` is the whole.
    pub(crate) fn body(path: &str, error: &serde_json::Error) -> Self {
        let subject = if path == "." { "The body".to_owned() } else { format!("`{path}`") };
        let message = format!("{subject} is not what this call takes: {error}.");
        // The first name between backquotes is the field's: ours, or serde's of one that is missing or unknown.
        let param = message.split('`').nth(1).map(str::to_owned);
        Self::new(StatusCode::BAD_REQUEST, message, param, "invalid_body")
    }

    /// What a field names does not exist.
    pub(crate) fn not_found(param: &str, id: impl std::fmt::Display) -> Self {
        let message = format!("There is no {id}; check the id.");
        Self::new(StatusCode::NOT_FOUND, message, Some(param.to_owned()), "not_found")
    }

    /// Nothing is on record of a request, or not any more.
    pub(crate) fn forgotten(request: domain::RequestId, keep_days: i64) -> Self {
        let message = format!(
            "There is no {request} on record; check the id. What was decided about a request is kept for {keep_days} \
             days (explain.keep_days), for a day if nobody knew its key, and not beyond a flood of refusals; what was \
             booked is kept for ever."
        );
        Self { message, ..Self::not_found("id", request) }
    }

    /// The call does not go with what there is.
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message.into(), None, "conflict")
    }

    /// The same about a field that the ledger knows by another name.
    pub(crate) fn rename(mut self, from: &str, to: &str) -> Self {
        if self.param.as_deref() == Some(from) {
            self.message = self.message.replacen(&format!("`{from}`"), &format!("`{to}`"), 1);
            self.param = Some(to.to_owned());
        }
        self
    }

    /// The payment provider did not do it.
    pub(crate) fn payment(message: String) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, message, None, "payment_provider")
    }

    /// A failure of ours: the log has the reason, the caller only the fact. Nobody knows what happened before it.
    pub(crate) fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "an operator's call failed");
        let message =
            "The gateway could not do this; its log says why. If it was to change something, whether it did \
                       is unknown: look, or repeat it with the same Idempotency-Key, which counts once."
                .to_owned();
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message, None, "store_unavailable")
    }

    /// The ledger did not do it.
    pub(crate) fn ledger(error: LedgerError) -> Self {
        match error {
            LedgerError::Denied(denial) => denied(&denial),
            LedgerError::Busy => {
                let message = "The ledger is busy; nothing was changed. Try again.".to_owned();
                Self::new(StatusCode::SERVICE_UNAVAILABLE, message, None, "busy")
            }
            error @ (LedgerError::Stopped | LedgerError::Store(_)) => {
                tracing::error!(%error, "an operator's call failed");
                let message =
                    "The ledger could not answer; its log says why. Whether this was done is unknown: \
                               repeat it with the same Idempotency-Key, which counts once."
                        .to_owned();
                Self::new(StatusCode::SERVICE_UNAVAILABLE, message, None, "store_unavailable")
            }
        }
    }
}

impl Problem {
    /// The same about the request of this id, which a refusal tells as the gateway's do.
    pub(crate) fn of(mut self, request: Option<RequestId>) -> Self {
        if let Some(refusal) = &mut self.refusal {
            refusal.request_id = request.map(|id| id.to_string());
        }
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if let Some(refusal) = self.refusal {
            return view::text(self.status, refusal.to_json());
        }
        let kind = if self.status.is_server_error() { "server_error" } else { "invalid_request_error" };
        view::error(self.status, &self.message, kind, self.param.as_deref(), self.code)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::internal(&error)
    }
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        let message = error.to_string();
        match error {
            ChangeError::Invalid { field, .. } => Self::field(field, message),
            ChangeError::NotFound { field, .. } => {
                Self::new(StatusCode::NOT_FOUND, message, Some(field.to_owned()), "not_found")
            }
            ChangeError::Archived { field, .. } | ChangeError::Conflict { field, .. } => {
                Self { param: Some(field.to_owned()), ..Self::conflict(message) }
            }
            ChangeError::Store(_) | ChangeError::Inconsistent(_) => Self::internal(&message),
        }
    }
}

fn denied(denial: &Denial) -> Problem {
    let coded = |status, param: Option<&str>, code, message: String| {
        Problem::new(status, message, param.map(str::to_owned), code)
    };
    match denial {
        Denial::Invalid { field } => Problem::field(field, fix(field)),
        Denial::Unknown { field } => {
            let message =
                format!("`{field}`: there is no such {} in this organization; check it.", what(field));
            coded(StatusCode::NOT_FOUND, Some(field), "not_found", message)
        }
        Denial::UnknownOrganization => {
            let message = "`organization`: there is no such organization; check the id.".to_owned();
            coded(StatusCode::NOT_FOUND, Some("organization"), "not_found", message)
        }
        Denial::IdempotencyConflict => {
            let message = "This organization's Idempotency-Key came with another body or to another path before; use a \
                           fresh key for another call.";
            let param = Some("Idempotency-Key");
            coded(StatusCode::CONFLICT, param, "idempotency_conflict", message.to_owned())
        }
        Denial::InsufficientCredit { available, needed } => {
            let message = format!(
                "`amount`: {needed} is more than the {available} that is free to leave the wallet; promotional credit \
                 and what running calls hold stay in it."
            );
            coded(StatusCode::PAYMENT_REQUIRED, Some("amount"), "insufficient_credit", message)
        }
        Denial::PromoSpent(fault) => {
            let message = format!("`code`: this promo code is {fault}; nothing was added.");
            coded(StatusCode::CONFLICT, Some("code"), "promo_code_spent", message)
        }
        Denial::RefundTooLarge { charged, refunded } => {
            let left = charged.checked_sub(*refunded).unwrap_or_default();
            let message = format!(
                "`amount`: {charged} was charged and {refunded} given back already; at most {left} is left to refund."
            );
            coded(StatusCode::CONFLICT, Some("amount"), "refund_too_large", message)
        }
        Denial::Overflow => Problem::field("amount", "`amount` is more than the books can hold."),
        Denial::Frozen => Problem::conflict(
            "The books are frozen because a rule of the ledger was about to be broken, or was. `tollkeeper verify` says \
             which; if it finds nothing else, `tollkeeper unfreeze` lets them go on, otherwise restore a backup.",
        ),
        Denial::Duplicate => Problem::conflict(
            "The books know this already, or have known it and never take its id again; nothing was changed. Look what \
             there is, and make another.",
        ),
        Denial::BudgetExceeded(_) | Denial::PoolUsedUp { .. } | Denial::InDebt { .. } | Denial::HoldGone => {
            Problem::internal(denial)
        }
    }
}

/// What a field of the ledger's names.
fn what(field: &str) -> &str {
    match field {
        "to" | "from" => "wallet",
        "code" => "promo code",
        "request" => "settled call",
        other => other,
    }
}

/// What each field takes.
fn fix(field: &str) -> String {
    let takes = match field {
        "amount" => "must be above zero",
        "expires_at" => "must lie in the future",
        "reason" => "must say why, in 1 to 500 bytes",
        "name" => "must have 1 to 128 bytes and not be blank",
        "project" => {
            "or `models` must be named: a wallet beside the organization's own is for a project, for some models, or both"
        }
        "models" => {
            "takes at most 100 names of 1 to 128 bytes each; `*` at the end of one stands for any rest"
        }
        "overflow" => "is only for a wallet of a project that pays for all models",
        "to" => "is the wallet that the money comes from; name another one",
        "code" => "must have 4 to 64 letters, digits and hyphens",
        "uses" => "must be at least 1",
        "credit_days" => "must be at least 1",
        "caps" => "are missing: give `cost`, `tokens` or `steps`, or several of them",
        "cost" => "must not be below zero",
        "thresholds" => "must be percentages from 1 to 100, each above the one before",
        "budget" => "keeps what it counts, its period and its zone; remove it and make another",
        _ => "has a value that cannot be taken",
    };
    format!("`{field}` {takes}.")
}

#[cfg(test)]
mod tests {
    use domain::Money;
    use ledger::PromoFault;

    use super::*;

    #[test]
    fn a_denial_names_its_field_its_status_and_its_fix() {
        let money = |text: &str| text.parse::<Money>().unwrap();
        for (denial, status, param, code, words) in [
            (Denial::Invalid { field: "amount" }, 400, "amount", "invalid_value", "above zero"),
            (Denial::Invalid { field: "reason" }, 400, "reason", "invalid_value", "say why"),
            (Denial::Invalid { field: "thresholds" }, 400, "thresholds", "invalid_value", "1 to 100"),
            (Denial::Unknown { field: "to" }, 404, "to", "not_found", "no such wallet"),
            (Denial::Unknown { field: "code" }, 404, "code", "not_found", "no such promo code"),
            (Denial::UnknownOrganization, 404, "organization", "not_found", "check the id"),
            (Denial::IdempotencyConflict, 409, "Idempotency-Key", "idempotency_conflict", "fresh key"),
            (
                Denial::InsufficientCredit { available: money("1.00"), needed: money("2.00") },
                402,
                "amount",
                "insufficient_credit",
                "2.00 is more than the 1.00",
            ),
            (Denial::PromoSpent(PromoFault::Redeemed), 409, "code", "promo_code_spent", "redeemed already"),
            (
                Denial::RefundTooLarge { charged: money("3.00"), refunded: money("1.00") },
                409,
                "amount",
                "refund_too_large",
                "at most 2.00",
            ),
            (Denial::Overflow, 400, "amount", "invalid_value", "more than the books"),
            (Denial::Frozen, 409, "", "conflict", "tollkeeper verify"),
            (Denial::Duplicate, 409, "", "conflict", "nothing was changed"),
        ] {
            let problem = denied(&denial);
            let found = (problem.status.as_u16(), problem.param.as_deref().unwrap_or_default(), problem.code);
            assert_eq!(found, (status, param, code), "{denial:?}");
            assert!(problem.message.contains(words), "{denial:?}: {}", problem.message);
        }
    }
}
