//! One sliding limit, and what was used of it.

use crate::Limit;
use crate::window::{Window, counts};

/// Counts uses under one limit. Moments are microseconds of a clock that never steps back.
#[derive(Clone, Debug)]
pub struct Meter {
    limit: Limit,
    window: Window,
    /// The latest moment that was seen: an older one is taken for it.
    seen: u64,
}

/// A use that was admitted, so that it can be corrected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "what is taken stands until it is corrected"]
pub struct Taken {
    /// The moment as which it counts.
    pub(crate) at: u64,
    /// All of it.
    pub(crate) amount: u64,
    /// The part of it that counted at moments before and was passed by the window since.
    pub(crate) before: u64,
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
    pub const fn new(limit: Limit) -> Self {
        Self { limit, window: Window::EMPTY, seen: 0 }
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
        let most = self.limit.most();
        match self.window.used().checked_add(amount) {
            Some(all) if all <= most => Ok(()),
            Some(_) | None => {
                let room = most.checked_sub(amount);
                Err(room.map(|room| self.window.wait_for(room, self.limit.span_micros(), now)))
            }
        }
    }

    /// Takes `amount`, whether or not it fits: whoever must not pass the limit checks first.
    pub fn take(&mut self, now: u64, amount: u64) -> Taken {
        let at = self.limit.moment(self.see(now));
        self.window.add(at, amount);
        Taken { at, amount, before: 0 }
    }

    /// A use turns out to be `amount` in all: the difference is given back, or counted, beyond the limit too.
    ///
    /// What is more counts at the use's own moment as long as that counts, or the same use would count from two; from
    /// then on it counts as of now, so that a call of many minutes is not free of the limit after the first. What is
    /// less is given back as far as it still counts.
    pub fn correct(&mut self, now: u64, taken: &mut Taken, amount: u64) {
        let now = self.see(now);
        let (less, more) = (taken.amount.saturating_sub(amount), amount.saturating_sub(taken.amount));
        self.window.take_back(taken.at, less.min(taken.amount.saturating_sub(taken.before)));
        if more > 0 {
            if !counts(taken.at, self.limit.span_micros(), now) {
                taken.before = taken.amount;
                taken.at = self.limit.coarse_moment(now);
            }
            self.window.add(taken.at, more);
        }
        taken.amount = amount;
        taken.before = taken.before.min(amount);
    }

    /// How it stands.
    pub fn read(&mut self, now: u64) -> Reading {
        let now = self.see(now);
        let used = self.window.used();
        Reading {
            used,
            remaining: self.limit.most().saturating_sub(used),
            empty_in: self.window.empty_in(self.limit.span_micros(), now),
        }
    }

    /// Puts another limit in the place of this one. What was used goes on counting from the moments as which it counted;
    /// under a longer span only what had not been forgotten yet.
    pub const fn change(&mut self, limit: Limit) {
        self.limit = limit;
    }

    /// Reads what the next questions will.
    pub(crate) fn touch(&self) -> u64 {
        self.window.touch()
    }

    /// Whether nothing counts any more. Gives up room that a burst left behind, too.
    pub(crate) fn is_idle(&mut self, now: u64) -> bool {
        self.see(now);
        self.window.shrink();
        self.window.used() == 0
    }

    /// The moment to count by, with all that is too old forgotten.
    fn see(&mut self, now: u64) -> u64 {
        self.seen = self.seen.max(now);
        self.window.forget(self.limit.span_micros(), self.seen);
        self.seen
    }
}
