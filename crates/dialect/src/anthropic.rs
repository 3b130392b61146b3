//! Anthropic's shapes: messages, and the models that can be asked for.

mod cut;
mod error;
mod event;
mod fields;
mod media;
mod models;
mod prompt;
pub(crate) mod raw_predict;
mod reader;
mod request;
mod response;
mod speech;
mod usage;

pub(crate) use cut::{Cut, UsageJson};
pub(crate) use error::{Envelope as ErrorEnvelope, words as error_words};
pub use models::{model_json, models_json};
pub(crate) use prompt::read as read_prompt;
pub(crate) use reader::{Reader, STOP};
pub(crate) use request::read;
pub(crate) use response::{read_answer, read_speech};
