//! Rate limits: how much of something may be used in any span of time.
//!
//! Arithmetic on counts and on a clock that never steps. It knows neither who is limited nor what is counted, and nothing
//! of HTTP or money: whoever asks names both. Nothing here waits, allocates by chance or reads a clock.
#![deny(clippy::as_conversions, clippy::arithmetic_side_effects, clippy::float_arithmetic)]

mod limit;
mod meter;
mod smooth;
mod window;

pub use limit::{EXACT_MOST, Limit, LimitError};
pub use meter::{Meter, Reading, Taken};
