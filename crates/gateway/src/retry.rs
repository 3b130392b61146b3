//! Trying again: after which failures, where, when, and when no more.
//!
//! Nothing is tried again after the first byte has gone to the client, and what the provider refused for what the request
//! says goes to no other target of that model. A call has a budget of attempts and of time; all calls together have one of retries, so that a provider
//! in trouble is not called many times as often as one that is well (a storm of retries is what keeps it down).
//!
//! It decides by numbers that it is given; it must never know money, HTTP or what time it is.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use domain::RequestId;

use crate::candidate::Candidates;

/// How often and how long calls are tried again, as configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryRules {
    /// Attempts of one request in all, the first one included; at least 1.
    pub attempts_max: u32,
    /// No attempt begins later than this after the request came.
    pub within: Duration,
    /// The wait before a target is tried a second time; doubled for each time after that, and jittered.
    pub backoff: Duration,
    /// The longest wait for one target, by our rule or at its wish. One that asks for more is given up.
    pub wait_max: Duration,
    /// Retries of all requests together, in percent of their number, beyond [`RetryRules::per_second`].
    pub percent: u32,
    /// Retries a second that are always to be had, so that a gateway with few calls can fall back, too.
    pub per_second: u32,
}

impl Default for RetryRules {
    fn default() -> Self {
        Self {
            attempts_max: 4,
            within: Duration::from_secs(60),
            backoff: Duration::from_millis(200),
            wait_max: Duration::from_secs(2),
            percent: 10,
            per_second: 10,
        }
    }
}

/// What a failure says about another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// It would fail again wherever it went, or its client has gone.
    Nothing,
    /// It would fail again at this model, and may succeed at another one: the request was refused.
    AnotherModel,
    /// It would fail again at this target, and may succeed at another one.
    Elsewhere,
    /// It may pass by itself.
    Again,
}

/// The next try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Next {
    /// How long to wait before it.
    pub(crate) wait: Duration,
    /// The place of the other candidate that is tried; `None` for the same one again.
    pub(crate) other: Option<usize>,
}

/// How a call stands after a failed attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) request: RequestId,
    /// Attempts that were made.
    pub(crate) attempts: u32,
    /// Since the request came.
    pub(crate) elapsed: Duration,
    pub(crate) remedy: Remedy,
    /// The wait that the target asked for.
    pub(crate) retry_after: Option<Duration>,
}

impl RetryRules {
    /// What to try next, by the rules of this call alone. `usable` says of another candidate, by its place, whether it
    /// is well; one that is not is turned to only when no other is left.
    pub(crate) fn next(
        &self,
        standing: &Standing,
        candidates: &Candidates,
        usable: impl Fn(usize) -> bool,
    ) -> Option<Next> {
        if !self.allows(standing.attempts, standing.elapsed) || standing.remedy == Remedy::Nothing {
            return None;
        }
        let left = self.within.checked_sub(standing.elapsed)?;
        let same = self.same(standing, candidates).filter(|wait| *wait <= left);
        if let Some(wait) = same {
            return Some(Next { wait, other: None });
        }
        let untried = || {
            let others = candidates.others().iter().enumerate();
            others.filter(|(_, other)| other.tries == 0).map(|(place, _)| place)
        };
        let place = untried().find(|place| usable(*place)).or_else(|| untried().next())?;
        Some(Next { wait: Duration::ZERO, other: Some(place) })
    }

    /// Whether a request that has had so many attempts in such a time may have another one.
    pub(crate) fn allows(&self, attempts: u32, elapsed: Duration) -> bool {
        attempts < self.attempts_max && elapsed <= self.within
    }

    /// The wait before the same target is tried again, if its rules and the failure allow it.
    fn same(&self, standing: &Standing, candidates: &Candidates) -> Option<Duration> {
        let now = candidates.now();
        if standing.remedy != Remedy::Again || now.tries > now.target.rules.retries {
            return None;
        }
        let doubled = self.backoff.saturating_mul(1_u32 << now.tries.saturating_sub(1).min(16));
        let wait = jittered(doubled.min(self.wait_max), standing.request, standing.attempts);
        let wished = standing.retry_after.unwrap_or_default();
        (wished <= self.wait_max).then_some(wait.max(wished))
    }
}

/// Between half of a wait and all of it, so that calls which failed together do not come back together.
fn jittered(wait: Duration, request: RequestId, attempt: u32) -> Duration {
    let half = wait / 2;
    let span = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).saturating_add(1);
    half.saturating_add(Duration::from_micros(draw(request, attempt) % span))
}

/// A number that nobody can foresee who does not know the request's id, and that is the same for the same one.
pub(crate) fn draw(request: RequestId, salt: u32) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(request.as_bytes()).update(&salt.to_be_bytes());
    let mut bytes = [0; 8];
    hasher.finalize_xof().fill(&mut bytes);
    u64::from_be_bytes(bytes)
}

/// The retries of all requests together: a bucket that requests and time fill, and retries empty.
///
/// It is shared by all threads; a request that is not retried adds to one number, and takes no lock.
#[derive(Debug)]
pub struct RetryBudget {
    rules: RetryRules,
    /// Hundredths of a retry that are left.
    left: AtomicI64,
    /// When time last filled it, in microseconds.
    filled_at: AtomicU64,
}

const WHOLE: i64 = 100;
const MICROS_PER_SECOND: u64 = 1_000_000;

impl RetryBudget {
    /// A full bucket.
    pub fn new(rules: RetryRules) -> Self {
        Self { rules, left: AtomicI64::new(Self::most(&rules)), filled_at: AtomicU64::new(0) }
    }

    /// What it holds: ten seconds of what time brings, or one retry, so that a percentage alone works, too.
    fn most(rules: &RetryRules) -> i64 {
        let retries = i64::from(rules.per_second).saturating_mul(10);
        let least = i64::from(rules.percent > 0);
        retries.max(least).saturating_mul(WHOLE)
    }

    /// A request was sent for the first time.
    pub(crate) fn earn(&self) {
        let percent = i64::from(self.rules.percent);
        if percent > 0 && self.left.load(Ordering::Relaxed) < Self::most(&self.rules) {
            self.left.fetch_add(percent, Ordering::Relaxed);
        }
    }

    /// Takes one retry, if there is one.
    pub(crate) fn take(&self, now_us: u64) -> bool {
        self.fill(now_us);
        let less = |left: i64| left.checked_sub(WHOLE).filter(|left| *left >= 0);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    fn fill(&self, now_us: u64) {
        let before = self.filled_at.load(Ordering::Relaxed);
        let passed = now_us.saturating_sub(before);
        let per_second = u64::from(self.rules.per_second).saturating_mul(WHOLE.unsigned_abs());
        let earned = passed.saturating_mul(per_second) / MICROS_PER_SECOND;
        // Whoever moves the moment adds what came since.
        let moved = earned > 0
            && self.filled_at.compare_exchange(before, now_us, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if moved {
            let earned = i64::try_from(earned).unwrap_or(i64::MAX);
            let more = |left: i64| Some(left.saturating_add(earned).min(Self::most(&self.rules).max(left)));
            // An update that always has a value always succeeds.
            let _ = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        }
    }
}
