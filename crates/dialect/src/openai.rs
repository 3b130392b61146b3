//! OpenAI's shapes: chat completions, responses, embeddings, moderations, images, audio, models.

mod chunk;
mod cut;
mod decimal;
mod fallbacks;
mod fields;
mod hearing;
mod image;
mod media;
mod media_answer;
mod media_usage;
mod models;
mod moderation;
mod preferences;
mod reader;
mod request;
mod response;
pub(crate) mod responses;
mod speaking;
mod speech;
mod usage;

pub(crate) use cut::{Cut, UsageJson};
pub use fallbacks::Fallback;
pub(crate) use hearing::{INPUT_PER_SECOND as HEARD_TOKENS_PER_SECOND, read as read_recording};
pub(crate) use image::{read as read_image, read_edit, read_edit_form};
pub(crate) use media_answer::{MediaReader, read_media, read_transcript, read_words};
pub use models::{ModelCard, ModelPricing, model_json, models_json};
pub(crate) use moderation::read as read_moderation;
pub use preferences::{Preferences, Sort};
pub(crate) use reader::Reader;
pub(crate) use request::{read, takes_new_name};
pub(crate) use response::{read_answer, read_speech};
pub(crate) use speaking::read as read_speaking;

/// Names of events that only keep a connection alive. Clients take their data for a chunk and stumble over it.
const KEEP_ALIVES: [&str; 4] = ["ping", "keepalive", "keep-alive", "heartbeat"];
