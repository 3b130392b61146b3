//! An answer that is not streamed: its facts, read beside the bytes that pass.

use std::borrow::Cow;

use domain::Usage;
use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;

use super::Endpoint;
use super::output::{Output, Speech};
use super::upstream_error::is_error;
use super::usage::WireUsage;
use crate::json::{self, Into, Kind, Name, Take};

/// Texts of a provider that are kept are cut to this many bytes.
const NAME_BYTES_MAX: usize = 256;

/// An answer that is no JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the provider's answer is no JSON object")]
pub struct Garbage;

/// What an answer says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnswerFacts {
    /// The model that answered, cut to 256 bytes.
    pub model: Option<String>,
    /// What was consumed, unless the provider does not say.
    pub usage: Option<Usage>,
    /// The tier that was served, cut to 256 bytes.
    pub service_tier: Option<String>,
    /// Whether this is an error in spite of its status: there is an `error` that is not null or empty.
    pub has_error: bool,
}

impl AnswerFacts {
    /// Reads an answer.
    ///
    /// # Errors
    /// [`Garbage`] when it is no JSON object. Members of an unexpected type count as absent.
    pub fn read(endpoint: Endpoint, body: &[u8]) -> Result<Self, Garbage> {
        let text = std::str::from_utf8(body).map_err(|_| Garbage)?;
        let mut answer = Answer { kind: Kind::Null, facts: Self::default(), usage: WireUsage::default() };
        json::read(text, &mut answer).map_err(|_| Garbage)?;
        if answer.kind != Kind::Object {
            return Err(Garbage);
        }
        let usage = answer.usage.to_usage(endpoint);
        Ok(Self { usage, ..answer.facts })
    }

    /// All text that was generated: contents, refusals, reasoning, names and arguments of calls, of all choices. For
    /// the estimate of an answer whose usage is missing; empty for embeddings and for what cannot be read.
    pub fn output_text(endpoint: Endpoint, body: &[u8]) -> String {
        let mut output = Output::default();
        match (endpoint, std::str::from_utf8(body)) {
            (Endpoint::Chat, Ok(text)) => {
                // What was read until an error is as much as there is to count.
                let _ = json::read(text, &mut Spoken(&mut output));
            }
            (Endpoint::Chat | Endpoint::Embeddings, _) => {}
        }
        output.into_text()
    }
}

/// A provider's name for something, as an owned text of bounded size.
pub(super) fn short(text: &str) -> String {
    text.get(..text.floor_char_boundary(NAME_BYTES_MAX)).unwrap_or_default().to_owned()
}

struct Answer {
    kind: Kind,
    facts: AnswerFacts,
    usage: WireUsage,
}

impl<'de> Take<'de> for Answer {
    fn kind(&mut self, kind: Kind) {
        self.kind = kind;
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        let (mut model, mut tier) = (None::<Cow<'de, str>>, None::<Cow<'de, str>>);
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "model" => map.next_value_seed(Into(&mut model))?,
                "service_tier" => map.next_value_seed(Into(&mut tier))?,
                "usage" => map.next_value_seed(Into(&mut self.usage))?,
                "error" => self.facts.has_error = is_error(map.next_value::<&RawValue>()?),
                _ => json::skip(&mut map)?,
            }
        }
        self.facts.model = model.as_deref().map(short);
        self.facts.service_tier = tier.as_deref().map(short);
        Ok(())
    }
}

/// A whole answer, of which only the text matters.
struct Spoken<'o>(&'o mut Output);

impl<'de> Take<'de> for Spoken<'_> {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "choices" => map.next_value_seed(Into(self))?,
                "message" => map.next_value_seed(Into(&mut Speech(self.0)))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }

    fn array<A: SeqAccess<'de>>(&mut self, seq: A) -> Result<(), A::Error> {
        json::each(seq, self)
    }
}
