//! The server: the only place that knows axum, the environment, the real clock, real chance and spawning.
//!
//! `serve.rs` wires everything and owns start and stop; `front.rs` says which path goes where; `admin.rs` is the
//! administration and `organization.rs` the part of it that OpenAI's clients know; `sweeper.rs` does what time alone makes due; `user_pays.rs` is where users agree that apps call at
//! their expense; `config` is what can be configured.

mod address;
mod admin;
mod clock;
pub mod config;
mod contracts;
mod cross_origin;
mod decisions;
mod doctor;
mod front;
mod gemini;
mod housekeeper;
mod inventory;
mod keyring;
mod log;
mod metrics;
mod openrouter;
mod organization;
mod patience;
mod payments;
mod published;
mod secrets;
mod serve;
pub mod statement;
mod sweeper;
mod tasks;
mod user_pays;
mod vault;

pub use self::payments::PaymentSettings;
pub use clock::{SystemClock, SystemIds};
pub use decisions::{ExplainSettings, Recorded};
pub use directory::published_line;
pub use doctor::{DoctorOptions, Finding, doctor, key_text};
pub use log::start_logging;
pub use published::PublishedFile;
pub use secrets::{OPERATOR_KEY, SecretsError};
pub use serve::{Options, Running, StartError, start};
pub use store::{
    Backup, BackupError, Head, Report, Restored, StoreError, UnfreezeError, backup, restore, unfreeze, verify,
};
pub use sweeper::SweepSettings;
pub use user_pays::UserPaysSettings;
pub use vault::MasterKeys;
