//! Refusals, in OpenAI's shape, Anthropic's, Gemini's or Amazon's.

use http::StatusCode;
use serde_json::json;

use crate::answer::Dialect;
use crate::behaviour::{BehaviourError, Fault};

/// An answer that is an error object.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<u64>,
    dialect: Dialect,
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<String>,
    message: String,
}

impl Problem {
    fn new(status: StatusCode, kind: &'static str, code: Option<&'static str>, message: String) -> Self {
        Self { status, retry_after: None, dialect: Dialect::OpenAi, kind, code, param: None, message }
    }

    fn invalid(param: &str, code: &'static str, message: String) -> Self {
        let problem = Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", Some(code), message);
        Self { param: Some(param.to_owned()), ..problem }
    }

    /// The body is no JSON object, or could not be read.
    pub(crate) fn body(detail: &str) -> Self {
        let message = format!("We could not parse the JSON body of your request: {detail}.");
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", None, message)
    }

    /// A field that must be there is not.
    pub(crate) fn missing(param: &str) -> Self {
        let message = format!("Missing required parameter: '{param}'.");
        Self::invalid(param, "missing_required_parameter", message)
    }

    /// A field has a value of another type.
    pub(crate) fn mistyped(param: &str, expected: &str) -> Self {
        Self::invalid(param, "invalid_type", format!("Invalid type for '{param}': expected {expected}."))
    }

    /// A field has a value that its type allows and its meaning does not.
    pub(crate) fn value(param: &str, expected: &str) -> Self {
        Self::invalid(param, "invalid_value", format!("Invalid value for '{param}': expected {expected}."))
    }

    /// The behaviour asked for in this place is none.
    pub(crate) fn behaviour(place: &str, error: &BehaviourError) -> Self {
        Self::invalid(place, "invalid_value", format!("Invalid value for '{place}': {error}."))
    }

    /// No bearer token came along.
    pub(crate) fn no_key() -> Self {
        let message = "You didn't provide an API key. You need to provide your API key in an Authorization header \
                       using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).";
        Self::new(StatusCode::UNAUTHORIZED, "invalid_request_error", None, message.to_owned())
    }

    /// No such path.
    pub(crate) fn no_path(method: &http::Method, path: &str) -> Self {
        let message = format!("Invalid URL ({method} {path})");
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", None, message)
    }

    /// The path exists, under another method.
    pub(crate) fn no_method(method: &http::Method, path: &str) -> Self {
        let message = format!("Not allowed to {method} on {path}.");
        let code = Some("method_not_supported");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request_error", code, message)
    }

    /// The refusal that a fault plays, if it plays one.
    pub(crate) fn of_fault(fault: Fault, model: &str, retry_after: Option<u64>) -> Option<Self> {
        let invalid = "invalid_request_error";
        let (status, kind, code, message) = match fault {
            Fault::BadRequest => {
                (StatusCode::BAD_REQUEST, invalid, Some("invalid_value"), "Invalid value for 'messages'.")
            }
            Fault::Unauthorized => (
                StatusCode::UNAUTHORIZED,
                invalid,
                Some("invalid_api_key"),
                "Incorrect API key provided: sk-sim***.",
            ),
            Fault::RateLimited => {
                let message = "Rate limit reached on requests per min (RPM): Limit 60, Used 60, Requested 1.";
                (StatusCode::TOO_MANY_REQUESTS, "requests", Some("rate_limit_exceeded"), message)
            }
            Fault::Quota => {
                let message = "You exceeded your current quota, please check your plan and billing details.";
                (StatusCode::TOO_MANY_REQUESTS, "insufficient_quota", Some("insufficient_quota"), message)
            }
            Fault::ServerError => {
                let message = "The server had an error while processing your request. Sorry about that!";
                (StatusCode::INTERNAL_SERVER_ERROR, "server_error", None, message)
            }
            Fault::Overloaded => {
                let message = "The server is overloaded. Please try again later.";
                let code = Some("server_is_overloaded");
                (StatusCode::SERVICE_UNAVAILABLE, "service_unavailable_error", code, message)
            }
            Fault::Hang
            | Fault::HangMid
            | Fault::Close
            | Fault::CloseMid
            | Fault::Garbage
            | Fault::GarbageMid
            | Fault::ErrorMid
            | Fault::WrongModel
            | Fault::NoUsage
            | Fault::NoDone
            | Fault::SlowHeaders
            | Fault::Empty => return None,
        };
        let retry_after = if fault == Fault::RateLimited { retry_after.or(Some(1)) } else { retry_after };
        Some(Self { retry_after, ..Self::new(status, kind, code, format!("{message} (model {model})")) })
    }

    /// The header that names the version of the API is missing.
    pub(crate) fn no_version() -> Self {
        let message = "anthropic-version: header is required";
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", None, message.to_owned())
    }

    /// The same as Anthropic says it: with other statuses for want of money and for too much load.
    fn into_anthropics(self) -> Self {
        let (status, kind) = match (self.status.as_u16(), self.kind) {
            (_, "insufficient_quota") => (402, "billing_error"),
            (401, _) => (401, "authentication_error"),
            (404, _) => (404, "not_found_error"),
            (429, _) => (429, "rate_limit_error"),
            (503, _) => (529, "overloaded_error"),
            (status @ 400..=499, _) => (status, "invalid_request_error"),
            (status, _) => (status, "api_error"),
        };
        let status = StatusCode::from_u16(status).unwrap_or(self.status);
        Self { status, kind, dialect: Dialect::Anthropic, ..self }
    }

    /// The same as Amazon says it, which tells the type in a header.
    fn into_amazons(self) -> Self {
        let (status, kind) = match (self.status.as_u16(), self.kind) {
            (_, "insufficient_quota") => (400, "ServiceQuotaExceededException"),
            (401, _) => (403, "UnrecognizedClientException"),
            (403, kind) => (403, kind),
            (404, _) => (404, "ResourceNotFoundException"),
            (429, _) => (429, "ThrottlingException"),
            (503, _) => (503, "ServiceUnavailableException"),
            (status @ 400..=499, _) => (status, "ValidationException"),
            (status, _) => (status, "InternalServerException"),
        };
        let status = StatusCode::from_u16(status).unwrap_or(self.status);
        Self { status, kind, dialect: Dialect::Amazon, ..self }
    }

    /// The type, where a header tells it.
    pub(crate) fn header_kind(&self) -> Option<&'static str> {
        (self.dialect == Dialect::Amazon).then_some(self.kind)
    }

    /// The signature is not that of the request.
    pub(crate) fn signature((kind, why): (&'static str, String)) -> Self {
        Self::new(StatusCode::FORBIDDEN, kind, None, why)
    }

    /// No access token came along, or none that is good. Whoever publishes the model, Google says so.
    pub(crate) fn no_token() -> Self {
        let message = "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other \
                       valid authentication credential.";
        let code = Some("ACCESS_TOKEN_TYPE_UNSUPPORTED");
        let problem = Self::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", code, message.to_owned());
        Self { dialect: Dialect::Gemini, ..problem }
    }

    /// The same in this dialect, if it is not in another one already.
    pub(crate) fn told_in(self, dialect: Dialect) -> Self {
        match (self.dialect, dialect) {
            (Dialect::OpenAi, Dialect::Anthropic) => self.into_anthropics(),
            (Dialect::OpenAi, Dialect::Amazon) => self.into_amazons(),
            (Dialect::OpenAi, Dialect::Gemini) => self.into_geminis(),
            _ => self,
        }
    }

    /// The same as Google says it: a wrong key is a mistake in the request.
    fn into_geminis(self) -> Self {
        let (status, kind) = match (self.status.as_u16(), self.kind) {
            (_, "insufficient_quota") => (402, "RESOURCE_EXHAUSTED"),
            (401, _) => (400, "INVALID_ARGUMENT"),
            (404, _) => (404, "NOT_FOUND"),
            (429, _) => (429, "RESOURCE_EXHAUSTED"),
            (503, _) => (503, "UNAVAILABLE"),
            (status @ 400..=499, _) => (status, "INVALID_ARGUMENT"),
            (status, _) => (status, "INTERNAL"),
        };
        let code = if self.status == StatusCode::UNAUTHORIZED { Some("API_KEY_INVALID") } else { None };
        let status = StatusCode::from_u16(status).unwrap_or(self.status);
        Self { status, kind, code, dialect: Dialect::Gemini, ..self }
    }

    /// The error object as a body.
    pub(crate) fn to_json(&self) -> String {
        let (message, kind, param, code) = (&self.message, self.kind, &self.param, self.code);
        match self.dialect {
            Dialect::OpenAi => {
                json!({"error": {"message": message, "type": kind, "param": param, "code": code}}).to_string()
            }
            Dialect::Gemini => {
                let mut error = json!({"code": self.status.as_u16(), "message": message, "status": kind});
                if let Some(reason) = code {
                    error["details"] = json!([{
                        "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason,
                        "domain": "googleapis.com",
                    }]);
                }
                json!({"error": error}).to_string()
            }
            Dialect::Anthropic => {
                json!({"type": "error", "error": {"type": kind, "message": message, "details": null}})
                    .to_string()
            }
            Dialect::Amazon => json!({"message": message}).to_string(),
        }
    }
}
