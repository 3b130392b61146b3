//! Errors in Anthropic's shape, and Anthropic's errors.

use bytes::Bytes;

use crate::{Dialect, ErrorBody, UpstreamError};

#[test]
fn statuses_and_types_are_anthropics() {
    for (status, kind, code, told_status, told_kind) in [
        (400, "invalid_request_error", None, 400, "invalid_request_error"),
        (401, "invalid_request_error", Some("invalid_api_key"), 401, "authentication_error"),
        (429, "insufficient_quota", Some("insufficient_quota"), 402, "billing_error"),
        (403, "request_forbidden", None, 403, "permission_error"),
        (404, "invalid_request_error", None, 404, "not_found_error"),
        (405, "invalid_request_error", None, 405, "invalid_request_error"),
        (408, "invalid_request_error", None, 408, "invalid_request_error"),
        (409, "x", None, 409, "conflict_error"),
        (413, "invalid_request_error", None, 413, "request_too_large"),
        (429, "tokens", Some("rate_limit_exceeded"), 429, "rate_limit_error"),
        (500, "server_error", None, 500, "api_error"),
        (502, "server_error", None, 502, "api_error"),
        (503, "service_unavailable_error", Some("shutting_down"), 503, "api_error"),
        (503, "service_unavailable_error", Some("server_is_overloaded"), 529, "overloaded_error"),
        (503, "overloaded_error", None, 529, "overloaded_error"),
        (504, "server_error", None, 504, "timeout_error"),
    ] {
        let mut body = ErrorBody::new(status, kind, "m");
        body.code = code.map(Into::into);
        let body = body.told_in(Dialect::Anthropic);
        assert_eq!((body.status, &*body.kind), (told_status, told_kind), "{status} {kind} {code:?}");
    }
}

#[test]
fn the_shape_is_anthropics_and_nothing_is_lost() {
    let body = ErrorBody {
        request_id: Some("req_1".to_owned()),
        reason: Some("fine"),
        ..ErrorBody::new(404, "x", "M").with_code("coarse").with_param("model")
    };
    let expected = r#"{"type":"error","error":{"type":"not_found_error","message":"M","details":{"error_code":"fine"},"param":"model"},"request_id":"req_1"}"#;
    let body = body.told_in(Dialect::Anthropic);
    assert_eq!(body.to_json(), expected);
    assert_eq!(body.stream_event(), format!("event: error\ndata: {expected}\n\n"));
    let bare = ErrorBody::new(500, "x", "M").told_in(Dialect::Anthropic);
    assert_eq!(
        bare.to_json(),
        Bytes::from_static(br#"{"type":"error","error":{"type":"api_error","message":"M","details":null}}"#)
    );
}

#[test]
fn anthropics_errors_are_understood() {
    let error = UpstreamError::read(
        429,
        br#"{"type":"error","error":{"type":"rate_limit_error","message":"Slow","details":{"error_code":"ramp_limit_exceeded"}},"request_id":"req"}"#,
    );
    assert_eq!(error.message, "Slow");
    assert_eq!(error.kind.as_deref(), Some("rate_limit_error"));
    assert_eq!(error.code.as_deref(), Some("ramp_limit_exceeded"));
}

#[test]
fn paths_tell_the_dialect() {
    for (path, dialect) in [
        ("/v1/messages", Dialect::Anthropic),
        ("/v1/messages/count_tokens", Dialect::Anthropic),
        ("/messages", Dialect::Anthropic),
        ("/v1/messagesx", Dialect::OpenAi),
        ("/v1/models", Dialect::OpenAi),
        ("/", Dialect::OpenAi),
    ] {
        assert_eq!(Dialect::of_path(path), dialect, "{path}");
    }
}
