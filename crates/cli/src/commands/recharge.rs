//! `credits recharge`: auto-recharge, on and off.

use clap::{Args, Subcommand};
use domain::{Money, OrganizationId, TopUpId};
use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::operator::Operator;
use crate::args::GatewayArgs;
use crate::client::Call;
use crate::failure::Failure;
use crate::output::View;
use crate::table::fields;

/// What `credits recharge` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum RechargeCommand {
    /// Switch it on, or change it: below THRESHOLD, charge AMOUNT, at most MAX a month
    ///
    /// The payment method is the one that the customer left with a top-up. After four declines in a row it gives up
    /// until another payment method is left, or it is changed, or switched off and on again.
    Set(RechargeSetArgs),
    /// Show its settings, and how it is doing
    Show(RechargeArgs),
    /// Switch it off; its settings and the payment method are kept
    Off(RechargeArgs),
}

/// Arguments of `credits recharge set`.
#[derive(Debug, Args)]
pub(crate) struct RechargeSetArgs {
    /// The organization
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    /// Recharge when less than this is available in the organization's own wallet
    #[arg(long)]
    pub(crate) threshold: Money,

    /// What one recharge adds, in dollars and cents
    #[arg(long)]
    pub(crate) amount: Money,

    /// What all recharges of a calendar month, in the organization's time zone, may add
    #[arg(long, value_name = "MAX")]
    pub(crate) monthly_max: Money,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `credits recharge show` and `off`.
#[derive(Debug, Args)]
pub(crate) struct RechargeArgs {
    /// The organization
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

impl Operator<'_> {
    /// `credits recharge …`
    pub(super) fn recharge(&mut self, command: RechargeCommand) -> Result<(), Failure> {
        let path = |org: OrganizationId| format!("/admin/v1/organizations/{org}/recharge");
        match command {
            RechargeCommand::Set(args) => {
                let RechargeSetArgs { org, threshold, amount, monthly_max, gateway } = args;
                let body = json!({ "threshold": threshold, "amount": amount, "monthly_max": monthly_max });
                let call = Call { method: Method::PUT, ..Call::post(&path(org), body) };
                self.call::<Recharge>(&gateway, call)
            }
            RechargeCommand::Show(RechargeArgs { org, gateway }) => {
                self.call::<Recharge>(&gateway, Call::get(path(org)))
            }
            RechargeCommand::Off(RechargeArgs { org, gateway }) => {
                self.call::<Recharge>(&gateway, Call::delete(path(org)))
            }
        }
    }
}

/// Auto-recharge of an organization.
#[derive(Debug, Deserialize)]
struct Recharge {
    organization: OrganizationId,
    enabled: bool,
    threshold: Option<Money>,
    amount: Option<Money>,
    monthly_max: Option<Money>,
    charged_this_month: Money,
    payment_method: Option<String>,
    pending: Option<TopUpId>,
    declines: u32,
}

impl View for Recharge {
    fn human(&self) -> String {
        let money =
            |amount: Option<Money>| amount.map_or_else(|| "not set".to_owned(), |amount| amount.to_string());
        let month = format!("{} of {}", self.charged_this_month, money(self.monthly_max));
        fields(&[
            ("organization", self.organization.to_string()),
            ("recharge", if self.enabled { "on" } else { "off" }.to_owned()),
            ("below", money(self.threshold)),
            ("adds", money(self.amount)),
            ("this month", month),
            ("charges", self.payment_method.clone().unwrap_or_else(|| "nothing yet".to_owned())),
            ("pending", self.pending.map_or_else(|| "none".to_owned(), |topup| topup.to_string())),
            ("declines", self.declines.to_string()),
        ])
    }

    fn note(&self) -> Option<String> {
        if !self.enabled {
            return Some(format!(
                "next: tollkeeper credits recharge set --org {} --threshold 10.00 --amount 25.00 --monthly-max 100.00",
                self.organization
            ));
        }
        (self.declines > 0).then(|| {
            "the payment method was declined; a top-up leaves another one: tollkeeper credits topup"
                .to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_off_says_how_it_is_switched_on() {
        let shown = |enabled, declines| {
            let value = json!({
                "organization": "org_01920000000070008000000000000002", "enabled": enabled, "threshold": "10.00",
                "amount": "25.00", "monthly_max": null, "charged_this_month": "50.00", "payment_method": null,
                "pending": null, "declines": declines, "last_decline_at": null,
            });
            serde_json::from_value::<Recharge>(value).unwrap()
        };
        assert!(shown(false, 0).note().unwrap().contains("credits recharge set --org org_0192"));
        assert_eq!(shown(true, 0).note(), None);
        assert!(shown(true, 1).note().unwrap().contains("declined"));
        let human = shown(true, 0).human();
        assert!(human.contains("50.00 of not set") && human.contains("nothing yet"), "{human}");
    }
}
