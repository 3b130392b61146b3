//! An answer, or an event of a stream, which has the same shape and holds a part of one: what it says about itself, and
//! what was said.

use std::borrow::Cow;

use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;

use super::speech::Speech;
use super::usage::WireUsage;
use crate::answer::{AnswerFacts, Garbage, short};
use crate::json::{self, Into, Kind, Name, Take};
use crate::output::Output;
use crate::upstream_error::is_error;

/// Models of these generations are charged for one search where they made several.
const ONE_SEARCH: [&str; 2] = ["gemini-1", "gemini-2"];

/// Reads what an answer says about itself.
pub(crate) fn read_answer(text: &str) -> Result<AnswerFacts, Garbage> {
    let mut unheard = Output::default();
    let mut response = Response::new(&mut unheard);
    json::read(text, &mut response).map_err(|_| Garbage)?;
    if response.kind != Kind::Object {
        return Err(Garbage);
    }
    let searches = response.searches();
    let mut usage = response.usage.as_ref().and_then(WireUsage::to_usage);
    if let Some(usage) = &mut usage {
        usage.searches = searches;
    }
    Ok(AnswerFacts {
        model: response.model,
        usage,
        reported_cost: None,
        service_tier: response.usage.and_then(|usage| usage.service_tier),
        has_error: response.has_error,
        has_failed: false,
        searches,
        images: 0,
        audio_ms: 0,
    })
}

/// Gathers what an answer says, up to where it cannot be read any more.
pub(crate) fn read_speech(text: &str, output: &mut Output) {
    // What was read until an error is as much as there is to count.
    drop(json::read(text, &mut Response::new(output)));
}

/// One answer or event, and where what it says is gathered.
pub(super) struct Response<'o> {
    output: &'o mut Output,
    pub(super) kind: Kind,
    pub(super) id: Option<String>,
    pub(super) model: Option<String>,
    pub(super) usage: Option<WireUsage>,
    /// The candidates that tell why they ended, by their places.
    pub(super) ended: Vec<u64>,
    /// The prompt was not let through, so that there are no candidates.
    pub(super) is_blocked: bool,
    pub(super) has_candidates: bool,
    pub(super) has_error: bool,
    /// Queries to the web that it shows.
    queries: u64,
}

impl<'o> Response<'o> {
    pub(super) const fn new(output: &'o mut Output) -> Self {
        Self {
            output,
            kind: Kind::Null,
            id: None,
            model: None,
            usage: None,
            ended: Vec::new(),
            is_blocked: false,
            has_candidates: false,
            has_error: false,
            queries: 0,
        }
    }

    /// Searches of the web that are charged for.
    pub(super) fn searches(&self) -> u64 {
        let is_one = |model: &String| ONE_SEARCH.iter().any(|generation| model.starts_with(generation));
        if self.model.as_ref().is_some_and(is_one) { self.queries.min(1) } else { self.queries }
    }
}

impl<'de> Take<'de> for Response<'_> {
    fn kind(&mut self, kind: Kind) {
        self.kind = kind;
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        let (mut id, mut model) = (None::<Cow<'de, str>>, None::<Cow<'de, str>>);
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "candidates" => map.next_value_seed(Into(&mut Candidates(self)))?,
                "promptFeedback" => map.next_value_seed(Into(&mut Feedback(&mut self.is_blocked)))?,
                "usageMetadata" => {
                    let mut usage = WireUsage::default();
                    map.next_value_seed(Into(&mut usage))?;
                    self.usage = Some(usage);
                }
                "modelVersion" => map.next_value_seed(Into(&mut model))?,
                "responseId" => map.next_value_seed(Into(&mut id))?,
                "error" => self.has_error = is_error(map.next_value::<&RawValue>()?),
                _ => json::skip(&mut map)?,
            }
        }
        self.id = id.as_deref().map(short);
        self.model = model.as_deref().filter(|model| !model.is_empty()).map(short);
        Ok(())
    }
}

/// The candidates of an answer, one after the other.
struct Candidates<'r, 'o>(&'r mut Response<'o>);

impl<'de> Take<'de> for Candidates<'_, '_> {
    fn array<A: SeqAccess<'de>>(&mut self, seq: A) -> Result<(), A::Error> {
        json::each(seq, self)
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        self.0.has_candidates = true;
        let (mut index, mut reason) = (None::<u64>, None::<Cow<'de, str>>);
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "content" => map.next_value_seed(Into(&mut Content(&mut *self.0.output)))?,
                "finishReason" => map.next_value_seed(Into(&mut reason))?,
                "index" => map.next_value_seed(Into(&mut index))?,
                "groundingMetadata" => map.next_value_seed(Into(&mut Grounding(&mut self.0.queries)))?,
                _ => json::skip(&mut map)?,
            }
        }
        if reason.is_some_and(|reason| !reason.is_empty()) {
            // The first has no place: zeroes are left out.
            self.0.ended.push(index.unwrap_or(0));
        }
        Ok(())
    }
}

struct Content<'o>(&'o mut Output);

impl<'de> Take<'de> for Content<'_> {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "parts" => map.next_value_seed(Into(&mut Speech(self.0)))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

struct Feedback<'r>(&'r mut bool);

impl<'de> Take<'de> for Feedback<'_> {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            let value = map.next_value::<&RawValue>()?.get();
            *self.0 |= name == "blockReason" && !matches!(value, "null" | "\"\"");
        }
        Ok(())
    }
}

/// What the web brought.
struct Grounding<'r>(&'r mut u64);

impl<'de> Take<'de> for Grounding<'_> {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "webSearchQueries" => map.next_value_seed(Into(&mut Queries(self.0)))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

struct Queries<'r>(&'r mut u64);

impl<'de> Take<'de> for Queries<'_> {
    fn array<A: SeqAccess<'de>>(&mut self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<serde::de::IgnoredAny>()?.is_some() {
            *self.0 = self.0.saturating_add(1);
        }
        Ok(())
    }
}
