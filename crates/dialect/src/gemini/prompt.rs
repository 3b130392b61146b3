//! The prompt of a request for content, counted for an estimate.

use serde::de::{MapAccess, SeqAccess};
use serde_json::value::RawValue;

use crate::json::{self, Into, Kind, Name, Take};
use crate::tokens::{MESSAGE_TOKENS, Prompt};

/// A tile of 768 x 768 pixels, by Google's rule; larger images have several.
/// <https://ai.google.dev/gemini-api/docs/tokens>
const IMAGE_TOKENS: u64 = 258;

/// Counts the instructions, the contents and the tools of a body, up to where it cannot be read any more.
pub(crate) fn read(text: &str, prompt: &mut Prompt) {
    // What was counted until an error is as much as there is.
    drop(json::read(text, &mut Body(prompt)));
}

struct Body<'p>(&'p mut Prompt);

impl<'de> Take<'de> for Body<'_> {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "generateContentRequest" | "generate_content_request" => {
                    map.next_value_seed(Into(self))?;
                }
                "systemInstruction" | "system_instruction" | "contents" => {
                    map.next_value_seed(Into(&mut Content(self.0)))?;
                }
                "tools" => self.0.written(&mut map, &[Kind::Array])?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

/// One content, or the array of them.
struct Content<'p>(&'p mut Prompt);

impl<'de> Take<'de> for Content<'_> {
    fn array<A: SeqAccess<'de>>(&mut self, seq: A) -> Result<(), A::Error> {
        json::each(seq, self)
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        self.0.add(MESSAGE_TOKENS);
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "parts" => map.next_value_seed(Into(&mut Part(self.0)))?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

/// One part, or the array of them.
struct Part<'p>(&'p mut Prompt);

impl<'de> Take<'de> for Part<'_> {
    fn text(&mut self, text: &str) {
        self.0.text(text);
    }

    fn array<A: SeqAccess<'de>>(&mut self, seq: A) -> Result<(), A::Error> {
        json::each(seq, self)
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "text" => map.next_value_seed(Into(self))?,
                "functionCall" | "function_call" | "functionResponse" | "function_response" => {
                    self.0.text(map.next_value::<&RawValue>()?.get());
                }
                "inlineData" | "inline_data" | "fileData" | "file_data" => {
                    self.0.add(IMAGE_TOKENS);
                    json::skip(&mut map)?;
                }
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}
