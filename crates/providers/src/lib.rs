//! Providers: where upstream calls go, with whose credential, and how they fail.
//!
//! The crate knows URLs, credentials, connections and time-outs, and which API each kind of provider has. It knows
//! neither money nor what is in a body.

mod client;
mod connect;
mod failure;
mod kind;
mod parts;
mod provider;
mod service_account;
mod signature;
mod tokens;
mod vertex;

pub use client::{Client, Timeouts, Upstream};
pub use failure::TransportFailure;
pub use kind::{KINDS, Kind};
pub use parts::PartsBody;
pub use provider::{Provider, ProviderError};
pub use service_account::{ServiceAccount, ServiceAccountError};
pub use signature::AccessKey;
pub use tokens::{METADATA_HOST, TokenFailure, TokenSource};
