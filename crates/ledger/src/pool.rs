//! Pools: units that pay for a call before money does. Free requests of a day, complimentary tokens of a day, calls of
//! a month without a fee.
//!
//! A pool belongs to one organization and one period. What it is called, how much there is of it and when its period
//! began comes with the attempt that draws on it: the ledger counts what is used, and knows no programme.

use std::sync::Arc;

use domain::{Money, Pico, Timestamp};
use serde::{Deserialize, Serialize};

/// One period of one pool.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PoolKey {
    /// The pool's name.
    pub pool: Arc<str>,
    /// When the period began.
    pub start: Timestamp,
}

/// What was used of one period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolUse {
    /// Units that paid for attempts, or that attempts took when they were sent.
    pub used: u64,
    /// Units that live holds count on.
    pub held: u64,
}

/// So many units of one price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// How many.
    pub units: u64,
    /// What each costs in money, in pico-units; not below zero.
    pub unit_pico: i64,
}

/// What a pool pays for of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cover {
    /// The pool and its period.
    pub key: PoolKey,
    /// The units that the pool has in the period.
    pub cap: u64,
    /// Whether units are taken when the attempt begins, and the attempt is denied where there are none left. Of any
    /// other pool a settlement takes what there is, and money pays for the rest.
    pub strict: bool,
    /// What the attempt consumed that the pool may pay for, in the order in which it does. Empty once it is settled.
    pub parts: Vec<Part>,
    /// How many units the pool paid for: zero until it is settled.
    pub units: u64,
}

impl Cover {
    /// The units that the attempt consumed.
    pub fn wanted(&self) -> u64 {
        units_of(&self.parts)
    }
}

/// The units of these parts together.
pub(crate) fn units_of(parts: &[Part]) -> u64 {
    parts.iter().fold(0, |sum, part| sum.saturating_add(part.units))
}

/// What the first so many units of these parts cost in money.
pub(crate) fn worth(parts: &[Part], units: u64) -> Pico {
    let mut left = units;
    let mut sum = 0_i128;
    for part in parts {
        let covered = part.units.min(left);
        left = left.saturating_sub(covered);
        // Neither can be as large as an i128.
        sum = sum.saturating_add(i128::from(covered).saturating_mul(i128::from(part.unit_pico)));
    }
    Pico::new(sum)
}

/// The same in whole nano-units: rounded up when it is all of them, so that who has units for everything needs no money,
/// and down when money is needed beside them.
pub(crate) fn worth_in_money(parts: &[Part], units: u64) -> Money {
    const PICO_PER_NANO: i128 = 1_000;
    let exact = worth(parts, units);
    let rounded = if units >= units_of(parts) {
        exact.ceil_to_money()
    } else {
        i64::try_from(exact.get().div_euclid(PICO_PER_NANO)).ok().map(Money::from_nano)
    };
    // More than any amount can say is more than anybody asks for.
    rounded.unwrap_or(Money::MAX)
}
