//! What a provider says is left of our rate there, in the headers of its answers: so that calls go elsewhere before it
//! refuses them.
//!
//! Read are OpenAI's `x-ratelimit-remaining-*` and `x-ratelimit-reset-*` (durations such as `1m2.5s`; Groq's and others'
//! are the same), Anthropic's `anthropic-ratelimit-*-remaining` and `-reset` (moments), `retry-after` (seconds or a date,
//! RFC 9110 section 10.2.3) and `retry-after-ms`. What cannot be read says nothing.

use std::time::{Duration, UNIX_EPOCH};

use domain::Timestamp;
use http::HeaderMap;

/// Nobody is believed to want no call for longer.
const CLOSED_MAX: Duration = Duration::from_secs(10 * 60);

/// What an answer said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// Requests that are left, and until when.
    pub(crate) requests: Option<(u64, Duration)>,
    /// Tokens that are left, and until when.
    pub(crate) tokens: Option<(u64, Duration)>,
    /// The wait that is asked for.
    pub(crate) retry_after: Option<Duration>,
}

impl Told {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What is left of a target's rate, as far as it told, less what was sent since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quota {
    requests: Option<Left>,
    tokens: Option<Left>,
    closed_until_us: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Left {
    left: u64,
    until_us: u64,
}

impl Quota {
    pub(crate) fn learn(&mut self, told: &Told, refused: bool, now_us: u64) {
        self.learn_within(told, refused, now_us, CLOSED_MAX);
    }

    /// The same, believed for at most so long.
    pub(crate) fn learn_within(&mut self, told: &Told, refused: bool, now_us: u64, most: Duration) {
        let until = |wait: Duration| {
            now_us.saturating_add(u64::try_from(wait.min(most).as_micros()).unwrap_or(u64::MAX))
        };
        let left = |(left, wait)| Left { left, until_us: until(wait) };
        self.requests = told.requests.map(left).or(self.requests);
        self.tokens = told.tokens.map(left).or(self.tokens);
        if let Some(wait) = told.retry_after.filter(|_| refused) {
            self.closed_until_us = self.closed_until_us.max(until(wait));
        }
    }

    /// A call is sent that is expected to use so many tokens.
    pub(crate) fn take(&mut self, tokens: u64) {
        if let Some(requests) = &mut self.requests {
            requests.left = requests.left.saturating_sub(1);
        }
        if let Some(left) = &mut self.tokens {
            left.left = left.left.saturating_sub(tokens);
        }
    }

    /// Whether the provider would take such a call, as far as is known.
    pub(crate) fn admits(&self, now_us: u64, tokens: u64) -> bool {
        self.closed_us(now_us) == 0
            && self.requests_left(now_us).is_none_or(|left| left > 0)
            && self.tokens_left(now_us).is_none_or(|left| left > 0 && left >= tokens)
    }

    /// In how many microseconds it would take such a call, as far as is known; 0 if it takes it now.
    pub(crate) fn wait_us(&self, now_us: u64, tokens: u64) -> u64 {
        let reset = |left: &Option<Left>, short: bool| {
            left.filter(|_| short).map_or(0, |left| left.until_us.saturating_sub(now_us))
        };
        let requests = reset(&self.requests, self.requests_left(now_us).is_some_and(|left| left == 0));
        let tokens =
            reset(&self.tokens, self.tokens_left(now_us).is_some_and(|left| left == 0 || left < tokens));
        self.closed_us(now_us).max(requests).max(tokens)
    }

    pub(crate) fn requests_left(&self, now_us: u64) -> Option<u64> {
        self.requests.filter(|left| now_us < left.until_us).map(|left| left.left)
    }

    pub(crate) fn tokens_left(&self, now_us: u64) -> Option<u64> {
        self.tokens.filter(|left| now_us < left.until_us).map(|left| left.left)
    }

    pub(crate) const fn closed_us(&self, now_us: u64) -> u64 {
        self.closed_until_us.saturating_sub(now_us)
    }
}

/// Reads what an answer says of our rate; moments are told against `now`.
pub(crate) fn read(headers: &HeaderMap, now: Timestamp) -> Told {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let pair = |left: &str, reset: &str| {
        let left = text(left)?.parse().ok()?;
        Some((left, wait(text(reset)?, now)?))
    };
    let openai =
        |what: &str| pair(&format!("x-ratelimit-remaining-{what}"), &format!("x-ratelimit-reset-{what}"));
    let anthropic = |what: &str| {
        pair(&format!("anthropic-ratelimit-{what}-remaining"), &format!("anthropic-ratelimit-{what}-reset"))
    };
    let millis = text("retry-after-ms").and_then(|value| value.parse().ok()).map(Duration::from_millis);
    Told {
        requests: openai("requests").or_else(|| anthropic("requests")),
        tokens: openai("tokens").or_else(|| anthropic("tokens")),
        retry_after: millis.or_else(|| retry_after(text("retry-after")?, text("date"), now)),
    }
}

/// A wait as `retry-after` has it. A date is told by the provider's own clock, if it says what that shows: ours need not
/// agree with it.
fn retry_after(text: &str, date: Option<&str>, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let end = httpdate::parse_http_date(text).ok()?;
    let shown = date.and_then(|date| httpdate::parse_http_date(date).ok());
    let ours = || UNIX_EPOCH.checked_add(Duration::from_micros(u64::try_from(now.micros()).ok()?));
    Some(end.duration_since(shown.or_else(ours)?).unwrap_or_default())
}

/// A wait, written as a duration or as the moment of its end.
fn wait(text: &str, now: Timestamp) -> Option<Duration> {
    if let Some(duration) = duration(text) {
        return Some(duration);
    }
    let end: Timestamp = text.parse().ok()?;
    let micros = end.micros().saturating_sub(now.micros());
    Some(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
}

/// A duration as Go writes them, `1h2m3.5s` or `12ms`; a bare number is seconds.
fn duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, u64); 6] = [
        ("ms", 1_000_000),
        ("us", 1_000),
        ("ns", 1),
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
    ];
    let mut rest = text;
    let mut nanos = 0_u64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest
            .find(|character: char| !character.is_ascii_digit() && character != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at_checked(end)?;
        let (unit, each) = match UNITS.iter().find(|(unit, _)| after.starts_with(unit)) {
            Some((unit, each)) => (unit.len(), *each),
            None if after.is_empty() => (0, 1_000_000_000),
            None => return None,
        };
        nanos = nanos.checked_add(scaled(number, each)?)?;
        rest = after.get(unit..)?;
    }
    Some(Duration::from_nanos(nanos))
}

/// A decimal number of units of so many nanoseconds.
fn scaled(number: &str, each: u64) -> Option<u64> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let whole: u64 = whole.parse().ok()?;
    let mut nanos = whole.checked_mul(each)?;
    let mut unit = each;
    for digit in part.chars() {
        unit /= 10;
        nanos = nanos.checked_add(unit.checked_mul(u64::from(digit.to_digit(10)?))?)?;
    }
    Some(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_they_are_written() {
        for (text, millis) in [
            ("12ms", Some(12)),
            ("1s", Some(1_000)),
            ("6m0s", Some(360_000)),
            ("1h2m3s", Some(3_723_000)),
            ("7.66s", Some(7_660)),
            ("2", Some(2_000)),
            ("0", Some(0)),
            ("", None),
            ("soon", None),
            ("1x", None),
            ("99999999999999999h", None),
        ] {
            assert_eq!(duration(text), millis.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn headers_of_both_families_are_read() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let second = Duration::from_secs(1);
        let none = Told::default();
        for (headers, told) in [
            (&[][..], none),
            (
                &[("x-ratelimit-remaining-requests", "9"), ("x-ratelimit-reset-requests", "1s")],
                Told { requests: Some((9, second)), ..none },
            ),
            (
                &[("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "1000ms")],
                Told { tokens: Some((0, second)), ..none },
            ),
            (
                &[
                    ("anthropic-ratelimit-requests-remaining", "3"),
                    ("anthropic-ratelimit-requests-reset", "2026-11-21T10:00:01Z"),
                    ("anthropic-ratelimit-tokens-remaining", "70"),
                    ("anthropic-ratelimit-tokens-reset", "2026-11-21T09:00:00Z"),
                ],
                Told { requests: Some((3, second)), tokens: Some((70, Duration::ZERO)), retry_after: None },
            ),
            (&[("retry-after", "1")], Told { retry_after: Some(second), ..none }),
            (&[("retry-after", "9"), ("retry-after-ms", "1000")], Told { retry_after: Some(second), ..none }),
            // A date in each of HTTP's three forms; by the provider's clock where that is told; in the past.
            (&[("retry-after", "Sat, 21 Nov 2026 10:00:01 GMT")], Told { retry_after: Some(second), ..none }),
            (
                &[("retry-after", "Saturday, 21-Nov-26 10:00:01 GMT")],
                Told { retry_after: Some(second), ..none },
            ),
            (&[("retry-after", "Sat Nov 21 10:00:01 2026")], Told { retry_after: Some(second), ..none }),
            (
                &[
                    ("retry-after", "Sat, 21 Nov 2026 09:30:01 GMT"),
                    ("date", "Sat, 21 Nov 2026 09:30:00 GMT"),
                ],
                Told { retry_after: Some(second), ..none },
            ),
            (
                &[("retry-after", "Sat, 21 Nov 2026 09:00:00 GMT")],
                Told { retry_after: Some(Duration::ZERO), ..none },
            ),
            (&[("retry-after", "Sat, 31 Feb 2026 10:00:01 GMT")], none),
            (&[("retry-after", "soon")], none),
            (&[("x-ratelimit-remaining-requests", "many"), ("x-ratelimit-reset-requests", "1s")], none),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, value.parse().unwrap());
            }
            assert_eq!(read(&map, now), told, "{headers:?}");
        }
    }

    #[test]
    fn what_was_sent_since_is_taken_off_until_the_reset() {
        let mut quota = Quota::default();
        assert!(quota.admits(0, u64::MAX));
        let second = Duration::from_secs(1);
        let told =
            Told { requests: Some((2, second)), tokens: Some((100, second)), retry_after: Some(second) };
        quota.learn(&told, false, 0);
        assert_eq!((quota.admits(0, 100), quota.admits(0, 101)), (true, false));
        quota.take(60);
        assert_eq!((quota.admits(0, 40), quota.admits(0, 41)), (true, false));
        quota.take(40);
        assert_eq!((quota.admits(999_999, 0), quota.admits(1_000_000, 500)), (false, true));
        // Who refuses is left alone for as long as it says, but not for ever.
        let told = Told { retry_after: Some(Duration::from_secs(u64::MAX / 2)), ..Told::default() };
        quota.learn(&told, true, 0);
        assert_eq!((quota.admits(599_999_999, 0), quota.admits(600_000_000, 0)), (false, true));
    }
}
