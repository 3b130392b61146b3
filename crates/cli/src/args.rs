//! What can be typed: every command, its arguments and the help that a newcomer reads.

mod budgets;
mod byok;
mod credits;
mod limits;
mod organizations;
mod people;
mod pools;
mod prices;
mod projects;
mod route;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use domain::{OrganizationId, RequestId};

use crate::client::GatewayUrl;

pub(crate) use budgets::{BudgetsCommand, BudgetsListArgs, BudgetsRemoveArgs, BudgetsSetArgs, EventsArgs};
pub(crate) use byok::{ByokAddArgs, ByokCommand, VaultCommand};
pub(crate) use credits::{
    CreditsAdjustArgs, CreditsBalanceArgs, CreditsCommand, CreditsGrantArgs, CreditsLedgerArgs,
    CreditsPayoutArgs, CreditsRedeemArgs, CreditsRefundArgs, CreditsStatementArgs, CreditsTransferArgs,
    OnceArgs, PromoCommand, PromoCreateArgs, WalletName, WalletsCommand, WalletsCreateArgs, WalletsListArgs,
};
pub(crate) use limits::{LimitsCommand, LimitsSetArgs, LimitsShowArgs};
pub(crate) use organizations::{OrgCommand, OrgUpdateArgs};
pub(crate) use people::{AuditArgs, ConsentsCommand, MembersCommand};
pub(crate) use pools::{PoolArgs, PoolsCommand};
pub(crate) use prices::{
    PriceFiles, PricesCommand, PricesDiffArgs, PricesHistoryArgs, PricesImportArgs, PricesListArgs,
    PricesSetArgs, PricesShowArgs, PricesSource,
};
pub(crate) use projects::{KeysCommand, KeysCreateArgs, KeysUpdateArgs, ProjectCommand, ProjectUpdateArgs};
pub(crate) use route::{RouteAdviseArgs, RouteCommand, RouteExplainArgs, Said};

/// Where a gateway listens unless told otherwise.
const DEFAULT_LISTEN: &str = "127.0.0.1:4400";

const AFTER_HELP: &str = "\
To look around without any account or key of a provider:  tollkeeper demo

Data goes to standard output, everything else to standard error. Without a terminal, or with --json, data is JSON.
Exit codes: 0 ok, 1 failure, 2 usage, 4 not authorised, 5 not found, 6 findings, 7 no credit.";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "tollkeeper",
    version,
    about = "A gateway to language models that knows who pays",
    after_help = AFTER_HELP,
    arg_required_else_help = true,
    propagate_version = true
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Print data as JSON, one object a line (the default when standard output is no terminal)
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// The commands, in the order in which a newcomer meets them.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Try it: a gateway with a simulated provider, a key and 5.00 of credit
    ///
    /// Starts on embedded storage and prints a base URL, a key and a curl line that works as pasted. Providers whose
    /// usual variable is set (such as OPENAI_API_KEY) are offered besides the simulated one. Ctrl-C ends it; the next
    /// start finds its data again.
    Demo(DemoArgs),

    /// Write a commented configuration file to start from
    Init(InitArgs),

    /// Run the gateway
    ///
    /// Ctrl-C or SIGTERM drains: no new calls are taken, running streams end, holds settle. The operator's key is
    /// taken from TOLLKEEPER_OPERATOR_KEY on the first start, or made, printed once and kept in DIR/operator.key.
    Serve(ServeArgs),

    /// Work with the configuration file
    #[command(subcommand)]
    Config(ConfigCommand),

    /// Say what is wrong with an installation or with a key, and how to mend it
    ///
    /// With --data it looks at the configuration, the store, every provider's reachability and the balances. With a key
    /// it walks every layer that the key's calls pass on a running gateway, makes the smallest safe call, and checks
    /// that the cost landed where it should; TOLLKEEPER_OPERATOR_KEY lets it see more. Makes no call that costs real
    /// money unless --live is given. Exit code 6 when something is found.
    Doctor(DoctorArgs),

    /// Check every rule of the ledger on the stored data
    ///
    /// Recomputes balances from the journal, follows its hash chain and compares every table with it. Changes
    /// nothing, and may run beside a running gateway. Exit code 6 when a rule is broken.
    Verify(VerifyArgs),

    /// Let an organization's frozen books go on
    ///
    /// Books freeze when a rule of the ledger breaks. No gateway may be running on the folder, and every rule must hold
    /// again: this mends nothing. Exit code 6 when a rule is broken.
    Unfreeze(UnfreezeArgs),

    /// Copy the books of a gateway, which may be running, into one checked file
    ///
    /// The copy is of one moment and is verified before it gets its name. It holds no secrets: key.pepper and
    /// operator.key of the data folder are kept elsewhere. Exit code 6 when a rule of the ledger is broken.
    Backup(BackupArgs),

    /// Put a backup in place, after checking everything in it
    ///
    /// No gateway may be running on the folder. What was called and booked after the backup is not in it. Exit code 6
    /// when the file is no backup, is damaged or breaks a rule of the ledger.
    Restore(RestoreArgs),

    /// Work with organizations, the owners of credit
    #[command(subcommand)]
    Org(OrgCommand),

    /// Work with projects, the parts of an organization that calls are made for
    #[command(subcommand)]
    Project(ProjectCommand),

    /// Work with keys, the credentials of a project
    #[command(subcommand)]
    Keys(KeysCommand),

    /// Work with the people of an organization
    #[command(subcommand)]
    Members(MembersCommand),

    /// See and end what members agreed to: apps that call at their expense
    #[command(subcommand)]
    Consents(ConsentsCommand),

    /// Work with keys at providers that an organization brings, and pays there itself
    #[command(subcommand)]
    Byok(ByokCommand),

    /// Work with the vault that brought keys are kept in
    #[command(subcommand)]
    Vault(VaultCommand),

    /// Work with rate limits, and see everything that limits a key
    #[command(subcommand)]
    Limits(LimitsCommand),

    /// See what pays before money does, and join or leave programmes of complimentary tokens
    #[command(subcommand)]
    Pools(PoolsCommand),

    /// Look at routes: where the calls of a model go
    #[command(subcommand)]
    Route(RouteCommand),

    /// Read who changed what of an organization, from where, newest first
    Audit(AuditArgs),

    /// Work with an organization's wallets: its own, and those for one project or for some models
    #[command(subcommand)]
    Wallets(WalletsCommand),

    /// Work with an organization's credit
    #[command(subcommand)]
    Credits(CreditsCommand),

    /// Work with promo codes, which give credit to whoever names them
    #[command(subcommand)]
    Promo(PromoCommand),

    /// Work with budgets, which cap what is consumed in a period
    #[command(subcommand)]
    Budgets(BudgetsCommand),

    /// List what an organization should hear of, newest first: budgets near their caps, credit near its expiry, debt
    Events(EventsArgs),

    /// See what was called and what it cost
    #[command(subcommand)]
    Usage(UsageCommand),

    /// Say everything about one request: which layers let it pass, what stopped it or which route it took, its cost
    ///
    /// Shows what was decided as it was recorded then, with the value that each layer saw; `explain` in the
    /// configuration says for how long that is kept.
    Explain(ExplainArgs),

    /// Work with the price catalogue: what is compiled in, and the operator's own files
    #[command(subcommand)]
    Prices(PricesCommand),

    /// Count tokens as models do
    #[command(subcommand)]
    Tokens(TokensCommand),

    /// Run a simulated provider, for tests and measurements
    ///
    /// Speaks OpenAI's chat completions, embeddings and models and Anthropic's messages under /v1 and accepts any key.
    /// One request overrides the behaviour by the name of its model, such as `sim-small?fault=hang`, or by the header
    /// x-mock.
    Mock(MockArgs),
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Folder that keeps the demo's data; made when missing
    #[arg(long, value_name = "DIR", default_value = "demo-data")]
    pub(crate) data: PathBuf,

    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = DEFAULT_LISTEN)]
    pub(crate) listen: SocketAddr,
}

/// Arguments of `init`.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// File to write; an existing one is never overwritten
    #[arg(value_name = "FILE", default_value = "tollkeeper.toml")]
    pub(crate) file: PathBuf,
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Folder that keeps the database and the operator's key; made when missing
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,

    /// Configuration file (`tollkeeper init` writes one); without it, every provider whose usual variable is set is
    /// offered
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Address and port to listen on, in place of the configuration's; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
}

/// What `config` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Read the configuration and list every mistake in it
    Check(ConfigCheckArgs),
}

/// Arguments of `config check`.
#[derive(Debug, Args)]
pub(crate) struct ConfigCheckArgs {
    /// Configuration file; without it, what `serve` would run on without one
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Folder of the gateway's data
    #[arg(long, value_name = "DIR", required_unless_present_any = ["key", "key_file"])]
    pub(crate) data: Option<PathBuf>,

    /// Configuration file, as given to `serve`
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Make one minimal call to each provider besides, and with a key one of the model; it costs a fraction of a cent
    #[arg(long)]
    pub(crate) live: bool,

    /// Key of a project to walk with; in the list of processes others can see it, so rather set TOLLKEEPER_KEY or give
    /// a file
    #[arg(long, value_name = "KEY", env = "TOLLKEEPER_KEY", hide_env_values = true)]
    pub(crate) key: Option<KeyText>,

    /// File that holds the key and nothing else
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,

    /// Model to call; without it the cheapest that the key may call and that costs nothing real
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// A secret that was typed. It is never shown.
#[derive(Clone)]
pub(crate) struct KeyText(pub(crate) String);

impl From<&str> for KeyText {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl std::fmt::Debug for KeyText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyText(…)")
    }
}

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Folder of the gateway's data
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
}

/// Arguments of `unfreeze`.
#[derive(Debug, Args)]
pub(crate) struct UnfreezeArgs {
    /// Folder of the gateway's data
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,

    /// The organization
    #[arg(long, value_name = "ID")]
    pub(crate) org: domain::OrganizationId,
}

/// Arguments of `backup`.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// Folder of the gateway's data
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,

    /// File to write, outside the data folder
    #[arg(long, value_name = "FILE")]
    pub(crate) to: PathBuf,

    /// Replace the file if it exists
    #[arg(long)]
    pub(crate) force: bool,
}

/// Arguments of `restore`.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// File that `tollkeeper backup` wrote
    #[arg(long, value_name = "FILE")]
    pub(crate) from: PathBuf,

    /// Folder to restore into; made when missing
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,

    /// Move the database that is there aside
    #[arg(long)]
    pub(crate) force: bool,
}

/// Where a client command finds its gateway. Its key comes from the environment alone: an argument would show in the
/// list of processes.
#[derive(Debug, Args)]
pub(crate) struct GatewayArgs {
    /// Address of the gateway; the operator's key is read from TOLLKEEPER_OPERATOR_KEY
    #[arg(long, value_name = "URL", env = "TOLLKEEPER_URL", default_value = "http://127.0.0.1:4400")]
    pub(crate) url: GatewayUrl,
}

/// Which part of a long list to show.
#[derive(Debug, Args)]
pub(crate) struct PageArgs {
    /// How many rows at most
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) limit: u16,

    /// Only rows older than the one of this number
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(1..))]
    pub(crate) before: Option<i64>,
}

/// What `usage` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum UsageCommand {
    /// List cost rows, newest first: one for every attempt, failed ones included
    List(UsageListArgs),
}

/// Arguments of `usage list`.
#[derive(Debug, Args)]
pub(crate) struct UsageListArgs {
    /// The organization
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    /// How many rows at most
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) limit: u16,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The request, as named by the header x-request-id of its answer
    pub(crate) request_id: RequestId,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// What `tokens` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum TokensCommand {
    /// Count the tokens of a text
    ///
    /// Exact for OpenAI's models. For those of other makers the count is an approximation by one of OpenAI's encodings,
    /// and the output says so.
    Count(TokensCountArgs),
}

/// Arguments of `tokens count`.
#[derive(Debug, Args)]
pub(crate) struct TokensCountArgs {
    /// The text; without it and --file, what comes on standard input
    pub(crate) text: Option<String>,

    /// File that holds the text, all of it
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    pub(crate) file: Option<PathBuf>,

    /// Model whose tokens to count
    #[arg(long, value_name = "NAME", default_value = "gpt-4o")]
    pub(crate) model: String,
}

/// Arguments of `mock`.
#[derive(Debug, Args)]
pub(crate) struct MockArgs {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4401")]
    pub(crate) listen: SocketAddr,

    /// File to append one JSON line a call to, with what a real provider would have billed
    #[arg(long, value_name = "FILE")]
    pub(crate) truth_log: Option<PathBuf>,

    /// Threads that serve connections
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) threads: u8,

    /// How to answer unless a request says otherwise: key=value pairs separated by `;`
    ///
    /// Pace: latency_ms, ttft_ms, tps. Sizes in tokens: in, out, reasoning, chunk (a stream's event), cached (percent
    /// of the prompt); split (bytes a write). Faults: fault (429, quota, 500, 503, 401, 400, hang, hang_mid, close,
    /// close_mid, garbage, garbage_mid, error_mid, wrong_model, no_usage, no_done, slow_headers, empty), fail (percent
    /// of requests that meet it), after (tokens before one in mid-stream), retry_after (seconds).
    #[arg(long, value_name = "PAIRS", default_value = "", hide_default_value = true, value_parser = mock::Behaviour::parse)]
    pub(crate) behaviour: mock::Behaviour,
}
