//! Budgets and events as a person reads them.

use domain::{BudgetId, Money, OrganizationId, Timestamp};
use serde::Deserialize;

use super::second;
use crate::output::View;
use crate::table::{Column, fields, rows};

/// A budget, and how far it is used up.
#[derive(Debug, Deserialize)]
pub(crate) struct Budget {
    id: BudgetId,
    organization: OrganizationId,
    of: String,
    which: Option<String>,
    period: String,
    zone: String,
    cost: Option<Money>,
    tokens: Option<u64>,
    steps: Option<u64>,
    hard: bool,
    thresholds: Vec<u8>,
    resets_at: Option<Timestamp>,
    #[serde(default)]
    uses: Vec<Use>,
}

#[derive(Debug, Deserialize)]
struct Use {
    value: Option<String>,
    spent: Money,
    tokens: u64,
    steps: u64,
}

impl Budget {
    /// Whose calls: `organization`, `each project`, `user u-1`.
    fn counts(&self) -> String {
        match &self.which {
            Some(which) => format!("{} {which}", self.of),
            None if self.of == "organization" => self.of.clone(),
            None => format!("each {}", self.of),
        }
    }

    fn kind(&self) -> &'static str {
        if self.hard { "hard" } else { "soft" }
    }
}

/// What is used of a cap: `0.25 of 5.00`, or what is used when there is no cap.
fn of_cap<T: std::fmt::Display>(used: &T, cap: Option<&T>) -> String {
    cap.map_or_else(|| used.to_string(), |cap| format!("{used} of {cap}"))
}

impl View for Budget {
    fn human(&self) -> String {
        let cap = |cap: Option<String>| cap.unwrap_or_else(|| "no cap".to_owned());
        let thresholds: Vec<String> = self.thresholds.iter().map(|percent| format!("{percent} %")).collect();
        fields(&[
            ("id", self.id.to_string()),
            ("organization", self.organization.to_string()),
            ("counts", self.counts()),
            ("period", format!("{}, {}", self.period, self.zone)),
            ("cost", cap(self.cost.map(|cost| cost.to_string()))),
            ("tokens", cap(self.tokens.map(|tokens| tokens.to_string()))),
            ("steps", cap(self.steps.map(|steps| steps.to_string()))),
            ("kind", self.kind().to_owned()),
            ("tells at", thresholds.join(", ")),
        ])
    }

    fn note(&self) -> Option<String> {
        Some(format!("next: tollkeeper budgets list --org {}", self.organization))
    }
}

/// All budgets of an organization.
#[derive(Debug, Deserialize)]
pub(crate) struct Budgets {
    data: Vec<Budget>,
}

impl View for Budgets {
    fn human(&self) -> String {
        const COLUMNS: &[Column] = &[
            Column::Text("BUDGET"),
            Column::Text("COUNTS"),
            Column::Text("PERIOD"),
            Column::Text("KIND"),
            Column::Text("OF"),
            Column::Number("COST"),
            Column::Number("TOKENS"),
            Column::Number("STEPS"),
            Column::Text("STARTS ANEW"),
        ];
        let unused = [Use { value: None, spent: Money::ZERO, tokens: 0, steps: 0 }];
        let lines = self.data.iter().flat_map(|budget| {
            // A budget that nobody has used yet is a line, too.
            let uses = if budget.uses.is_empty() { unused.as_slice() } else { &budget.uses };
            uses.iter().map(move |used| line(budget, used))
        });
        rows(COLUMNS, lines)
    }

    fn note(&self) -> Option<String> {
        let next = "next: tollkeeper budgets set --org ID --of project --period monthly --cost 100.00";
        self.data.is_empty().then(|| next.to_owned())
    }
}

fn line(budget: &Budget, used: &Use) -> Vec<String> {
    vec![
        budget.id.to_string(),
        budget.counts(),
        budget.period.clone(),
        budget.kind().to_owned(),
        used.value.clone().unwrap_or_default(),
        of_cap(&used.spent, budget.cost.as_ref()),
        of_cap(&used.tokens, budget.tokens.as_ref()),
        of_cap(&used.steps, budget.steps.as_ref()),
        budget.resets_at.map_or_else(|| "never".to_owned(), second),
    ]
}

/// A budget that is gone.
#[derive(Debug, Deserialize)]
pub(crate) struct Removed {
    id: BudgetId,
}

impl View for Removed {
    fn human(&self) -> String {
        fields(&[("removed", self.id.to_string())])
    }
}

/// What an organization should hear of, newest first.
#[derive(Debug, Deserialize)]
pub(crate) struct Events {
    data: Vec<Event>,
    has_more: bool,
}

#[derive(Debug, Deserialize)]
struct Event {
    id: i64,
    at: Timestamp,
    #[serde(flatten)]
    told: Told,
}

/// What is told. What this program does not know yet is told by its name.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Told {
    Known(Known),
    Other { event: String },
}

#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Known {
    BudgetThreshold { budget: BudgetId, of: String, value: Option<String>, percent: u8, spent: Money },
    CreditExpiring { lot: String, remaining: Money, expires_at: Timestamp },
    WentIntoDebt { wallet: String, request: String, owed: Money },
    HoldTimedOut { request: String, charged: Money },
    TierReached { tier: String },
    Payment { what: String, detail: String },
}

impl Told {
    /// The event's name, and what there is to say.
    fn words(&self) -> (&str, String) {
        match self {
            Self::Other { event } => (event, String::new()),
            Self::Known(Known::BudgetThreshold { budget, of, value, percent, spent }) => {
                let whose = value.as_deref().map(|value| format!("{of} {value}"));
                let whose = whose.as_deref().unwrap_or(of);
                ("budget_threshold", format!("{whose}: {percent} % of {budget}, {spent} spent"))
            }
            Self::Known(Known::CreditExpiring { lot, remaining, expires_at }) => {
                ("credit_expiring", format!("{remaining} of {lot} expires at {}", second(*expires_at)))
            }
            Self::Known(Known::WentIntoDebt { wallet, request, owed }) => {
                ("went_into_debt", format!("{request} left {wallet} owing {owed}"))
            }
            Self::Known(Known::HoldTimedOut { request, charged }) => {
                ("hold_timed_out", format!("nobody ended {request}; charged {charged}"))
            }
            Self::Known(Known::TierReached { tier }) => {
                ("tier_reached", format!("the usage tier is {tier} now"))
            }
            Self::Known(Known::Payment { what, detail }) => ("payment", format!("{what}: {detail}")),
        }
    }
}

impl View for Events {
    fn human(&self) -> String {
        const COLUMNS: &[Column] =
            &[Column::Number("EVENT"), Column::Text("AT"), Column::Text("WHAT"), Column::Text("DETAIL")];
        let cells = self.data.iter().map(|event| {
            let (name, words) = event.told.words();
            vec![event.id.to_string(), second(event.at), name.replace('_', " "), words]
        });
        rows(COLUMNS, cells)
    }

    fn note(&self) -> Option<String> {
        if self.data.is_empty() {
            return Some("nothing to tell yet".to_owned());
        }
        let last = self.data.last().filter(|_| self.has_more)?;
        Some(format!("older events exist: --before {}", last.id))
    }
}
