//! How far a streamed response has come: what the end of one needs which the gateway itself must end.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::MapAccess;
use serde_json::value::RawValue;

use super::event::Event;
use crate::json::{self, Into, Name, Take};
use crate::output::OUTPUT_TEXT_BYTES_MAX;

/// What a stream said so far, as far as its last event repeats it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// The response as the first event has it that has one.
    pub(super) response: Option<Text>,
    /// The number of the next event.
    pub(super) next: u64,
    /// The items that are finished, by their place.
    pub(super) items: BTreeMap<u64, Text>,
    /// The message that is being written.
    pub(super) message: Option<Message>,
    /// Bytes kept of all of it.
    kept: usize,
}

/// JSON as it came.
pub(super) type Text = Box<str>;

/// A message under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) output_index: u64,
    /// The item as it was when it began.
    pub(super) item: Text,
    pub(super) id: String,
    /// Its parts that are finished.
    pub(super) parts: Vec<Text>,
    /// The part that is being written.
    pub(super) part: Option<Part>,
}

/// A part under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) content_index: u64,
    /// A text or else a refusal.
    pub(super) is_refusal: bool,
    pub(super) text: String,
}

impl Progress {
    /// Notes an event of this type.
    pub(super) fn note(&mut self, name: &str, event: &Event<'_>) {
        if let Some(number) = event.sequence_number {
            self.next = number.saturating_add(1);
        }
        if self.response.is_none() {
            self.response = event.response.and_then(|raw| self.keep(raw));
        }
        match name {
            "response.output_item.added" => self.message = event.item.and_then(|raw| self.begin(event, raw)),
            "response.output_item.done" => self.end(event),
            "response.content_part.added" => {
                let kind = event.part.map(Typed::read).unwrap_or_default().kind;
                let is_refusal = match kind.as_deref() {
                    Some("output_text") => false,
                    Some("refusal") => true,
                    Some(_) | None => return,
                };
                let part =
                    Part { content_index: event.content_index.unwrap_or(0), is_refusal, text: String::new() };
                if let Some(message) = self.message_of(event) {
                    message.part = Some(part);
                }
            }
            "response.output_text.delta" | "response.refusal.delta" => self.say(event),
            "response.content_part.done" => {
                let part = event.part.and_then(|raw| self.keep(raw));
                if let Some(message) = self.message_of(event) {
                    message.part = None;
                    message.parts.extend(part);
                }
            }
            _ => {}
        }
    }

    fn begin(&mut self, event: &Event<'_>, raw: &RawValue) -> Option<Message> {
        let item = Typed::read(raw);
        if item.kind.as_deref() != Some("message") {
            return None;
        }
        Some(Message {
            output_index: event.output_index.unwrap_or(0),
            id: item.id.unwrap_or_default().into_owned(),
            item: self.keep(raw)?,
            parts: Vec::new(),
            part: None,
        })
    }

    fn end(&mut self, event: &Event<'_>) {
        let index = event.output_index.unwrap_or(0);
        if self.message.as_ref().is_some_and(|message| message.output_index == index) {
            self.message = None;
        }
        if let Some(item) = event.item.and_then(|raw| self.keep(raw)) {
            self.items.insert(index, item);
        }
    }

    fn say(&mut self, event: &Event<'_>) {
        let text = event.delta.as_deref().unwrap_or_default();
        if !self.has_room(text.len()) {
            return;
        }
        let part = self.message_of(event).and_then(|message| message.part.as_mut());
        if let Some(part) = part.filter(|part| Some(part.content_index) == event.content_index.or(Some(0))) {
            part.text.push_str(text);
        }
    }

    fn message_of(&mut self, event: &Event<'_>) -> Option<&mut Message> {
        let index = event.output_index.unwrap_or(0);
        self.message.as_mut().filter(|message| message.output_index == index)
    }

    /// The JSON, if there is room for it: no provider may make us keep any amount.
    fn keep(&mut self, raw: &RawValue) -> Option<Text> {
        self.has_room(raw.get().len()).then(|| Box::from(raw.get()))
    }

    fn has_room(&mut self, bytes: usize) -> bool {
        let kept = self.kept.saturating_add(bytes);
        let has_room = kept <= OUTPUT_TEXT_BYTES_MAX;
        if has_room {
            self.kept = kept;
        }
        has_room
    }
}

/// An item or a part, by its type.
#[derive(Default)]
struct Typed<'a> {
    kind: Option<Cow<'a, str>>,
    id: Option<Cow<'a, str>>,
}

impl<'a> Typed<'a> {
    fn read(raw: &'a RawValue) -> Self {
        let mut typed = Self::default();
        // What cannot be read has no type.
        let _ = json::read(raw.get(), &mut typed);
        typed
    }
}

impl<'de> Take<'de> for Typed<'de> {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "type" => map.next_value_seed(Into(&mut self.kind))?,
                "id" => map.next_value_seed(Into(&mut self.id))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}
