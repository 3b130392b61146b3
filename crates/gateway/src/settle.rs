//! Settling: what a call consumed becomes its row, its charge, and the end of its hold.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dialect::tokens;
use dialect::{AnswerFacts, Endpoint, Made};
use domain::{Money, Pico, RequestId, ServiceTier, Usage};
use ledger::{AttemptStatus, CostRow, Denial, LedgerError, Reply};
use tokio::sync::oneshot;

use crate::allowance::tier_asked;
use crate::caps::Seat;
use crate::evidence::{Began, Plan};
use crate::funding::Charge;
use crate::health::Visit;
use crate::hold::{Held, Need, priced, write_charge};
use crate::observer::Finished;
use crate::pipeline::Shared;
use crate::rates::Pace;
use crate::substitution::{Claim, Substitution};
use crate::tasks::Tasks;

/// A call that was dispatched and is not settled yet: everything its row needs.
pub(crate) struct Open {
    pub(crate) shared: Arc<Shared>,
    pub(crate) began: Began,
    pub(crate) plan: Box<Plan>,
    pub(crate) held: Held,
    /// What it has taken under the rate limits.
    pub(crate) pace: Pace,
    /// When it was sent, by the clock that never steps; 0 before.
    pub(crate) dispatched_us: u64,
    /// When the answer began; 0 before.
    pub(crate) first_byte_us: u64,
    /// The provider's status; 0 before.
    pub(crate) http_status: u16,
    /// Its being at a target; none before it is sent.
    pub(crate) visit: Option<Visit>,
    /// What the present attempt has taken of the provider's caps.
    pub(crate) seat: Option<Seat>,
}

/// How a call ended.
pub(crate) struct Ending {
    pub(crate) status: AttemptStatus,
    pub(crate) reason: &'static str,
    pub(crate) consumed: Consumed,
    pub(crate) model_answered: Option<Box<str>>,
    pub(crate) told: Told,
    /// The status our own client sees.
    pub(crate) answered: u16,
}

/// What the provider said about the charge.
#[derive(Default)]
pub(crate) struct Told {
    /// The service tier that it served, in its own words.
    pub(crate) service_tier: Option<String>,
    /// What it says that the call cost.
    pub(crate) cost: Option<Pico>,
}

/// What a call consumed, as far as is known.
pub(crate) enum Consumed {
    /// The provider said so.
    Reported {
        /// Its count.
        usage: Usage,
        /// What was generated, in case the count cannot be believed.
        output: Output,
    },
    /// Nothing that anybody is charged for.
    Nothing,
    /// The provider did not say: the prompt, and what was generated of an answer, are counted by us.
    Unreported {
        /// What it said before the end, if anything: of the input, and of the output so far.
        so_far: Option<Usage>,
        /// What was generated, as far as we saw it.
        output: Output,
        /// What else was seen of it.
        seen: Seen,
    },
}

impl Consumed {
    /// Images that were made, or were being made.
    const fn images(&self) -> u64 {
        match self {
            Self::Reported { usage, .. } => usage.images,
            Self::Nothing => 0,
            Self::Unreported { seen, .. } => seen.made.images,
        }
    }
}

/// What an answer shows of what is counted in other units than tokens.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// Searches of the web.
    pub(crate) searches: u64,
    /// What was made, or was being made.
    pub(crate) made: Made,
}

/// What a model generated.
pub(crate) enum Output {
    /// The text, collected from a stream.
    Text(String),
    /// Somewhere in this answer.
    In(Bytes),
}

impl Output {
    fn text(self, endpoint: Endpoint) -> String {
        match self {
            Self::Text(text) => text,
            Self::In(answer) => AnswerFacts::output_text(endpoint, &answer),
        }
    }

    fn is_empty(&self, endpoint: Endpoint) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::In(answer) => AnswerFacts::output_text(endpoint, answer).is_empty(),
        }
    }
}

/// The proof that a call is on the books.
#[derive(Debug)]
pub(crate) struct Receipt {
    pub(crate) cost: Money,
    pub(crate) usage: Usage,
}

/// Tries of a settlement before its client is told that the answer is withheld, and the wait between them, doubled
/// each time.
const TRIES_WITHHELD_MAX: u32 = 8;
const FIRST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Tokens that a provider may report beyond what a prompt can hold: it adds instructions of its own.
const PROMPT_SLACK_TOKENS: u64 = 16_384;
/// Tokens that one search of the web may bring into a prompt: what is found is read as input, in each turn after it.
const SEARCH_SLACK_TOKENS: u64 = 65_536;
/// Searches that no single call makes.
const SEARCHES_MAX: u64 = 1_000;
/// Images that an answer may hold at most where none were asked for by number.
const IMAGES_SLACK: u64 = 1;
/// Time that a provider may charge at least, or round up to: Groq's least is 10 seconds.
const AUDIO_SLACK_MS: u64 = 60_000;
/// The longest answer there is to any call, for models that the catalogue knows no limit of.
const OUTPUT_TOKENS_MAX: u64 = 1 << 20;

/// Counting this many bytes takes about a millisecond, which no other call on this thread should wait for.
const COUNT_HERE_BYTES_MAX: usize = 16 * 1024;

impl Open {
    /// Puts the call on the books and waits until that is durable.
    ///
    /// # Errors
    /// When the store does not take it for some time. It is tried on in the background for as long as the store lives;
    /// after that the next start of the gateway settles the hold.
    pub(crate) async fn settle(mut self, ending: Ending) -> Result<Receipt, LedgerError> {
        let substituted = self.is_substituted(ending.model_answered.as_deref());
        let tier = self.tier_served(ending.told.service_tier.as_deref());
        let images = ending.consumed.images();
        let gpu_ms = if matches!(ending.consumed, Consumed::Nothing) { 0 } else { self.gpu_ms() };
        let (usage, estimated) = self.metered(ending.consumed).await;
        let usage = Usage { gpu_ms, ..usage };
        let (usage, estimated) = self.within_hold(usage, tier, estimated).await;
        let Some(mut row) = self.row(&usage, tier, ending.status, ending.reason) else {
            return Err(LedgerError::Store("the hold has no draft".to_owned()));
        };
        row.estimated = estimated;
        row.model_answered = ending.model_answered;
        row.reported_pico = ending.told.cost.and_then(|cost| i64::try_from(cost.get()).ok());
        let (duration_us, attempts) = (row.duration_us, row.attempt);
        let cost = self.held.spent().and_then(|spent| spent.checked_add(row.cost)).unwrap_or(row.cost);
        let Self { shared, began, plan, mut held, pace, dispatched_us, first_byte_us, seat, .. } = self;
        if let Some(seat) = seat {
            seat.end(usage.input_total().saturating_add(usage.output_total()));
        }
        let is_answer = ending.status == AttemptStatus::Succeeded && plan.call.endpoint().generates();
        pace.end(&usage, images, (is_answer && !estimated).then(|| plan.call.choices()));
        held.conclude(row);
        let mut settlement = Settlement { request: began.id, held, tried: 0, wait: FIRST_WAIT };
        let charged = match settlement.pursue(TRIES_WITHHELD_MAX).await {
            Ok(charged) => charged,
            Err(error) => {
                if !matches!(error, LedgerError::Denied(_)) {
                    shared.tasks.spawn(Box::pin(async move { drop(settlement.pursue(u32::MAX).await) }));
                }
                return Err(error);
            }
        };
        // What a pool paid for, the books know.
        let cost = charged.unwrap_or(cost);
        shared.observer.finished(&Finished {
            request: began.id,
            endpoint: plan.call.endpoint().as_str(),
            provider: Some(Arc::clone(&plan.target().provider.name)),
            outcome: if ending.status == AttemptStatus::Succeeded { "ok" } else { ending.reason },
            status: ending.answered,
            streamed: plan.call.stream(),
            duration_us: shared.clock.monotonic_micros().saturating_sub(began.micros).max(duration_us),
            first_byte_us: first_byte_us.saturating_sub(dispatched_us),
            usage,
            cost,
            estimated,
            attempts,
            substituted,
        });
        Ok(Receipt { cost, usage })
    }

    /// For how many milliseconds the hardware has had the present attempt until now, where that is charged: begun ones
    /// count whole.
    pub(crate) fn gpu_ms(&self) -> u64 {
        if self.dispatched_us == 0 || !self.plan.candidate().price.sells_meter("per_gpu_second") {
            return 0;
        }
        self.shared.clock.monotonic_micros().saturating_sub(self.dispatched_us).div_ceil(1_000)
    }

    /// The service tier to charge: the one that was served, whatever was asked for, if the price knows it.
    fn tier_served(&self, told: Option<&str>) -> ServiceTier {
        let asked = tier_asked(self.plan.sent());
        let Some(told) = told else { return asked };
        let served = ServiceTier::of_wire(told).filter(|tier| self.plan.candidate().price.sells(*tier));
        served.unwrap_or_else(|| {
            tracing::warn!(
                request = %self.began.id,
                provider = %self.plan.target().provider.name,
                price = %self.plan.candidate().price.id,
                served = told,
                charged = %asked,
                "the provider served a service tier that has no price; the one that was asked for is charged"
            );
            asked
        })
    }

    /// The part of a provider's count that is for sale. Chats that search do not all say how often: once, then. In the
    /// other forms searching is a tool, which a model is offered and need not use, and every use of it is told.
    fn sold(&self, usage: Usage) -> Usage {
        let call = self.plan.sent();
        let least = u64::from(call.web_search().is_some() && call.endpoint() == Endpoint::Chat);
        let price = &self.plan.candidate().price;
        let usage = price.by_unit(&Usage { searches: usage.searches.max(least), ..usage });
        let (part, without) = price.priced_part(&usage);
        if !without.is_empty() {
            tracing::warn!(
                request = %self.began.id,
                provider = %self.plan.target().provider.name,
                price = %self.plan.candidate().price.id,
                ?usage,
                missing = without.join(", "),
                "the provider counts what has no price; it is not charged"
            );
        }
        part
    }

    /// The usage to charge, and whether it is an estimate.
    async fn metered(&self, consumed: Consumed) -> (Usage, bool) {
        let endpoint = self.plan.sent().endpoint();
        match consumed {
            Consumed::Nothing => (Usage::default(), false),
            Consumed::Reported { usage, output } if self.is_plausible(&usage, &output) => {
                if self.tells_its_unit(&usage) {
                    return (self.sold(usage), false);
                }
                self.reckoned(output.text(endpoint), Seen::default()).await
            }
            Consumed::Reported { usage, output } => {
                tracing::warn!(
                    request = %self.began.id,
                    provider = %self.plan.target().provider.name,
                    ?usage,
                    "the provider's count cannot be right; ours is charged"
                );
                let images = usage.images.min(self.plan.sent().images());
                let seen = Seen { made: Made { images, ..Made::default() }, ..Seen::default() };
                (self.counted(output.text(endpoint), seen).await, true)
            }
            Consumed::Unreported { so_far, output, seen } => {
                let (counted, estimated) = self.reckoned(output.text(endpoint), seen).await;
                if !estimated {
                    return (counted, false);
                }
                let told = so_far.map(|so_far| with_output(so_far, counted.output));
                // What it said of the input is as good as if it had said the rest.
                let believed = told.filter(|usage| self.is_plausible(usage, &Output::Text(String::new())));
                (believed.unwrap_or(counted), true)
            }
        }
    }

    /// Whether a provider's count says anything in the unit that is charged. A speech that is charged by its characters may
    /// be counted in tokens, and a transcript the other way about.
    fn tells_its_unit(&self, usage: &Usage) -> bool {
        let is_audio = self.plan.sent().audio_ms() > 0;
        !is_audio || self.sold_part(usage) != Usage::default()
    }

    /// What is charged where the provider did not tell, and whether it is an estimate: nobody need tell how many images
    /// there are in an answer, or characters in a request.
    async fn reckoned(&self, output_text: String, seen: Seen) -> (Usage, bool) {
        let price = &self.plan.candidate().price;
        let usage = price.by_unit(&self.plan.sent().reckoned(seen.made));
        if !price.sells_tokens() && (usage.images > 0 || usage.characters > 0) {
            return (self.sold(usage), false);
        }
        (self.counted(output_text, seen).await, true)
    }

    /// Where calls stop at the end of the money: a usage that is paid for by what is held, in the end. What a call
    /// cost beyond that is the gateway's own loss, never its caller's debt.
    async fn within_hold(&mut self, usage: Usage, tier: ServiceTier, estimated: bool) -> (Usage, bool) {
        let candidate = self.plan.candidate();
        // A pool that counts calls pays for all of one, and a fee beyond what is held for it is next to nothing.
        let is_bound = candidate.allowance.stops() && !candidate.funding.counts_calls();
        let Some(charge) = candidate.charge(&usage, tier).filter(|_| is_bound) else {
            return (usage, estimated);
        };
        if charge.amount <= self.held.left() {
            return (usage, estimated);
        }
        // What is charged if the ledger says no, and also if the gateway ends before it has answered.
        let fitted = candidate.allowance.fit(usage, tier, self.held.left());
        if let Some(charge) = candidate.charge(&fitted, tier) {
            self.held.note(fitted, &charge);
        }
        // What a pool has left may pay for all of it.
        let (amount, ceiling) = (charge.amount, charge.parts.clone());
        let need = Need { amount, least: amount, tokens: 0, ceiling };
        if let Some(ticket) = self.held.extend(need, usage, &charge)
            && let Ok(reply) = ticket.await
        {
            self.held.holds(&reply, 0);
            return (usage, estimated);
        }
        tracing::warn!(
            request = %self.began.id,
            provider = %self.plan.target().provider.name,
            ?usage,
            held = %self.held.amount(),
            "a call consumed more than its organization could pay for; it is charged what was held"
        );
        (fitted, true)
    }

    /// Whether a provider's count can be charged: not beyond what such a call can consume, not nothing for something.
    fn is_plausible(&self, usage: &Usage, output: &Output) -> bool {
        let call = self.plan.sent();
        let input_max = self
            .plan
            .candidate()
            .allowance
            .input()
            .saturating_mul(4)
            .saturating_add(PROMPT_SLACK_TOKENS)
            .saturating_add(call.heard_tokens_max())
            .saturating_add(usage.searches.saturating_mul(SEARCH_SLACK_TOKENS));
        let answer_max =
            call.output_cap().max(self.plan.candidate().price.max_output).unwrap_or(0).max(OUTPUT_TOKENS_MAX);
        // The head of a recording may say less than there is to hear.
        let audio_max =
            call.audio_ms().saturating_mul(4).saturating_add(AUDIO_SLACK_MS).max(call.heard_ms_max());
        usage.input_total() <= input_max
            && usage.output_total() <= answer_max.saturating_mul(call.choices())
            && (usage.output_total() > 0 || !call.endpoint().generates() || output.is_empty(call.endpoint()))
            && usage.searches <= SEARCHES_MAX
            && usage.images <= call.images().max(IMAGES_SLACK)
            && usage.audio_ms <= audio_max
            && priced(&self.plan, &self.sold_part(usage)).is_some()
    }

    /// What we count of a call: its prompt, what was generated of text, and what was seen of the rest.
    pub(crate) async fn counted(&self, output_text: String, seen: Seen) -> Usage {
        let counted = self.count(output_text).await;
        let Seen { searches, made } = seen;
        let Usage { input, output, .. } = counted;
        self.sold(Usage { searches, input, output, ..self.plan.sent().reckoned(made) })
    }

    /// The part of a usage that is for sale.
    fn sold_part(&self, usage: &Usage) -> Usage {
        let price = &self.plan.candidate().price;
        price.priced_part(&price.by_unit(usage)).0
    }

    /// Counts the prompt and what was generated of the answer with the model's own tokenizer.
    async fn count(&self, output_text: String) -> Usage {
        let call = self.plan.sent();
        let (endpoint, form_prompt) = (call.endpoint(), call.form_prompt());
        let is_form = form_prompt.is_some();
        let (body, model) =
            (form_prompt.unwrap_or_else(|| call.body().clone()), Arc::clone(&self.plan.target().model));
        let bytes = body.len() + output_text.len();
        let count = move || {
            let encoding = tokens::Encoding::for_model(&model);
            let prompt = || tokens::count_text(encoding, &String::from_utf8_lossy(&body));
            Usage {
                input: if is_form { prompt() } else { tokens::count_prompt(endpoint, &body, &model) },
                output: tokens::count_text(encoding, &output_text),
                ..Usage::default()
            }
        };
        // The counting thread ends early only with the process; the guess is then as good as any count.
        let guess = Usage { input: self.plan.input_guess, ..Usage::default() };
        off_thread(self.shared.tasks.as_ref(), bytes, count).await.unwrap_or(guess)
    }

    /// Whether a model that names itself so is the one that was called.
    pub(crate) fn claim(&self, answered: Option<&str>) -> Claim {
        let target = self.plan.target();
        if answered.is_some_and(|name| target.lists_as_one(name)) {
            return Claim::Kept;
        }
        Claim::of(&target.model, &target.rules.aliases, answered)
    }

    /// Says in the log when another model answered; whether it did.
    fn is_substituted(&self, answered: Option<&str>) -> bool {
        let substituted = self.claim(answered) == Claim::Broken;
        if substituted {
            let (request, target) = (self.began.id, &self.plan.target().label);
            match self.plan.substitution() {
                Substitution::Log => tracing::info!(%request, %target, answered, "another model answered"),
                Substitution::Alert | Substitution::Refuse => {
                    tracing::warn!(%request, %target, answered, "another model answered than the route claims");
                }
            }
        }
        substituted
    }

    /// The present attempt's row.
    pub(crate) fn row(
        &self,
        usage: &Usage,
        tier: ServiceTier,
        status: AttemptStatus,
        reason: &str,
    ) -> Option<CostRow> {
        let mut charge = self.plan.candidate().charge(usage, tier).unwrap_or(Charge::NOTHING);
        if self.dispatched_us == 0 {
            // What an attempt takes of a pool it takes by being sent.
            charge.parts.clear();
        }
        let now = self.shared.clock.monotonic_micros();
        let mut row = self.held.draft()?.clone();
        (row.usage, row.service_tier) = (*usage, tier);
        write_charge(&mut row, charge);
        (row.status, row.reason, row.estimated) = (status, Arc::from(reason), false);
        row.http_status = self.http_status;
        row.duration_us = now.saturating_sub(if self.dispatched_us == 0 { now } else { self.dispatched_us });
        Some(row)
    }
}

/// What was told so far, with at least as much output as was counted: what was told has thoughts that nobody sees, and may
/// lag behind what was.
const fn with_output(so_far: Usage, counted: u64) -> Usage {
    if so_far.output_total() >= counted {
        return so_far;
    }
    Usage { output: counted, reasoning: 0, audio_output: 0, image_output: 0, ..so_far }
}

/// What counting so many bytes comes to, done where no call waits for it if they are many; `None` when the gateway is
/// going down.
pub(crate) async fn off_thread<T: Send + 'static>(
    tasks: &dyn Tasks,
    bytes: usize,
    count: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    if bytes <= COUNT_HERE_BYTES_MAX {
        return Some(count());
    }
    let (sender, receiver) = oneshot::channel();
    tasks.offload(Box::new(move || {
        // Nobody waits any more only when the gateway itself is going down, or the caller has left.
        let _ = sender.send(count());
    }));
    receiver.await.ok()
}

/// A settlement that the store has not taken yet.
struct Settlement {
    request: RequestId,
    held: Held,
    tried: u32,
    wait: Duration,
}

impl Settlement {
    /// Submits it until it is durable, the rules deny it, or it was submitted this often. Answers what was charged, if the
    /// books told it.
    async fn pursue(&mut self, tries_max: u32) -> Result<Option<Money>, LedgerError> {
        loop {
            self.tried = self.tried.saturating_add(1);
            let error = match self.held.submit_settlement().await {
                Ok(Reply::Settled(settled)) => return self.end(Ok(Some(settled.charge()))),
                Ok(_) => return self.end(Ok(None)),
                // A try before this one had happened after all.
                Err(LedgerError::Denied(Denial::HoldGone)) if self.tried > 1 => return self.end(Ok(None)),
                Err(error) => error,
            };
            tracing::error!(request = %self.request, %error, tried = self.tried, "a call could not be settled");
            // Denied, it stays for an operator, or its hold has timed out and is booked; stopped, it is for the next
            // start.
            if matches!(error, LedgerError::Denied(_) | LedgerError::Stopped) {
                return self.end(Err(error));
            }
            if self.tried >= tries_max {
                return Err(error);
            }
            tokio::time::sleep(self.wait).await;
            self.wait = (self.wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Nothing is left to do here: the hold is settled, or out of our hands.
    fn end<T>(&mut self, outcome: Result<T, LedgerError>) -> Result<T, LedgerError> {
        self.held.release();
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_so_far_is_charged_unless_more_was_seen() {
        let told = Usage { input: 9, cached: 4, output: 310, reasoning: 300, ..Usage::default() };
        // Tokens that were counted; what is charged. The thoughts of the model are told, and seen by nobody.
        for (counted, charged) in [(0, told), (310, told), (311, Usage { output: 311, reasoning: 0, ..told })]
        {
            assert_eq!(with_output(told, counted), charged, "{counted}");
        }
        let spoken = Usage { audio_output: 50, ..told };
        assert_eq!(with_output(spoken, 360), spoken);
        assert_eq!(with_output(spoken, 361).output_total(), 361);
    }
}
