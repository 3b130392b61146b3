//! The cost row: what one attempt consumed, cost, and on whose account. The bill and every usage view read these rows.

use std::sync::Arc;

use domain::{
    AccessClass, KeyId, Money, OrganizationId, Payer, Pico, ProjectId, RequestId, ServiceTier, Timestamp,
    Usage,
};
use serde::{Deserialize, Serialize};

use crate::Cover;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptStatus {
    /// The provider answered in full.
    Succeeded,
    /// The provider or the way to it failed; [`CostRow::reason`] says how.
    Failed,
    /// The client went away before the end, or the gateway cut it off because what was held was used up.
    Cancelled,
}

/// Who and what caused a call: the app by the consent that its key was made by, the rest as far as the caller told. Each
/// text is at most 128 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribution {
    /// The end user on whose behalf the call was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Box<str>>,
    /// The feature of the caller's product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature: Option<Box<str>>,
    /// The run of an agent or job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Box<str>>,
    /// The host of the app that called at its user's expense.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<Box<str>>,
}

/// One attempt's row. Texts that repeat from row to row are shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostRow {
    /// Whose account.
    pub organization: OrganizationId,
    /// The request this attempt belongs to; also the id of its hold.
    pub request: RequestId,
    /// 1 for the first upstream call of a request, 2 for its first retry, and so on.
    pub attempt: u32,
    /// When the attempt was dispatched.
    pub at: Timestamp,
    /// The project.
    pub project: ProjectId,
    /// The key that was presented.
    pub key: KeyId,
    /// The project's environment: `dev`, `staging`, `prod`.
    pub environment: Arc<str>,
    /// The model the caller asked for.
    pub model: Arc<str>,
    /// The target that was tried, as `provider/upstream model`.
    pub target: Arc<str>,
    /// The provider that was tried.
    pub provider: Arc<str>,
    /// The model the answer claims to come from; `None` when it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_answered: Option<Box<str>>,
    /// The price version that was pinned when the call was held.
    pub price_version: Arc<str>,
    /// The service tier whose prices of that version were charged.
    #[serde(default)]
    pub service_tier: ServiceTier,
    /// How the access to the provider was come by.
    #[serde(default)]
    pub class: AccessClass,
    /// What was consumed.
    pub usage: Usage,
    /// What that costs at list price, in pico-units; `None` when no list price is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list_pico: Option<i64>,
    /// What a pool pays for of it. Until the attempt is settled its cost is what it would be without the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cover: Option<Box<Cover>>,
    /// The exact cost, in pico-units.
    pub cost_pico: i64,
    /// The charge: `cost_pico` rounded up once.
    pub cost: Money,
    /// What the provider itself says that the attempt cost, in pico-units; `None` when it does not say. Kept beside
    /// ours for comparison, and never charged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported_pico: Option<i64>,
    /// How the attempt ended.
    pub status: AttemptStatus,
    /// Why it ended so: `stop`, `upstream_timeout`, `client_closed`, …
    pub reason: Arc<str>,
    /// Whether the token counts are ours and not the provider's.
    pub estimated: bool,
    /// The provider's HTTP status, 0 when there was none.
    pub http_status: u16,
    /// Whether the answer was streamed.
    pub streamed: bool,
    /// From dispatch to the end of the answer, in microseconds.
    pub duration_us: u64,
    /// What was held for the request in the end; the settlement fills it in.
    pub held: Money,
    /// Who and what caused the call.
    pub attribution: Attribution,
}

impl CostRow {
    /// Who paid for what the attempt consumed: of a call that straddles the end of a pool, two.
    pub fn payers(&self) -> (Payer, Option<Payer>) {
        let payer = self.class.payer();
        match &self.cover {
            Some(cover) if cover.units > 0 && payer == Payer::Organization => {
                (Payer::Provider, (self.cost_pico > 0).then_some(payer))
            }
            Some(_) | None => (payer, None),
        }
    }

    /// Whether the charge is the exact cost rounded up once (invariant I6).
    pub fn is_rounded_right(&self) -> bool {
        self.cost_pico >= 0 && Pico::new(i128::from(self.cost_pico)).ceil_to_money() == Some(self.cost)
    }
}
