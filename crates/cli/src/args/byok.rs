//! Provider keys that an organization brings, and the vault they are kept in, as typed. A secret is never an argument.

use clap::{Args, Subcommand};
use domain::{OrganizationId, ProjectId, ProviderKeyId};

use super::GatewayArgs;
use super::credits::ConfirmArgs;

/// What `byok` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum ByokCommand {
    /// Bring a key at a provider; its secret is read from standard input, and the provider is asked whether it takes it
    ///
    /// A project uses it once `tollkeeper project update PROJECT --byok first` (or only) says so.
    Add(ByokAddArgs),
    /// List the keys that an organization brought, without their secrets
    List(ByokListArgs),
    /// Ask the provider whether it takes a key
    Test(ByokKeyArgs),
    /// Use a key again
    Enable(ByokKeyArgs),
    /// Leave a key unused until further notice
    Disable(ByokKeyArgs),
    /// Forget a key and its secret
    Remove(ByokRemoveArgs),
}

/// Arguments of `byok add`.
#[derive(Debug, Args)]
pub(crate) struct ByokAddArgs {
    /// The organization that brings it
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    /// The provider's name in the gateway's configuration
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: String,

    /// What to call it [default: the provider's name]
    #[arg(long, value_name = "TEXT")]
    pub(crate) label: Option<String>,

    /// The one project that it is for [default: all of the organization's]
    #[arg(long, value_name = "ID")]
    pub(crate) project: Option<ProjectId>,

    /// Where the secret is [default: standard input]
    #[arg(long, value_name = "env:NAME|file:PATH")]
    pub(crate) from: Option<String>,

    /// Keep it even if the provider does not take it or cannot be asked
    #[arg(long)]
    pub(crate) untested: bool,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `byok list`.
#[derive(Debug, Args)]
pub(crate) struct ByokListArgs {
    /// The organization
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of what is done with one key.
#[derive(Debug, Args)]
pub(crate) struct ByokKeyArgs {
    /// The key
    pub(crate) key: ProviderKeyId,

    /// The organization that brought it
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `byok remove`.
#[derive(Debug, Args)]
pub(crate) struct ByokRemoveArgs {
    #[command(flatten)]
    pub(crate) key: ByokKeyArgs,

    #[command(flatten)]
    pub(crate) confirm: ConfirmArgs,
}

/// What `vault` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum VaultCommand {
    /// Show which master keys there are, and which brought keys none of them opens
    Status(VaultArgs),
    /// Read the master keys again, and seal every brought key by the first of them; calls go on meanwhile
    Rotate(VaultArgs),
}

/// Arguments of `vault`'s commands.
#[derive(Debug, Args)]
pub(crate) struct VaultArgs {
    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}
