//! Parts of a prompt that are not text, and what to reckon for them before the provider has counted.

/// Tokens that an image can cost: 10,000 patches (the budget of detail `original`, the largest) at 1.2 tokens each.
/// Tiled models stay below: 1,445 for the GPT-4o family, whose high detail has at most 8 tiles of 170 and 85 more.
const IMAGE_TOKENS: u64 = 12_000;

/// The same for GPT-4o mini, which counts 33 times as many tokens for an image: 2,833 + 8 x 5,667.
const IMAGE_TOKENS_4O_MINI: u64 = 48_169;

/// Base64 characters to one token of audio, rounded down with room: the thinnest MP3 (8 kbit/s) has 1,333 of them a
/// second, and no provider counts more than 32 tokens a second.
const AUDIO_CHARS_PER_TOKEN: u64 = 16;

/// Tokens of a page: 1,000 of text and an image of 1,445. A file that came along has one at least, however small it is.
const PAGE_TOKENS: u64 = 2_445;

/// Tokens reckoned for a file whose contents are elsewhere, and the most for one that came along: 100 pages, the usual
/// limit.
const FILE_TOKENS: u64 = 100 * PAGE_TOKENS;

/// How many parts of a prompt are not text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MediaParts {
    /// Images.
    pub images: u64,
    /// Recordings.
    pub audio: u64,
    /// Files, such as documents.
    pub files: u64,
}

/// The same, with the sizes that matter.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Media {
    pub(crate) parts: MediaParts,
    /// Bytes of media that stand in the body itself, as data URLs and the like. They are not read as text.
    pub(crate) inline_bytes: u64,
    audio_bytes: u64,
    file_tokens: u64,
}

impl Media {
    /// Notes an image of which so many bytes stand in the body.
    pub(crate) const fn image(&mut self, inline_bytes: u64) {
        self.parts.images += 1;
        self.inline_bytes = self.inline_bytes.saturating_add(inline_bytes);
    }

    /// Notes a recording.
    pub(crate) const fn audio(&mut self, inline_bytes: u64) {
        self.parts.audio += 1;
        self.audio_bytes = self.audio_bytes.saturating_add(inline_bytes);
        self.inline_bytes = self.inline_bytes.saturating_add(inline_bytes);
    }

    /// Notes a file.
    pub(crate) fn file(&mut self, inline_bytes: u64) {
        self.parts.files += 1;
        let tokens =
            if inline_bytes == 0 { FILE_TOKENS } else { inline_bytes.clamp(PAGE_TOKENS, FILE_TOKENS) };
        self.file_tokens = self.file_tokens.saturating_add(tokens);
        self.inline_bytes = self.inline_bytes.saturating_add(inline_bytes);
    }

    /// What to reckon for the parts that are not text, with this model.
    pub(crate) fn tokens_bound(&self, model: &str) -> u64 {
        let image = if model.contains("4o-mini") { IMAGE_TOKENS_4O_MINI } else { IMAGE_TOKENS };
        image
            .saturating_mul(self.parts.images)
            .saturating_add(self.audio_bytes.div_ceil(AUDIO_CHARS_PER_TOKEN))
            .saturating_add(self.file_tokens)
    }
}
