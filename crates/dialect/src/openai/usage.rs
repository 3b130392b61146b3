//! The provider's `usage` object, and the disjoint buckets made of it.

use domain::{Pico, Usage};
use serde::de::MapAccess;
use serde_json::value::RawValue;

use crate::endpoint::Endpoint;
use crate::json::{self, Into, Name, Take};

/// `usage` as it stands in an answer. A member with another type than a number counts as absent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WireUsage {
    pub(super) prompt: Option<u64>,
    pub(super) completion: Option<u64>,
    pub(super) total: Option<u64>,
    pub(super) prompt_details: PromptDetails,
    pub(super) completion_details: CompletionDetails,
    /// Cached tokens where they stand outside the details: `prompt_cache_hit_tokens` (DeepSeek), `cached_tokens`
    /// (Moonshot).
    cached: Option<u64>,
    searches: Searches,
    /// What the provider says that the call cost: OpenRouter's `cost` in dollars, xAI's `cost_in_usd_ticks` in
    /// ten-billionths of one.
    pub(super) reported: Option<Pico>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PromptDetails {
    cached: Option<u64>,
    cache_write: Option<u64>,
    cache_write_times: CacheWriteTimes,
    audio: Option<u64>,
    image: Option<u64>,
}

/// For how long cache writes are kept: 30 minutes or 12 hours.
#[derive(Clone, Copy, Debug, Default)]
struct CacheWriteTimes {
    short: Option<u64>,
    long: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CompletionDetails {
    reasoning: Option<u64>,
    audio: Option<u64>,
    image: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Searches {
    made: Option<u64>,
}

impl WireUsage {
    /// What the provider says that the call cost, if it says so.
    pub(super) const fn reported(&self) -> Option<Pico> {
        self.reported
    }

    /// Disjoint buckets, or nothing when the object does not say what both sides consumed.
    ///
    /// Each part is taken out of what is left of its whole, so that contradictions in the provider's counts never make
    /// the sum larger than its total.
    pub(super) fn to_usage(self, endpoint: Endpoint) -> Option<Usage> {
        let (prompt, mut completion) = if endpoint.generates() {
            (
                self.prompt.or_else(|| self.total?.checked_sub(self.completion?))?,
                self.completion.or_else(|| self.total?.checked_sub(self.prompt?))?,
            )
        } else {
            (self.prompt.or(self.total)?, 0)
        };
        // xAI leaves reasoning out of what it calls completion; its total tells that.
        let beside = self.completion_details.reasoning.unwrap_or(0);
        if beside > 0 && self.total.is_some_and(|total| is_sum(total, [prompt, completion, beside])) {
            completion = completion.saturating_add(beside);
        }
        let mut input = prompt;
        let mut take = |part: Option<u64>| {
            let part = part.unwrap_or(0).min(input);
            input -= part;
            part
        };
        let cached = take(self.prompt_details.cached.or(self.cached));
        let cache_write_long = take(self.prompt_details.cache_write_times.long);
        // Where the times are told apart, they are parts of the whole that stands beside them.
        let short = self.prompt_details.cache_write.map(|all| all.saturating_sub(cache_write_long));
        let cache_write = take(short.or(self.prompt_details.cache_write_times.short));
        let audio_input = take(self.prompt_details.audio);
        let image_input = take(self.prompt_details.image);
        let mut output = completion;
        let mut take = |part: Option<u64>| {
            let part = part.unwrap_or(0).min(output);
            output -= part;
            part
        };
        let audio_output = take(self.completion_details.audio);
        let image_output = take(self.completion_details.image);
        Some(Usage {
            input,
            cached,
            cache_write,
            cache_write_long,
            audio_input,
            image_input,
            output,
            audio_output,
            image_output,
            reasoning: self.completion_details.reasoning.unwrap_or(0).min(output),
            searches: self.searches.made.unwrap_or(0),
            ..Usage::default()
        })
    }
}

/// An amount, from the text of its number: a float would not keep it.
pub(super) fn number<'de, A: MapAccess<'de>>(map: &mut A, digits: u16) -> Result<Option<Pico>, A::Error> {
    map.next_value::<&RawValue>().map(|value| Pico::of_number(value.get(), digits))
}

fn is_sum(total: u64, parts: [u64; 3]) -> bool {
    parts.into_iter().try_fold(0, u64::checked_add) == Some(total)
}

impl<'de> Take<'de> for WireUsage {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "prompt_tokens" => map.next_value_seed(Into(&mut self.prompt))?,
                "completion_tokens" => map.next_value_seed(Into(&mut self.completion))?,
                "total_tokens" => map.next_value_seed(Into(&mut self.total))?,
                "cost" => self.reported = number(&mut map, 0)?.or(self.reported),
                "cost_in_usd_ticks" => self.reported = number(&mut map, 10)?.or(self.reported),
                "prompt_tokens_details" => map.next_value_seed(Into(&mut self.prompt_details))?,
                "completion_tokens_details" => map.next_value_seed(Into(&mut self.completion_details))?,
                "server_tool_use" | "server_tool_use_details" => {
                    map.next_value_seed(Into(&mut self.searches))?
                }
                "prompt_cache_hit_tokens" | "cached_tokens" => map.next_value_seed(Into(&mut self.cached))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

impl<'de> Take<'de> for CacheWriteTimes {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "ttl_30m_tokens" => map.next_value_seed(Into(&mut self.short))?,
                "ttl_12h_tokens" => map.next_value_seed(Into(&mut self.long))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

impl<'de> Take<'de> for Searches {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "web_search_requests" => map.next_value_seed(Into(&mut self.made))?,
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
                "cache_write_tokens_details" => map.next_value_seed(Into(&mut self.cache_write_times))?,
                "audio_tokens" => map.next_value_seed(Into(&mut self.audio))?,
                "image_tokens" => map.next_value_seed(Into(&mut self.image))?,
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
                "image_tokens" => map.next_value_seed(Into(&mut self.image))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}
