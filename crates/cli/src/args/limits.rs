//! Limits, as typed.

use clap::{Args, Subcommand};
use domain::KeyId;

use super::GatewayArgs;

/// What `limits` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum LimitsCommand {
    /// Show everything that limits a key now, whose limit each is, and which will refuse first
    ///
    /// A key without limits of its own is bound by those of its project, its organization and the organization's usage
    /// tier; all of them are shown with what is left.
    Show(LimitsShowArgs),
}

/// Arguments of `limits show`.
#[derive(Debug, Args)]
pub(crate) struct LimitsShowArgs {
    /// The key, by its id
    #[arg(long, value_name = "ID")]
    pub(crate) key: KeyId,

    /// An end user, as calls name them: shows what is left for this one
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}
