//! What a model says, in an answer or in an event of one.

use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;

use crate::json::{self, Into, Kind, Name, Take};
use crate::output::Output;

/// A part of an answer, or the array of them: texts, thoughts, names and arguments of calls, code.
///
/// Signatures and what Google's machine answered to the code are not generated, and do not count.
pub(super) struct Speech<'o>(pub(super) &'o mut Output);

impl<'de> Take<'de> for Speech<'_> {
    fn array<A: SeqAccess<'de>>(&mut self, seq: A) -> Result<(), A::Error> {
        json::each(seq, self)
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "text" | "name" | "code" => map.next_value_seed(Into(&mut Text(self.0)))?,
                "functionCall" | "executableCode" => map.next_value_seed(Into(self))?,
                "args" => {
                    // The arguments of a call as they were generated.
                    let args = map.next_value::<&RawValue>()?.get();
                    if Kind::of(args) == Kind::Object {
                        self.0.push(args);
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
