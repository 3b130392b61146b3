//! Answers of images and audio, whole and in events: what they say about themselves.

use std::borrow::Cow;

use domain::Usage;
use serde::de::{IgnoredAny, MapAccess, SeqAccess};
use serde_json::value::RawValue;

use super::media_usage::MediaUsage;
use crate::answer::{AnswerFacts, Garbage, short};
use crate::endpoint::Endpoint;
use crate::json::{self, Into, Kind, Name, Take};
use crate::stream::{Fate, StreamFault, Told};
use crate::upstream_error::{UpstreamError, is_error};

/// Reads what a whole answer says about itself.
pub(crate) fn read_media(endpoint: Endpoint, text: &str) -> Result<AnswerFacts, Garbage> {
    let mut answer = Answer::default();
    json::read(text, &mut answer).map_err(|_| Garbage)?;
    if answer.kind != Some(Kind::Object) {
        return Err(Garbage);
    }
    let images = answer.images.0;
    let usage = answer.usage.and_then(|usage| usage.to_usage(endpoint));
    Ok(AnswerFacts {
        model: answer.model.as_deref().map(short),
        usage: usage.map(|usage| Usage { images, ..usage }),
        has_error: answer.has_error,
        images,
        ..AnswerFacts::default()
    })
}

/// A whole answer, or an event.
#[derive(Default)]
struct Answer<'a> {
    kind: Option<Kind>,
    model: Option<Cow<'a, str>>,
    event: Option<Cow<'a, str>>,
    usage: Option<MediaUsage>,
    images: Length,
    has_error: bool,
}

impl<'de> Take<'de> for Answer<'de> {
    fn kind(&mut self, kind: Kind) {
        self.kind = Some(kind);
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "type" => map.next_value_seed(Into(&mut self.event))?,
                "model" => map.next_value_seed(Into(&mut self.model))?,
                "data" => map.next_value_seed(Into(&mut self.images))?,
                "usage" => map.next_value_seed(Into(self.usage.insert(MediaUsage::default())))?,
                "error" => self.has_error = is_error(map.next_value::<&RawValue>()?),
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

/// How long an array is.
#[derive(Default)]
struct Length(u64);

impl<'de> Take<'de> for Length {
    fn array<A: SeqAccess<'de>>(&mut self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {
            self.0 += 1;
        }
        Ok(())
    }
}

/// Reads the events of a stream of images.
#[derive(Debug)]
pub(crate) struct MediaReader {
    endpoint: Endpoint,
    /// What the parts said that are finished.
    usage: Option<Usage>,
    /// Parts that are finished.
    finished: u64,
}

impl MediaReader {
    pub(crate) const fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, usage: None, finished: 0 }
    }

    /// Reads the data of one event.
    pub(crate) fn read(
        &mut self,
        data: &str,
        event: Option<&str>,
        told: &mut Told,
    ) -> Result<Fate, StreamFault> {
        if data.starts_with("[DONE]") {
            return Ok(Fate::Done(None));
        }
        let mut answer = Answer::default();
        if json::read(data, &mut answer).is_err() || answer.kind != Some(Kind::Object) {
            return Err(StreamFault::Garbage);
        }
        let kind = answer.event.as_deref().or(event).unwrap_or_default();
        if answer.has_error || kind == "error" {
            let error = told.error.insert(UpstreamError::read(200, data.as_bytes()));
            return Ok(Fate::Replace(error.to_body(502).stream_event()));
        }
        told.chunks += 1;
        told.model = told.model.take().or_else(|| answer.model.as_deref().map(short));
        let is_end = kind.ends_with(".completed");
        if !is_end {
            // An image that has begun to show is being made, and nobody can have half of it.
            told.images = self.finished + u64::from(kind.ends_with(".partial_image"));
            return Ok(Fate::Pass);
        }
        self.finished += 1;
        told.finish_seen = true;
        told.images = self.finished;
        if let Some(usage) = answer.usage.and_then(|usage| usage.to_usage(self.endpoint)) {
            self.usage = Some(sum(self.usage.unwrap_or_default(), usage));
        }
        told.usage = self.usage.map(|usage| Usage { images: self.finished, ..usage });
        Ok(Fate::Usage(None))
    }
}

/// Two usages together.
fn sum(one: Usage, other: Usage) -> Usage {
    let mut counts = one.counts();
    for (count, more) in counts.iter_mut().zip(other.counts()) {
        *count = count.saturating_add(more);
    }
    Usage::from_counts(counts)
}
