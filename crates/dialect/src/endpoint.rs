//! The calls that are metered, by the form that they have on the wire.
//!
//! A caller's call comes at one endpoint of ours, and goes to one of its provider's: the same one, where the provider
//! has it.

/// A metered call's form.
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
}

impl Endpoint {
    /// The endpoint at a path of ours.
    pub fn at(path: &str) -> Option<Self> {
        Some(match path {
            "/v1/chat/completions" => Self::Chat,
            "/v1/responses" => Self::Responses,
            "/v1/embeddings" => Self::Embeddings,
            "/v1/messages" => Self::Messages,
            _ => return None,
        })
    }

    /// The path below a provider's base URL, which ends in `/v1` or the like.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Responses => "/responses",
            Self::Embeddings => "/embeddings",
            Self::Messages => "/messages",
        }
    }

    /// The headers that say what a body means, and go upstream with it, in small letters.
    pub const fn head(self) -> &'static [&'static str] {
        match self {
            Self::Chat | Self::Responses | Self::Embeddings => &[],
            Self::Messages => &["anthropic-version", "anthropic-beta"],
        }
    }

    /// Whether a body means nothing without this header.
    pub fn requires(self, header: &str) -> bool {
        self == Self::Messages && header == "anthropic-version"
    }

    /// The name in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Embeddings => "embeddings",
            Self::Messages => "messages",
        }
    }

    /// Whether a model generates an answer of tokens, which count as output.
    pub const fn generates(self) -> bool {
        match self {
            Self::Chat | Self::Responses | Self::Messages => true,
            Self::Embeddings => false,
        }
    }
}
