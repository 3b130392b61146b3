//! The targets that may have one call, in the order in which they are tried.
//!
//! Every candidate has passed the same checks by itself: its price, its contract, its countries. So a fallback never
//! crosses a contract or a class of data: what may not have the call is not in the list. It knows which target is tried
//! now and which are left; it must never know why one failed or how long to wait, which is `retry.rs`.

use std::cell::Cell;
use std::sync::Arc;

use dialect::tokens::{Encoding, count_prompt};
use dialect::{BadRequest, Call, Conversion};
use directory::InFlight;
use domain::{AccessClass, Money, ServiceTier, Usage};
use ledger::Part;
use pricing::PriceVersion;

use crate::allowance::{Allowance, Ask};
use crate::capability::Needs;
use crate::funding::{Charge, Funding};
use crate::pipeline::Settings;
use crate::routes::{Route, Target};

/// A target that may have the call, at a price that stays the same until the receipt.
#[derive(Debug)]
pub(crate) struct Candidate {
    /// The route of the model, of those the caller asked for, that it is a target of.
    pub(crate) route: Arc<Route>,
    pub(crate) target: Target,
    pub(crate) price: Arc<PriceVersion>,
    /// The call in the provider's form, where that is not the caller's.
    pub(crate) converted: Option<Box<Conversion>>,
    /// What the call can cost here, and how much output it may have.
    pub(crate) allowance: Allowance,
    /// How it is paid for.
    pub(crate) funding: Funding,
    /// How often the call was sent here.
    pub(crate) tries: u32,
}

/// A target that may not have the call, or a model of which none may, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// `provider/model`, or the model's name.
    pub(crate) target: Arc<str>,
    /// The code of the refusal, or what it lacks.
    pub(crate) code: &'static str,
}

/// The candidates of one call.
#[derive(Debug)]
pub(crate) struct Candidates {
    now: Candidate,
    /// The others, the next one first. Empty, and without memory of its own, for most routes.
    others: Vec<Candidate>,
    left_out: Vec<LeftOut>,
}

/// A target and its price, before the call is bounded.
pub(crate) struct Admitted {
    pub(crate) route: Arc<Route>,
    pub(crate) target: Target,
    pub(crate) price: Arc<PriceVersion>,
    /// The call in the provider's form, where that is not the caller's.
    pub(crate) converted: Option<Box<Conversion>>,
    /// How a call is paid for there.
    pub(crate) funding: Funding,
}

/// The tokens of a call's prompt, counted once for all targets whose models have the same dictionary, and only where one
/// of them asks.
#[derive(Debug, Default)]
pub(crate) struct PromptCount(Cell<Option<(Encoding, u64)>>);

impl PromptCount {
    fn of(&self, call: &Call, model: &str) -> u64 {
        let encoding = Encoding::for_model(model);
        if let Some((_, tokens)) = self.0.get().filter(|(counted, _)| *counted == encoding) {
            return tokens;
        }
        let tokens = count_prompt(call.endpoint(), call.body(), model);
        self.0.set(Some((encoding, tokens)));
        tokens
    }
}

/// The targets of a route that may have a call, the preferred one first, and those that may not.
pub(crate) struct Choice {
    pub(crate) first: Admitted,
    pub(crate) rest: Vec<Admitted>,
    pub(crate) left_out: Vec<LeftOut>,
}

impl Admitted {
    /// The longest input that the model takes there, in tokens, where anybody has said so.
    pub(crate) fn context(&self) -> Option<u64> {
        self.target.context(Some(&self.price))
    }

    /// Refuses a prompt that is longer than what a server of one's own takes (2.9): many of them cut it off in silence, or
    /// fail after minutes. What is too large to be counted here goes there.
    ///
    /// # Errors
    /// In OpenAI's words, which agents look for.
    pub(crate) fn check_context(&self, call: &Call, count: &PromptCount) -> Result<(), BadRequest> {
        let is_ours = self.target.contract.class == AccessClass::SelfHosted;
        let Some(context) = self.context().filter(|_| is_ours && call.endpoint().generates()) else {
            return Ok(());
        };
        if call.prompt_tokens_bound() <= context || call.body().len() > COUNTED_BYTES_MAX {
            return Ok(());
        }
        let tokens = count.of(call, &self.target.model);
        // Where another maker's dictionary stands in, a prompt that is a little too long by it may well fit.
        let is_exact = Encoding::is_own_of(&self.target.model);
        let (most, about) =
            if is_exact { (context, "") } else { (context.saturating_add(context / 10), "about ") };
        if tokens <= most {
            return Ok(());
        }
        Err(BadRequest {
            message: format!(
                "This model's maximum context length is {context} tokens. However, your messages resulted in \
                 {about}{tokens} tokens. Please reduce the length of the messages."
            ),
            param: Some("messages".to_owned()),
            code: Some("context_length_exceeded"),
        })
    }
}

impl Choice {
    /// Those of them that this step lets through; the others are left out with this code.
    ///
    /// # Errors
    /// What the step says of the first, if it lets none through.
    pub(crate) fn keep(
        self,
        code: &'static str,
        step: impl Fn(&mut Admitted) -> Result<(), BadRequest>,
    ) -> Result<Self, BadRequest> {
        let Self { mut first, rest, mut left_out } = self;
        let mut leave = |admitted: &Admitted| {
            left_out.push(LeftOut { target: Arc::clone(&admitted.target.label), code });
        };
        let refused = step(&mut first).err();
        let mut kept = Vec::with_capacity(rest.len());
        for mut admitted in rest {
            if step(&mut admitted).is_ok() {
                kept.push(admitted);
            } else {
                leave(&admitted);
            }
        }
        let first = match refused {
            None => first,
            Some(refused) if kept.is_empty() => return Err(refused),
            Some(_) => {
                leave(&first);
                kept.remove(0)
            }
        };
        Ok(Self { first, rest: kept, left_out })
    }

    /// Those of them that can do what the call needs; the others are left out with what they lack.
    ///
    /// # Errors
    /// If none can: which lacks what.
    pub(crate) fn fitting(self, call: &Call) -> Result<Self, BadRequest> {
        let Self { first, rest, mut left_out } = self;
        let all: Vec<Admitted> = std::iter::once(first).chain(rest).collect();
        let shortest = all.iter().filter_map(Admitted::context).min();
        let needs = Needs::of(call, input_tokens(call, shortest));
        let (mut fit, mut lacking) = (Vec::new(), Vec::new());
        for admitted in all {
            match needs.lacking(&admitted.target.rules, admitted.context()) {
                None => fit.push(admitted),
                Some(code) => lacking.push(LeftOut { target: Arc::clone(&admitted.target.label), code }),
            }
        }
        if fit.is_empty() {
            let each = lacking.iter().map(|out| format!("`{}`: {}", out.target, out.code.replace('_', " ")));
            let message = format!(
                "No free model can do what this call needs. {}. Leave that out of the call, or name a model that is paid \
                 for.",
                each.collect::<Vec<_>>().join("; ")
            );
            let param = Some("model".to_owned());
            return Err(BadRequest { message, param, code: Some("no_free_model_fits") });
        }
        left_out.append(&mut lacking);
        let first = fit.remove(0);
        Ok(Self { first, rest: fit, left_out })
    }

    /// The same for a call that refers to what a provider keeps: no other one has it than the first, which is `keeper`
    /// once it is known.
    ///
    /// # Errors
    /// If none of the targets is there.
    pub(crate) fn keep_state_of(
        self,
        call: &Call,
        keeper: &mut Option<Arc<str>>,
    ) -> Result<Self, BadRequest> {
        // What a tool fetches, it fetches anywhere.
        let Some(param) = call.input_elsewhere().filter(|param| *param != "tools") else { return Ok(self) };
        let keeper = &**keeper.get_or_insert_with(|| self.first.target.account());
        self.keep("kept_elsewhere", |admitted| {
            if *admitted.target.account() == *keeper {
                return Ok(());
            }
            Err(BadRequest {
                message: format!(
                    "'{param}' refers to what the provider `{keeper}` keeps, and the model `{}` is not served there.",
                    admitted.route.model
                ),
                param: Some(param.to_owned()),
                code: Some("kept_elsewhere"),
            })
        })
    }
}

impl Candidate {
    /// What a usage is charged here; `None` when no such cost can be booked.
    pub(crate) fn charge(&self, usage: &Usage, tier: ServiceTier) -> Option<Charge> {
        self.funding.charge(&self.price, usage, tier)
    }
}

/// Bodies up to this size are counted where the bound of their tokens does not decide: that takes some ten milliseconds.
const COUNTED_BYTES_MAX: usize = 256 * 1024;

/// The input tokens of a call, as far as a context of so many must be told from them: the bound, which is never too small;
/// the exact count where that is beyond the context and the body is no book.
fn input_tokens(call: &Call, shortest: Option<u64>) -> u64 {
    let bound = call.prompt_tokens_bound();
    if shortest.is_some_and(|context| bound > context) && call.body().len() <= COUNTED_BYTES_MAX {
        return count_prompt(call.endpoint(), call.body(), call.model());
    }
    bound
}

impl Candidates {
    /// The candidates in this order; the first is where the call goes.
    pub(crate) fn new(choice: Choice, call: &Call, in_flight: InFlight, settings: &Settings) -> Self {
        let Choice { first, rest, left_out } = choice;
        let candidate = |Admitted { route, target, price, converted, funding }: Admitted| {
            let sent = converted.as_ref().map_or(call, |converted| converted.call());
            let allowance = Allowance::new(sent, &price, &funding, in_flight, settings.output_slice)
                .for_time(target.rules.first_byte.unwrap_or(settings.first_byte));
            Candidate { route, target, price, converted, allowance, funding, tries: 0 }
        };
        Self { now: candidate(first), others: rest.into_iter().map(candidate).collect(), left_out }
    }

    /// Where the call is.
    pub(crate) const fn now(&self) -> &Candidate {
        &self.now
    }

    /// The others, in the order in which they are turned to.
    pub(crate) fn others(&self) -> &[Candidate] {
        &self.others
    }

    /// The targets of the route that may not have the call.
    pub(crate) fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// What to ask the books for: enough for the dearest of them, so that the call can go on at any of them within its
    /// one hold. The least is what the dearest of the first model needs: whoever cannot pay for another model that was
    /// named is not refused the first one, and what is missing is asked for when the call goes on there. So is what is
    /// paid for in another way than the first: a free request touches no wallet before it has failed.
    pub(crate) fn ask(&self) -> Ask {
        let model = &self.now.route.model;
        let dearest = |ask: Ask, other: &Candidate| {
            let Ask { amount, least, tokens } = other.allowance.ask();
            let least = if other.route.model == *model { least } else { Money::ZERO };
            Ask {
                amount: ask.amount.max(amount),
                least: ask.least.max(least),
                tokens: ask.tokens.max(tokens),
            }
        };
        let alike = self.others.iter().filter(|other| other.funding.is_like(&self.now.funding));
        alike.fold(self.now.allowance.ask(), dearest)
    }

    /// What of that a pool may pay for: of the dearest that is paid for in the same way.
    pub(crate) fn ceiling_parts(&self) -> Vec<Part> {
        let alike = self.others.iter().filter(|other| other.funding.is_like(&self.now.funding));
        let dearest = alike.max_by_key(|other| other.allowance.ask().amount);
        let dearer = |other: &&Candidate| other.allowance.ask().amount > self.now.allowance.ask().amount;
        dearest.filter(dearer).unwrap_or(&self.now).allowance.ceiling_parts()
    }

    /// Forgets the other one in this place, which cannot have the call after all.
    pub(crate) fn remove(&mut self, place: usize) {
        if place < self.others.len() {
            self.others.remove(place);
        }
    }

    /// Leaves out the present one, which may not have the call for this reason, and goes on to the next; if there is no other,
    /// answers so and changes nothing.
    pub(crate) fn leave(&mut self, code: &'static str) -> bool {
        if self.others.is_empty() {
            return false;
        }
        let next = self.others.remove(0);
        let left = std::mem::replace(&mut self.now, next);
        self.left_out.push(LeftOut { target: left.target.label, code });
        true
    }

    /// Leaves out the present one's model, which may not have the call for this reason, and turns to the next one; if
    /// there is no other, answers so and changes nothing.
    pub(crate) fn leave_model(&mut self, code: &'static str) -> bool {
        let model = Arc::clone(&self.now.route.model);
        let Some(place) = self.others.iter().position(|other| other.route.model != model) else {
            return false;
        };
        self.turn_to(place);
        self.others.retain(|other| other.route.model != model);
        self.left_out.push(LeftOut { target: model, code });
        true
    }

    /// Forgets the targets of the present one's model that were not tried: what this model was refused for what the
    /// request says, they would refuse, too.
    pub(crate) fn give_up_model(&mut self) {
        let model = &self.now.route.model;
        self.others.retain(|other| other.tries > 0 || other.route.model != *model);
    }

    /// Counts a try at the present one.
    pub(crate) const fn tried(&mut self) {
        self.now.tries = self.now.tries.saturating_add(1);
    }

    /// Goes on at the other one in this place; the present one takes its place. A place that is not there changes
    /// nothing.
    pub(crate) fn turn_to(&mut self, place: usize) {
        if let Some(other) = self.others.get_mut(place) {
            std::mem::swap(&mut self.now, other);
        }
    }
}
