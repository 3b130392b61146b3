//! Wallets, holds, settlement, budgets: the money rules, and nothing else.
//!
//! The rules are pure: [`apply`] takes the books of one organization, a command, what it must know of the past, and the
//! time, and answers with what changed. Stores only load and save what it decides. The crate knows no prices, no HTTP
//! and no SQL.
//!
//! In reading order: [`Lot`], [`Wallet`], [`Budget`], [`Cover`] and [`Books`] (the state), [`Command`], [`Reply`] and [`Denial`]
//! (the vocabulary), [`Past`], the rules, [`Entry`] (what is booked) and [`Event`] (what is told), [`Invariant`] (what
//! must always hold), [`LedgerStore`] (the port), [`CostRow`] (what an attempt cost), [`MemoryLedger`] (the port in
//! memory).
#![deny(clippy::as_conversions, clippy::arithmetic_side_effects, clippy::float_arithmetic)]

mod books;
mod budget;
mod command;
#[cfg(feature = "conformance")]
pub mod conformance;
mod event;
mod invariant;
mod journal;
mod lot;
mod memory;
mod past;
mod period;
mod pool;
mod port;
mod promo;
mod receipt;
mod replay;
mod rules;
mod wallet;

pub use books::{Books, Hold, Share};
pub use budget::{Budget, BudgetBound, Caps, Consumption, Measure, Subject, Tag, Use, UseKey};
pub use command::{
    Act, Booking, Command, Denial, Extension, Grant, HoldRequest, Idempotency, NextAttempt, Note, PromoFault,
    Reply, Settled,
};
pub use event::{Event, EventKind};
pub use invariant::{Breach, Invariant};
pub use journal::{Account, Draw, Entry, EntryKind, Leg, LegsError};
pub use lot::{Lot, LotKind};
pub use memory::MemoryLedger;
pub use past::{Charged, Past};
pub use period::{Period, Span};
pub use pool::{Cover, Part, PoolKey, PoolUse};
pub use port::{LedgerAnswer, LedgerError, LedgerStore, Outbox, Postbox, ReplySender, Ticket};
pub use promo::PromoCode;
pub use receipt::{AttemptStatus, Attribution, CostRow};
pub use replay::{Replayed, ReplayedLot, replay};
pub use rules::{Changes, apply, expire, issue};
pub use wallet::{Purpose, Wallet};
