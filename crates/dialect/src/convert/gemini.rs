//! Gemini's `generateContent`, as a form to convert from and to.

pub(super) mod answer;
pub(super) mod read;
mod schema;
pub(super) mod write;
