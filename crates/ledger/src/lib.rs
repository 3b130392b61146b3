//! Wallets, lots, holds and settlement: the money rules, and nothing else.
//!
//! The rules are pure: [`apply`] takes a wallet, a command and the time, and answers with what changed. Stores only
//! load and save what it decides. The crate knows no prices, no HTTP and no SQL.
//!
//! In reading order: [`Lot`] and [`Wallet`] (the state), [`Command`], [`Reply`] and [`Denial`] (the vocabulary), the
//! rules, [`Entry`] (what is booked), [`Invariant`] (what must always hold), [`LedgerStore`] (the port), [`CostRow`]
//! (what an attempt cost), [`MemoryLedger`] (the port in memory).
#![deny(clippy::as_conversions, clippy::arithmetic_side_effects, clippy::float_arithmetic)]

mod command;
#[cfg(feature = "conformance")]
pub mod conformance;
mod invariant;
mod journal;
mod lot;
mod memory;
mod port;
mod receipt;
mod replay;
mod rules;
mod wallet;

pub use command::{Command, Denial, Grant, HoldRequest, Idempotency, Reply, Settled};
pub use invariant::{Breach, Invariant};
pub use journal::{Account, Draw, Entry, EntryKind, Leg, LegsError};
pub use lot::{Lot, LotKind};
pub use memory::MemoryLedger;
pub use port::{LedgerAnswer, LedgerError, LedgerStore, Outbox, Postbox, ReplySender, Ticket};
pub use receipt::{AttemptStatus, Attribution, CostRow};
pub use replay::{Replayed, ReplayedLot, replay};
pub use rules::{Changes, apply, expire};
pub use wallet::{Hold, Wallet};
