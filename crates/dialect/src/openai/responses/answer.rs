//! A response, whole or in an event: what it says about itself, and what was said.

use std::borrow::Cow;

use domain::{Pico, Usage};
use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;

use super::usage::WireUsage;
use crate::answer::{AnswerFacts, Garbage, short};
use crate::json::{self, Into, Kind, Name, Take};
use crate::output::Output;
use crate::upstream_error::is_error;

/// What a response says about itself.
#[derive(Default)]
pub(super) struct Response<'a> {
    kind: Option<Kind>,
    pub(super) model: Option<Cow<'a, str>>,
    pub(super) service_tier: Option<Cow<'a, str>>,
    usage: Option<WireUsage>,
    status: Option<Cow<'a, str>>,
    searches: Searches,
    /// `error`, if it is one.
    pub(super) error: Option<&'a RawValue>,
}

impl Response<'_> {
    /// What was consumed, where it says so.
    pub(super) fn usage(&self) -> Option<Usage> {
        let usage = self.usage?.to_usage()?;
        Some(Usage { searches: self.searches.0, ..usage })
    }

    /// What the provider says that it cost, where it says so.
    pub(super) fn reported_cost(&self) -> Option<Pico> {
        self.usage?.reported()
    }
}

impl<'de> Take<'de> for Response<'de> {
    fn kind(&mut self, kind: Kind) {
        self.kind = Some(kind);
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "model" => map.next_value_seed(Into(&mut self.model))?,
                "service_tier" => map.next_value_seed(Into(&mut self.service_tier))?,
                "status" => map.next_value_seed(Into(&mut self.status))?,
                "usage" => {
                    let mut usage = Found(None);
                    map.next_value_seed(Into(&mut usage))?;
                    self.usage = usage.0;
                }
                "output" => map.next_value_seed(Into(&mut self.searches))?,
                "error" => self.error = Some(map.next_value::<&'de RawValue>()?).filter(|raw| is_error(raw)),
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

/// `usage`, if it is an object: it is null until the response has ended.
struct Found(Option<WireUsage>);

impl<'de> Take<'de> for Found {
    fn object<A: MapAccess<'de>>(&mut self, map: A) -> Result<(), A::Error> {
        self.0.insert(WireUsage::default()).object(map)
    }
}

/// Searches of the web among items, which usage does not tell. Pages that were opened, or looked through, are none.
#[derive(Default)]
pub(super) struct Searches(pub(super) u64);

impl<'de> Take<'de> for Searches {
    fn array<A: SeqAccess<'de>>(&mut self, seq: A) -> Result<(), A::Error> {
        json::each(seq, self)
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        let (mut kind, mut action) = (None::<Cow<'de, str>>, Action(None));
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "type" => map.next_value_seed(Into(&mut kind))?,
                "action" => map.next_value_seed(Into(&mut action))?,
                _ => json::skip(&mut map)?,
            }
        }
        let is_search = action.0.is_none_or(|action| action == "search");
        self.0 += u64::from(kind.as_deref() == Some("web_search_call") && is_search);
        Ok(())
    }
}

/// What a call for the web did.
struct Action<'de>(Option<Cow<'de, str>>);

impl<'de> Take<'de> for Action<'de> {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "type" => map.next_value_seed(Into(&mut self.0))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

/// Reads what an answer says about itself.
pub(crate) fn read_answer(text: &str) -> Result<AnswerFacts, Garbage> {
    let mut response = Response::default();
    json::read(text, &mut response).map_err(|_| Garbage)?;
    if response.kind != Some(Kind::Object) {
        return Err(Garbage);
    }
    // A response that failed says so by its status, and is an answer; an error object has none.
    let failed = response.status.as_deref() == Some("failed");
    Ok(AnswerFacts {
        usage: response.usage(),
        reported_cost: response.reported_cost(),
        model: response.model.as_deref().map(short),
        service_tier: response.service_tier.as_deref().map(short),
        has_error: response.error.is_some() && response.status.is_none(),
        has_failed: failed,
        searches: response.searches.0,
        ..AnswerFacts::default()
    })
}

/// Gathers what a response says, up to where it cannot be read any more.
pub(crate) fn read_speech(text: &str, output: &mut Output) {
    // What was read until an error is as much as there is to count.
    let _ = json::read(text, &mut Whole(output));
}

/// A whole response, of which only the text matters.
struct Whole<'o>(&'o mut Output);

impl<'de> Take<'de> for Whole<'_> {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "output" => map.next_value_seed(Into(&mut Spoken(self.0)))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

/// Items of an output, and the parts of one: messages, thoughts, calls. Texts in them were generated.
pub(super) struct Spoken<'o>(pub(super) &'o mut Output);

impl<'de> Take<'de> for Spoken<'_> {
    fn array<A: SeqAccess<'de>>(&mut self, seq: A) -> Result<(), A::Error> {
        json::each(seq, self)
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "content" | "summary" => map.next_value_seed(Into(self))?,
                "text" | "refusal" | "name" | "arguments" | "input" | "code" => {
                    map.next_value_seed(Into(&mut Text(self.0)))?;
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
