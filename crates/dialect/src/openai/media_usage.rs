//! The `usage` of images and audio, and the disjoint buckets made of it.

use domain::Usage;
use serde::de::MapAccess;
use serde_json::value::RawValue;

use super::decimal::thousandths;
use crate::endpoint::Endpoint;
use crate::json::{self, Into, Name, Take};

/// `usage` as it stands in an answer. A member with another type than a number counts as absent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MediaUsage {
    input: Option<u64>,
    output: Option<u64>,
    total: Option<u64>,
    /// Of what is charged by time and not by tokens.
    audio_ms: Option<u64>,
    input_details: Details,
    output_details: Details,
}

/// How many tokens of each sort there are.
#[derive(Clone, Copy, Debug, Default)]
struct Details {
    cached: Option<u64>,
    text: Option<u64>,
    audio: Option<u64>,
    image: Option<u64>,
}

impl MediaUsage {
    /// Disjoint buckets, or nothing when the object says neither a time nor what both sides consumed.
    pub(super) fn to_usage(self, endpoint: Endpoint) -> Option<Usage> {
        let audio_ms = self.audio_ms.filter(|_| endpoint.hears());
        match (self.tokens(endpoint), audio_ms) {
            (None, None) => None,
            (tokens, audio_ms) => {
                Some(Usage { audio_ms: audio_ms.unwrap_or(0), ..tokens.unwrap_or_default() })
            }
        }
    }

    /// The tokens. Parts are taken out of what is left of their whole.
    fn tokens(self, endpoint: Endpoint) -> Option<Usage> {
        let mut input = self.input.or_else(|| self.total?.checked_sub(self.output?))?;
        let mut output = self.output.or_else(|| self.total?.checked_sub(self.input?))?;
        let take = |whole: &mut u64, part: Option<u64>| {
            let part = part.unwrap_or(0).min(*whole);
            *whole -= part;
            part
        };
        let cached = take(&mut input, self.input_details.cached);
        let image_input = take(&mut input, self.input_details.image);
        let audio_input = take(&mut input, self.input_details.audio);
        let usage = Usage { cached, audio_input, image_input, ..Usage::default() };
        if endpoint.hears() {
            // What such a model takes in is what it hears, but for what is said to be text; what it puts out is text.
            let text = take(&mut input, self.input_details.text);
            return Some(Usage {
                input: text,
                audio_input: audio_input.saturating_add(input),
                output,
                ..usage
            });
        }
        // What the others put out is what they are for, but for what is said to be text.
        let text = take(&mut output, self.output_details.text);
        let usage = Usage { input, output: text, ..usage };
        if endpoint == Endpoint::Speech {
            return Some(Usage { audio_output: output, ..usage });
        }
        Some(Usage { image_output: output, ..usage })
    }
}

impl<'de> Take<'de> for MediaUsage {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "input_tokens" => map.next_value_seed(Into(&mut self.input))?,
                "output_tokens" => map.next_value_seed(Into(&mut self.output))?,
                "total_tokens" => map.next_value_seed(Into(&mut self.total))?,
                "seconds" => {
                    let text = map.next_value::<&RawValue>()?.get();
                    self.audio_ms = thousandths(text.trim_matches('"'));
                }
                "input_tokens_details" | "input_token_details" => {
                    map.next_value_seed(Into(&mut self.input_details))?
                }
                "output_tokens_details" | "output_token_details" => {
                    map.next_value_seed(Into(&mut self.output_details))?
                }
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

impl<'de> Take<'de> for Details {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "cached_tokens" => map.next_value_seed(Into(&mut self.cached))?,
                "text_tokens" => map.next_value_seed(Into(&mut self.text))?,
                "audio_tokens" => map.next_value_seed(Into(&mut self.audio))?,
                "image_tokens" => map.next_value_seed(Into(&mut self.image))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}
