//! An answer of Gemini's `generateContent`: its body in one piece, and the events it is streamed in, each of which has
//! the shape of the whole.

use serde_json::{Value, json};

use crate::answer::{Chat, put};
use crate::text;

/// The error that comes where an answer was under way.
pub(crate) const ERROR: &str = r#"{"error":{"code":503,"message":"The model is overloaded. Please try again later.","status":"UNAVAILABLE"}}"#;
/// An event that is no JSON.
pub(crate) const GARBAGE: &str = "data: {\"candidates\":\u{fffd}<html>502 Bad Gateway</html>\r\n\r\n";
/// What proves a thought to be the model's own.
const SIGNATURE: &str = "c2ltdWxhdGVk";

/// The answer in one piece.
pub(crate) fn whole(chat: &Chat) -> String {
    let parts = |_| {
        let mut parts = thoughts(chat);
        parts.extend(all_parts(chat));
        parts
    };
    response(chat, (0..chat.choices).map(|index| candidate(index, parts(index), Some(chat))), true)
        .to_string()
}

/// The event before the text: the thought if there is one, else nothing but what the prompt was counted at.
pub(crate) fn open(chat: &Chat) -> String {
    let mut parts = thoughts(chat);
    if parts.is_empty() {
        parts.push(json!({"text": ""}));
    }
    events(chat, |_| parts.clone())
}

/// The event with the text from one token up to another. Calls and JSON are told whole, at the end.
pub(crate) fn say(chat: &Chat, from: u64, to: u64) -> String {
    let said = if chat.output.is_framed() { String::new() } else { words(from, to) };
    events(chat, |_| vec![json!({"text": said})])
}

/// The last event.
pub(crate) fn close(chat: &Chat) -> String {
    let parts = || if chat.output.is_framed() { all_parts(chat) } else { vec![json!({"text": ""})] };
    let candidates = (0..chat.choices).map(|index| candidate(index, parts(), Some(chat)));
    event(&response(chat, candidates, true))
}

/// The answer to how long a prompt is.
pub(crate) fn count(prompt: u64) -> String {
    json!({"totalTokens": prompt, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}]})
        .to_string()
}

fn events(chat: &Chat, parts: impl Fn(u64) -> Vec<Value>) -> String {
    let candidates = (0..chat.choices).map(|index| candidate(index, parts(index), None));
    event(&response(chat, candidates, false))
}

/// Google ends its lines so.
fn event(data: &Value) -> String {
    let mut event = String::new();
    put(&mut event, format_args!("data: {data}\r\n\r\n"));
    event
}

fn response(chat: &Chat, candidates: impl Iterator<Item = Value>, is_end: bool) -> Value {
    let model: Value = serde_json::from_str(&chat.model).unwrap_or_default();
    let mut response = json!({
        "candidates": candidates.collect::<Vec<_>>(), "modelVersion": model, "responseId": format!("{:032x}", chat.id),
    });
    if chat.usage {
        response["usageMetadata"] = usage(chat, is_end);
    }
    response
}

/// Before the end the prompt is known, and what was thought. Counts of zero are left out.
fn usage(chat: &Chat, is_end: bool) -> Value {
    let tokens = chat.tokens(chat.visible);
    let (thoughts, said) = (tokens.reasoning, if is_end { tokens.completion - tokens.reasoning } else { 0 });
    let mut usage = json!({
        "promptTokenCount": tokens.prompt, "totalTokenCount": tokens.prompt + thoughts + said,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens.prompt}],
    });
    for (name, count) in [
        ("cachedContentTokenCount", tokens.cached),
        ("candidatesTokenCount", said),
        ("thoughtsTokenCount", thoughts),
    ] {
        if count > 0 {
            usage[name] = count.into();
        }
    }
    if chat.by_vertex && is_end {
        usage["trafficType"] = "ON_DEMAND".into();
    }
    usage
}

fn candidate(index: u64, parts: Vec<Value>, ended: Option<&Chat>) -> Value {
    let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": index});
    if let Some(chat) = ended {
        candidate["finishReason"] = if chat.finish == "length" { "MAX_TOKENS" } else { "STOP" }.into();
    }
    candidate
}

fn thoughts(chat: &Chat) -> Vec<Value> {
    let thought =
        || json!({"text": words(0, chat.reasoning), "thought": true, "thoughtSignature": SIGNATURE});
    (chat.reasoning > 0).then(thought).into_iter().collect()
}

/// What is said, or the calls that say it.
fn all_parts(chat: &Chat) -> Vec<Value> {
    let part = |part| {
        let mut said = String::new();
        chat.said(&mut said, part);
        // What is said stands escaped as in a JSON string.
        let said: Value = serde_json::from_str(&format!("\"{said}\"")).unwrap_or_default();
        let Some(name) = chat.output.name(part) else { return json!({"text": said}) };
        let name: Value = serde_json::from_str(name).unwrap_or_default();
        let args: Value = serde_json::from_str(said.as_str().unwrap_or_default()).unwrap_or_default();
        json!({"functionCall": {"name": name, "args": args}})
    };
    (0..chat.output.parts()).map(part).collect()
}

fn words(from: u64, to: u64) -> String {
    let mut said = String::new();
    text::append(&mut said, from, to);
    said
}
