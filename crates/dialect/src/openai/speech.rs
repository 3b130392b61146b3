//! What a choice says, in a chunk of a stream or in a whole answer.

use std::borrow::Cow;

use serde::de::{MapAccess, SeqAccess};

use crate::json::{self, Into, Name, Take};
use crate::output::Output;

/// A `delta` or a `message`: what one choice says.
pub(super) struct Speech<'o>(pub(super) &'o mut Output);

impl<'de> Take<'de> for Speech<'_> {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        // Some providers send the same reasoning under both names.
        let (mut reasoning, mut reasoning_content) = (None::<Cow<'de, str>>, None::<Cow<'de, str>>);
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "content" | "refusal" => map.next_value_seed(Into(&mut Content(self.0)))?,
                "reasoning" => map.next_value_seed(Into(&mut reasoning))?,
                "reasoning_content" => map.next_value_seed(Into(&mut reasoning_content))?,
                "tool_calls" | "function_call" => map.next_value_seed(Into(&mut Calls(self.0)))?,
                _ => json::skip(&mut map)?,
            }
        }
        if let Some(text) = reasoning_content.or(reasoning) {
            self.0.push(&text);
        }
        Ok(())
    }
}

/// A text, or parts that hold texts (Mistral's reasoning models nest them).
struct Content<'o>(&'o mut Output);

impl<'de> Take<'de> for Content<'_> {
    fn text(&mut self, text: &str) {
        self.0.push(text);
    }

    fn array<A: SeqAccess<'de>>(&mut self, seq: A) -> Result<(), A::Error> {
        json::each(seq, self)
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "text" | "refusal" | "thinking" => map.next_value_seed(Into(self))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

/// Calls of tools and of functions: their names and arguments are generated text.
struct Calls<'o>(&'o mut Output);

impl<'de> Take<'de> for Calls<'_> {
    fn array<A: SeqAccess<'de>>(&mut self, seq: A) -> Result<(), A::Error> {
        json::each(seq, self)
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "function" | "custom" => map.next_value_seed(Into(self))?,
                "name" | "arguments" | "input" => map.next_value_seed(Into(&mut Content(self.0)))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}
