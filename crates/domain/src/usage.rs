//! What a call consumed, in buckets that do not overlap.

use serde::{Deserialize, Serialize};

/// What one attempt consumed. The buckets are disjoint, so that each unit is priced once; `reasoning` alone is a memo
/// of tokens already inside `output`.
///
/// Providers disagree on what "input" contains; their adapters do the subtraction (an OpenAI `prompt_tokens` includes
/// cached, cache-write, audio and image tokens, an Anthropic `input_tokens` neither cached nor cache-write ones) and
/// never let it go below zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Input tokens that were neither read from nor written to the provider's cache, without audio and images.
    pub input: u64,
    /// Input tokens read from the provider's cache.
    pub cached: u64,
    /// Input tokens written to the provider's cache for its usual time: 5 minutes at Anthropic, 30 at OpenAI.
    pub cache_write: u64,
    /// Input tokens written to the provider's cache for its longer time: 1 hour at Anthropic, 12 at OpenAI.
    pub cache_write_long: u64,
    /// Audio input tokens.
    pub audio_input: u64,
    /// Image input tokens, where the provider tells them apart from text.
    pub image_input: u64,
    /// Output tokens, reasoning included, without audio and images.
    pub output: u64,
    /// Audio output tokens.
    pub audio_output: u64,
    /// Image output tokens.
    pub image_output: u64,
    /// Reasoning tokens, as part of `output`; never priced again.
    pub reasoning: u64,
    /// Images that were made, where the provider charges by the image and not by its tokens.
    pub images: u64,
    /// Milliseconds of audio, where the provider charges by time and not by tokens; whole ones, rounded up.
    pub audio_ms: u64,
    /// Characters that were spoken, where the provider charges by them.
    pub characters: u64,
    /// Searches of the web that the provider made.
    pub searches: u64,
    /// Milliseconds that one's own hardware had the call, where it is charged by them; whole ones, rounded up.
    pub gpu_ms: u64,
}

impl Usage {
    /// The buckets' names, in the order of [`Usage::counts`].
    pub const NAMES: [&'static str; 15] = [
        "input",
        "cached",
        "cache_write",
        "cache_write_long",
        "audio_input",
        "image_input",
        "output",
        "audio_output",
        "image_output",
        "reasoning",
        "images",
        "audio_ms",
        "characters",
        "searches",
        "gpu_ms",
    ];

    /// Every bucket, in the order of [`Usage::NAMES`]: for what must miss none, such as a store.
    pub const fn counts(&self) -> [u64; 15] {
        let Self { input, cached, cache_write, cache_write_long, audio_input, image_input, .. } = *self;
        let Self { output, audio_output, image_output, reasoning, .. } = *self;
        let Self { images, audio_ms, characters, searches, gpu_ms, .. } = *self;
        [
            input,
            cached,
            cache_write,
            cache_write_long,
            audio_input,
            image_input,
            output,
            audio_output,
            image_output,
            reasoning,
            images,
            audio_ms,
            characters,
            searches,
            gpu_ms,
        ]
    }

    /// The usage with these buckets, in the order of [`Usage::NAMES`].
    pub const fn from_counts(counts: [u64; 15]) -> Self {
        let [input, cached, cache_write, cache_write_long, audio_input, image_input, rest @ ..] = counts;
        let [output, audio_output, image_output, reasoning, images, audio_ms, characters, searches, gpu_ms] =
            rest;
        Self {
            input,
            cached,
            cache_write,
            cache_write_long,
            audio_input,
            image_input,
            output,
            audio_output,
            image_output,
            reasoning,
            images,
            audio_ms,
            characters,
            searches,
            gpu_ms,
        }
    }

    /// All input tokens, as OpenAI's `prompt_tokens` counts them.
    pub const fn input_total(&self) -> u64 {
        self.input
            .saturating_add(self.cached)
            .saturating_add(self.cache_write_total())
            .saturating_add(self.audio_input)
            .saturating_add(self.image_input)
    }

    /// All input tokens written to the provider's cache, for whatever time.
    pub const fn cache_write_total(&self) -> u64 {
        self.cache_write.saturating_add(self.cache_write_long)
    }

    /// All output tokens, as OpenAI's `completion_tokens` counts them.
    pub const fn output_total(&self) -> u64 {
        self.output.saturating_add(self.audio_output).saturating_add(self.image_output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_come_back_under_their_names() {
        let counts = std::array::from_fn(|place| u64::try_from(place).unwrap() + 1);
        let usage = Usage::from_counts(counts);
        assert_eq!(usage.counts(), counts);
        let shown = format!("{usage:?}");
        let named: Vec<String> =
            Usage::NAMES.iter().zip(counts).map(|(name, count)| format!("{name}: {count}")).collect();
        assert_eq!(shown, format!("Usage {{ {} }}", named.join(", ")));
    }

    #[test]
    fn totals_hold_each_bucket_of_their_direction_once() {
        let usage = Usage::from_counts([1, 2, 4, 8, 16, 32, 64, 128, 256, 64, 1, 1, 1, 1, 1]);
        assert_eq!((usage.input_total(), usage.output_total(), usage.cache_write_total()), (63, 448, 12));
    }
}
