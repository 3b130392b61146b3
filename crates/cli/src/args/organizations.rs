//! Organizations, projects and keys, as typed.

use clap::{Args, Subcommand};
use domain::OrganizationId;

use super::GatewayArgs;

/// What `org` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum OrgCommand {
    /// Make an organization with an empty wallet
    Create(OrgCreateArgs),
    /// Change an organization's name, time zone, policy for running calls, country or verification
    Update(OrgUpdateArgs),
    /// List all organizations
    List(OrgListArgs),
    /// Show one organization
    Show(OrgShowArgs),
}

/// Arguments of `org create`.
#[derive(Debug, Args)]
pub(crate) struct OrgCreateArgs {
    /// What to call it
    pub(crate) name: String,

    /// Where its days begin, for budgets and statements, such as Europe/Berlin [default: UTC]
    #[arg(long, value_name = "ZONE")]
    pub(crate) time_zone: Option<String>,

    /// What becomes of running calls when the credit runs out: they complete, if need be into debt, or stop where the
    /// money ends [default: completes]
    #[arg(long, value_parser = ["completes", "stops"])]
    pub(crate) in_flight: Option<String>,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `org update`.
#[derive(Debug, Args)]
pub(crate) struct OrgUpdateArgs {
    /// The organization
    #[arg(value_name = "ORG")]
    pub(crate) org: OrganizationId,

    /// What to call it from now on
    #[arg(long, required_unless_present_any = ["time_zone", "in_flight", "country", "verified"])]
    pub(crate) name: Option<String>,

    /// Where its days and months begin; budgets that are made already keep the zone they were made with, statements of
    /// past months are made anew in this one
    #[arg(long, value_name = "ZONE")]
    pub(crate) time_zone: Option<String>,

    /// What becomes of running calls when the credit runs out; calls that run already go on as they began
    #[arg(long, value_parser = ["completes", "stops"])]
    pub(crate) in_flight: Option<String>,

    /// Where it is, by two letters such as DE, which some routes ask for; none takes the statement back
    #[arg(long, value_name = "CODE|none")]
    pub(crate) country: Option<String>,

    /// Whether somebody has verified who it is, which some models ask for
    #[arg(long, value_name = "BOOL")]
    pub(crate) verified: Option<bool>,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `org list`.
#[derive(Debug, Args)]
pub(crate) struct OrgListArgs {
    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `org show`.
#[derive(Debug, Args)]
pub(crate) struct OrgShowArgs {
    /// The organization
    #[arg(value_name = "ORG")]
    pub(crate) org: OrganizationId,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}
