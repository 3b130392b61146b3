//! How a target is: whether its circuit is open, how fast it begins to answer, and what it says is left of its rate.
//!
//! What is known here orders the candidates of a call and never refuses one: see `routing.rs` and ADR 0011. Each target of
//! the configuration, and each model of a pattern, has one state, shared by all threads and by all routes that lead to it
//! with the same credential. It is looked at and written a few times for each attempt, never for a chunk,
//! and its lock is held for some tens of nanoseconds. The state machines are pure: they are told the time.

mod breaker;
mod latency;
pub(crate) mod quota;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderMap;

use breaker::Breaker;
use latency::Latency;
use quota::{Quota, Told};

/// When a target's circuit opens, as configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerRules {
    /// It opens after so many failures in a window, if they are at least half of all ends in it; at least 1.
    pub failures: u32,
    /// How long a window is.
    pub window: Duration,
    /// How long it stays open before a single call tries it again.
    pub open: Duration,
}

impl Default for BreakerRules {
    fn default() -> Self {
        Self { failures: 5, window: Duration::from_secs(10), open: Duration::from_secs(15) }
    }
}

/// The state of one target.
#[derive(Debug, Default)]
pub struct Health {
    /// Calls that were sent and have not ended.
    pending: AtomicU32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    breaker: Breaker,
    latency: Latency,
    quota: Quota,
}

/// How a target looks now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// `closed`, `open` or `half_open`.
    pub circuit: &'static str,
    /// Whether a call may go there before others in trouble.
    pub usable: bool,
    /// The time to the first byte, in microseconds, by a moving average that rises at once and falls slowly; 0 before the
    /// first answer.
    pub latency_us: u64,
    /// Calls that have not ended.
    pub pending: u32,
    /// Requests and tokens that the provider says are left, and not for how long.
    pub requests_left: Option<u64>,
    /// See there.
    pub tokens_left: Option<u64>,
    /// For how long the provider wants no call, in milliseconds; 0 when it takes some.
    pub closed_ms: u64,
}

impl Look {
    /// What a further call would wait for, roughly: the latency for each call that is there, and one more.
    pub(crate) fn load(&self) -> u64 {
        self.latency_us.saturating_mul(u64::from(self.pending).saturating_add(1))
    }
}

/// A call that is at a target; when this is dropped, it no longer is.
#[derive(Debug)]
pub(crate) struct Visit {
    health: Arc<Health>,
    /// Whether it is the probe of a circuit that is not closed.
    is_probe: bool,
}

impl Visit {
    /// The call is given up before it could tell anything: if it was the probe, another one may be.
    pub(crate) fn give_up(self) {
        if self.is_probe {
            self.health.state().breaker.give_back();
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.health.pending.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Health {
    fn state(&self) -> MutexGuard<'_, State> {
        // What a thread that panicked left here are numbers, each of them whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the target looks to a call that is expected to use so many tokens.
    pub fn look(&self, rules: &BreakerRules, now_us: u64, tokens: u64) -> Look {
        let state = self.state();
        let circuit = state.breaker.circuit(now_us);
        Look {
            circuit: circuit.as_str(),
            usable: state.breaker.admits(now_us) && state.quota.admits(now_us, tokens),
            latency_us: state.latency.at(now_us, rules.window),
            pending: self.pending.load(Ordering::Relaxed),
            requests_left: state.quota.requests_left(now_us),
            tokens_left: state.quota.tokens_left(now_us),
            closed_ms: state.quota.closed_us(now_us).div_ceil(1_000),
        }
    }

    /// A call is sent there, if the circuit has room for it: of a half-open one it is the only one.
    pub(crate) fn enter(self: &Arc<Self>, rules: &BreakerRules, now_us: u64, tokens: u64) -> Option<Visit> {
        let mut state = self.state();
        if !state.breaker.admits(now_us) {
            return None;
        }
        let is_probe = state.breaker.begin(rules, now_us);
        state.quota.take(tokens);
        drop(state);
        self.pending.fetch_add(1, Ordering::Relaxed);
        Some(Visit { health: Arc::clone(self), is_probe })
    }

    /// A call is sent there whatever the circuit is, because there is nowhere else.
    pub(crate) fn force(self: &Arc<Self>, tokens: u64) -> Visit {
        self.state().quota.take(tokens);
        self.pending.fetch_add(1, Ordering::Relaxed);
        Visit { health: Arc::clone(self), is_probe: false }
    }

    /// A call that was sent there ended so.
    pub(crate) fn ended(&self, rules: &BreakerRules, now_us: u64, well: bool) {
        self.state().breaker.end(rules, now_us, well);
    }

    /// An answer began after so long.
    pub(crate) fn began(&self, rules: &BreakerRules, now_us: u64, after_us: u64) {
        self.state().latency.observe(now_us, after_us, rules.window);
    }

    /// Whether an answer has ever begun there.
    pub(crate) fn has_answered(&self) -> bool {
        self.state().latency.is_known()
    }

    /// The provider told of its limits in these headers, at this moment of both clocks. Answers the wait that it asks for.
    pub fn told(
        &self,
        headers: &HeaderMap,
        status: u16,
        now_us: u64,
        now: domain::Timestamp,
    ) -> Option<Duration> {
        let told: Told = quota::read(headers, now);
        let refused = matches!(status, 429 | 503 | 529);
        let wait = told.retry_after;
        if !told.is_empty() {
            self.state().quota.learn(&told, refused, now_us);
        }
        wait
    }
}
