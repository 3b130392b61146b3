//! An answer of Anthropic's messages: its body in one piece, and the events it is streamed in.

use serde_json::{Value, json};

use crate::answer::{Chat, put};
use crate::output::{JSON_CLOSE, JSON_OPEN, Output, Step};
use crate::text;

/// The error that comes where an answer was under way.
pub(crate) const ERROR: &str =
    r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
/// The event that ends a stream.
pub(crate) const STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
/// An event that is no JSON.
pub(crate) const GARBAGE: &str =
    "event: content_block_delta\ndata: {\"type\":\"\u{fffd}<html>502 Bad Gateway</html>\n\n";
/// What proves a thought to be the model's own.
const SIGNATURE: &str = "c2ltdWxhdGVk";

/// The answer in one piece.
pub(crate) fn whole(chat: &Chat) -> String {
    let mut content = Vec::new();
    if chat.reasoning > 0 {
        content
            .push(json!({"type": "thinking", "thinking": words(0, chat.reasoning), "signature": SIGNATURE}));
    }
    content.extend((0..chat.output.parts()).map(|part| block(chat, part, true)));
    message(chat, &content, Some(finish(chat)), chat.visible).to_string()
}

/// The events before the text: the beginning, a thought if there are any, and the beginning of what is said.
pub(crate) fn open(chat: &Chat) -> String {
    let mut events = String::with_capacity(1_024);
    let start = json!({"type": "message_start", "message": message(chat, &[], None, 0)});
    event(&mut events, "message_start", &start);
    event(&mut events, "ping", &json!({"type": "ping"}));
    if chat.reasoning > 0 {
        begin(&mut events, 0, &json!({"type": "thinking", "thinking": "", "signature": ""}));
        let thought = json!({"type": "thinking_delta", "thinking": words(0, chat.reasoning)});
        delta(&mut events, 0, &thought);
        delta(&mut events, 0, &json!({"type": "signature_delta", "signature": SIGNATURE}));
        end(&mut events, 0);
    }
    step(&mut events, chat, &Step::Open(0));
    events
}

/// The event with the text from one token up to another.
pub(crate) fn say(chat: &Chat, from: u64, to: u64) -> String {
    let mut events = String::with_capacity(256);
    for due in chat.output.steps(chat.visible, from, to) {
        step(&mut events, chat, &due);
    }
    events
}

/// The events after the text, up to the one that ends the stream.
pub(crate) fn close(chat: &Chat) -> String {
    let mut events = String::with_capacity(512);
    step(&mut events, chat, &Step::Close(chat.output.parts() - 1));
    let mut last = json!({
        "type": "message_delta", "delta": {"stop_reason": finish(chat), "stop_sequence": null},
    });
    if chat.usage {
        // Cumulative, and only of what is known at the end.
        last["usage"] = json!({"output_tokens": chat.tokens(chat.visible).completion});
    }
    event(&mut events, "message_delta", &last);
    events
}

/// The answer to how long a prompt is.
pub(crate) fn count(prompt: u64) -> String {
    json!({"input_tokens": prompt}).to_string()
}

fn message(chat: &Chat, content: &[Value], stop_reason: Option<&str>, visible: u64) -> Value {
    let model: Value = serde_json::from_str(&chat.model).unwrap_or_default();
    let mut message = json!({
        "id": format!("msg_{:032x}", chat.id), "type": "message", "role": "assistant", "model": model,
        "content": content, "stop_reason": stop_reason, "stop_sequence": null,
    });
    if chat.usage {
        message["usage"] = usage(chat, visible, stop_reason.is_some());
    }
    message
}

fn usage(chat: &Chat, visible: u64, whole: bool) -> Value {
    let tokens = chat.tokens(visible);
    let written = tokens.cache_write + tokens.cache_write_1h;
    // At the beginning of a stream next to nothing has been generated.
    let output = if whole { tokens.completion } else { tokens.completion.min(1) };
    json!({
        "input_tokens": tokens.prompt - tokens.cached - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": tokens.cached,
        "cache_creation": {
            "ephemeral_5m_input_tokens": tokens.cache_write, "ephemeral_1h_input_tokens": tokens.cache_write_1h,
        },
        "output_tokens": output,
        "output_tokens_details": {"thinking_tokens": tokens.reasoning.min(output)},
        "service_tier": "standard",
    })
}

/// Anthropic's word for why an answer ended.
fn finish(chat: &Chat) -> &'static str {
    match chat.finish() {
        "length" => "max_tokens",
        "tool_calls" => "tool_use",
        _ => "end_turn",
    }
}

/// The place of the block with the text: after a thought, if there is one.
const fn place(chat: &Chat) -> u64 {
    if chat.reasoning > 0 { 1 } else { 0 }
}

/// The block of one part: as it is in the end, or as it begins.
fn block(chat: &Chat, part: u64, whole: bool) -> Value {
    let mut said = String::new();
    if whole {
        chat.said(&mut said, part);
    }
    // What is said stands escaped as in a JSON string.
    let said: Value = serde_json::from_str(&format!("\"{said}\"")).unwrap_or_default();
    let Some(name) = chat.output.name(part) else { return json!({"type": "text", "text": said}) };
    let name: Value = serde_json::from_str(name).unwrap_or_default();
    let input: Value = serde_json::from_str(said.as_str().unwrap_or_default()).unwrap_or_else(|_| json!({}));
    json!({"type": "tool_use", "id": format!("toolu_{:032x}_{part}", chat.id), "name": name, "input": input})
}

/// The events of one step of what is said.
fn step(events: &mut String, chat: &Chat, step: &Step) {
    let (Step::Open(part) | Step::Say(part, ..) | Step::Close(part)) = *step;
    let index = place(chat) + part;
    let (kind, member) = match chat.output {
        Output::Calls(_) => ("input_json_delta", "partial_json"),
        Output::Text | Output::Json => ("text_delta", "text"),
    };
    let say = |events: &mut String, said: &str| {
        let said: Value = serde_json::from_str(&format!("\"{said}\"")).unwrap_or_default();
        delta(events, index, &json!({"type": kind, member: said}));
    };
    let is_framed = chat.output.is_framed();
    match *step {
        Step::Say(_, from, to) => say(events, &words(from, to)),
        Step::Open(_) => {
            begin(events, index, &block(chat, part, false));
            if is_framed {
                say(events, JSON_OPEN);
            }
        }
        Step::Close(_) => {
            if is_framed {
                say(events, JSON_CLOSE);
            }
            end(events, index);
        }
    }
}

fn words(from: u64, to: u64) -> String {
    let mut said = String::new();
    text::append(&mut said, from, to);
    said
}

fn begin(events: &mut String, index: u64, block: &Value) {
    let data = json!({"type": "content_block_start", "index": index, "content_block": block});
    event(events, "content_block_start", &data);
}

fn delta(events: &mut String, index: u64, delta: &Value) {
    let data = json!({"type": "content_block_delta", "index": index, "delta": delta});
    event(events, "content_block_delta", &data);
}

fn end(events: &mut String, index: u64) {
    event(events, "content_block_stop", &json!({"type": "content_block_stop", "index": index}));
}

fn event(events: &mut String, name: &str, data: &Value) {
    put(events, format_args!("event: {name}\ndata: {data}\n\n"));
}
