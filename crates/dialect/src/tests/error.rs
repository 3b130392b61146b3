//! Errors: ours to the client, and what providers send.

use std::borrow::Cow;

use domain::Timestamp;

use crate::openai::{ModelCard, model_json, models_json};
use crate::{BadRequest, ErrorBody, UpstreamError};

#[test]
fn an_error_always_has_the_four_members() {
    let mut body = ErrorBody::new(404, "invalid_request_error", "Invalid URL (GET /v1/\"x\")");
    assert_eq!(
        body.to_json(),
        r#"{"error":{"message":"Invalid URL (GET /v1/\"x\")","type":"invalid_request_error","param":null,"code":null}}"#
    );
    body = body.with_code("c").with_param("p");
    body.reason = Some("r");
    body.limit = Some("5.00".to_owned());
    body.used = Some("4.99".to_owned());
    body.resets_at = Some(Timestamp::from_micros(0));
    body.owner = Some(domain::Owner::UsageLimit);
    body.next_step = Some(Cow::Borrowed("wait"));
    body.request_id = Some("req_1".to_owned());
    body.should_retry = Some(false);
    let expected = r#"{"error":{"message":"Invalid URL (GET /v1/\"x\")","type":"invalid_request_error","param":"p","code":"c","reason":"r","limit":"5.00","used":"4.99","resets_at":"1970-01-01T00:00:00.000000Z","owner":"usage_limit","next_step":"wait","request_id":"req_1"}}"#;
    assert_eq!(body.to_json(), expected);
    assert_eq!(body.stream_event(), format!("data: {expected}\n\n"));
}

#[test]
fn bad_requests_are_400() {
    let bad =
        BadRequest { message: "No.".to_owned(), param: Some("n".to_owned()), code: Some("invalid_type") };
    let body = ErrorBody::from(bad);
    assert_eq!(body.status, 400);
    assert_eq!(
        body.to_json(),
        r#"{"error":{"message":"No.","type":"invalid_request_error","param":"n","code":"invalid_type"}}"#
    );
}

#[test]
fn providers_errors_are_read_in_every_shape() {
    type Words = (&'static str, Option<&'static str>, Option<&'static str>, Option<&'static str>);
    let rows: &[(u16, &str, Words)] = &[
        (
            400,
            r#"{"error":{"message":"No.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
            ("No.", Some("invalid_request_error"), Some("context_length_exceeded"), Some("messages")),
        ),
        (402, r#"{"error":{"message":"Pay","code":402},"user_id":"u"}"#, ("Pay", None, Some("402"), None)),
        (500, r#"{"error":"boom"}"#, ("boom", None, None, None)),
        (500, r#"{"message":"boom","type":"t"}"#, ("boom", Some("t"), None, None)),
        (
            400,
            r#"{"object":"error","message":"too long","type":"BadRequestError","param":null,"code":400}"#,
            ("too long", Some("BadRequestError"), Some("400"), None),
        ),
        (
            429,
            r#"[{"error":{"code":429,"message":"Quota","status":"RESOURCE_EXHAUSTED","details":[{"a":1}]}},{"error":"x"}]"#,
            ("Quota", Some("RESOURCE_EXHAUSTED"), Some("429"), None),
        ),
        (
            422,
            r#"{"detail":[{"loc":["body"],"msg":"field required","type":"missing"}]}"#,
            ("field required", None, None, None),
        ),
        (404, r#"{"detail":"Not Found"}"#, ("Not Found", None, None, None)),
        (
            400,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Busy"}}"#,
            ("Busy", Some("overloaded_error"), None, None),
        ),
        (400, r#"{"message":"outer","error":{"message":"inner"}}"#, ("inner", None, None, None)),
        (400, r#"{"error":{"message":"inner"},"message":"outer"}"#, ("inner", None, None, None)),
        (400, r#"{"error":{"message":{"error":"deeper"}}}"#, ("deeper", None, None, None)),
        (502, "  upstream connect\u{1b}[31m error\r\n ", ("upstream connect [31m error", None, None, None)),
        (
            502,
            "<html><h1>502</h1></html>",
            ("the provider answered 502 without saying why", None, None, None),
        ),
        (503, "", ("the provider answered 503 without saying why", None, None, None)),
        (500, "{}", ("the provider answered 500 without saying why", None, None, None)),
        (500, "\"just this\"", ("just this", None, None, None)),
        (
            200,
            r#"{"error":{"message":" "}}"#,
            ("the provider reported an error without saying which", None, None, None),
        ),
    ];
    for (status, body, words) in rows {
        let error = UpstreamError::read(*status, body.as_bytes());
        let read =
            (error.message.as_str(), error.kind.as_deref(), error.code.as_deref(), error.param.as_deref());
        assert_eq!(read, *words, "{body}");
    }
    assert_eq!(UpstreamError::read(500, b"\xff\xfe").message, "the provider answered 500 without saying why");
    let long = format!(r#"{{"error":{{"message":"{}","code":"{}"}}}}"#, "é".repeat(9000), "c".repeat(9000));
    let error = UpstreamError::read(500, long.as_bytes());
    assert_eq!((error.message.chars().count(), error.code.unwrap().len()), (500, 100));
}

#[test]
fn a_providers_error_takes_openais_shape() {
    let error = UpstreamError::read(
        429,
        br#"{"error":{"message":"Slow","type":"requests","code":"rate_limit_exceeded"}}"#,
    );
    assert_eq!(
        error.to_body(429).to_json(),
        r#"{"error":{"message":"Slow","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#
    );
    assert_eq!(
        UpstreamError::read(500, b"").to_body(502).to_json(),
        r#"{"error":{"message":"the provider answered 500 without saying why","type":"upstream_error","param":null,"code":null}}"#
    );
}

#[test]
fn models_are_listed() {
    let card = |id: &str| ModelCard {
        id: id.to_owned(),
        created: 1_700_000_000,
        owned_by: "openai".to_owned(),
        pricing: None,
        tollkeeper: None,
    };
    assert_eq!(
        models_json(&[card("a"), card("org/b:\"free\"")]),
        r#"{"object":"list","data":[{"id":"a","object":"model","created":1700000000,"owned_by":"openai"},{"id":"org/b:\"free\"","object":"model","created":1700000000,"owned_by":"openai"}]}"#
    );
    let own = ModelCard { tollkeeper: Some(serde_json::json!({ "payer": "provider" })), ..card("a") };
    assert_eq!(
        model_json(&own),
        r#"{"id":"a","object":"model","created":1700000000,"owned_by":"openai","tollkeeper":{"payer":"provider"}}"#
    );
    assert_eq!(models_json(&[]), r#"{"object":"list","data":[]}"#);
    assert_eq!(
        model_json(&card("a")),
        r#"{"id":"a","object":"model","created":1700000000,"owned_by":"openai"}"#
    );
}
