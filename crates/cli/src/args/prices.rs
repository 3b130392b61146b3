//! What can be typed of prices.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use domain::Timestamp;

/// What `prices` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum PricesCommand {
    /// List the prices that hold at a moment
    List(PricesListArgs),

    /// Show everything about the price of one model
    Show(PricesShowArgs),

    /// List the versions of a model's price, with what each changed
    History(PricesHistoryArgs),

    /// Compare two sets of prices, model by model and field by field: old > new
    ///
    /// With one file, the prices that are known without it are the old ones. Exit code 6 when something differs.
    Diff(PricesDiffArgs),

    /// Write a new version of a model's price, with the day from which it holds
    ///
    /// The version is appended to a price file; those before it stay as they are, for bills name them. Each VALUE is a
    /// text as in price files: per million tokens, under per_... of one. Beside prices there are tiers.NAME and
    /// regions.NAME (multiples such as 0.5), above.N.PRICE (of inputs longer than N tokens), context and max_output.
    /// What is not named stays as it was.
    Set(PricesSetArgs),

    /// Turn somebody else's price list into a price file
    ///
    /// Numbers are read exactly, from their text. What the list holds and a price file cannot say is told by name.
    Import(PricesImportArgs),
}

/// Which price files count beside the catalogue that is compiled in.
#[derive(Debug, Args)]
pub(crate) struct PriceFiles {
    /// Price file to take in besides those compiled in; may be given several times
    #[arg(long = "with", value_name = "FILE")]
    pub(crate) with: Vec<PathBuf>,
}

/// Arguments of `prices list`.
#[derive(Debug, Args)]
pub(crate) struct PricesListArgs {
    /// Only this provider's
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: Option<String>,

    /// The day or moment, such as 2027-01-31; without it the last that is known of each
    #[arg(long, value_name = "DATE")]
    pub(crate) at: Option<Timestamp>,

    #[command(flatten)]
    pub(crate) files: PriceFiles,
}

/// Arguments of `prices show`.
#[derive(Debug, Args)]
pub(crate) struct PricesShowArgs {
    /// Provider and model, such as openai/gpt-5.4
    pub(crate) model: String,

    /// The day or moment, such as 2027-01-31; without it the last that is known
    #[arg(long, value_name = "DATE")]
    pub(crate) at: Option<Timestamp>,

    #[command(flatten)]
    pub(crate) files: PriceFiles,
}

/// Arguments of `prices history`.
#[derive(Debug, Args)]
pub(crate) struct PricesHistoryArgs {
    /// Provider and model, such as gemini/gemini-4-argon
    pub(crate) model: String,

    #[command(flatten)]
    pub(crate) files: PriceFiles,
}

/// Arguments of `prices diff`.
#[derive(Debug, Args)]
pub(crate) struct PricesDiffArgs {
    /// Price file with the new prices; with a second file, the one with the old
    pub(crate) file: PathBuf,

    /// Price file with the new prices, where the first one holds the old
    pub(crate) other: Option<PathBuf>,
}

/// Arguments of `prices set`.
#[derive(Debug, Args)]
pub(crate) struct PricesSetArgs {
    /// Provider and model, such as openai/gpt-5.4
    pub(crate) model: String,

    /// What changes, such as input=3.00 or tiers.flex=0.5
    #[arg(required = true, value_name = "FIELD=VALUE")]
    pub(crate) values: Vec<String>,

    /// The day or moment from which it holds, such as 2027-01-31; later than every version there is
    #[arg(long, value_name = "DATE")]
    pub(crate) valid_from: String,

    /// Price file to append to; made when missing. Name it under `prices.files` in the configuration
    #[arg(long, value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// Whose list is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PricesSource {
    /// LiteLLM's model_prices_and_context_window.json
    Litellm,
    /// models.dev's api.json
    #[value(name = "models.dev")]
    ModelsDev,
    /// OpenRouter's answer to GET /api/v1/models
    Openrouter,
}

/// Arguments of `prices import`.
#[derive(Debug, Args)]
pub(crate) struct PricesImportArgs {
    /// Whose list it is
    #[arg(long, value_name = "SOURCE")]
    pub(crate) from: PricesSource,

    /// The list, as it was downloaded
    pub(crate) list: PathBuf,

    /// Which of the list's providers; OpenRouter's list has one
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: Option<String>,

    /// Name of the provider in the configuration, where it is another one
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) named: Option<String>,

    /// The day or moment from which the prices hold, such as 2027-01-31
    #[arg(long, value_name = "DATE")]
    pub(crate) valid_from: String,

    /// Price file to write; an existing one is never overwritten
    #[arg(long, value_name = "FILE")]
    pub(crate) to: PathBuf,
}
