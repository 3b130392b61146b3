//! OpenAI's other shape of a call, responses: items in, items out, and a stream of typed events.
//!
//! It knows the members and events of that shape; it must never know what they cost, or what becomes of a call.

mod answer;
mod end;
mod event;
mod input;
mod progress;
mod reader;
mod request;
mod tools;
mod usage;

pub(crate) use answer::{read_answer, read_speech};
pub(crate) use end::{Broken, Cut};
pub(crate) use reader::Reader;
pub(crate) use request::read;
