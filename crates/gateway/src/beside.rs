//! Two attempts of one call that run at once: where the second one goes, what is held for both, and which row becomes of
//! the one that is given up (ADR 0014).
//!
//! The call is always at one of them, the *present* one; what belongs to the other stands aside until they change places.
//! It must never know how attempts are sent, or which is heard first, which is `hedge.rs`.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use domain::{Money, Timestamp, Usage};
use ledger::{AttemptStatus, CostRow};

use crate::allowance::tier_asked;
use crate::candidate::Candidate;
use crate::caps::Seat;
use crate::failure::UpstreamFailure;
use crate::health::Visit;
use crate::settle::{Open, Seen};

/// The row's reason of an attempt that was given up because another one answered first.
const OUTRUN: &str = "outrun";

/// An attempt that runs beside the present one.
pub(crate) struct Beside {
    /// Its place among the candidates that are not the present one.
    place: usize,
    /// When it was sent, by the clock that never steps and by the one of the rows.
    dispatched_us: u64,
    at: Timestamp,
    /// The cap that it was sent with.
    cap: Option<NonZeroU64>,
    visit: Option<Visit>,
    seat: Option<Seat>,
}

impl Beside {
    /// Leaves its target, which has neither done well nor ill.
    fn give_up(self) {
        if let Some(visit) = self.visit {
            visit.give_up();
        }
    }
}

impl Open {
    /// After how long a second attempt is sent beside the present one, where there can be one.
    pub(crate) fn hedges_after(&self) -> Option<Duration> {
        let after = self.plan.candidate().route.hedge_after?;
        // What is made whole is charged whole, by a provider that has begun to make it.
        let may = self.plan.call.endpoint().generates() && !self.plan.candidate().allowance.is_fixed();
        // What adds to a state that the provider keeps would add to it twice.
        let may = may && self.plan.call.input_elsewhere().is_none();
        // A free request is not to be made twice.
        let may = may && !self.plan.candidate().funding.is_strict();
        (may && self.place_beside().is_some()).then_some(after)
    }

    /// The candidate that a second attempt would go to: of the same model, since a caller who names several wants the
    /// first one; well, and not tried.
    fn place_beside(&self) -> Option<usize> {
        let (rules, tokens) = (&self.shared.settings.breaker, self.expected_tokens());
        let now_us = self.shared.clock.monotonic_micros();
        let model = &self.plan.candidate().route.model;
        let fits = |other: &Candidate| {
            other.tries == 0
                // What is held pays for both only where both are paid for in one way.
                && !other.funding.is_strict()
                && other.funding.is_like(&self.plan.candidate().funding)
                && other.route.model == *model
                && other.target.health.look(rules, now_us, tokens).usable
                && self.has_room(other)
        };
        self.plan.candidates.others().iter().position(fits)
    }

    /// Begins a second attempt, which is the present one from then on, and the first stands beside it; `None` if there is
    /// none to be had, and nothing has changed.
    pub(crate) async fn begin_beside(&mut self) -> Option<Beside> {
        let second = self.enter_beside()?;
        let (at, outrun) = (second.at, self.outrun().await?);
        // A provider may bill what is given up, so that must be paid for beside the answer.
        let dearer = |other: &Candidate| {
            let here = self.plan.candidate().allowance.ceiling(0)?;
            Some(other.allowance.ceiling(0)?.max(here))
        };
        let more = self.plan.candidates.others().get(second.place).and_then(dearer);
        let first = self.swap_with(second);
        let more = (more.unwrap_or(Money::MAX), self.plan.input_guess);
        if let Err(error) = self.held.beside(outrun, more, &self.began, &self.plan, at).await {
            tracing::info!(request = %self.began.id, %error, "no second attempt beside a slow one");
            let second = self.swap_with(first);
            second.give_up();
            return None;
        }
        if let Some(seat) = &mut self.seat {
            seat.send();
        }
        self.plan.candidates.tried();
        let target = Arc::clone(&self.plan.target().label);
        tracing::info!(request = %self.began.id, %target, "a second attempt beside a slow one");
        Some(first)
    }

    /// Enters the target of a second attempt, if the call and all calls together may have one.
    fn enter_beside(&self) -> Option<Beside> {
        let rules = &self.shared.settings;
        let now_us = self.shared.clock.monotonic_micros();
        let elapsed = Duration::from_micros(now_us.saturating_sub(self.began.micros));
        let place = self.place_beside()?;
        let other = self.plan.candidates.others().get(place)?;
        if !rules.retry.allows(self.held.attempts(), elapsed) {
            return None;
        }
        let visit = other.target.health.enter(&rules.breaker, now_us, self.expected_tokens())?;
        if !self.shared.retries.take(now_us) {
            visit.give_up();
            return None;
        }
        let accounts = &other.target.accounts;
        let Ok(seat) = Seat::take(accounts, self.plan.tokens_expected(), &self.shared.clock) else {
            visit.give_up();
            return None;
        };
        let at = self.shared.clock.now();
        Some(Beside { place, dispatched_us: now_us, at, cap: None, visit: Some(visit), seat: Some(seat) })
    }

    /// Makes the other attempt the present one; what belongs to the present one stands aside.
    fn swap_with(&mut self, other: Beside) -> Beside {
        let Beside { place, dispatched_us, at, cap, visit, seat } = other;
        let aside = Beside {
            place,
            dispatched_us: self.dispatched_us,
            at: self.held.draft().map_or(at, |draft| draft.at),
            cap: self.held.upstream_cap(),
            visit: std::mem::replace(&mut self.visit, visit),
            seat: std::mem::replace(&mut self.seat, seat),
        };
        self.plan.candidates.turn_to(place);
        self.held.set_upstream_cap(cap);
        (self.dispatched_us, self.first_byte_us, self.http_status) = (dispatched_us, 0, 0);
        aside
    }

    /// The one beside was heard first: it becomes the present one, and the other stands aside as outrun.
    pub(crate) async fn outrun_by(&mut self, other: Beside) -> Beside {
        let (at, outrun) = (other.at, self.outrun().await);
        let aside = self.swap_with(other);
        self.held.change_places(outrun, &self.began, &self.plan, at);
        aside
    }

    /// The present attempt failed, and the one beside it goes on alone.
    pub(crate) fn leave_to(&mut self, other: Beside, failure: &UpstreamFailure) {
        let (at, tier) = (other.at, tier_asked(self.plan.sent()));
        let failed = self.row(&Usage::default(), tier, AttemptStatus::Failed, failure.reason);
        // Dropped, the failed one has left its target.
        drop(self.swap_with(other));
        self.held.change_places(failed, &self.began, &self.plan, at);
    }

    /// The present attempt has won: the other one is dropped. It was neither well nor ill, and how long it would have
    /// taken nobody knows.
    pub(crate) fn give_up(&mut self, other: Beside) {
        let now_us = self.shared.clock.monotonic_micros();
        self.held.outrun_after(now_us.saturating_sub(other.dispatched_us));
        other.give_up();
    }

    /// The present attempt's row as one that is given up: its provider has read the prompt by then, and may bill it.
    async fn outrun(&self) -> Option<CostRow> {
        let usage = Usage { gpu_ms: self.gpu_ms(), ..self.counted(String::new(), Seen::default()).await };
        let tier = tier_asked(self.plan.sent());
        // Some counts are guesses above their bound, which is what was held.
        let allowance = &self.plan.candidate().allowance;
        let usage = allowance.ceiling(0).map_or(usage, |most| allowance.fit(usage, tier, most));
        let row = self.row(&usage, tier, AttemptStatus::Cancelled, OUTRUN)?;
        Some(CostRow { estimated: true, ..row })
    }
}
