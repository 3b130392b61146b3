//! Parts of a prompt that are not text, and what to reckon for them before the provider has counted.

use serde::de::{Error, MapAccess, SeqAccess};
use serde_json::value::RawValue;

use crate::json::{self, Into, Kind, Name, Take};

/// Tokens that an image can cost: 10,000 patches (the budget of detail `original`, the largest) at 1.2 tokens each.
/// Tiled models stay below: 1,445 for the GPT-4o family, whose high detail has at most 8 tiles of 170 and 85 more.
const IMAGE_TOKENS: u64 = 12_000;

/// The same for GPT-4o mini, which counts 33 times as many tokens for an image: 2,833 + 8 x 5,667.
const IMAGE_TOKENS_4O_MINI: u64 = 48_169;

/// Base64 characters to one token of audio, rounded down with room: the thinnest MP3 (8 kbit/s) has 1,333 of them a
/// second, and no provider counts more than 32 tokens a second.
const AUDIO_CHARS_PER_TOKEN: u64 = 16;

/// Tokens reckoned for a file whose contents are elsewhere, and the most for one that came along: 100 pages (the
/// usual limit) of 1,000 tokens of text and an image of 1,445 each.
const FILE_TOKENS: u64 = 244_500;

/// How many parts of a prompt are not text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MediaParts {
    /// `image_url` parts.
    pub images: u64,
    /// `input_audio` parts.
    pub audio: u64,
    /// `file` parts.
    pub files: u64,
}

/// The same, with the sizes that matter.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Media {
    pub(super) parts: MediaParts,
    /// Bytes of media that stand in the body itself, as data URLs and the like. They are not read as text.
    pub(super) inline_bytes: u64,
    audio_bytes: u64,
    file_tokens: u64,
}

impl Media {
    /// What to reckon for the parts that are not text, with this model.
    pub(super) fn tokens_bound(&self, model: &str) -> u64 {
        let image = if model.contains("4o-mini") { IMAGE_TOKENS_4O_MINI } else { IMAGE_TOKENS };
        image
            .saturating_mul(self.parts.images)
            .saturating_add(self.audio_bytes.div_ceil(AUDIO_CHARS_PER_TOKEN))
            .saturating_add(self.file_tokens)
    }
}

/// One message of a request, of which only media matter here: what else it holds is the provider's business.
pub(super) struct Message<'m>(pub(super) &'m mut Media);

impl<'de> Take<'de> for Message<'_> {
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            if name != "content" {
                json::skip_shallow(&mut map)?;
                continue;
            }
            // A text is passed over faster than it is decoded, and nearly all contents are texts.
            let content = map.next_value::<&RawValue>()?.get();
            if Kind::of(content) == Kind::Array {
                // Its places are not those of the body, so the parser's own words would mislead.
                json::read(content, &mut Content(&mut *self.0)).map_err(|_| {
                    Error::custom(
                        "a message's content is nested too deeply, or holds what is no Unicode text",
                    )
                })?;
            } else {
                json::check_depth(content)?;
            }
        }
        Ok(())
    }

    fn array<A: SeqAccess<'de>>(&mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(item) = seq.next_element::<&RawValue>()? {
            json::check_depth(item.get())?;
        }
        Ok(())
    }
}

/// The parts of a message's content.
pub(super) struct Content<'m>(pub(super) &'m mut Media);

impl<'de> Take<'de> for Content<'_> {
    fn array<A: SeqAccess<'de>>(&mut self, seq: A) -> Result<(), A::Error> {
        json::each(seq, self)
    }

    /// A part is what it has the member for; some providers read one without a `type`.
    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            let mut inline = Inline(0);
            match &*name {
                "image_url" => {
                    self.0.parts.images += 1;
                    map.next_value_seed(Into(&mut inline))?;
                }
                "input_audio" => {
                    self.0.parts.audio += 1;
                    map.next_value_seed(Into(&mut inline))?;
                    self.0.audio_bytes = self.0.audio_bytes.saturating_add(inline.0);
                }
                "file" => {
                    self.0.parts.files += 1;
                    map.next_value_seed(Into(&mut inline))?;
                    let tokens = if inline.0 == 0 { FILE_TOKENS } else { inline.0.min(FILE_TOKENS) };
                    self.0.file_tokens = self.0.file_tokens.saturating_add(tokens);
                }
                _ => json::skip_shallow(&mut map)?,
            }
            self.0.inline_bytes = self.0.inline_bytes.saturating_add(inline.0);
        }
        Ok(())
    }
}

/// Bytes of a medium that came along with its part.
struct Inline(u64);

impl<'de> Take<'de> for Inline {
    fn text(&mut self, text: &str) {
        self.0 = self.0.saturating_add(u64::try_from(text.len()).unwrap_or(u64::MAX));
    }

    fn object<A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            match &*name {
                "url" | "data" | "file_data" => map.next_value_seed(Into(self))?,
                _ => json::skip_shallow(&mut map)?,
            }
        }
        Ok(())
    }
}
