//! What a limit says.

use std::num::NonZeroU64;

/// Up to this limit every use counts to the microsecond. Above it uses are counted by the grain, see
/// [`Limit::grain_micros`]: a list of every single one would be too long.
pub const EXACT_MOST: u64 = 1_000;

/// How many grains a span has.
const GRAINS: u64 = 60;

/// The longest span of a limit: what is longer is a matter of calendar days.
const SPAN_MICROS_MAX: u64 = 24 * 60 * 60 * 1_000_000;

/// 60 seconds in microseconds.
const MINUTE_MICROS: NonZeroU64 = NonZeroU64::MIN.saturating_add(59_999_999);

/// So much in any span of so many microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limit {
    most: u64,
    span: NonZeroU64,
}

/// There is no such span: it is nothing, or longer than a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanError;

impl Limit {
    /// At most `most` in any span of `span_micros`; 0 stops everything.
    ///
    /// # Errors
    /// When the span is nothing or longer than a day.
    pub const fn new(most: u64, span_micros: u64) -> Result<Self, SpanError> {
        match NonZeroU64::new(span_micros) {
            Some(span) if span_micros <= SPAN_MICROS_MAX => Ok(Self { most, span }),
            Some(_) | None => Err(SpanError),
        }
    }

    /// At most `most` in any 60 seconds.
    pub const fn per_minute(most: u64) -> Self {
        Self { most, span: MINUTE_MICROS }
    }

    /// How much.
    pub const fn most(self) -> u64 {
        self.most
    }

    /// In any span of so many microseconds.
    pub const fn span_micros(self) -> u64 {
        self.span.get()
    }

    /// Whether a use stops counting exactly when it is a span old. Never too early in any case: no window of the span
    /// ever holds more than the limit, whatever its size.
    pub const fn is_exact(self) -> bool {
        self.most <= EXACT_MOST
    }

    /// How fine moments are told apart, in microseconds: 1 for an exact limit, else a sixtieth of the span. A use counts
    /// from the end of its grain, so it counts for less than one grain longer than a span.
    pub const fn grain_micros(self) -> u64 {
        if self.is_exact() { 1 } else { self.coarse_micros() }
    }

    /// The moment as which a use now counts: the end of its grain.
    pub(crate) fn moment(self, now: u64) -> u64 {
        if self.is_exact() { now } else { self.coarse_moment(now) }
    }

    /// The end of the coarse grain that a moment falls into.
    pub(crate) fn coarse_moment(self, now: u64) -> u64 {
        now.checked_next_multiple_of(self.coarse_micros()).unwrap_or(u64::MAX)
    }

    const fn coarse_micros(self) -> u64 {
        let grain = self.span.get() / GRAINS;
        if grain == 0 { 1 } else { grain }
    }
}
