//! How providers that say they speak a dialect want it otherwise.

use std::num::NonZeroU64;

/// What a provider's chats want otherwise than OpenAI's. The default is OpenAI's own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manners {
    /// The one member that caps an answer, where a provider refuses the other name: the caller's is renamed. Where it
    /// is not stated, both pass, and what the gateway puts in goes by the model's name.
    pub cap: Option<&'static str>,
    /// Whether a stream tells its usage only when asked by `stream_options`. Where not, it tells it unasked, and the
    /// member is taken out.
    pub stream_options: bool,
    /// Whether it takes OpenRouter's `provider` itself; where not, the gateway heeds it and takes it out.
    pub preferences: bool,
    /// The version of Anthropic's API, where the body states it in place of a header, and the address tells the model, as
    /// Google's Vertex AI wants it.
    pub version_in_body: Option<&'static str>,
}

impl Default for Manners {
    fn default() -> Self {
        Self { cap: None, stream_options: true, preferences: false, version_in_body: None }
    }
}

/// What a call becomes on its way upstream.
#[derive(Clone, Copy, Debug)]
pub struct Upstream<'a> {
    /// The provider's name for the model, in place of the caller's.
    pub model: &'a str,
    /// What the provider wants otherwise.
    pub manners: Manners,
    /// The most output tokens of each choice, where the gateway lowers it.
    pub output_cap: Option<NonZeroU64>,
}
