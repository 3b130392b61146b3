//! The sliding window: every use with its moment, until it is a span old.
//!
//! Uses of one moment are one entry. Each entry is at least 1, so an exact limit never has more entries than it allows
//! uses, and one that counts by the grain never has more than a span has grains and one. What runs beyond a limit, by
//! a correction, is counted by the grain as well, so that corrections cannot make the list long either.

use std::collections::VecDeque;

/// What was used at one moment.
#[derive(Clone, Copy, Debug, Default)]
struct Use {
    at: u64,
    amount: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// The sum of all uses, which always fits: see [`Window::add`].
    used: u64,
    /// The latest use; an amount of 0 says that there is none. Kept outside the list because most questions need only
    /// this one, and a list is another place in memory.
    newest: Use,
    /// All others, their moments rising.
    older: VecDeque<Use>,
}

/// Whether a use at a moment still counts. One may lie ahead: the end of a grain does.
pub(crate) const fn counts(at: u64, span: u64, now: u64) -> bool {
    now.saturating_sub(at) < span
}

impl Window {
    pub(crate) const EMPTY: Self = Self { used: 0, newest: Use { at: 0, amount: 0 }, older: VecDeque::new() };

    /// Lets go of what is a span old or older. Every other question counts only what is left.
    pub(crate) fn forget(&mut self, span: u64, now: u64) {
        if !counts(self.newest.at, span, now) {
            // Clearing keeps the room of the list for the next burst; `shrink` gives it up.
            self.older.clear();
            (self.newest, self.used) = (Use::default(), 0);
            return;
        }
        while let Some(oldest) = self.older.front().filter(|oldest| !counts(oldest.at, span, now)) {
            self.used = self.used.saturating_sub(oldest.amount);
            self.older.pop_front();
        }
    }

    /// Gives up room that a burst left behind.
    pub(crate) fn shrink(&mut self) {
        if self.older.capacity() / 4 > self.older.len() {
            self.older.shrink_to_fit();
        }
    }

    /// Reads what the next questions will.
    pub(crate) fn touch(&self) -> u64 {
        let ends = [self.older.front(), self.older.back()];
        ends.into_iter().flatten().fold(0, |sum, end| sum ^ end.at)
    }

    pub(crate) const fn used(&self) -> u64 {
        self.used
    }

    /// Counts a use at a moment. What the sum cannot hold is not counted, so that it stays the sum of all entries.
    pub(crate) fn add(&mut self, at: u64, amount: u64) {
        let amount = amount.min(u64::MAX.saturating_sub(self.used));
        if amount == 0 {
            return;
        }
        self.used = self.used.saturating_add(amount);
        if self.newest.amount == 0 {
            self.newest = Use { at, amount };
        } else if at > self.newest.at {
            // By half, not to the double: most windows hold some tens of uses, and there are many windows.
            if self.older.len() == self.older.capacity() {
                self.older.reserve_exact((self.older.len() / 2).max(4));
            }
            self.older.push_back(self.newest);
            self.newest = Use { at, amount };
        } else {
            self.add_to(at, amount);
        }
    }

    /// Counts a use that is not after the newest.
    fn add_to(&mut self, at: u64, amount: u64) {
        if at == self.newest.at {
            self.newest.amount = self.newest.amount.saturating_add(amount);
            return;
        }
        let place = self.older.partition_point(|other| other.at < at);
        match self.older.get_mut(place).filter(|other| other.at == at) {
            Some(other) => other.amount = other.amount.saturating_add(amount),
            None => self.older.insert(place, Use { at, amount }),
        }
    }

    /// Takes back a part of what was used at a moment, if that still counts.
    pub(crate) fn take_back(&mut self, at: u64, amount: u64) {
        if at == self.newest.at {
            let back = amount.min(self.newest.amount);
            self.newest.amount = self.newest.amount.saturating_sub(back);
            self.used = self.used.saturating_sub(back);
            if self.newest.amount == 0 {
                self.newest = self.older.pop_back().unwrap_or_default();
            }
            return;
        }
        let Ok(place) = self.older.binary_search_by_key(&at, |other| other.at) else { return };
        let Some(other) = self.older.get_mut(place) else { return };
        let back = amount.min(other.amount);
        other.amount = other.amount.saturating_sub(back);
        self.used = self.used.saturating_sub(back);
        if other.amount == 0 {
            self.older.remove(place);
        }
    }

    /// In how many microseconds no more than `room` counts any more.
    pub(crate) fn wait_for(&self, room: u64, span: u64, now: u64) -> u64 {
        let mut over = self.used.saturating_sub(room);
        for oldest in self.older.iter().chain([&self.newest]) {
            if over == 0 {
                break;
            }
            if oldest.amount >= over {
                return until_old(oldest.at, span, now);
            }
            over = over.saturating_sub(oldest.amount);
        }
        0
    }

    /// In how many microseconds nothing counts any more.
    pub(crate) const fn empty_in(&self, span: u64, now: u64) -> u64 {
        if self.used == 0 { 0 } else { until_old(self.newest.at, span, now) }
    }
}

/// In how many microseconds what counts at a moment is a span old.
const fn until_old(at: u64, span: u64, now: u64) -> u64 {
    let ahead = at.saturating_sub(now);
    span.saturating_sub(now.saturating_sub(at)).saturating_add(ahead)
}
