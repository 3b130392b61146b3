//! OpenAI's shapes: chat completions, embeddings, models, errors.

mod bad_request;
mod body;
mod cap;
mod chunk;
mod cut;
mod error;
mod fields;
mod media;
mod models;
mod output;
mod request;
mod response;
mod sse;
mod stream;
mod upstream_error;
mod usage;

pub use bad_request::BadRequest;
pub use body::BodyParts;
pub use cut::{Cut, CutCall};
pub use error::ErrorBody;
pub use media::MediaParts;
pub use models::{ModelCard, ModelPricing, model_json, models_json};
pub use output::OUTPUT_TEXT_BYTES_MAX;
pub use request::Call;
pub use response::{AnswerFacts, Garbage};
pub use stream::{EVENT_BYTES_MAX, StreamFault, StreamMeter, StreamOptions};
pub use upstream_error::UpstreamError;

/// The calls that are metered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `POST /v1/chat/completions`.
    Chat,
    /// `POST /v1/embeddings`.
    Embeddings,
}

impl Endpoint {
    /// The path below a base URL, which ends in `/v1` or the like.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Embeddings => "/embeddings",
        }
    }

    /// The name in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embeddings => "embeddings",
        }
    }
}
