//! Members, their consents and the audit log, as typed.

use clap::{Args, Subcommand};
use domain::{AuditId, ConsentId, OrganizationId, UserId};

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

/// What `consents` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum ConsentsCommand {
    /// List what members agreed to, newest first: one's own; for owners, admins and the operator everybody's
    List(ConsentsListArgs),
    /// End a consent for good, and the app's key with it
    Revoke(ConsentsRevokeArgs),
}

/// Arguments of `consents list`.
#[derive(Debug, Args)]
pub(crate) struct ConsentsListArgs {
    /// The organization
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    /// Those of this member alone
    #[arg(long, value_name = "ID")]
    pub(crate) user: Option<UserId>,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `consents revoke`.
#[derive(Debug, Args)]
pub(crate) struct ConsentsRevokeArgs {
    /// The consent
    pub(crate) consent: ConsentId,

    /// The organization
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    #[command(flatten)]
    pub(crate) confirm: ConfirmArgs,

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
