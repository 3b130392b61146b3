//! A call that goes to a provider of another dialect than its caller's, and the way back of its answer.
//!
//! It ties what `convert` says of forms to calls and streams, so that a converted call is metered, capped and held for
//! like any other of the provider's dialect. It must never know which provider that is.

use std::num::NonZeroU64;

use bytes::Bytes;
use domain::Usage;

use crate::address::{Addressed, Framing};
use crate::bad_request::BadRequest;
use crate::call::Call;
use crate::convert::{
    self, AnswerContext, Asked, Dropped, Garbage, Inexpressible, RequestOptions, StreamConverter, Surface,
    Thinking, WholeAnswer, Wire,
};
use crate::cut::CutCall;
use crate::endpoint::Endpoint;
use crate::manners::Upstream;

/// The version of Anthropic's API that converted calls are written for: the one that still takes `temperature`.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// A call in the form of its provider.
#[derive(Clone, Debug)]
pub struct Conversion {
    /// The form in which the caller asked, and will be answered.
    to_caller: Surface,
    from_provider: Wire,
    call: Call,
    dropped: Vec<Dropped>,
    asked: Asked,
}

impl Conversion {
    /// The call in the form of this endpoint of the provider's. Where that form demands a cap on the output and the
    /// caller names none, it is the one given.
    ///
    /// # Errors
    /// [`BadRequest`] that names the member which the provider's form cannot say.
    pub fn of(
        call: &Call,
        to: Endpoint,
        upstream: Upstream<'_>,
        output_tokens: NonZeroU64,
    ) -> Result<Self, BadRequest> {
        let (Some(to_caller), Some(from_provider)) = (surface(call.endpoint()), wire(to)) else {
            return Err(BadRequest::body(format_args!(
                "there is no way from {} to {}",
                call.endpoint().as_str(),
                to.as_str()
            )));
        };
        let options = RequestOptions {
            upstream,
            stream: call.stream(),
            default_output_tokens: output_tokens,
            thinking: thinking(upstream.model),
            sampling: true,
            // Those that demand it are few, and most refuse it.
            takes_reasoning: false,
        };
        let converted = convert::request(to_caller, from_provider, &call.bare_body(), &options)?;
        let body = Bytes::from(converted.body);
        let framing = if call.stream() { Framing::Events } else { Framing::Whole };
        let addressed = (to == Endpoint::GenerateContent)
            .then(|| Addressed { model: upstream.model.to_owned(), framing });
        let written = if to == Endpoint::Converse {
            Call::of_converse(body, upstream.model, call.stream())?
        } else {
            Call::read_at(to, addressed.as_ref(), body)?
        };
        let head = match to {
            Endpoint::Messages => vec![("anthropic-version", ANTHROPIC_VERSION.to_owned())],
            Endpoint::Chat
            | Endpoint::Responses
            | Endpoint::Embeddings
            | Endpoint::Moderations
            | Endpoint::Images
            | Endpoint::ImageEdits
            | Endpoint::Speech
            | Endpoint::Transcriptions
            | Endpoint::Translations
            | Endpoint::CountTokens
            | Endpoint::Converse
            | Endpoint::GenerateContent
            | Endpoint::CountContent => Vec::new(),
        };
        let call = written.with_head(head);
        Ok(Self { to_caller, from_provider, call, dropped: converted.dropped, asked: converted.asked })
    }

    /// The call as it goes upstream.
    pub const fn call(&self) -> &Call {
        &self.call
    }

    /// What did not reach the provider, for a warning.
    pub fn dropped(&self) -> &[Dropped] {
        &self.dropped
    }

    /// Reads a whole answer of the provider's.
    ///
    /// # Errors
    /// [`Garbage`] for what is no answer in its form.
    pub fn read_answer(&self, body: &[u8]) -> Result<WholeAnswer, Garbage> {
        convert::read_answer(self.from_provider, body)
    }

    /// The answer in the caller's form, with what it is charged for.
    pub fn write_answer(&self, answer: WholeAnswer, usage: &Usage, call: CutCall<'_>) -> Bytes {
        Bytes::from(convert::write_answer(self.to_caller, answer, usage, &self.context(call)))
    }

    /// The way back of a stream.
    pub fn stream(&self, call: CutCall<'_>) -> StreamConverter {
        StreamConverter::new(self.from_provider, self.to_caller, self.context(call))
    }

    fn context(&self, call: CutCall<'_>) -> AnswerContext {
        AnswerContext {
            seed: call.request_id.to_owned(),
            created_seconds: u64::try_from(call.at.seconds()).unwrap_or(0),
            model: call.model.to_owned(),
            asked: self.asked.clone(),
        }
    }
}

impl From<Inexpressible> for BadRequest {
    fn from(refused: Inexpressible) -> Self {
        Self { message: refused.message, param: refused.param, code: Some("unsupported_parameter") }
    }
}

const fn surface(endpoint: Endpoint) -> Option<Surface> {
    match endpoint {
        Endpoint::Chat => Some(Surface::Chat),
        Endpoint::Responses => Some(Surface::Responses),
        Endpoint::Messages => Some(Surface::Messages),
        Endpoint::GenerateContent => Some(Surface::Gemini),
        Endpoint::Embeddings
        | Endpoint::Moderations
        | Endpoint::Images
        | Endpoint::ImageEdits
        | Endpoint::Speech
        | Endpoint::Transcriptions
        | Endpoint::Translations
        | Endpoint::CountTokens
        | Endpoint::CountContent
        | Endpoint::Converse => None,
    }
}

const fn wire(endpoint: Endpoint) -> Option<Wire> {
    match endpoint {
        Endpoint::Chat => Some(Wire::Chat),
        Endpoint::Messages => Some(Wire::Messages),
        Endpoint::Converse => Some(Wire::Converse),
        Endpoint::GenerateContent => Some(Wire::Gemini),
        Endpoint::Responses
        | Endpoint::Embeddings
        | Endpoint::Moderations
        | Endpoint::Images
        | Endpoint::ImageEdits
        | Endpoint::Speech
        | Endpoint::Transcriptions
        | Endpoint::Translations
        | Endpoint::CountTokens
        | Endpoint::CountContent => None,
    }
}

/// How a model is told how much to reason, by its name: OpenAI's and those that follow it by a word, Anthropic's of the
/// third and fourth generation and Google's of the second by a number of tokens, later ones by a word. Of others nobody
/// knows, and it is left out with a warning.
fn thinking(model: &str) -> Thinking {
    let name = crate::tokens::family_name(model);
    // Amazon puts the maker, and often a region, before it: `us.anthropic.claude-sonnet-4-5-20250929-v1:0`.
    let name = name.rsplit_once("anthropic.").map_or(name, |(_, own)| own);
    let generation = |mark: &str| name.starts_with("claude") && name.contains(mark);
    let of_google = |generations: &[&str]| generations.iter().any(|start| name.starts_with(start));
    if generation("-3-7") || generation("-4") || of_google(&["gemini-2.5"]) {
        Thinking::Budget
    } else if generation("-5") && !generation("-3-5")
        || of_google(&["gemini-3", "gemini-4"])
        || name.starts_with("gpt-5")
        || name.starts_with('o')
    {
        Thinking::Effort
    } else {
        Thinking::Untold
    }
}
