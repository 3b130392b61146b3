//! Gemini's dialect.

mod answers;
mod errors;
mod requests;
mod streams;
