//! The rules by example, worked out by hand.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a table that cannot be played fails its test"
)]

#[path = "../harness/mod.rs"]
mod harness;

mod bookings;
mod budgets;
mod calls;
mod flaws;
mod play;
mod pools;
mod wallets;
