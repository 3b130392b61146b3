//! How much output a call may have: what is asked of the books for it, and what their answer pays for.
//!
//! Arithmetic on a price and token counts, nothing else: it knows no call that runs and no ledger.
//!
//! # Running calls and the end of the money
//!
//! `completes`: what is held is a bet on the answer's length, the input's bound and a first slice of output. A stream
//! asks for more as it goes; if it does not get it, it goes on. What a call costs beyond its hold becomes debt.
//!
//! `stops` never charges more than is held and what a pool pays for, so there is never a debt, unless others used the
//! pool's units that a call counted on (docs/ledger.md, section 7), or a fee on a key of one's own is a little more:
//!
//! - What can grow, a stream, begins with the same slice, and asks for the next one before it has used up what it has.
//!   If it does not get it, not even a small one, it uses up what it has and is cut off there.
//! - What cannot grow, an answer that is not streamed, holds its whole cap: the caller's or the model's, whichever is
//!   smaller; where neither is known, a slice.
//! - If less is to be had than was asked for, but enough for [`CHOICE_TOKENS_LEAST`] tokens of each choice, the call
//!   goes upstream with a cap lowered to what is held, streamed or not.
//! - What a provider counts beyond that all the same (tokens of thought that no stream shows, a cap it does not obey)
//!   is charged if it can still be held at the end; if not, the charge ends where the hold ends.
//!
//! Images are held for at their most by either policy, and audio at what its text or its recording says: no cap makes it
//! less. Hardware that is charged by its time is held for as long as an answer may take to begin, and a stream's steps ask for
//! as long again.
//!
//! By either, a stream that asks for more when its hold has timed out ends there: nothing of it could be charged.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use dialect::Call;
use directory::InFlight;
use domain::{Money, ServiceTier, Usage};
use ledger::Part;
use pricing::{Bounds, PriceVersion};

use crate::funding::Funding;

/// Output tokens of each choice below which a call is of no use under `stops`, and is refused. One whose provider takes
/// no cap as small needs more.
const CHOICE_TOKENS_LEAST: u64 = 16;

/// Searches of the web that a call is held for which may make some. No caller says how many there will be, so this is a
/// bet like the first slice of output.
const SEARCHES: u64 = 4;

/// The service tier that a call asks for. One that has no name here has no price anywhere, and is refused before.
pub(crate) fn tier_asked(call: &Call) -> ServiceTier {
    call.service_tier().and_then(ServiceTier::of_wire).unwrap_or_default()
}

/// What bounds the output of one call.
#[derive(Clone, Debug)]
pub(crate) struct Allowance {
    in_flight: InFlight,
    price: Arc<PriceVersion>,
    funding: Funding,
    /// The service tier that was asked for.
    tier: ServiceTier,
    /// The most input tokens that the call can be billed.
    input: u64,
    /// Searches of the web that are held for.
    searches: u64,
    /// Images that are asked for.
    images: u64,
    /// Characters to be spoken.
    characters: u64,
    /// Milliseconds of audio at most.
    audio_ms: u64,
    /// Milliseconds of hardware that are held for, where they are charged: as long as an answer may take to begin.
    gpu_ms: u64,
    /// Whether the request alone decides how much output there is: no slices, no caps.
    is_fixed: bool,
    choices: u64,
    /// Output tokens of each choice below which the call is of no use under `stops`.
    choice_least: u64,
    /// The most output tokens of a choice, as the body or else the model has it if the body goes as it is.
    stated: Option<u64>,
    /// The smaller of the body's and the model's.
    most: Option<u64>,
    slice: u64,
    /// Whether more can be held while the answer comes.
    grows: bool,
}

/// What is asked of the books before a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    /// What should be held.
    pub(crate) amount: Money,
    /// What must be held at least.
    pub(crate) least: Money,
    /// Output tokens that are estimated, for budgets of tokens.
    pub(crate) tokens: u64,
}

impl Allowance {
    pub(crate) fn new(
        call: &Call,
        price: &Arc<PriceVersion>,
        funding: &Funding,
        in_flight: InFlight,
        slice: u64,
    ) -> Self {
        let (named, model) = (call.output_cap(), price.max_output);
        let is_fixed = call.output_is_fixed();
        Self {
            in_flight,
            price: Arc::clone(price),
            funding: funding.clone(),
            tier: tier_asked(call),
            input: input_bound(call, price),
            searches: if call.web_search().is_some() { SEARCHES } else { 0 },
            images: call.images(),
            characters: call.characters(),
            audio_ms: call.audio_ms(),
            gpu_ms: 0,
            is_fixed,
            choices: call.choices(),
            choice_least: if is_fixed { u64::MAX } else { CHOICE_TOKENS_LEAST.max(call.output_cap_least()) },
            stated: named.or(model),
            // What is made in parts, such as a long transcript, may be longer than one answer of the model.
            most: named.into_iter().chain(model.filter(|_| !is_fixed)).min(),
            slice: if is_fixed { u64::MAX } else { slice },
            grows: call.stream() && !is_fixed,
        }
    }

    /// The same of hardware that is charged by its time, and given up if its answer has not begun after so long.
    #[must_use]
    pub(crate) fn for_time(self, first_byte: Duration) -> Self {
        let sold = self.price.sells_meter("per_gpu_second");
        let gpu_ms = if sold { u64::try_from(first_byte.as_millis()).unwrap_or(u64::MAX) } else { 0 };
        Self { gpu_ms, ..self }
    }

    /// The most input tokens that the call can be billed.
    pub(crate) const fn input(&self) -> u64 {
        self.input
    }

    /// Whether the request alone decides how much output there is.
    pub(crate) const fn is_fixed(&self) -> bool {
        self.is_fixed
    }

    /// Whether it is made whole or not at all, whoever waits for it: an image. Audio is as fixed, but comes piece by piece,
    /// and ends where nobody takes it.
    pub(crate) const fn is_whole(&self) -> bool {
        self.images > 0
    }

    pub(crate) const fn stops(&self) -> bool {
        matches!(self.in_flight, InFlight::Stops)
    }

    /// Output tokens of each choice that are asked for at first.
    fn first(&self) -> u64 {
        match self.most {
            Some(most) if self.stops() && !self.grows => most,
            most => self.slice.min(most.unwrap_or(u64::MAX)),
        }
    }

    /// What to ask for before the call.
    pub(crate) fn ask(&self) -> Ask {
        let first = self.first();
        let ceiling = |choice: u64| self.ceiling(choice.saturating_mul(self.choices)).unwrap_or(Money::MAX);
        // A call too large to be priced is one that no wallet can cover.
        let amount = ceiling(first);
        let least = if self.stops() { ceiling(first.min(self.choice_least)) } else { amount };
        Ask { amount, least, tokens: first.min(self.slice).saturating_mul(self.choices) }
    }

    /// The most that the call can cost with so many output tokens; `None` when no amount can say it.
    pub(crate) fn ceiling(&self, output: u64) -> Option<Money> {
        self.ceiling_after(output, 0)
    }

    /// The same of a call that has had the hardware for so many milliseconds, and may have it for as long again as was held
    /// for.
    pub(crate) fn ceiling_after(&self, output: u64, gone_ms: u64) -> Option<Money> {
        self.funding.ceiling(&self.price, &self.bounds(output, gone_ms), self.tier)
    }

    /// What of the first ask a pool may pay for.
    pub(crate) fn ceiling_parts(&self) -> Vec<Part> {
        self.ceiling_parts_after(self.first().saturating_mul(self.choices), 0)
    }

    /// What of [`Allowance::ceiling_after`] a pool may pay for.
    pub(crate) fn ceiling_parts_after(&self, output: u64, gone_ms: u64) -> Vec<Part> {
        self.funding.ceiling_parts(&self.price, &self.bounds(output, gone_ms), self.tier)
    }

    fn bounds(&self, output: u64, gone_ms: u64) -> Bounds {
        // Of audio only one unit is charged.
        let by_tokens = self.price.sells_tokens();
        Bounds {
            input_tokens: self.input,
            output_tokens: output,
            images: self.images,
            audio_ms: if by_tokens { 0 } else { self.audio_ms },
            characters: if by_tokens { 0 } else { self.characters },
            searches: self.searches,
            gpu_ms: if self.gpu_ms > 0 { self.gpu_ms.saturating_add(gone_ms) } else { 0 },
        }
    }

    /// The most output tokens, of all choices and up to `most`, that this amount pays for.
    fn affords(&self, held: Money, most: u64) -> u64 {
        largest(most, |output| self.ceiling(output).is_some_and(|cost| cost <= held))
    }

    /// Output tokens, of all choices, that what is held at first pays for.
    pub(crate) fn covered(&self, held: Money) -> u64 {
        self.affords(held, self.first().saturating_mul(self.choices))
    }

    /// The most output tokens of all choices that the provider will generate, `sent` being the cap that goes upstream.
    pub(crate) fn most(&self, sent: Option<NonZeroU64>) -> u64 {
        let choice = sent.map(NonZeroU64::get).or(self.most).unwrap_or(u64::MAX);
        choice.saturating_mul(self.choices)
    }

    /// The cap on each choice that must go upstream, `held` being what the books gave; `None` if the body may go as it
    /// is, because its cap or the model's binds, or the hold grows with the answer.
    pub(crate) fn upstream_cap(&self, held: Money) -> Option<NonZeroU64> {
        let first = self.first();
        let choice = self.covered(held) / self.choices.max(1);
        if self.is_fixed || !self.stops() || (self.grows && choice >= first) {
            return None;
        }
        NonZeroU64::new(choice).filter(|cap| self.stated.is_none_or(|stated| cap.get() < stated))
    }

    /// The largest part of a usage that costs no more than this amount at a service tier: output gives way first.
    pub(crate) fn fit(&self, usage: Usage, tier: ServiceTier, held: Money) -> Usage {
        let fits = |usage: &Usage| {
            let charge = self.funding.charge(&self.price, usage, tier);
            charge.is_some_and(|charge| charge.amount <= held)
        };
        let buckets: [fn(&mut Usage) -> &mut u64; 14] = [
            |usage| &mut usage.gpu_ms,
            |usage| &mut usage.output,
            |usage| &mut usage.audio_output,
            |usage| &mut usage.image_output,
            |usage| &mut usage.images,
            |usage| &mut usage.characters,
            |usage| &mut usage.audio_ms,
            |usage| &mut usage.searches,
            |usage| &mut usage.input,
            |usage| &mut usage.audio_input,
            |usage| &mut usage.image_input,
            |usage| &mut usage.cache_write_long,
            |usage| &mut usage.cache_write,
            |usage| &mut usage.cached,
        ];
        let mut fitted = usage;
        for bucket in buckets {
            let tokens = *bucket(&mut fitted);
            let with = |tokens: u64| {
                let mut less = fitted;
                *bucket(&mut less) = tokens;
                less
            };
            fitted = with(largest(tokens, |tokens| fits(&with(tokens))));
        }
        fitted.reasoning = fitted.reasoning.min(fitted.output);
        fitted
    }
}

/// The most input tokens that a call can be billed: what stands in its body or, where some stands elsewhere, as much as
/// the model takes. Calls of which neither is known are refused before this.
fn input_bound(call: &Call, price: &PriceVersion) -> u64 {
    let body = call.input_tokens_bound();
    match (call.input_elsewhere(), price.context) {
        (Some(_), Some(context)) => context.max(body),
        (Some(_) | None, _) => body,
    }
}

/// The largest number up to `most` that fits, if those below one that fits do, too; 0 if none does.
fn largest(most: u64, fits: impl Fn(u64) -> bool) -> u64 {
    if fits(most) {
        return most;
    }
    let (mut low, mut high) = (0, most);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}
