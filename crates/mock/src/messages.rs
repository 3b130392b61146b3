//! An answer of Anthropic's messages: its body in one piece, and the events it is streamed in.

use serde_json::{Value, json};

use crate::answer::{Chat, put};
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
    let said = words(0, chat.visible);
    content.push(match &chat.tool {
        Some(name) => json!({
            "type": "tool_use", "id": tool_id(chat), "name": name, "input": {"text": said},
        }),
        None => json!({"type": "text", "text": said}),
    });
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
    let block = match &chat.tool {
        Some(name) => json!({"type": "tool_use", "id": tool_id(chat), "name": name, "input": {}}),
        None => json!({"type": "text", "text": ""}),
    };
    begin(&mut events, place(chat), &block);
    if chat.tool.is_some() {
        delta(&mut events, place(chat), &json!({"type": "input_json_delta", "partial_json": "{\"text\":\""}));
    }
    events
}

/// The event with the text from one token up to another.
pub(crate) fn say(chat: &Chat, from: u64, to: u64) -> String {
    let said = words(from, to);
    let (kind, member) =
        if chat.tool.is_some() { ("input_json_delta", "partial_json") } else { ("text_delta", "text") };
    let mut events = String::with_capacity(128 + said.len());
    delta(&mut events, place(chat), &json!({"type": kind, member: said}));
    events
}

/// The events after the text, up to the one that ends the stream.
pub(crate) fn close(chat: &Chat) -> String {
    let mut events = String::with_capacity(512);
    if chat.tool.is_some() {
        delta(&mut events, place(chat), &json!({"type": "input_json_delta", "partial_json": "\"}"}));
    }
    end(&mut events, place(chat));
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
    match (chat.finish, &chat.tool) {
        ("length", _) => "max_tokens",
        (_, Some(_)) => "tool_use",
        (_, None) => "end_turn",
    }
}

/// The place of the block with the text: after a thought, if there is one.
const fn place(chat: &Chat) -> u64 {
    if chat.reasoning > 0 { 1 } else { 0 }
}

fn tool_id(chat: &Chat) -> String {
    format!("toolu_{:032x}", chat.id)
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
