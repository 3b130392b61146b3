//! Budgets and events, as typed.

use clap::{Args, Subcommand};
use domain::{BudgetId, Money, OrganizationId};

use super::credits::OnceArgs;
use super::{GatewayArgs, PageArgs};

/// What `budgets` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum BudgetsCommand {
    /// Make a budget, or change the caps of one
    ///
    /// Without --id a new one is made of what --of, --which and --period say. With it that budget gets the caps,
    /// thresholds and hardness given here, and keeps the others, and what it counted.
    Set(BudgetsSetArgs),
    /// List an organization's budgets, how far each is used up, and when it starts anew
    List(BudgetsListArgs),
    /// End a budget
    Remove(BudgetsRemoveArgs),
}

/// Arguments of `budgets set`.
#[derive(Debug, Args)]
pub(crate) struct BudgetsSetArgs {
    /// The organization
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    /// The budget to change [default: make a new one]
    #[arg(long, value_name = "ID", conflicts_with_all = ["of", "which", "period", "zone"])]
    pub(crate) id: Option<BudgetId>,

    /// Whose calls it counts
    #[arg(
        long,
        value_parser = ["organization", "project", "key", "user", "feature", "environment", "run"],
        required_unless_present = "id"
    )]
    pub(crate) of: Option<String>,

    /// Which one alone: an id of a project or key, or a name [default: each has a budget of its own]
    #[arg(long, value_name = "ID|NAME")]
    pub(crate) which: Option<String>,

    /// How long it lasts before it starts anew; total never does
    #[arg(
        long,
        value_parser = ["daily", "weekly", "monthly", "total"],
        required_unless_present = "id"
    )]
    pub(crate) period: Option<String>,

    /// Where its days begin, such as Europe/Berlin [default: the organization's time zone]
    #[arg(long)]
    pub(crate) zone: Option<String>,

    /// The most that may be spent, such as 100.00
    #[arg(long, value_name = "AMOUNT", value_parser = cap, allow_negative_numbers = true)]
    pub(crate) cost: Option<Money>,

    /// The most tokens, input and output together
    #[arg(long, value_name = "N")]
    pub(crate) tokens: Option<u64>,

    /// The most calls
    #[arg(long, value_name = "N")]
    pub(crate) steps: Option<u64>,

    /// Only tell, never refuse a call
    #[arg(long, conflicts_with = "hard")]
    pub(crate) soft: bool,

    /// Refuse calls at the cap, which is what a new budget does
    #[arg(long)]
    pub(crate) hard: bool,

    /// Percentages of the cap at which an event tells, such as 50,80,100 [default for a new budget: these]
    #[arg(
        long,
        value_name = "PERCENT,…",
        value_delimiter = ',',
        value_parser = clap::value_parser!(u8).range(1..=100)
    )]
    pub(crate) thresholds: Option<Vec<u8>>,

    #[command(flatten)]
    pub(crate) once: OnceArgs,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `budgets list`.
#[derive(Debug, Args)]
pub(crate) struct BudgetsListArgs {
    /// The organization
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    /// Of a budget with a count for each project, user, … show so many that used it up the furthest
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) limit: u16,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `budgets remove`.
#[derive(Debug, Args)]
pub(crate) struct BudgetsRemoveArgs {
    /// The budget
    pub(crate) budget: BudgetId,

    /// The organization
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    #[command(flatten)]
    pub(crate) once: OnceArgs,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `events`.
#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// The organization
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    #[command(flatten)]
    pub(crate) page: PageArgs,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

fn cap(text: &str) -> Result<Money, String> {
    let amount: Money = text.parse().map_err(|error: domain::MoneyError| error.to_string())?;
    if amount.is_negative() { Err("a cap must not be below zero".to_owned()) } else { Ok(amount) }
}
