//! Relaying a stream: bytes pass as they come, the meter reads along, and the end is released when it is on the books.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dialect::convert::StreamConverter;
use dialect::gemini::ArrayFrame;
use dialect::{Broken, Cut, Dialect, ErrorBody, Framing, Made, StreamMeter};
use domain::Usage;
use http_body::Body;
use hyper::body::Incoming;
use ledger::{AttemptStatus, LedgerError};
use providers::TransportFailure;
use tokio::time::{Instant, Sleep};

use crate::checkpoint::{Checkpoint, Room};
use crate::failure::{self, UpstreamFailure};
use crate::settle::{Consumed, Ending, Open, Output, Receipt, Seen, Told};
use crate::substitution::{Claim, Substitution};
use crate::tasks::Tasks;

/// Bytes that go out in one write at most, so that a fast provider does not hold back what a client could read.
const GATHERED_BYTES_MAX: usize = 64 * 1024;

/// How long a stream is read that nobody takes any more: no image takes as long.
const READ_ON_MAX: Duration = Duration::from_secs(600);

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
    /// The end of a stream that was cut off, which tells what was settled.
    cut: Option<Cut>,
    /// What writes the end for a client of another dialect than the provider's.
    converter: Option<Box<StreamConverter>>,
    /// The end of a stream whose settlement fails.
    broken: Option<Broken>,
    /// The rest of a complete answer: nothing but its end, which must be read for the connection to be used again.
    rest: Option<Incoming>,
    /// Makes an array of the events, for a client that wants one.
    array: Option<ArrayFrame>,
    /// It is no stream of events, so that no event of it can tell of an error.
    is_sound: bool,
    /// It has failed, and has no other way to say so than to break off.
    is_torn: bool,
    /// For the event that tells of a break, and in whose words it does.
    request_id: String,
    dialect: Dialect,
    /// Where the settlement goes on when the client has gone.
    tasks: Arc<dyn Tasks>,
}

/// A stream that is not passed on, of which nothing has gone out.
pub(crate) enum Unbegun {
    /// It has brought nothing.
    Nothing(Box<Open>, UpstreamFailure),
    /// It is of another model: to be booked so, and answered so.
    Withheld(Box<Open>, Box<Ending>, UpstreamFailure),
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
    /// What the provider has sent and there is no money for yet.
    waiting: Bytes,
    meter: StreamMeter,
    open: Open,
    idle: Duration,
    deadline: Pin<Box<Sleep>>,
    checkpoint: Checkpoint,
}

/// Why a stream is over.
enum End {
    /// The provider said all it had to say.
    Complete,
    /// The provider sent an error event, which has gone out already.
    UpstreamError,
    /// The stream broke.
    Broken(TransportFailure),
    /// What was held is used up, and there is no more to be had.
    Cut,
    /// The ledger has ended the hold. It denies the settlement too, and that is what the client is told.
    HoldGone,
}

impl Relay {
    pub(crate) fn new(upstream: Incoming, meter: StreamMeter, open: Open, idle: Duration) -> Self {
        let (request_id, dialect) = (open.began.id.to_string(), open.plan.call.endpoint().dialect());
        let tasks = Arc::clone(&open.shared.tasks);
        let array = (open.plan.call.framing() == Framing::Array).then(ArrayFrame::default);
        let is_sound = meter.is_sound();
        let deadline = Box::pin(tokio::time::sleep(idle));
        let checkpoint = Checkpoint::new(&open);
        let flow = Flow { upstream, waiting: Bytes::new(), meter, open, idle, deadline, checkpoint };
        Self {
            phase: Phase::Flowing(Box::new(flow)),
            ready: VecDeque::new(),
            passed: Vec::new(),
            turns: 0,
            tail: Vec::new(),
            cut: None,
            converter: None,
            broken: None,
            rest: None,
            array,
            is_sound,
            is_torn: false,
            request_id,
            dialect,
            tasks,
        }
    }

    /// Whether what went out is not all there was to be, and nothing in it says so.
    pub(crate) const fn is_torn(&self) -> bool {
        self.is_torn
    }

    /// Waits for the first event that brings anything. A stream that fails before it is handed back, unsettled: it has
    /// brought nothing, and nothing of it has gone out. So is one of a model that the route does not pass on.
    pub(crate) async fn begun(mut self) -> Result<Self, Unbegun> {
        let end = std::future::poll_fn(|context| self.poll_begin(context)).await;
        let failure = match (&end, &self.phase) {
            (Some(End::Broken(broken)), Phase::Flowing(flow)) if flow.meter.chunks() == 0 => {
                Some(UpstreamFailure::of_transport(*broken))
            }
            (Some(End::UpstreamError), Phase::Flowing(flow)) if flow.meter.chunks() == 0 => {
                let error = flow.meter.upstream_error().cloned().unwrap_or_default();
                Some(UpstreamFailure::of_answer(502, error, None))
            }
            _ => None,
        };
        if let Some(failure) = failure
            && let Phase::Flowing(flow) = std::mem::replace(&mut self.phase, Phase::Ended)
        {
            return Err(Unbegun::Nothing(Box::new(flow.open), failure));
        }
        if let Some(withheld) = self.withheld() {
            return Err(withheld);
        }
        self.release();
        if let Some(end) = end {
            self.begin_settlement(end);
        }
        Ok(self)
    }

    /// Takes the stream away whose model is not the one that was called, where the route is strict about it.
    fn withheld(&mut self) -> Option<Unbegun> {
        let Phase::Flowing(flow) = &self.phase else { return None };
        let claim = flow.open.claim(flow.meter.model());
        if flow.open.plan.substitution() != Substitution::Refuse || claim == Claim::Kept {
            return None;
        }
        let Phase::Flowing(flow) = std::mem::replace(&mut self.phase, Phase::Ended) else { return None };
        let Flow { meter, open, .. } = *flow;
        let failure = UpstreamFailure::substituted(claim, &open.plan.target().label, meter.model());
        let ending =
            Ending { answered: failure.status, ..ending(meter, AttemptStatus::Failed, failure.reason) };
        Some(Unbegun::Withheld(Box::new(open), Box::new(ending), failure))
    }

    /// Goes on until something was brought, the stream has ended, or what passes without bringing anything is as much as
    /// may be kept.
    fn poll_begin(&mut self, context: &mut Context<'_>) -> Poll<Option<End>> {
        loop {
            let kept = self.passed_bytes();
            let Phase::Flowing(flow) = &mut self.phase else { return Poll::Ready(None) };
            if flow.meter.chunks() > 0 || kept >= GATHERED_BYTES_MAX {
                return Poll::Ready(None);
            }
            if let Some(end) = ready!(flow.poll(context, &mut self.passed)) {
                return Poll::Ready(Some(end));
            }
        }
    }

    /// The target has begun to answer as it should.
    pub(crate) fn note_begin(&self) {
        if let Phase::Flowing(flow) = &self.phase {
            flow.open.note_end(true);
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended) && self.ready.is_empty() && self.array.is_none() && !self.is_torn
    }

    /// What goes out next: the events, in the frame that the client wants.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            let next = ready!(self.poll_events(context));
            let Some(array) = &mut self.array else { return Poll::Ready(next) };
            let Some(events) = next else {
                let end = array.end();
                self.array = None;
                return Poll::Ready(Some(end));
            };
            let part = array.push(events);
            if !part.is_empty() {
                return Poll::Ready(Some(part));
            }
        }
    }

    fn poll_events(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
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
                        Ok(receipt) => self.end(&receipt.usage),
                        Err(error) => {
                            let told = failure::unbooked_stream(&error, &self.request_id);
                            let told = told.told_in(self.dialect);
                            let events = self.fail(&told);
                            self.ready.extend(events);
                        }
                    }
                    self.phase = Phase::Ended;
                }
                Phase::Ended => return Poll::Ready(None),
            }
        }
    }

    /// Lets go what waited for the settlement.
    fn end(&mut self, usage: &Usage) {
        self.ready.extend(self.tail.drain(..));
        match &mut self.converter {
            None => self.ready.extend(self.cut.iter().flat_map(|cut| cut.events(usage))),
            Some(converter) => {
                let mut events = Vec::new();
                match &self.cut {
                    None => converter.tail(usage, &mut events),
                    Some(_) => converter.cut(usage, &mut events),
                }
                self.ready.push_back(Bytes::from(events));
            }
        }
    }

    /// The events that tell of an error in place of the end.
    fn fail(&mut self, told: &ErrorBody) -> Option<Bytes> {
        if self.is_sound {
            self.is_torn = true;
            return None;
        }
        match &mut self.converter {
            None => self.broken.as_ref().map(|broken| broken.events(told)),
            Some(converter) => {
                let mut events = Vec::new();
                converter.fail(told, &mut events);
                Some(Bytes::from(events))
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
        let Flow { mut meter, mut open, upstream, checkpoint, .. } = *flow;
        self.rest = matches!(end, End::Complete).then_some(upstream);
        let call = open.plan.cut_call(&open.began, &self.request_id);
        self.cut = matches!(end, End::Cut).then(|| meter.cut(call));
        self.broken = Some(meter.broken(call));
        self.converter = meter.take_converter();
        self.tail = match &end {
            // Bare ends look like success to every SDK, so a break is spelled out.
            End::Broken(broken) => {
                let told = failure::broken_stream(*broken, &self.request_id).told_in(self.dialect);
                self.fail(&told).into_iter().collect()
            }
            End::Complete | End::UpstreamError => meter.tail(),
            End::HoldGone | End::Cut => Vec::new(),
        };
        let (status, reason) = match end {
            End::Complete => (AttemptStatus::Succeeded, "complete"),
            End::UpstreamError => (AttemptStatus::Failed, "upstream_error"),
            End::Broken(broken) => (AttemptStatus::Failed, broken.reason()),
            End::Cut => (AttemptStatus::Cancelled, "hold_exhausted"),
            End::HoldGone => (AttemptStatus::Cancelled, "hold_timed_out"),
        };
        if status == AttemptStatus::Failed {
            open.note_end(false);
        }
        let ending = ending(meter, status, reason);
        self.phase = Phase::Settling(Box::pin(async move {
            checkpoint.close(&mut open.held).await;
            open.settle(ending).await
        }));
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("request", &self.request_id).finish_non_exhaustive()
    }
}

impl Drop for Relay {
    /// The client has gone. The provider's connection is dropped, which stops those that can be stopped, and the call
    /// is settled by what it said so far. What is made whole is billed whole, whoever waits for it: that is read to its
    /// end, which tells what it cost.
    fn drop(&mut self) {
        match std::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Flowing(mut flow) if flow.open.plan.candidate().allowance.is_whole() => {
                self.tasks.spawn(Box::pin(async move {
                    // One that never ends is settled by what it has told by then.
                    let _ = tokio::time::timeout(READ_ON_MAX, flow.read_on()).await;
                    flow.leave().await;
                }));
            }
            Phase::Flowing(flow) => self.tasks.spawn(Box::pin(flow.leave())),
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
    /// Drops the provider's connection at once, and settles what came.
    fn leave(self: Box<Self>) -> impl Future<Output = ()> {
        let Self { upstream, meter, mut open, checkpoint, .. } = *self;
        drop(upstream);
        let ending = ending(meter, AttemptStatus::Cancelled, "client_closed");
        async move {
            checkpoint.close(&mut open.held).await;
            drop(open.settle(ending).await);
        }
    }

    /// Reads the rest of the stream for its count alone.
    async fn read_on(&mut self) {
        let mut passed = Vec::new();
        let mut ended = false;
        while !ended {
            ended = std::future::poll_fn(|context| self.poll(context, &mut passed)).await.is_some();
            passed.clear();
        }
    }

    /// Takes what the provider sends next. `Some` when the stream is over.
    fn poll(&mut self, context: &mut Context<'_>, passed: &mut Vec<Bytes>) -> Poll<Option<End>> {
        self.checkpoint.poll(context, &mut self.open, &self.meter);
        let room = match self.checkpoint.room(&self.open, &self.meter) {
            Room::Some(bytes_max) => bytes_max,
            // The ledger's answer wakes this task.
            Room::Undecided => return Poll::Pending,
            Room::None => return Poll::Ready(Some(End::Cut)),
            Room::HoldGone => return Poll::Ready(Some(End::HoldGone)),
        };
        if self.waiting.is_empty()
            && let Some(end) = ready!(self.receive(context, passed))
        {
            return Poll::Ready(Some(end));
        }
        // No more than there is money for; it is read on when there is.
        let data = self.waiting.split_to(room.min(self.waiting.len()));
        if self.meter.push(data, passed).is_err() {
            return Poll::Ready(Some(End::Broken(TransportFailure::Garbage)));
        }
        if self.meter.upstream_error().is_some() {
            return Poll::Ready(Some(End::UpstreamError));
        }
        if self.meter.done_seen() {
            return Poll::Ready(Some(End::Complete));
        }
        Poll::Ready(None)
    }

    /// Waits for the next piece from the provider. `Some` when the stream is over.
    fn receive(&mut self, context: &mut Context<'_>, passed: &mut Vec<Bytes>) -> Poll<Option<End>> {
        let frame = match Pin::new(&mut self.upstream).poll_frame(context) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                ready!(self.deadline.as_mut().poll(context));
                return Poll::Ready(Some(End::Broken(TransportFailure::IdleTimeout)));
            }
        };
        self.waiting = match frame {
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            Some(Err(error)) => return Poll::Ready(Some(End::Broken(TransportFailure::of_body(&error)))),
            None => return Poll::Ready(Some(self.end_of_file(passed))),
        };
        self.deadline.as_mut().reset(Instant::now() + self.idle);
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
        status == AttemptStatus::Succeeded
            || (usage.output_total() >= meter.content_tokens_seen() && usage.images >= meter.images())
    };
    let consumed = match meter.usage().filter(told_all) {
        Some(usage) => Consumed::Reported { usage, output: Output::Text(meter.take_output_text()) },
        // A stream that failed before it said anything brought nothing, like any other answer that never came.
        None if status == AttemptStatus::Failed && meter.chunks() == 0 => Consumed::Nothing,
        None => Consumed::Unreported {
            so_far: meter.so_far(),
            seen: Seen {
                searches: meter.searches(),
                made: Made { images: meter.images(), audio_ms: meter.audio_ms() },
            },
            output: Output::Text(meter.take_output_text()),
        },
    };
    let told = Told { service_tier: meter.service_tier().map(str::to_owned), cost: meter.reported_cost() };
    Ending { status, reason, consumed, model_answered: meter.model().map(Box::from), told, answered: 200 }
}
