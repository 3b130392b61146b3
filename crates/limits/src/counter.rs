//! What one bucket counts, by the kind of its measure.

use crate::day::DayCount;
use crate::meter::Taken;
use crate::{Limit, Measure, Meter, Period};

/// When it is, in both of the ways that are asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) micros: u64,
    pub(crate) day: u32,
}

/// When there will be room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// In so many microseconds, if nothing else is admitted meanwhile; 0 is now.
    In(u64),
    /// When the day is over: how long that is, the owner of the calendar knows.
    NextDay,
    /// When a call that runs now has ended, which nobody knows.
    CallEnds,
    /// Never under this limit: it is less than what is asked for.
    Never,
}

/// What a full bucket says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full {
    pub(crate) used: u64,
    pub(crate) fits: When,
}

#[derive(Clone, Debug)]
pub(crate) enum Counter {
    Span(Meter),
    Day(DayCount),
    Gauge(u64),
}

impl Counter {
    pub(crate) const fn new(measure: Measure, most: u64, now: Now) -> Self {
        match measure.period() {
            Period::SlidingMinute => Self::Span(Meter::new(Limit::per_minute(most))),
            Period::Day => Self::Day(DayCount::new(now.day)),
            Period::Now => Self::Gauge(0),
        }
    }

    /// A use of nothing, which may turn out to be one of something.
    pub(crate) fn none_taken(measure: Measure, most: u64, now: Now) -> Taken {
        let at = match measure.period() {
            Period::SlidingMinute => Limit::per_minute(most).moment(now.micros),
            Period::Day => u64::from(now.day),
            Period::Now => 0,
        };
        Taken { at, amount: 0, before: 0 }
    }

    /// Whether so much fits. The limit may be another than before: operators change them.
    pub(crate) fn check(&mut self, now: Now, most: u64, amount: u64) -> Result<(), Full> {
        match self {
            Self::Span(meter) => {
                meter.change(Limit::per_minute(most));
                meter.check(now.micros, amount).map_err(|wait| Full {
                    used: meter.read(now.micros).used,
                    fits: wait.map_or(When::Never, When::In),
                })
            }
            Self::Day(count) => {
                count.turn(now.day);
                fit(count.used(), most, amount, When::NextDay)
            }
            Self::Gauge(used) => fit(*used, most, amount, When::CallEnds),
        }
    }

    pub(crate) fn take(&mut self, now: Now, most: u64, amount: u64) -> Taken {
        match self {
            Self::Span(meter) => {
                meter.change(Limit::per_minute(most));
                meter.take(now.micros, amount)
            }
            Self::Day(count) => {
                count.turn(now.day);
                count.take(amount)
            }
            Self::Gauge(used) => {
                *used = used.saturating_add(amount);
                Taken { at: 0, amount, before: 0 }
            }
        }
    }

    /// A use turns out to be so much in all.
    pub(crate) fn correct(&mut self, micros: u64, taken: &mut Taken, amount: u64) {
        match self {
            Self::Span(meter) => meter.correct(micros, taken, amount),
            Self::Day(count) => count.correct(taken, amount),
            Self::Gauge(used) => {
                *used = used.saturating_sub(taken.amount).saturating_add(amount);
                taken.amount = amount;
            }
        }
    }

    /// What counts now, and in how many microseconds nothing will; 0 where that is no matter of microseconds.
    pub(crate) fn read(&mut self, now: Now) -> (u64, u64) {
        match self {
            Self::Span(meter) => {
                let reading = meter.read(now.micros);
                (reading.used, reading.empty_in)
            }
            Self::Day(count) => {
                count.turn(now.day);
                (count.used(), 0)
            }
            Self::Gauge(used) => (*used, 0),
        }
    }

    /// Reads what the next questions will.
    pub(crate) fn touch(&self) -> u64 {
        match self {
            Self::Span(meter) => meter.touch(),
            Self::Day(count) => count.used(),
            Self::Gauge(used) => *used,
        }
    }

    /// Whether forgetting it changes no answer.
    pub(crate) fn is_idle(&mut self, now: Now) -> bool {
        match self {
            Self::Span(meter) => meter.is_idle(now.micros),
            Self::Day(count) => {
                count.turn(now.day);
                count.is_idle()
            }
            Self::Gauge(used) => *used == 0,
        }
    }
}

/// Whether so much fits into what nothing was used of.
pub(crate) const fn fit_unused(most: u64, amount: u64) -> Result<(), Full> {
    if amount <= most { Ok(()) } else { Err(Full { used: 0, fits: When::Never }) }
}

fn fit(used: u64, most: u64, amount: u64, later: When) -> Result<(), Full> {
    if used.checked_add(amount).is_some_and(|all| all <= most) {
        return Ok(());
    }
    Err(Full { used, fits: if amount > most { When::Never } else { later } })
}
