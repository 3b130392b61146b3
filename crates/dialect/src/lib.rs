//! Wire shapes: what callers and providers write, read with as little work as the money needs.
//!
//! Nothing here does I/O or waits. Every byte may be hostile: whatever it is, the answer is a value or a typed error,
//! never a panic, and never more memory than a small multiple of the bytes that came.
//!
//! A request is parsed once, borrowed, and goes upstream as slices of itself ([`openai::Call`]); an answer is read
//! beside the bytes that pass ([`openai::AnswerFacts`], [`openai::StreamMeter`]).
#![cfg_attr(not(test), deny(clippy::as_conversions, clippy::indexing_slicing, clippy::string_slice))]

mod json;
pub mod openai;
#[cfg(test)]
mod tests;
pub mod tokens;
