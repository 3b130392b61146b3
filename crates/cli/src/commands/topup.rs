//! `credits topup`, `topups` and `confirm`: money that comes in from outside.

use clap::Args;
use domain::{Money, OrganizationId, Timestamp, TopUpId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::operator::{Operator, object, once};
use crate::args::{GatewayArgs, OnceArgs};
use crate::client::Call;
use crate::failure::Failure;
use crate::output::View;
use crate::table::{Column, fields, rows};
use crate::views::second;

/// Arguments of `credits topup`.
#[derive(Debug, Args)]
pub(crate) struct TopUpArgs {
    /// The organization that gets the credit
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    /// How much, in dollars and cents, such as 25.00
    #[arg(long)]
    pub(crate) amount: Money,

    /// Do not ask the customer to leave the payment method for auto-recharge
    #[arg(long)]
    pub(crate) no_save: bool,

    #[command(flatten)]
    pub(crate) once: OnceArgs,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `credits confirm`.
#[derive(Debug, Args)]
pub(crate) struct ConfirmTopUpArgs {
    /// The top-up, as named by `credits topup`
    pub(crate) topup: TopUpId,

    /// How it was paid, such as the bank's reference; kept in the books
    #[arg(long)]
    pub(crate) reason: String,

    #[command(flatten)]
    pub(crate) once: OnceArgs,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Arguments of `credits topups`.
#[derive(Debug, Args)]
pub(crate) struct TopUpsArgs {
    /// The organization
    #[arg(long, value_name = "ID")]
    pub(crate) org: OrganizationId,

    /// How many rows at most
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) limit: u16,

    /// Only top-ups older than this one
    #[arg(long, value_name = "ID")]
    pub(crate) before: Option<TopUpId>,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

impl Operator<'_> {
    /// `credits topup`
    pub(super) fn top_up(&mut self, args: TopUpArgs) -> Result<(), Failure> {
        let body = object([
            ("organization", Some(json!(args.org))),
            ("amount", Some(json!(args.amount))),
            ("save_method", args.no_save.then_some(Value::Bool(false))),
        ]);
        let call = Call::post("/admin/v1/topups", body).once(once(args.once.idempotency_key));
        self.call::<TopUp>(&args.gateway, call)
    }

    /// `credits confirm`
    pub(super) fn confirm_topup(&mut self, args: ConfirmTopUpArgs) -> Result<(), Failure> {
        let path = format!("/admin/v1/topups/{}/confirm", args.topup);
        let call = Call::post(&path, json!({ "reason": args.reason })).once(once(args.once.idempotency_key));
        self.call::<TopUp>(&args.gateway, call)
    }

    /// `credits topups`
    pub(super) fn topups(&mut self, args: TopUpsArgs) -> Result<(), Failure> {
        let TopUpsArgs { org, limit, before, gateway } = args;
        let before = before.map(|before| format!("&before={before}")).unwrap_or_default();
        let path = format!("/admin/v1/topups?organization={org}&limit={limit}{before}");
        self.call::<TopUps>(&gateway, Call::get(path))
    }
}

/// A top-up.
#[derive(Debug, Deserialize)]
struct TopUp {
    id: TopUpId,
    organization: OrganizationId,
    amount: Money,
    purpose: String,
    provider: String,
    status: String,
    url: Option<String>,
    instructions: Option<String>,
    payment: Option<String>,
    detail: Option<String>,
    created_at: Timestamp,
}

impl View for TopUp {
    fn human(&self) -> String {
        let mut lines = vec![
            ("id", self.id.to_string()),
            ("organization", self.organization.to_string()),
            ("amount", self.amount.to_string()),
            ("status", self.status.clone()),
            ("provider", self.provider.clone()),
            ("created", second(self.created_at)),
        ];
        let more = [("page", &self.url), ("payment", &self.payment), ("detail", &self.detail)];
        lines.extend(more.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
        fields(&lines)
    }

    fn note(&self) -> Option<String> {
        let instructions = self.instructions.clone().filter(|_| self.status == "pending");
        instructions.map(|instructions| format!("next: {instructions}"))
    }
}

/// Top-ups, newest first.
#[derive(Debug, Deserialize)]
struct TopUps {
    data: Vec<TopUp>,
    has_more: bool,
}

impl View for TopUps {
    fn human(&self) -> String {
        const COLUMNS: &[Column] = &[
            Column::Text("CREATED"),
            Column::Text("TOP-UP"),
            Column::Number("AMOUNT"),
            Column::Text("ASKED BY"),
            Column::Text("PROVIDER"),
            Column::Text("STATUS"),
        ];
        let cells = self.data.iter().map(|topup| {
            let detail = topup.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
            vec![
                second(topup.created_at),
                topup.id.to_string(),
                topup.amount.to_string(),
                topup.purpose.clone(),
                topup.provider.clone(),
                format!("{}{detail}", topup.status),
            ]
        });
        rows(COLUMNS, cells)
    }

    fn note(&self) -> Option<String> {
        let last = self.data.last().filter(|_| self.has_more)?;
        Some(format!("older ones exist: add --before {}", last.id))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn topup(status: &str) -> TopUp {
        let id = "top_01920000000070008000000000000001";
        let value = json!({
            "id": id, "organization": "org_01920000000070008000000000000002", "amount": "25.00", "purpose": "manual",
            "provider": "manual", "status": status, "url": null, "instructions": "pay there", "payment": null,
            "detail": "No funds.", "created_at": "2026-11-21T06:55:50.000000Z", "object": "top_up", "newer": 1,
        });
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_topup_says_what_to_do_while_it_is_pending() {
        assert_eq!(topup("pending").note().as_deref(), Some("next: pay there"));
        assert_eq!(topup("paid").note(), None);
        let human = topup("declined").human();
        for part in ["top_0192", "25.00", "declined", "No funds.", "2026-11-21T06:55:50Z"] {
            assert!(human.contains(part), "{human}");
        }
        let many = TopUps { data: vec![topup("paid")], has_more: true };
        assert!(many.human().contains("paid: No funds."), "{}", many.human());
        assert!(many.note().unwrap().ends_with("--before top_01920000000070008000000000000001"));
    }
}
