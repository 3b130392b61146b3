//! The `usage` of a response, and the disjoint buckets made of it.

use domain::{Pico, Usage};
use serde::de::MapAccess;

use crate::json::{self, Into, Name, Take};
use crate::openai::usage::{CacheWriteTimes, number};

/// `usage` as it stands in a response. A member with another type than a number counts as absent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WireUsage {
    input: Option<u64>,
    output: Option<u64>,
    total: Option<u64>,
    input_details: InputDetails,
    output_details: OutputDetails,
    /// What the provider says that the call cost, as in a chat.
    reported: Option<Pico>,
}

#[derive(Clone, Copy, Debug, Default)]
struct InputDetails {
    cached: Option<u64>,
    cache_write: Option<u64>,
    cache_write_times: CacheWriteTimes,
}

#[derive(Clone, Copy, Debug, Default)]
struct OutputDetails {
    reasoning: Option<u64>,
}

impl WireUsage {
    /// What the provider says that the call cost, if it says so.
    pub(super) const fn reported(&self) -> Option<Pico> {
        self.reported
    }

    /// Disjoint buckets, or nothing when the object does not say what both sides consumed. Contradictions never make
    /// the sum larger than its total.
    pub(super) fn to_usage(self) -> Option<Usage> {
        let whole = self.input.or_else(|| self.total?.checked_sub(self.output?))?;
        let output = self.output.or_else(|| self.total?.checked_sub(self.input?))?;
        let cached = self.input_details.cached.unwrap_or(0).min(whole);
        let rest = whole - cached;
        let CacheWriteTimes { short, long } = self.input_details.cache_write_times;
        let cache_write_long = long.unwrap_or(0).min(rest);
        let written = self.input_details.cache_write.map(|all| all.saturating_sub(cache_write_long));
        let cache_write = written.or(short).unwrap_or(0).min(rest - cache_write_long);
        let reasoning = self.output_details.reasoning.unwrap_or(0).min(output);
        Some(Usage {
            input: rest - cache_write_long - cache_write,
            cached,
            cache_write,
            cache_write_long,
            output,
            reasoning,
            // No such member: responses have no sound.
            ..Usage::default()
        })
    }
}

impl<'de> Take<'de> for WireUsage {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "input_tokens" => map.next_value_seed(Into(&mut self.input))?,
                "output_tokens" => map.next_value_seed(Into(&mut self.output))?,
                "total_tokens" => map.next_value_seed(Into(&mut self.total))?,
                "cost" => self.reported = number(&mut map, 0)?.or(self.reported),
                "cost_in_usd_ticks" => self.reported = number(&mut map, 10)?.or(self.reported),
                "input_tokens_details" => map.next_value_seed(Into(&mut self.input_details))?,
                "output_tokens_details" => map.next_value_seed(Into(&mut self.output_details))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

impl<'de> Take<'de> for InputDetails {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "cached_tokens" => map.next_value_seed(Into(&mut self.cached))?,
                "cache_write_tokens" => map.next_value_seed(Into(&mut self.cache_write))?,
                "cache_write_tokens_details" => map.next_value_seed(Into(&mut self.cache_write_times))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

impl<'de> Take<'de> for OutputDetails {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "reasoning_tokens" => map.next_value_seed(Into(&mut self.reasoning))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}
