//! What a provider lets one credential have (mission 5.4): requests and tokens, in a minute and in a day that begins where
//! the provider says, counted over all organizations and routes that call with it, so that calls go elsewhere before the
//! provider refuses them.
//!
//! It knows what was taken, what the provider itself said is left, and when a day begins anew. It must never know whose call
//! it is or what becomes of it: each attempt takes a [`Seat`] before it is sent, failed ones too. Beside a target's order
//! (`health.rs`), which never refuses, this does: a cap that is used up is no place to try.

mod seat;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::{Clock, Refusal, RefusalCode, Timestamp, Zone};
use http::HeaderMap;
use ledger::{Period, Span};
use limits::{Limit, Measure, Meter};

use crate::health::quota::{self, Quota};
pub(crate) use seat::Seat;

/// The caps of a credential, as its provider publishes them; what is left out is not capped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CapRules {
    /// Requests in any 60 seconds.
    pub requests_per_minute: Option<u64>,
    /// Input and output tokens in any 60 seconds.
    pub tokens_per_minute: Option<u64>,
    /// Requests of a day.
    pub requests_per_day: Option<u64>,
    /// Input and output tokens of a day.
    pub tokens_per_day: Option<u64>,
    /// When a day begins, in seconds after midnight in the zone.
    pub reset_seconds: u32,
    /// Whose midnight.
    pub zone: Zone,
}

impl CapRules {
    /// The provider's day around a moment.
    fn day(&self, at: Timestamp) -> Span {
        let shift = i64::from(self.reset_seconds);
        let Span { start, end } = Period::Daily.around(at.plus_seconds(shift.saturating_neg()), &self.zone);
        Span { start: start.plus_seconds(shift), end: end.plus_seconds(shift) }
    }

    const fn of(&self, measure: Measure) -> Option<u64> {
        match measure {
            Measure::RequestsPerMinute => self.requests_per_minute,
            Measure::TokensPerMinute => self.tokens_per_minute,
            Measure::RequestsPerDay => self.requests_per_day,
            Measure::TokensPerDay => self.tokens_per_day,
            Measure::InputTokensPerMinute
            | Measure::OutputTokensPerMinute
            | Measure::ImagesPerMinute
            | Measure::ConcurrentRequests => None,
        }
    }
}

/// What is counted, in the order in which a refusal names it.
const MEASURES: [Measure; 4] =
    [Measure::RequestsPerDay, Measure::TokensPerDay, Measure::RequestsPerMinute, Measure::TokensPerMinute];
const DAY_SECONDS: i64 = 24 * 60 * 60;

/// A credential, or one model that is called with it, and what was used of its caps.
pub struct Account {
    /// The provider's name, or `provider/model`.
    whose: Arc<str>,
    rules: CapRules,
    state: Mutex<State>,
}

/// What was used.
struct State {
    requests: Meter,
    tokens: Meter,
    day: Day,
    /// What the provider said.
    told: Quota,
}

/// What was used of a day.
#[derive(Clone, Copy, Debug, Default)]
struct Day {
    /// Its number: the days from 1970 to its first moment.
    number: u32,
    requests: u64,
    tokens: u64,
    /// The provider has said that it is over for us.
    closed: bool,
    /// It has changed since it was last stored.
    is_new: bool,
}

/// A count of a day, to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayOfAccount {
    /// The day's number.
    pub day: u32,
    /// Whose, by a hash.
    pub bucket: [u8; 16],
    /// Of what.
    pub measure: Measure,
    /// How much.
    pub used: u64,
}

/// How one cap stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapLook {
    /// The provider's name, or `provider/model`.
    pub whose: Arc<str>,
    /// What it counts.
    pub measure: Measure,
    /// The most that there may be.
    pub most: u64,
    /// What is left by our own count; nothing of a day that the provider has closed.
    pub left: u64,
    /// When the day begins anew; `None` for a minute, which slides.
    pub resets_at: Option<Timestamp>,
}

/// Why an account has no room.
enum Full {
    /// A cap of its own.
    Cap { measure: Measure, most: u64, used: u64, wait_us: Option<u64> },
    /// The provider has said so.
    Told { wait_us: u64 },
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("whose", &self.whose)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

impl Account {
    /// One of which nothing was used yet.
    pub fn new(whose: &str, rules: CapRules) -> Self {
        let meter = |most: Option<u64>| Meter::new(Limit::per_minute(most.unwrap_or(u64::MAX)));
        let (requests, tokens) = (meter(rules.requests_per_minute), meter(rules.tokens_per_minute));
        let state = State { requests, tokens, day: Day::default(), told: Quota::default() };
        Self { whose: Arc::from(whose), rules, state: Mutex::new(state) }
    }

    /// The provider's name, or `provider/model`.
    pub const fn whose(&self) -> &Arc<str> {
        &self.whose
    }

    /// Its caps.
    pub const fn rules(&self) -> &CapRules {
        &self.rules
    }

    /// By which its counts are stored.
    fn bucket(&self) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_derive_key("tollkeeper 2026 caps of a credential");
        let mut bytes = [0; 16];
        hasher.update(self.whose.as_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    }

    /// What was used, with the day that it is.
    fn state(&self, now: Timestamp) -> MutexGuard<'_, State> {
        // What a thread that panicked left here are numbers, each of them whole.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let number = day_number(self.rules.day(now));
        // A straggler of the day before counts as today; an earlier day is a clock that was put right.
        if number > state.day.number || number.saturating_add(1) < state.day.number {
            state.day = Day { number, ..Day::default() };
        }
        state
    }

    /// Why a call of so many tokens does not fit, if it does not.
    fn check(&self, state: &mut State, now_us: u64, tokens: u64) -> Result<(), Full> {
        for measure in MEASURES {
            let Some(most) = self.rules.of(measure) else { continue };
            let (used, needed) = state.used(measure, now_us, tokens);
            let by_day = measure.period() == limits::Period::Day;
            if used.checked_add(needed).is_some_and(|all| all <= most) && !(by_day && state.day.closed) {
                continue;
            }
            let used = if by_day && state.day.closed { used.max(most) } else { used };
            let meter =
                if measure == Measure::RequestsPerMinute { &mut state.requests } else { &mut state.tokens };
            let wait_us = if by_day { None } else { meter.check(now_us, needed).err().flatten() };
            return Err(Full::Cap { measure, most, used, wait_us });
        }
        if state.told.admits(now_us, tokens) {
            return Ok(());
        }
        Err(Full::Told { wait_us: state.told.wait_us(now_us, tokens) })
    }

    /// The refusal of a call that has nowhere else to go.
    fn refusal(&self, full: &Full, now: Timestamp) -> Refusal {
        let whose = &self.whose;
        let day = self.rules.day(now);
        let (message, limit, used, resets_at, wait_us) = match full {
            Full::Cap { measure, most, used, wait_us } => {
                let what = measure.as_str().replace('_', " ");
                let by_day = measure.period() == limits::Period::Day;
                let when = if by_day {
                    format!("It resets at {} ({})", plain(day.end), self.resets())
                } else {
                    wait_us.map_or_else(
                        || "The call is larger than the whole cap".to_owned(),
                        |wait| format!("There is room for this call in {} s", wait.div_ceil(MICROS)),
                    )
                };
                let message = format!(
                    "The gateway's credential at `{whose}` has used its provider's cap: {used} of {most} {what}. {when}."
                );
                let resets_at = by_day.then_some(day.end);
                (message, Some(format!("{most} {what}")), Some(used.to_string()), resets_at, *wait_us)
            }
            Full::Told { wait_us } => {
                let message = format!(
                    "The provider of `{whose}` says that nothing is left of its caps for the gateway's credential for {} s.",
                    wait_us.div_ceil(MICROS)
                );
                (message, None, None, None, Some(*wait_us))
            }
        };
        let next_step = format!(
            "Wait until then, or call another model. The operator raises it with a larger plan of the account at `{whose}`, or \
             adds a target at another provider to the route; a further key of the same account has no caps of its own."
        );
        let mut refusal = Refusal::new(RefusalCode::ProviderCapReached, message, next_step);
        (refusal.limit, refusal.used, refusal.resets_at) = (limit, used, resets_at);
        refusal.retry_after_ms = wait_us.map(|wait| wait.div_ceil(1_000));
        refusal
    }

    /// When its day begins, for people.
    fn resets(&self) -> String {
        let (hours, minutes) = (self.rules.reset_seconds / 3_600, self.rules.reset_seconds / 60 % 60);
        format!("{hours:02}:{minutes:02} {}", self.rules.zone)
    }

    /// How each of its caps stands.
    pub fn look(&self, now_us: u64, now: Timestamp) -> Vec<CapLook> {
        let mut state = self.state(now);
        let resets_at = self.rules.day(now).end;
        let look = |measure: Measure| {
            let most = self.rules.of(measure)?;
            let by_day = measure.period() == limits::Period::Day;
            let (used, _) = state.used(measure, now_us, 0);
            let left = if by_day && state.day.closed { 0 } else { most.saturating_sub(used) };
            let resets_at = by_day.then_some(resets_at);
            Some(CapLook { whose: Arc::clone(&self.whose), measure, most, left, resets_at })
        };
        MEASURES.into_iter().filter_map(look).collect()
    }

    /// For how long the provider itself has said that it wants no call or has nothing left, in milliseconds; 0 if it has not.
    pub fn told_ms(&self, now_us: u64, now: Timestamp) -> u64 {
        self.state(now).told.wait_us(now_us, 0).div_ceil(1_000)
    }

    /// The provider told of its limits. What it says is left counts where it is less than what we counted, until its reset,
    /// and no longer than the day.
    fn learn(&self, headers: &HeaderMap, status: u16, now_us: u64, now: Timestamp) {
        let told = quota::read(headers, now);
        if told.is_empty() {
            return;
        }
        let left = self.rules.day(now).end.micros().saturating_sub(now.micros());
        let most = Duration::from_micros(u64::try_from(left).unwrap_or(0));
        self.state(now).told.learn_within(&told, matches!(status, 429 | 503 | 529), now_us, most);
    }

    /// The provider has refused for the day: nothing goes there until the next one begins.
    fn close_day(&self, now: Timestamp) {
        let mut state = self.state(now);
        // As counts, so that it is known after a restart, too.
        state.day.requests = state.day.requests.max(self.rules.requests_per_day.unwrap_or(0));
        state.day.tokens = state.day.tokens.max(self.rules.tokens_per_day.unwrap_or(0));
        (state.day.closed, state.day.is_new) = (true, true);
    }

    /// What changed of its day since this was last asked: to be stored, in place of what was stored before.
    pub fn day_counts(&self, now: Timestamp) -> Vec<DayOfAccount> {
        let mut state = self.state(now);
        if !std::mem::take(&mut state.day.is_new) {
            return Vec::new();
        }
        let Day { number: day, requests, tokens, .. } = state.day;
        let bucket = self.bucket();
        [(Measure::RequestsPerDay, requests), (Measure::TokensPerDay, tokens)]
            .map(|(measure, used)| DayOfAccount { day, bucket, measure, used })
            .into()
    }

    /// The number of its day.
    pub fn day_number(&self, now: Timestamp) -> u32 {
        day_number(self.rules.day(now))
    }

    /// Counts what was used of its day before a restart; once for each measure, before the first call.
    pub fn restore(&self, now: Timestamp, count: &DayOfAccount) {
        let mut state = self.state(now);
        if count.bucket != self.bucket() || count.day != state.day.number {
            return;
        }
        match count.measure {
            Measure::RequestsPerDay => state.day.requests = state.day.requests.saturating_add(count.used),
            Measure::TokensPerDay => state.day.tokens = state.day.tokens.saturating_add(count.used),
            Measure::RequestsPerMinute
            | Measure::TokensPerMinute
            | Measure::InputTokensPerMinute
            | Measure::OutputTokensPerMinute
            | Measure::ImagesPerMinute
            | Measure::ConcurrentRequests => {}
        }
    }
}

impl State {
    /// What is used of a measure, and what a call of so many tokens needs of it.
    fn used(&mut self, measure: Measure, now_us: u64, tokens: u64) -> (u64, u64) {
        match measure {
            Measure::RequestsPerDay => (self.day.requests, 1),
            Measure::TokensPerDay => (self.day.tokens, tokens),
            Measure::RequestsPerMinute => (self.requests.read(now_us).used, 1),
            Measure::TokensPerMinute
            | Measure::InputTokensPerMinute
            | Measure::OutputTokensPerMinute
            | Measure::ImagesPerMinute
            | Measure::ConcurrentRequests => (self.tokens.read(now_us).used, tokens),
        }
    }
}

/// A moment without its fraction of a second, which is none here.
fn plain(at: Timestamp) -> String {
    at.to_string().replace(".000000Z", "Z")
}

const MICROS: u64 = 1_000_000;

fn day_number(day: Span) -> u32 {
    u32::try_from(day.start.seconds().div_euclid(DAY_SECONDS)).unwrap_or(0)
}

/// Refuses a call of so many tokens that these accounts have no room for, and takes nothing.
///
/// # Errors
/// What the first of them without room says.
pub(crate) fn check(accounts: &[Arc<Account>], tokens: u64, clock: &dyn Clock) -> Result<(), Box<Refusal>> {
    let (now_us, now) = (clock.monotonic_micros(), clock.now());
    accounts.iter().try_for_each(|account| {
        let checked = account.check(&mut account.state(now), now_us, tokens);
        checked.map_err(|full| Box::new(account.refusal(&full, now)))
    })
}

/// Whether these accounts have room for a call of so many tokens.
pub(crate) fn have_room(accounts: &[Arc<Account>], tokens: u64, clock: &dyn Clock) -> bool {
    let (now_us, now) = (clock.monotonic_micros(), clock.now());
    accounts.iter().all(|account| account.check(&mut account.state(now), now_us, tokens).is_ok())
}

/// What the head of an answer says of the caps: of the model's, where it has some of its own, else of the credential's.
pub(crate) fn learn(accounts: &[Arc<Account>], headers: &HeaderMap, status: u16, clock: &dyn Clock) {
    if let Some(account) = accounts.last() {
        account.learn(headers, status, clock.monotonic_micros(), clock.now());
    }
}

/// What a refused rate says of the day, in the provider's words: Groq names the measure, `requests per day (RPD)`, and Google
/// the quota, `GenerateRequestsPerDayPerProjectPerModel-FreeTier`.
pub(crate) fn learn_refusal(accounts: &[Arc<Account>], error: &[u8], clock: &dyn Clock) {
    let Some(account) = accounts.last() else { return };
    let words = String::from_utf8_lossy(error).to_ascii_lowercase();
    if ["per day", "perday", "(rpd)", "(tpd)", "daily"].iter().any(|word| words.contains(word)) {
        account.close_day(clock.now());
        tracing::warn!(whose = %account.whose, "the provider says that a cap of the day is used up; nothing goes there until it resets");
    }
}

#[cfg(test)]
mod tests;
