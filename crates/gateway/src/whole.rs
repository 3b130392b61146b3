//! An answer that is not streamed: taken whole, put on the books, and passed on.
//!
//! It knows how a whole answer becomes its settlement and the client's response; it must never know how it was sent for.

use std::time::Duration;

use bytes::Bytes;
use dialect::convert::WholeAnswer;
use dialect::{AnswerFacts, Conversion, CutCall, UpstreamError};
use domain::{Timestamp, Usage};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use hyper::body::Incoming;
use ledger::AttemptStatus;
use providers::TransportFailure;

use crate::answer::Answer;
use crate::attempt::{Attempted, JSON, collect, request_id_value, tell_cap};
use crate::failure::{Failure, UpstreamFailure};
use crate::settle::{Consumed, Ending, Open, Output, Seen, Told};
use crate::substitution::{Claim, Substitution};
use crate::tasks::Presence;

/// What the answer cost, in currency; on answers that are not streamed.
const COST: HeaderName = HeaderName::from_static("x-tollkeeper-cost");

/// Takes an answer: all of it, then its settlement, then the client gets it.
pub(crate) async fn whole(
    open: Open,
    upstream: &HeaderMap,
    body: Incoming,
    idle: Duration,
    presence: &Presence,
) -> Attempted {
    let collected = collect(body, open.shared.settings.answer_bytes_max, idle).await;
    if let Err(failure @ TransportFailure::TooLarge) = collected {
        let failure = UpstreamFailure::of_transport(failure);
        let ending = ending_unread(&open, &failure);
        return withhold(open, ending, failure).await;
    }
    let collected = collected.map_err(|failure| Box::new(UpstreamFailure::of_transport(failure)));
    let read = collected.and_then(|bytes| read(&open, bytes));
    let (bytes, facts, way_back) = match read {
        Ok(read) => read,
        Err(failure) => return Attempted::Failed(Box::new(open), *failure),
    };
    let claim = open.claim(facts.model.as_deref());
    if open.plan.substitution() == Substitution::Refuse && claim != Claim::Kept {
        let failure = UpstreamFailure::substituted(claim, &open.plan.target().label, facts.model.as_deref());
        let ending = ending(facts, &bytes, AttemptStatus::Failed, failure.reason, failure.status);
        return withhold(open, ending, failure).await;
    }
    let (status, reason) = match presence.is_gone() {
        // The client gets it as it is: it says what went wrong, and that it is no answer.
        _ if facts.has_failed => (AttemptStatus::Failed, "upstream_error"),
        false => (AttemptStatus::Succeeded, "complete"),
        true => (AttemptStatus::Cancelled, "client_closed"),
    };
    let ending = ending(facts, &bytes, status, reason, 200);
    open.note_end(true);
    let mut headers = HeaderMap::new();
    open.tell_way(&mut headers);
    headers.insert(crate::failure::REQUEST_ID, request_id_value(&open.began));
    open.pace.told().write(open.plan.call.endpoint().dialect(), &mut headers);
    tell_cap(&mut headers, open.held.upstream_cap());
    let Ok(receipt) = open.settle(ending).await else { return Attempted::Over(Failure::Unsettled) };
    let (bytes, kind) = match way_back {
        None => (bytes, upstream.get(CONTENT_TYPE).cloned().unwrap_or(JSON)),
        Some(way_back) => (way_back.write(&receipt.usage), JSON),
    };
    headers.insert(CONTENT_TYPE, kind);
    if let Ok(cost) = HeaderValue::try_from(receipt.cost.to_string()) {
        headers.insert(COST, cost);
    }
    let mut response = Response::new(Answer::from(bytes));
    *response.headers_mut() = headers;
    Attempted::Answered(response)
}

/// The way of a whole answer to a caller of another dialect.
struct WayBack {
    conversion: Box<Conversion>,
    answer: WholeAnswer,
    request_id: String,
    at: Timestamp,
    model: String,
}

impl WayBack {
    fn write(self, usage: &Usage) -> Bytes {
        let Self { conversion, answer, request_id, at, model } = self;
        let call = CutCall { request_id: &request_id, at, model: &model, choices: 1 };
        conversion.write_answer(answer, usage, call)
    }
}

/// Reads an answer before it is charged for: what is none, or cannot be put in the caller's words, is a failure.
fn read(open: &Open, bytes: Bytes) -> Result<(Bytes, AnswerFacts, Option<WayBack>), Box<UpstreamFailure>> {
    let garbage = || Box::new(UpstreamFailure::of_transport(TransportFailure::Garbage));
    let facts = AnswerFacts::read(open.plan.sent().endpoint(), &bytes).map_err(|_| garbage())?;
    if facts.has_error {
        let error = UpstreamError::read(open.http_status, &bytes);
        return Err(Box::new(UpstreamFailure::of_answer(502, error, None)));
    }
    let Some(conversion) = &open.plan.candidate().converted else { return Ok((bytes, facts, None)) };
    let way_back = WayBack {
        answer: conversion.read_answer(&bytes).map_err(|_| garbage())?,
        conversion: conversion.clone(),
        request_id: open.began.id.to_string(),
        at: open.began.at,
        model: open.plan.target().model.to_string(),
    };
    Ok((bytes, facts, Some(way_back)))
}

fn ending(
    facts: AnswerFacts,
    bytes: &Bytes,
    status: AttemptStatus,
    reason: &'static str,
    answered: u16,
) -> Ending {
    let output = Output::In(bytes.clone());
    let consumed = match facts.usage {
        Some(usage) => Consumed::Reported { usage, output },
        None if facts.has_failed => Consumed::Nothing,
        None => {
            let seen = Seen { searches: facts.searches, images: facts.images };
            Consumed::Unreported { so_far: None, output, seen }
        }
    };
    let told = Told { service_tier: facts.service_tier, cost: facts.reported_cost };
    Ending { status, reason, consumed, model_answered: facts.model.map(Into::into), told, answered }
}

/// Of an answer that is longer than we take: it was made, so it costs what the call itself tells of it.
fn ending_unread(open: &Open, failure: &UpstreamFailure) -> Ending {
    let seen = Seen { searches: 0, images: open.plan.sent().images() };
    let consumed = Consumed::Unreported { so_far: None, output: Output::Text(String::new()), seen };
    Ending {
        status: AttemptStatus::Failed,
        reason: failure.reason,
        consumed,
        model_answered: None,
        told: Told::default(),
        answered: failure.status,
    }
}

/// Books an answer that is not passed on. It cost something, so nothing is tried again.
pub(crate) async fn withhold(open: Open, ending: Ending, mut failure: UpstreamFailure) -> Attempted {
    open.note_end(true);
    failure.way = Some(open.way());
    Attempted::Over(match open.settle(ending).await {
        Ok(_) => Failure::Upstream(Box::new(failure)),
        Err(_) => Failure::Unsettled,
    })
}
