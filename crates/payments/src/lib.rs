//! Payments: how money comes in from outside.
//!
//! The crate knows payment providers: their addresses, wire shapes, signatures and errors, and when a wallet should be
//! recharged. It must never know the ledger, SQL, the clock or the environment: it says "this payment was verified",
//! and a [`PaymentStore`] books the credit by the ledger's rules.
//!
//! # The life of a top-up
//! 1. A [`domain::TopUpId`] is stored as [`TopUpStatus::Pending`] *before* the provider hears of it.
//! 2. [`PaymentProvider::begin_checkout`] (a person pays) or [`PaymentProvider::charge_off_session`] (auto-recharge,
//!    when [`recharge::decide`] says so). The id is the idempotency key, so a retry after a crash charges once.
//! 3. Credit is granted only for what [`stripe::Webhook::verify`] returns, or for what the operator confirms
//!    ([`Manual`]); never for the answer of step 2, which anybody between us and the provider could have lost.
//! 4. [`stripe::Payment::payment`] is the once-for-ever key of the grant: several events tell of one payment, in any
//!    order and more than once, and all of them carry the same key.
#![deny(clippy::as_conversions, clippy::arithmetic_side_effects, clippy::float_arithmetic)]

mod cents;
mod failure;
mod manual;
mod payment_store;
mod port;
pub mod recharge;
pub mod stripe;
mod topup;

pub use cents::{Cents, CentsError};
pub use failure::PaymentError;
pub use manual::Manual;
pub use payment_store::{
    Alert, Begun, CallName, Credited, Ending, EventName, Kept, Limits, Notice, PaymentStore,
    PaymentStoreError, Receipt, Recharge, ReturnKind, Returned, Started, TopUp,
};
pub use port::{Answer, Charge, ChargeRequest, CheckoutRequest, CheckoutStarted, PaymentProvider};
pub use topup::{Purpose, TopUpStatus};
