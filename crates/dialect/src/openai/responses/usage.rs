//! The `usage` of a response: that of a chat by other names.

use domain::{Pico, Usage};
use serde::de::MapAccess;

use crate::endpoint::Endpoint;
use crate::json::{self, Into, Name, Take};
use crate::openai::usage::{self, number};

/// `usage` as it stands in a response. The names of a chat's are not read: some servers write both, and zeros into those
/// that they do not mean.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WireUsage(usage::WireUsage);

impl WireUsage {
    /// What the provider says that the call cost, if it says so.
    pub(super) const fn reported(&self) -> Option<Pico> {
        self.0.reported()
    }

    /// Disjoint buckets, or nothing when the object does not say what both sides consumed.
    pub(super) fn to_usage(self) -> Option<Usage> {
        self.0.to_usage(Endpoint::Responses)
    }
}

impl<'de> Take<'de> for WireUsage {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        let Self(usage) = self;
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "input_tokens" => map.next_value_seed(Into(&mut usage.prompt))?,
                "output_tokens" => map.next_value_seed(Into(&mut usage.completion))?,
                "total_tokens" => map.next_value_seed(Into(&mut usage.total))?,
                "cost" => usage.reported = number(&mut map, 0)?.or(usage.reported),
                "cost_in_usd_ticks" => usage.reported = number(&mut map, 10)?.or(usage.reported),
                "input_tokens_details" => map.next_value_seed(Into(&mut usage.prompt_details))?,
                "output_tokens_details" => map.next_value_seed(Into(&mut usage.completion_details))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}
