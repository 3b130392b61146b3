//! Errors in Gemini's words, and those of Google's read.

use std::time::Duration;

use domain::{Refusal, RefusalCode};
use serde_json::{Value, json};

use crate::{BadRequest, Dialect, Endpoint, ErrorBody, UpstreamError};

#[test]
fn a_refusal_names_its_owner_in_googles_shape() {
    let mut refusal = Refusal::new(RefusalCode::RequestsPerMinuteExceeded, "Too fast.", "Wait.");
    (refusal.limit, refusal.used) = (Some("60".to_owned()), Some("60".to_owned()));
    refusal.retry_after_ms = Some(1_500);
    let body = ErrorBody { request_id: Some("req_1".to_owned()), ..ErrorBody::from(&refusal) };
    let told: Value = serde_json::from_slice(&body.told_in(Dialect::Gemini).to_json()).unwrap();
    let expected = json!({"error": {
        "code": 429, "message": "Too fast.", "status": "RESOURCE_EXHAUSTED",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "REQUESTS_PER_MINUTE_EXCEEDED",
                "domain": "tollkeeper",
                "metadata": {
                    "owner": "rate_limit", "limit": "60", "used": "60", "retryable": "true", "next_step": "Wait.",
                    "request_id": "req_1",
                },
            },
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.500s"},
        ],
    }});
    assert_eq!(told, expected);
}

#[test]
fn a_mistake_names_its_member() {
    let body = ErrorBody::from(BadRequest::missing("contents")).told_in(Dialect::Gemini);
    let told: Value = serde_json::from_slice(&body.to_json()).unwrap();
    assert_eq!((&told["error"]["code"], &told["error"]["status"]), (&json!(400), &json!("INVALID_ARGUMENT")));
    assert_eq!(told["error"]["details"][1]["fieldViolations"][0]["field"], "contents");
}

#[test]
fn statuses_have_googles_words() {
    for (status, kind, told) in [
        (429, "insufficient_quota", (402, "RESOURCE_EXHAUSTED")),
        (429, "requests", (429, "RESOURCE_EXHAUSTED")),
        (401, "invalid_request_error", (401, "UNAUTHENTICATED")),
        (403, "invalid_request_error", (403, "PERMISSION_DENIED")),
        (404, "invalid_request_error", (404, "NOT_FOUND")),
        (413, "invalid_request_error", (413, "INVALID_ARGUMENT")),
        (502, "server_error", (502, "INTERNAL")),
        (503, "service_unavailable_error", (503, "UNAVAILABLE")),
        (504, "server_error", (504, "DEADLINE_EXCEEDED")),
    ] {
        let body = ErrorBody::new(status, kind, "m").told_in(Dialect::Gemini);
        assert_eq!((body.status, &*body.kind), told);
    }
}

#[test]
fn googles_reason_is_finer_than_its_code() {
    let wrong_key = br#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"@type":"x","reason":"API_KEY_INVALID","domain":"googleapis.com","metadata":{"service":"s"}},{"@type":"y","locale":"en"}]}}"#;
    let array = [b"[", &wrong_key[..], b"]"].concat();
    for body in [&wrong_key[..], &array] {
        let read = UpstreamError::read(400, body);
        assert_eq!(read.message, "API key not valid.");
        assert_eq!(
            (read.kind.as_deref(), read.code.as_deref()),
            (Some("INVALID_ARGUMENT"), Some("API_KEY_INVALID"))
        );
    }
    for (delay, wait) in
        [("34s", Some(34)), ("0.5s", Some(1)), ("2.000s", Some(2)), ("soon", None), ("s", None)]
    {
        let body = format!(
            r#"[{{"error":{{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[{{"@type":"x","retryDelay":"{delay}"}}]}}}}]"#
        );
        let read = UpstreamError::read(429, body.as_bytes()).wait;
        assert_eq!(read, wait.map(Duration::from_secs), "{delay}");
    }
    let plain = br#"{"error":{"code":503,"message":"Overloaded","status":"UNAVAILABLE","details":[]}}"#;
    assert_eq!(UpstreamError::read(503, plain).code.as_deref(), Some("503"));
    let told = UpstreamError::read(503, plain).to_body(503).told_in(Dialect::Gemini);
    let told: Value = serde_json::from_slice(&told.to_json()).unwrap();
    assert_eq!(told["error"]["details"][0]["reason"], "UNAVAILABLE");
}

#[test]
fn paths_say_whose_words_are_expected() {
    for (path, dialect) in [
        ("/v1beta/models", Dialect::Gemini),
        ("/v1beta/files", Dialect::Gemini),
        ("/v1/models", Dialect::OpenAi),
        ("/v1/messages", Dialect::Anthropic),
    ] {
        assert_eq!(Dialect::of_path(path), dialect, "{path}");
    }
    assert_eq!(Endpoint::at("/v1/models/m:countTokens").map(Endpoint::dialect), Some(Dialect::Gemini));
}
