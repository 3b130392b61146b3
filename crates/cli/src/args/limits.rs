//! Limits, as typed.

use clap::{Args, Subcommand};
use domain::{KeyId, LimitId, OrganizationId};

use super::GatewayArgs;

/// What `limits` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum LimitsCommand {
    /// Set the rate limit of a subject and a model; it has these caps and no others from now on
    Set(LimitsSetArgs),
    /// List an organization's rate limits
    List(LimitsListArgs),
    /// End a rate limit
    Remove(LimitsRemoveArgs),
    /// Show everything that limits a key now, whose limit each is, and which will refuse first
    ///
    /// A key without limits of its own is bound by those of its project, its organization and the organization's usage
    /// tier; all of them are shown with what is left.
    Show(LimitsShowArgs),
}

/// Arguments of `limits set`.
#[derive(Debug, Args)]
pub(crate) struct LimitsSetArgs {
    /// The organization
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    /// Whose calls it counts
    #[arg(long, value_parser = ["organization", "project", "key", "user"], default_value = "organization")]
    pub(crate) of: String,

    /// Which one alone: an id of a project or key, or an end user's name [default: each one separately]
    #[arg(long, value_name = "ID|NAME")]
    pub(crate) which: Option<String>,

    /// For which models: a name, or the beginning of names and a `*`
    #[arg(long, value_name = "NAME", default_value = "*")]
    pub(crate) model: String,

    /// Requests in any minute
    #[arg(long, value_name = "N")]
    pub(crate) requests_per_minute: Option<u64>,

    /// Input and output tokens in any minute
    #[arg(long, value_name = "N")]
    pub(crate) tokens_per_minute: Option<u64>,

    /// Input tokens in any minute
    #[arg(long, value_name = "N")]
    pub(crate) input_tokens_per_minute: Option<u64>,

    /// Output tokens in any minute
    #[arg(long, value_name = "N")]
    pub(crate) output_tokens_per_minute: Option<u64>,

    /// Images in any minute
    #[arg(long, value_name = "N")]
    pub(crate) images_per_minute: Option<u64>,

    /// Requests on a day (UTC)
    #[arg(long, value_name = "N")]
    pub(crate) requests_per_day: Option<u64>,

    /// Input and output tokens on a day (UTC)
    #[arg(long, value_name = "N")]
    pub(crate) tokens_per_day: Option<u64>,

    /// Requests at once
    #[arg(long, value_name = "N")]
    pub(crate) concurrent_requests: Option<u64>,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `limits list`.
#[derive(Debug, Args)]
pub(crate) struct LimitsListArgs {
    /// The organization
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `limits remove`.
#[derive(Debug, Args)]
pub(crate) struct LimitsRemoveArgs {
    /// The rate limit
    pub(crate) limit: LimitId,

    /// The organization
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
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
