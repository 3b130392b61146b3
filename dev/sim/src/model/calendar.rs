//! Days, weeks and months, by arithmetic of our own for UTC, so that two calendars have to agree.

use domain::Zone;
use jiff::ToSpan;
use ledger::Period;

const DAY: i64 = 86_400_000_000;

/// From its first moment to the first one after it, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Around {
    /// The first moment in the period.
    pub start: i64,
    /// The first moment after it; [`i64::MAX`] when it does not end.
    pub end: i64,
}

/// The whole of time.
pub const ALWAYS: Around = Around { start: i64::MIN, end: i64::MAX };

/// The period around a moment.
pub fn around(period: Period, zone: &Zone, at: i64) -> Around {
    if period == Period::Total {
        ALWAYS
    } else if *zone == Zone::default() {
        around_in_utc(period, at)
    } else {
        around_elsewhere(period, zone, at).unwrap_or(ALWAYS)
    }
}

fn around_in_utc(period: Period, at: i64) -> Around {
    let today = at.div_euclid(DAY);
    let (first, next) = match period {
        Period::Daily => (today, today + 1),
        Period::Weekly => {
            // Day 0 was a Thursday, three days after a Monday.
            let monday = today - (today + 3).rem_euclid(7);
            (monday, monday + 7)
        }
        Period::Monthly => {
            let (year, month) = month_of(today);
            let following = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
            (first_of(year, month), first_of(following.0, following.1))
        }
        Period::Total => return ALWAYS,
    };
    Around { start: first * DAY, end: next * DAY }
}

/// The days from 1970-01-01 to the first of a month. Years are counted from March, so that the leap day comes last.
fn first_of(year: i64, month: i64) -> i64 {
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // Months from March: 31, 30, 31, 30, 31 days, and so on: 153 days in five months.
    365 * year + leap_days + (153 * month + 2) / 5 - 719_468
}

/// The year and the month that a day lies in.
fn month_of(day: i64) -> (i64, i64) {
    // A guess that is off by a month at most, put right by looking.
    let mut year = 1970 + day.div_euclid(365) - day.div_euclid(365) / 1461;
    while first_of(year, 1) > day {
        year -= 1;
    }
    while first_of(year + 1, 1) <= day {
        year += 1;
    }
    let month = (1..=12).rev().find(|month| first_of(year, *month) <= day).unwrap_or(1);
    (year, month)
}

fn around_elsewhere(period: Period, zone: &Zone, at: i64) -> Option<Around> {
    let moment = jiff::Timestamp::from_microsecond(at).ok()?.to_zoned(zone.rules().clone());
    let noon = moment.date().at(12, 0, 0, 0);
    let (first, next) = match period {
        Period::Daily => (noon, noon.checked_add(1.day()).ok()?),
        Period::Weekly => {
            let past = i64::from(noon.weekday().to_monday_zero_offset());
            let monday = noon.checked_sub(past.days()).ok()?;
            (monday, monday.checked_add(1.week()).ok()?)
        }
        Period::Monthly => {
            let first = noon.first_of_month();
            (first, first.checked_add(1.month()).ok()?)
        }
        Period::Total => return Some(ALWAYS),
    };
    let begin = |noon: jiff::civil::DateTime| {
        let begun = noon.to_zoned(zone.rules().clone()).ok()?.start_of_day().ok()?;
        Some(begun.timestamp().as_microsecond())
    };
    Some(Around { start: begin(first)?, end: begin(next)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_calendars_agree_on_utc() {
        let utc = Zone::default();
        let mut at: i64 = -40_000 * DAY - 1;
        for step in 0..60_000_i64 {
            at += DAY * 3 / 2 + step;
            for period in [Period::Daily, Period::Weekly, Period::Monthly] {
                let ours = around_in_utc(period, at);
                assert_eq!(Some(ours), around_elsewhere(period, &utc, at), "{period:?} around {at}");
                assert!(ours.start <= at && at < ours.end);
            }
        }
    }
}
