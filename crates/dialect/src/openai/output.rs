//! The text that a model generated, gathered for an estimate where the provider does not say what it was.

use std::borrow::Cow;

use serde::de::{MapAccess, SeqAccess};

use crate::json::{self, Into, Name, Take};

/// Text of one answer that is kept for counting, in bytes. No model puts out nearly as much; what a provider gone wild
/// sends beyond it goes uncounted.
pub const OUTPUT_TEXT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// English text has about four bytes to a token.
const BYTES_PER_TOKEN: usize = 4;

/// What was generated: contents, refusals, reasoning, names and arguments of calls, of all choices in one.
#[derive(Clone, Debug, Default)]
pub(super) struct Output {
    text: String,
    pieces: u64,
}

impl Output {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    pub(super) fn take_text(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    /// Tokens, roughly and at no cost. A provider that streams sends a piece for each token, or fewer pieces of more.
    pub(super) fn tokens_seen(&self) -> u64 {
        self.pieces.max(u64::try_from(self.text.len() / BYTES_PER_TOKEN).unwrap_or(u64::MAX))
    }

    fn push(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.pieces += 1;
        if self.text.len().saturating_add(text.len()) <= OUTPUT_TEXT_BYTES_MAX {
            self.text.push_str(text);
        }
    }
}

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
