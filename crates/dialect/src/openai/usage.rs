//! The provider's `usage` object, and the disjoint buckets made of it.

use domain::Usage;
use serde::de::MapAccess;

use crate::endpoint::Endpoint;
use crate::json::{self, Into, Name, Take};

/// `usage` as it stands in an answer. A member with another type than a number counts as absent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WireUsage {
    prompt: Option<u64>,
    completion: Option<u64>,
    total: Option<u64>,
    prompt_details: PromptDetails,
    completion_details: CompletionDetails,
    /// Cached tokens where they stand outside the details: `prompt_cache_hit_tokens` (DeepSeek), `cached_tokens`
    /// (Moonshot).
    cached: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct PromptDetails {
    cached: Option<u64>,
    cache_write: Option<u64>,
    audio: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct CompletionDetails {
    reasoning: Option<u64>,
    audio: Option<u64>,
}

impl WireUsage {
    /// Disjoint buckets, or nothing when the object does not say what both sides consumed.
    ///
    /// Each part is taken out of what is left of its whole, so that contradictions in the provider's counts never make
    /// the sum larger than its total.
    pub(super) fn to_usage(self, endpoint: Endpoint) -> Option<Usage> {
        let (prompt, completion) = if endpoint.generates() {
            (
                self.prompt.or_else(|| self.total?.checked_sub(self.completion?))?,
                self.completion.or_else(|| self.total?.checked_sub(self.prompt?))?,
            )
        } else {
            (self.prompt.or(self.total)?, 0)
        };
        let mut input = prompt;
        let mut take = |part: Option<u64>| {
            let part = part.unwrap_or(0).min(input);
            input -= part;
            part
        };
        let cached = take(self.prompt_details.cached.or(self.cached));
        let cache_write = take(self.prompt_details.cache_write);
        let audio_input = take(self.prompt_details.audio);
        let audio_output = self.completion_details.audio.unwrap_or(0).min(completion);
        let output = completion - audio_output;
        let reasoning = self.completion_details.reasoning.unwrap_or(0).min(output);
        Some(Usage { input, cached, cache_write, audio_input, output, audio_output, reasoning })
    }
}

impl<'de> Take<'de> for WireUsage {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "prompt_tokens" => map.next_value_seed(Into(&mut self.prompt))?,
                "completion_tokens" => map.next_value_seed(Into(&mut self.completion))?,
                "total_tokens" => map.next_value_seed(Into(&mut self.total))?,
                "prompt_tokens_details" => map.next_value_seed(Into(&mut self.prompt_details))?,
                "completion_tokens_details" => map.next_value_seed(Into(&mut self.completion_details))?,
                "prompt_cache_hit_tokens" | "cached_tokens" => map.next_value_seed(Into(&mut self.cached))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

impl<'de> Take<'de> for PromptDetails {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "cached_tokens" => map.next_value_seed(Into(&mut self.cached))?,
                "cache_write_tokens" => map.next_value_seed(Into(&mut self.cache_write))?,
                "audio_tokens" => map.next_value_seed(Into(&mut self.audio))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

impl<'de> Take<'de> for CompletionDetails {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "reasoning_tokens" => map.next_value_seed(Into(&mut self.reasoning))?,
                "audio_tokens" => map.next_value_seed(Into(&mut self.audio))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}
