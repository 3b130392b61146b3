//! Anthropic's messages: what is read of requests, answers and streams, and what is written.

mod answers;
mod errors;
mod requests;
mod streams;
