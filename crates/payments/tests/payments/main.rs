//! Payments from outside: what goes over the wire to a stand-in for Stripe, and what its webhooks mean.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails the test")]

mod harness;
mod stripe;
mod webhook;
