//! How the mock answers one request, and the short text form in which that is written.

use std::fmt;
use std::ops::RangeInclusive;

/// An hour: longer waits are a slip of the pen.
const LONGEST_MS: u64 = 3_600_000;
/// Prompt and completion sizes beyond any real model's, so that sums stay far from overflow.
const MOST_TOKENS: u64 = 1_000_000_000;
/// Completion tokens that the mock is willing to write out for one choice.
const LONGEST_OUT: u64 = 200_000;
/// Tools that one answer calls.
const MOST_CALLS: u64 = 128;
/// Every key, for messages.
const KEYS: &str = "latency_ms, ttft_ms, tps, in, out, cached, cache_write, cache_write_1h, reasoning, calls, chunk, \
                    split, fault, fail, after, retry_after, auth";

/// How to answer: sizes, pace and the fault to play. The crate's documentation lists the keys of the text form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// Milliseconds to wait before the response's head.
    pub latency_ms: u64,
    /// Milliseconds between the head and the first event of a stream.
    pub ttft_ms: u64,
    /// Tokens per second while streaming; 0 is as fast as possible.
    pub tps: u64,
    /// Prompt tokens to report (`in`); nothing means the exact count.
    pub prompt: Option<u64>,
    /// Completion tokens of each choice, reasoning included.
    pub out: u64,
    /// Percent of the prompt tokens reported as cached.
    pub cached: u64,
    /// Percent of the prompt tokens reported as written to the cache for five minutes, as far as they are not cached.
    pub cache_write: u64,
    /// The same for an hour, of what is then left.
    pub cache_write_1h: u64,
    /// Tokens inside `out` that are reasoning.
    pub reasoning: u64,
    /// Tools to call at once where some are offered; 0 is one where it is demanded, else none.
    pub calls: u64,
    /// Tokens in one event of a stream, at least 1.
    pub chunk: u64,
    /// Bytes of the body in one write; 0 leaves the writes alone.
    pub split: usize,
    /// What goes wrong.
    pub fault: Option<Fault>,
    /// Percent of the requests that meet the fault.
    pub fail: u64,
    /// Tokens of each choice delivered before a fault in mid-stream; nothing means half.
    pub after: Option<u64>,
    /// Seconds in the header `retry-after`; nothing means 1 on a `429` and no header on the other refusals.
    pub retry_after: Option<u64>,
    /// Whether a bearer token is required.
    pub auth: bool,
}

/// Why a text is not a behaviour.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BehaviourError {
    /// A part between two `;` has no `=`.
    #[error("`{0}` is no behaviour; write key=value pairs separated by `;`")]
    Pair(String),
    /// Nobody knows that key.
    #[error("behaviour key `{0}` is unknown; the keys are {KEYS}")]
    Key(String),
    /// The key is known, the value is not possible.
    #[error("behaviour `{key}` cannot be `{value}`; it takes {expected}")]
    Value {
        /// The key as written.
        key: String,
        /// The value as written.
        value: String,
        /// What the key takes.
        expected: String,
    },
}

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// What goes wrong, by its name in the text form.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Fault {
            $($(#[$doc])* $name,)*
        }

        impl Fault {
            /// Every fault.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name in the text form and in the truth log.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

faults! {
    /// `400`: refused as a bad request.
    BadRequest = "400";
    /// `401`: refused for its key.
    Unauthorized = "401";
    /// `429`: refused for its rate, with `retry-after`.
    RateLimited = "429";
    /// `quota`: a 429 with `insufficient_quota`, which no retry cures.
    Quota = "quota";
    /// `500`: failed inside.
    ServerError = "500";
    /// `503`: overloaded.
    Overloaded = "503";
    /// `hang`: takes the request and never answers.
    Hang = "hang";
    /// `hang_mid`: stops in the middle of the answer and keeps the connection open.
    HangMid = "hang_mid";
    /// `close`: takes the request and closes the connection (resets the stream of HTTP/2) without an answer.
    Close = "close";
    /// `close_mid`: closes in the middle of the answer, inside an event where it streams.
    CloseMid = "close_mid";
    /// `garbage`: status 200 with a body that is no JSON.
    Garbage = "garbage";
    /// `garbage_mid`: bytes that are no JSON amid the answer, which then goes on.
    GarbageMid = "garbage_mid";
    /// `error_mid`: an error object as the last event of a stream; in one piece, status 200 with an error object.
    ErrorMid = "error_mid";
    /// `wrong_model`: another model answers than was asked.
    WrongModel = "wrong_model";
    /// `no_usage`: no token counts, though asked for.
    NoUsage = "no_usage";
    /// `no_done`: a stream ends without `data: [DONE]`.
    NoDone = "no_done";
    /// `slow_headers`: the head trickles out byte by byte over `latency_ms` (5,000 when that is 0).
    SlowHeaders = "slow_headers";
    /// `empty`: status 200 with an empty body.
    Empty = "empty";
}

/// What happens amid an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The connection closes.
    Close,
    /// Nothing more comes.
    Hang,
    /// Bytes come that do not belong.
    Garbage,
    /// An error object comes and ends it.
    Error,
}

impl Fault {
    /// Whether what reaches the caller is worth nothing, so that no provider would bill for it.
    pub(crate) fn bills_nothing(self) -> bool {
        matches!(
            self,
            Self::BadRequest
                | Self::Unauthorized
                | Self::RateLimited
                | Self::Quota
                | Self::ServerError
                | Self::Overloaded
                | Self::Hang
                | Self::Close
                | Self::Garbage
                | Self::Empty
        )
    }

    /// What happens amid the answer, if anything does.
    pub(crate) fn trouble(self) -> Option<Trouble> {
        const TROUBLES: [(Fault, Trouble); 4] = [
            (Fault::CloseMid, Trouble::Close),
            (Fault::HangMid, Trouble::Hang),
            (Fault::GarbageMid, Trouble::Garbage),
            (Fault::ErrorMid, Trouble::Error),
        ];
        TROUBLES.into_iter().find(|(fault, _)| *fault == self).map(|(_, trouble)| trouble)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Default for Behaviour {
    /// Answers at once, in 16 tokens, without a fault.
    fn default() -> Self {
        Self {
            latency_ms: 0,
            ttft_ms: 0,
            tps: 0,
            prompt: None,
            out: 16,
            cached: 0,
            cache_write: 0,
            cache_write_1h: 0,
            reasoning: 0,
            calls: 0,
            chunk: 1,
            split: 0,
            fault: None,
            fail: 100,
            after: None,
            retry_after: None,
            auth: true,
        }
    }
}

impl Behaviour {
    /// Reads the text form, such as `latency_ms=5;tps=100`; what it does not name keeps its default.
    ///
    /// # Errors
    /// Names the first part that is no pair, no known key or no possible value.
    pub fn parse(text: &str) -> Result<Self, BehaviourError> {
        Self::default().with(text)
    }

    /// This behaviour with what the text names put in its place.
    ///
    /// # Errors
    /// As [`Behaviour::parse`].
    pub fn with(mut self, text: &str) -> Result<Self, BehaviourError> {
        for pair in text.split(';').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or_else(|| BehaviourError::Pair(pair.to_owned()))?;
            self.set(key.trim(), value.trim())?;
        }
        Ok(self)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), BehaviourError> {
        let number = |range| whole(key, value, range);
        match key {
            "latency_ms" => self.latency_ms = number(0..=LONGEST_MS)?,
            "ttft_ms" => self.ttft_ms = number(0..=LONGEST_MS)?,
            "tps" => self.tps = number(0..=1_000_000)?,
            "in" => self.prompt = unless(value, "auto", || number(0..=MOST_TOKENS))?,
            "out" => self.out = number(0..=LONGEST_OUT)?,
            "cached" => self.cached = number(0..=100)?,
            "cache_write" => self.cache_write = number(0..=100)?,
            "cache_write_1h" => self.cache_write_1h = number(0..=100)?,
            "reasoning" => self.reasoning = number(0..=LONGEST_OUT)?,
            "calls" => self.calls = number(0..=MOST_CALLS)?,
            "chunk" => self.chunk = number(1..=LONGEST_OUT)?,
            "split" => self.split = number(0..=65_536)? as usize,
            "fault" => self.fault = fault(key, value)?,
            "fail" => self.fail = number(0..=100)?,
            "after" => self.after = unless(value, "half", || number(0..=LONGEST_OUT))?,
            "retry_after" => self.retry_after = Some(number(0..=86_400)?),
            "auth" => self.auth = switch(key, value)?,
            _ => return Err(BehaviourError::Key(key.to_owned())),
        }
        Ok(())
    }

    /// The fault that the request with this number meets. The share `fail` is met by numbers scattered, not drawn, so
    /// that a run repeats.
    pub(crate) fn fault_of(&self, request: u64) -> Option<Fault> {
        self.fault.filter(|_| scatter(request) % 100 < self.fail)
    }
}

/// Spreads neighbouring numbers over all of `u64` (the finish of splitmix64).
pub(crate) const fn scatter(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn unless(
    value: &str,
    word: &str,
    number: impl FnOnce() -> Result<u64, BehaviourError>,
) -> Result<Option<u64>, BehaviourError> {
    if value == word { Ok(None) } else { number().map(Some) }
}

fn whole(key: &str, value: &str, range: RangeInclusive<u64>) -> Result<u64, BehaviourError> {
    value.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
        impossible(key, value, format!("a whole number from {} to {}", range.start(), range.end()))
    })
}

fn switch(key: &str, value: &str) -> Result<bool, BehaviourError> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(impossible(key, value, "`on` or `off`".to_owned())),
    }
}

fn fault(key: &str, value: &str) -> Result<Option<Fault>, BehaviourError> {
    if value == "none" {
        return Ok(None);
    }
    let found = Fault::ALL.iter().copied().find(|fault| fault.name() == value);
    found.map(Some).ok_or_else(|| {
        let names: Vec<_> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        impossible(key, value, format!("none or one of {}", names.join(", ")))
    })
}

fn impossible(key: &str, value: &str, expected: String) -> BehaviourError {
    BehaviourError::Value { key: key.to_owned(), value: value.to_owned(), expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_sets_what_it_names() {
        let all = "latency_ms=5; ttft_ms = 6;tps=7;in=8;out=9;cached=10;cache_write=16;cache_write_1h=17;reasoning=2;calls=18;chunk=11;split=12;\
                   fault=close_mid;fail=13;after=14;retry_after=15;auth=off;";
        let expected = Behaviour {
            latency_ms: 5,
            ttft_ms: 6,
            tps: 7,
            prompt: Some(8),
            out: 9,
            cached: 10,
            cache_write: 16,
            cache_write_1h: 17,
            reasoning: 2,
            calls: 18,
            chunk: 11,
            split: 12,
            fault: Some(Fault::CloseMid),
            fail: 13,
            after: Some(14),
            retry_after: Some(15),
            auth: false,
        };
        assert_eq!(Behaviour::parse(all), Ok(expected));
        let back = Behaviour { prompt: None, fault: None, after: None, auth: true, ..expected };
        assert_eq!(expected.with("in=auto;fault=none;after=half;auth=on"), Ok(back));
        assert_eq!(Behaviour::parse(""), Ok(Behaviour::default()));
        for fault in Fault::ALL {
            assert_eq!(Behaviour::parse(&format!("fault={fault}")).unwrap().fault, Some(*fault));
        }
    }

    #[test]
    fn mistakes_name_the_key() {
        let table = [
            ("tps", "`tps` is no behaviour; write key=value pairs separated by `;`"),
            ("out=3;speed=9", "behaviour key `speed` is unknown; the keys are latency_ms, "),
            ("tps=fast", "behaviour `tps` cannot be `fast`; it takes a whole number from 0 to 1000000"),
            ("out=-1", "behaviour `out` cannot be `-1`; it takes a whole number from 0 to 200000"),
            ("cached=101", "behaviour `cached` cannot be `101`; it takes a whole number from 0 to 100"),
            ("chunk=0", "behaviour `chunk` cannot be `0`; it takes a whole number from 1 to 200000"),
            ("auth=no", "behaviour `auth` cannot be `no`; it takes `on` or `off`"),
            (
                "fault=418",
                "behaviour `fault` cannot be `418`; it takes none or one of 400, 401, 429, quota, ",
            ),
            ("in=", "behaviour `in` cannot be ``; it takes a whole number from 0 to "),
        ];
        for (text, message) in table {
            let error = Behaviour::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(message), "{text}: {error}");
        }
        let error = Behaviour::parse("x=1").unwrap_err().to_string();
        for key in ["in", "after", "auth", "split", "retry_after"] {
            assert!(error.contains(key), "{key} is missing from: {error}");
        }
    }

    #[test]
    fn a_share_of_the_requests_meets_the_fault() {
        for fail in [0, 1, 30, 99, 100] {
            let behaviour = Behaviour::parse(&format!("fault=500;fail={fail}")).unwrap();
            let met = (0..10_000).filter(|&request| behaviour.fault_of(request).is_some()).count() as u64;
            assert!(met.abs_diff(fail * 100) <= 150, "fail={fail} was met {met} times in 10,000");
            assert!(![0, 100].contains(&fail) || met == fail * 100, "fail={fail} was met {met} times");
        }
    }
}
