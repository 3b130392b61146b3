//! Errors as Google's clients read them: `google.rpc.Status`, and our own members where Google puts such things, in the
//! metadata of an `ErrorInfo`, whose values are texts.

use domain::{Owner, Timestamp};
use serde::Serialize;

use crate::error::ErrorBody;

/// A longer wait than this is told to nobody: clients sit it out.
const RETRY_MS_MAX: u64 = 60_000;

/// The status and Google's word for it that stand for those of OpenAI.
///
/// What no money cures by waiting is 402 here and not 429, as Google has it since its prepaid credits came: its SDKs try
/// a 429 again when they are set up to, and a 402 never.
/// <https://discuss.ai.google.dev/t/api-update-depleted-prepay-credits-now-return-http-402-instead-of-429/183654>
pub(crate) fn words(body: &ErrorBody) -> (u16, &'static str) {
    match (body.status, &*body.kind) {
        (_, "insufficient_quota") => (402, "RESOURCE_EXHAUSTED"),
        (status, _) => (status, word_of(status)),
    }
}

/// <https://cloud.google.com/apis/design/errors#handling_errors>
const fn word_of(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        402 | 429 => "RESOURCE_EXHAUSTED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        408 | 504 => "DEADLINE_EXCEEDED",
        409 => "ABORTED",
        499 => "CANCELLED",
        503 => "UNAVAILABLE",
        400..=499 => "INVALID_ARGUMENT",
        _ => "INTERNAL",
    }
}

/// `{"error":{"code","message","status","details"}}`.
#[derive(Serialize)]
pub(crate) struct Envelope<'a> {
    error: Inner<'a>,
}

#[derive(Serialize)]
struct Inner<'a> {
    code: u16,
    message: &'a str,
    status: &'a str,
    details: Vec<Detail<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "@type")]
enum Detail<'a> {
    #[serde(rename = "type.googleapis.com/google.rpc.ErrorInfo")]
    ErrorInfo { reason: String, domain: &'static str, metadata: Metadata<'a> },
    #[serde(rename = "type.googleapis.com/google.rpc.BadRequest", rename_all = "camelCase")]
    BadRequest { field_violations: [Violation<'a>; 1] },
    #[serde(rename = "type.googleapis.com/google.rpc.RetryInfo", rename_all = "camelCase")]
    RetryInfo { retry_delay: String },
}

#[derive(Serialize)]
struct Violation<'a> {
    field: &'a str,
    description: &'a str,
}

#[derive(Serialize)]
struct Metadata<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<Owner>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resets_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retryable: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_step: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

impl<'a> Envelope<'a> {
    pub(crate) fn of(body: &'a ErrorBody) -> Self {
        let status = &*body.kind;
        // Of a provider of Google's the code is the status as a number, which is no reason.
        let code = body.reason.or(body.code.as_deref()).filter(|code| code.parse::<u64>().is_err());
        let code = code.unwrap_or(status);
        let mut details = vec![Detail::ErrorInfo {
            // Google's reasons are in capitals.
            reason: code.to_ascii_uppercase(),
            domain: "tollkeeper",
            metadata: Metadata {
                owner: body.owner,
                limit: body.limit.as_deref(),
                used: body.used.as_deref(),
                resets_at: body.resets_at,
                retryable: body.retryable.map(|retryable| if retryable { "true" } else { "false" }),
                next_step: body.next_step.as_deref(),
                request_id: body.request_id.as_deref(),
            },
        }];
        details.extend(body.param.as_deref().map(|field| Detail::BadRequest {
            field_violations: [Violation { field, description: &body.message }],
        }));
        let wait = body.retry_after_ms.filter(|wait| *wait <= RETRY_MS_MAX);
        details.extend(
            wait.map(|wait| Detail::RetryInfo {
                retry_delay: format!("{}.{:03}s", wait / 1_000, wait % 1_000),
            }),
        );
        Self { error: Inner { code: body.status, message: &body.message, status, details } }
    }
}
