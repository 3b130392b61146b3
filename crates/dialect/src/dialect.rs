//! The dialects: in whose words a caller is answered.

use crate::endpoint::Endpoint;

/// Whose shapes errors, models and headers have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI's, which most others understand.
    #[default]
    OpenAi,
    /// Anthropic's.
    Anthropic,
    /// Gemini's.
    Gemini,
}

impl Dialect {
    /// The dialect that is expected at a path, whether or not anything is there.
    pub fn of_path(path: &str) -> Self {
        if path.starts_with("/v1beta/") {
            return Self::Gemini;
        }
        // SDKs add the version to a base URL that may have it already.
        match path.trim_start_matches("/v1").strip_prefix("/messages") {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => Self::Anthropic,
            Some(_) | None => Self::OpenAi,
        }
    }
}

impl Endpoint {
    /// The dialect that is spoken at this endpoint; OpenAI's at those where nobody calls us.
    pub const fn dialect(self) -> Dialect {
        match self {
            Self::Chat
            | Self::Responses
            | Self::Embeddings
            | Self::Moderations
            | Self::Images
            | Self::ImageEdits
            | Self::Speech
            | Self::Transcriptions
            | Self::Translations
            | Self::Converse => Dialect::OpenAi,
            Self::Messages | Self::CountTokens => Dialect::Anthropic,
            Self::GenerateContent | Self::CountContent => Dialect::Gemini,
        }
    }
}
