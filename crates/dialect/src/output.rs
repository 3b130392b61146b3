//! The text that a model generated, gathered for an estimate where the provider does not say what it was.

/// Text of one answer that is kept for counting, in bytes. No model puts out nearly as much; what a provider gone wild
/// sends beyond it goes uncounted.
pub const OUTPUT_TEXT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// English text has about four bytes to a token.
const BYTES_PER_TOKEN: usize = 4;

/// What was generated: contents, refusals, reasoning, names and arguments of calls, of all choices in one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Output {
    text: String,
    pieces: u64,
}

impl Output {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }

    pub(crate) fn take_text(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    /// Tokens, roughly and at no cost. A provider that streams sends a piece for each token, or fewer pieces of more.
    pub(crate) fn tokens_seen(&self) -> u64 {
        self.pieces.max(u64::try_from(self.text.len() / BYTES_PER_TOKEN).unwrap_or(u64::MAX))
    }

    pub(crate) fn push(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.pieces += 1;
        if self.text.len().saturating_add(text.len()) <= OUTPUT_TEXT_BYTES_MAX {
            self.text.push_str(text);
        }
    }
}
