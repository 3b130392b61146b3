//! The attempts of one call: one after the other, until one is answered or nothing is left to try.
//!
//! All of them live inside the one hold, and each has its row. It knows their order alone: what an attempt is, is
//! `attempt.rs`, and when and where there is another one, `retry.rs`.

use std::sync::Arc;
use std::time::Duration;

use domain::Refusal;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use ledger::{AttemptStatus, CostRow};

use crate::allowance::tier_asked;
use crate::answer::Answer;
use crate::attempt::{Attempted, attempt};
use crate::candidate::Candidate;
use crate::caps::{self, Seat, have_room};
use crate::evidence::{Began, Plan};
use crate::failure::{Failure, UpstreamFailure};
use crate::health::Visit;
use crate::hold::Held;
use crate::pipeline::Gateway;
use crate::rates::Pace;
use crate::retry::{Next, Remedy, Standing};
use crate::routes::Target;
use crate::settle::{Consumed, Ending, Open, Told};
use crate::shown::tell_access;
use crate::tasks::Presence;

/// The target that answered, or that was tried last, as `provider/model`.
pub(crate) const TARGET: HeaderName = HeaderName::from_static("x-tollkeeper-target");
/// Which of the models that were asked for answered, where there were several.
const MODEL: HeaderName = HeaderName::from_static("x-tollkeeper-model");
/// How many attempts it took.
pub(crate) const ATTEMPTS: HeaderName = HeaderName::from_static("x-tollkeeper-attempts");
/// What of the request could not be said to the provider, member by member, each with what became of it.
const DROPPED: HeaderName = HeaderName::from_static("x-tollkeeper-dropped");

/// Makes the call that `held` pays for, as often as its rules allow, and ends the hold whatever happens.
pub(crate) async fn attempts(
    gateway: Gateway,
    began: Began,
    plan: Box<Plan>,
    held: Held,
    pace: Pace,
    presence: Presence,
) -> Result<Response<Answer>, Failure> {
    let Gateway { shared, client, .. } = gateway;
    shared.retries.earn();
    let mut open = Open {
        shared,
        began,
        plan,
        held,
        pace,
        dispatched_us: 0,
        first_byte_us: 0,
        http_status: 0,
        visit: None,
        seat: None,
    };
    loop {
        if let Err(failure) = open.begin_attempt().await {
            return Err(fail(open, *failure).await);
        }
        let (mut failed, failure) = match attempt(&client, open, &presence).await {
            Attempted::Answered(response) => return Ok(response),
            Attempted::Over(failure) => return Err(failure),
            Attempted::Failed(open, failure) => {
                let Target { provider, access, .. } = open.plan.target();
                let failure = failure.of_key(access.as_deref(), &provider.name);
                (open, failure)
            }
        };
        failed.note_failure(&failure);
        if failure.remedy == Remedy::AnotherModel {
            failed.plan.candidates.give_up_model();
        }
        open = match failed.go_on(&failure, &presence).await {
            Ok(open) => *open,
            Err(failed) => return Err(fail(*failed, failure).await),
        };
    }
}

impl Open {
    /// An attempt begins at the present target, or fails where no target's caps have room for it.
    async fn begin_attempt(&mut self) -> Result<(), Box<UpstreamFailure>> {
        // The one before brought nothing, and its request counts all the same.
        if let Some(seat) = self.seat.take() {
            seat.end(0);
        }
        // Until it is sent, what the one before left here says nothing of it.
        self.dispatched_us = 0;
        self.visit = Some(self.enter().await?);
        self.plan.candidates.tried();
        self.dispatched_us = self.shared.clock.monotonic_micros();
        (self.first_byte_us, self.http_status) = (0, 0);
        Ok(())
    }

    /// Takes the present attempt's place under the provider's caps: the one that the plan took, if it is at this target.
    fn sit(&mut self) -> Result<(), Box<Refusal>> {
        let accounts = &self.plan.candidates.now().target.accounts;
        let planned = self.plan.seat.take().filter(|seat| seat.is_under(accounts));
        let seat = match planned {
            Some(seat) => seat,
            None => Seat::take(accounts, self.plan.tokens_expected(), &self.shared.clock)?,
        };
        self.seat = Some(seat);
        Ok(())
    }

    /// Whether the provider's caps have room for the call at this candidate.
    pub(crate) fn has_room(&self, candidate: &Candidate) -> bool {
        let accounts = &candidate.target.accounts;
        accounts.is_empty() || have_room(accounts, self.plan.tokens_expected(), self.shared.clock.as_ref())
    }

    /// Enters the present target. Where its circuit has closed the way since it was chosen, because another call is its
    /// probe, the next one that is open is turned to; where none is, it is tried all the same.
    ///
    /// # Errors
    /// When the provider's caps have no room where it would be tried.
    async fn enter(&mut self) -> Result<Visit, Box<UpstreamFailure>> {
        let (rules, tokens) = (self.shared.settings.breaker, self.expected_tokens());
        loop {
            let now_us = self.shared.clock.monotonic_micros();
            let mut capped = None;
            if let Some(visit) = self.plan.target().health.enter(&rules, now_us, tokens) {
                match self.sit() {
                    Ok(()) => return Ok(visit),
                    Err(refusal) => capped = Some(refusal),
                }
                visit.give_up();
            }
            let is_open = |other: &Candidate| {
                let look = other.target.health.look(&rules, now_us, tokens);
                other.tries == 0 && look.usable && self.has_room(other)
            };
            let Some(place) = self.plan.candidates.others().iter().position(is_open) else {
                let refusal = match capped {
                    Some(refusal) => refusal,
                    None => match self.sit() {
                        Ok(()) => return Ok(self.plan.target().health.force(tokens)),
                        Err(refusal) => refusal,
                    },
                };
                return Err(Box::new(UpstreamFailure::capped(&refusal)));
            };
            self.move_to(place, None).await;
        }
    }

    /// What the call may use of the provider's rate.
    pub(crate) fn expected_tokens(&self) -> u64 {
        self.plan.input_guess.saturating_add(self.plan.ask.tokens)
    }

    /// An answer began: how soon, and what it says of our rate there. Answers the wait that the provider asks for.
    pub(crate) fn note_head(&self, headers: &HeaderMap) -> Option<Duration> {
        let (rules, health) = (&self.shared.settings.breaker, &self.plan.target().health);
        let after_us = self.first_byte_us.saturating_sub(self.dispatched_us);
        if self.http_status < 400 {
            health.began(rules, self.first_byte_us, after_us);
        }
        caps::learn(&self.plan.target().accounts, headers, self.http_status, self.shared.clock.as_ref());
        health.told(headers, self.http_status, self.first_byte_us, self.shared.clock.now())
    }

    /// The target did what it should, or not.
    pub(crate) fn note_end(&self, well: bool) {
        let now_us = self.shared.clock.monotonic_micros();
        self.plan.target().health.ended(&self.shared.settings.breaker, now_us, well);
    }

    pub(crate) fn note_failure(&self, failure: &UpstreamFailure) {
        if let Some(well) = failure.target_is_well() {
            self.note_end(well);
        }
    }

    /// Whether there may be another attempt, if this one brings nothing.
    pub(crate) fn may_go_on(&self) -> bool {
        self.plan.target().rules.retries > 0 || !self.plan.candidates.others().is_empty()
    }

    /// What to try after this failure, if anything. Nobody would read the answer to a client that has gone.
    fn next_attempt(&self, failure: &UpstreamFailure, presence: &Presence) -> Option<Next> {
        if presence.is_gone() {
            return None;
        }
        let now = self.shared.clock.monotonic_micros();
        let standing = Standing {
            request: self.began.id,
            attempts: self.held.attempts(),
            elapsed: Duration::from_micros(now.saturating_sub(self.began.micros)),
            remedy: failure.remedy,
            retry_after: failure.retry_after,
        };
        let next = self.shared.settings.retry.next(&standing, &self.plan.candidates, |place| {
            let (rules, tokens) = (&self.shared.settings.breaker, self.expected_tokens());
            let other = self.plan.candidates.others().get(place);
            other.is_some_and(|other| {
                other.target.health.look(rules, now, tokens).usable && self.has_room(other)
            })
        })?;
        let granted = self.shared.retries.take(now);
        if !granted {
            tracing::warn!(request = %self.began.id, "the budget of retries is used up; a call is not tried again");
        }
        granted.then_some(next)
    }

    /// Goes on to the next attempt after this failure, if there is one, at its time: the present one's row is kept for
    /// the settlement. If there is none, answers the call as it is.
    async fn go_on(
        mut self: Box<Self>,
        failure: &UpstreamFailure,
        presence: &Presence,
    ) -> Result<Box<Self>, Box<Self>> {
        let tier = tier_asked(self.plan.sent());
        let row = self.row(&domain::Usage::default(), tier, AttemptStatus::Failed, failure.reason);
        let Some(row) = row else { return Err(self) };
        while let Some(next) = self.next_attempt(failure, presence) {
            if !next.wait.is_zero() {
                tokio::select! {
                    () = tokio::time::sleep(next.wait) => {}
                    () = presence.gone() => break,
                }
            }
            tracing::info!(
                request = %self.began.id,
                target = %self.plan.target().label,
                reason = failure.reason,
                "an attempt failed, and there is another one"
            );
            let Some(place) = next.other else {
                return if self.again(row).await { Ok(self) } else { Err(self) };
            };
            if self.move_to(place, Some(row.clone())).await {
                return Ok(self);
            }
        }
        Err(self)
    }

    /// Begins another attempt at the present target, after one that failed. A free one must have a request left.
    async fn again(&mut self, failed: CostRow) -> bool {
        let at = self.shared.clock.now();
        let again = match self.pace.again(&self.shared.pools, &self.plan, at) {
            Err(over) => Err(over.refusal.message),
            Ok(free) => match self.held.retry(failed, &self.began, &self.plan, at).await {
                Ok(()) => Ok(()),
                Err(error) => {
                    self.pace.undo(free);
                    Err(error.to_string())
                }
            },
        };
        if let Err(why) = &again {
            tracing::info!(request = %self.began.id, why, "a call is not tried again");
        }
        again.is_ok()
    }

    /// Moves the call to the candidate in this place, after an attempt that failed or before the first one is sent. Where
    /// its model's limits or the wallets for it have no room, the call stays where it is, and the candidate is none.
    async fn move_to(&mut self, place: usize, failed: Option<CostRow>) -> bool {
        self.plan.candidates.turn_to(place);
        let at = self.shared.clock.now();
        let turned = self.pace.turn(&self.shared.tiers, &self.plan, at);
        // Turning to a free target takes one of its requests.
        let why = match turned.and_then(|()| self.pace.again(&self.shared.pools, &self.plan, at)) {
            Err(over) => over.refusal.message.clone(),
            Ok(free) => {
                let is_first = failed.is_none();
                let moved = match failed {
                    Some(row) => self.held.turn(row, &self.began, &self.plan, at).await,
                    None => self.held.aim(&self.began, &self.plan).await,
                };
                let Err(error) = moved else {
                    if is_first {
                        self.pace.take_in_place(free);
                    }
                    return true;
                };
                self.pace.undo(free);
                error.to_string()
            }
        };
        let target = Arc::clone(&self.plan.target().label);
        tracing::info!(request = %self.began.id, %target, why, "the call cannot go on at this target");
        self.plan.candidates.turn_to(place);
        self.plan.candidates.remove(place);
        // What it counted under before has just been given back, so that it is there but for what came between.
        let _ = self.pace.turn(&self.shared.tiers, &self.plan, at);
        false
    }

    /// The target that has the call, and how many attempts there were.
    pub(crate) fn way(&self) -> (Arc<str>, u32) {
        (Arc::clone(&self.plan.target().label), self.held.attempts())
    }

    /// Tells on an answer where it came from and how many attempts it took.
    pub(crate) fn tell_way(&self, headers: &mut HeaderMap) {
        way(&self.plan.target().label, self.held.attempts(), headers);
        // Where several models could have answered, the one that does is named.
        let own = self.plan.target().of.as_ref().map(|route| &route.model);
        if (own.is_some() || !self.plan.call.fallbacks().is_empty())
            && let Ok(model) = HeaderValue::from_str(own.unwrap_or(self.plan.model()))
        {
            headers.insert(MODEL, model);
        }
        if self.plan.shows_access {
            tell_access(self.plan.candidate(), self.began.at, headers);
        }
        let dropped = self.plan.candidate().converted.as_ref().map(|converted| converted.dropped());
        if let Some(dropped) = dropped.filter(|dropped| !dropped.is_empty()) {
            let named: Vec<String> = dropped.iter().map(ToString::to_string).collect();
            // Visible ASCII, all of it.
            if let Ok(named) = HeaderValue::try_from(named.join("; ")) {
                headers.insert(DROPPED, named);
            }
        }
    }
}

/// Names a target and a number of attempts on an answer.
pub(crate) fn way(target: &str, attempts: u32, headers: &mut HeaderMap) {
    // A model's name may have characters that no header has; the row has it, too.
    if let Ok(target) = HeaderValue::from_str(target) {
        headers.insert(TARGET, target);
    }
    headers.insert(ATTEMPTS, HeaderValue::from(attempts));
}

/// Books a call that brought nothing, and turns it into the failure the client sees.
pub(crate) async fn fail(open: Open, mut failure: UpstreamFailure) -> Failure {
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
    failure.way = Some(open.way());
    match open.settle(ending).await {
        Ok(_) => Failure::Upstream(Box::new(failure)),
        Err(_) => Failure::Unsettled,
    }
}
