//! The calls that are served, by the form that they have on the wire.
//!
//! A caller's call comes at one endpoint of ours, and goes to one of its provider's: the same one, where the provider
//! has it.

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
    /// Anthropic's `POST /v1/messages`.
    Messages,
    /// Anthropic's `POST /v1/messages/count_tokens`: how long a prompt is. It costs nothing.
    CountTokens,
}

impl Endpoint {
    /// The endpoint at a path of ours.
    pub fn at(path: &str) -> Option<Self> {
        Some(match path {
            "/v1/chat/completions" => Self::Chat,
            "/v1/responses" => Self::Responses,
            "/v1/embeddings" => Self::Embeddings,
            "/v1/moderations" => Self::Moderations,
            "/v1/messages" => Self::Messages,
            "/v1/messages/count_tokens" => Self::CountTokens,
            _ => return None,
        })
    }

    /// The path below a provider's base URL, which ends in `/v1` or the like.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Responses => "/responses",
            Self::Embeddings => "/embeddings",
            Self::Moderations => "/moderations",
            Self::Messages => "/messages",
            Self::CountTokens => "/messages/count_tokens",
        }
    }

    /// The headers that say what a body means, and go upstream with it, in small letters.
    pub const fn head(self) -> &'static [&'static str] {
        match self {
            Self::Chat | Self::Responses | Self::Embeddings | Self::Moderations => &[],
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
            Self::Messages => "messages",
            Self::CountTokens => "count_tokens",
        }
    }

    /// Whether a model generates an answer of tokens, which count as output.
    pub const fn generates(self) -> bool {
        match self {
            Self::Chat | Self::Responses | Self::Messages => true,
            Self::Embeddings | Self::Moderations | Self::CountTokens => false,
        }
    }
}
