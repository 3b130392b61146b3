//! The routes: from a request to the call that answers it.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, Method, Request, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use crate::answer::{self, Dialect};
use crate::body::{Body, Broken};
use crate::call::{Call, Halt};
use crate::decode::{self, ChatFields, EmbeddingFields};
use crate::decode_response::ResponseFields;
use crate::image::ImageFields;
use crate::messages;
use crate::moderation::ModerationFields;
use crate::problem::Problem;
use crate::request::MessageFields;
use crate::server::Worker;
use crate::truth::Entry;
use crate::wire::Tap;

/// Bytes of a request's body that the mock is willing to hold.
const MOST_BYTES: usize = 64 << 20;

const X_CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-client-request-id");

enum Route {
    Chat,
    Responses,
    Embeddings,
    Moderations,
    Images,
    Messages,
    CountTokens,
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

fn route(method: &Method, path: &str) -> Result<Route, Problem> {
    let (wanted, route) = match path {
        "/v1/chat/completions" => (Method::POST, Route::Chat),
        "/v1/responses" => (Method::POST, Route::Responses),
        "/v1/embeddings" => (Method::POST, Route::Embeddings),
        "/v1/moderations" => (Method::POST, Route::Moderations),
        "/v1/images/generations" => (Method::POST, Route::Images),
        "/v1/messages" => (Method::POST, Route::Messages),
        "/v1/messages/count_tokens" => (Method::POST, Route::CountTokens),
        "/v1/models" => (Method::GET, Route::Models),
        _ => {
            let id = path.strip_prefix("/v1/models/").filter(|id| !id.is_empty());
            let id = id.and_then(percent_decoded).ok_or_else(|| Problem::no_path(method, path))?;
            (Method::GET, Route::Model(id))
        }
    };
    if *method == wanted { Ok(route) } else { Err(Problem::no_method(method, path)) }
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
