//! Errors as OpenRouter's clients read them: `code` is the HTTP status as a number, and `metadata` says more. Ours adds
//! whose refusal it was and the step that helps.

use bytes::Bytes;
use dialect::ErrorBody;
use directory::ChangeError;
use domain::{Owner, Refusal, RefusalCode};
use ledger::LedgerError;
use serde_json::json;
use store::StoreError;

/// Why a call was not done.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(super) status: u16,
    message: String,
    reason: Option<&'static str>,
    owner: Option<Owner>,
    next_step: Option<String>,
}

impl Fault {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), reason: None, owner: None, next_step: None }
    }

    /// A field holds what cannot be meant.
    pub(super) fn field(name: &str, problem: impl std::fmt::Display) -> Self {
        Self::new(400, format!("`{name}`: {problem}."))
    }

    /// What was asked for is not there, or not for this caller, which is the same to a stranger.
    pub(super) fn not_found(what: &str) -> Self {
        Self::new(404, format!("There is no such {what} in this organization."))
    }

    /// The credential is good and not for this.
    pub(super) fn forbidden(message: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self { next_step: Some(next_step.into()), owner: Some(Owner::Project), ..Self::new(403, message) }
    }

    /// The body did not come whole, or is too large.
    pub(crate) fn body() -> Self {
        Self::new(413, format!("The body broke off or is larger than {} bytes.", super::BODY_BYTES_MAX))
    }

    /// A failure of ours: the log has the reason, the caller only the fact.
    pub(super) fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "a call of OpenRouter's API failed");
        Self::new(500, "The gateway could not do this; its log says why.")
    }

    /// The word of OpenRouter's vocabulary.
    const fn error_type(&self) -> &'static str {
        match self.status {
            400 | 405 => "invalid_request",
            401 => "authentication",
            402 => "payment_required",
            403 => "permission_denied",
            404 => "not_found",
            408 | 504 => "timeout",
            413 => "payload_too_large",
            429 => "rate_limit_exceeded",
            529 => "provider_overloaded",
            502 | 503 => "provider_unavailable",
            _ => "server",
        }
    }

    /// The status and the body.
    pub(crate) fn into_answer(self) -> (u16, Bytes) {
        let mut metadata = json!({ "error_type": self.error_type() });
        let more = [
            ("reason", self.reason.map(str::to_owned)),
            ("owner", self.owner.map(|owner| owner.as_str().to_owned())),
            ("next_step", self.next_step),
        ];
        for (name, value) in more {
            if let Some(value) = value {
                metadata[name] = json!(value);
            }
        }
        let error = json!({ "code": self.status, "message": self.message, "metadata": metadata });
        (self.status, Bytes::from(json!({ "error": error }).to_string()))
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        // OpenRouter says so of every key that does not open, whatever the reason.
        let is_closed = matches!(refusal.code, RefusalCode::ExpiredKey | RefusalCode::DisabledKey);
        let status = if is_closed { 401 } else { ErrorBody::from(&refusal).status };
        Self {
            status,
            message: refusal.message,
            reason: Some(refusal.code.as_str()),
            owner: Some(refusal.code.owner()),
            next_step: Some(refusal.next_step),
        }
    }
}

impl From<ErrorBody> for Fault {
    /// What stopped a call: OpenRouter says 402 where money is missing, and OpenAI 429.
    fn from(body: ErrorBody) -> Self {
        let is_unpaid = body.status == 429 && body.kind == "insufficient_quota";
        Self {
            status: if is_unpaid { 402 } else { body.status },
            message: body.message,
            reason: body.reason,
            owner: body.owner,
            next_step: body.next_step.map(Into::into),
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::internal(&error)
    }
}

impl From<ChangeError> for Fault {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Invalid { .. } | ChangeError::Archived { .. } | ChangeError::Conflict { .. } => {
                Self::new(400, format!("{error}."))
            }
            ChangeError::NotFound { .. } => Self::new(404, format!("{error}.")),
            ChangeError::Store(_) | ChangeError::Inconsistent(_) => Self::internal(&error),
        }
    }
}

impl From<LedgerError> for Fault {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Denied(denial) => Self::new(400, format!("The books refuse the limit: {denial}.")),
            LedgerError::Busy => Self::new(503, "The ledger is busy; try again."),
            LedgerError::Stopped | LedgerError::Store(_) => Self::internal(&error),
        }
    }
}
