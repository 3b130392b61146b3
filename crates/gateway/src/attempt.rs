//! The upstream call: sent, answered, and either relayed as a stream or taken whole and settled.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dialect::{AnswerFacts, StreamMeter, StreamOptions, UpstreamError};
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use ledger::AttemptStatus;
use providers::{PartsBody, TransportFailure};

use crate::answer::Answer;
use crate::evidence::{Began, Plan};
use crate::failure::{Failure, UpstreamFailure};
use crate::hold::Held;
use crate::pipeline::Gateway;
use crate::rates::Pace;
use crate::relay::Relay;
use crate::settle::{Consumed, Ending, Open, Output, Told};
use crate::tasks::Presence;

/// OpenAI's header for the caller's own name of a request; a provider that logs it lets both sides find a call.
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-client-request-id");
/// What the answer cost, in currency; on answers that are not streamed.
const COST: HeaderName = HeaderName::from_static("x-tollkeeper-cost");
/// The most output tokens of each choice, where the gateway had to lower it to what the caller's credit affords.
const OUTPUT_CAP: HeaderName = HeaderName::from_static("x-tollkeeper-output-cap");
const AGENT: HeaderValue = HeaderValue::from_static(concat!("tollkeeper/", env!("CARGO_PKG_VERSION")));
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
/// An error body is a sentence, not a book.
const ERROR_BYTES_MAX: u64 = 256 * 1024;

/// Makes the call that `held` pays for, and ends the hold whatever happens.
pub(crate) async fn attempt(
    gateway: Gateway,
    began: Began,
    plan: Box<Plan>,
    held: Held,
    pace: Pace,
    presence: Presence,
) -> Result<Response<Answer>, Failure> {
    let Gateway { shared, client, .. } = gateway;
    let request = upstream_request(&began, &plan, held.upstream_cap());
    let provider = Arc::clone(&plan.target.provider);
    let dispatched_us = shared.clock.monotonic_micros();
    let mut open = Open { shared, began, plan, held, pace, dispatched_us, first_byte_us: 0, http_status: 0 };
    if presence.is_gone() {
        // The client left while its money was set aside: nothing was sent, so nothing is owed.
        return Err(fail(open, UpstreamFailure::client_closed()).await);
    }
    let Ok(request) = request else { return Err(fail(open, UpstreamFailure::unsendable()).await) };
    let sent = client.send(&provider, request);
    let answered = if open.plan.call.stream() {
        // Nobody would read the stream: leaving stops what can be stopped.
        tokio::select! {
            answered = sent => answered,
            () = presence.gone() => return Err(abandon(open).await),
        }
    } else {
        sent.await
    };
    let upstream = match answered {
        Ok(upstream) => upstream,
        Err(failure) => return Err(fail(open, UpstreamFailure::of_transport(failure)).await),
    };
    open.first_byte_us = open.shared.clock.monotonic_micros();
    open.http_status = upstream.status().as_u16();
    let (head, body) = upstream.into_parts();
    let idle = client.timeouts().idle;
    if !head.status.is_success() {
        return Err(refused_upstream(open, &head.headers, body, idle).await);
    }
    if open.plan.call.stream() && is_event_stream(&head.headers) {
        return Ok(stream(open, body, idle));
    }
    whole(open, &head.headers, body, idle, &presence).await
}

fn upstream_request(
    began: &Began,
    plan: &Plan,
    output_cap: Option<NonZeroU64>,
) -> Result<Request<PartsBody>, http::Error> {
    let uri = plan.target.provider.uri(plan.call.endpoint().path())?;
    let parts = match output_cap {
        Some(cap) => plan.call.upstream_body_capped(&plan.target.model, cap),
        None => plan.call.upstream_body(&plan.target.model),
    };
    let length = HeaderValue::from(parts.len() as u64);
    let mut request = Request::new(PartsBody::new(parts));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(CONTENT_LENGTH, length);
    headers.insert(ACCEPT, if plan.call.stream() { EVENT_STREAM } else { JSON });
    headers.insert(USER_AGENT, AGENT);
    headers.insert(CLIENT_REQUEST_ID, request_id_value(began));
    Ok(request)
}

fn stream(open: Open, body: Incoming, idle: Duration) -> Response<Answer> {
    let options = StreamOptions { client_asked_usage: open.plan.call.asked_usage() };
    let (id, cap) = (request_id_value(&open.began), open.held.upstream_cap());
    let rates = *open.pace.told();
    let relay = Relay::new(body, StreamMeter::new(open.plan.call.endpoint(), options), open, idle);
    let mut response = Response::new(Answer::Stream(Box::new(relay)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, EVENT_STREAM);
    headers.insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Proxies in front of us must not collect what is meant to flow.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    headers.insert(crate::failure::REQUEST_ID, id);
    rates.write(headers);
    tell_cap(headers, cap);
    response
}

fn tell_cap(headers: &mut HeaderMap, cap: Option<NonZeroU64>) {
    if let Some(cap) = cap {
        headers.insert(OUTPUT_CAP, HeaderValue::from(cap.get()));
    }
}

/// Takes an answer that is not streamed: all of it, then its settlement, then the client gets it.
async fn whole(
    open: Open,
    upstream: &HeaderMap,
    body: Incoming,
    idle: Duration,
    presence: &Presence,
) -> Result<Response<Answer>, Failure> {
    let bytes = match collect(body, open.shared.settings.answer_bytes_max, idle).await {
        Ok(bytes) => bytes,
        Err(failure) => return Err(fail(open, UpstreamFailure::of_transport(failure)).await),
    };
    let endpoint = open.plan.call.endpoint();
    let facts = match AnswerFacts::read(endpoint, &bytes) {
        Ok(facts) if facts.has_error => {
            let error = UpstreamError::read(open.http_status, &bytes);
            return Err(fail(open, UpstreamFailure::of_answer(502, error, None)).await);
        }
        Ok(facts) => facts,
        Err(_) => return Err(fail(open, UpstreamFailure::of_transport(TransportFailure::Garbage)).await),
    };
    let consumed = match facts.usage {
        Some(usage) => Consumed::Reported { usage, output: Output::In(bytes.clone()) },
        None => Consumed::Unreported { output: Output::In(bytes.clone()) },
    };
    let (status, reason) = match presence.is_gone() {
        false => (AttemptStatus::Succeeded, "complete"),
        true => (AttemptStatus::Cancelled, "client_closed"),
    };
    let (id, cap, rates) = (request_id_value(&open.began), open.held.upstream_cap(), *open.pace.told());
    let told = Told { service_tier: facts.service_tier, cost: facts.reported_cost };
    let ending =
        Ending { status, reason, consumed, model_answered: facts.model.map(Into::into), told, answered: 200 };
    let receipt = open.settle(ending).await.map_err(|_| Failure::Unsettled)?;
    let mut response = Response::new(Answer::from(bytes));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, upstream.get(CONTENT_TYPE).cloned().unwrap_or(JSON));
    headers.insert(crate::failure::REQUEST_ID, id);
    rates.write(headers);
    tell_cap(headers, cap);
    if let Ok(cost) = HeaderValue::try_from(receipt.cost.to_string()) {
        headers.insert(COST, cost);
    }
    Ok(response)
}

/// The provider said no: its reason is booked, the hold released, and the client told whose no it was.
async fn refused_upstream(open: Open, headers: &HeaderMap, body: Incoming, idle: Duration) -> Failure {
    let status = open.http_status;
    // What cannot be read adds nothing to the status.
    let bytes = collect(body, ERROR_BYTES_MAX, idle).await.unwrap_or_default();
    let error = UpstreamError::read(status, &bytes);
    let retry_after =
        headers.get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    fail(open, UpstreamFailure::of_answer(status, error, retry_after)).await
}

/// Books a stream whose client left before it began: the provider has read the prompt by then.
async fn abandon(open: Open) -> Failure {
    let gone = UpstreamFailure::client_closed();
    let ending = Ending {
        status: AttemptStatus::Cancelled,
        reason: gone.reason,
        consumed: Consumed::Unreported { output: Output::Text(String::new()) },
        model_answered: None,
        told: Told::default(),
        answered: gone.status,
    };
    match open.settle(ending).await {
        Ok(_) => Failure::Upstream(Box::new(gone)),
        Err(_) => Failure::Unsettled,
    }
}

/// Books a call that brought nothing, and turns it into the failure the client sees.
async fn fail(open: Open, failure: UpstreamFailure) -> Failure {
    let ending = Ending {
        status: if failure.reason == "client_closed" {
            AttemptStatus::Cancelled
        } else {
            AttemptStatus::Failed
        },
        reason: failure.reason,
        consumed: Consumed::Nothing,
        model_answered: None,
        told: Told::default(),
        answered: failure.status,
    };
    match open.settle(ending).await {
        Ok(_) => Failure::Upstream(Box::new(failure)),
        Err(_) => Failure::Unsettled,
    }
}

/// Collects an answer. One that comes in one piece is taken as it is.
async fn collect(mut body: Incoming, bytes_max: u64, idle: Duration) -> Result<Bytes, TransportFailure> {
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

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}

/// The request's id as a header.
pub(crate) fn request_id_value(began: &Began) -> HeaderValue {
    crate::failure::id_value(began.id)
}

/// The statuses that pass to the client as they are: the provider speaks of the client's own request.
pub(crate) const fn is_about_the_request(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 404 | 409 | 413 | 415 | 422)
}
