//! Tests of the gateway, by subject: whole calls from a caller's bytes to the books, with a provider on the loopback.

mod allowance;
mod audio;
mod charges;
mod consented;
mod contract;
mod decisions;
mod denial;
mod effective;
mod fallback;
mod hedge;
mod house;
mod images;
mod in_flight;
mod kept_keys;
mod models;
mod paying;
mod precedence;
mod rates;
mod refusals;
mod routing;
mod scene;
mod shown;
mod stage;
mod turning;

pub(crate) use contract::contract;
