//! A whole answer to a chat or an embedding: what it says about itself, and what was said.

use std::borrow::Cow;

use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;

use super::speech::Speech;
use super::usage::WireUsage;
use crate::answer::{AnswerFacts, Garbage, short};
use crate::endpoint::Endpoint;
use crate::json::{self, Into, Kind, Name, Take};
use crate::output::Output;
use crate::upstream_error::is_error;

/// Reads what an answer says about itself.
pub(crate) fn read_answer(endpoint: Endpoint, text: &str) -> Result<AnswerFacts, Garbage> {
    let mut answer = Answer { kind: Kind::Null, facts: AnswerFacts::default(), usage: WireUsage::default() };
    json::read(text, &mut answer).map_err(|_| Garbage)?;
    if answer.kind != Kind::Object {
        return Err(Garbage);
    }
    let (usage, reported_cost) = (answer.usage.to_usage(endpoint), answer.usage.reported());
    Ok(AnswerFacts { usage, reported_cost, ..answer.facts })
}

/// Gathers what a chat's answer says, up to where it cannot be read any more.
pub(crate) fn read_speech(text: &str, output: &mut Output) {
    // What was read until an error is as much as there is to count.
    let _ = json::read(text, &mut Spoken(output));
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
