//! A stream of Converse, event by event. The name of an event is its `:event-type` or `:exception-type`.

use std::borrow::Cow;

use serde::de::MapAccess;

use super::response::Speech;
use super::usage::{Tier, WireUsage};
use crate::answer::short;
use crate::json::{self, Into, Kind, Name, Take};
use crate::stream::{Fate, StreamFault, Told};
use crate::upstream_error::UpstreamError;

/// Reads the events of an answer.
#[derive(Debug, Default)]
pub(crate) struct Reader;

impl Reader {
    /// Reads the data of one event. None of them passes: what goes to the client is written anew.
    pub(crate) fn read(
        &mut self,
        data: &str,
        name: Option<&str>,
        told: &mut Told,
    ) -> Result<Fate, StreamFault> {
        let name = name.unwrap_or_default();
        if name.ends_with("Exception") {
            told.error = Some(UpstreamError::of_exception(name, data));
            return Ok(Fate::Drop);
        }
        let mut event = Event { told, kind: Kind::Null, usage: None, tier: Tier::default() };
        json::read(data, &mut event).map_err(|_| StreamFault::Garbage)?;
        let Event { kind, usage, tier, .. } = event;
        if kind != Kind::Object {
            return Err(StreamFault::Garbage);
        }
        told.chunks += 1;
        if name != "metadata" {
            return Ok(Fate::Drop);
        }
        told.usage = usage.and_then(|usage| usage.to_usage()).or(told.usage);
        told.service_tier = tier.0.as_deref().filter(|tier| !tier.is_empty()).map(short);
        // It comes after the reason for the end, and nothing comes after it.
        Ok(if told.finish_seen { Fate::Done(None) } else { Fate::Drop })
    }
}

/// One event. No two kinds of events have a member of one name and two meanings, so all are read alike.
struct Event<'t, 'de> {
    told: &'t mut Told,
    kind: Kind,
    usage: Option<WireUsage>,
    tier: Tier<'de>,
}

impl<'de> Take<'de> for Event<'_, 'de> {
    fn kind(&mut self, kind: Kind) {
        self.kind = kind;
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "start" | "delta" => map.next_value_seed(Into(&mut Speech(&mut self.told.output)))?,
                "stopReason" => {
                    let mut reason = None::<Cow<'de, str>>;
                    map.next_value_seed(Into(&mut reason))?;
                    self.told.finish_seen |= reason.is_some_and(|reason| !reason.is_empty());
                }
                "usage" => {
                    let mut usage = WireUsage::default();
                    map.next_value_seed(Into(&mut usage))?;
                    self.usage = Some(usage);
                }
                "serviceTier" => map.next_value_seed(Into(&mut self.tier))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}
