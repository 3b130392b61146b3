//! What one event of a chat stream says.

use std::borrow::Cow;

use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;

use super::cut::Choices;
use super::speech::Speech;
use super::usage::WireUsage;
use crate::answer::short;
use crate::json::{self, Into, Kind, Name, Take};
use crate::stream::Told;
use crate::upstream_error::is_error;

/// What the events of a chat said so far that the end of one needs which is cut off.
#[derive(Default)]
pub(super) struct Head {
    pub(super) id: Option<String>,
    pub(super) created: Option<u64>,
    pub(super) system_fingerprint: Option<String>,
    pub(super) choices: Choices,
}

/// How an event says that something went wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Complaint {
    /// `{"error":{…}}`, which all SDKs understand.
    Nested,
    /// `{"error":"text"}`.
    Bare,
    /// `{"type":"error",…}` or `{"object":"error",…}`, which some SDKs take for an ordinary event.
    Flat,
}

/// Reads one event into what the stream told, and keeps what it says about itself.
pub(super) struct Chunk<'t> {
    head: &'t mut Head,
    told: &'t mut Told,
    pub(super) kind: Kind,
    /// Whether there is a `choices` member, and how many choices are in it.
    pub(super) choices: Option<u64>,
    /// `usage`, if it is an object.
    pub(super) usage: Option<WireUsage>,
    pub(super) complaint: Option<Complaint>,
}

impl<'t> Chunk<'t> {
    pub(super) fn new(head: &'t mut Head, told: &'t mut Told) -> Self {
        Self { head, told, kind: Kind::Null, choices: None, usage: None, complaint: None }
    }
}

impl<'de> Take<'de> for Chunk<'_> {
    fn kind(&mut self, kind: Kind) {
        self.kind = kind;
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "choices" => {
                    let mut choices = Spoken { head: self.head, told: self.told, count: 0 };
                    map.next_value_seed(Into(&mut choices))?;
                    self.choices = Some(choices.count);
                }
                "id" => map.next_value_seed(Into(&mut First(&mut self.head.id)))?,
                "created" if self.head.created.is_none() => {
                    map.next_value_seed(Into(&mut self.head.created))?;
                }
                "system_fingerprint" => {
                    map.next_value_seed(Into(&mut First(&mut self.head.system_fingerprint)))?;
                }
                "model" => map.next_value_seed(Into(&mut First(&mut self.told.model)))?,
                "service_tier" => map.next_value_seed(Into(&mut First(&mut self.told.service_tier)))?,
                "usage" => map.next_value_seed(Into(&mut UsageObject(&mut self.usage)))?,
                "error" => {
                    let error = map.next_value::<&RawValue>()?;
                    let nested = error.get().starts_with('{');
                    if is_error(error) {
                        self.complaint = Some(if nested { Complaint::Nested } else { Complaint::Bare });
                    }
                }
                "type" | "object" => {
                    let mut word = None::<Cow<'de, str>>;
                    map.next_value_seed(Into(&mut word))?;
                    if self.complaint.is_none() && word.as_deref() == Some("error") {
                        self.complaint = Some(Complaint::Flat);
                    }
                }
                _ => json::skip(&mut map)?,
            }
        }
        // What has choices is a chunk, whatever type it names.
        if self.choices.is_some() && self.complaint == Some(Complaint::Flat) {
            self.complaint = None;
        }
        Ok(())
    }
}

/// The first text that is not empty.
struct First<'t>(&'t mut Option<String>);

impl Take<'_> for First<'_> {
    fn text(&mut self, text: &str) {
        if self.0.is_none() && !text.is_empty() {
            *self.0 = Some(short(text));
        }
    }
}

struct UsageObject<'c>(&'c mut Option<WireUsage>);

impl<'de> Take<'de> for UsageObject<'_> {
    fn object<A: MapAccess<'de>>(&mut self, map: A) -> Result<(), A::Error> {
        self.0.insert(WireUsage::default()).object(map)
    }
}

/// The choices of one event.
struct Spoken<'t> {
    head: &'t mut Head,
    told: &'t mut Told,
    count: u64,
}

impl<'de> Take<'de> for Spoken<'_> {
    fn array<A: SeqAccess<'de>>(&mut self, seq: A) -> Result<(), A::Error> {
        json::each(seq, self)
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        // Some servers leave out what is zero, and with it the first choice's index.
        let (position, mut index) = (self.count, None::<u64>);
        let mut has_ended = false;
        self.count += 1;
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "delta" => map.next_value_seed(Into(&mut Speech(&mut self.told.output)))?,
                "index" => map.next_value_seed(Into(&mut index))?,
                "finish_reason" => map.next_value_seed(Into(&mut Finish(&mut has_ended)))?,
                _ => json::skip(&mut map)?,
            }
        }
        self.head.choices.note(index.unwrap_or(position), has_ended);
        self.told.finish_seen |= has_ended;
        Ok(())
    }
}

struct Finish<'t>(&'t mut bool);

impl Take<'_> for Finish<'_> {
    fn text(&mut self, reason: &str) {
        // Some servers write an empty one for "not yet", and SDKs read it so.
        *self.0 = !reason.is_empty();
    }
}
