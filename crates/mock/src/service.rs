//! The routes: from a request to the call that answers it.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, Method, Request, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use crate::access_token;
use crate::answer::{self, Dialect};
use crate::body::{Body, Broken};
use crate::call::{Call, Halt};
use crate::content;
use crate::content_request::ContentFields;
use crate::decode::{self, ChatFields, EmbeddingFields};
use crate::decode_response::ResponseFields;
use crate::form::{Form, is_form};
use crate::image::{ImageAsk, ImageFields};
use crate::messages;
use crate::moderation::ModerationFields;
use crate::problem::Problem;
use crate::request::MessageFields;
use crate::request_converse::ConverseFields;
use crate::server::Worker;
use crate::signature;
use crate::speech::SpeechFields;
use crate::transcript::TranscriptAsk;
use crate::truth::Entry;
use crate::vertex;
use crate::wire::Tap;

/// Bytes of a request's body that the mock is willing to hold.
const MOST_BYTES: usize = 64 << 20;

const X_CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-client-request-id");

/// What can be done with a model of Gemini's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Generate,
    Stream,
    Count,
}

impl Action {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "generateContent" => Self::Generate,
            "streamGenerateContent" => Self::Stream,
            "countTokens" => Self::Count,
            _ => return None,
        })
    }
}

enum Route {
    Chat,
    Responses,
    Embeddings,
    Moderations,
    Images,
    ImageEdits,
    Speech,
    Transcripts,
    Messages,
    CountTokens,
    /// Of this model, streamed or not.
    Converse(String, bool),
    Content(Action, String),
    /// At Vertex AI.
    Vertex,
    /// An access token for an assertion, or for being on a machine of Google's.
    Token,
    Metadata,
    Models,
    Model(String),
}

/// Answers one request.
pub(crate) async fn serve(
    worker: Arc<Worker>,
    tap: Arc<Tap>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Broken> {
    let (head, body) = request.into_parts();
    let mut call = worker.call(tap);
    match answer(&worker, &mut call, &head, body).await {
        Ok(response) => Ok(response),
        Err(Halt::Problem(problem)) => call.refuse(problem),
        Err(Halt::Broken(broken)) => Err(broken),
    }
}

async fn answer(
    worker: &Worker,
    call: &mut Call,
    head: &Parts,
    body: Incoming,
) -> Result<Response<Body>, Halt> {
    match route(&head.method, head.uri.path())? {
        Route::Chat => {
            call.entry = entry(worker, call, head, "chatcmpl-");
            let body = read(body).await?;
            let fields: ChatFields<'_> = decode::fields(&body)?;
            call.settle(&fields.model()?, &head.headers)?;
            let ask = fields.ask(call.behaviour.prompt)?;
            call.chat(ask).await
        }
        Route::Responses => {
            call.entry = entry(worker, call, head, "resp_");
            let body = read(body).await?;
            let fields: ResponseFields<'_> = decode::fields(&body)?;
            call.settle(&fields.model()?, &head.headers)?;
            let ask = fields.ask(call.behaviour.prompt)?;
            call.response(ask).await
        }
        Route::Embeddings => {
            call.entry = entry(worker, call, head, "embd-");
            let body = read(body).await?;
            let fields: EmbeddingFields<'_> = decode::fields(&body)?;
            call.settle(&fields.model()?, &head.headers)?;
            let ask = fields.ask(call.behaviour.prompt)?;
            call.embeddings(ask).await
        }
        Route::Moderations => moderation(worker, call, head, body).await,
        Route::Images => images(worker, call, head, body).await,
        Route::ImageEdits => image_edits(worker, call, head, body).await,
        Route::Speech => speech(worker, call, head, body).await,
        Route::Transcripts => transcript(worker, call, head, body).await,
        Route::Messages => {
            call.entry = entry(worker, call, head, "msg_");
            call.dialect = Dialect::Anthropic;
            let body = read(body).await?;
            let fields: MessageFields<'_> = decode::fields(&body)?;
            call.settle(&fields.model()?, &head.headers)?;
            let ask = fields.ask(call.behaviour.prompt)?;
            call.chat(ask).await
        }
        Route::CountTokens => {
            call.dialect = Dialect::Anthropic;
            let body = read(body).await?;
            let fields: MessageFields<'_> = decode::fields(&body)?;
            call.settle(&fields.model()?, &head.headers)?;
            let prompt = fields.prompt(call.behaviour.prompt)?;
            call.free(messages::count(prompt)).await
        }
        Route::Converse(model, stream) => answer_converse(worker, call, head, body, stream, &model).await,
        Route::Content(action, model) => answer_content(worker, call, head, body, action, &model).await,
        Route::Vertex => answer_vertex(worker, call, head, body).await,
        Route::Token => Ok(call.tell(access_token::grant(head, &read(body).await?, call.at_us))),
        Route::Metadata => Ok(call.tell(access_token::metadata(head, call.at_us))),
        Route::Models => {
            call.settle("", &head.headers)?;
            call.free(answer::models()).await
        }
        Route::Model(id) => {
            call.settle("", &head.headers)?;
            call.free(answer::model(&id).to_string()).await
        }
    }
}

/// Answers one of Amazon's calls, whose address tells the model.
async fn answer_converse(
    worker: &Worker,
    call: &mut Call,
    head: &Parts,
    body: Incoming,
    stream: bool,
    model: &str,
) -> Result<Response<Body>, Halt> {
    call.entry = entry(worker, call, head, "converse_");
    call.dialect = Dialect::Amazon;
    let body = read(body).await?;
    if signature::is_signed(&head.headers) {
        signature::check(head, &body, call.at_us).map_err(Problem::signature)?;
    }
    let fields: ConverseFields<'_> = decode::fields(&body)?;
    call.settle(model, &head.headers)?;
    let ask = fields.ask(stream, call.behaviour.prompt)?;
    call.chat(ask).await
}

/// Answers one of Gemini's calls, whose address tells the model.
async fn answer_content(
    worker: &Worker,
    call: &mut Call,
    head: &Parts,
    body: Incoming,
    action: Action,
    model: &str,
) -> Result<Response<Body>, Halt> {
    call.dialect = Dialect::Gemini;
    if action == Action::Stream && head.uri.query() != Some("alt=sse") {
        return Err(Problem::value("alt", "'sse': the mock streams no arrays").into());
    }
    let counts = action == Action::Count;
    if !counts {
        call.entry = entry(worker, call, head, "");
    }
    let body = read(body).await?;
    let fields: ContentFields<'_> = decode::fields(&body)?;
    call.settle(model, &head.headers)?;
    if counts {
        let prompt = fields.prompt(call.behaviour.prompt)?;
        return call.free(content::count(prompt)).await;
    }
    let ask = fields.ask(action == Action::Stream, call.behaviour.prompt)?;
    call.chat(ask).await
}

/// Answers a call of Vertex AI.
async fn answer_vertex(
    worker: &Worker,
    call: &mut Call,
    head: &Parts,
    body: Incoming,
) -> Result<Response<Body>, Halt> {
    let no_path = || Problem::no_path(&head.method, head.uri.path());
    let place = vertex::place(head.uri.path()).ok_or_else(no_path)?;
    vertex::admit(&head.headers, &place, call.at_us)?;
    call.by_vertex = true;
    let model = percent_decoded(place.model).ok_or_else(no_path)?;
    match (place.publisher, place.action) {
        ("google", action) => {
            let action = Action::named(action).ok_or_else(no_path)?;
            answer_content(worker, call, head, body, action, &model).await
        }
        ("anthropic", "rawPredict") if model == "count-tokens" => {
            call.dialect = Dialect::Anthropic;
            if head.headers.contains_key("anthropic-beta") {
                return Err(
                    Problem::value("anthropic-beta", "no such header where tokens are counted").into()
                );
            }
            let body = read(body).await?;
            let fields: MessageFields<'_> = decode::fields(&body)?;
            call.settle(&fields.model()?, &head.headers)?;
            let prompt = fields.prompt(call.behaviour.prompt)?;
            call.free(messages::count(prompt)).await
        }
        ("anthropic", "rawPredict" | "streamRawPredict") => {
            call.entry = entry(worker, call, head, "msg_");
            call.dialect = Dialect::Anthropic;
            let body = read(body).await?;
            let fields: MessageFields<'_> = decode::fields(&body)?;
            fields.check_vertex()?;
            call.settle(&model, &head.headers)?;
            let ask = fields.ask(call.behaviour.prompt)?;
            if ask.stream != (place.action == "streamRawPredict") {
                return Err(Problem::value("stream", "what the address says").into());
            }
            call.chat(ask).await
        }
        _ => Err(no_path().into()),
    }
}

async fn moderation(
    worker: &Worker,
    call: &mut Call,
    head: &Parts,
    body: Incoming,
) -> Result<Response<Body>, Halt> {
    call.entry = entry(worker, call, head, "modr-");
    let body = read(body).await?;
    let fields: ModerationFields<'_> = decode::fields(&body)?;
    call.settle(&fields.model()?, &head.headers)?;
    let ask = fields.ask(call.behaviour.prompt)?;
    call.moderation(ask).await
}

async fn images(
    worker: &Worker,
    call: &mut Call,
    head: &Parts,
    body: Incoming,
) -> Result<Response<Body>, Halt> {
    call.entry = entry(worker, call, head, "img-");
    let body = read(body).await?;
    let fields: ImageFields<'_> = decode::fields(&body)?;
    call.settle(&fields.model()?, &head.headers)?;
    let ask = fields.ask(call.behaviour.prompt)?;
    call.images(ask).await
}

async fn image_edits(
    worker: &Worker,
    call: &mut Call,
    head: &Parts,
    body: Incoming,
) -> Result<Response<Body>, Halt> {
    if !is_form(&head.headers) {
        return images(worker, call, head, body).await;
    }
    call.entry = entry(worker, call, head, "img-");
    let body = read(body).await?;
    let form = Form::read(&head.headers, &body)?;
    call.settle(&form.needed("model")?, &head.headers)?;
    let ask = ImageAsk::read(&form, call.behaviour.prompt)?;
    call.images(ask).await
}

async fn speech(
    worker: &Worker,
    call: &mut Call,
    head: &Parts,
    body: Incoming,
) -> Result<Response<Body>, Halt> {
    call.entry = entry(worker, call, head, "speech-");
    let body = read(body).await?;
    let fields: SpeechFields<'_> = decode::fields(&body)?;
    call.settle(&fields.model()?, &head.headers)?;
    let ask = fields.ask(call.behaviour.prompt)?;
    call.speech(ask).await
}

async fn transcript(
    worker: &Worker,
    call: &mut Call,
    head: &Parts,
    body: Incoming,
) -> Result<Response<Body>, Halt> {
    call.entry = entry(worker, call, head, "transcript-");
    let body = read(body).await?;
    let form = Form::read(&head.headers, &body)?;
    call.settle(&form.needed("model")?, &head.headers)?;
    let ask = TranscriptAsk::read(&form)?;
    call.transcript(ask).await
}

fn route(method: &Method, path: &str) -> Result<Route, Problem> {
    if let Some((action, model)) = content_route(path) {
        let route = Route::Content(action, model);
        return if *method == Method::POST { Ok(route) } else { Err(Problem::no_method(method, path)) };
    }
    // Gemini's has OpenAI's dialect a folder deeper.
    let openais = path.strip_prefix("/v1/openai").filter(|rest| rest.starts_with('/'));
    let path = &*openais.map_or(Cow::Borrowed(path), |rest| Cow::Owned(format!("/v1{rest}")));
    let (wanted, route) = match path {
        "/v1/chat/completions" => (Method::POST, Route::Chat),
        "/v1/responses" => (Method::POST, Route::Responses),
        "/v1/embeddings" => (Method::POST, Route::Embeddings),
        "/v1/moderations" => (Method::POST, Route::Moderations),
        "/v1/images/generations" => (Method::POST, Route::Images),
        "/v1/images/edits" => (Method::POST, Route::ImageEdits),
        "/v1/audio/speech" => (Method::POST, Route::Speech),
        "/v1/audio/transcriptions" | "/v1/audio/translations" => (Method::POST, Route::Transcripts),
        "/v1/messages" => (Method::POST, Route::Messages),
        "/v1/messages/count_tokens" => (Method::POST, Route::CountTokens),
        "/v1/models" => (Method::GET, Route::Models),
        "/token" => (Method::POST, Route::Token),
        "/computeMetadata/v1/instance/service-accounts/default/token" => (Method::GET, Route::Metadata),
        _ if vertex::place(path).is_some() => (Method::POST, Route::Vertex),
        _ if let Some(route) = converse(path) => (Method::POST, route),
        _ => {
            let id = path.strip_prefix("/v1/models/").filter(|id| !id.is_empty());
            let id = id.and_then(percent_decoded).ok_or_else(|| Problem::no_path(method, path))?;
            (Method::GET, Route::Model(id))
        }
    };
    if *method == wanted { Ok(route) } else { Err(Problem::no_method(method, path)) }
}

/// `/model/{model}/converse`, and the same with `-stream`; what stands before it in the address does not matter.
fn converse(path: &str) -> Option<Route> {
    let (_, rest) = path.split_once("/model/")?;
    let (model, what) = rest.split_once('/')?;
    let stream = match what {
        "converse" => false,
        "converse-stream" => true,
        _ => return None,
    };
    Some(Route::Converse(percent_decoded(model)?, stream))
}

/// What is to be done with which model, by one of Gemini's paths. Only events are streamed, and no array.
fn content_route(path: &str) -> Option<(Action, String)> {
    let rest = path.strip_prefix("/v1beta/models/").or_else(|| path.strip_prefix("/v1/models/"))?;
    let (model, action) = rest.rsplit_once(':')?;
    Some((Action::named(action)?, percent_decoded(model)?))
}

/// Ids of models may hold a `/`, which some clients escape. Nothing when an escape is broken.
fn percent_decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

fn entry(worker: &Worker, call: &Call, head: &Parts, prefix: &str) -> Entry {
    let Some(log) = worker.log() else { return Entry::default() };
    let request_id = head.headers.get(X_CLIENT_REQUEST_ID);
    let request_id = request_id.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    Entry::new(log, call.at_us, format!("{prefix}{:032x}", call.id), request_id)
}

async fn read(body: Incoming) -> Result<Bytes, Problem> {
    let collected = Limited::new(body, MOST_BYTES).collect().await;
    collected.map(|body| body.to_bytes()).map_err(|error| Problem::body(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_in_ids_of_models() {
        let table = [
            ("a", Some("a")),
            ("a%2Fb", Some("a/b")),
            ("a%2fb%20%C3%A9", Some("a/b é")),
            ("%", None),
            ("%2", None),
            ("%zz", None),
            ("%ff", None),
            ("é%é", None),
        ];
        for (text, decoded) in table {
            assert_eq!(percent_decoded(text).as_deref(), decoded, "{text}");
        }
    }
}
