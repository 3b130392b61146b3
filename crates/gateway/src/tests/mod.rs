//! Tests of the gateway, by subject: whole calls from a caller's bytes to the books, with a provider on the loopback.

mod allowance;
mod contract;
mod decisions;
mod denial;
mod effective;
mod house;
mod in_flight;
mod refusals;

pub(crate) use contract::contract;
