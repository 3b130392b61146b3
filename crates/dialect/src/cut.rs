//! The ends of a stream that the gateway writes itself: cut off, as by a provider that ran into the cap on its output,
//! and broken.
//!
//! It knows what such ends need to be told; it must never know why a stream came to one.

use bytes::Bytes;
use domain::{Timestamp, Usage};

use crate::anthropic;
use crate::error::ErrorBody;
use crate::gemini;
use crate::openai;

/// What the gateway knows of a call whose stream it ends.
#[derive(Clone, Copy, Debug)]
pub struct CutCall<'a> {
    /// The gateway's id of the request: the answer's id is made of it if no event told one.
    pub request_id: &'a str,
    /// When the call began: the answer's time if no event told one.
    pub at: Timestamp,
    /// The model that was called: the answer's model if no event told one.
    pub model: &'a str,
    /// How many choices were asked for.
    pub choices: u64,
}

/// The end of a stream that is cut off, but for the usage, which is known when the call is settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut(pub(crate) Form);

/// The same in the form of its dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Chat(openai::Cut),
    Messages(anthropic::Cut),
    Responses(Box<openai::responses::Cut>),
    /// No client speaks it: the end is written by what writes the rest for the client.
    Unspoken,
    Content(gemini::Cut),
    /// What is made whole or not at all is never cut off.
    Nothing,
}

/// The end of a stream that broke, or that cannot be booked, but for the error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken(pub(crate) BrokenForm);

/// The same in the form of its dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BrokenForm {
    /// One event with the error, whatever came before it.
    Plain,
    /// No event at all: what is no stream of events can only break off.
    Silent,
    Responses(Box<openai::responses::Broken>),
}

impl Broken {
    /// The events that tell a client of this error, so that it does not take the end for success. Nothing may follow.
    pub fn events(&self, error: &ErrorBody) -> Bytes {
        match &self.0 {
            BrokenForm::Plain => error.stream_event(),
            BrokenForm::Silent => Bytes::new(),
            BrokenForm::Responses(broken) => broken.events(error),
        }
    }
}

impl Cut {
    /// The events for the client: that the answer ended at its cap, with this usage where the client is to be told, and
    /// the end of the stream. Nothing may follow.
    pub fn events(&self, usage: &Usage) -> Vec<Bytes> {
        match &self.0 {
            Form::Chat(cut) => cut.events(usage),
            Form::Messages(cut) => cut.events(usage),
            Form::Responses(cut) => cut.events(usage),
            Form::Unspoken => Vec::new(),
            Form::Content(cut) => cut.events(usage),
            Form::Nothing => Vec::new(),
        }
    }
}
