//! Settling: what a call consumed becomes its row, its charge, and the end of its hold.

use std::sync::Arc;
use std::time::Duration;

use dialect::tokens;
use domain::{Money, Usage};
use ledger::{AttemptStatus, CostRow, Denial, LedgerError, Reply, Settled};
use tokio::sync::oneshot;

use crate::evidence::{Began, Plan};
use crate::hold::{Held, priced};
use crate::observer::Finished;
use crate::pipeline::Shared;

/// A call that was dispatched and is not settled yet: everything its row needs.
pub(crate) struct Open {
    pub(crate) shared: Arc<Shared>,
    pub(crate) began: Began,
    pub(crate) plan: Box<Plan>,
    pub(crate) held: Held,
    /// When it was sent, by the clock that never steps; 0 before.
    pub(crate) dispatched_us: u64,
    /// When the answer began; 0 before.
    pub(crate) first_byte_us: u64,
    /// The provider's status; 0 before.
    pub(crate) http_status: u16,
}

/// How a call ended.
pub(crate) struct Ending {
    pub(crate) status: AttemptStatus,
    pub(crate) reason: &'static str,
    pub(crate) consumed: Consumed,
    pub(crate) model_answered: Option<Box<str>>,
    /// The status our own client sees.
    pub(crate) answered: u16,
}

/// What a call consumed, as far as is known.
pub(crate) enum Consumed {
    /// The provider said so.
    Reported(Usage),
    /// Nothing that anybody is charged for.
    Nothing,
    /// The provider did not say: the prompt, and this text of an answer, are counted by us.
    Unreported {
        /// What was generated, as far as we saw it.
        output_text: String,
    },
}

/// The proof that a call is on the books.
#[derive(Debug)]
pub(crate) struct Receipt {
    pub(crate) cost: Money,
}

/// Tries of a settlement while the store fails, and the wait between them, doubled each time.
const TRIES_MAX: u32 = 6;
const FIRST_WAIT: Duration = Duration::from_millis(20);

/// Counting this many bytes takes about a millisecond, which no other call on this thread should wait for.
const COUNT_HERE_BYTES_MAX: usize = 16 * 1024;

impl Open {
    /// Puts the call on the books and waits until that is durable.
    ///
    /// # Errors
    /// When the store does not take it: then the hold stays, and the next start of the gateway settles it.
    pub(crate) async fn settle(self, ending: Ending) -> Result<Receipt, LedgerError> {
        let (usage, estimated) = self.metered(ending.consumed).await;
        let Some(row) = self.row(&usage, estimated, ending.status, ending.reason, ending.model_answered)
        else {
            return Err(LedgerError::Store("the hold has no draft".to_owned()));
        };
        let (cost, duration_us) = (row.cost, row.duration_us);
        let settled = submit(&self.held, row).await;
        // In both cases nothing is left to do here: settled, or left to the next start.
        self.held.release();
        settled?;
        self.shared.observer.finished(&Finished {
            endpoint: self.plan.call.endpoint().as_str(),
            provider: Some(Arc::clone(&self.plan.target.provider.name)),
            outcome: if ending.status == AttemptStatus::Succeeded { "ok" } else { ending.reason },
            status: ending.answered,
            streamed: self.plan.call.stream(),
            duration_us: self
                .shared
                .clock
                .monotonic_micros()
                .saturating_sub(self.began.micros)
                .max(duration_us),
            first_byte_us: self.first_byte_us.saturating_sub(self.dispatched_us),
            usage,
            cost,
            estimated,
        });
        Ok(Receipt { cost })
    }

    /// The usage to charge, and whether it is an estimate.
    async fn metered(&self, consumed: Consumed) -> (Usage, bool) {
        match consumed {
            Consumed::Nothing => (Usage::default(), false),
            Consumed::Reported(usage) if priced(&self.plan, &usage).is_some() => (usage, false),
            // A count that no price can be computed for is not a count.
            Consumed::Reported(_) => (self.count(String::new()).await, true),
            Consumed::Unreported { output_text } => (self.count(output_text).await, true),
        }
    }

    /// Counts the prompt and what was generated of the answer with the model's own tokenizer.
    async fn count(&self, output_text: String) -> Usage {
        let call = &self.plan.call;
        let (endpoint, body, model) =
            (call.endpoint(), call.body().clone(), Arc::clone(&self.plan.target.model));
        let bytes = body.len() + output_text.len();
        let count = move || {
            let encoding = tokens::Encoding::for_model(&model);
            Usage {
                input: tokens::count_prompt(endpoint, &body, &model),
                output: tokens::count_text(encoding, &output_text),
                ..Usage::default()
            }
        };
        if bytes <= COUNT_HERE_BYTES_MAX {
            return count();
        }
        let (sender, receiver) = oneshot::channel();
        self.shared.tasks.offload(Box::new(move || {
            // Nobody waits any more only when the gateway itself is going down.
            let _ = sender.send(count());
        }));
        // The counting thread ends early only with the process; the guess is then as good as any count.
        receiver.await.unwrap_or(Usage { input: self.plan.input_guess, ..Usage::default() })
    }

    fn row(
        &self,
        usage: &Usage,
        estimated: bool,
        status: AttemptStatus,
        reason: &str,
        model_answered: Option<Box<str>>,
    ) -> Option<Box<CostRow>> {
        let (cost_pico, cost) = priced(&self.plan, usage).unwrap_or((0, Money::ZERO));
        let now = self.shared.clock.monotonic_micros();
        let mut row = Box::new(self.held.draft()?.clone());
        row.usage = *usage;
        (row.cost_pico, row.cost) = (cost_pico, cost);
        (row.status, row.reason, row.estimated) = (status, Arc::from(reason), estimated);
        row.model_answered = model_answered.filter(|answered| **answered != *self.plan.target.model);
        row.http_status = self.http_status;
        row.duration_us = now.saturating_sub(if self.dispatched_us == 0 { now } else { self.dispatched_us });
        Some(row)
    }
}

/// Submits a settlement until it is durable, as long as trying again can help.
async fn submit(held: &Held, row: Box<CostRow>) -> Result<Settled, LedgerError> {
    let mut wait = FIRST_WAIT;
    for tried in 1.. {
        let error = match held.submit_settlement(CostRow::clone(&row)).await {
            Ok(Reply::Settled(settled)) => return Ok(settled),
            // A try before this one had happened after all.
            Err(LedgerError::Denied(Denial::HoldGone)) if tried > 1 => {
                return Ok(Settled { draws: Vec::new(), debt: Money::ZERO });
            }
            Ok(_) => return Err(LedgerError::Store("another command was answered".to_owned())),
            Err(error) => error,
        };
        if matches!(error, LedgerError::Denied(_)) || tried >= TRIES_MAX {
            tracing::error!(request = %row.request, %error, "a call could not be settled; its hold stays");
            return Err(error);
        }
        tokio::time::sleep(wait).await;
        wait *= 2;
    }
    Err(LedgerError::Busy)
}
