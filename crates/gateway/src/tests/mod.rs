//! Tests of the gateway, by subject: whole calls from a caller's bytes to the books, with a provider on the loopback.

mod allowance;
mod audio;
mod charges;
mod contract;
mod decisions;
mod denial;
mod effective;
mod fallback;
mod hedge;
mod house;
mod images;
mod in_flight;
mod models;
mod paying;
mod precedence;
mod rates;
mod refusals;
mod routing;
mod scene;
mod shown;
mod stage;

pub(crate) use contract::contract;
