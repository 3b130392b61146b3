//! Converse's `usage`, and the disjoint buckets made of it.

use std::borrow::Cow;

use domain::Usage;
use serde::de::{MapAccess, SeqAccess};

use crate::json::{self, Into, Name, Take};

/// `usage` as it stands in an answer or in the event that ends a stream. A member with another type than a number counts
/// as absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct WireUsage {
    input: Option<u64>,
    cached: Option<u64>,
    cache_write: Option<u64>,
    /// Of it, what was written for an hour, as `cacheDetails` has it.
    cache_write_1h: u64,
    output: Option<u64>,
}

impl WireUsage {
    /// Disjoint buckets, as Amazon's own are: `inputTokens` has neither what was read from the cache nor what was written
    /// to it (<https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html>). Nothing when it does not say
    /// what both sides consumed. Reasoning is part of the output, and not told apart.
    pub(super) fn to_usage(&self) -> Option<Usage> {
        let (input, output) = (self.input?, self.output?);
        let written = self.cache_write.unwrap_or(self.cache_write_1h);
        // The split is part of the whole, whatever it says.
        let long = self.cache_write_1h.min(written);
        Some(Usage {
            input,
            cached: self.cached.unwrap_or(0),
            cache_write: written - long,
            cache_write_long: long,
            output,
            ..Usage::default()
        })
    }
}

impl<'de> Take<'de> for WireUsage {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "inputTokens" => map.next_value_seed(Into(&mut self.input))?,
                "outputTokens" => map.next_value_seed(Into(&mut self.output))?,
                "cacheReadInputTokens" => map.next_value_seed(Into(&mut self.cached))?,
                "cacheWriteInputTokens" => map.next_value_seed(Into(&mut self.cache_write))?,
                "cacheDetails" => map.next_value_seed(Into(&mut LongWrites(&mut self.cache_write_1h)))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

/// What was written to the cache, for each time that it stays there.
struct LongWrites<'u>(&'u mut u64);

impl<'de> Take<'de> for LongWrites<'_> {
    fn array<A: SeqAccess<'de>>(&mut self, seq: A) -> Result<(), A::Error> {
        json::each(seq, self)
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        let (mut ttl, mut tokens) = (None::<Cow<'de, str>>, None::<u64>);
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "ttl" => map.next_value_seed(Into(&mut ttl))?,
                "inputTokens" => map.next_value_seed(Into(&mut tokens))?,
                _ => json::skip(&mut map)?,
            }
        }
        if ttl.as_deref() == Some("1h") {
            *self.0 = self.0.saturating_add(tokens.unwrap_or(0));
        }
        Ok(())
    }
}

/// `{"type":…}`, as a service tier is told.
#[derive(Default)]
pub(super) struct Tier<'a>(pub(super) Option<Cow<'a, str>>);

impl<'de> Take<'de> for Tier<'de> {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "type" => map.next_value_seed(Into(&mut self.0))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}
