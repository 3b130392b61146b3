//! A whole answer: what it says about itself, and what was said.

use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;

use super::usage::{Tier, WireUsage};
use crate::answer::{AnswerFacts, Garbage, short};
use crate::json::{self, Into, Kind, Name, Take};
use crate::output::Output;

/// Reads what an answer says about itself. It never names the model.
pub(crate) fn read_answer(text: &str) -> Result<AnswerFacts, Garbage> {
    let mut answer =
        Answer { kind: Kind::Null, usage: WireUsage::default(), tier: Tier::default(), said: false };
    json::read(text, &mut answer).map_err(|_| Garbage)?;
    if answer.kind != Kind::Object {
        return Err(Garbage);
    }
    Ok(AnswerFacts {
        usage: answer.usage.to_usage(),
        service_tier: answer.tier.0.as_deref().filter(|tier| !tier.is_empty()).map(short),
        // What has no output is an error that some proxy on the way gave the wrong status.
        has_error: !answer.said,
        ..AnswerFacts::default()
    })
}

/// Gathers what an answer says, up to where it cannot be read any more.
pub(crate) fn read_speech(text: &str, output: &mut Output) {
    // What was read until an error is as much as there is to count.
    let _ = json::read(text, &mut Spoken(output));
}

struct Answer<'de> {
    kind: Kind,
    usage: WireUsage,
    tier: Tier<'de>,
    said: bool,
}

impl<'de> Take<'de> for Answer<'de> {
    fn kind(&mut self, kind: Kind) {
        self.kind = kind;
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "usage" => map.next_value_seed(Into(&mut self.usage))?,
                "serviceTier" => map.next_value_seed(Into(&mut self.tier))?,
                "output" => {
                    self.said = true;
                    json::skip(&mut map)?;
                }
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

/// A whole answer, of which only the text matters.
struct Spoken<'o>(&'o mut Output);

impl<'de> Take<'de> for Spoken<'_> {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "output" | "message" => map.next_value_seed(Into(self))?,
                "content" => map.next_value_seed(Into(&mut Speech(self.0)))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

/// A block or a delta, or an array of blocks: texts, thoughts, names and arguments of calls. Signatures are not
/// generated, and do not count.
pub(super) struct Speech<'o>(pub(super) &'o mut Output);

impl<'de> Take<'de> for Speech<'_> {
    fn array<A: SeqAccess<'de>>(&mut self, seq: A) -> Result<(), A::Error> {
        json::each(seq, self)
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "text" | "name" => map.next_value_seed(Into(&mut Text(self.0)))?,
                "toolUse" | "reasoningContent" | "reasoningText" => map.next_value_seed(Into(self))?,
                // Arguments: an object in an answer, pieces of its text in a stream.
                "input" => {
                    let input = map.next_value::<&RawValue>()?.get();
                    if Kind::of(input) == Kind::Object && input != "{}" {
                        self.0.push(input);
                    } else if Kind::of(input) == Kind::String {
                        drop(json::read(input, &mut Text(self.0)));
                    }
                }
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

struct Text<'o>(&'o mut Output);

impl Take<'_> for Text<'_> {
    fn text(&mut self, text: &str) {
        self.0.push(text);
    }
}
