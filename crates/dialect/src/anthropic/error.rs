//! Errors as Anthropic's clients read them.

use domain::{Owner, Timestamp};
use serde::Serialize;

use crate::error::ErrorBody;

/// The status and the type that stand for those of OpenAI. Anthropic has one type for each status.
///
/// What no money cures by waiting is 402 here and not 429: its SDKs have a class of its own for it and never try it
/// again, while they obey the waits of a 429 for weeks.
pub(crate) fn words(body: &ErrorBody) -> (u16, &'static str) {
    const OVERLOADED: u16 = 529;
    match (body.status, &*body.kind, body.code.as_deref()) {
        (_, "insufficient_quota", _) => (402, "billing_error"),
        (503, "overloaded_error", _) | (503, _, Some("server_is_overloaded")) => {
            (OVERLOADED, "overloaded_error")
        }
        (status, ..) => (status, kind_of(status)),
    }
}

const fn kind_of(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        409 => "conflict_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

/// `{"type":"error","error":{…},"request_id":…}`: Anthropic's members first, ours follow where they are known.
#[derive(Serialize)]
pub(crate) struct Envelope<'a> {
    r#type: &'static str,
    error: Inner<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Inner<'a> {
    r#type: &'a str,
    message: &'a str,
    details: Option<Details<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resets_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<Owner>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retryable: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_step: Option<&'a str>,
}

#[derive(Serialize)]
struct Details<'a> {
    error_code: &'a str,
}

impl<'a> Envelope<'a> {
    pub(crate) fn of(body: &'a ErrorBody) -> Self {
        let code = body.reason.or(body.code.as_deref());
        Self {
            r#type: "error",
            error: Inner {
                r#type: &body.kind,
                message: &body.message,
                details: code.map(|error_code| Details { error_code }),
                param: body.param.as_deref(),
                limit: body.limit.as_deref(),
                used: body.used.as_deref(),
                resets_at: body.resets_at,
                owner: body.owner,
                retryable: body.retryable,
                next_step: body.next_step.as_deref(),
            },
            request_id: body.request_id.as_deref(),
        }
    }
}
