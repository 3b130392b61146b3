//! The simulator: random commands and faults, given to the ledger's rules and to a model of them that was written
//! from `docs/ledger.md` alone; whatever comes of a command must be the same. A seed gives the same run for ever.
//!
//! It knows the ledger's vocabulary. Its model ([`model`]) must never know the ledger's rules.

pub mod campaign;
pub mod chaos;
mod compare;
pub mod model;
pub mod orders;
mod random;
pub mod run;
pub mod script;
pub mod seed;
pub mod shrink;
pub mod store;
pub mod tables;
pub mod tally;

pub use random::Random;
