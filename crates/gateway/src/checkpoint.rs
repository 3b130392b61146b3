//! Growing a hold while its stream runs. Every step is a checkpoint too: what it says is charged if the gateway dies.
//!
//! It knows how far a stream has come and what that costs; it must never know where the bytes go.

use std::pin::Pin;
use std::task::{Context, Poll};

use dialect::StreamMeter;
use dialect::tokens::{Encoding, count_text};
use domain::{Money, Usage};
use ledger::{Denial, LedgerError, Reply, Ticket};

use crate::hold::{Held, Need, begun, priced};
use crate::settle::Open;

/// The smallest step that is asked for where the money ends, in output tokens.
const STEP_TOKENS_LEAST: u64 = 256;

/// Bytes of a stream that pass at once where it may be cut off. A token has at least one byte, so as many bytes as there
/// are tokens left can never be too much; fewer than this would hold single tokens, each in an event of its own.
const ROOM_BYTES_LEAST: u64 = 512;

/// How far a stream may go beyond a cap that its provider knows, before it is not believed to obey: so many times the
/// cap, and a few tokens more, because no two tokenizers agree on short texts.
const DISOBEDIENCE: u64 = 2;
const DISOBEDIENCE_TOKENS: u64 = 256;

/// The state of a stream's hold.
pub(crate) struct Checkpoint {
    /// Whether the stream ends where the money ends.
    stops: bool,
    /// Output tokens in one step.
    step: u64,
    /// The count at which the next checkpoint is due, whatever is held.
    next: u64,
    /// Output tokens of all choices that what is held pays for.
    covered: u64,
    /// The most output tokens of all choices that an honest provider sends.
    most: u64,
    /// The count before which nobody is asked for more again.
    again: u64,
    /// No more is to be had.
    exhausted: bool,
    /// The ledger has ended the hold: what comes from now on can be charged to nobody.
    hold_gone: bool,
    asked: Option<Asked>,
    count: Count,
}

/// A step that the ledger has not answered yet.
struct Asked {
    ticket: Ticket,
    /// Tokens that are reserved by it.
    tokens: u64,
    /// What will be covered.
    target: u64,
}

/// How much of a stream may pass now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// At most so many bytes.
    Some(usize),
    /// That depends on what the ledger answers.
    Undecided,
    /// The stream ends here.
    None,
    /// The hold has ended before the stream, which ends here whatever its policy is.
    HoldGone,
}

/// Output tokens so far: exactly up to some point, roughly since then.
#[derive(Default)]
struct Count {
    /// Tokens up to the point.
    tokens: u64,
    /// Bytes of text up to the point.
    text_bytes: usize,
    /// The rough count at the point.
    rough: u64,
}

impl Count {
    fn seen(&self, meter: &StreamMeter) -> u64 {
        let since = meter.content_tokens_seen().saturating_sub(self.rough);
        // Some providers tell as they go, and thought that is not shown with it.
        let told = meter.usage().or(meter.so_far()).map_or(0, |usage| usage.output_total());
        self.tokens.saturating_add(since).max(told)
    }

    /// Moves the point to where the stream is. What was counted before is not counted again.
    fn refine(&mut self, meter: &StreamMeter, model: &str) {
        let text = meter.output_text();
        let fresh = text.get(self.text_bytes..).unwrap_or_default();
        if !fresh.is_empty() {
            self.tokens = self.tokens.saturating_add(count_text(Encoding::for_model(model), fresh));
            (self.text_bytes, self.rough) = (text.len(), meter.content_tokens_seen());
        }
    }
}

impl Checkpoint {
    pub(crate) fn new(open: &Open) -> Self {
        let allowance = &open.plan.candidate().allowance;
        let step = open.shared.settings.output_slice.max(1);
        Self {
            stops: allowance.stops() && !allowance.is_fixed(),
            step,
            next: step,
            covered: allowance.covered(open.held.left()),
            most: allowance.most(open.held.upstream_cap()),
            again: 0,
            exhausted: false,
            hold_gone: false,
            asked: None,
            count: Count::default(),
        }
    }

    /// Takes the ledger's answer if it is there, and asks for the next step when it is due.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>, open: &mut Open, meter: &StreamMeter) {
        loop {
            if self.asked.is_none() && self.is_due(open, meter) {
                self.ask(open, meter);
            }
            let Some(asked) = &mut self.asked else { return };
            let Poll::Ready(answer) = Pin::new(&mut asked.ticket).poll(context) else { return };
            self.answered(answer, open, meter);
        }
    }

    /// The stream is over: what the ledger still has to say of the hold's size must be known to settle within it.
    pub(crate) async fn close(self, held: &mut Held) {
        if let Some(Asked { ticket, tokens, .. }) =
            self.asked.filter(|asked| self.stops && asked.target > self.covered)
            && let Ok(reply) = ticket.await
        {
            held.holds(&reply, tokens);
        }
    }

    /// How much may pass now.
    pub(crate) fn room(&mut self, open: &Open, meter: &StreamMeter) -> Room {
        // Nothing would ever be asked for the rest: a client that reads slowly would have it for nothing.
        if self.hold_gone {
            return Room::HoldGone;
        }
        // A single choice that has told why it ended has nothing more to say that costs.
        if !self.stops || (meter.finish_seen() && open.plan.call.choices() == 1) {
            return Room::Some(usize::MAX);
        }
        let end = self.end();
        if self.count.seen(meter) >= end {
            self.count.refine(meter, &open.plan.target().model);
        }
        let left = end.saturating_sub(self.count.seen(meter));
        match (left, &self.asked) {
            (0, Some(_)) if !self.exhausted && self.covered < self.most => Room::Undecided,
            (0, _) => Room::None,
            (left, _) => Room::Some(usize::try_from(left.max(ROOM_BYTES_LEAST)).unwrap_or(usize::MAX)),
        }
    }

    /// The count at which the stream is cut off.
    ///
    /// A provider that knows a cap which is paid for ends by itself, and counts better than we do: by our count it may
    /// go on for longer, so that no answer is cut which it would have ended a word later.
    const fn end(&self) -> u64 {
        if self.covered < self.most {
            return self.covered;
        }
        self.most.saturating_mul(DISOBEDIENCE).saturating_add(DISOBEDIENCE_TOKENS)
    }

    /// Whether to ask now. A stream that would be cut off asks ahead, so that it need not wait for the answer.
    fn is_due(&mut self, open: &Open, meter: &StreamMeter) -> bool {
        if self.hold_gone {
            return false;
        }
        let due = |checkpoint: &Self| {
            let seen = checkpoint.count.seen(meter);
            seen >= checkpoint.next || checkpoint.is_short(seen)
        };
        if self.stops && due(self) {
            self.count.refine(meter, &open.plan.target().model);
        }
        due(self)
    }

    /// Whether what is held is nearly used up, and more would help.
    const fn is_short(&self, seen: u64) -> bool {
        let left = self.covered.saturating_sub(seen);
        let open = self.stops && !self.exhausted && seen >= self.again && self.covered < self.most;
        open && left <= self.step / 2
    }

    /// Asks for the next step, and tells how far the stream is.
    fn ask(&mut self, open: &mut Open, meter: &StreamMeter) {
        let seen = self.count.seen(meter);
        open.pace.so_far(seen);
        self.next = seen.saturating_add(self.step);
        let target = if self.is_short(seen) {
            self.covered.saturating_add(self.step).min(self.most)
        } else if self.stops {
            self.covered
        } else {
            // A provider that goes beyond its cap is believed to go on.
            let most = if seen < self.most { self.most } else { u64::MAX };
            self.covered.max(self.next.min(most))
        };
        self.submit(target, open, meter);
    }

    fn submit(&mut self, target: u64, open: &mut Open, meter: &StreamMeter) {
        let (allowance, gpu_ms) = (&open.plan.candidate().allowance, open.gpu_ms());
        let (amount, target) = match allowance.ceiling_after(target, gpu_ms) {
            Some(ceiling) => (ceiling, target),
            // What no amount can say is not to be had.
            None => {
                self.exhausted |= self.stops;
                (Money::ZERO, self.covered)
            }
        };
        let seen = self.count.seen(meter);
        let usage = Usage {
            input: open.plan.input_guess,
            // Its cost must not be more than what is held, where nothing ever is.
            output: if self.stops { seen.min(self.covered) } else { seen },
            gpu_ms,
            ..Usage::default()
        };
        let usage = begun(&open.plan, usage);
        let tokens = target.saturating_sub(self.covered);
        let ceiling = open.plan.candidate().allowance.ceiling_parts_after(target, gpu_ms);
        // A checkpoint alone is worth keeping whatever is to be had.
        let least = if target > self.covered { amount } else { Money::ZERO };
        let ticket = priced(&open.plan, &usage).and_then(|charge| {
            open.held.note(usage, &charge);
            open.held.extend(Need { amount, least, tokens, ceiling }, usage, &charge)
        });
        self.exhausted |= self.stops && ticket.is_none();
        self.asked = ticket.map(|ticket| Asked { ticket, tokens, target });
    }

    fn answered(&mut self, answer: Result<Reply, LedgerError>, open: &mut Open, meter: &StreamMeter) {
        let Some(Asked { tokens, target, .. }) = self.asked.take() else { return };
        match answer {
            Ok(reply) => {
                open.held.holds(&reply, tokens);
                self.covered = self.covered.max(target);
            }
            Err(LedgerError::Denied(
                Denial::InsufficientCredit { .. } | Denial::InDebt { .. } | Denial::BudgetExceeded(_),
            )) if target > self.covered => self.denied(target, open, meter),
            Err(LedgerError::Denied(Denial::HoldGone)) => self.hold_gone = true,
            // The ledger is busy or broken: asked again when half of what is left has passed, as long as anything is.
            Err(_) => {
                let seen = self.count.seen(meter);
                self.exhausted |= seen >= self.covered;
                self.again = seen.saturating_add(self.covered.saturating_sub(seen).div_ceil(2));
            }
        }
    }

    /// More is not to be had now. A stream that would be cut off tries smaller steps; otherwise, and in the end, the
    /// checkpoint alone is still worth keeping.
    fn denied(&mut self, target: u64, open: &mut Open, meter: &StreamMeter) {
        let half = target.saturating_sub(self.covered) / 2;
        if self.stops && half >= STEP_TOKENS_LEAST {
            self.step = half;
            return self.submit(self.covered.saturating_add(half), open, meter);
        }
        self.exhausted |= self.stops;
        self.submit(self.covered, open, meter);
    }
}
