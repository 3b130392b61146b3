//! One event of a stream of a response, member by member.

use std::borrow::Cow;

use serde::de::MapAccess;
use serde_json::value::RawValue;

use crate::json::{self, Into, Kind, Name, Take};
use crate::upstream_error::is_error;

/// The members that some event has which the gateway looks at. Its type says which of them mean something.
#[derive(Default)]
pub(super) struct Event<'a> {
    pub(super) kind: Option<Kind>,
    /// `type`.
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) sequence_number: Option<u64>,
    pub(super) output_index: Option<u64>,
    pub(super) content_index: Option<u64>,
    pub(super) delta: Option<Cow<'a, str>>,
    pub(super) response: Option<&'a RawValue>,
    pub(super) item: Option<&'a RawValue>,
    pub(super) part: Option<&'a RawValue>,
    /// Whether there is an `error` that is one.
    pub(super) has_error: bool,
}

impl<'de> Take<'de> for Event<'de> {
    fn kind(&mut self, kind: Kind) {
        self.kind = Some(kind);
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "type" => map.next_value_seed(Into(&mut self.name))?,
                "sequence_number" => map.next_value_seed(Into(&mut self.sequence_number))?,
                "output_index" => map.next_value_seed(Into(&mut self.output_index))?,
                "content_index" => map.next_value_seed(Into(&mut self.content_index))?,
                "delta" => map.next_value_seed(Into(&mut self.delta))?,
                "response" => self.response = Some(map.next_value()?),
                "item" => self.item = Some(map.next_value()?),
                "part" => self.part = Some(map.next_value()?),
                "error" => self.has_error = is_error(map.next_value()?),
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}
