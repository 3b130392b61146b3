//! Answers of images and audio, whole and in events: what they say about themselves.

use std::borrow::Cow;

use domain::Usage;
use serde::de::{IgnoredAny, MapAccess, SeqAccess};
use serde_json::value::RawValue;

use super::decimal::thousandths;
use super::media_usage::MediaUsage;
use crate::answer::{AnswerFacts, Garbage, short};
use crate::endpoint::Endpoint;
use crate::json::{self, Into, Kind, Name, Take};
use crate::output::Output;
use crate::sound::Speech;
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
    // A transcript with times tells how long all of it is.
    let heard = answer.duration.filter(|_| endpoint.hears());
    let usage = usage.or(heard.map(|audio_ms| Usage { audio_ms, ..Usage::default() }));
    Ok(AnswerFacts {
        model: answer.model.as_deref().map(short),
        usage: usage.map(|usage| Usage { images, ..usage }),
        has_error: answer.has_error,
        images,
        ..AnswerFacts::default()
    })
}

/// Reads a transcript that is text, with times or without.
pub(crate) fn read_transcript(text: &str) -> Result<AnswerFacts, Garbage> {
    if text.is_empty() {
        return Err(Garbage);
    }
    let has_error = read_media(Endpoint::Transcriptions, text).is_ok_and(|facts| facts.has_error);
    Ok(AnswerFacts { has_error, audio_ms: last_time(text), ..AnswerFacts::default() })
}

/// What a transcript says: the text in its JSON, or all of it.
pub(crate) fn read_words(text: &str, output: &mut Output) {
    let mut answer = Answer::default();
    match json::read(text, &mut answer) {
        Ok(()) => output.push(answer.text.as_deref().unwrap_or_default()),
        Err(_) => output.push(text),
    }
}

/// The latest time at which a line of subtitles ends (`00:00:01,000 --> 00:00:04,200`), in milliseconds.
fn last_time(text: &str) -> u64 {
    let ends = text.lines().filter_map(|line| line.split_once("-->")?.1.split_whitespace().next());
    ends.filter_map(clock).max().unwrap_or(0)
}

/// A time such as `01:02:03,400` or `02:03.400`, in milliseconds.
fn clock(text: &str) -> Option<u64> {
    let text = text.replace(',', ".");
    let mut parts = text.rsplit(':');
    let seconds = thousandths(parts.next()?)?;
    parts.zip([60_000, 3_600_000]).try_fold(seconds, |sum, (part, unit): (&str, u64)| {
        sum.checked_add(part.parse::<u64>().ok()?.checked_mul(unit)?)
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
    /// Of a recording, in milliseconds.
    duration: Option<u64>,
    /// When a part of it ends, in milliseconds.
    end: Option<u64>,
    text: Option<Cow<'a, str>>,
    delta: Option<Cow<'a, str>>,
    audio: Option<Cow<'a, str>>,
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
                "duration" => self.duration = seconds(map.next_value::<&RawValue>()?),
                "end" => self.end = seconds(map.next_value::<&RawValue>()?),
                "text" => map.next_value_seed(Into(&mut self.text))?,
                "delta" => map.next_value_seed(Into(&mut self.delta))?,
                "audio" => map.next_value_seed(Into(&mut self.audio))?,
                "error" => self.has_error = is_error(map.next_value::<&RawValue>()?),
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

/// A number of seconds, which some write as a text, in milliseconds.
fn seconds(raw: &RawValue) -> Option<u64> {
    thousandths(raw.get().trim_matches('"'))
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

/// Reads the events of a stream of images, of speech or of a transcript.
#[derive(Debug)]
pub(crate) struct MediaReader {
    endpoint: Endpoint,
    /// What the parts said that are finished.
    usage: Option<Usage>,
    /// Images that are finished.
    finished: u64,
    /// What was spoken so far.
    speech: Speech,
    /// Whether the words of a transcript come piece by piece, and so not again with its parts.
    has_deltas: bool,
}

impl MediaReader {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, usage: None, finished: 0, speech: Speech::default(), has_deltas: false }
    }

    /// How long what was spoken so far is, in milliseconds.
    pub(crate) fn spoken_ms(&self) -> u64 {
        self.speech.length()
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
        let is_end =
            kind.ends_with(".completed") || matches!(kind, "speech.audio.done" | "transcript.text.done");
        if !is_end {
            self.progress(kind, &answer, told);
            return Ok(Fate::Pass);
        }
        if self.endpoint.makes_images() {
            self.finished += 1;
        } else if !self.has_deltas {
            // All of it again, if it came before.
            told.output.push(answer.text.as_deref().unwrap_or_default());
        }
        told.finish_seen = true;
        told.images = self.finished;
        if let Some(usage) = answer.usage.and_then(|usage| usage.to_usage(self.endpoint)) {
            self.usage = Some(sum(self.usage.unwrap_or_default(), usage));
        }
        told.usage = self.usage.map(|usage| Usage { images: self.finished, ..usage });
        Ok(Fate::Usage(None))
    }

    /// Notes what an event brought that is not the last.
    fn progress(&mut self, kind: &str, answer: &Answer<'_>, told: &mut Told) {
        match kind {
            "speech.audio.delta" => self.speech.push_base64(answer.audio.as_deref().unwrap_or_default()),
            "transcript.text.delta" => {
                self.has_deltas = true;
                told.output.push(answer.delta.as_deref().unwrap_or_default());
            }
            "transcript.text.segment" => told.audio_ms = told.audio_ms.max(answer.end.unwrap_or(0)),
            // An image that has begun to show is being made, and nobody can have half of it.
            _ => told.images = self.finished + u64::from(kind.ends_with(".partial_image")),
        }
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
