//! An answer that is not streamed: its facts, read beside the bytes that pass.

use domain::{Pico, Usage};

use crate::anthropic;
use crate::converse;
use crate::endpoint::Endpoint;
use crate::gemini;
use crate::openai;
use crate::output::Output;

/// Texts of a provider that are kept are cut to this many bytes.
const NAME_BYTES_MAX: usize = 256;

/// An answer that is no JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the provider's answer is no JSON object")]
pub struct Garbage;

/// What an answer says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnswerFacts {
    /// The model that answered, cut to 256 bytes, where the answer names it.
    pub model: Option<String>,
    /// What was consumed, unless the provider does not say.
    pub usage: Option<Usage>,
    /// What the provider says that the answer cost, unless it does not say.
    pub reported_cost: Option<Pico>,
    /// The tier that was served, cut to 256 bytes.
    pub service_tier: Option<String>,
    /// Whether this is an error in spite of its status: there is an `error` that is not null or empty.
    pub has_error: bool,
    /// Whether this is an answer that says of itself that it failed. What it says it consumed was consumed.
    pub has_failed: bool,
    /// Searches of the web that the answer shows; they stand in the usage, too, if there is one.
    pub searches: u64,
    /// Images in the answer; they stand in the usage, too, if there is one.
    pub images: u64,
    /// How far a transcript with times has come, in milliseconds; 0 for others.
    pub audio_ms: u64,
}

impl AnswerFacts {
    /// Reads an answer.
    ///
    /// # Errors
    /// [`Garbage`] when it is no JSON object. Members of an unexpected type count as absent.
    pub fn read(endpoint: Endpoint, body: &[u8]) -> Result<Self, Garbage> {
        let text = std::str::from_utf8(body).map_err(|_| Garbage)?;
        match endpoint {
            Endpoint::Chat | Endpoint::Embeddings | Endpoint::Moderations => {
                openai::read_answer(endpoint, text)
            }
            Endpoint::Images
            | Endpoint::ImageEdits
            | Endpoint::Speech
            | Endpoint::Transcriptions
            | Endpoint::Translations => openai::read_media(endpoint, text),
            Endpoint::Messages | Endpoint::CountTokens => anthropic::read_answer(text),
            Endpoint::Responses => openai::responses::read_answer(text),
            Endpoint::Converse => converse::read_answer(text),
            Endpoint::GenerateContent | Endpoint::CountContent => gemini::read_answer(text),
        }
    }

    /// Reads a transcript that was asked for as text and not as JSON.
    ///
    /// # Errors
    /// [`Garbage`] when it is no text, or nothing.
    pub fn read_transcript(body: &[u8]) -> Result<Self, Garbage> {
        openai::read_transcript(std::str::from_utf8(body).map_err(|_| Garbage)?)
    }

    /// All text that was generated: contents, refusals, reasoning, names and arguments of calls, of all choices. For
    /// the estimate of an answer whose usage is missing; empty for embeddings and for what cannot be read.
    pub fn output_text(endpoint: Endpoint, body: &[u8]) -> String {
        let mut output = Output::default();
        let text = std::str::from_utf8(body).unwrap_or_default();
        match endpoint {
            Endpoint::Chat => openai::read_speech(text, &mut output),
            Endpoint::Messages => anthropic::read_speech(text, &mut output),
            Endpoint::GenerateContent => gemini::read_speech(text, &mut output),
            Endpoint::Embeddings
            | Endpoint::Moderations
            | Endpoint::Images
            | Endpoint::ImageEdits
            | Endpoint::Speech
            | Endpoint::CountTokens
            | Endpoint::CountContent => {}
            Endpoint::Transcriptions | Endpoint::Translations => openai::read_words(text, &mut output),
            Endpoint::Responses => openai::responses::read_speech(text, &mut output),
            Endpoint::Converse => converse::read_speech(text, &mut output),
        }
        output.into_text()
    }
}

/// A provider's name for something, as an owned text of bounded size.
pub(crate) fn short(text: &str) -> String {
    text.get(..text.floor_char_boundary(NAME_BYTES_MAX)).unwrap_or_default().to_owned()
}
