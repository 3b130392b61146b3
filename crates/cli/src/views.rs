//! The operator API's objects as a person reads them. Fields that are not shown are not named here, so that a newer
//! gateway's additions do no harm.

mod books;
mod budgets;
mod byok;
mod consents;
mod effective;
mod explanation;
mod organizations;
mod people;
mod pools;
mod projects;
mod route;

use domain::{AccessClass, Money, RequestId, Timestamp};
use serde::Deserialize;

use crate::output::View;
use crate::table::{Column, rows};

pub(crate) use books::{Balance, Ledger, Lot, PromoCode, PromoCodes, Transfer, Wallet, Wallets, Withdrawal};
pub(crate) use budgets::{Budget, Budgets, Events, Removed};
pub(crate) use byok::{ProviderKey, ProviderKeys, Rotation, Vault};
pub(crate) use consents::{Consent, Consents};
pub(crate) use effective::EffectiveLimits;
pub(crate) use explanation::Explained;
pub(crate) use organizations::{NewOrganization, Organization, Organizations};
pub(crate) use people::{Audit, Gone, Limit, Limits, Members, NewAdminKey, NewMember};
pub(crate) use pools::Pools;
pub(crate) use projects::{Key, Keys, NewKey, NewProject, Project, Projects};
pub(crate) use route::RouteExplained;

/// Cost rows, newest first.
#[derive(Debug, Deserialize)]
pub(crate) struct Usage {
    data: Vec<CostRow>,
    has_more: bool,
}

/// One attempt and what it cost.
#[derive(Debug, Deserialize)]
struct CostRow {
    request_id: RequestId,
    attempt: u32,
    at: Timestamp,
    model: String,
    provider: String,
    input_tokens: u64,
    cached_tokens: u64,
    output_tokens: u64,
    access_class: AccessClass,
    payer: String,
    list_price: Option<Money>,
    cost: Money,
    pool: Option<String>,
    pool_units: Option<u64>,
    service_tier: Option<String>,
    reported_cost: Option<String>,
    status: String,
    reason: Option<String>,
    estimated: bool,
}

impl CostRow {
    const COLUMNS: &[Column] = &[
        Column::Text("AT"),
        Column::Text("REQUEST"),
        Column::Number("TRY"),
        Column::Text("MODEL"),
        Column::Text("PROVIDER"),
        Column::Number("INPUT"),
        Column::Number("CACHED"),
        Column::Number("OUTPUT"),
        Column::Number("LIST"),
        Column::Number("COST"),
        Column::Text("PAID BY"),
        Column::Text("STATUS"),
    ];

    /// What the provider itself says that the attempt cost.
    fn reported(&self) -> Option<String> {
        self.reported_cost.as_ref().map(|cost| format!("{cost} for try {}", self.attempt))
    }

    /// The service tier that was charged, where it is not the usual one.
    fn tier(&self) -> Option<String> {
        let tier = self.service_tier.as_ref().filter(|tier| *tier != "standard")?;
        Some(format!("{tier} for try {}", self.attempt))
    }

    /// How the access was come by, where it is not by an account of one's own, and what a pool paid for.
    fn access(&self) -> Option<String> {
        let drawn = self.pool.as_ref().zip(self.pool_units.filter(|units| *units > 0));
        let drawn = drawn.map(|(pool, units)| format!(", {units} units of {pool}"));
        if self.access_class == AccessClass::Direct && drawn.is_none() {
            return None;
        }
        let class = self.access_class.as_str().replace('_', " ");
        Some(format!("{class} for try {}{}", self.attempt, drawn.unwrap_or_default()))
    }

    fn cells(&self) -> Vec<String> {
        let reason = self.reason.as_deref().filter(|reason| self.status != "succeeded" && !reason.is_empty());
        let mark = if self.estimated { "~" } else { "" };
        vec![
            second(self.at),
            self.request_id.to_string(),
            self.attempt.to_string(),
            self.model.clone(),
            self.provider.clone(),
            self.input_tokens.to_string(),
            self.cached_tokens.to_string(),
            self.output_tokens.to_string(),
            self.list_price.map_or_else(|| "unknown".to_owned(), |listed| format!("{mark}{listed}")),
            format!("{mark}{}", self.cost),
            self.payer.replace('+', ", ").replace('_', " "),
            reason.map_or_else(|| self.status.clone(), |reason| format!("{}: {reason}", self.status)),
        ]
    }
}

impl View for Usage {
    fn human(&self) -> String {
        rows(CostRow::COLUMNS, self.data.iter().map(CostRow::cells))
    }

    fn note(&self) -> Option<String> {
        let mut notes = Vec::new();
        if self.data.is_empty() {
            notes.push("no cost rows yet: one appears when a call's attempt ends");
        }
        if self.data.iter().any(|row| row.estimated) {
            notes.push("~ marks estimates: the provider reported no usage, so tokens were counted here");
        }
        if self.has_more {
            notes.push("older rows exist: raise --limit, up to 1000");
        }
        (!notes.is_empty()).then(|| notes.join("\n"))
    }
}

/// One block of text below another, with a blank line between; an empty one leaves no trace.
pub(crate) fn below(upper: String, lower: String) -> String {
    if lower.is_empty() { upper } else { format!("{upper}\n\n{lower}") }
}

/// A moment to the second, which is what eyes want: `2026-11-21T06:55:50Z`.
pub(crate) fn second(at: Timestamp) -> String {
    let text = at.to_string();
    text.split_once('.').map(|(second, _)| format!("{second}Z")).unwrap_or(text)
}

fn expiry(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "never".to_owned(), second)
}
