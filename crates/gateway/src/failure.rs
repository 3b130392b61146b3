//! How a request fails, and the one place where that becomes HTTP.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use dialect::{BadRequest, Dialect, Endpoint, ErrorBody, UpstreamError};
use domain::{Owner, Refusal, RequestId};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use ledger::{Denial, LedgerError};
use providers::TransportFailure;

use crate::answer::Answer;
use crate::attempt::is_about_the_request;
use crate::brought::Access;
use crate::decode::Limit;
use crate::rates::{OverRate, RateHeaders};
use crate::retry::Remedy;
use crate::substitution::Claim;

/// On every answer: the id that finds the call's row, its attempts and its hold.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Obeyed by the SDKs before any rule of their own.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// The same wait, finer; SDKs read it first.
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
/// SDKs obey a longer wait for days, or give up at once.
const RETRY_AFTER_SECONDS_MAX: u64 = 60;

/// Why a request got no answer from a model.
#[derive(Debug)]
pub enum Failure {
    /// A limit owner said no, before anything was sent.
    Refused(Box<Refusal>),
    /// A rate limit said no.
    Limited(Box<OverRate>),
    /// The body is not what the endpoint takes.
    BadRequest(Box<BadRequest>),
    /// The body could not be had.
    Body(BodyFailure),
    /// Too much is waiting for the ledger.
    Busy,
    /// The ledger's store has failed.
    Unavailable,
    /// A shutdown has begun.
    Draining,
    /// The answer was there, but could not be booked, so it is not released.
    Unsettled,
    /// The provider refused or failed; the attempt is on the books.
    Upstream(Box<UpstreamFailure>),
}

/// Why a request's body could not be had.
#[derive(Debug, PartialEq, Eq)]
pub enum BodyFailure {
    /// It is larger than the limit.
    TooLarge(Limit),
    /// It stood still for too long.
    Slow {
        /// How long.
        idle: Duration,
    },
    /// The connection broke.
    Broken,
    /// It is said to be something else than what is taken here.
    MediaType {
        /// What it is said to be.
        found: String,
        /// Where it came.
        endpoint: Endpoint,
    },
    /// It is compressed.
    Encoding(String),
}

/// What a failed attempt looks like to the caller, and on its row.
#[derive(Debug)]
pub struct UpstreamFailure {
    pub(crate) status: u16,
    pub(crate) reason: &'static str,
    message: String,
    kind: String,
    code: Option<String>,
    param: Option<String>,
    /// The wait that the provider asked for.
    pub(crate) retry_after: Option<Duration>,
    should_retry: Option<bool>,
    /// Whether another attempt may help.
    pub(crate) remedy: Remedy,
    /// What helps, where somebody can do something about it.
    next_step: Option<&'static str>,
    /// The target that was tried last, and how many attempts there were; on what the client gets.
    pub(crate) way: Option<(Arc<str>, u32)>,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl From<BadRequest> for Failure {
    fn from(error: BadRequest) -> Self {
        Self::BadRequest(Box::new(error))
    }
}

impl From<BodyFailure> for Failure {
    fn from(error: BodyFailure) -> Self {
        Self::Body(error)
    }
}

impl Failure {
    /// The outcome as metrics name it.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::Refused(_) | Self::Limited(_) => {
                self.refusal().map_or("refused", |refusal| refusal.code.owner().as_str())
            }
            Self::BadRequest(_) | Self::Body(_) => "bad_request",
            Self::Busy => "ledger_busy",
            Self::Unavailable => "ledger_unavailable",
            Self::Draining => "draining",
            Self::Unsettled => "unsettled",
            Self::Upstream(failure) => failure.reason,
        }
    }

    /// The refusal of a limit owner, where it was one.
    pub(crate) const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Limited(over) => Some(&over.refusal),
            Self::BadRequest(_)
            | Self::Body(_)
            | Self::Busy
            | Self::Unavailable
            | Self::Draining
            | Self::Unsettled
            | Self::Upstream(_) => None,
        }
    }

    /// Its code in a record: the refusal's, or what is wrong with the request.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.code.as_str(),
            Self::BadRequest(error) => error.code.unwrap_or("bad_request"),
            Self::Limited(over) => over.refusal.code.as_str(),
            Self::Body(_)
            | Self::Busy
            | Self::Unavailable
            | Self::Draining
            | Self::Unsettled
            | Self::Upstream(_) => self.outcome(),
        }
    }

    /// Whether the attempt's settlement has told the observer already.
    pub(crate) const fn is_booked(&self) -> bool {
        matches!(self, Self::Upstream(_))
    }

    /// The failure as HTTP, in the shape of this dialect. The [`ErrorBody`] is among the extensions, for whoever has
    /// another shape for it.
    pub fn into_response(self, dialect: Dialect, id: RequestId) -> Response<Answer> {
        let retry_after = self.retry_after();
        let rates = if let Self::Limited(over) = &self { over.told } else { RateHeaders::default() };
        let way = if let Self::Upstream(failure) = &self { failure.way.clone() } else { None };
        let body = ErrorBody { request_id: Some(id.to_string()), ..self.into_body() }.told_in(dialect);
        let mut response = Response::new(Answer::from(body.to_json()));
        *response.status_mut() = StatusCode::from_u16(body.status).unwrap_or(StatusCode::BAD_GATEWAY);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(REQUEST_ID, id_value(id));
        rates.write(dialect, headers);
        if let Some((target, attempts)) = way {
            crate::attempts::way(&target, attempts, headers);
        }
        if let Some(should_retry) = body.should_retry {
            headers
                .insert(SHOULD_RETRY, HeaderValue::from_static(if should_retry { "true" } else { "false" }));
        }
        if let Some(wait) = body.retry_after_ms.filter(|wait| *wait <= RETRY_AFTER_SECONDS_MAX * 1_000) {
            headers.insert(RETRY_AFTER_MS, HeaderValue::from(wait));
        }
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds.min(RETRY_AFTER_SECONDS_MAX)));
        }
        response.extensions_mut().insert(body);
        response
    }

    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Upstream(failure) => failure
                .retry_after
                .map(|wait| wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0))),
            Self::Busy | Self::Unavailable | Self::Draining => Some(1),
            Self::Refused(_) | Self::Limited(_) => {
                self.refusal()?.retry_after_ms.map(|wait| wait.div_ceil(1_000))
            }
            Self::BadRequest(_) | Self::Body(_) | Self::Unsettled => None,
        }
    }

    fn into_body(self) -> ErrorBody {
        if let Some(body) = self.own_body() {
            return body;
        }
        match self {
            Self::Refused(refusal) => ErrorBody::from(&*refusal),
            Self::Limited(over) => ErrorBody::from(&over.refusal),
            Self::BadRequest(error) => ErrorBody::from(*error),
            Self::Upstream(failure) => failure.into_body(),
            Self::Body(_) | Self::Busy | Self::Unavailable | Self::Draining | Self::Unsettled => {
                unsettled_body()
            }
        }
    }

    /// The words for what neither a limit, a mistake in the request nor a provider is the reason of.
    pub(crate) fn own_body(&self) -> Option<ErrorBody> {
        Some(match self {
            Self::Refused(_) | Self::Limited(_) | Self::BadRequest(_) | Self::Upstream(_) => return None,
            Self::Body(failure) => failure.to_body(),
            Self::Busy => {
                ours(503, "server_is_overloaded", "The gateway is overloaded; nothing was charged.")
            }
            Self::Unavailable => {
                ours(503, "ledger_unavailable", "The gateway cannot book calls now; nothing was charged.")
            }
            Self::Draining => {
                ours(503, "shutting_down", "The gateway is shutting down; nothing was charged.")
            }
            Self::Unsettled => unsettled_body(),
        })
    }
}

impl BodyFailure {
    fn to_body(&self) -> ErrorBody {
        let invalid = |status, code: &'static str, message: String| {
            ErrorBody::new(status, "invalid_request_error", message).with_code(code)
        };
        match self {
            Self::TooLarge(Limit { bytes, setting }) => {
                let message = format!(
                    "The request body is too large: this gateway's limit, {setting}, is {bytes} bytes."
                );
                invalid(413, "request_too_large", message)
            }
            Self::Slow { idle } => {
                let message =
                    format!("The request body stopped arriving: nothing came for {} ms.", idle.as_millis());
                ErrorBody { should_retry: Some(false), ..invalid(408, "request_timeout", message) }
            }
            Self::Broken => invalid(400, "request_incomplete", "The request body broke off.".to_owned()),
            Self::MediaType { found, endpoint } => {
                let taken = match (endpoint.takes_json(), endpoint.takes_form()) {
                    (true, true) => "multipart/form-data or application/json",
                    (false, _) => "multipart/form-data",
                    (true, false) => "application/json",
                };
                let message = format!("Unsupported content type `{found}`: send {taken}.");
                invalid(415, "unsupported_content_type", message).with_param("content-type")
            }
            Self::Encoding(found) => {
                let message = format!("Unsupported content encoding `{found}`: send the body uncompressed.");
                invalid(415, "unsupported_content_encoding", message).with_param("content-encoding")
            }
        }
    }
}

/// Codes and types by which providers say that the account with them is out of money: OpenAI's, then Anthropic's.
const OF_QUOTA: [&str; 5] = [
    "insufficient_quota",
    "billing_error",
    "enforced_spend_limit_reached",
    "contract_spend_limit_reached",
    "ServiceQuotaExceededException",
];

/// How Anthropic says the same as a mistake in the request, and how Google said it as a rate limit before it had a status
/// of its own for it.
const IS_EMPTY: [&str; 2] = ["Your credit balance is too low", "Your prepayment credits are depleted"];

/// Google's reasons, which come as a mistake in the request, when it does not take a key.
const OF_KEY: [&str; 2] = ["API_KEY_INVALID", "API_KEY_SERVICE_BLOCKED"];

/// Words by which providers say that they have no such model: OpenAI's code, Google's status and Amazon's exception.
const OF_MODEL: [&str; 3] = ["model_not_found", "NOT_FOUND", "ResourceNotFoundException"];

/// What Amazon calls a credential or an account that is not as it should be, with statuses of a mistake in the request
/// (<https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html>).
const AMAZON_REFUSES_US: [&str; 5] =
    ["IncompleteSignature", "RequestExpired", "FTUFormNotFilled", "NotAuthorized", "OptInRequired"];

/// How Amazon says of a model that it cannot be called by this name: as a mistake in the request.
const AMAZON_HAS_NO_MODEL: [&str; 2] = ["The provided model identifier is invalid", "Invocation of model ID"];

/// The status that an error of Amazon's means, where it has another.
fn meant_status(status: u16, error: &UpstreamError) -> u16 {
    let kind = error.kind.as_deref().unwrap_or_default();
    match kind.strip_suffix("Exception").unwrap_or(kind) {
        kind if AMAZON_REFUSES_US.contains(&kind) => 403,
        // Nobody's rate is used up: the model is being loaded.
        "ModelNotReady" => 503,
        _ => status,
    }
}

/// Whether the provider does not know the model that the target names.
fn has_no_model(error: &UpstreamError) -> bool {
    [&error.code, &error.kind].into_iter().flatten().any(|word| OF_MODEL.contains(&word.as_str()))
        || AMAZON_HAS_NO_MODEL.iter().any(|words| error.message.starts_with(words))
}

/// What helps where our credential at a provider is not taken. The caller can do nothing about it.
const MEND_CREDENTIAL: &str =
    "The operator runs `tollkeeper doctor`, which tells what is wrong with the provider's credential.";

impl UpstreamFailure {
    /// The way to the provider failed.
    pub(crate) fn of_transport(failure: TransportFailure) -> Self {
        let status = match failure {
            TransportFailure::Connect
            | TransportFailure::Closed
            | TransportFailure::Garbage
            | TransportFailure::NoToken
            | TransportFailure::TooLarge => 502,
            TransportFailure::ConnectTimeout
            | TransportFailure::FirstByteTimeout
            | TransportFailure::IdleTimeout => 504,
        };
        Self {
            status,
            reason: failure.reason(),
            message: sentence(&failure.to_string()),
            kind: "server_error".to_owned(),
            code: Some(failure.reason().to_owned()),
            param: None,
            retry_after: None,
            // What is wrong with our account there is for its owner to mend; at another provider it may be well.
            should_retry: (failure == TransportFailure::NoToken).then_some(false),
            remedy: match failure {
                // Whoever answers, the answer would be as long.
                TransportFailure::TooLarge => Remedy::Nothing,
                TransportFailure::NoToken => Remedy::Elsewhere,
                TransportFailure::Connect
                | TransportFailure::ConnectTimeout
                | TransportFailure::FirstByteTimeout
                | TransportFailure::IdleTimeout
                | TransportFailure::Closed
                | TransportFailure::Garbage => Remedy::Again,
            },
            next_step: (failure == TransportFailure::NoToken).then_some(MEND_CREDENTIAL),
            way: None,
        }
    }

    /// The provider answered with an error.
    ///
    /// What it says about the request passes on as it is. What it says about *our* account there is not the caller's
    /// business: a caller who reads "insufficient quota" would look at the wrong wallet.
    pub(crate) fn of_answer(status: u16, error: UpstreamError, retry_after: Option<Duration>) -> Self {
        let status = meant_status(status, &error);
        let about_the_request = StatusCode::from_u16(status).is_ok_and(is_about_the_request);
        let quota = status == 402
            || [&error.code, &error.kind].into_iter().flatten().any(|word| OF_QUOTA.contains(&word.as_str()))
            || IS_EMPTY.iter().any(|start| error.message.starts_with(start));
        let key = error.code.as_deref().is_some_and(|code| OF_KEY.contains(&code));
        let passed = |status, reason, kind: &str| Self {
            status,
            reason,
            message: error.message.clone(),
            kind: error.kind.clone().unwrap_or_else(|| kind.to_owned()),
            code: error.code.clone(),
            param: error.param.clone(),
            retry_after,
            should_retry: None,
            remedy: Remedy::Again,
            next_step: None,
            way: None,
        };
        let hidden = |status, reason: &'static str, message: &str| Self {
            status,
            reason,
            message: message.to_owned(),
            kind: "server_error".to_owned(),
            code: Some(reason.to_owned()),
            param: None,
            retry_after: None,
            should_retry: Some(false),
            // Our account there is not as it should be; at another provider it may be.
            remedy: Remedy::Elsewhere,
            next_step: (reason == "provider_auth_failed").then_some(MEND_CREDENTIAL),
            way: None,
        };
        match status {
            _ if quota => hidden(
                503,
                "provider_quota_exhausted",
                "The provider refuses this gateway's account for lack of quota there; your own credit is not the reason.",
            ),
            _ if key || matches!(status, 401 | 403) => {
                hidden(502, "provider_auth_failed", "The provider refuses this gateway's credential.")
            }
            // Its words name our account there; the figures are no help to a caller.
            429 => Self {
                message: "The provider limits the rate of this gateway's account; try again a little later."
                    .to_owned(),
                ..passed(429, "upstream_rate_limited", "rate_limit_error")
            },
            _ if about_the_request => {
                // The upstream model's name is ours, whatever the rest of the request says.
                let remedy = if has_no_model(&error) { Remedy::Elsewhere } else { Remedy::AnotherModel };
                Self { remedy, ..passed(status, "upstream_rejected", "invalid_request_error") }
            }
            408 | 504 => passed(504, "upstream_timeout", "server_error"),
            503 | 529 => passed(503, "upstream_overloaded", "service_unavailable_error"),
            _ => passed(502, "upstream_error", "server_error"),
        }
    }

    /// The same of a call with a key that is not ours: what the provider says of that account is its owner's business, and
    /// whose limit it is must be told.
    pub(crate) fn of_key(self, access: Option<&Access>, provider: &str) -> Self {
        let Some(key) = access.map(Access::named) else { return self };
        let told = |status, what: &str| (status, format!("The provider `{provider}` {what} {key}."));
        let (status, message) = match self.reason {
            "provider_auth_failed" => told(403, "does not take"),
            "provider_quota_exhausted" => told(402, "has no credit or quota left for"),
            "upstream_rate_limited" => told(429, "limits the rate of"),
            _ => return self,
        };
        let next_step = match self.reason {
            "provider_auth_failed" => "Check the key at the provider, and bring or send one that works.",
            "provider_quota_exhausted" => {
                "Add credit to that account at the provider, or raise its limit there."
            }
            _ => "Wait, or raise that account's limit at the provider.",
        };
        Self { status, message, next_step: Some(next_step), ..self }
    }

    /// What the caller reads.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What the failure says of the target: whether it is well, if anything. A refused rate is told by its headers.
    pub(crate) fn target_is_well(&self) -> Option<bool> {
        match self.reason {
            "client_closed" | "upstream_rate_limited" => None,
            _ => Some(matches!(self.remedy, Remedy::Nothing | Remedy::AnotherModel)),
        }
    }

    /// Another model answered than the one that was called, or nobody knows which, and the route does not pass that on.
    pub(crate) fn substituted(claim: Claim, target: &str, answered: Option<&str>) -> Self {
        let named =
            answered.map_or_else(|| "does not name its model".to_owned(), |model| format!("names `{model}`"));
        Self {
            status: 502,
            reason: claim.reason(),
            message: format!(
                "The answer of `{target}` {named}, and this route passes on answers of the model that it claims alone. It is \
                 withheld, and was charged."
            ),
            code: Some(claim.reason().to_owned()),
            should_retry: Some(false),
            remedy: Remedy::Nothing,
            ..Self::of_transport(TransportFailure::Garbage)
        }
    }

    /// The provider's caps have no room for another attempt, which was not sent.
    pub(crate) fn capped(refusal: &Refusal) -> Self {
        Self {
            status: 429,
            reason: "provider_cap_reached",
            message: refusal.message.clone(),
            kind: "rate_limit_error".to_owned(),
            code: Some("provider_cap_reached".to_owned()),
            retry_after: refusal.retry_after_ms.map(Duration::from_millis),
            remedy: Remedy::Nothing,
            ..Self::of_transport(TransportFailure::Connect)
        }
    }

    /// The client left before anything was sent.
    pub(crate) fn client_closed() -> Self {
        Self {
            status: 499,
            reason: "client_closed",
            remedy: Remedy::Nothing,
            ..Self::of_transport(TransportFailure::Closed)
        }
    }

    /// The target's address and model do not make a request.
    pub(crate) fn unsendable() -> Self {
        Self {
            reason: "unsendable",
            should_retry: Some(false),
            remedy: Remedy::Elsewhere,
            ..Self::of_transport(TransportFailure::Connect)
        }
    }

    fn into_body(self) -> ErrorBody {
        ErrorBody {
            code: self.code.map(Into::into),
            param: self.param.map(Into::into),
            should_retry: self.should_retry,
            owner: Some(Owner::Provider),
            next_step: self.next_step.map(Cow::Borrowed),
            ..ErrorBody::new(self.status, self.kind, self.message)
        }
    }
}

/// The last event of a stream that broke.
pub(crate) fn broken_stream(failure: TransportFailure, request_id: &str) -> ErrorBody {
    ErrorBody {
        request_id: Some(request_id.to_owned()),
        ..UpstreamFailure::of_transport(failure).into_body()
    }
}

/// The last event of a stream whose settlement failed, for this reason.
pub(crate) fn unbooked_stream(error: &LedgerError, request_id: &str) -> ErrorBody {
    let timed_out = matches!(error, LedgerError::Denied(Denial::HoldGone));
    let body = if timed_out { timed_out_body() } else { unsettled_body() };
    ErrorBody { request_id: Some(request_id.to_owned()), ..body }
}

fn timed_out_body() -> ErrorBody {
    let message = "The call lasted longer than this gateway holds money for one (ledger.hold_timeout_minutes). \
                   It was charged up to its last checkpoint, and ends here.";
    ErrorBody { should_retry: Some(false), ..ours(504, "hold_timed_out", message) }
}

fn unsettled_body() -> ErrorBody {
    let body = ours(503, "ledger_unavailable", "The answer could not be booked and is withheld.");
    ErrorBody { should_retry: Some(false), ..body }
}

fn ours(status: u16, code: &'static str, message: &str) -> ErrorBody {
    ErrorBody::new(status, "service_unavailable_error", message).with_code(code)
}

/// A lower-case clause as a sentence.
fn sentence(clause: &str) -> String {
    let mut characters = clause.chars();
    characters
        .next()
        .map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), characters.as_str()))
}

/// A request's id as a header.
pub(crate) fn id_value(id: RequestId) -> HeaderValue {
    // Letters, digits and an underscore: always a valid header.
    HeaderValue::try_from(id.to_string()).unwrap_or(HeaderValue::from_static("req_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amazons_errors_mean_what_they_name() {
        let no_model = "Invocation of model ID a.b with on-demand throughput isn\u{2019}t supported.";
        for (status, kind, message, wanted, reason, remedy) in [
            (429, "ThrottlingException", "Too many tokens", 429, "upstream_rate_limited", Remedy::Again),
            (429, "ModelNotReadyException", "Loading", 503, "upstream_overloaded", Remedy::Again),
            (503, "ServiceUnavailableException", "Busy", 503, "upstream_overloaded", Remedy::Again),
            (500, "InternalServerException", "Oh", 502, "upstream_error", Remedy::Again),
            (424, "ModelErrorException", "Oh", 502, "upstream_error", Remedy::Again),
            (408, "ModelTimeoutException", "Slow", 504, "upstream_timeout", Remedy::Again),
            (
                400,
                "ValidationException",
                "A message is empty",
                400,
                "upstream_rejected",
                Remedy::AnotherModel,
            ),
            (400, "ValidationException", no_model, 400, "upstream_rejected", Remedy::Elsewhere),
            (404, "ResourceNotFoundException", "No such", 404, "upstream_rejected", Remedy::Elsewhere),
            (403, "AccessDeniedException", "arn:aws:iam::1", 502, "provider_auth_failed", Remedy::Elsewhere),
            (400, "IncompleteSignatureException", "Bad", 502, "provider_auth_failed", Remedy::Elsewhere),
            (400, "RequestExpired", "Late", 502, "provider_auth_failed", Remedy::Elsewhere),
            (
                400,
                "ServiceQuotaExceededException",
                "Full",
                503,
                "provider_quota_exhausted",
                Remedy::Elsewhere,
            ),
        ] {
            let error = UpstreamError { message: message.to_owned(), ..UpstreamError::default() };
            let failure = UpstreamFailure::of_answer(status, error.with_exception(kind), None);
            assert_eq!((failure.status, failure.reason), (wanted, reason), "{kind}");
            assert!(failure.remedy == remedy, "{kind}");
            assert!(!failure.message.contains("arn:"), "{}", failure.message);
        }
    }
}
