//! The ends of a response that the gateway writes itself: cut off at its cap, and broken.
//!
//! It knows how such ends look on the wire; it must never know why a stream came to one.

use std::borrow::Cow;

use bytes::Bytes;
use domain::Usage;
use serde::de::MapAccess;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::progress::{Message, Part, Progress, Text};
use crate::cut::CutCall;
use crate::error::ErrorBody;
use crate::json::{self, Name, Take};
use crate::sse;
use crate::stream::Told;

/// Members in place of those that JSON as it came has by the same names.
type Members = Vec<(&'static str, Value)>;

/// The end of a response that is cut off, but for the usage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    head: Head,
    progress: Progress,
}

/// The end of a response that broke, but for the error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    head: Head,
    progress: Progress,
}

/// What a response is called of which no event has come.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Head {
    id: String,
    created_at: i64,
    model: String,
}

impl Head {
    fn new(told: &Told, call: CutCall<'_>) -> Self {
        Self {
            id: format!("resp_{}", call.request_id),
            created_at: call.at.seconds(),
            model: told.model.clone().unwrap_or_else(|| call.model.to_owned()),
        }
    }

    /// A response with every member that SDKs want.
    fn response(&self) -> Text {
        let Self { id, created_at, model } = self;
        let response = json!({
            "id": id, "object": "response", "created_at": created_at, "status": "in_progress", "background": false,
            "error": null, "incomplete_details": null, "instructions": null, "max_output_tokens": null,
            "model": model, "output": [], "parallel_tool_calls": true, "previous_response_id": null,
            "temperature": null, "tool_choice": "auto", "tools": [], "top_p": null, "usage": null, "metadata": {},
        });
        response.to_string().into()
    }
}

impl Cut {
    pub(super) fn new(progress: Progress, told: &Told, call: CutCall<'_>) -> Self {
        Self { head: Head::new(told, call), progress }
    }

    /// The events for the client: the message under way ends where it is, and the response is incomplete because it
    /// came to its cap. Nothing may follow.
    ///
    /// A call of a tool that is under way is left out, and so are thoughts: a client that saw such a call end would
    /// run it with half its arguments.
    pub(crate) fn events(&self, usage: &Usage) -> Vec<Bytes> {
        let mut writer = Writer::begin(self.progress.clone(), &self.head);
        writer.end_message();
        let details = json!({ "reason": "max_output_tokens" });
        let members = vec![
            ("status", "incomplete".into()),
            ("incomplete_details", details),
            ("usage", usage_json(usage)),
        ];
        writer.end("response.incomplete", members);
        vec![writer.written.into()]
    }
}

impl Broken {
    pub(super) fn new(progress: Progress, told: &Told, call: CutCall<'_>) -> Self {
        Self { head: Head::new(told, call), progress }
    }

    /// The events for the client. Nothing may follow.
    ///
    /// Two of them, because no client heeds both: Codex and the AI SDK read that the response failed and pass over
    /// errors; the official SDKs take a failed response for an ordinary event and raise an error, but only one that
    /// has a member `error`.
    pub(crate) fn events(&self, error: &ErrorBody) -> Bytes {
        let mut writer = Writer::begin(self.progress.clone(), &self.head);
        let code = error.code.as_deref().unwrap_or("server_error");
        let told = json!({ "code": code, "message": error.message });
        writer.end(
            "response.failed",
            vec![("status", "failed".into()), ("error", told), ("usage", Value::Null)],
        );
        writer.write(
            "error",
            vec![
                ("code", code.into()),
                ("message", error.message.as_str().into()),
                ("param", error.param.as_deref().into()),
                ("error", json!(error)),
            ],
            None,
        );
        writer.written.into()
    }
}

/// Writes the last events of a stream.
struct Writer {
    progress: Progress,
    response: Text,
    written: Vec<u8>,
}

impl Writer {
    /// Begins with what must come first, unless it has come.
    fn begin(mut progress: Progress, head: &Head) -> Self {
        let told = progress.response.take();
        let is_new = told.is_none();
        let response = told.unwrap_or_else(|| head.response());
        let mut writer = Self { progress, response, written: Vec::new() };
        if is_new {
            writer.end("response.created", Vec::new());
        }
        writer
    }

    /// Ends the message under way, and with it its part.
    fn end_message(&mut self) {
        let Some(Message { output_index, item, id, mut parts, part }) = self.progress.message.take() else {
            return;
        };
        if let Some(Part { content_index, is_refusal, text }) = part {
            let place = |members: Members| {
                let place = [
                    ("item_id", json!(id)),
                    ("output_index", json!(output_index)),
                    ("content_index", json!(content_index)),
                ];
                place.into_iter().chain(members).collect::<Members>()
            };
            let (name, said, part) = if is_refusal {
                (
                    "response.refusal.done",
                    ("refusal", json!(text)),
                    json!({ "type": "refusal", "refusal": text }),
                )
            } else {
                let part = json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] });
                ("response.output_text.done", ("text", json!(text)), part)
            };
            let mut members = place(vec![said]);
            if !is_refusal {
                members.push(("logprobs", json!([])));
            }
            self.write(name, members, None);
            parts.push(part.to_string().into());
            self.write("response.content_part.done", place(vec![("part", part)]), None);
        }
        let content: Vec<Value> = parts.iter().filter_map(|part| serde_json::from_str(part).ok()).collect();
        let ended = Patched {
            base: &item,
            members: vec![("status", "incomplete".into()), ("content", content.into())],
        };
        let item = text_of(&ended);
        self.write(
            "response.output_item.done",
            vec![("output_index", json!(output_index))],
            Some(("item", &item)),
        );
        self.progress.items.insert(output_index, item);
    }

    /// Writes an event that shows the response, with these members and what it has put out.
    fn end(&mut self, name: &'static str, mut members: Members) {
        let items = self.progress.items.values().filter_map(|item| serde_json::from_str(item).ok()).collect();
        members.push(("output", Value::Array(items)));
        let response = text_of(&Patched { base: &self.response, members });
        self.write(name, Vec::new(), Some(("response", &response)));
    }

    fn write(&mut self, name: &'static str, members: Members, raw: Option<(&'static str, &str)>) {
        let number = self.progress.next;
        self.progress.next = number.saturating_add(1);
        let data = EventJson { name, number, members, raw };
        sse::write_named_event(&mut self.written, name, &data);
    }
}

struct EventJson<'a> {
    name: &'static str,
    number: u64,
    members: Members,
    raw: Option<(&'static str, &'a str)>,
}

impl Serialize for EventJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", self.name)?;
        map.serialize_entry("sequence_number", &self.number)?;
        for (name, value) in &self.members {
            map.serialize_entry(name, value)?;
        }
        if let Some((name, text)) = self.raw {
            let raw: &RawValue = serde_json::from_str(text).map_err(serde::ser::Error::custom)?;
            map.serialize_entry(name, raw)?;
        }
        map.end()
    }
}

/// JSON as it came, with other members.
struct Patched<'a> {
    base: &'a str,
    members: Members,
}

impl Serialize for Patched<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut base = Raw(Vec::new());
        json::read(self.base, &mut base).map_err(serde::ser::Error::custom)?;
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in base.0 {
            if !self.members.iter().any(|(patched, _)| *patched == name) {
                map.serialize_entry(&name, value)?;
            }
        }
        for (name, value) in &self.members {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// The members of an object.
struct Raw<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Take<'de> for Raw<'de> {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            self.0.push((name, map.next_value()?));
        }
        Ok(())
    }
}

fn text_of(patched: &Patched<'_>) -> Text {
    // The base was read before, and the rest are strings and numbers into memory: there is nothing that could fail.
    to_raw_value(patched).map_or_else(|_| Box::from("{}"), |raw| Box::from(raw.get()))
}

fn usage_json(usage: &Usage) -> Value {
    let (input, output) = (usage.input_total(), usage.output_total());
    json!({
        "input_tokens": input,
        "input_tokens_details": { "cached_tokens": usage.cached, "cache_write_tokens": usage.cache_write_total() },
        "output_tokens": output,
        "output_tokens_details": { "reasoning_tokens": usage.reasoning },
        "total_tokens": input.saturating_add(output),
    })
}
