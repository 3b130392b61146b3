//! What a call consumed, in buckets that do not overlap.

use serde::{Deserialize, Serialize};

/// Token counts of one attempt. The buckets are disjoint, so that each token is priced once; `reasoning` alone is a
/// memo of tokens already inside `output`.
///
/// Providers disagree on what "input" contains; their adapters do the subtraction (an OpenAI `prompt_tokens` includes
/// cached, cache-write and audio tokens) and never let it go below zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Input tokens that were neither read from nor written to the provider's cache, without audio.
    pub input: u64,
    /// Input tokens read from the provider's cache.
    pub cached: u64,
    /// Input tokens written to the provider's cache.
    pub cache_write: u64,
    /// Audio input tokens.
    pub audio_input: u64,
    /// Output tokens, reasoning included, without audio.
    pub output: u64,
    /// Audio output tokens.
    pub audio_output: u64,
    /// Reasoning tokens, as part of `output`; never priced again.
    pub reasoning: u64,
}

impl Usage {
    /// All input tokens, as OpenAI's `prompt_tokens` counts them.
    pub const fn input_total(&self) -> u64 {
        self.input
            .saturating_add(self.cached)
            .saturating_add(self.cache_write)
            .saturating_add(self.audio_input)
    }

    /// All output tokens, as OpenAI's `completion_tokens` counts them.
    pub const fn output_total(&self) -> u64 {
        self.output.saturating_add(self.audio_output)
    }
}
