//! What a limit says.

use std::num::NonZeroU64;

/// Up to this limit every sliding window is exact; above it the bound is that of [`Limit::bound`].
pub const EXACT_MOST: u64 = 1_000;

/// The longest span of a limit: what is longer is a matter of calendar days.
const SPAN_MICROS_MAX: u64 = 24 * 60 * 60 * 1_000_000;

/// So much in any span of so many microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limit {
    most: u64,
    span: NonZeroU64,
}

/// Why there is no such limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitError {
    /// The span is nothing, or longer than a day.
    Span,
    /// More than can be counted.
    Most,
}

impl Limit {
    /// The most that a limit can be: with it and the longest span all sums stay far inside 128 bits.
    pub const MOST_MAX: u64 = 1 << 53;

    /// At most `most` in any span of `span_micros`; 0 stops everything.
    ///
    /// # Errors
    /// When a number is out of range.
    pub const fn new(most: u64, span_micros: u64) -> Result<Self, LimitError> {
        if most > Self::MOST_MAX {
            return Err(LimitError::Most);
        }
        match NonZeroU64::new(span_micros) {
            Some(span) if span_micros <= SPAN_MICROS_MAX => Ok(Self { most, span }),
            Some(_) | None => Err(LimitError::Span),
        }
    }

    /// At most `most` in any 60 seconds.
    ///
    /// # Errors
    /// When it is more than [`Limit::MOST_MAX`].
    pub const fn per_minute(most: u64) -> Result<Self, LimitError> {
        Self::new(most, 60_000_000)
    }

    /// How much.
    pub const fn most(self) -> u64 {
        self.most
    }

    /// In any span of so many microseconds.
    pub const fn span_micros(self) -> u64 {
        self.span.get()
    }

    /// Whether no window ever holds more than the limit.
    pub const fn is_exact(self) -> bool {
        self.most <= EXACT_MOST
    }

    /// The most that any window of the span can hold, corrections apart: the limit when it is exact. Above
    /// [`EXACT_MOST`], a meter that was full gives its whole limit at once and fills up again meanwhile, so a window can
    /// hold twice the limit; two windows in a row never hold more than three times, `n` never more than `n + 1` times.
    pub const fn bound(self) -> u64 {
        if self.is_exact() { self.most } else { self.most.saturating_mul(2) }
    }
}
