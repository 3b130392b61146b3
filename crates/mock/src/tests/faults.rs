//! Every fault, in one piece and streaming, by both protocols: what the caller sees and what the log says.

use serde_json::json;
use tokio::task::JoinSet;

use super::client::{Caller, End, PATIENT, Rig};
use crate::{Fault, Mock, Options};

/// What a fault does to one kind of answer.
#[derive(Clone, Copy)]
struct Case {
    fault: Fault,
    stream: bool,
    /// Status and end, as the caller sees them.
    seen: &'static str,
    /// What the body must hold.
    holds: &'static str,
    /// What it must not hold, if anything.
    lacks: &'static str,
    /// `finished`, `status`, prompt and completion tokens in the log.
    truth: &'static str,
}

const fn case(
    fault: Fault,
    stream: bool,
    seen: &'static str,
    (holds, lacks): (&'static str, &'static str),
    truth: &'static str,
) -> Case {
    Case { fault, stream, seen, holds, lacks, truth }
}

#[rustfmt::skip]
const CASES: &[Case] = &[
    case(Fault::BadRequest, false, "400 Whole", (r#""type":"invalid_request_error""#, "choices"), "true 400 0 0"),
    case(Fault::BadRequest, true, "400 Whole", (r#""code":"invalid_value""#, "data:"), "true 400 0 0"),
    case(Fault::Unauthorized, false, "401 Whole", (r#""code":"invalid_api_key""#, "choices"), "true 401 0 0"),
    case(Fault::Unauthorized, true, "401 Whole", (r#""code":"invalid_api_key""#, "data:"), "true 401 0 0"),
    case(Fault::RateLimited, false, "429 Whole", (r#""code":"rate_limit_exceeded""#, "choices"), "true 429 0 0"),
    case(Fault::RateLimited, true, "429 Whole", (r#""type":"requests""#, "data:"), "true 429 0 0"),
    case(Fault::Quota, false, "429 Whole", (r#""code":"insufficient_quota""#, "choices"), "true 429 0 0"),
    case(Fault::Quota, true, "429 Whole", (r#""type":"insufficient_quota""#, "data:"), "true 429 0 0"),
    case(Fault::ServerError, false, "500 Whole", (r#""type":"server_error""#, "choices"), "true 500 0 0"),
    case(Fault::ServerError, true, "500 Whole", (r#""code":null"#, "data:"), "true 500 0 0"),
    case(Fault::Overloaded, false, "503 Whole", (r#""code":"server_is_overloaded""#, "choices"), "true 503 0 0"),
    case(Fault::Overloaded, true, "503 Whole", (r#""type":"service_unavailable_error""#, "data:"), "true 503 0 0"),
    case(Fault::Hang, false, "none Stuck", ("", "-"), "false 0 0 0"),
    case(Fault::Hang, true, "none Stuck", ("", "-"), "false 0 0 0"),
    case(Fault::HangMid, false, "200 Stuck", (r#""chat.completion""#, "usage"), "false 200 20 8"),
    case(Fault::HangMid, true, "200 Stuck", (r#"{"content":" at"}"#, r#"{"content":" the"}"#), "false 200 20 3"),
    case(Fault::Close, false, "none Cut", ("", "-"), "false 0 0 0"),
    case(Fault::Close, true, "none Cut", ("", "-"), "false 0 0 0"),
    case(Fault::CloseMid, false, "200 Cut", (r#""chat.completion""#, "usage"), "false 200 20 8"),
    case(Fault::CloseMid, true, "200 Cut", (r#"{"content":" at"}"#, r#"{"content":" the"}"#), "false 200 20 3"),
    case(Fault::Garbage, false, "200 Whole", ("<html>", "choices"), "true 200 0 0"),
    case(Fault::Garbage, true, "200 Whole", ("<html>", "choices"), "true 200 0 0"),
    case(Fault::GarbageMid, false, "200 Whole", ("<html>", "-garbage-"), "true 200 20 8"),
    case(Fault::GarbageMid, true, "200 Whole", ("<html>", "-garbage-"), "true 200 20 8"),
    case(Fault::ErrorMid, false, "200 Whole", (r#"{"error":{"message":"#, "choices"), "false 200 0 0"),
    case(Fault::ErrorMid, true, "200 Whole", ("\n\ndata: {\"error\":{\"message\":", "[DONE]"), "false 200 20 3"),
    case(Fault::WrongModel, false, "200 Whole", (r#""model":"sim-other""#, "sim-small"), "true 200 20 8"),
    case(Fault::WrongModel, true, "200 Whole", (r#""model":"sim-other""#, "sim-small"), "true 200 20 8"),
    case(Fault::NoUsage, false, "200 Whole", (r#""finish_reason":"stop""#, "usage"), "true 200 20 8"),
    case(Fault::NoUsage, true, "200 Whole", ("data: [DONE]\n\n", "usage"), "true 200 20 8"),
    case(Fault::NoDone, false, "200 Whole", (r#""prompt_tokens":20"#, "data:"), "true 200 20 8"),
    case(Fault::NoDone, true, "200 Whole", (r#""prompt_tokens":20"#, "[DONE]"), "true 200 20 8"),
    case(Fault::SlowHeaders, false, "200 Whole", (r#""prompt_tokens":20"#, "data:"), "true 200 20 8"),
    case(Fault::SlowHeaders, true, "200 Whole", ("data: [DONE]\n\n", "-"), "true 200 20 8"),
    case(Fault::Empty, false, "200 Whole", ("", "{"), "true 200 0 0"),
    case(Fault::Empty, true, "200 Whole", ("", "data:"), "true 200 0 0"),
];

async fn check(caller: Caller, case: Case, protocol: &str) {
    let Case { fault, stream, .. } = case;
    let name = format!("fault={fault} stream={stream} {protocol}");
    let mut body = json!({
        "model": format!("sim-small?in=20;out=8;after=3;latency_ms=60;fault={fault}"),
        "messages": [{"role": "user", "content": "hello"}],
        "stream": stream,
    });
    if stream {
        body["stream_options"] = json!({"include_usage": true});
    }
    let headers = [("authorization", "Bearer any"), ("x-client-request-id", name.as_str())];
    let patience = match case.seen {
        "none Stuck" => [300, 300],
        "200 Stuck" => [20_000, 300],
        _ => PATIENT,
    };
    let began = tokio::time::Instant::now();
    let seen = caller.see(patience, "POST", "/v1/chat/completions", &headers, &body.to_string()).await;
    let status = seen.status.map_or_else(|| "none".to_owned(), |status| status.as_u16().to_string());
    assert_eq!(format!("{status} {:?}", seen.end), case.seen, "{name}");
    assert!(seen.body.contains(case.holds), "{name} lacks {}: {}", case.holds, seen.body);
    assert!(
        !seen.body.contains(case.lacks) || case.lacks == "-",
        "{name} holds {}: {}",
        case.lacks,
        seen.body
    );
    assert!(began.elapsed().as_millis() >= 50 || fault == Fault::Hang, "{name} did not wait for its latency");
    if let Some(id) = seen.headers.get("x-request-id") {
        assert!(id.to_str().unwrap().starts_with("req_"), "{name}");
    }
    assert_eq!(seen.headers.contains_key("x-request-id"), seen.status.is_some(), "{name}");
    assert_eq!(seen.headers.contains_key("retry-after"), fault == Fault::RateLimited, "{name}");
    let line = caller.line(&name, seen.end != End::Whole).await;
    let truth = format!(
        "{} {} {} {}",
        line["finished"], line["status"], line["prompt_tokens"], line["completion_tokens"]
    );
    assert_eq!(truth, case.truth, "{name}: {line}");
    assert_eq!(line["fault"], fault.name(), "{name}");
    assert_eq!(line["stream"], stream, "{name}");
}

#[tokio::test]
async fn every_fault_is_seen_and_logged() {
    for fault in Fault::ALL {
        let kinds: Vec<_> =
            CASES.iter().filter(|case| case.fault == *fault).map(|case| case.stream).collect();
        assert_eq!(kinds, [false, true], "{fault}");
    }
    let rig = Rig::new("", 2);
    let mut checks = JoinSet::new();
    for case in CASES {
        // A connection each: some faults do things to it.
        checks.spawn(check(rig.caller(false), *case, "HTTP/1.1"));
        checks.spawn(check(rig.caller(true), *case, "HTTP/2"));
    }
    checks.join_all().await;
    assert_eq!(rig.mock.requests(), 2 * CASES.len() as u64);
    assert_eq!(rig.caller(false).truth().len(), 2 * CASES.len());
}

#[tokio::test]
async fn embeddings_and_models_meet_faults_too() {
    let rig = Rig::new("", 1);
    let table = [
        ("POST", "/v1/embeddings", "fault=503", 503, End::Whole, "server_is_overloaded"),
        ("POST", "/v1/embeddings", "fault=close_mid", 200, End::Cut, "embedding"),
        ("POST", "/v1/embeddings", "fault=wrong_model", 200, End::Whole, r#""model":"sim-other""#),
        ("GET", "/v1/models", "fault=429;retry_after=7", 429, End::Whole, "rate_limit_exceeded"),
        ("GET", "/v1/models/sim-small", "fault=garbage", 200, End::Whole, "<html>"),
    ];
    for (method, path, behaviour, status, end, holds) in table {
        let headers = [("authorization", "Bearer any"), ("x-mock", behaviour)];
        let body = json!({"model": "sim-embed", "input": "hello"}).to_string();
        let seen = rig.caller(false).see(PATIENT, method, path, &headers, &body).await;
        assert_eq!((seen.status.unwrap().as_u16(), seen.end), (status, end), "{path} {behaviour}");
        assert!(seen.body.contains(holds), "{path} {behaviour}: {}", seen.body);
        let retry_after = seen.headers.get("retry-after").map(|value| value.to_str().unwrap());
        assert_eq!(retry_after, (status == 429).then_some("7"), "{path} {behaviour}");
    }
}

#[tokio::test]
async fn a_share_of_the_requests_fails() {
    let rig = Rig::new("fault=500;fail=40;in=1", 1);
    let caller = rig.caller(false);
    let mut failed = 0;
    for _ in 0..100 {
        let seen = caller.chat(&json!({"model": "sim-small", "messages": []})).await;
        failed += u64::from(seen.status.unwrap() == 500);
    }
    assert!((25..=55).contains(&failed), "{failed} of 100 failed");
}

#[tokio::test]
async fn what_cannot_be_logged_does_not_end_well() {
    let truth_log = Some("/dev/full".into());
    let rig = Rig::of(Mock::start(Options { truth_log, ..Options::default() }).unwrap());
    for (stream, status) in [(false, None), (true, Some(200))] {
        let body = json!({"model": "sim-small?in=1", "messages": [], "stream": stream});
        let seen = rig.caller(false).chat(&body).await;
        assert_eq!(
            (seen.status.map(|status| status.as_u16()), seen.end),
            (status, End::Cut),
            "stream={stream}"
        );
        assert!(!seen.body.contains("[DONE]"), "{}", seen.body);
    }
}
