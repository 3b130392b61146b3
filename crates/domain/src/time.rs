//! Time as one integer, and the port through which it enters.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// Where the time comes from. The server has the real clock; tests and simulations bring theirs.
pub trait Clock: Send + Sync {
    /// The time now, by the wall clock. May step backwards; the ledger's own stamps never do.
    fn now(&self) -> Timestamp;
    /// Microseconds on a clock that never steps, for durations only.
    fn monotonic_micros(&self) -> u64;
}

/// Why a text is not a moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a date; write 2027-01-31 or 2027-01-31T12:00:00Z")]
pub struct TimeError(String);

impl Timestamp {
    /// The latest moment that can be written.
    pub const MAX: Self = Self(i64::MAX);

    /// The moment `micros` microseconds after 1970.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, as API fields named `created` want them.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This moment plus a number of seconds, at most [`Timestamp::MAX`].
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }

    /// This moment plus a number of microseconds, at most [`Timestamp::MAX`].
    #[must_use]
    pub const fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with microseconds: `2026-11-21T06:55:50.000000Z`; the raw number when it is out of range.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(timestamp) => write!(f, "{timestamp:.6}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;

    /// Parses RFC 3339, or a plain date, which means its first moment in UTC.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let error = |_| TimeError(text.chars().take(64).collect());
        // What no calendar can write, as `Display` does.
        if let Some(Ok(micros)) = text.strip_suffix("us").map(str::parse) {
            return Ok(Self(micros));
        }
        let moment = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
        moment.parse::<jiff::Timestamp>().map(|parsed| Self(parsed.as_microsecond())).map_err(error)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_both_ways() {
        let moment: Timestamp = "2026-11-21T06:55:50.25Z".parse().unwrap();
        assert_eq!(moment.to_string(), "2026-11-21T06:55:50.250000Z");
        assert_eq!(moment.to_string().parse(), Ok(moment));
        assert_eq!("2026-11-21".parse::<Timestamp>().unwrap().to_string(), "2026-11-21T00:00:00.000000Z");
        for text in ["", "tomorrow", "2026-13-01", "2026-11-21T06:55:50", "12345678"] {
            assert!(text.parse::<Timestamp>().is_err(), "{text:?} was accepted");
        }
        assert_eq!(Timestamp::MAX.plus_seconds(1), Timestamp::MAX);
        assert_eq!(Timestamp::MAX.to_string().parse(), Ok(Timestamp::MAX));
    }
}
