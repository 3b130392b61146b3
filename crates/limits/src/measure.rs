//! What can be limited, and how much of each a request needs.

use std::fmt;
use std::str::FromStr;

/// What a cap counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Measure {
    /// Requests in any 60 seconds.
    RequestsPerMinute,
    /// Input and output tokens together in any 60 seconds.
    TokensPerMinute,
    /// Input tokens in any 60 seconds.
    InputTokensPerMinute,
    /// Output tokens in any 60 seconds.
    OutputTokensPerMinute,
    /// Images in any 60 seconds.
    ImagesPerMinute,
    /// Requests of a calendar day, UTC.
    RequestsPerDay,
    /// Input and output tokens together of a calendar day, UTC.
    TokensPerDay,
    /// Requests under way at a time.
    ConcurrentRequests,
}

/// How a measure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// What was used in the last 60 seconds, at every moment.
    SlidingMinute,
    /// What was used since midnight, UTC.
    Day,
    /// What is in use now.
    Now,
}

impl Measure {
    /// All of them, in the order in which a refusal names them where several refuse.
    pub const ALL: [Self; 8] = [
        Self::RequestsPerMinute,
        Self::TokensPerMinute,
        Self::InputTokensPerMinute,
        Self::OutputTokensPerMinute,
        Self::ImagesPerMinute,
        Self::RequestsPerDay,
        Self::TokensPerDay,
        Self::ConcurrentRequests,
    ];

    /// Its word in configurations, APIs and stores.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RequestsPerMinute => "requests_per_minute",
            Self::TokensPerMinute => "tokens_per_minute",
            Self::InputTokensPerMinute => "input_tokens_per_minute",
            Self::OutputTokensPerMinute => "output_tokens_per_minute",
            Self::ImagesPerMinute => "images_per_minute",
            Self::RequestsPerDay => "requests_per_day",
            Self::TokensPerDay => "tokens_per_day",
            Self::ConcurrentRequests => "concurrent_requests",
        }
    }

    /// How it counts.
    pub const fn period(self) -> Period {
        match self {
            Self::RequestsPerMinute
            | Self::TokensPerMinute
            | Self::InputTokensPerMinute
            | Self::OutputTokensPerMinute
            | Self::ImagesPerMinute => Period::SlidingMinute,
            Self::RequestsPerDay | Self::TokensPerDay => Period::Day,
            Self::ConcurrentRequests => Period::Now,
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// No measure has this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeasureError(String);

impl fmt::Display for MeasureError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Measure::ALL.map(Measure::as_str).join(", ");
        write!(formatter, "`{}` is no measure of a rate limit; use one of {names}", self.0)
    }
}

impl std::error::Error for MeasureError {}

impl FromStr for Measure {
    type Err = MeasureError;

    fn from_str(word: &str) -> Result<Self, MeasureError> {
        let found = Self::ALL.into_iter().find(|measure| measure.as_str() == word);
        found.ok_or_else(|| MeasureError(word.to_owned()))
    }
}

/// What one request needs, as far as it is known: before it runs the most it is expected to use, later what it used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// Input tokens.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Images.
    pub images: u64,
}

impl Need {
    /// How much of a measure it is. A request is one request, whatever else it needs.
    pub const fn of(&self, measure: Measure) -> u64 {
        match measure {
            Measure::RequestsPerMinute | Measure::RequestsPerDay | Measure::ConcurrentRequests => 1,
            Measure::TokensPerMinute | Measure::TokensPerDay => {
                self.input_tokens.saturating_add(self.output_tokens)
            }
            Measure::InputTokensPerMinute => self.input_tokens,
            Measure::OutputTokensPerMinute => self.output_tokens,
            Measure::ImagesPerMinute => self.images,
        }
    }
}
