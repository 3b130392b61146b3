//! The prompt of a request for messages, counted for an estimate.

use std::borrow::Cow;

use serde::de::{MapAccess, SeqAccess};

use crate::json::{self, Into, Kind, Name, Take};
use crate::tokens::{MESSAGE_TOKENS, Prompt};

/// An image of 1,568 x 1,568 pixels at most, which is what larger ones are scaled to, by Anthropic's rule of a token to
/// 750 pixels.
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
                "messages" => map.next_value_seed(Into(&mut Message(self.0)))?,
                "tools" => self.0.written(&mut map, &[Kind::Array])?,
                _ => json::skip(&mut map)?,
            }
        }
        Ok(())
    }
}

/// One message, or the array of them.
struct Message<'p>(&'p mut Prompt);

impl<'de> Take<'de> for Message<'_> {
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
        let (mut kind, mut is_medium) = (None::<Cow<'de, str>>, false);
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "type" => map.next_value_seed(Into(&mut kind))?,
                "text" | "content" | "title" | "context" => map.next_value_seed(Into(self))?,
                "name" => map.next_value_seed(Into(self))?,
                "input" => self.0.written(&mut map, &[Kind::Object])?,
                "source" => {
                    let mut source = Source { prompt: self.0, is_medium };
                    map.next_value_seed(Into(&mut source))?;
                    is_medium = source.is_medium;
                }
                // Thoughts of earlier turns are taken out of the prompt by the provider.
                _ => json::skip(&mut map)?,
            }
        }
        if is_medium && kind.as_deref() != Some("text") {
            self.0.add(IMAGE_TOKENS);
        }
        Ok(())
    }
}

/// Where a medium is. One that is a text counts as such, any other as an image.
struct Source<'p> {
    prompt: &'p mut Prompt,
    /// It is no text.
    is_medium: bool,
}

impl<'de> Take<'de> for Source<'_> {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        let (mut kind, mut data) = (None::<Cow<'de, str>>, None::<Cow<'de, str>>);
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "type" => map.next_value_seed(Into(&mut kind))?,
                "data" => map.next_value_seed(Into(&mut data))?,
                "content" => map.next_value_seed(Into(&mut Content(self.prompt)))?,
                _ => json::skip(&mut map)?,
            }
        }
        match kind.as_deref() {
            Some("text") => self.prompt.text(data.as_deref().unwrap_or_default()),
            Some("content") => {}
            _ => self.is_medium = true,
        }
        Ok(())
    }
}
