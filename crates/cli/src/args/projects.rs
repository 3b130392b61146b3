//! Projects and keys, as typed.

use clap::{Args, Subcommand};
use domain::{KeyId, OrganizationId, ProjectId};

use super::GatewayArgs;
use super::credits::ConfirmArgs;

/// What `project` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum ProjectCommand {
    /// Make a project of an organization
    Create(ProjectCreateArgs),
    /// Change a project's name, environment, data class, models, what follows a grant, or use of provider keys
    Update(ProjectUpdateArgs),
    /// List an organization's projects, the archived ones too
    List(ProjectListArgs),
    /// Close a project for calls, for good
    Archive(ProjectArchiveArgs),
}

/// Arguments of `project create`.
#[derive(Debug, Args)]
pub(crate) struct ProjectCreateArgs {
    /// What to call it
    pub(crate) name: String,

    /// The organization that pays
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    /// What its traffic is for
    #[arg(long, value_parser = ["dev", "staging", "prod"], default_value = "dev")]
    pub(crate) environment: String,

    /// What its prompts may contain
    #[arg(long, value_parser = ["public", "internal", "sensitive"], default_value = "internal")]
    pub(crate) data_class: String,

    /// What pays for its calls when no grant can: nothing, or the organization's other credit
    #[arg(long, value_parser = ["stop", "paid"])]
    pub(crate) after_grant: Option<String>,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `project update`.
#[derive(Debug, Args)]
pub(crate) struct ProjectUpdateArgs {
    /// The project
    pub(crate) project: ProjectId,

    /// What to call it from now on
    #[arg(
        long,
        required_unless_present_any = [
            "environment", "data_class", "after_grant", "models", "byok", "byok_fallback",
        ]
    )]
    pub(crate) name: Option<String>,

    /// What its traffic is for
    #[arg(long, value_parser = ["dev", "staging", "prod"])]
    pub(crate) environment: Option<String>,

    /// What its prompts may contain
    #[arg(long, value_parser = ["public", "internal", "sensitive"])]
    pub(crate) data_class: Option<String>,

    /// What pays for its calls when no grant can: nothing, or the organization's other credit
    #[arg(long, value_parser = ["stop", "paid"])]
    pub(crate) after_grant: Option<String>,

    /// The only models that it may call, such as gpt-5*,o3; all takes the list away
    #[arg(long, value_name = "NAME,…|all", value_delimiter = ',')]
    pub(crate) models: Option<Vec<String>>,

    /// Whether its calls use the provider keys that its organization brought: not, before the gateway's, or alone
    #[arg(long, value_parser = ["off", "first", "only"])]
    pub(crate) byok: Option<String>,

    /// Whether a call by a brought key may go on with the gateway's where that fails
    #[arg(long, value_name = "true|false")]
    pub(crate) byok_fallback: Option<bool>,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `project list`.
#[derive(Debug, Args)]
pub(crate) struct ProjectListArgs {
    /// The organization
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `project archive`.
#[derive(Debug, Args)]
pub(crate) struct ProjectArchiveArgs {
    /// The project
    pub(crate) project: ProjectId,

    #[command(flatten)]
    pub(crate) confirm: ConfirmArgs,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// What `keys` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key of a project; its secret is shown this once
    Create(KeysCreateArgs),
    /// List a project's keys, the revoked ones too
    List(KeysListArgs),
    /// Show one key, without its secret
    Show(KeysShowArgs),
    /// Change a key's name, expiry or bounds, or disable it
    Update(KeysUpdateArgs),
    /// Give a key another secret, shown this once; credit and limits stay as they are
    Rotate(KeysRotateArgs),
    /// End a key for good
    Revoke(KeysRevokeArgs),
    /// Print the line by which a list of published keys knows a key; the key is read from standard input
    ///
    /// The line is the key's SHA-256, for the file that `access.published_keys` of the configuration names. It works for any
    /// provider's key, asks no gateway, and shows nothing of the key.
    Hash,
}

/// Arguments of `keys create`.
#[derive(Debug, Args)]
pub(crate) struct KeysCreateArgs {
    /// The project that the key calls for
    #[arg(long, value_name = "ID")]
    pub(crate) project: ProjectId,

    /// What to call it
    #[arg(long)]
    pub(crate) name: Option<String>,

    /// The member or service account that it belongs to [default: the project's service account `default`]
    #[arg(long, value_name = "ID")]
    pub(crate) owner: Option<String>,

    /// When it expires, such as 2027-01-31T00:00:00Z [default: never]
    #[arg(long, value_name = "TIME")]
    pub(crate) expires: Option<String>,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `keys list`.
#[derive(Debug, Args)]
pub(crate) struct KeysListArgs {
    /// The project
    #[arg(long, value_name = "ID")]
    pub(crate) project: ProjectId,

    /// How many keys at most
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) limit: u16,

    /// Only keys made after this one
    #[arg(long, value_name = "ID")]
    pub(crate) after: Option<KeyId>,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `keys show`.
#[derive(Debug, Args)]
pub(crate) struct KeysShowArgs {
    /// The key
    pub(crate) key: KeyId,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `keys update`.
#[derive(Debug, Args)]
pub(crate) struct KeysUpdateArgs {
    /// The key
    pub(crate) key: KeyId,

    /// What to call it from now on
    #[arg(
        long,
        required_unless_present_any = ["expires", "disable", "enable", "endpoints", "models", "networks"]
    )]
    pub(crate) name: Option<String>,

    /// When it expires, such as 2027-01-31T00:00:00Z
    #[arg(long, value_name = "TIME|never")]
    pub(crate) expires: Option<String>,

    /// Refuse it until further notice
    #[arg(long, conflicts_with = "enable")]
    pub(crate) disable: bool,

    /// Take it again
    #[arg(long)]
    pub(crate) enable: bool,

    /// The only endpoints that it may call: chat_completions, responses, embeddings, moderations, images, audio, messages, models
    #[arg(long, value_name = "NAME,…|all", value_delimiter = ',')]
    pub(crate) endpoints: Option<Vec<String>>,

    /// The only models that it may call, such as gpt-5*,o3
    #[arg(long, value_name = "NAME,…|all", value_delimiter = ',')]
    pub(crate) models: Option<Vec<String>>,

    /// The only networks that it may be used from, such as 10.0.0.0/8
    #[arg(long, value_name = "NETWORK,…|all", value_delimiter = ',')]
    pub(crate) networks: Option<Vec<String>>,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `keys rotate`.
#[derive(Debug, Args)]
pub(crate) struct KeysRotateArgs {
    /// The key
    pub(crate) key: KeyId,

    /// How long the old secret goes on working
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
    pub(crate) grace_seconds: i64,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `keys revoke`.
#[derive(Debug, Args)]
pub(crate) struct KeysRevokeArgs {
    /// The key
    pub(crate) key: KeyId,

    #[command(flatten)]
    pub(crate) confirm: ConfirmArgs,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}
