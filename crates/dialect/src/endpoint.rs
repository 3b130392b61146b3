//! The calls that are served, by the form that they have on the wire.
//!
//! A caller's call comes at one endpoint of ours, and goes to one of its provider's: the same one, where the provider
//! has it. One has no path of ours: calls are converted to it, and never come in it.

use crate::address;

/// A call's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// OpenAI's `POST /v1/chat/completions`.
    Chat,
    /// OpenAI's `POST /v1/responses`.
    Responses,
    /// OpenAI's `POST /v1/embeddings`.
    Embeddings,
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
            | Self::CountTokens
            | Self::CountContent
            | Self::Converse => "service_tier",
        }
    }

    /// Whether a model generates an answer of tokens, which count as output.
    pub const fn generates(self) -> bool {
        match self {
            Self::Chat | Self::Responses | Self::Messages | Self::GenerateContent | Self::Converse => true,
            Self::Embeddings | Self::CountTokens | Self::CountContent => false,
        }
    }
}
