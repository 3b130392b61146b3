//! The `usage` of images and audio, and the disjoint buckets made of it.

use domain::Usage;
use serde::de::MapAccess;

use crate::endpoint::Endpoint;
use crate::json::{self, Into, Name, Take};

/// `usage` as it stands in an answer. A member with another type than a number counts as absent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MediaUsage {
    input: Option<u64>,
    output: Option<u64>,
    total: Option<u64>,
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
    /// Disjoint buckets, or nothing when the object does not say what both sides consumed. Parts are taken out of what is
    /// left of their whole.
    pub(super) fn to_usage(self, endpoint: Endpoint) -> Option<Usage> {
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
        // What such a model puts out is what it is for, but for what is said to be text.
        let text = take(&mut output, self.output_details.text);
        let image_output =
            if endpoint == Endpoint::Images { output } else { take(&mut output, self.output_details.image) };
        Some(Usage {
            input,
            cached,
            audio_input,
            image_input,
            output: if endpoint == Endpoint::Images { text } else { output.saturating_add(text) },
            image_output,
            ..Usage::default()
        })
    }
}

impl<'de> Take<'de> for MediaUsage {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "input_tokens" => map.next_value_seed(Into(&mut self.input))?,
                "output_tokens" => map.next_value_seed(Into(&mut self.output))?,
                "total_tokens" => map.next_value_seed(Into(&mut self.total))?,
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
