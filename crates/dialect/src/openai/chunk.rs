//! What one event of a chat stream says.

use std::borrow::Cow;

use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;

use super::output::{Output, Speech};
use super::response::short;
use super::upstream_error::is_error;
use super::usage::WireUsage;
use crate::json::{self, Into, Kind, Name, Take};

/// What the events of a stream said so far.
#[derive(Default)]
pub(super) struct Told {
    pub(super) model: Option<String>,
    pub(super) service_tier: Option<String>,
    pub(super) output: Output,
    pub(super) finish_seen: bool,
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
    told: &'t mut Told,
    pub(super) kind: Kind,
    /// Whether there is a `choices` member, and how many choices are in it.
    pub(super) choices: Option<usize>,
    /// `usage`, if it is an object.
    pub(super) usage: Option<WireUsage>,
    pub(super) complaint: Option<Complaint>,
}

impl<'t> Chunk<'t> {
    pub(super) fn new(told: &'t mut Told) -> Self {
        Self { told, kind: Kind::Null, choices: None, usage: None, complaint: None }
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
                    let mut choices = Choices { told: self.told, count: 0 };
                    map.next_value_seed(Into(&mut choices))?;
                    self.choices = Some(choices.count);
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

struct Choices<'t> {
    told: &'t mut Told,
    count: usize,
}

impl<'de> Take<'de> for Choices<'_> {
    fn array<A: SeqAccess<'de>>(&mut self, seq: A) -> Result<(), A::Error> {
        json::each(seq, self)
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        self.count += 1;
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "delta" => map.next_value_seed(Into(&mut Speech(&mut self.told.output)))?,
                "finish_reason" => map.next_value_seed(Into(&mut Finish(&mut self.told.finish_seen)))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

struct Finish<'t>(&'t mut bool);

impl Take<'_> for Finish<'_> {
    fn text(&mut self, _: &str) {
        *self.0 = true;
    }
}
