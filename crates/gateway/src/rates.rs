//! Rate limits (1.7): which caps a call falls under, what it takes under them, and what is told.
//!
//! It knows whose limits there are (the directory's and the usage tier's), in which order they refuse, and OpenAI's words
//! and headers for them. How uses are counted it leaves to the crate `limits`, whether a budget refuses first to the
//! ledger.

mod chain;
mod effective;

use std::sync::Arc;
use std::time::Duration;

use dialect::Dialect;
use directory::{Caps, Principal};
use domain::{Clock, Refusal, RefusalCode, Timestamp, Usage};
use http::{HeaderMap, HeaderName, HeaderValue};
use limits::{Bound, Bucket, Cap, Learned, Limiter, Measure, Need, Slot, Standing, When};
use serde::Serialize;

use self::chain::{EndUsers, Whose, named};
use crate::evidence::Plan;
use crate::pools::{FREE_POOL, Pools};
use crate::tiers::{Tier, Tiers};

pub use self::chain::ConsentedCaps;
pub use self::effective::{EffectiveLimit, ModelGroup, effective_limits};

const DAY_SECONDS: i64 = 24 * 60 * 60;
/// When a call that stands in the way ends nobody knows: asking again after a second is soon enough.
const CALL_ENDS_MS: u64 = 1_000;

/// What all threads share: what is counted, and how long answers were.
#[derive(Debug, Default)]
pub struct Rates {
    /// What is counted.
    pub limiter: Limiter,
    learned: Learned,
    consented: ConsentedCaps,
}

impl Rates {
    /// With these caps on calls that their users pay for. Nothing is counted yet.
    pub fn new(consented: ConsentedCaps) -> Self {
        Self { consented, ..Self::default() }
    }
}

/// The number of the calendar day (UTC) around a moment, by which days' counts are kept.
pub fn day_of(now: Timestamp) -> u32 {
    u32::try_from(now.seconds().div_euclid(DAY_SECONDS)).unwrap_or(0)
}

/// A limit that a call falls under.
#[derive(Clone, Debug)]
struct Limited {
    cap: Cap,
    /// Whose limit it is, for people.
    whose: Whose,
}

/// How a limit stood when a call was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct SeenLimit {
    of: &'static str,
    measure: &'static str,
    limit: u64,
    remaining: u64,
}

/// Evidence that a call is within all rate limits: it has taken what it is expected to use.
pub(crate) struct Pace {
    rates: Arc<Rates>,
    clock: Arc<dyn Clock>,
    slot: Option<Slot>,
    limited: Vec<Limited>,
    pair: Bucket,
    need: Need,
    told: RateHeaders,
    /// What the first attempt has taken of the free requests of a minute.
    free: Option<Slot>,
}

/// A call that a rate limit refuses.
#[derive(Debug)]
pub struct OverRate {
    /// Whose limit, and what to do.
    pub(crate) refusal: Refusal,
    /// How the limits stand.
    pub(crate) told: RateHeaders,
}

/// Takes what a call is expected to use under every limit that it falls under, or nothing under any. A model whose
/// limits have no room is left out of the plan as long as there is another one.
pub(crate) fn pace(
    rates: &Arc<Rates>,
    (tiers, pools): (&Tiers, &Pools),
    clock: &Arc<dyn Clock>,
    plan: &mut Plan,
    now: Timestamp,
) -> Result<Pace, Box<OverRate>> {
    loop {
        let paced = pace_model(rates, tiers, clock, plan, now).and_then(|mut pace| {
            match take_free(&pace, pools, plan, now) {
                Ok(free) => {
                    pace.free = free;
                    pace.tell_free(plan, pools, now);
                    Ok(pace)
                }
                Err(over) => {
                    pace.give_back();
                    Err(over)
                }
            }
        });
        match paced {
            Err(over) if plan.leave_model(over.refusal.code.as_str()) => {}
            paced => return paced,
        }
    }
}

/// Takes one of the free requests of a minute, which all free models of an organization share; none where the call is
/// not for a free target.
fn take_free(pace: &Pace, pools: &Pools, plan: &Plan, now: Timestamp) -> Result<Option<Slot>, Box<OverRate>> {
    let Some(limited) = free_limit(plan, pools) else { return Ok(None) };
    let (micros, day) = (pace.clock.monotonic_micros(), day_of(now));
    match pace.rates.limiter.admit(micros, day, &[limited.cap], &Need::default()) {
        Ok(slot) => Ok(Some(slot)),
        Err(bound) => {
            let standings = pace.rates.limiter.standings(micros, day, &[limited.cap]).into_iter();
            let told = RateHeaders::of(std::slice::from_ref(&limited), standings, now);
            Err(Box::new(OverRate { refusal: refuse(limited.whose, &bound, plan, now), told }))
        }
    }
}

/// The limit of free requests a minute, for a call to a free target.
fn free_limit(plan: &Plan, pools: &Pools) -> Option<Limited> {
    if !plan.candidate().funding.is_strict() {
        return None;
    }
    let bucket = named(&[plan.principal.organization().id.as_bytes(), FREE_POOL.as_bytes()]);
    let cap = Cap { bucket, measure: Measure::RequestsPerMinute, most: pools.free.per_minute };
    Some(Limited { cap, whose: Whose::Free })
}

/// The same for the model that the call is for now.
fn pace_model(
    rates: &Arc<Rates>,
    tiers: &Tiers,
    clock: &Arc<dyn Clock>,
    plan: &Plan,
    now: Timestamp,
) -> Result<Pace, Box<OverRate>> {
    let principal = &plan.principal;
    let pair = pair_of(principal, plan.model());
    let limited = limits_of(principal, (tiers.of(principal.organization()), &rates.consented), plan);
    let (rates, clock) = (Arc::clone(rates), Arc::clone(clock));
    if limited.is_empty() {
        let (need, told) = (Need::default(), RateHeaders::default());
        return Ok(Pace { rates, clock, slot: None, limited, pair, need, told, free: None });
    }
    let each = rates.learned.expected_output(pair, plan.call.output_cap());
    let each = match plan.call.output_cap() {
        Some(fixed) if plan.call.output_is_fixed() => fixed,
        _ if plan.call.endpoint().generates() => each,
        _ => 0,
    };
    let need = Need {
        input_tokens: plan.input_guess,
        output_tokens: each.saturating_mul(plan.call.choices()),
        images: plan.call.images(),
    };
    let caps: Vec<Cap> = limited.iter().map(|limited| limited.cap).collect();
    let (micros, day) = (clock.monotonic_micros(), day_of(now));
    match rates.limiter.admit(micros, day, &caps, &need) {
        Ok(slot) => {
            let told = RateHeaders::of(&limited, slot.standings(), now);
            Ok(Pace { rates, clock, slot: Some(slot), limited, pair, need, told, free: None })
        }
        Err(bound) => {
            let standings = rates.limiter.standings(micros, day, &caps).into_iter();
            let told = RateHeaders::of(&limited, standings, now);
            let refusal = match limited.get(bound.index) {
                Some(refusing) => refuse(refusing.whose, &bound, plan, now),
                None => Refusal::new(code_of(bound.measure), "Rate limit reached.", "Try again later."),
            };
            Err(Box::new(OverRate { refusal, told }))
        }
    }
}

impl Pace {
    /// What the headers of the answer say.
    pub(crate) const fn told(&self) -> &RateHeaders {
        &self.told
    }

    /// The call goes on at another model: it counts under that one's limits, and no longer under those of the one before.
    ///
    /// # Errors
    /// When they have no room. Then it counts nowhere until it is turned to another model, or back.
    pub(crate) fn turn(&mut self, tiers: &Tiers, plan: &Plan, now: Timestamp) -> Result<(), Box<OverRate>> {
        let pair = pair_of(&plan.principal, plan.model());
        if pair == self.pair {
            return Ok(());
        }
        self.pair = pair;
        let tier = tiers.of(plan.principal.organization());
        let limited = limits_of(&plan.principal, (tier, &self.rates.consented), plan);
        let counted = |limited: &[Limited]| -> Vec<(Bucket, Measure)> {
            limited.iter().map(|limited| (limited.cap.bucket, limited.cap.measure)).collect()
        };
        if counted(&limited) == counted(&self.limited) {
            return Ok(());
        }
        // First back, then anew: of what is capped at one there is no second.
        if let Some(slot) = self.slot.take() {
            slot.give_back(self.clock.monotonic_micros());
        }
        self.limited.clear();
        let free = self.free.take();
        *self = Self { free, ..pace_model(&self.rates, tiers, &self.clock, plan, now)? };
        Ok(())
    }

    /// A further attempt begins: at a free target it takes one more of the free requests, since those that failed count
    /// too.
    ///
    /// # Errors
    /// When none is left in this minute.
    pub(crate) fn again(
        &self,
        pools: &Pools,
        plan: &Plan,
        now: Timestamp,
    ) -> Result<Option<Slot>, Box<OverRate>> {
        take_free(self, pools, plan, now)
    }

    /// There was no further attempt after all: what it has taken is given back.
    pub(crate) fn undo(&self, free: Option<Slot>) {
        if let Some(slot) = free {
            slot.give_back(self.clock.monotonic_micros());
        }
    }

    /// The first attempt went elsewhere before it was sent: it has taken this, and nothing where it would have gone.
    pub(crate) fn take_in_place(&mut self, free: Option<Slot>) {
        let before = std::mem::replace(&mut self.free, free);
        self.undo(before);
    }

    /// The free requests of the minute are told of with the other limits.
    fn tell_free(&mut self, plan: &Plan, pools: &Pools, now: Timestamp) {
        let (Some(slot), Some(limited)) = (&self.free, free_limit(plan, pools)) else { return };
        let all: Vec<Limited> = self.limited.iter().cloned().chain([limited]).collect();
        let standings = self.slot.iter().flat_map(Slot::standings).chain(slot.standings());
        self.told = RateHeaders::of(&all, standings, now);
    }

    /// A running call has had so much output by now: what is beyond the expected counts at once.
    pub(crate) fn so_far(&mut self, output_tokens: u64) {
        if output_tokens > self.need.output_tokens {
            self.need.output_tokens = output_tokens;
            self.correct();
        }
    }

    /// The call has ended with this usage and so many images, which take the place of what was expected. A whole answer, of so many
    /// choices, says how long each of the next ones will be.
    pub(crate) fn end(mut self, usage: &Usage, images: u64, choices: Option<u64>) {
        if let Some(choices) = choices {
            self.rates.learned.learn(self.pair, usage.output_total().div_ceil(choices.max(1)));
        }
        self.need.input_tokens = usage.input_total();
        self.need.output_tokens = usage.output_total();
        self.need.images = images;
        self.correct();
    }

    /// The call is refused after all, by a later owner: it never came.
    pub(crate) fn give_back(mut self) {
        for slot in self.slot.take().into_iter().chain(self.free.take()) {
            slot.give_back(self.clock.monotonic_micros());
        }
    }

    /// What each limit said, for the record of the decision.
    pub(crate) fn seen(&self) -> Vec<SeenLimit> {
        let standings = self.slot.iter().flat_map(Slot::standings);
        let seen = self.limited.iter().zip(standings).map(|(limited, standing)| SeenLimit {
            of: limited.whose.as_str(),
            measure: standing.measure.as_str(),
            limit: standing.most,
            remaining: standing.remaining,
        });
        seen.collect()
    }

    fn correct(&mut self) {
        let now = self.clock.monotonic_micros();
        if let Some(slot) = &mut self.slot {
            slot.correct(now, &self.need);
        }
    }
}

/// Every limit that a call falls under, in the order in which they refuse.
fn limits_of(
    principal: &Principal,
    configured: (Option<&Tier>, &ConsentedCaps),
    plan: &Plan,
) -> Vec<Limited> {
    let mut limited = Vec::new();
    let user = EndUsers::Of(plan.attribution.user.as_deref());
    chain::walk(principal, configured, plan.model(), user, |link| {
        let Some(bucket) = link.bucket else { return };
        for (measure, most) in by_measure(link.caps) {
            if let Some(most) = most {
                limited.push(Limited { cap: Cap { bucket, measure, most }, whose: link.whose });
            }
        }
    });
    limited.sort_by_key(|limited| (limited.cap.measure, limited.whose));
    limited
}

/// The caps of a record, each with what it measures.
pub fn by_measure(caps: &Caps) -> [(Measure, Option<u64>); 8] {
    [
        (Measure::RequestsPerMinute, caps.requests_per_minute),
        (Measure::TokensPerMinute, caps.tokens_per_minute),
        (Measure::InputTokensPerMinute, caps.input_tokens_per_minute),
        (Measure::OutputTokensPerMinute, caps.output_tokens_per_minute),
        (Measure::ImagesPerMinute, caps.images_per_minute),
        (Measure::RequestsPerDay, caps.requests_per_day),
        (Measure::TokensPerDay, caps.tokens_per_day),
        (Measure::ConcurrentRequests, caps.concurrent_requests),
    ]
}

fn pair_of(principal: &Principal, model: &str) -> Bucket {
    named(&[principal.key.id.as_bytes(), model.as_bytes()])
}

const fn code_of(measure: Measure) -> RefusalCode {
    match measure {
        Measure::RequestsPerMinute => RefusalCode::RequestsPerMinuteExceeded,
        Measure::TokensPerMinute => RefusalCode::TokensPerMinuteExceeded,
        Measure::InputTokensPerMinute => RefusalCode::InputTokensPerMinuteExceeded,
        Measure::OutputTokensPerMinute => RefusalCode::OutputTokensPerMinuteExceeded,
        Measure::ImagesPerMinute => RefusalCode::ImagesPerMinuteExceeded,
        Measure::RequestsPerDay => RefusalCode::RequestsPerDayExceeded,
        Measure::TokensPerDay => RefusalCode::TokensPerDayExceeded,
        Measure::ConcurrentRequests => RefusalCode::ConcurrentRequestsExceeded,
    }
}

/// OpenAI's words for a counter.
const fn words_of(measure: Measure) -> &'static str {
    match measure {
        Measure::RequestsPerMinute => "requests per min (RPM)",
        Measure::TokensPerMinute => "tokens per min (TPM)",
        Measure::InputTokensPerMinute => "input tokens per min (ITPM)",
        Measure::OutputTokensPerMinute => "output tokens per min (OTPM)",
        Measure::ImagesPerMinute => "images per min (IPM)",
        Measure::RequestsPerDay => "requests per day (RPD)",
        Measure::TokensPerDay => "tokens per day (TPD)",
        Measure::ConcurrentRequests => "requests at once",
    }
}

fn refuse(whose: Whose, bound: &Bound, plan: &Plan, now: Timestamp) -> Refusal {
    let principal = &plan.principal;
    let organization = principal.organization();
    let (owner, raise) = match whose {
        Whose::Tier => (
            format!("organization {} (its usage tier)", organization.name),
            "reach a higher usage tier by buying credit".to_owned(),
        ),
        Whose::Organization => (format!("organization {}", organization.name), raised(principal)),
        Whose::Free => (
            format!("organization {} (free models)", organization.name),
            "call a model that is paid for".to_owned(),
        ),
        Whose::Project => (format!("project {}", principal.project.name), raised(principal)),
        Whose::Key => (format!("key {}", principal.key.name), raised(principal)),
        Whose::User => {
            let user = plan.attribution.user.as_deref().unwrap_or_default();
            let user: String = user.chars().filter(|character| !character.is_control()).collect();
            (format!("user {user}"), raised(principal))
        }
        Whose::App => {
            let app = plan.attribution.app.as_deref().unwrap_or_default();
            (format!("app {app} (all who pay for its calls together)"), by_operator("per_app_rpm"))
        }
        Whose::Person => {
            let owner = principal.consent().map_or_else(String::new, |consent| consent.user.to_string());
            (format!("apps whose calls {owner} pays for"), by_operator("per_user_rpm"))
        }
    };
    let wait = wait_of(bound.fits, now);
    let (again, step) = match wait {
        Some(wait) => {
            let wait = Duration::from_millis(wait);
            (format!(" Please try again in {}.", in_words(wait)), format!("Wait, or {raise}."))
        }
        None => (String::new(), format!("Ask for less in one call, or {raise}.")),
    };
    let message = format!(
        "Rate limit reached for `{}` in {owner} on {}: Limit {}, Used {}, Requested {}.{again}",
        plan.model(),
        words_of(bound.measure),
        bound.most,
        bound.used,
        bound.needed
    );
    let mut refusal = Refusal::new(code_of(bound.measure), message, step);
    refusal.limit = Some(bound.most.to_string());
    refusal.used = Some(bound.used.to_string());
    refusal.retry_after_ms = wait;
    refusal.resets_at = match bound.fits {
        When::CallEnds | When::Never => None,
        When::In(_) | When::NextDay => wait.map(|wait| now.plus_micros(micros_of(wait))),
    };
    refusal
}

fn by_operator(setting: &str) -> String {
    format!(
        "have it raised by whoever operates the gateway: it is `user_pays.{setting}` of the configuration"
    )
}

fn raised(principal: &Principal) -> String {
    let organization = principal.organization().id;
    format!(
        "have it raised by whoever administers the organization: `tollkeeper limits list --org {organization}` shows it"
    )
}

fn micros_of(millis: u64) -> i64 {
    i64::try_from(millis.saturating_mul(1_000)).unwrap_or(i64::MAX)
}

/// How long to wait, in milliseconds rounded up; `None` when waiting is no cure.
fn wait_of(when: When, now: Timestamp) -> Option<u64> {
    match when {
        When::In(micros) => Some(micros.div_ceil(1_000).max(1)),
        When::NextDay => Some(to_midnight(now).div_ceil(1_000)),
        When::CallEnds => Some(CALL_ENDS_MS),
        When::Never => None,
    }
}

/// Microseconds until the UTC day ends.
fn to_midnight(now: Timestamp) -> u64 {
    const DAY_MICROS: i64 = DAY_SECONDS * 1_000_000;
    (DAY_MICROS - now.micros().rem_euclid(DAY_MICROS)).unsigned_abs()
}

/// A length of time as OpenAI writes it, which is as Go does: `12ms`, `1.5s`, `6m0s`, `1h2m3s`.
fn in_words(time: Duration) -> String {
    let (whole, millis) = (time.as_secs(), time.subsec_millis());
    let (hours, minutes, seconds) = (whole / 3_600, whole / 60 % 60, whole % 60);
    let fraction = match millis {
        0 => String::new(),
        _ => format!(".{millis:03}").trim_end_matches('0').to_owned(),
    };
    match (hours, minutes) {
        (0, 0) if whole == 0 && millis > 0 => format!("{millis}ms"),
        (0, 0) => format!("{seconds}{fraction}s"),
        (0, _) => format!("{minutes}m{seconds}{fraction}s"),
        (_, _) => format!("{hours}h{minutes}m{seconds}{fraction}s"),
    }
}

/// How the limits stand that will refuse first: OpenAI's headers, or Anthropic's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RateHeaders {
    requests: Option<Told>,
    tokens: Option<Told>,
    project_tokens: Option<Told>,
    input_tokens: Option<Told>,
    output_tokens: Option<Told>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    limit: u64,
    remaining: u64,
    full_in: Duration,
    full_at: Timestamp,
}

const REQUESTS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
const TOKENS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];
const PROJECT_TOKENS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-project-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-project-tokens"),
    HeaderName::from_static("x-ratelimit-reset-project-tokens"),
];
const ANTHROPIC_REQUESTS: [HeaderName; 3] = [
    HeaderName::from_static("anthropic-ratelimit-requests-limit"),
    HeaderName::from_static("anthropic-ratelimit-requests-remaining"),
    HeaderName::from_static("anthropic-ratelimit-requests-reset"),
];
const ANTHROPIC_TOKENS: [HeaderName; 3] = [
    HeaderName::from_static("anthropic-ratelimit-tokens-limit"),
    HeaderName::from_static("anthropic-ratelimit-tokens-remaining"),
    HeaderName::from_static("anthropic-ratelimit-tokens-reset"),
];
const ANTHROPIC_INPUT_TOKENS: [HeaderName; 3] = [
    HeaderName::from_static("anthropic-ratelimit-input-tokens-limit"),
    HeaderName::from_static("anthropic-ratelimit-input-tokens-remaining"),
    HeaderName::from_static("anthropic-ratelimit-input-tokens-reset"),
];
const ANTHROPIC_OUTPUT_TOKENS: [HeaderName; 3] = [
    HeaderName::from_static("anthropic-ratelimit-output-tokens-limit"),
    HeaderName::from_static("anthropic-ratelimit-output-tokens-remaining"),
    HeaderName::from_static("anthropic-ratelimit-output-tokens-reset"),
];

impl RateHeaders {
    /// Of several limits of one sort the one with the least left is told, since it will refuse first.
    fn of(limited: &[Limited], standings: impl Iterator<Item = Standing>, now: Timestamp) -> Self {
        let mut headers = Self::default();
        for (limited, standing) in limited.iter().zip(standings) {
            let place = match standing.measure {
                Measure::RequestsPerMinute | Measure::RequestsPerDay => &mut headers.requests,
                Measure::TokensPerMinute | Measure::TokensPerDay => &mut headers.tokens,
                Measure::InputTokensPerMinute => &mut headers.input_tokens,
                Measure::OutputTokensPerMinute => &mut headers.output_tokens,
                Measure::ImagesPerMinute | Measure::ConcurrentRequests => continue,
            };
            let full_in = wait_of(standing.full, now).unwrap_or(0);
            let told = Told {
                limit: standing.most,
                remaining: standing.remaining,
                full_in: Duration::from_millis(full_in),
                full_at: now.plus_micros(micros_of(full_in)),
            };
            if place.is_none_or(|other| told.remaining < other.remaining) {
                *place = Some(told);
            }
            if limited.whose == Whose::Project && standing.measure == Measure::TokensPerMinute {
                headers.project_tokens = Some(told);
            }
        }
        headers
    }

    /// Writes them onto an answer of this dialect.
    pub(crate) fn write(&self, dialect: Dialect, headers: &mut HeaderMap) {
        match dialect {
            // Google tells no rates, so they are told as most clients know them.
            Dialect::OpenAi | Dialect::Gemini => {
                let told =
                    [(self.requests, REQUESTS), (self.tokens, TOKENS), (self.project_tokens, PROJECT_TOKENS)];
                write(told, |told| in_words(told.full_in), headers);
            }
            Dialect::Anthropic => {
                let told = [
                    (self.requests, ANTHROPIC_REQUESTS),
                    (self.tokens, ANTHROPIC_TOKENS),
                    (self.input_tokens, ANTHROPIC_INPUT_TOKENS),
                    (self.output_tokens, ANTHROPIC_OUTPUT_TOKENS),
                ];
                write(told, |told| told.full_at.to_string(), headers);
            }
        }
    }
}

fn write<const N: usize>(
    told: [(Option<Told>, [HeaderName; 3]); N],
    reset_of: impl Fn(&Told) -> String,
    headers: &mut HeaderMap,
) {
    for (told, [limit, remaining, reset]) in told {
        let Some(told) = told else { continue };
        headers.insert(limit, HeaderValue::from(told.limit));
        headers.insert(remaining, HeaderValue::from(told.remaining));
        if let Ok(value) = HeaderValue::try_from(reset_of(&told)) {
            headers.insert(reset, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_written_as_go_writes_them() {
        for (millis, words) in [
            (0, "0s"),
            (12, "12ms"),
            (1_000, "1s"),
            (1_500, "1.5s"),
            (59_999, "59.999s"),
            (60_000, "1m0s"),
            (360_000, "6m0s"),
            (3_723_000, "1h2m3s"),
            (86_400_000, "24h0m0s"),
        ] {
            assert_eq!(in_words(Duration::from_millis(millis)), words);
        }
    }

    #[test]
    fn a_day_ends_at_midnight() {
        let noon: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        assert_eq!(to_midnight(noon), 12 * 3_600 * 1_000_000);
        assert_eq!(day_of(noon), 20_778);
        assert_eq!(day_of(noon.plus_seconds(12 * 3_600)), 20_779);
        assert_eq!(day_of(Timestamp::from_micros(-1)), 0);
    }
}
