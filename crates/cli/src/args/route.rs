//! Routes, as typed.

use clap::{Args, Subcommand, ValueEnum};
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
    /// Say which way to a model suits you: free, direct, by a gateway, in batches
    ///
    /// From seven facts, given as options or asked for. Needs no gateway and sends nothing.
    Advise(RouteAdviseArgs),
}

/// An answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Said {
    Yes,
    No,
}

/// Arguments of `route advise`. What is left out is asked for.
#[derive(Debug, Args)]
pub(crate) struct RouteAdviseArgs {
    /// Whether it is a prototype
    #[arg(long, value_name = "YES|NO")]
    pub(crate) prototype: Option<Said>,

    /// How many calls a month
    #[arg(long, value_name = "NUMBER")]
    pub(crate) calls: Option<u64>,

    /// Whether strict compliance is asked for
    #[arg(long, value_name = "YES|NO")]
    pub(crate) strict_compliance: Option<Said>,

    /// Whether answers may come hours later
    #[arg(long, value_name = "YES|NO")]
    pub(crate) latency_flexible: Option<Said>,

    /// Whether there is an account at OpenAI with billing
    #[arg(long, value_name = "YES|NO")]
    pub(crate) openai_billing: Option<Said>,

    /// Whether it must be a model of OpenAI's
    #[arg(long, value_name = "YES|NO")]
    pub(crate) needs_openai_model: Option<Said>,

    /// Whether there is a card to pay with
    #[arg(long, value_name = "YES|NO")]
    pub(crate) card: Option<Said>,
}

impl RouteAdviseArgs {
    /// The options that were not given.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let said = [
            ("--prototype", self.prototype.is_some()),
            ("--calls", self.calls.is_some()),
            ("--strict-compliance", self.strict_compliance.is_some()),
            ("--latency-flexible", self.latency_flexible.is_some()),
            ("--openai-billing", self.openai_billing.is_some()),
            ("--needs-openai-model", self.needs_openai_model.is_some()),
            ("--card", self.card.is_some()),
        ];
        said.into_iter().filter(|(_, said)| !said).map(|(name, _)| name).collect()
    }
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
