//! What was used of a calendar day.

use crate::meter::Taken;

/// Counts the uses of one day at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DayCount {
    day: u32,
    used: u64,
    /// The day of its change when it stands in its table's list of counts to be stored.
    pub(crate) listed: Option<u32>,
}

impl DayCount {
    pub(crate) const fn new(day: u32) -> Self {
        Self { day, used: 0, listed: None }
    }

    /// Begins anew on another day.
    ///
    /// The day before the one that it counts is a straggler around midnight and counts as today. An earlier one says that
    /// the clock was wrong and has been put right: waiting for the wrong day to come would stop the caller till then.
    pub(crate) const fn turn(&mut self, day: u32) {
        if day > self.day || day.saturating_add(1) < self.day {
            (self.day, self.used) = (day, 0);
        }
    }

    pub(crate) const fn day(&self) -> u32 {
        self.day
    }

    pub(crate) const fn used(&self) -> u64 {
        self.used
    }

    /// Whether it says nothing, neither to whoever admits nor to whoever stores.
    pub(crate) fn is_idle(&self) -> bool {
        // Back to nothing is a change as well, but of no interest once its day is over.
        self.used == 0 && self.listed != Some(self.day)
    }

    pub(crate) fn take(&mut self, amount: u64) -> Taken {
        self.used = self.used.saturating_add(amount);
        Taken { at: u64::from(self.day), amount, before: 0 }
    }

    /// A use turns out to be `amount` in all. A call belongs to the day on which it began, so once that is over there is
    /// nothing left to correct.
    pub(crate) fn correct(&mut self, taken: &mut Taken, amount: u64) {
        if taken.at == u64::from(self.day) {
            let (less, more) = (taken.amount.saturating_sub(amount), amount.saturating_sub(taken.amount));
            self.used = self.used.saturating_sub(less).saturating_add(more);
        }
        taken.amount = amount;
    }
}
