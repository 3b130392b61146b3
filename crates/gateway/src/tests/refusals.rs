//! Every refusal as a client reads it: status, headers and body, one golden file a code and dialect.

use std::fmt::Write as _;

use dialect::Dialect;
use domain::{Owner, Refusal, RefusalCode, RequestId, Timestamp};
use http_body_util::BodyExt;

use crate::Failure;
use crate::answer::Answer;

/// A response as text: what is on the wire, but for the framing.
async fn shown(response: http::Response<Answer>) -> String {
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let mut text = format!("HTTP {}\n", head.status);
    for (name, value) in &head.headers {
        writeln!(text, "{name}: {}", value.to_str().unwrap()).unwrap();
    }
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    format!("{text}\n{body:#}\n")
}

#[tokio::test]
async fn every_refusal_has_a_golden_file_in_openais_words() {
    check_all(Dialect::OpenAi, "../../golden/refusals/openai").await;
}

#[tokio::test]
async fn every_refusal_has_a_golden_file_in_anthropics_words() {
    check_all(Dialect::Anthropic, "../../golden/refusals/anthropic").await;
}

#[tokio::test]
async fn every_refusal_has_a_golden_file_in_geminis_words() {
    check_all(Dialect::Gemini, "../../golden/refusals/gemini").await;
}

async fn check_all(dialect: Dialect, golden: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(golden);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for code in RefusalCode::ALL {
        let mut refusal = Refusal::new(*code, "What happened.", "What helps.");
        if matches!(code.owner(), Owner::UsageLimit | Owner::RateLimit) {
            (refusal.limit, refusal.used) = (Some("20".to_owned()), Some("19".to_owned()));
            refusal.resets_at = Some(Timestamp::from_micros(0));
        }
        if code.owner() == Owner::RateLimit {
            let of_a_day =
                matches!(code, RefusalCode::RequestsPerDayExceeded | RefusalCode::TokensPerDayExceeded);
            refusal.retry_after_ms = Some(if of_a_day { 3_600_000 } else { 1_500 });
        }
        let id = RequestId::from_bytes([7; 16]);
        let wire = shown(Failure::from(refusal).into_response(dialect, id)).await;
        settings.bind(|| insta::assert_snapshot!(code.as_str(), wire));
    }
}
