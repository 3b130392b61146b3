//! One limit, and what was used of it.

use crate::Limit;
use crate::smooth::Smooth;
use crate::window::Window;

/// Counts uses under one limit. Moments are microseconds of a clock that never steps back.
#[derive(Clone, Debug)]
pub struct Meter {
    limit: Limit,
    level: Level,
    /// The latest moment that was seen: an older one is taken for it.
    seen: u64,
}

#[derive(Clone, Debug)]
enum Level {
    Exact(Window),
    Smooth(Smooth),
}

/// A use that was admitted, so that it can be corrected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "what is taken stands until it is corrected"]
pub struct Taken {
    at: u64,
    amount: u64,
}

/// How a meter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What counts now; more than the limit when a use turned out larger than it was taken for.
    pub used: u64,
    /// What could be taken now.
    pub remaining: u64,
    /// In how many microseconds nothing counts any more.
    pub empty_in: u64,
}

impl Meter {
    /// A meter on which nothing was used.
    pub fn new(limit: Limit) -> Self {
        let level =
            if limit.is_exact() { Level::Exact(Window::default()) } else { Level::Smooth(Smooth::default()) };
        Self { limit, level, seen: 0 }
    }

    /// What it measures against.
    pub const fn limit(&self) -> Limit {
        self.limit
    }

    /// Whether `amount` can be taken now; if not, in how many microseconds, or `None` when it never can.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn check(&mut self, now: u64, amount: u64) -> Result<(), Option<u64>> {
        let now = self.see(now);
        let fits_at = match &self.level {
            Level::Exact(window) if amount.saturating_add(window.used()) <= self.limit.most() => {
                return Ok(());
            }
            Level::Smooth(smooth) if smooth.fits(self.limit, now, amount) => return Ok(()),
            Level::Exact(window) => window.fits_at(self.limit, amount, now),
            Level::Smooth(smooth) => smooth.fits_at(self.limit, now, amount),
        };
        Err(fits_at.map(|moment| moment.saturating_sub(now)))
    }

    /// Takes `amount`, whether or not it fits: whoever must not pass the limit checks first.
    pub fn take(&mut self, now: u64, amount: u64) -> Taken {
        let at = self.see(now);
        match &mut self.level {
            Level::Exact(window) => window.add(at, amount),
            Level::Smooth(smooth) => smooth.add(self.limit, at, amount),
        }
        Taken { at, amount }
    }

    /// A use turns out to be `amount` in all: the difference is given back, or counted now, beyond the limit too.
    pub fn correct(&mut self, now: u64, taken: &mut Taken, amount: u64) {
        let now = self.see(now);
        let (less, more) = (taken.amount.saturating_sub(amount), amount.saturating_sub(taken.amount));
        match &mut self.level {
            Level::Exact(window) => {
                window.take_back(taken.at, less);
                // At its own moment, or the same use would count from two.
                if more > 0 && taken.at.saturating_add(self.limit.span_micros()) > now {
                    window.add(taken.at, more);
                }
            }
            Level::Smooth(smooth) => {
                smooth.take_back(self.limit, now, less);
                smooth.add(self.limit, now, more);
            }
        }
        taken.amount = amount;
    }

    /// How it stands.
    pub fn read(&mut self, now: u64) -> Reading {
        let now = self.see(now);
        let (used, empty_at) = match &self.level {
            Level::Exact(window) => (window.used(), window.empty_at(self.limit, now)),
            Level::Smooth(smooth) => (smooth.used(self.limit, now), smooth.empty_at(self.limit, now)),
        };
        Reading {
            used,
            remaining: self.limit.most().saturating_sub(used),
            empty_in: empty_at.saturating_sub(now),
        }
    }

    /// Puts another limit in the place of this one. What was used goes on counting as exactly as both can tell.
    pub fn change(&mut self, now: u64, limit: Limit) {
        let used = self.read(now).used;
        let same_kind =
            limit.is_exact() == self.limit.is_exact() && limit.span_micros() == self.limit.span_micros();
        if !(same_kind && limit.is_exact()) {
            *self = Self { seen: self.seen, ..Self::new(limit) };
            let now = self.see(now);
            match &mut self.level {
                Level::Exact(window) => window.add(now, used),
                Level::Smooth(smooth) => smooth.add(limit, now, used),
            }
        }
        self.limit = limit;
    }

    /// The moment to count by, with all that is too old forgotten.
    fn see(&mut self, now: u64) -> u64 {
        self.seen = self.seen.max(now);
        if let Level::Exact(window) = &mut self.level {
            window.forget(self.limit, self.seen);
        }
        self.seen
    }
}
