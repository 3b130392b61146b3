//! The `usage` of a response, and the disjoint buckets made of it.

use domain::Usage;
use serde::de::MapAccess;

use crate::json::{self, Into, Name, Take};

/// `usage` as it stands in a response. A member with another type than a number counts as absent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WireUsage {
    input: Option<u64>,
    output: Option<u64>,
    total: Option<u64>,
    input_details: InputDetails,
    output_details: OutputDetails,
}

#[derive(Clone, Copy, Debug, Default)]
struct InputDetails {
    cached: Option<u64>,
    cache_write: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct OutputDetails {
    reasoning: Option<u64>,
}

impl WireUsage {
    /// Disjoint buckets, or nothing when the object does not say what both sides consumed. Contradictions never make
    /// the sum larger than its total.
    pub(super) fn to_usage(self) -> Option<Usage> {
        let whole = self.input.or_else(|| self.total?.checked_sub(self.output?))?;
        let output = self.output.or_else(|| self.total?.checked_sub(self.input?))?;
        let cached = self.input_details.cached.unwrap_or(0).min(whole);
        let rest = whole - cached;
        let cache_write = self.input_details.cache_write.unwrap_or(0).min(rest);
        let reasoning = self.output_details.reasoning.unwrap_or(0).min(output);
        Some(Usage {
            input: rest - cache_write,
            cached,
            cache_write,
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
