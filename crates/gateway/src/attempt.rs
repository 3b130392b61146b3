//! One upstream call: answered, and either relayed as a stream or taken whole and settled.
//!
//! It settles what was answered. What brought nothing it hands back, so that `attempts.rs` can try again within the hold.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dialect::{Call, Endpoint, Framing, StreamMeter, StreamOptions, Upstream, UpstreamError};
use domain::Timestamp;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use ledger::AttemptStatus;
use providers::{Client, PartsBody, Provider, TransportFailure};

use crate::answer::Answer;
use crate::evidence::{Began, Plan};
use crate::failure::{Failure, UpstreamFailure};
use crate::hedge::{Landed, head};
use crate::relay::{Relay, Unbegun};
use crate::routes::Target;
use crate::settle::{Consumed, Ending, Open, Output, Seen, Told};
use crate::substitution::Substitution;
use crate::tasks::{Presence, Tasks};
use crate::whole::{whole, withhold};

/// OpenAI's header for the caller's own name of a request; a provider that logs it lets both sides find a call.
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-client-request-id");
/// The most output tokens of each choice, where the gateway had to lower it to what the caller's credit affords.
const OUTPUT_CAP: HeaderName = HeaderName::from_static("x-tollkeeper-output-cap");
const AGENT: HeaderValue = HeaderValue::from_static(concat!("tollkeeper/", env!("CARGO_PKG_VERSION")));
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
const ANYTHING: HeaderValue = HeaderValue::from_static("*/*");
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
/// Streams in Amazon's own frame.
const AMAZON_EVENT_STREAM: HeaderValue = HeaderValue::from_static("application/vnd.amazon.eventstream");
/// Which of Amazon's errors it is.
const AMAZON_ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
/// An error body is a sentence, not a book.
pub(crate) const ERROR_BYTES_MAX: u64 = 256 * 1024;

/// What an attempt came to.
pub(crate) enum Attempted {
    /// The client gets this; it is settled, or will be when its stream ends.
    Answered(Response<Answer>),
    /// It brought nothing, and is not on the books yet.
    Failed(Box<Open>, UpstreamFailure),
    /// It is on the books, or out of our hands, and the client gets this.
    Over(Failure),
}

/// Makes one attempt.
pub(crate) async fn attempt(client: &Client, mut open: Open, presence: &Presence) -> Attempted {
    let failed = |open, failure| Attempted::Failed(Box::new(open), failure);
    if presence.is_gone() {
        // The client left while its money was set aside: nothing was sent, so nothing is owed, no free request taken, and
        // nothing of the provider's caps used.
        (open.dispatched_us, open.seat) = (0, None);
        return failed(open, UpstreamFailure::client_closed());
    }
    if let Some(seat) = &mut open.seat {
        seat.send();
    }
    let (head, body) = match head(client, &mut open, presence).await {
        Landed::Began(head, body) => (head, body),
        Landed::Failed(failure) => return failed(open, failure),
        Landed::Left => return Attempted::Over(abandon(open).await),
    };
    let (endpoint, idle) = (open.plan.sent().endpoint(), client.timeouts().idle);
    if open.plan.call.stream() && is_event_stream(endpoint, &head.headers) {
        return stream(open, body, EVENT_STREAM, idle, presence).await;
    }
    if endpoint == Endpoint::Speech
        && let Some(kind) = sound_kind(&head.headers)
    {
        return stream(open, body, kind, idle, presence).await;
    }
    whole(open, &head.headers, body, idle, presence).await
}

/// Has the provider's access token renewed, if it has one that ends soon. The call goes with the old one meanwhile.
pub(crate) fn renew_token(client: &Client, provider: &Arc<Provider>, tasks: &dyn Tasks, now: Timestamp) {
    if let Some(renewal) = client.renewal(provider, now) {
        tasks.spawn(Box::pin(renewal));
    }
}

/// The call as it goes to the provider, without its credential.
pub(crate) fn upstream_request(
    began: &Began,
    plan: &Plan,
    output_cap: Option<NonZeroU64>,
) -> Result<Request<PartsBody>, http::Error> {
    let Target { provider, model, .. } = plan.target();
    let sent = plan.sent();
    let uri = provider.address(sent.endpoint(), model, sent.stream())?;
    let parts = sent.upstream_body(&Upstream { model, manners: provider.kind.manners, output_cap });
    let length = HeaderValue::from(parts.len() as u64);
    let mut request = Request::new(PartsBody::new(parts));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(CONTENT_LENGTH, length);
    headers.insert(ACCEPT, accept(sent));
    headers.insert(USER_AGENT, AGENT);
    headers.insert(CLIENT_REQUEST_ID, request_id_value(began));
    for (name, text) in sent.upstream_head(provider.kind.manners) {
        // It was a header before, so it can be one again.
        headers.insert(name, HeaderValue::try_from(text)?);
    }
    Ok(request)
}

/// Begins to relay a stream. Where there may be another attempt, the client's answer begins with the first event, not
/// before: after it nothing is tried again.
async fn stream(
    open: Open,
    body: Incoming,
    kind: HeaderValue,
    idle: Duration,
    presence: &Presence,
) -> Attempted {
    let meter = if kind == EVENT_STREAM { meter(&open) } else { StreamMeter::of_sound() };
    let (id, cap) = (request_id_value(&open.began), open.held.upstream_cap());
    let (rates, dialect) = (*open.pace.told(), open.plan.call.endpoint().dialect());
    let strict = open.plan.substitution() == Substitution::Refuse;
    // Sound cannot tell of an error, so that there is some is known before its head goes out.
    let (waits, mut way) = (strict || open.may_go_on() || meter.is_sound(), HeaderMap::new());
    open.tell_way(&mut way);
    let framing = open.plan.call.framing();
    let mut relay = Relay::new(body, meter, open, idle);
    if waits {
        let begun = tokio::select! {
            begun = relay.begun() => begun,
            // Dropped, it is settled as one whose client has left.
            () = presence.gone() => {
                return Attempted::Over(Failure::Upstream(Box::new(UpstreamFailure::client_closed())));
            }
        };
        relay = match begun {
            Ok(relay) => relay,
            Err(Unbegun::Nothing(open, failure)) => return Attempted::Failed(open, failure),
            Err(Unbegun::Withheld(open, ending, failure)) => return withhold(*open, *ending, failure).await,
        };
    }
    relay.note_begin();
    let mut response = Response::new(Answer::Stream(Box::new(relay)));
    let headers = response.headers_mut();
    headers.extend(way);
    headers.insert(CONTENT_TYPE, if framing == Framing::Array { JSON } else { kind });
    headers.insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Proxies in front of us must not collect what is meant to flow.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    headers.insert(crate::failure::REQUEST_ID, id);
    rates.write(dialect, headers);
    tell_cap(headers, cap);
    Attempted::Answered(response)
}

/// What reads the stream, and writes it anew where the caller's form is another.
fn meter(open: &Open) -> StreamMeter {
    let sent = open.plan.sent();
    let meter = StreamMeter::new(sent.endpoint(), StreamOptions { client_asked_usage: sent.asked_usage() });
    match &open.plan.candidate().converted {
        None => meter,
        Some(converted) => {
            let id = open.began.id.to_string();
            meter.converting(converted.stream(open.plan.cut_call(&open.began, &id)))
        }
    }
}

pub(crate) fn tell_cap(headers: &mut HeaderMap, cap: Option<NonZeroU64>) {
    if let Some(cap) = cap {
        headers.insert(OUTPUT_CAP, HeaderValue::from(cap.get()));
    }
}

/// The provider said no: what it said, and whose no it was.
pub(crate) fn refused_upstream(
    status: u16,
    retry_after: Option<Duration>,
    headers: &HeaderMap,
    body: &[u8],
) -> UpstreamFailure {
    let mut error = UpstreamError::read(status, body);
    if let Some(Ok(name)) = headers.get(AMAZON_ERROR_TYPE).map(HeaderValue::to_str) {
        error = error.with_exception(name);
    }
    let wait = retry_after.or(error.wait);
    UpstreamFailure::of_answer(status, error, wait)
}

/// Books a stream whose client left before it began: the provider has read the prompt by then.
async fn abandon(open: Open) -> Failure {
    let gone = UpstreamFailure::client_closed();
    let ending = Ending {
        status: AttemptStatus::Cancelled,
        reason: gone.reason,
        consumed: Consumed::Unreported {
            so_far: None,
            output: Output::Text(String::new()),
            seen: Seen::default(),
        },
        model_answered: None,
        told: Told::default(),
        answered: gone.status,
    };
    match open.settle(ending).await {
        Ok(_) => Failure::Upstream(Box::new(gone)),
        Err(_) => Failure::Unsettled,
    }
}

/// Collects an answer. One that comes in one piece is taken as it is.
pub(crate) async fn collect(
    mut body: Incoming,
    bytes_max: u64,
    idle: Duration,
) -> Result<Bytes, TransportFailure> {
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    loop {
        let frame =
            tokio::time::timeout(idle, body.frame()).await.map_err(|_| TransportFailure::IdleTimeout)?;
        let Some(frame) = frame else { break };
        let Ok(data) = frame.map_err(|error| TransportFailure::of_body(&error))?.into_data() else {
            continue;
        };
        let so_far = first.len() + joined.len();
        if (so_far + data.len()) as u64 > bytes_max {
            return Err(TransportFailure::TooLarge);
        }
        if so_far == 0 {
            first = data;
        } else {
            if joined.is_empty() {
                joined.extend_from_slice(&std::mem::take(&mut first));
            }
            joined.extend_from_slice(&data);
        }
    }
    Ok(if joined.is_empty() { first } else { joined.freeze() })
}

/// What a call wants to be answered with.
fn accept(sent: &Call) -> HeaderValue {
    if sent.stream() {
        return event_stream(sent.endpoint());
    }
    if sent.endpoint() == Endpoint::Speech || sent.plain_answer() { ANYTHING } else { JSON }
}

/// What speech is said to be that comes as it is; nothing for what no speech is: errors are JSON, and pages come from
/// proxies.
fn sound_kind(headers: &HeaderMap) -> Option<HeaderValue> {
    let Some(kind) = headers.get(CONTENT_TYPE) else { return Some(OCTETS) };
    let is_other =
        [&b"application/json"[..], b"text/"].iter().any(|other| kind.as_bytes().starts_with(other));
    (!is_other).then(|| kind.clone())
}

/// What a stream at this endpoint is.
fn event_stream(endpoint: Endpoint) -> HeaderValue {
    if endpoint == Endpoint::Converse { AMAZON_EVENT_STREAM } else { EVENT_STREAM }
}

fn is_event_stream(endpoint: Endpoint, headers: &HeaderMap) -> bool {
    let wanted = event_stream(endpoint);
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(wanted.as_bytes()))
}

/// The request's id as a header.
pub(crate) fn request_id_value(began: &Began) -> HeaderValue {
    crate::failure::id_value(began.id)
}

/// The statuses that pass to the client as they are: the provider speaks of the client's own request.
pub(crate) const fn is_about_the_request(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 404 | 409 | 413 | 415 | 422)
}
