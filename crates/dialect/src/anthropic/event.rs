//! What one event of a stream of messages says.

use std::borrow::Cow;

use serde::de::MapAccess;
use serde_json::value::RawValue;

use super::speech::Speech;
use super::usage::WireUsage;
use crate::answer::short;
use crate::json::{self, Into, Kind, Name, Take};
use crate::stream::Told;

/// One event. No two kinds of events have a member of one name and two meanings, so all are read alike, in whatever
/// order they stand.
pub(super) struct Event<'t, 'de> {
    told: &'t mut Told,
    pub(super) kind: Kind,
    /// `type`.
    pub(super) name: Option<Cow<'de, str>>,
    /// `message.id`.
    pub(super) id: Option<String>,
    /// `index`: which block it is about.
    pub(super) index: Option<u64>,
    /// `message.usage` or `usage`, if it is an object.
    pub(super) usage: Option<WireUsage>,
    /// The same as it stands in the event, whatever it is.
    pub(super) usage_text: Option<&'de str>,
    /// `message` as it stands in the event.
    pub(super) message_text: Option<&'de str>,
    pub(super) has_error: bool,
}

impl<'t> Event<'t, '_> {
    pub(super) fn new(told: &'t mut Told) -> Self {
        Self {
            told,
            kind: Kind::Null,
            name: None,
            id: None,
            index: None,
            usage: None,
            usage_text: None,
            message_text: None,
            has_error: false,
        }
    }
}

impl<'de> Take<'de> for Event<'_, 'de> {
    fn kind(&mut self, kind: Kind) {
        self.kind = kind;
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "type" => map.next_value_seed(Into(&mut self.name))?,
                "index" => map.next_value_seed(Into(&mut self.index))?,
                "message" => {
                    let text = map.next_value::<&RawValue>()?.get();
                    let mut message = Message::default();
                    // It was parsed once already.
                    drop(json::read(text, &mut message));
                    self.message_text = Some(text);
                    self.usage_text = message.usage_text.or(self.usage_text);
                    self.id = message.id.as_deref().map(short);
                    self.usage = message.usage.or(self.usage.take());
                    let model = message.model.filter(|model| !model.is_empty());
                    self.told.model = self.told.model.take().or_else(|| model.as_deref().map(short));
                }
                "content_block" => map.next_value_seed(Into(&mut Speech(&mut self.told.output)))?,
                "delta" => map.next_value_seed(Into(&mut Delta(self.told)))?,
                "usage" => {
                    let text = map.next_value::<&RawValue>()?.get();
                    self.usage_text = Some(text);
                    self.usage = read_usage(text).or(self.usage.take());
                }
                "error" => {
                    self.has_error = true;
                    json::skip(&mut map)?;
                }
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

/// What begins a stream.
#[derive(Default)]
struct Message<'de> {
    id: Option<Cow<'de, str>>,
    model: Option<Cow<'de, str>>,
    usage: Option<WireUsage>,
    usage_text: Option<&'de str>,
}

/// A usage, if it is an object. It was parsed once already, so nothing can go wrong.
fn read_usage(text: &str) -> Option<WireUsage> {
    let mut usage = WireUsage::default();
    let is_read = Kind::of(text) == Kind::Object && json::read(text, &mut usage).is_ok();
    is_read.then_some(usage)
}

impl<'de> Take<'de> for Message<'de> {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "id" => map.next_value_seed(Into(&mut self.id))?,
                "model" => map.next_value_seed(Into(&mut self.model))?,
                "usage" => {
                    let text = map.next_value::<&RawValue>()?.get();
                    (self.usage, self.usage_text) = (read_usage(text), Some(text));
                }
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

/// What a block goes on with, or why the message ended.
struct Delta<'t>(&'t mut Told);

impl<'de> Take<'de> for Delta<'_> {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "text" | "thinking" | "partial_json" => {
                    map.next_value_seed(Into(&mut Spoken(&mut *self.0)))?;
                }
                "stop_reason" => map.next_value_seed(Into(&mut Stop(&mut self.0.finish_seen)))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

struct Spoken<'t>(&'t mut Told);

impl Take<'_> for Spoken<'_> {
    fn text(&mut self, text: &str) {
        self.0.output.push(text);
    }
}

struct Stop<'t>(&'t mut bool);

impl Take<'_> for Stop<'_> {
    fn text(&mut self, reason: &str) {
        *self.0 |= !reason.is_empty();
    }
}
