//! What a call costs: a catalogue of dated prices, the exact cost of a usage, and a ceiling before the call.
//!
//! Nothing here does I/O, looks at a clock or uses a floating-point number: the moment a price is wanted for is
//! passed in, and the files of `prices/` are compiled in. A model without a price is not found, never free: price
//! zero is written down where it is meant.
#![deny(clippy::as_conversions, clippy::arithmetic_side_effects, clippy::float_arithmetic)]

mod catalog;
mod entry;
mod factor;
pub mod import;
mod listing;
mod meter;
mod prices;
mod read;
mod resale;
mod version;

pub use catalog::{Catalog, CatalogError, CatalogProblem, Schedule};
pub use entry::{NewEntry, Sheet, TierPrice, file_head};
pub use factor::Factor;
pub use listing::Change;
pub use meter::{Bounds, METERS, Meter, Per};
pub use prices::{PriceError, PriceSet, RoutePrice};
pub use resale::{Resale, ResaleError};
pub use version::{ModelKind, PriceVersion, UnknownRegion};

#[cfg(test)]
mod tests;
