//! What a call makes or brings that is no text: how much of it, as far as the request alone says.

use std::ops::Range;

use domain::Usage;

use crate::sound::Length;

/// Tokens that an image of 1,024 x 1,024 pixels has as input, where the provider does not tell.
const IMAGE_TOKENS: u64 = 765;
/// Time of one token of audio that is heard, in milliseconds: <https://developers.openai.com/api/docs/guides/realtime-costs>.
const HEARD_MS_PER_TOKEN: u64 = 100;
/// The same of audio that is spoken: 1,250 a minute, which is what 0.015 a minute buys at 12 a million, OpenAI's two
/// prices of gpt-4o-mini-tts.
const SPOKEN_MS_PER_TOKEN: u64 = 48;

/// How an image is to look, as far as that is named and not left to the model: its price may depend on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Such as `1024x1024`, or `2k`.
    pub size: Option<String>,
    /// Such as `hd`.
    pub quality: Option<String>,
}

/// What an answer shows of what is no text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Images that were made, or were being made.
    pub images: u64,
    /// Milliseconds of audio: as long as what was spoken is, or as far as what was heard has come.
    pub audio_ms: u64,
}

/// What one call has made, or brings. Nothing of it for chats and their like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Product {
    /// How images are to look, of calls for some.
    pub(crate) look: Option<Box<Look>>,
    /// Images.
    pub(crate) images: u64,
    /// The output tokens that one image is reckoned at where the provider does not tell them.
    pub(crate) image_tokens: u64,
    /// The most output tokens of each choice, of all sorts. The request decides, and no cap lowers it.
    pub(crate) output_tokens: u64,
    /// Images that come with the call.
    pub(crate) images_brought: u64,
    /// The most input tokens of what comes with the call and is no text.
    pub(crate) input_tokens: u64,
    /// Characters to be spoken.
    pub(crate) characters: u64,
    /// The most time of audio that can be charged, in milliseconds: of what is to be heard, or spoken.
    pub(crate) audio_ms: u64,
    /// What is to be heard.
    pub(crate) recording: Option<Length>,
    /// Of a call that came as a form: its texts.
    pub(crate) form: Option<FormText>,
    /// Whether an answer that is not streamed is no JSON but text.
    pub(crate) plain_answer: bool,
}

/// The texts of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FormText {
    /// Bytes of all of them.
    pub(crate) bytes: usize,
    /// Where the prompt stands.
    pub(crate) prompt: Option<Range<usize>>,
}

impl Product {
    /// What a call with this answer has used beside text, where nobody counted: in each unit that it could be charged by, of
    /// which the price knows one.
    pub(crate) fn reckoned(&self, made: Made) -> Usage {
        let usage = Usage {
            images: made.images,
            image_input: self.images_brought.saturating_mul(IMAGE_TOKENS),
            image_output: self.image_tokens.saturating_mul(made.images),
            characters: self.characters,
            ..Usage::default()
        };
        match self.recording {
            Some(recording) => {
                let audio_ms = recording.reckoned(made.audio_ms);
                Usage { audio_ms, audio_input: audio_ms.div_ceil(HEARD_MS_PER_TOKEN), ..usage }
            }
            None => {
                let audio_output = made.audio_ms.div_ceil(SPOKEN_MS_PER_TOKEN);
                Usage { audio_ms: made.audio_ms, audio_output, ..usage }
            }
        }
    }
}

/// The time of so many tokens of audio that is spoken, in milliseconds.
pub(crate) const fn spoken_ms(tokens: u64) -> u64 {
    tokens.saturating_mul(SPOKEN_MS_PER_TOKEN)
}
