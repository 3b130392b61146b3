//! Wallets, credit and promo codes, as typed.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};
use domain::{Money, OrganizationId, ProjectId, RequestId, Timestamp, WalletId};

use super::{GatewayArgs, PageArgs};
use crate::commands::{ConfirmTopUpArgs, RechargeCommand, TopUpArgs, TopUpsArgs};

/// A wallet as typed: its id, or `own` for the organization's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WalletName {
    /// The organization's own.
    Own,
    /// One by its id.
    Id(WalletId),
}

impl FromStr for WalletName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "own" {
            return Ok(Self::Own);
        }
        text.parse().map(Self::Id).map_err(|error: domain::IdError| format!("{error}; or write own"))
    }
}

impl fmt::Display for WalletName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("own"),
            Self::Id(id) => id.fmt(f),
        }
    }
}

/// How a call that moves money is kept from happening twice.
#[derive(Debug, Args)]
pub(crate) struct OnceArgs {
    /// Text that makes a repeated call count once: the same text and call get the first answer again [default: a fresh
    /// one, shown if the answer does not come]
    #[arg(long, value_name = "TEXT")]
    pub(crate) idempotency_key: Option<String>,
}

/// Leave to do what cannot be undone.
#[derive(Debug, Args)]
pub(crate) struct ConfirmArgs {
    /// Do not ask whether it is meant; needed where nobody can answer
    #[arg(long)]
    pub(crate) yes: bool,
}

/// What `wallets` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum WalletsCommand {
    /// Make a wallet for one project, for some models, or for both
    ///
    /// Credit is moved into it with `credits transfer`, or given with `credits grant --wallet`. A project with a wallet
    /// of its own lives on that alone unless --overflow is given.
    Create(WalletsCreateArgs),
    /// Show an organization's wallets
    List(WalletsListArgs),
}

/// Arguments of `wallets create`.
#[derive(Debug, Args)]
pub(crate) struct WalletsCreateArgs {
    /// What to call it
    pub(crate) name: String,

    /// The organization it belongs to
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    /// The project whose calls it pays for [default: all of them]
    #[arg(long, value_name = "ID", required_unless_present = "model")]
    pub(crate) project: Option<ProjectId>,

    /// A model that it pays for, as asked for or as provider/model; a * at its end stands for any rest. May be given
    /// several times [default: all of them]
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Vec<String>,

    /// When it is empty the organization's own wallet pays
    #[arg(long, requires = "project", conflicts_with = "model")]
    pub(crate) overflow: bool,

    #[command(flatten)]
    pub(crate) once: OnceArgs,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `wallets list`.
#[derive(Debug, Args)]
pub(crate) struct WalletsListArgs {
    /// The organization
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// What `credits` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum CreditsCommand {
    /// Show what an organization has, holds and owes
    Balance(CreditsBalanceArgs),
    /// Give an organization credit
    Grant(CreditsGrantArgs),
    /// Move credit between two wallets of an organization; promotional credit stays where it is
    Transfer(CreditsTransferArgs),
    /// Give back what a call was charged, or a part of it, as new credit
    Refund(CreditsRefundArgs),
    /// Take paid credit out, because its owner is paid back by other means
    Payout(CreditsPayoutArgs),
    /// Put right what was wrong: add credit, or take it
    Adjust(CreditsAdjustArgs),
    /// Give an organization the credit of a promo code
    Redeem(CreditsRedeemArgs),
    /// Begin a top-up: says where and how to pay it
    Topup(TopUpArgs),
    /// Confirm that a manual top-up was paid, which grants its credit
    Confirm(ConfirmTopUpArgs),
    /// List top-ups, newest first
    Topups(TopUpsArgs),
    /// Recharge by itself when little is left
    #[command(subcommand)]
    Recharge(RechargeCommand),
    /// Show what was booked, newest first, with the balance after each entry
    Ledger(CreditsLedgerArgs),
    /// Show a month: what was there, what changed it, what is there after
    Statement(CreditsStatementArgs),
}

/// Arguments of `credits statement`.
#[derive(Debug, Args)]
pub(crate) struct CreditsStatementArgs {
    /// The organization
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    /// The month, in the organization's time zone, such as 2026-11
    #[arg(long, value_name = "MONTH")]
    pub(crate) month: server::statement::Month,

    /// How to write it: csv for spreadsheets, html to read and to print, json [default: as the name of the file ends]
    #[arg(long, value_parser = ["csv", "html", "json"])]
    pub(crate) format: Option<String>,

    /// File to write; an existing one is never overwritten
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `credits grant`.
#[derive(Debug, Args)]
pub(crate) struct CreditsGrantArgs {
    /// The organization that gets it
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    /// How much, in the billing currency, such as 5.00
    #[arg(long, value_parser = positive_amount, allow_negative_numbers = true)]
    pub(crate) amount: Money,

    /// Given away (promo, spent first) or paid for (prepaid)
    #[arg(long, value_parser = ["promo", "prepaid"])]
    pub(crate) kind: String,

    /// When it ends: a date, at its first moment in UTC, or 2027-01-31T12:00:00Z [default: promo never, prepaid after a
    /// year]
    #[arg(long, value_name = "DATE")]
    pub(crate) expires: Option<Timestamp>,

    /// The wallet that gets it: its id, or own
    #[arg(long, value_name = "WALLET", default_value = "own")]
    pub(crate) wallet: WalletName,

    /// Why, for the ledger
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,

    #[command(flatten)]
    pub(crate) once: OnceArgs,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `credits balance`.
#[derive(Debug, Args)]
pub(crate) struct CreditsBalanceArgs {
    /// The organization
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `credits transfer`.
#[derive(Debug, Args)]
pub(crate) struct CreditsTransferArgs {
    /// The organization that has both wallets
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    /// The wallet that gives: its id, or own
    #[arg(long, value_name = "WALLET")]
    pub(crate) from: WalletName,

    /// The wallet that receives: its id, or own
    #[arg(long, value_name = "WALLET")]
    pub(crate) to: WalletName,

    /// How much, such as 5.00
    #[arg(long, value_parser = positive_amount, allow_negative_numbers = true)]
    pub(crate) amount: Money,

    /// Why, for the ledger
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,

    #[command(flatten)]
    pub(crate) once: OnceArgs,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `credits refund`.
#[derive(Debug, Args)]
pub(crate) struct CreditsRefundArgs {
    /// The call, as named by the header x-request-id of its answer
    pub(crate) request_id: RequestId,

    /// How much of its charge [default: all that was not given back yet]
    #[arg(long, value_parser = positive_amount, allow_negative_numbers = true)]
    pub(crate) amount: Option<Money>,

    /// Why, for the ledger
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,

    /// When the credit ends [default: after a year]
    #[arg(long, value_name = "DATE")]
    pub(crate) expires: Option<Timestamp>,

    #[command(flatten)]
    pub(crate) once: OnceArgs,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `credits payout`.
#[derive(Debug, Args)]
pub(crate) struct CreditsPayoutArgs {
    /// The organization that is paid back
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    /// The wallet that gives: its id, or own
    #[arg(long, value_name = "WALLET", default_value = "own")]
    pub(crate) wallet: WalletName,

    /// How much, such as 5.00
    #[arg(long, value_parser = positive_amount, allow_negative_numbers = true)]
    pub(crate) amount: Money,

    /// Why, for the ledger
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,

    #[command(flatten)]
    pub(crate) confirm: ConfirmArgs,

    #[command(flatten)]
    pub(crate) once: OnceArgs,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `credits adjust`.
#[derive(Debug, Args)]
pub(crate) struct CreditsAdjustArgs {
    /// The organization
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    /// The wallet: its id, or own
    #[arg(long, value_name = "WALLET", default_value = "own")]
    pub(crate) wallet: WalletName,

    /// How much: 5.00 adds credit, -5.00 takes it
    #[arg(long, value_parser = signed_amount, allow_negative_numbers = true)]
    pub(crate) amount: Money,

    /// Why, for the ledger
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,

    /// When credit that is added ends [default: after a year]
    #[arg(long, value_name = "DATE")]
    pub(crate) expires: Option<Timestamp>,

    #[command(flatten)]
    pub(crate) confirm: ConfirmArgs,

    #[command(flatten)]
    pub(crate) once: OnceArgs,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `credits redeem`.
#[derive(Debug, Args)]
pub(crate) struct CreditsRedeemArgs {
    /// The code; capital letters or not
    pub(crate) code: String,

    /// The organization that gets its credit
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    #[command(flatten)]
    pub(crate) once: OnceArgs,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `credits ledger`.
#[derive(Debug, Args)]
pub(crate) struct CreditsLedgerArgs {
    /// The organization
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    #[command(flatten)]
    pub(crate) page: PageArgs,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// What `promo` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum PromoCommand {
    /// Make a promo code; the same code on the same terms again is the same code
    Create(PromoCreateArgs),
    /// List all promo codes and how often each was redeemed
    List(PromoListArgs),
}

/// Arguments of `promo create`.
#[derive(Debug, Args)]
pub(crate) struct PromoCreateArgs {
    /// The code: 4 to 64 letters, digits and hyphens
    pub(crate) code: String,

    /// The credit it gives, such as 5.00
    #[arg(long, value_parser = positive_amount, allow_negative_numbers = true)]
    pub(crate) amount: Money,

    /// How many organizations may redeem it, each once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) uses: u32,

    /// From when on it is worth nothing: a date, or 2027-01-31T12:00:00Z [default: never]
    #[arg(long, value_name = "DATE")]
    pub(crate) expires: Option<Timestamp>,

    /// How many days its credit lasts from the day it is redeemed [default: for ever]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) credit_days: Option<u32>,

    /// A model that its credit pays for; may be given several times [default: all of them]
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Vec<String>,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `promo list`.
#[derive(Debug, Args)]
pub(crate) struct PromoListArgs {
    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

fn positive_amount(text: &str) -> Result<Money, String> {
    let amount: Money = text.parse().map_err(|error: domain::MoneyError| error.to_string())?;
    if amount > Money::ZERO { Ok(amount) } else { Err("the amount must be above zero".to_owned()) }
}

fn signed_amount(text: &str) -> Result<Money, String> {
    let amount: Money = text.parse().map_err(|error: domain::MoneyError| error.to_string())?;
    if amount.is_zero() { Err("zero changes nothing".to_owned()) } else { Ok(amount) }
}
