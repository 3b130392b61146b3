//! Pools and programmes, as typed.

use clap::{Args, Subcommand};
use domain::OrganizationId;

use super::GatewayArgs;

/// What `pools` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum PoolsCommand {
    /// Show free requests, complimentary tokens and calls without a fee: what is left, and what the rest will cost
    List(PoolsListArgs),
    /// Join a programme: prompts and answers of public projects are shared with its provider, for complimentary tokens
    ///
    /// For an owner of the organization, or the operator; the audit log says who did it. Projects that carry internal or
    /// sensitive data are never served under it.
    Join(PoolArgs),
    /// Leave a programme
    Leave(PoolArgs),
}

/// Arguments of `pools list`.
#[derive(Debug, Args)]
pub(crate) struct PoolsListArgs {
    /// The organization
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `pools join` and `pools leave`.
#[derive(Debug, Args)]
pub(crate) struct PoolArgs {
    /// The programme, by its name in the configuration
    pub(crate) programme: String,

    /// The organization
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}
