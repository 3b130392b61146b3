//! One request on its way to its answer: its behaviour, its fault, and its line in the truth log.

use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::answer::{self, Chat, Dialect};
use crate::behaviour::{Behaviour, Fault, Trouble};
use crate::body::{Body, Broken, Part, Source};
use crate::decode::{ChatAsk, EmbeddingAsk};
use crate::decode_response::ResponseAsk;
use crate::embedding;
use crate::image::{ImageAsk, Images};
use crate::messages;
use crate::moderation::ModerationAsk;
use crate::problem::Problem;
use crate::response::{self, Reply};
use crate::signature;
use crate::speech::{Speech, SpeechAsk};
use crate::stream::{ChatScript, Events, Made, Script};
use crate::transcript::{Transcript, TranscriptAsk};
use crate::truth::{Entry, Tokens};
use crate::wire::Tap;
use crate::{content, converse};

/// The model that answers in place of the one asked.
const OTHER_MODEL: &str = "sim-other";
/// The body that is no JSON.
const GARBAGE: &str =
    "<html><head><title>502 Bad Gateway</title></head><body>upstream says hello</body></html>";
/// What stands amid a body where it does not belong.
const GARBAGE_AMID: &str = "\u{0}<html>502 Bad Gateway</html>\u{0}";
/// How long the head trickles when the behaviour names no latency.
const TRICKLE_MS: u64 = 5_000;

/// The bits of an id that number the requests of one mock, so that which of them meet a fault does not depend on
/// when and where it was started.
const NUMBER: u64 = (1 << 48) - 1;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const AMAZON_STREAM: HeaderValue = HeaderValue::from_static("application/vnd.amazon.eventstream");
const HTML: HeaderValue = HeaderValue::from_static("text/html");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream; charset=utf-8");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const ANTHROPIC_REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const AMAZON_REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const AMAZON_ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");
const X_MOCK: HeaderName = HeaderName::from_static("x-mock");

/// Why a request gets no answer of its kind.
pub(crate) enum Halt {
    /// It gets an error object.
    Problem(Problem),
    /// It gets nothing.
    Broken(Broken),
}

impl From<Problem> for Halt {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<io::Error> for Halt {
    fn from(error: io::Error) -> Self {
        Self::Broken(Broken::Log(error))
    }
}

/// One request, from its head to its answer.
pub(crate) struct Call {
    /// Makes the ids of the answer.
    pub(crate) id: u128,
    /// Microseconds since 1970 when it arrived.
    pub(crate) at_us: i64,
    /// How its connection's next bytes go out.
    pub(crate) tap: Arc<Tap>,
    /// How to answer it.
    pub(crate) behaviour: Behaviour,
    /// Its line in the truth log.
    pub(crate) entry: Entry,
    /// Whose shapes its answer has.
    pub(crate) dialect: Dialect,
    /// Whether it came by Vertex AI, which looks at credentials itself.
    pub(crate) by_vertex: bool,
    fault: Option<Fault>,
    model: String,
}

impl Call {
    /// A request that arrived and whose body is not yet read.
    pub(crate) fn new(id: u128, at_us: i64, tap: Arc<Tap>, defaults: Behaviour) -> Self {
        Self {
            id,
            at_us,
            tap,
            behaviour: defaults,
            entry: Entry::default(),
            dialect: Dialect::OpenAi,
            by_vertex: false,
            fault: None,
            model: String::new(),
        }
    }

    /// Settles how to answer: the defaults, then what follows the model's `?`, then the header; and asks for a
    /// bearer token if that is wanted.
    pub(crate) fn settle(&mut self, asked: &str, headers: &HeaderMap) -> Result<(), Problem> {
        let (model, suffix) = asked.split_once('?').unwrap_or((asked, ""));
        model.clone_into(&mut self.model);
        if self.by_vertex {
            // What Google calls by `@` answers by `-`.
            self.model = model.replace('@', "-");
        }
        self.entry.asked(&self.model, false, None);
        let with_suffix = self.behaviour.with(suffix);
        self.behaviour = with_suffix.map_err(|error| Problem::behaviour("model", &error))?;
        if let Some(header) = headers.get(X_MOCK) {
            let with_header = self.behaviour.with(&String::from_utf8_lossy(header.as_bytes()));
            self.behaviour = with_header.map_err(|error| Problem::behaviour("x-mock", &error))?;
        }
        let own = match self.dialect {
            Dialect::OpenAi => false,
            Dialect::Anthropic => headers.contains_key(X_API_KEY),
            Dialect::Gemini => headers.contains_key(X_GOOG_API_KEY),
            Dialect::Amazon => signature::is_signed(headers),
        };
        let has_key = bears_token(headers) || own;
        if self.behaviour.auth && !has_key && !self.by_vertex {
            return Err(Problem::no_key());
        }
        if self.dialect == Dialect::Anthropic && !self.by_vertex && !headers.contains_key(ANTHROPIC_VERSION) {
            return Err(Problem::no_version());
        }
        self.fault = self.behaviour.fault_of(self.id as u64 & NUMBER);
        if self.fault == Some(Fault::WrongModel) {
            OTHER_MODEL.clone_into(&mut self.model);
        }
        Ok(())
    }

    /// Answers a chat, or messages.
    pub(crate) async fn chat(&mut self, ask: ChatAsk) -> Result<Response<Body>, Halt> {
        if self.model.is_empty() {
            return Err(Problem::value("model", "a name").into());
        }
        let chat = self.decide(&ask);
        self.wait(ask.stream, chat.tokens(0)).await?;
        if ask.stream && !matches!(self.fault, Some(Fault::Garbage | Fault::Empty)) {
            let entry = mem::take(&mut self.entry);
            let script = match chat.dialect {
                Dialect::OpenAi => Script::Chat(ChatScript::new(chat, ask.include_usage)),
                Dialect::Anthropic => Script::Message(chat),
                Dialect::Amazon => Script::Converse(chat),
                Dialect::Gemini => Script::Content(chat),
            };
            let kind = self.stream_kind();
            let events = Events::new(script, entry, &self.behaviour, self.fault);
            return Ok(self.respond(StatusCode::OK, kind, Source::Events(Box::new(events))));
        }
        let tokens = chat.tokens(chat.visible);
        self.whole(if ask.stream { self.stream_kind() } else { JSON }, tokens, chat.whole(), self.error())
    }

    /// Answers a request for a response.
    pub(crate) async fn response(&mut self, ask: ResponseAsk) -> Result<Response<Body>, Halt> {
        if self.model.is_empty() {
            return Err(Problem::value("model", "a name").into());
        }
        let (stream, reply) = (ask.stream, self.reply(&ask));
        self.wait(stream, reply.tokens(0)).await?;
        if stream && !matches!(self.fault, Some(Fault::Garbage | Fault::Empty)) {
            let entry = mem::take(&mut self.entry);
            let script = Script::Response(response::Script::new(reply));
            let events = Events::new(script, entry, &self.behaviour, self.fault);
            return Ok(self.respond(StatusCode::OK, EVENT_STREAM, Source::Events(Box::new(events))));
        }
        let tokens = reply.tokens(reply.visible);
        self.whole(if stream { EVENT_STREAM } else { JSON }, tokens, reply.whole(), &reply.failed())
    }

    /// Answers a request for embeddings.
    pub(crate) async fn embeddings(&mut self, ask: EmbeddingAsk) -> Result<Response<Body>, Halt> {
        let tokens = Tokens { prompt: ask.prompt, ..Tokens::default() };
        self.wait(false, tokens).await?;
        let list = embedding::list(&ask, &self.model, self.fault != Some(Fault::NoUsage));
        self.whole(JSON, tokens, list, answer::ERROR)
    }

    /// Answers a request to judge what is harmful.
    pub(crate) async fn moderation(&mut self, ask: ModerationAsk) -> Result<Response<Body>, Halt> {
        let tokens = Tokens { prompt: ask.prompt, ..Tokens::default() };
        self.wait(false, tokens).await?;
        let verdicts = ask.verdicts(self.id, &self.model);
        self.whole(JSON, tokens, verdicts, answer::ERROR)
    }

    /// Answers a call for images.
    pub(crate) async fn images(&mut self, ask: ImageAsk) -> Result<Response<Body>, Halt> {
        let (created, each) = (self.at_us / 1_000_000, self.behaviour.out);
        let images = Images { ask, created, each, usage: self.fault != Some(Fault::NoUsage) };
        self.wait(images.ask.stream, images.tokens(0)).await?;
        if images.ask.stream && !matches!(self.fault, Some(Fault::Garbage | Fault::Empty)) {
            return Ok(self.stream(EVENT_STREAM, images.made()));
        }
        let kind = if images.ask.stream { EVENT_STREAM } else { JSON };
        self.whole(kind, images.tokens(images.count()), images.whole(), answer::ERROR)
    }

    /// Answers a call for speech.
    pub(crate) async fn speech(&mut self, ask: SpeechAsk) -> Result<Response<Body>, Halt> {
        let usage = self.fault != Some(Fault::NoUsage);
        let speech = Speech { ask, out: self.behaviour.out, usage };
        self.wait(speech.ask.stream, speech.tokens(0)).await?;
        let kind = if speech.ask.stream { EVENT_STREAM } else { HeaderValue::from_static(speech.kind()) };
        match self.fault {
            // What is garbage here comes from a proxy, which says what it is.
            Some(Fault::Garbage) => self.whole(HTML, Tokens::default(), String::new(), answer::ERROR),
            Some(Fault::Empty) => self.whole(kind, Tokens::default(), String::new(), answer::ERROR),
            _ => Ok(self.stream(kind, speech.made())),
        }
    }

    /// Answers a call for a transcript.
    pub(crate) async fn transcript(&mut self, ask: TranscriptAsk) -> Result<Response<Body>, Halt> {
        let (out, by_time) = (self.behaviour.out, Transcript::is_by_time(&self.model));
        let transcript = Transcript { ask, out, by_time, usage: self.fault != Some(Fault::NoUsage) };
        self.wait(transcript.ask.stream, transcript.tokens(0)).await?;
        if transcript.ask.stream && !matches!(self.fault, Some(Fault::Garbage | Fault::Empty)) {
            return Ok(self.stream(EVENT_STREAM, transcript.made()));
        }
        let kind =
            if transcript.ask.stream { EVENT_STREAM } else { HeaderValue::from_static(transcript.kind()) };
        let kind = if self.fault == Some(Fault::Garbage) { HTML } else { kind };
        self.whole(kind, transcript.tokens(out), transcript.whole(), answer::ERROR)
    }

    /// An answer that comes piece by piece and is no text.
    fn stream(&mut self, kind: HeaderValue, made: Made) -> Response<Body> {
        let entry = mem::take(&mut self.entry);
        let events = Events::new(Script::Made(made), entry, &self.behaviour, self.fault);
        self.respond(StatusCode::OK, kind, Source::Events(Box::new(events)))
    }

    /// Answers with what costs nothing.
    pub(crate) async fn free(&mut self, body: String) -> Result<Response<Body>, Halt> {
        self.wait(false, Tokens::default()).await?;
        self.whole(JSON, Tokens::default(), body, self.error())
    }

    /// Answers with this text, whatever it is, which is no call of a model.
    pub(crate) fn tell(&self, (status, text): (StatusCode, String)) -> Response<Body> {
        self.respond(status, JSON, Source::Whole(text.into()))
    }

    /// Answers with an error object.
    pub(crate) fn refuse(&mut self, problem: Problem) -> Result<Response<Body>, Broken> {
        let problem = problem.told_in(self.dialect);
        self.entry.began(problem.status.as_u16());
        self.entry.bill(Tokens::default());
        self.entry.close(true)?;
        let body = Source::Whole(problem.to_json().into());
        let mut response = self.respond(problem.status, JSON, body);
        if let Some(kind) = problem.header_kind() {
            response.headers_mut().insert(AMAZON_ERROR_TYPE, HeaderValue::from_static(kind));
        }
        if let Some(seconds) = problem.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        Ok(response)
    }

    /// The numbers of the answer.
    fn decide(&self, ask: &ChatAsk) -> Chat {
        let behaviour = &self.behaviour;
        let completion = ask.cap.map_or(behaviour.out, |cap| cap.min(behaviour.out));
        let reasoning = behaviour.reasoning.min(completion);
        let cached = ask.prompt * behaviour.cached / 100;
        let written = (ask.prompt * behaviour.cache_write / 100).min(ask.prompt - cached);
        let written_1h = (ask.prompt * behaviour.cache_write_1h / 100).min(ask.prompt - cached - written);
        let visible = completion - reasoning;
        Chat {
            id: self.id,
            created: self.at_us / 1_000_000,
            model: serde_json::Value::from(self.model.as_str()).to_string(),
            prompt: ask.prompt,
            cached,
            cache_writes: [written, written_1h],
            dialect: self.dialect,
            by_vertex: self.by_vertex,
            output: ask.wish.output(behaviour.calls, visible),
            choices: ask.choices,
            visible,
            reasoning,
            finish: if completion < behaviour.out { "length" } else { "stop" },
            usage: self.fault != Some(Fault::NoUsage),
        }
    }

    /// The numbers of the response.
    fn reply(&self, ask: &ResponseAsk) -> Reply {
        let behaviour = &self.behaviour;
        let completion = ask.cap.map_or(behaviour.out, |cap| cap.min(behaviour.out));
        let reasoning = behaviour.reasoning.min(completion);
        let visible = completion - reasoning;
        Reply {
            id: self.id,
            created: self.at_us / 1_000_000,
            model: serde_json::Value::from(self.model.as_str()).to_string(),
            prompt: ask.prompt,
            cached: ask.prompt * behaviour.cached / 100,
            visible,
            reasoning,
            is_capped: completion < behaviour.out,
            usage: self.fault != Some(Fault::NoUsage),
            output: ask.wish.output(behaviour.calls, visible),
        }
    }

    /// What comes before the head: the latency, or a fault that lets no answer begin. A caller who leaves meanwhile
    /// is billed for the prompt.
    async fn wait(&mut self, stream: bool, prompt: Tokens) -> Result<(), Halt> {
        self.entry.asked(&self.model, stream, self.fault.map(Fault::name));
        if !self.fault.is_some_and(Fault::bills_nothing) {
            self.entry.bill(Tokens { completion: 0, reasoning: 0, ..prompt });
        }
        let latency_ms = self.behaviour.latency_ms;
        if self.fault == Some(Fault::SlowHeaders) {
            self.tap.trickle(if latency_ms == 0 { TRICKLE_MS } else { latency_ms });
        } else if latency_ms > 0 {
            tokio::time::sleep(Duration::from_millis(latency_ms)).await;
        }
        if self.fault == Some(Fault::Hang) {
            std::future::pending::<()>().await;
        }
        if self.fault == Some(Fault::Close) {
            self.entry.close(false)?;
            return Err(Halt::Broken(Broken::Scripted));
        }
        let retry_after = self.behaviour.retry_after;
        let refusal = self.fault.and_then(|fault| Problem::of_fault(fault, &self.model, retry_after));
        if let Some(problem) = refusal {
            return Err(problem.into());
        }
        self.entry.began(StatusCode::OK.as_u16());
        Ok(())
    }

    /// An answer in one piece, or what its fault makes of it; `error` is the body of one that failed on the way.
    fn whole(
        &mut self,
        kind: HeaderValue,
        tokens: Tokens,
        text: String,
        error: &str,
    ) -> Result<Response<Body>, Halt> {
        let trouble = self.fault.and_then(Fault::trouble);
        let worthless = trouble == Some(Trouble::Error) || self.fault.is_some_and(Fault::bills_nothing);
        self.entry.bill(if worthless { Tokens::default() } else { tokens });
        let mut entry = mem::take(&mut self.entry);
        if trouble == Some(Trouble::Hang) {
            let half = Part::half(text.into(), Some(entry));
            return Ok(self.respond(StatusCode::OK, kind, Source::Part(half)));
        }
        let cut = matches!(trouble, Some(Trouble::Close | Trouble::Error));
        entry.close(!cut)?;
        let source = match (self.fault, trouble) {
            (_, Some(Trouble::Close)) => Source::Part(Part::half(text.into(), None)),
            (_, Some(Trouble::Garbage)) => Source::Whole(amid(&text)),
            (_, Some(Trouble::Error)) => Source::Whole(error.to_owned().into()),
            (Some(Fault::Garbage), _) => Source::Whole(GARBAGE.into()),
            (Some(Fault::Empty), _) => Source::Whole(Bytes::new()),
            _ => Source::Whole(text.into()),
        };
        Ok(self.respond(StatusCode::OK, kind, source))
    }

    /// What a stream of its answers is.
    fn stream_kind(&self) -> HeaderValue {
        if self.dialect == Dialect::Amazon { AMAZON_STREAM } else { EVENT_STREAM }
    }

    /// The error object that comes where an answer was under way.
    const fn error(&self) -> &'static str {
        match self.dialect {
            Dialect::OpenAi => answer::ERROR,
            Dialect::Anthropic => messages::ERROR,
            Dialect::Amazon => converse::ERROR,
            Dialect::Gemini => content::ERROR,
        }
    }

    fn respond(&self, status: StatusCode, kind: HeaderValue, source: Source) -> Response<Body> {
        let mut response = Response::new(Body::new(source, self.behaviour.split));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, kind);
        if let Ok(id) = HeaderValue::try_from(format!("req_{:032x}", self.id)) {
            let name = match self.dialect {
                Dialect::OpenAi | Dialect::Gemini => X_REQUEST_ID,
                Dialect::Anthropic => ANTHROPIC_REQUEST_ID,
                Dialect::Amazon => AMAZON_REQUEST_ID,
            };
            headers.insert(name, id);
        }
        response
    }
}

fn amid(text: &str) -> Bytes {
    let half = text.len() / 2;
    [&text.as_bytes()[..half], GARBAGE_AMID.as_bytes(), &text.as_bytes()[half..]].concat().into()
}

fn bears_token(headers: &HeaderMap) -> bool {
    let value = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
    value.and_then(|value| value.split_at_checked(7)).is_some_and(|(scheme, token)| {
        scheme.eq_ignore_ascii_case(b"bearer ") && !token.trim_ascii().is_empty()
    })
}
