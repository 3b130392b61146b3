//! Conversions between the forms in which conversations with models are written ([docs/conversions.md]).
//!
//! Each form is read into one neutral shape and written from it, so that there are as many readers and writers as
//! forms, and not as many as pairs. It knows what every form can say; it must never know who calls, what it costs or
//! how bytes travel. What a form cannot say is noted in [`Converted::dropped`] or refused as [`Inexpressible`]: nothing
//! is left out in silence.
//!
//! [docs/conversions.md]: https://github.com/tollkeeper/tollkeeper/blob/main/docs/conversions.md

mod answer;
mod chat;
mod conversation;
mod converse;
mod gemini;
mod ids;
mod messages;
mod notes;
mod responses;
mod value;
mod writer;

use std::collections::BTreeSet;
use std::num::NonZeroU64;

use domain::Usage;

pub use answer::Garbage;
use answer::{Answer, Delta, Stop};
use notes::Notes;
pub use notes::{Dropped, Inexpressible};
use value::Value;

use crate::{Dialect, ErrorBody, Upstream, UpstreamError};

/// The form of an API that callers speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Surface {
    /// OpenAI's `POST /v1/chat/completions`.
    Chat,
    /// OpenAI's `POST /v1/responses`.
    Responses,
    /// Anthropic's `POST /v1/messages`.
    Messages,
    /// Google's `POST /v1beta/models/{model}:generateContent`, and `:streamGenerateContent?alt=sse`.
    Gemini,
}

/// The form of an API that a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wire {
    /// OpenAI's `POST /v1/chat/completions`.
    Chat,
    /// Anthropic's `POST /v1/messages`.
    Messages,
    /// Google's `POST /v1beta/models/{model}:generateContent`, and `:streamGenerateContent?alt=sse`.
    Gemini,
    /// Amazon Bedrock's `POST /model/{model}/converse`, and `/converse-stream`.
    Converse,
}

/// How a model is told how much to reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Thinking {
    /// Not at all: it does not reason, or nobody knows.
    #[default]
    Untold,
    /// By a number of tokens.
    Budget,
    /// By a word.
    Effort,
}

impl Thinking {
    const fn is_known(self) -> bool {
        match self {
            Self::Untold => false,
            Self::Budget | Self::Effort => true,
        }
    }
}

/// What the provider's request is to say beside what the caller's says.
#[derive(Clone, Copy, Debug)]
pub struct RequestOptions<'a> {
    /// The provider's name of the model, what the provider wants otherwise, and the most output tokens that may be
    /// asked for.
    pub upstream: Upstream<'a>,
    /// Whether the answer is to be a stream. In some forms the address tells it and not the body.
    pub stream: bool,
    /// The output tokens to ask for where the form demands a number and nobody names one.
    pub default_output_tokens: NonZeroU64,
    /// How the model is told how much to reason.
    pub thinking: Thinking,
    /// Whether the model takes `temperature`, `top_p` and `top_k`.
    pub sampling: bool,
    /// Whether a provider of Chat Completions takes `reasoning_content` of earlier answers back: some demand it while
    /// calls are answered, others refuse it.
    pub takes_reasoning: bool,
}

/// What the caller asked for, as far as its answer must fit it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// `stream_options.include_usage`.
    include_usage: bool,
    /// The tools that take free text and not arguments: custom tools of Responses.
    text_tools: BTreeSet<String>,
    /// Members of the request that stand in the answer, too, each with its JSON.
    echo: Vec<(&'static str, String)>,
}

/// A request in the provider's form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// The body.
    pub body: Vec<u8>,
    /// What did not reach the provider, for a warning header.
    pub dropped: Vec<Dropped>,
    /// To be handed to the conversion of the answer.
    pub asked: Asked,
}

/// What an answer is made of beside what the provider says.
#[derive(Clone, Debug)]
pub struct AnswerContext {
    /// The request's id, of which the answer's ids are made.
    pub seed: String,
    /// When the call began, in seconds since 1970.
    pub created_seconds: u64,
    /// The model that was asked for: the answer's, if the provider names none.
    pub model: String,
    /// From the conversion of the request.
    pub asked: Asked,
}

/// Converts the body of a request.
///
/// # Errors
/// [`Inexpressible`] for a body that cannot be read, and for what the provider's form cannot say and an answer must not
/// go without.
pub fn request(
    from: Surface,
    to: Wire,
    body: &[u8],
    options: &RequestOptions<'_>,
) -> Result<Converted, Inexpressible> {
    let mut notes = Notes::default();
    let document = Value::document(body)?;
    let conversation = match from {
        Surface::Chat => chat::read::request(&document, &mut notes)?,
        Surface::Responses => responses::read::request(&document, &mut notes)?,
        Surface::Messages => messages::read::request(&document, &mut notes)?,
        Surface::Gemini => gemini::read::request(&document, &mut notes)?,
    };
    let asked = conversation.asked.clone();
    let body = match to {
        Wire::Chat => chat::write::request(conversation, options, &mut notes),
        Wire::Messages => messages::write::request(conversation, options, &mut notes),
        Wire::Gemini => gemini::write::request(conversation, options, &mut notes),
        Wire::Converse => converse::write::request(conversation, options, &mut notes),
    };
    Ok(Converted { body, dropped: notes.finish()?, asked })
}

/// A whole answer, read and not yet written in the caller's form.
#[derive(Debug)]
pub struct WholeAnswer(Answer);

/// Reads a whole answer of status 200.
///
/// # Errors
/// [`Garbage`] for what is no answer in the provider's form.
pub fn read_answer(from: Wire, body: &[u8]) -> Result<WholeAnswer, Garbage> {
    let deltas = match from {
        Wire::Chat => chat::answer::read(body)?,
        Wire::Messages => messages::answer::read(body)?,
        Wire::Gemini => gemini::answer::read(body)?,
        Wire::Converse => converse::answer::read(body)?,
    };
    Answer::of(deltas).map(WholeAnswer)
}

/// Writes a whole answer in the caller's form. The usage is what the call is charged for, told in the caller's terms.
pub fn write_answer(to: Surface, answer: WholeAnswer, usage: &Usage, context: &AnswerContext) -> Vec<u8> {
    let WholeAnswer(answer) = answer;
    match to {
        Surface::Chat => chat::answer::write(&answer, usage, context),
        Surface::Responses => responses::write::write(answer, usage, context),
        Surface::Messages => messages::answer::write(answer, usage, context),
        Surface::Gemini => gemini::answer::write(&answer, usage, context),
    }
}

#[derive(Debug)]
enum Reader {
    Chat(chat::answer::StreamReader),
    Messages(messages::answer::StreamReader),
    Gemini(gemini::answer::StreamReader),
    Converse(converse::answer::StreamReader),
}

#[derive(Debug)]
enum Writer {
    Chat(chat::answer::StreamWriter),
    Responses(responses::write::StreamWriter),
    Messages(messages::answer::StreamWriter),
    Gemini(gemini::answer::StreamWriter),
}

/// Converts a stream, event by event.
///
/// The events that end the caller's stream wait for [`tail`](Self::tail), [`cut`](Self::cut) or
/// [`fail`](Self::fail), of which one is called once, when what the call costs is settled.
#[derive(Debug)]
pub struct StreamConverter {
    reader: Reader,
    writer: Writer,
    context: AnswerContext,
    /// The caller has been told of an error, after which nothing may come.
    has_failed: bool,
}

impl StreamConverter {
    /// A converter for one stream.
    pub fn new(from: Wire, to: Surface, context: AnswerContext) -> Self {
        let reader = match from {
            Wire::Chat => Reader::Chat(chat::answer::StreamReader::default()),
            Wire::Messages => Reader::Messages(messages::answer::StreamReader::default()),
            Wire::Gemini => Reader::Gemini(gemini::answer::StreamReader::default()),
            Wire::Converse => Reader::Converse(converse::answer::StreamReader::default()),
        };
        let writer = match to {
            Surface::Chat => Writer::Chat(chat::answer::StreamWriter::default()),
            Surface::Responses => Writer::Responses(responses::write::StreamWriter::default()),
            Surface::Messages => Writer::Messages(messages::answer::StreamWriter::default()),
            Surface::Gemini => Writer::Gemini(gemini::answer::StreamWriter::default()),
        };
        Self { reader, writer, context, has_failed: false }
    }

    /// Converts one event of the provider's, and appends the caller's events to `out`: none, one or several. `name` is
    /// its `event:` line, or its type in Amazon's framing, where there is one. An error that the provider reports passes in the caller's shape, and is
    /// the end.
    ///
    /// # Errors
    /// [`Garbage`] for what is no event in the provider's form, and for more of an answer than any model writes. What
    /// is in `out` may still go to the caller, who must then be told of the failure.
    pub fn event(&mut self, name: Option<&str>, data: &str, out: &mut Vec<u8>) -> Result<(), Garbage> {
        if self.has_failed {
            return Ok(());
        }
        let mut deltas = Vec::new();
        match &mut self.reader {
            Reader::Chat(reader) => reader.event(name, data, &mut deltas)?,
            Reader::Messages(reader) => reader.event(data, &mut deltas)?,
            Reader::Gemini(reader) => reader.event(data, &mut deltas)?,
            Reader::Converse(reader) => reader.event(name, data, &mut deltas)?,
        }
        for delta in deltas {
            if let Delta::Failed(error) = delta {
                self.fail(&error.to_body(late_status(&error)), out);
                return Ok(());
            }
            match &mut self.writer {
                Writer::Chat(writer) => writer.write(delta, &self.context, out),
                Writer::Responses(writer) => writer.write(delta, &self.context, out)?,
                Writer::Messages(writer) => writer.write(delta, &self.context, out)?,
                Writer::Gemini(writer) => writer.write(delta, &self.context, out)?,
            }
        }
        Ok(())
    }

    /// Appends the end of an answer that the provider has finished, with what the call is charged for.
    pub fn tail(&mut self, usage: &Usage, out: &mut Vec<u8>) {
        self.end(None, usage, out);
    }

    /// Appends the end of an answer that the gateway cuts off here: that of one which ran into the cap on its output.
    pub fn cut(&mut self, usage: &Usage, out: &mut Vec<u8>) {
        self.end(Some(Stop::Length), usage, out);
    }

    /// Appends the event that tells the caller that its stream broke. Nothing may follow.
    pub fn fail(&mut self, error: &ErrorBody, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.has_failed, true) {
            return;
        }
        match &mut self.writer {
            Writer::Chat(_) => {
                out.extend_from_slice(&error.clone().told_in(Dialect::OpenAi).stream_event());
            }
            Writer::Responses(writer) => writer.fail(error, &self.context, out),
            Writer::Messages(_) => {
                out.extend_from_slice(&error.clone().told_in(Dialect::Anthropic).stream_event());
            }
            Writer::Gemini(_) => {
                out.extend_from_slice(&error.clone().told_in(Dialect::Gemini).stream_event());
            }
        }
    }

    /// Whether the caller was told of an error: its stream has no other end.
    pub const fn has_failed(&self) -> bool {
        self.has_failed
    }

    fn end(&mut self, cut: Option<Stop>, usage: &Usage, out: &mut Vec<u8>) {
        if self.has_failed {
            return;
        }
        match &mut self.writer {
            Writer::Chat(writer) => writer.tail(cut, usage, &self.context, out),
            Writer::Responses(writer) => writer.tail(cut, usage, &self.context, out),
            Writer::Messages(writer) => writer.tail(cut, usage, &self.context, out),
            Writer::Gemini(writer) => writer.tail(cut, usage, &self.context, out),
        }
    }
}

/// The status that an error would have had, had it not come in the middle of an answer.
fn late_status(error: &UpstreamError) -> u16 {
    match error.kind.as_deref() {
        Some("overloaded_error" | "UNAVAILABLE" | "serviceUnavailableException") => 503,
        Some("rate_limit_error" | "rate_limit_exceeded" | "RESOURCE_EXHAUSTED" | "throttlingException") => {
            429
        }
        Some(_) | None => 502,
    }
}
