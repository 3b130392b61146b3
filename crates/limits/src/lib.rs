//! Rate limits: how much of something may be used in any span of time, in a day, or at a time.
//!
//! Arithmetic on counts, on a clock that never steps and on the numbers of days; `docs/limits.md` has the rules. It knows
//! neither who is limited nor what a bucket stands for, and nothing of HTTP, money or storage: whoever asks names its
//! buckets by hashes and brings the limits along. Nothing here waits (but for another thread's short look at the same
//! table), reads a clock or a calendar, or decides by chance.
#![deny(clippy::as_conversions, clippy::arithmetic_side_effects, clippy::float_arithmetic)]

mod counter;
mod day;
mod histogram;
mod learned;
mod limit;
mod limiter;
mod measure;
mod meter;
mod name;
mod slot;
mod table;
mod window;

pub use counter::When;
pub use learned::{Learned, Pair};
pub use limit::{EXACT_MOST, Limit, SpanError};
pub use limiter::{Bound, Cap, Limiter, Standing};
pub use measure::{Measure, MeasureError, Need, Period};
pub use meter::{Meter, Reading, Taken};
pub use name::Bucket;
pub use slot::Slot;
