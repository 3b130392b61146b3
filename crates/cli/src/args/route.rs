//! Routes, as typed.

use clap::{Args, Subcommand};
use domain::KeyId;

use super::GatewayArgs;

/// What `route` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum RouteCommand {
    /// Show where a call of a model would go now, and why
    ///
    /// Each target of its route with its place in the order, its price, its contract, and how it is: its circuit, its
    /// latency and what its provider says is left of our rate there. Nothing is called.
    Explain(RouteExplainArgs),
}

/// Arguments of `route explain`.
#[derive(Debug, Args)]
pub(crate) struct RouteExplainArgs {
    /// The model, as a caller asks for it
    #[arg(value_name = "MODEL")]
    pub(crate) model: String,

    /// The key that would call it: what its project's data, its environment and its organization's country allow
    #[arg(long, value_name = "ID")]
    pub(crate) key: Option<KeyId>,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}
