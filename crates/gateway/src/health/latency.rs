//! The time to the first byte as a moving average that rises at once and falls slowly ("peak EWMA"): a target that has
//! become slow is avoided from its first slow answer on, and comes back bit by bit. In whole microseconds.

use std::time::Duration;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Latency {
    average_us: u64,
    at_us: u64,
}

impl Latency {
    /// The average now: without answers half of it is forgotten in each half-life, so that a slow target is tried again.
    pub(super) fn at(&self, now_us: u64, half_life: Duration) -> u64 {
        decayed(self.average_us, now_us.saturating_sub(self.at_us), half_life)
    }

    /// Whether an answer was ever observed.
    pub(super) const fn is_known(&self) -> bool {
        self.at_us > 0
    }

    /// An answer began after so long.
    pub(super) fn observe(&mut self, now_us: u64, after_us: u64, half_life: Duration) {
        let before = self.average_us;
        let passed = now_us.saturating_sub(self.at_us);
        self.average_us = if after_us >= before {
            after_us
        } else {
            // What is above the new answer fades with the time since the last one.
            after_us.saturating_add(decayed(before.saturating_sub(after_us), passed, half_life))
        };
        self.at_us = now_us;
    }
}

/// What is left of a number after some time: halved in each half-life, and in a straight line between.
fn decayed(value: u64, passed_us: u64, half_life: Duration) -> u64 {
    let half = u64::try_from(half_life.as_micros()).unwrap_or(u64::MAX).max(1);
    let (whole, part) = (passed_us / half, passed_us % half);
    let left = value.checked_shr(u32::try_from(whole).unwrap_or(u32::MAX)).unwrap_or(0);
    let less = u128::from(left) * u128::from(part) / (2 * u128::from(half));
    left.saturating_sub(u64::try_from(less).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Duration = Duration::from_micros(100);

    #[test]
    fn it_rises_at_once_and_falls_by_half_in_each_half_life() {
        let mut latency = Latency::default();
        assert_eq!(latency.at(50, HALF), 0);
        latency.observe(0, 1_000, HALF);
        for (now, average) in [(0, 1_000), (50, 750), (100, 500), (150, 375), (200, 250), (20_000, 0)] {
            assert_eq!(latency.at(now, HALF), average, "{now}");
        }
        latency.observe(100, 200, HALF);
        assert_eq!(latency.at(100, HALF), 600, "half of what was above the new answer has faded");
        latency.observe(100, 5_000, HALF);
        assert_eq!(latency.at(100, HALF), 5_000);
    }
}
