//! The generic cell rate algorithm, for limits too large for a list of uses: one number says when the meter will be
//! empty if nothing more is used. It drains at the limit's pace and refuses what would fill it beyond one span.
//!
//! The number counts microseconds times the limit, so that one use is exactly one span and nothing is ever rounded.

use crate::Limit;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Smooth {
    /// When it is empty, in microseconds times the limit.
    empty_at: u128,
}

/// A moment in the units of [`Smooth`].
fn scaled(limit: Limit, moment: u64) -> u128 {
    u128::from(moment).saturating_mul(u128::from(limit.most()))
}

/// So many uses in the units of [`Smooth`].
fn weight(limit: Limit, amount: u64) -> u128 {
    u128::from(amount).saturating_mul(u128::from(limit.span_micros()))
}

impl Smooth {
    /// What has not drained yet, rounded up to whole uses.
    pub(crate) fn used(&self, limit: Limit, now: u64) -> u64 {
        let level = self.empty_at.saturating_sub(scaled(limit, now));
        u64::try_from(level.div_ceil(u128::from(limit.span_micros()))).unwrap_or(u64::MAX)
    }

    /// Counts a use, beyond the limit too.
    pub(crate) fn add(&mut self, limit: Limit, now: u64, amount: u64) {
        let from = self.empty_at.max(scaled(limit, now));
        self.empty_at = from.saturating_add(weight(limit, amount));
    }

    /// Takes back a use. What has drained meanwhile cannot come back: it is never more than empty.
    pub(crate) fn take_back(&mut self, limit: Limit, now: u64, amount: u64) {
        let left = self.empty_at.saturating_sub(weight(limit, amount));
        self.empty_at = left.max(scaled(limit, now).min(self.empty_at));
    }

    /// Whether `amount` more fits.
    pub(crate) fn fits(&self, limit: Limit, now: u64, amount: u64) -> bool {
        let now = scaled(limit, now);
        let after = self.empty_at.max(now).saturating_add(weight(limit, amount));
        after.saturating_sub(now) <= weight(limit, limit.most())
    }

    /// The moment from which `amount` more fits; `None` when it never does.
    pub(crate) fn fits_at(&self, limit: Limit, now: u64, amount: u64) -> Option<u64> {
        let room = weight(limit, limit.most().checked_sub(amount)?);
        Some(moment(limit, self.empty_at.saturating_sub(room)).max(now))
    }

    /// The moment from which it is empty.
    pub(crate) fn empty_at(&self, limit: Limit, now: u64) -> u64 {
        moment(limit, self.empty_at).max(now)
    }
}

/// The first whole microsecond at or after a scaled moment.
fn moment(limit: Limit, scaled: u128) -> u64 {
    // Only limits above the exact ones come here, so never zero.
    let most = u128::from(limit.most().max(1));
    u64::try_from(scaled.div_ceil(most)).unwrap_or(u64::MAX)
}
