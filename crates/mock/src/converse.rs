//! An answer of Amazon's Converse: its body in one piece, and the events it is streamed in, in Amazon's own frame.
//!
//! Events are written as lines like those of other streams, `event: NAME` and `data: JSON`, an error as `exception: NAME`;
//! [`framed`] makes messages of them.

use serde_json::{Value, json};

use crate::answer::{Chat, put};
use crate::output::{JSON_CLOSE, JSON_OPEN, Step};
use crate::text;

/// The body of an answer that is an error in spite of its status.
pub(crate) const ERROR: &str = r#"{"message":"The model failed while it answered."}"#;
/// What comes where an answer was under way.
pub(crate) const FAILURE: &str = "exception: modelStreamErrorException\n\
     data: {\"message\":\"The model failed while it answered.\",\"originalStatusCode\":500}\n\n";
/// Bytes that are no message.
pub(crate) const GARBAGE: &str = "\u{fffd}<html>502 Bad Gateway</html>";
/// What proves a thought to be the model's own.
const SIGNATURE: &str = "c2ltdWxhdGVk";

/// The answer in one piece.
pub(crate) fn whole(chat: &Chat) -> String {
    let mut content = Vec::new();
    if chat.reasoning > 0 {
        let thought = json!({"text": words(0, chat.reasoning), "signature": SIGNATURE});
        content.push(json!({"reasoningContent": {"reasoningText": thought}}));
    }
    content.extend((0..chat.output.parts()).map(|part| {
        let mut said = String::new();
        chat.said(&mut said, part);
        let said = unescaped(&said);
        match tool(chat, part) {
            Some(mut call) => {
                call["input"] = serde_json::from_str(&said).unwrap_or_else(|_| json!({}));
                json!({"toolUse": call})
            }
            None => json!({"text": said}),
        }
    }));
    let mut answer = json!({
        "output": {"message": {"role": "assistant", "content": content}}, "stopReason": finish(chat),
        "metrics": {"latencyMs": 1},
    });
    if chat.usage {
        answer["usage"] = usage(chat);
    }
    answer.to_string()
}

/// The events before the text: the beginning, and a thought if there are any.
pub(crate) fn open(chat: &Chat) -> String {
    let mut events = String::with_capacity(512);
    event(&mut events, "messageStart", &json!({"role": "assistant"}));
    if chat.reasoning > 0 {
        delta(&mut events, 0, &json!({"reasoningContent": {"text": words(0, chat.reasoning)}}));
        delta(&mut events, 0, &json!({"reasoningContent": {"signature": SIGNATURE}}));
        event(&mut events, "contentBlockStop", &json!({"contentBlockIndex": 0}));
    }
    step(&mut events, chat, &Step::Open(0));
    events
}

/// The events with the text from one token up to another.
pub(crate) fn say(chat: &Chat, from: u64, to: u64) -> String {
    let mut events = String::with_capacity(256);
    for due in chat.output.steps(chat.visible, from, to) {
        step(&mut events, chat, &due);
    }
    events
}

/// The events after the text, up to the one with the token counts.
pub(crate) fn close(chat: &Chat) -> String {
    let mut events = String::with_capacity(512);
    step(&mut events, chat, &Step::Close(chat.output.parts() - 1));
    event(&mut events, "messageStop", &json!({"stopReason": finish(chat)}));
    events
}

/// The events of one step of what is said. A text begins with its first words.
fn step(events: &mut String, chat: &Chat, step: &Step) {
    let (Step::Open(part) | Step::Say(part, ..) | Step::Close(part)) = *step;
    let (index, call) = (place(chat) + part, tool(chat, part));
    let say = |events: &mut String, said: &str| {
        let said = unescaped(said);
        let piece = if call.is_some() { json!({"toolUse": {"input": said}}) } else { json!({"text": said}) };
        delta(events, index, &piece);
    };
    match *step {
        Step::Say(_, from, to) => say(events, &words(from, to)),
        Step::Open(_) => {
            if let Some(call) = &call {
                let start = json!({"contentBlockIndex": index, "start": {"toolUse": call}});
                event(events, "contentBlockStart", &start);
            }
            if chat.output.is_framed() {
                say(events, JSON_OPEN);
            }
        }
        Step::Close(_) => {
            if chat.output.is_framed() {
                say(events, JSON_CLOSE);
            }
            event(events, "contentBlockStop", &json!({"contentBlockIndex": index}));
        }
    }
}

/// The tool that is called in this part, if any is.
fn tool(chat: &Chat, part: u64) -> Option<Value> {
    let name: Value = serde_json::from_str(chat.output.name(part)?).unwrap_or_default();
    Some(json!({"toolUseId": format!("tooluse_{:032x}_{part}", chat.id), "name": name}))
}

/// What stands escaped as in a JSON string.
fn unescaped(said: &str) -> String {
    serde_json::from_str(&format!("\"{said}\"")).unwrap_or_default()
}

/// The event that ends a stream.
pub(crate) fn metadata(chat: &Chat) -> String {
    let mut events = String::with_capacity(512);
    let mut data = json!({"metrics": {"latencyMs": 1}});
    if chat.usage {
        data["usage"] = usage(chat);
    }
    event(&mut events, "metadata", &data);
    events
}

/// The events of a text, each in a message of its own.
pub(crate) fn framed(events: &str) -> Vec<u8> {
    let mut framed = Vec::with_capacity(events.len() * 2);
    for event in events.split_terminator("\n\n") {
        let (name, data) = event.split_once('\n').unwrap_or((event, ""));
        let (kind, name) = name.split_once(": ").unwrap_or(("event", name));
        let data = data.strip_prefix("data: ").unwrap_or(data);
        let kind_header = format!(":{kind}-type");
        let headers =
            [(kind_header.as_str(), name), (":content-type", "application/json"), (":message-type", kind)];
        frame(&mut framed, &headers, data.as_bytes());
    }
    framed
}

/// One message: its length and that of its headers, their checksum, the headers, the payload, and the checksum of it all.
fn frame(into: &mut Vec<u8>, headers: &[(&str, &str)], payload: &[u8]) {
    const TEXT: u8 = 7;
    let mut told = Vec::new();
    for (name, value) in headers {
        told.push(name.len() as u8);
        told.extend_from_slice(name.as_bytes());
        told.push(TEXT);
        told.extend_from_slice(&(value.len() as u16).to_be_bytes());
        told.extend_from_slice(value.as_bytes());
    }
    let begin = into.len();
    into.extend_from_slice(&((16 + told.len() + payload.len()) as u32).to_be_bytes());
    into.extend_from_slice(&(told.len() as u32).to_be_bytes());
    into.extend_from_slice(&checksum(&into[begin..]).to_be_bytes());
    into.extend_from_slice(&told);
    into.extend_from_slice(payload);
    into.extend_from_slice(&checksum(&into[begin..]).to_be_bytes());
}

/// CRC-32 as in IEEE 802.3, bit by bit.
fn checksum(bytes: &[u8]) -> u32 {
    let step = |sum: u32| if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 };
    !bytes.iter().fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| step(sum)))
}

fn usage(chat: &Chat) -> Value {
    let tokens = chat.tokens(chat.visible);
    let written = tokens.cache_write + tokens.cache_write_1h;
    let mut details = Vec::new();
    for (ttl, tokens) in [("1h", tokens.cache_write_1h), ("5m", tokens.cache_write)] {
        if tokens > 0 {
            details.push(json!({"ttl": ttl, "inputTokens": tokens}));
        }
    }
    json!({
        "inputTokens": tokens.prompt - tokens.cached - written,
        "outputTokens": tokens.completion,
        "totalTokens": tokens.prompt + tokens.completion,
        "cacheReadInputTokens": tokens.cached,
        "cacheWriteInputTokens": written,
        "cacheDetails": details,
    })
}

/// Amazon's word for why an answer ended.
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

fn words(from: u64, to: u64) -> String {
    let mut said = String::new();
    text::append(&mut said, from, to);
    said
}

fn delta(events: &mut String, index: u64, delta: &Value) {
    event(events, "contentBlockDelta", &json!({"contentBlockIndex": index, "delta": delta}));
}

fn event(events: &mut String, name: &str, data: &Value) {
    put(events, format_args!("event: {name}\ndata: {data}\n\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_framed_as_amazon_frames_them() {
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
        let mut empty = Vec::new();
        frame(&mut empty, &[], b"");
        assert_eq!(empty, [0, 0, 0, 16, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff]);
        let framed = framed("event: a\ndata: {}\n\nexception: b\ndata: {\"x\":1}\n\n");
        let text = String::from_utf8_lossy(&framed);
        let second = u32::from_be_bytes(framed[..4].try_into().unwrap()) as usize;
        let length = u32::from_be_bytes(framed[second..second + 4].try_into().unwrap()) as usize;
        assert_eq!(second + length, framed.len());
        for shown in [
            ":event-type\u{7}\0\u{1}a",
            ":message-type\u{7}\0\u{9}exception",
            ":exception-type\u{7}\0\u{1}b",
            "{\"x\":1}",
        ] {
            assert!(text.contains(shown), "{shown} not in {text:?}");
        }
    }
}
