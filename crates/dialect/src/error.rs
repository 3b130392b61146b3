//! Errors as clients read them, and the one place where a refusal becomes a status.
//!
//! They are made in OpenAI's words; [`ErrorBody::told_in`] puts them into those of another dialect.

use std::borrow::Cow;

use bytes::Bytes;
use domain::{Owner, Refusal, RefusalCode, Timestamp};
use serde::Serialize;

use crate::anthropic;
use crate::bad_request::BadRequest;
use crate::dialect::Dialect;
use crate::gemini;
use crate::sse;

/// An error for the client. The four members that OpenAI has are always there; ours follow where they are known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorBody {
    /// Whose shape and words it has: see [`ErrorBody::told_in`].
    #[serde(skip)]
    pub dialect: Dialect,
    /// The HTTP status.
    #[serde(skip)]
    pub status: u16,
    /// `message`: the sentence for people.
    pub message: String,
    /// `type`.
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
    /// `param`: the member of the request that is wrong.
    pub param: Option<Cow<'static, str>>,
    /// `code`: the word for programs.
    pub code: Option<Cow<'static, str>>,
    /// A finer code than `code`, where clients depend on the coarse one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The limit that bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// How much of it was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<String>,
    /// When the limit starts anew. Never a `retry-after` header: clients wait for days if told to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<Timestamp>,
    /// Whose limit it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Whether the same request can succeed later without anybody doing anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
    /// In how many milliseconds. Becomes a header.
    #[serde(skip)]
    pub retry_after_ms: Option<u64>,
    /// The one step that helps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_step: Option<Cow<'static, str>>,
    /// The gateway's id of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What the `x-should-retry` header says: whether the same request can succeed later. Not part of the body.
    #[serde(skip)]
    pub should_retry: Option<bool>,
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: &'a ErrorBody,
}

impl ErrorBody {
    /// An error of this status and type.
    pub fn new(status: u16, kind: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            dialect: Dialect::OpenAi,
            status,
            message: message.into(),
            kind: kind.into(),
            param: None,
            code: None,
            reason: None,
            limit: None,
            used: None,
            resets_at: None,
            owner: None,
            retryable: None,
            retry_after_ms: None,
            next_step: None,
            request_id: None,
            should_retry: None,
        }
    }

    /// The same with a code.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// The same with the member of the request that is wrong.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<Cow<'static, str>>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// The same in the words and the shape of this dialect.
    #[must_use]
    pub fn told_in(mut self, dialect: Dialect) -> Self {
        match dialect {
            Dialect::OpenAi => {}
            Dialect::Anthropic => {
                let (status, kind) = anthropic::error_words(&self);
                (self.status, self.kind) = (status, Cow::Borrowed(kind));
            }
            Dialect::Gemini => {
                let (status, kind) = gemini::error_words(&self);
                (self.status, self.kind) = (status, Cow::Borrowed(kind));
            }
        }
        self.dialect = dialect;
        self
    }

    /// The body: `{"error":{…}}` in OpenAI's words or Gemini's, or Anthropic's.
    pub fn to_json(&self) -> Bytes {
        match self.dialect {
            Dialect::OpenAi => write(&Envelope { error: self }),
            Dialect::Anthropic => write(&anthropic::ErrorEnvelope::of(self)),
            Dialect::Gemini => write(&gemini::ErrorEnvelope::of(self)),
        }
    }

    /// The event that tells a client that its stream broke: `data: {"error":{…}}`, or Anthropic's `event: error`.
    pub fn stream_event(&self) -> Bytes {
        let mut event = Vec::with_capacity(512);
        match self.dialect {
            Dialect::OpenAi => sse::write_event(&mut event, &Envelope { error: self }),
            Dialect::Gemini => sse::write_event(&mut event, &gemini::ErrorEnvelope::of(self)),
            Dialect::Anthropic => {
                sse::write_named_event(&mut event, "error", &anthropic::ErrorEnvelope::of(self));
            }
        }
        Bytes::from(event)
    }
}

fn write(value: &impl Serialize) -> Bytes {
    let mut body = Vec::with_capacity(512);
    // Strings and numbers into memory: there is nothing that could fail.
    let written = serde_json::to_writer(&mut body, value);
    debug_assert!(written.is_ok(), "an error body is always writable");
    Bytes::from(body)
}

impl From<BadRequest> for ErrorBody {
    fn from(bad: BadRequest) -> Self {
        Self {
            param: bad.param.map(Cow::Owned),
            code: bad.code.map(Cow::Borrowed),
            ..Self::new(400, "invalid_request_error", bad.message)
        }
    }
}

/// The longest wait that a client is told to sit out: SDKs obey a longer one for days, or give up at once.
const WAIT_MS_MAX: u64 = 60_000;

/// Status, `type`, `code`, `param` and `reason`.
type Words = (u16, &'static str, Option<&'static str>, Option<&'static str>, Option<&'static str>);

/// The statuses, types and codes of OpenAI.
const fn words(refused: RefusalCode) -> Words {
    const INVALID: &str = "invalid_request_error";
    const QUOTA: &str = "insufficient_quota";
    const RATE: &str = "rate_limit_exceeded";
    const MISSING: &str = "model_not_found";
    match refused {
        RefusalCode::MissingKey | RefusalCode::InvalidKey => {
            (401, INVALID, Some("invalid_api_key"), None, None)
        }
        RefusalCode::ExpiredKey => (403, INVALID, Some("key_expired"), None, None),
        RefusalCode::DisabledKey => (403, INVALID, Some("key_disabled"), None, None),
        RefusalCode::AddressNotAllowed => (403, INVALID, Some("ip_not_authorized"), None, None),
        RefusalCode::EndpointNotAllowed => (403, INVALID, Some("insufficient_permissions"), None, None),
        RefusalCode::PrincipalRemoved => (403, INVALID, Some("project_access_denied"), None, None),
        RefusalCode::ProjectArchived => (403, INVALID, Some("project_archived"), None, None),
        RefusalCode::ModelNotFound => (404, INVALID, Some(MISSING), None, None),
        // 403 with the code of a missing model is what OpenAI says of a model that a project may not use.
        RefusalCode::ModelNotAllowed | RefusalCode::ModelNotInTier => {
            (403, INVALID, Some(MISSING), Some("model"), Some(refused.as_str()))
        }
        RefusalCode::VerificationRequired => {
            (403, INVALID, Some("organization_not_verified"), Some("model"), None)
        }
        RefusalCode::ModelUnpriced => (403, INVALID, Some("model_not_priced"), Some("model"), None),
        RefusalCode::CountryNotSupported => {
            (403, "request_forbidden", Some("unsupported_country_region_territory"), None, None)
        }
        RefusalCode::ContractUnfit => (403, INVALID, Some("route_contract_unfit"), None, None),
        RefusalCode::ContractStale => (403, INVALID, Some("route_contract_stale"), None, None),
        RefusalCode::ProgrammeNotJoined
        | RefusalCode::ProgrammeOver
        | RefusalCode::ProviderKeyMissing
        | RefusalCode::ProviderKeyPublished => (403, INVALID, Some(refused.as_str()), None, None),
        RefusalCode::ModelNotServed => (404, INVALID, Some(MISSING), Some("model"), Some(refused.as_str())),
        RefusalCode::OrganizationUsageLimitExceeded => (429, QUOTA, Some(refused.as_str()), None, None),
        RefusalCode::OrganizationBudgetExceeded => {
            (429, QUOTA, Some("organization_spend_limit_exceeded"), None, None)
        }
        RefusalCode::ProjectBudgetExceeded => (429, QUOTA, Some("project_spend_limit_exceeded"), None, None),
        // OpenAI has no such budgets and no codes for them: the coarse one is known to clients.
        RefusalCode::KeyBudgetExceeded => (429, QUOTA, Some(QUOTA), None, Some("key_budget_exceeded")),
        RefusalCode::UserBudgetExceeded => (429, QUOTA, Some(QUOTA), None, Some("user_budget_exceeded")),
        RefusalCode::TagBudgetExceeded => (429, QUOTA, Some(QUOTA), None, Some("tag_budget_exceeded")),
        RefusalCode::RunBudgetExceeded => (429, QUOTA, Some(QUOTA), None, Some("run_budget_exceeded")),
        // The type names the counter, as OpenAI's does.
        RefusalCode::RequestsPerMinuteExceeded
        | RefusalCode::ImagesPerMinuteExceeded
        | RefusalCode::RequestsPerDayExceeded
        | RefusalCode::ConcurrentRequestsExceeded => {
            (429, "requests", Some(RATE), None, Some(refused.as_str()))
        }
        RefusalCode::TokensPerMinuteExceeded
        | RefusalCode::InputTokensPerMinuteExceeded
        | RefusalCode::OutputTokensPerMinuteExceeded
        | RefusalCode::TokensPerDayExceeded => (429, "tokens", Some(RATE), None, Some(refused.as_str())),
        RefusalCode::CreditExhausted => (429, QUOTA, Some(QUOTA), None, Some("credit_balance_exhausted")),
        // Not the caller's rate, so not the code of one: nothing that a client does about its own helps.
        RefusalCode::ProviderCapReached => {
            (429, "rate_limit_error", Some("provider_cap_reached"), None, None)
        }
        RefusalCode::GrantsUsedUp => (429, QUOTA, Some(QUOTA), None, Some("grants_used_up")),
        // As OpenRouter says it of its free models: a limit of requests, and none that money is owed for.
        RefusalCode::FreeRequestsUsedUp => (429, "requests", Some(RATE), None, Some(refused.as_str())),
        RefusalCode::WalletInDebt => (429, QUOTA, Some(QUOTA), None, Some("wallet_in_debt")),
        // Our own fault, and none that the caller could cure by paying: a 429 would send it to top up in vain. As a
        // 5xx it shows where operators look for failures of the service.
        RefusalCode::WalletFrozen => (503, "server_error", Some("wallet_frozen"), None, None),
    }
}

/// SDKs try every 429 and 5xx twice more, so what the same request cannot cure within a minute says not to.
impl From<&Refusal> for ErrorBody {
    fn from(refusal: &Refusal) -> Self {
        let (status, kind, code, param, reason) = words(refusal.code);
        Self {
            code: code.map(Cow::Borrowed),
            param: param.map(Cow::Borrowed),
            reason,
            limit: refusal.limit.clone(),
            used: refusal.used.clone(),
            resets_at: refusal.resets_at,
            owner: Some(refusal.code.owner()),
            next_step: Some(Cow::Owned(refusal.next_step.clone())),
            retryable: Some(refusal.retry_after_ms.is_some()),
            retry_after_ms: refusal.retry_after_ms,
            should_retry: Some(refusal.retry_after_ms.is_some_and(|wait| wait <= WAIT_MS_MAX)),
            ..Self::new(status, kind, refusal.message.clone())
        }
    }
}
