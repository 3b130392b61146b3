//! The calls that are served, by the form that they have on the wire.
//!
//! A caller's call comes at one endpoint of ours, and goes to one of its provider's: the same one, where the provider
//! has it. One has no path of ours: calls are converted to it, and never come in it.

use crate::address;

use crate::stream::EVENT_BYTES_MAX;

/// 3,840 x 2,160 pixels of four bytes each, in base64: what compresses to nothing less.
const IMAGE_EVENT_BYTES_MAX: usize = 48 * 1024 * 1024;

/// A call's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// OpenAI's `POST /v1/chat/completions`.
    Chat,
    /// OpenAI's `POST /v1/responses`.
    Responses,
    /// OpenAI's `POST /v1/embeddings`.
    Embeddings,
    /// OpenAI's `POST /v1/moderations`: whether texts and images are harmful.
    Moderations,
    /// OpenAI's `POST /v1/images/generations`.
    Images,
    /// OpenAI's `POST /v1/images/edits`.
    ImageEdits,
    /// OpenAI's `POST /v1/audio/speech`: a text is spoken.
    Speech,
    /// OpenAI's `POST /v1/audio/transcriptions`: what was spoken is written down.
    Transcriptions,
    /// OpenAI's `POST /v1/audio/translations`: the same in English.
    Translations,
    /// Anthropic's `POST /v1/messages`.
    Messages,
    /// Anthropic's `POST /v1/messages/count_tokens`: how long a prompt is. It costs nothing.
    CountTokens,
    /// Amazon Bedrock's `POST /model/{model}/converse`, and `/converse-stream`. No caller speaks it.
    Converse,
    /// Gemini's `POST /v1beta/models/{model}:generateContent` and `:streamGenerateContent`.
    GenerateContent,
    /// Gemini's `POST /v1beta/models/{model}:countTokens`: how long a prompt is. It costs nothing.
    CountContent,
}

impl Endpoint {
    /// The endpoint at a path of ours.
    pub fn at(path: &str) -> Option<Self> {
        Some(match path {
            "/v1/chat/completions" => Self::Chat,
            "/v1/responses" => Self::Responses,
            "/v1/embeddings" => Self::Embeddings,
            "/v1/moderations" => Self::Moderations,
            "/v1/images/generations" => Self::Images,
            "/v1/images/edits" => Self::ImageEdits,
            "/v1/audio/speech" => Self::Speech,
            "/v1/audio/transcriptions" => Self::Transcriptions,
            "/v1/audio/translations" => Self::Translations,
            "/v1/messages" => Self::Messages,
            "/v1/messages/count_tokens" => Self::CountTokens,
            _ => return address::gemini_endpoint(path),
        })
    }

    /// The path below a provider's base URL, which ends in `/v1` or the like; of Gemini's and of Converse, what follows the
    /// model.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Responses => "/responses",
            Self::Embeddings => "/embeddings",
            Self::Moderations => "/moderations",
            Self::Images => "/images/generations",
            Self::ImageEdits => "/images/edits",
            Self::Speech => "/audio/speech",
            Self::Transcriptions => "/audio/transcriptions",
            Self::Translations => "/audio/translations",
            Self::Messages => "/messages",
            Self::CountTokens => "/messages/count_tokens",
            Self::Converse => "/converse",
            Self::GenerateContent => ":generateContent",
            Self::CountContent => ":countTokens",
        }
    }

    /// The headers that say what a body means, and go upstream with it, in small letters.
    pub const fn head(self) -> &'static [&'static str] {
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
            | Self::GenerateContent
            | Self::CountContent
            | Self::Converse => &[],
            Self::Messages | Self::CountTokens => &["anthropic-version", "anthropic-beta"],
        }
    }

    /// Whether a body means nothing without this header.
    pub fn requires(self, header: &str) -> bool {
        matches!(self, Self::Messages | Self::CountTokens) && header == "anthropic-version"
    }

    /// The name in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Embeddings => "embeddings",
            Self::Moderations => "moderations",
            Self::Images => "images",
            Self::ImageEdits => "image_edits",
            Self::Speech => "speech",
            Self::Transcriptions => "transcriptions",
            Self::Translations => "translations",
            Self::Messages => "messages",
            Self::CountTokens => "count_tokens",
            Self::Converse => "converse",
            Self::GenerateContent => "generate_content",
            Self::CountContent => "count_content",
        }
    }

    /// Whether it tells how long a prompt is, and nothing else. That costs nothing.
    pub const fn counts(self) -> bool {
        matches!(self, Self::CountTokens | Self::CountContent)
    }

    /// The member by which a call asks for another service tier.
    pub const fn tier_param(self) -> &'static str {
        match self {
            Self::Messages => "speed",
            Self::GenerateContent => "serviceTier",
            Self::Chat
            | Self::Responses
            | Self::Embeddings
            | Self::Moderations
            | Self::Images
            | Self::ImageEdits
            | Self::Speech
            | Self::Transcriptions
            | Self::Translations
            | Self::CountTokens
            | Self::CountContent
            | Self::Converse => "service_tier",
        }
    }

    /// The longest event of a stream that is taken, in bytes, its line ends included. An image comes in one.
    pub const fn event_bytes_max(self) -> usize {
        match self {
            Self::Images | Self::ImageEdits | Self::GenerateContent => IMAGE_EVENT_BYTES_MAX,
            Self::Chat
            | Self::Responses
            | Self::Embeddings
            | Self::Moderations
            | Self::Speech
            | Self::Transcriptions
            | Self::Translations
            | Self::Messages
            | Self::CountTokens
            | Self::CountContent
            | Self::Converse => EVENT_BYTES_MAX,
        }
    }

    /// Whether a model generates an answer of tokens, which count as output.
    pub const fn generates(self) -> bool {
        match self {
            Self::Chat | Self::Responses | Self::Messages | Self::GenerateContent | Self::Converse => true,
            Self::Embeddings
            | Self::Moderations
            | Self::Images
            | Self::ImageEdits
            | Self::Speech
            | Self::Transcriptions
            | Self::Translations
            | Self::CountTokens
            | Self::CountContent => false,
        }
    }

    /// Whether a call may come as a form (`multipart/form-data`), because it brings files.
    pub const fn takes_form(self) -> bool {
        matches!(self, Self::ImageEdits | Self::Transcriptions | Self::Translations)
    }

    /// Whether a call may come as JSON.
    pub const fn takes_json(self) -> bool {
        !matches!(self, Self::Transcriptions | Self::Translations)
    }

    /// Whether a call makes or changes images.
    pub const fn makes_images(self) -> bool {
        matches!(self, Self::Images | Self::ImageEdits)
    }

    /// Whether a call brings a recording, and asks for what is said in it.
    pub const fn hears(self) -> bool {
        matches!(self, Self::Transcriptions | Self::Translations)
    }
}
