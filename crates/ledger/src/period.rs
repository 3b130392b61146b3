//! Periods of budgets: where a day, a week or a month begins and ends in a time zone.

use domain::{Timestamp, Zone};
use jiff::civil::Weekday;
use jiff::{ToSpan, Zoned};
use serde::{Deserialize, Serialize};

/// How long a budget lasts before it starts anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// From midnight to midnight.
    Daily,
    /// From Monday to Monday.
    Weekly,
    /// From the first of a month to the first of the next.
    Monthly,
    /// Once and for all.
    Total,
}

/// From its first moment up to, and without, its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// The first moment in it.
    pub start: Timestamp,
    /// The first moment after it; [`Timestamp::MAX`] when it does not end.
    pub end: Timestamp,
}

impl Span {
    const ALWAYS: Self = Self { start: Timestamp::from_micros(i64::MIN), end: Timestamp::MAX };

    /// Whether a moment lies in it.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }
}

impl Period {
    /// The period around a moment. A clock beyond the years that a calendar knows is in the one period there is.
    pub fn around(self, at: Timestamp, zone: &Zone) -> Span {
        self.bounds(at, zone).unwrap_or(Span::ALWAYS)
    }

    fn bounds(self, at: Timestamp, zone: &Zone) -> Option<Span> {
        let moment = jiff::Timestamp::from_microsecond(at.micros()).ok()?.to_zoned(zone.rules().clone());
        let today = moment.date();
        let (first, next) = match self {
            Self::Daily => (today, today.checked_add(1.day()).ok()?),
            Self::Weekly => {
                let past = i64::from(today.weekday().since(Weekday::Monday));
                let first = today.checked_sub(past.days()).ok()?;
                (first, first.checked_add(7.days()).ok()?)
            }
            Self::Monthly => (today.first_of_month(), today.last_of_month().checked_add(1.day()).ok()?),
            Self::Total => return Some(Span::ALWAYS),
        };
        let begin = |date: jiff::civil::Date| {
            let midnight: Zoned = date.to_zoned(zone.rules().clone()).ok()?;
            Some(Timestamp::from_micros(midnight.timestamp().as_microsecond()))
        };
        Some(Span { start: begin(first)?, end: begin(next)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_begin_and_end_where_people_there_expect_it() {
        for (period, zone, at, start, end) in [
            (Period::Daily, "UTC", "2026-11-21T23:59:59Z", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"),
            (Period::Weekly, "UTC", "2026-11-21T12:00:00Z", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"),
            (Period::Weekly, "UTC", "2026-11-16T00:00:00Z", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"),
            (Period::Monthly, "UTC", "2026-12-31T23:00:00Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            (Period::Monthly, "UTC", "2028-02-29T00:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
            // Half past midnight on New Year's Day in Tokyo, where it is December no more.
            (
                Period::Monthly,
                "Asia/Tokyo",
                "2026-12-31T15:30:00Z",
                "2026-12-31T15:00:00Z",
                "2027-01-31T15:00:00Z",
            ),
            // The day the clocks go back has 25 hours, the one they go forward 23.
            (
                Period::Daily,
                "Europe/Berlin",
                "2026-10-25T12:00:00Z",
                "2026-10-24T22:00:00Z",
                "2026-10-25T23:00:00Z",
            ),
            (
                Period::Daily,
                "Europe/Berlin",
                "2026-03-29T12:00:00Z",
                "2026-03-28T23:00:00Z",
                "2026-03-29T22:00:00Z",
            ),
            // Summer time began at midnight: the day starts at one o'clock.
            (
                Period::Daily,
                "America/Santiago",
                "2026-09-06T12:00:00Z",
                "2026-09-06T04:00:00Z",
                "2026-09-07T03:00:00Z",
            ),
        ] {
            let span = period.around(at.parse().unwrap(), &zone.parse().unwrap());
            let expected = Span { start: start.parse().unwrap(), end: end.parse().unwrap() };
            assert_eq!(span, expected, "{period:?} around {at} in {zone}");
            assert!(span.contains(at.parse().unwrap()));
            assert!(!span.contains(expected.end));
        }
    }

    #[test]
    fn no_moment_is_without_a_period() {
        for at in [i64::MIN, -1, 0, i64::MAX - 1] {
            for period in [Period::Daily, Period::Weekly, Period::Monthly, Period::Total] {
                let at = Timestamp::from_micros(at);
                assert!(period.around(at, &Zone::default()).contains(at), "{period:?} {at:?}");
            }
        }
    }
}
