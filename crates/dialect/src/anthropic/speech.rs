//! What a model says, in a block of an answer or in a delta of one.

use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;

use crate::json::{self, Into, Kind, Name, Take};
use crate::output::Output;

/// A block or a delta, or an array of blocks: texts, thoughts, names and arguments of calls.
///
/// Signatures and what servers' tools answered are not generated, and do not count.
pub(super) struct Speech<'o>(pub(super) &'o mut Output);

impl<'de> Take<'de> for Speech<'_> {
    fn array<A: SeqAccess<'de>>(&mut self, seq: A) -> Result<(), A::Error> {
        json::each(seq, self)
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "text" | "thinking" | "partial_json" | "name" => {
                    map.next_value_seed(Into(&mut Text(self.0)))?
                }
                "input" => {
                    // The arguments of a call as they were generated; a stream begins with an empty object.
                    let input = map.next_value::<&RawValue>()?.get();
                    if Kind::of(input) == Kind::Object && input != "{}" {
                        self.0.push(input);
                    }
                }
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

struct Text<'o>(&'o mut Output);

impl Take<'_> for Text<'_> {
    fn text(&mut self, text: &str) {
        self.0.push(text);
    }
}
