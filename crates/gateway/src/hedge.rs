//! The way to the head of an answer: an attempt is sent, and where its route hedges and it takes long to begin, a second
//! one beside it (ADR 0014). The first answer that begins with a success wins, and the other attempt is given up.
//!
//! It knows which of two attempts is heard first, and when the second one is sent; what that costs, where it goes and
//! which row becomes of it, it must never know: that is `beside.rs`.

use std::future::{Future, pending};
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::response::Parts;
use hyper::body::Incoming;
use providers::{Client, TransportFailure};

use crate::attempt::{ERROR_BYTES_MAX, collect, refused_upstream, renew_token, upstream_request};
use crate::beside::Beside;
use crate::caps::learn_refusal;
use crate::failure::UpstreamFailure;
use crate::settle::Open;
use crate::tasks::Presence;

/// An attempt on its way.
type Flight = Pin<Box<dyn Future<Output = Result<Heard, TransportFailure>> + Send>>;

/// What a provider began to say.
struct Heard {
    /// When, by the clock that never steps.
    at_us: u64,
    head: Parts,
    /// The answer that follows, or the whole of an error, which is a sentence and not a book.
    body: Result<Incoming, Bytes>,
}

/// How the way to an answer ended.
pub(crate) enum Landed {
    /// With a success.
    Began(Parts, Incoming),
    /// With nothing.
    Failed(UpstreamFailure),
    /// The client has gone, and nobody would read the stream.
    Left,
}

/// What happened next on the way.
enum Event {
    /// The present attempt was heard.
    Present(Result<Heard, TransportFailure>),
    /// The one beside it was.
    Beside(Result<Heard, TransportFailure>),
    /// The present one takes long.
    Late,
    Left,
}

/// Sends the present attempt and waits until an answer begins. The attempt that `open` is at in the end is the one whose
/// answer or failure this is.
pub(crate) async fn head(client: &Client, open: &mut Open, presence: &Presence) -> Landed {
    let Some(mut flight) = depart(client, open) else {
        return Landed::Failed(UpstreamFailure::unsendable());
    };
    let mut beside: Option<(Flight, Beside)> = None;
    let mut patience = open.hedges_after();
    loop {
        let other = beside.as_mut().map(|(flight, _)| flight);
        // Leaving a stream stops what can be stopped, which is not what is made whole.
        let stops = open.plan.call.stream() && !open.plan.candidate().allowance.is_whole();
        let reader = stops.then_some(presence);
        let heard = match next(&mut flight, other, patience, reader).await {
            Event::Left => {
                if let Some((_, other)) = beside {
                    open.give_up(other);
                }
                return Landed::Left;
            }
            Event::Late => {
                patience = None;
                // Nobody would read what a second one answers.
                if presence.is_gone() {
                    continue;
                }
                if let Some(first) = open.begin_beside().await {
                    match depart(client, open) {
                        Some(second) => beside = Some((std::mem::replace(&mut flight, second), first)),
                        None => open.leave_to(first, &UpstreamFailure::unsendable()),
                    }
                }
                continue;
            }
            Event::Beside(heard) => {
                if let Some((other, first)) = beside.take() {
                    let second = open.outrun_by(first).await;
                    beside = Some((std::mem::replace(&mut flight, other), second));
                }
                heard
            }
            Event::Present(heard) => heard,
        };
        let failure = match take(open, heard) {
            Ok((head, body)) => {
                if let Some((_, other)) = beside {
                    open.give_up(other);
                }
                return Landed::Began(head, body);
            }
            Err(failure) => failure,
        };
        // What failed leaves the other one alone on the way, as if it had been the only one.
        let Some((other, place)) = beside.take() else { return Landed::Failed(*failure) };
        open.note_failure(&failure);
        open.leave_to(place, &failure);
        flight = other;
    }
}

/// Sends the present attempt.
fn depart(client: &Client, open: &mut Open) -> Option<Flight> {
    let request = upstream_request(&open.began, &open.plan, open.held.upstream_cap()).ok()?;
    let target = open.plan.target();
    let (provider, first_byte) = (std::sync::Arc::clone(&target.provider), target.rules.first_byte);
    let (dialect, clock) = (open.plan.sent().endpoint().dialect(), std::sync::Arc::clone(&open.shared.clock));
    let (client, now, idle) = (client.clone(), clock.now(), client.timeouts().idle);
    renew_token(&client, &provider, open.shared.tasks.as_ref(), now);
    Some(Box::pin(async move {
        let upstream = client.send(&provider, dialect, request, now, first_byte).await?;
        let at_us = clock.monotonic_micros();
        let (head, body) = upstream.into_parts();
        let body = if head.status.is_success() {
            Ok(body)
        } else {
            // What cannot be read adds nothing to the status.
            Err(collect(body, ERROR_BYTES_MAX, idle).await.unwrap_or_default())
        };
        Ok(Heard { at_us, head, body })
    }))
}

async fn next(
    present: &mut Flight,
    beside: Option<&mut Flight>,
    patience: Option<Duration>,
    reader: Option<&Presence>,
) -> Event {
    let beside = async {
        match beside {
            Some(flight) => flight.await,
            None => pending().await,
        }
    };
    let late = async {
        match patience {
            Some(patience) => tokio::time::sleep(patience).await,
            None => pending().await,
        }
    };
    let left = async {
        match reader {
            Some(presence) => presence.gone().await,
            None => pending().await,
        }
    };
    tokio::select! {
        heard = present => Event::Present(heard),
        heard = beside => Event::Beside(heard),
        () = late => Event::Late,
        () = left => Event::Left,
    }
}

/// Takes what was heard of the present attempt: its answer, or what is wrong.
fn take(
    open: &mut Open,
    heard: Result<Heard, TransportFailure>,
) -> Result<(Parts, Incoming), Box<UpstreamFailure>> {
    let Heard { at_us, head, body } =
        heard.map_err(|failure| Box::new(UpstreamFailure::of_transport(failure)))?;
    open.first_byte_us = at_us;
    open.http_status = head.status.as_u16();
    let wait = open.note_head(&head.headers);
    match body {
        Ok(body) => Ok((head, body)),
        Err(error) => {
            if open.http_status == 429 {
                learn_refusal(&open.plan.target().accounts, &error, open.shared.clock.as_ref());
            }
            Err(Box::new(refused_upstream(open.http_status, wait, &head.headers, &error)))
        }
    }
}
