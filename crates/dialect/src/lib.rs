//! Wire shapes: what callers and providers write, read with as little work as the money needs.
//!
//! Nothing here does I/O or waits. Every byte may be hostile: whatever it is, the answer is a value or a typed error,
//! never a panic, and never more memory than a small multiple of the bytes that came.
//!
//! A request is parsed once, borrowed, and goes upstream as slices of itself ([`Call`]); an answer is read beside the
//! bytes that pass ([`AnswerFacts`], [`StreamMeter`]). What all dialects have in common stands here at the root; each
//! dialect has a module that says how its own members are called ([`openai`], [`anthropic`], [`gemini`]). [`Endpoint`] tells which is meant.
#![cfg_attr(not(test), deny(clippy::as_conversions, clippy::indexing_slicing, clippy::string_slice))]

mod address;
mod answer;
pub mod anthropic;
mod bad_request;
mod body;
mod call;
mod cap;
mod converse;
mod conversion;
pub mod convert;
mod cut;
mod dialect;
mod endpoint;
mod error;
mod event_frames;
mod field;
mod form;
pub mod gemini;
mod json;
mod manners;
mod media;
mod members;
mod messages;
mod models;
pub mod openai;
mod output;
mod product;
mod sound;
mod sse;
mod stream;
#[cfg(test)]
mod tests;
pub mod tokens;
mod upstream_error;

pub use address::{Addressed, Framing, percent_decode};
pub use answer::{AnswerFacts, Garbage};
pub use bad_request::BadRequest;
pub use body::BodyParts;
pub use call::Call;
pub use conversion::Conversion;
pub use cut::{Broken, Cut, CutCall};
pub use dialect::Dialect;
pub use endpoint::Endpoint;
pub use error::ErrorBody;
pub use manners::{Manners, Upstream};
pub use media::MediaParts;
pub use models::{ListedModel, ModelList};
pub use output::OUTPUT_TEXT_BYTES_MAX;
pub use product::{Look, Made};
pub use stream::{EVENT_BYTES_MAX, StreamFault, StreamMeter, StreamOptions};
pub use upstream_error::UpstreamError;
