//! The prompt of a request in Converse's form, counted for an estimate.

use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;

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
                "toolConfig" => written(&mut map, self.0)?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

/// Counts an object as its JSON is written.
fn written<'de, A: MapAccess<'de>>(map: &mut A, prompt: &mut Prompt) -> Result<(), A::Error> {
    let text = map.next_value::<&RawValue>()?.get();
    if Kind::of(text) == Kind::Object {
        prompt.text(text);
    }
    Ok(())
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
                "input" => written(&mut map, self.0)?,
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
