//! What must hold of every whole answer that a provider sends: it is read or is garbage; no token of its usage counts
//! twice; and what is written anew tells what is charged.

use dialect::convert::{self, AnswerContext, Asked, Surface, Wire};
use dialect::{AnswerFacts, Endpoint, OUTPUT_TEXT_BYTES_MAX, UpstreamError};
use domain::Usage;
use serde_json::Value;

use crate::input::Input;
use crate::usage::check_usage;

/// What is charged for an answer that is written anew.
const CHARGED: Usage = Usage::from_counts([10, 20, 0, 0, 0, 0, 7, 0, 0, 3, 0, 0, 0, 0, 0]);

/// Longest text that an answer may come to, for each byte that came and beside.
const GROWTH: usize = 16;
const GROWTH_LEAST: usize = 16 * 1024;

/// Bytes as an answer to a call, with one byte that chooses the endpoint; as an error, and as an answer that is written
/// anew for callers of every form.
pub fn answers(data: &[u8]) {
    let mut input = Input(data);
    let Some(endpoint) = input.endpoint() else { return };
    let body = input.0;
    check_error(body);
    assert!(AnswerFacts::output_text(endpoint, body).len() <= OUTPUT_TEXT_BYTES_MAX);
    if let Ok(facts) = AnswerFacts::read(endpoint, body) {
        check_facts(&facts);
        check_told(endpoint, body);
    }
    if let Ok(facts) = AnswerFacts::read_transcript(body) {
        check_facts(&facts);
    }
    let wire = match endpoint {
        Endpoint::Chat => Wire::Chat,
        Endpoint::Messages => Wire::Messages,
        Endpoint::GenerateContent => Wire::Gemini,
        Endpoint::Converse => Wire::Converse,
        Endpoint::Responses
        | Endpoint::Embeddings
        | Endpoint::Moderations
        | Endpoint::Images
        | Endpoint::CountTokens
        | Endpoint::CountContent
        | Endpoint::ImageEdits
        | Endpoint::Speech
        | Endpoint::Transcriptions
        | Endpoint::Translations => return,
    };
    for (surface, endpoint) in [
        (Surface::Chat, Endpoint::Chat),
        (Surface::Responses, Endpoint::Responses),
        (Surface::Messages, Endpoint::Messages),
        (Surface::Gemini, Endpoint::GenerateContent),
    ] {
        check_written(wire, surface, endpoint, body);
    }
}

fn check_error(body: &[u8]) {
    for status in [200, 429, 500] {
        let error = UpstreamError::read(status, body);
        assert!(!error.message.is_empty());
        assert!(error.message.chars().count() <= 500 && !error.message.contains(char::is_control));
        for word in [&error.kind, &error.code, &error.param].into_iter().flatten() {
            assert!(!word.is_empty() && word.chars().count() <= 100, "{word}");
        }
        let told = error.to_body(status).to_json();
        assert!(serde_json::from_slice::<Value>(&told).is_ok(), "an error of ours is JSON");
    }
    if let Ok(text) = std::str::from_utf8(body) {
        let _ = UpstreamError::of_exception(text, text);
    }
}

fn check_facts(facts: &AnswerFacts) {
    if let Some(usage) = &facts.usage {
        check_usage(usage);
    }
    for name in [&facts.model, &facts.service_tier].into_iter().flatten() {
        assert!(name.len() <= 256, "{name}");
    }
}

/// The totals of a usage are what the provider states, by a reading of its JSON that knows nothing of ours.
fn check_told(endpoint: Endpoint, body: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return };
    // As it is written anew, no name stands there twice.
    let Ok(facts) = AnswerFacts::read(endpoint, value.to_string().as_bytes()) else { return };
    let Some(usage) = facts.usage else { return };
    let Some((inputs, outputs)) = told(endpoint, &value) else { return };
    let (input, output) = (usage.input_total(), usage.output_total());
    assert!(
        inputs.contains(&input),
        "{endpoint:?} states {inputs:?} of input, {usage:?} was read from {value}"
    );
    assert!(
        outputs.contains(&output),
        "{endpoint:?} states {outputs:?} of output, {usage:?} was read from {value}"
    );
}

/// What an answer states of its input and output: each as the counts that it may mean. None where that cannot be said.
fn told(endpoint: Endpoint, value: &Value) -> Option<(Vec<u64>, Vec<u64>)> {
    let usage = value.get(if endpoint == Endpoint::GenerateContent { "usageMetadata" } else { "usage" })?;
    // Absent counts as nothing; anything but a whole number means that nothing can be said.
    let count = |name: &str| match usage.get(name) {
        None | Some(Value::Null) => Some(0),
        Some(stated) => stated.as_u64(),
    };
    let needed = |name: &str| usage.get(name).and_then(Value::as_u64);
    let sum = |parts: &[u64]| parts.iter().fold(0, |sum: u64, part| sum.saturating_add(*part));
    Some(match endpoint {
        Endpoint::Chat => {
            let output = needed("completion_tokens")?;
            let reasoning =
                usage.pointer("/completion_tokens_details/reasoning_tokens").and_then(Value::as_u64);
            (vec![needed("prompt_tokens")?], vec![output, sum(&[output, reasoning.unwrap_or(0)])])
        }
        Endpoint::Responses => (vec![needed("input_tokens")?], vec![needed("output_tokens")?]),
        Endpoint::Messages => {
            usage.get("cache_creation_input_tokens").and_then(Value::as_u64)?;
            let parts = ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"];
            let parts: Option<Vec<u64>> = parts.into_iter().map(count).collect();
            (vec![sum(&parts?)], vec![needed("output_tokens")?])
        }
        Endpoint::Converse => {
            let parts = ["inputTokens", "cacheReadInputTokens", "cacheWriteInputTokens"];
            let parts: Option<Vec<u64>> = parts.into_iter().map(count).collect();
            (vec![sum(&parts?)], vec![needed("outputTokens")?])
        }
        Endpoint::GenerateContent => {
            let input = sum(&[needed("promptTokenCount")?, count("toolUsePromptTokenCount")?]);
            let said = needed("candidatesTokenCount")?;
            (vec![input], vec![said, sum(&[said, count("thoughtsTokenCount")?])])
        }
        Endpoint::Embeddings
        | Endpoint::Moderations
        | Endpoint::Images
        | Endpoint::CountTokens
        | Endpoint::CountContent
        | Endpoint::ImageEdits
        | Endpoint::Speech
        | Endpoint::Transcriptions
        | Endpoint::Translations => return None,
    })
}

/// What is written in a caller's form is an answer in that form, with what is charged.
fn check_written(from: Wire, to: Surface, endpoint: Endpoint, body: &[u8]) {
    let Ok(answer) = convert::read_answer(from, body) else { return };
    let context = AnswerContext {
        seed: "req_018f2b6d9f1c7a30b1c2d3e4f5061728".to_owned(),
        created_seconds: 1_763_000_000,
        model: "asked".to_owned(),
        asked: Asked::default(),
    };
    let written = convert::write_answer(to, answer, &CHARGED, &context);
    let shown = || String::from_utf8_lossy(&written).into_owned();
    let most = body.len().saturating_mul(GROWTH).saturating_add(GROWTH_LEAST);
    assert!(written.len() <= most, "{} bytes became {}", body.len(), written.len());
    let facts = AnswerFacts::read(endpoint, &written);
    let facts = facts.unwrap_or_else(|_| AnswerFacts { has_error: true, ..AnswerFacts::default() });
    assert!(!facts.has_error, "{from:?} to {to:?} cannot be read: {}", shown());
    let totals = |usage: &Usage| (usage.input_total(), usage.output_total(), usage.cached);
    let told = facts.usage.as_ref().map(totals);
    assert_eq!(told, Some(totals(&CHARGED)), "{from:?} to {to:?} tells another usage: {}", shown());
}
