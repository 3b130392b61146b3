//! Members, rate limits and the audit log, as typed.

use clap::{Args, Subcommand};
use domain::{AuditId, LimitId, OrganizationId, UserId};

use super::GatewayArgs;
use super::credits::ConfirmArgs;

/// What `members` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum MembersCommand {
    /// Add a member without an invitation, such as an organization's first owner
    Add(MembersAddArgs),
    /// List an organization's members
    List(MembersListArgs),
    /// Remove a member, which ends their keys
    Remove(MembersRemoveArgs),
    /// Make an administrator's key in a member's name; its secret is shown this once
    Key(MembersKeyArgs),
}

/// Arguments of `members add`.
#[derive(Debug, Args)]
pub(crate) struct MembersAddArgs {
    /// Where mail reaches them
    pub(crate) email: String,

    /// The organization
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    /// What they are called [default: their mail address]
    #[arg(long)]
    pub(crate) name: Option<String>,

    /// What they may do in the organization
    #[arg(long, value_parser = ["owner", "admin", "reader"], default_value = "reader")]
    pub(crate) role: String,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `members list`.
#[derive(Debug, Args)]
pub(crate) struct MembersListArgs {
    /// The organization
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `members remove`.
#[derive(Debug, Args)]
pub(crate) struct MembersRemoveArgs {
    /// The member
    pub(crate) user: UserId,

    /// The organization
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    #[command(flatten)]
    pub(crate) confirm: ConfirmArgs,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `members key`.
#[derive(Debug, Args)]
pub(crate) struct MembersKeyArgs {
    /// The member
    pub(crate) user: UserId,

    /// The organization
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    /// What to call the key
    #[arg(long)]
    pub(crate) name: Option<String>,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// What `limits` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum LimitsCommand {
    /// Set the rate limit of a subject and a model; it has these caps and no others from now on
    Set(LimitsSetArgs),
    /// List an organization's rate limits
    List(LimitsListArgs),
    /// End a rate limit
    Remove(LimitsRemoveArgs),
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

/// Arguments of `audit`.
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// The organization
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    /// Print all of it, a line of JSON each, instead of a page
    #[arg(long, conflicts_with_all = ["limit", "after"])]
    pub(crate) jsonl: bool,

    /// How many lines at most
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) limit: u16,

    /// Only lines older than this one
    #[arg(long, value_name = "ID")]
    pub(crate) after: Option<AuditId>,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}
