//! The binary itself, run as a process.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod gateway;
mod harness;
mod mock;
mod operator;
mod prices;
