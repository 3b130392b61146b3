//! Gemini's shapes: `generateContent`, `countTokens`, and the models that can be asked for.
//!
//! Google's servers take each member by two names, `maxOutputTokens` and `max_output_tokens`; so does every reader here,
//! and a body with both is refused as one with a duplicate.

mod array;
mod cut;
mod error;
mod fields;
mod media;
mod models;
mod prompt;
mod reader;
mod request;
mod response;
mod speech;
mod tools;
mod usage;

pub use array::ArrayFrame;
pub(crate) use cut::Cut;
pub(crate) use error::{Envelope as ErrorEnvelope, words as error_words};
pub use models::{model_json, models_json};
pub(crate) use prompt::read as read_prompt;
pub(crate) use reader::Reader;
pub(crate) use request::read;
pub(crate) use response::{read_answer, read_speech};
