//! The prompt of a request in Converse's form, counted for an estimate.

use serde::de::{MapAccess, SeqAccess};

use crate::json::{self, Into, Kind, Name, Take};
use crate::tokens::{MESSAGE_TOKENS, Prompt};

/// What Anthropic's models count for an image of the size to which larger ones are scaled. Other makers' differ.
const IMAGE_TOKENS: u64 = 1_568;

/// Counts the system prompt, the messages and the tools of a body, up to where it cannot be read any more.
pub(crate) fn read(text: &str, prompt: &mut Prompt) {
    // What was counted until an error is as much as there is.
    drop(json::read(text, &mut Body(prompt)));
}

struct Body<'p>(&'p mut Prompt);

impl<'de> Take<'de> for Body<'_> {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        self.0.add(MESSAGE_TOKENS);
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "system" => map.next_value_seed(Into(&mut Content(self.0)))?,
                "messages" => map.next_value_seed(Into(&mut Messages(self.0)))?,
                "toolConfig" => self.0.written(&mut map, &[Kind::Object])?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

/// One message, or the array of them.
struct Messages<'p>(&'p mut Prompt);

impl<'de> Take<'de> for Messages<'_> {
    fn array<A: SeqAccess<'de>>(&mut self, seq: A) -> Result<(), A::Error> {
        json::each(seq, self)
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        self.0.add(MESSAGE_TOKENS);
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "content" => map.next_value_seed(Into(&mut Content(self.0)))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

/// A text, or blocks, which may hold others.
struct Content<'p>(&'p mut Prompt);

impl<'de> Take<'de> for Content<'_> {
    fn text(&mut self, text: &str) {
        self.0.text(text);
    }

    fn array<A: SeqAccess<'de>>(&mut self, seq: A) -> Result<(), A::Error> {
        json::each(seq, self)
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "text" | "name" | "content" | "toolUse" | "toolResult" | "document" | "source" => {
                    map.next_value_seed(Into(self))?;
                }
                "input" => self.0.written(&mut map, &[Kind::Object])?,
                // A document's, too: it is shown as images of its pages.
                "bytes" => {
                    self.0.add(IMAGE_TOKENS);
                    json::skip(&mut map)?;
                }
                "image" => map.next_value_seed(Into(self))?,
                // Thoughts of earlier turns are taken out of the prompt by the provider.
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}
