//! The server: the only place that knows axum, the environment, the real clock, real chance and spawning.
//!
//! `serve.rs` wires everything and owns start and stop; `front.rs` says which path goes where; `admin.rs` is the
//! operator's API; `config` is what can be configured.

mod admin;
mod clock;
pub mod config;
mod doctor;
mod front;
mod log;
mod metrics;
mod patience;
mod secrets;
mod serve;
mod tasks;

pub use clock::{SystemClock, SystemIds};
pub use doctor::{DoctorOptions, Finding, doctor};
pub use log::start_logging;
pub use secrets::{OPERATOR_KEY, SecretsError};
pub use serve::{Options, Running, StartError, start};
pub use store::{Report, StoreError, verify};
