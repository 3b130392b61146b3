//! Relaying a stream: bytes pass as they come, the meter reads along, and the end is released when it is on the books.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dialect::openai::StreamMeter;
use domain::{Pico, Usage};
use http_body::Body;
use hyper::body::Incoming;
use ledger::{AttemptStatus, Denial, LedgerError, Ticket};
use providers::TransportFailure;
use tokio::time::{Instant, Sleep};

use crate::failure;
use crate::hold::priced;
use crate::settle::{Consumed, Ending, Open, Output, Receipt};
use crate::tasks::Tasks;

/// Bytes that go out in one write at most, so that a fast provider does not hold back what a client could read.
const GATHERED_BYTES_MAX: usize = 64 * 1024;

/// Turns that the provider's connection needs to hand over the next piece, if it has one.
const TURNS_MAX: u8 = 3;

/// A stream on its way from a provider to a client.
pub struct Relay {
    phase: Phase,
    /// What may go out now.
    ready: VecDeque<Bytes>,
    /// Where the meter puts what may go out; kept for its memory.
    passed: Vec<Bytes>,
    /// Turns left to wait for what may have arrived with what has passed.
    turns: u8,
    /// What goes out after the settlement.
    tail: Vec<Bytes>,
    /// The rest of a complete answer: nothing but its end, which must be read for the connection to be used again.
    rest: Option<Incoming>,
    /// For the event that tells of a break.
    request_id: String,
    /// Where the settlement goes on when the client has gone.
    tasks: Arc<dyn Tasks>,
}

enum Phase {
    /// The provider is sending.
    Flowing(Box<Flow>),
    /// It has ended, and the settlement is under way.
    Settling(Pin<Box<dyn Future<Output = Result<Receipt, LedgerError>> + Send>>),
    Ended,
}

struct Flow {
    upstream: Incoming,
    meter: StreamMeter,
    open: Open,
    idle: Duration,
    deadline: Pin<Box<Sleep>>,
    checkpoint: Checkpoint,
}

/// Growing the hold while the stream runs.
struct Checkpoint {
    /// Output tokens in one step.
    step: u64,
    /// The count at which the next step is asked for.
    next: u64,
    asked: Option<Ticket>,
}

/// Why a stream is over.
enum End {
    /// The provider said all it had to say.
    Complete,
    /// The provider sent an error event, which has gone out already.
    UpstreamError,
    /// The stream broke.
    Broken(TransportFailure),
}

impl Relay {
    pub(crate) fn new(upstream: Incoming, meter: StreamMeter, open: Open, idle: Duration) -> Self {
        let step = open.shared.settings.output_slice;
        let request_id = open.began.id.to_string();
        let tasks = Arc::clone(&open.shared.tasks);
        let deadline = Box::pin(tokio::time::sleep(idle));
        let checkpoint = Checkpoint { step, next: step, asked: None };
        let flow = Flow { upstream, meter, open, idle, deadline, checkpoint };
        Self {
            phase: Phase::Flowing(Box::new(flow)),
            ready: VecDeque::new(),
            passed: Vec::new(),
            turns: 0,
            tail: Vec::new(),
            rest: None,
            request_id,
            tasks,
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended) && self.ready.is_empty()
    }

    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Poll::Ready(Some(bytes));
            }
            match &mut self.phase {
                Phase::Flowing(flow) => match flow.poll(context, &mut self.passed) {
                    Poll::Ready(Some(end)) => {
                        self.release();
                        self.begin_settlement(end);
                    }
                    Poll::Ready(None) if self.passed_bytes() < GATHERED_BYTES_MAX => self.turns = TURNS_MAX,
                    Poll::Pending if self.passed.is_empty() => return Poll::Pending,
                    // What arrived together goes out together: the connection hands over one piece at a time, and needs
                    // a turn to bring the next. A write for each would be a system call for each.
                    Poll::Pending if self.turns > 0 => {
                        self.turns -= 1;
                        context.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    Poll::Ready(None) | Poll::Pending => self.release(),
                },
                Phase::Settling(settlement) => {
                    if self.rest.as_mut().is_some_and(|rest| has_ended(rest, context)) {
                        self.rest = None;
                    }
                    let settled = ready!(settlement.as_mut().poll(context));
                    match settled {
                        Ok(_) => self.ready.extend(self.tail.drain(..)),
                        Err(_) => self.ready.push_back(failure::unsettled(&self.request_id).stream_event()),
                    }
                    self.phase = Phase::Ended;
                }
                Phase::Ended => return Poll::Ready(None),
            }
        }
    }

    fn passed_bytes(&self) -> usize {
        self.passed.iter().map(Bytes::len).sum()
    }

    /// Lets go what has passed: one piece as it is, several joined, for they are small and came together.
    fn release(&mut self) {
        self.turns = 0;
        if self.passed.len() <= 1 {
            return self.ready.extend(self.passed.pop());
        }
        let mut joined = BytesMut::with_capacity(self.passed_bytes());
        for piece in self.passed.drain(..) {
            joined.extend_from_slice(&piece);
        }
        self.ready.push_back(joined.freeze());
    }

    fn begin_settlement(&mut self, end: End) {
        let Phase::Flowing(flow) = std::mem::replace(&mut self.phase, Phase::Ended) else { return };
        let Flow { meter, open, upstream, .. } = *flow;
        self.rest = matches!(end, End::Complete).then_some(upstream);
        self.tail = match &end {
            // Bare ends look like success to every SDK, so a break is spelled out.
            End::Broken(broken) => vec![failure::broken_stream(*broken, &self.request_id).stream_event()],
            End::Complete | End::UpstreamError => meter.tail(),
        };
        let (status, reason) = match end {
            End::Complete => (AttemptStatus::Succeeded, "complete"),
            End::UpstreamError => (AttemptStatus::Failed, "upstream_error"),
            End::Broken(broken) => (AttemptStatus::Failed, broken.reason()),
        };
        self.phase = Phase::Settling(Box::pin(open.settle(ending(meter, status, reason))));
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("request", &self.request_id).finish_non_exhaustive()
    }
}

impl Drop for Relay {
    /// The client has gone. The provider's connection is dropped, which stops those that can be stopped, and the call
    /// is settled by what it said so far.
    fn drop(&mut self) {
        match std::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Flowing(flow) => {
                let Flow { upstream, meter, open, .. } = *flow;
                drop(upstream);
                let ending = ending(meter, AttemptStatus::Cancelled, "client_closed");
                self.tasks.spawn(Box::pin(async move { drop(open.settle(ending).await) }));
            }
            // It is on its way to the books already, and goes on.
            Phase::Settling(settlement) => self.tasks.spawn(Box::pin(async move { drop(settlement.await) })),
            Phase::Ended => {
                if let Some(rest) = self.rest.take() {
                    self.tasks.spawn(Box::pin(read_out(rest)));
                }
            }
        }
    }
}

/// Waits a moment for the end of an answer, so that its connection can be used again.
async fn read_out(mut rest: Incoming) {
    const MOMENT: Duration = Duration::from_secs(1);
    let end =
        std::future::poll_fn(
            |context| {
                if has_ended(&mut rest, context) { Poll::Ready(()) } else { Poll::Pending }
            },
        );
    // One that does not come costs the connection and nothing else.
    let _ = tokio::time::timeout(MOMENT, end).await;
}

impl Flow {
    /// Takes what the provider sends next. `Some` when the stream is over.
    fn poll(&mut self, context: &mut Context<'_>, passed: &mut Vec<Bytes>) -> Poll<Option<End>> {
        self.poll_extension(context);
        let frame = match Pin::new(&mut self.upstream).poll_frame(context) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                ready!(self.deadline.as_mut().poll(context));
                return Poll::Ready(Some(End::Broken(TransportFailure::IdleTimeout)));
            }
        };
        let data = match frame {
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            Some(Err(error)) => return Poll::Ready(Some(End::Broken(TransportFailure::of_body(&error)))),
            None => return Poll::Ready(Some(self.end_of_file(passed))),
        };
        self.deadline.as_mut().reset(Instant::now() + self.idle);
        if self.meter.push(data, passed).is_err() {
            return Poll::Ready(Some(End::Broken(TransportFailure::Garbage)));
        }
        if self.meter.upstream_error().is_some() {
            return Poll::Ready(Some(End::UpstreamError));
        }
        if self.meter.done_seen() {
            return Poll::Ready(Some(End::Complete));
        }
        self.extend_if_due();
        Poll::Ready(None)
    }

    /// Some providers end without `[DONE]`: a finish reason or a usage is then the end, and nothing at all is a break.
    fn end_of_file(&mut self, passed: &mut Vec<Bytes>) -> End {
        if self.meter.finish(passed).is_err() {
            return End::Broken(TransportFailure::Garbage);
        }
        if self.meter.upstream_error().is_some() {
            return End::UpstreamError;
        }
        let complete = self.meter.done_seen() || self.meter.finish_seen() || self.meter.usage().is_some();
        if complete { End::Complete } else { End::Broken(TransportFailure::Closed) }
    }

    /// Asks for the next step of the hold when the stream has used up the last one. The answer never stops the stream:
    /// a running call ends and is booked (3.1).
    fn extend_if_due(&mut self) {
        let seen = self.meter.content_tokens_seen();
        if seen < self.checkpoint.next || self.checkpoint.asked.is_some() {
            return;
        }
        self.checkpoint.next = seen.saturating_add(self.checkpoint.step);
        let step = Usage { output: self.checkpoint.step, ..Usage::default() };
        let more = self.open.plan.price.cost(&step).and_then(Pico::ceil_to_money);
        self.checkpoint.asked = more.and_then(|more| self.ask(more));
    }

    /// When more is denied the checkpoint alone is still worth keeping.
    fn poll_extension(&mut self, context: &mut Context<'_>) {
        let Some(ticket) = &mut self.checkpoint.asked else { return };
        let Poll::Ready(answer) = Pin::new(ticket).poll(context) else { return };
        self.checkpoint.asked = match answer {
            Err(LedgerError::Denied(Denial::InsufficientCredit { .. } | Denial::InDebt { .. })) => {
                self.ask(domain::Money::ZERO)
            }
            Ok(_) | Err(_) => None,
        };
    }

    fn ask(&mut self, more: domain::Money) -> Option<Ticket> {
        let usage = Usage {
            input: self.open.plan.input_guess,
            output: self.meter.content_tokens_seen(),
            ..Usage::default()
        };
        let cost = priced(&self.open.plan, &usage)?;
        self.open.held.extend(more, usage, cost)
    }
}

/// Reads what is left of an answer that has said its last word; whether it has come to its end.
fn has_ended(rest: &mut Incoming, context: &mut Context<'_>) -> bool {
    loop {
        match Pin::new(&mut *rest).poll_frame(context) {
            Poll::Ready(Some(Ok(_))) => {}
            Poll::Ready(Some(Err(_)) | None) => return true,
            Poll::Pending => return false,
        }
    }
}

fn ending(mut meter: StreamMeter, status: AttemptStatus, reason: &'static str) -> Ending {
    // Some providers tell their usage as they go: of a stream that did not end well, what they said last may be old.
    let told_all = |usage: &Usage| {
        status == AttemptStatus::Succeeded || usage.output_total() >= meter.content_tokens_seen()
    };
    let consumed = match meter.usage().filter(told_all) {
        Some(usage) => Consumed::Reported { usage, output: Output::Text(meter.take_output_text()) },
        // A stream that failed before it said anything brought nothing, like any other answer that never came.
        None if status == AttemptStatus::Failed && meter.chunks() == 0 => Consumed::Nothing,
        None => Consumed::Unreported { output: Output::Text(meter.take_output_text()) },
    };
    Ending { status, reason, consumed, model_answered: meter.model().map(Box::from), answered: 200 }
}
