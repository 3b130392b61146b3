//! Anthropic's `usage` object, and the disjoint buckets made of it.

use std::borrow::Cow;

use domain::Usage;
use serde::de::MapAccess;

use crate::answer::short;
use crate::json::{self, Into, Name, Take};

/// `usage` as it stands in an answer or in the events of a stream, where the last word on each member counts: the counts
/// are those of the whole answer so far. A member with another type than a number counts as absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct WireUsage {
    input: Option<u64>,
    cache_write: Option<u64>,
    cache_write_5m: Option<u64>,
    cache_write_1h: Option<u64>,
    cached: Option<u64>,
    output: Option<u64>,
    thinking: Option<u64>,
    searches: Option<u64>,
    /// `service_tier`, or `speed` where that is not the standard one.
    pub(super) service_tier: Option<String>,
}

impl WireUsage {
    /// Takes what a later event says.
    pub(super) fn update(&mut self, later: Self) {
        self.input = later.input.or(self.input);
        self.cache_write = later.cache_write.or(self.cache_write);
        self.cache_write_5m = later.cache_write_5m.or(self.cache_write_5m);
        self.cache_write_1h = later.cache_write_1h.or(self.cache_write_1h);
        self.cached = later.cached.or(self.cached);
        self.output = later.output.or(self.output);
        self.thinking = later.thinking.or(self.thinking);
        self.searches = later.searches.or(self.searches);
        self.service_tier = later.service_tier.or(self.service_tier.take());
    }

    /// The input alone, once it is told.
    pub(super) fn to_input(&self) -> Option<Usage> {
        Some(Usage { output: 0, reasoning: 0, ..Self { output: Some(0), ..self.clone() }.to_usage()? })
    }

    /// Whether the output is told.
    pub(super) const fn has_output(&self) -> bool {
        self.output.is_some()
    }

    /// Disjoint buckets, as Anthropic's own are; nothing when the object does not say what both sides consumed.
    pub(super) fn to_usage(&self) -> Option<Usage> {
        let (input, output) = (self.input?, self.output?);
        let long = self.cache_write_1h.unwrap_or(0);
        let split = self.cache_write_5m.unwrap_or(0).saturating_add(long);
        // The split is part of the whole, whatever it says.
        let written = self.cache_write.unwrap_or(split);
        let long = long.min(written);
        Some(Usage {
            input,
            cached: self.cached.unwrap_or(0),
            cache_write: written - long,
            cache_write_long: long,
            searches: self.searches.unwrap_or(0),
            output,
            reasoning: self.thinking.unwrap_or(0).min(output),
            ..Usage::default()
        })
    }
}

impl<'de> Take<'de> for WireUsage {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        let (mut tier, mut speed) = (None::<Cow<'de, str>>, None::<Cow<'de, str>>);
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "input_tokens" => map.next_value_seed(Into(&mut self.input))?,
                "cache_creation_input_tokens" => map.next_value_seed(Into(&mut self.cache_write))?,
                "cache_creation" => map.next_value_seed(Into(&mut CacheWrites(self)))?,
                "cache_read_input_tokens" => map.next_value_seed(Into(&mut self.cached))?,
                "output_tokens" => map.next_value_seed(Into(&mut self.output))?,
                "output_tokens_details" => map.next_value_seed(Into(&mut OutputDetails(self)))?,
                "server_tool_use" => map.next_value_seed(Into(&mut ServerTools(self)))?,
                "service_tier" => map.next_value_seed(Into(&mut tier))?,
                "speed" => map.next_value_seed(Into(&mut speed))?,
                _ => json::skip(&mut map)?,
            }
        }
        let told = speed.filter(|speed| speed != "standard").or(tier);
        self.service_tier = told.filter(|tier| !tier.is_empty()).as_deref().map(short);
        Ok(())
    }
}

struct CacheWrites<'u>(&'u mut WireUsage);

impl<'de> Take<'de> for CacheWrites<'_> {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "ephemeral_5m_input_tokens" => map.next_value_seed(Into(&mut self.0.cache_write_5m))?,
                "ephemeral_1h_input_tokens" => map.next_value_seed(Into(&mut self.0.cache_write_1h))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

struct OutputDetails<'u>(&'u mut WireUsage);

impl<'de> Take<'de> for OutputDetails<'_> {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "thinking_tokens" => map.next_value_seed(Into(&mut self.0.thinking))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

struct ServerTools<'u>(&'u mut WireUsage);

impl<'de> Take<'de> for ServerTools<'_> {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "web_search_requests" => map.next_value_seed(Into(&mut self.0.searches))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}
