//! OpenAI's shapes: chat completions, responses, embeddings, models.

mod chunk;
mod cut;
mod fallbacks;
mod fields;
mod media;
mod models;
mod preferences;
mod reader;
mod request;
mod response;
pub(crate) mod responses;
mod speech;
mod usage;

pub(crate) use cut::{Cut, UsageJson};
pub use fallbacks::Fallback;
pub use models::{ModelCard, ModelPricing, model_json, models_json};
pub use preferences::{Preferences, Sort};
pub(crate) use reader::Reader;
pub(crate) use request::{read, takes_new_name};
pub(crate) use response::{read_answer, read_speech};

/// Names of events that only keep a connection alive. Clients take their data for a chunk and stumble over it.
const KEEP_ALIVES: [&str; 4] = ["ping", "keepalive", "keep-alive", "heartbeat"];
