//! The effective limits of a key as a person reads them: who it is, then every limit that binds, the one that will
//! refuse first marked.

use domain::{Money, Timestamp};
use serde::Deserialize;

use super::{below, expiry, second};
use crate::output::View;
use crate::table::{Column, fields, rows};

/// Everything that binds a key.
#[derive(Debug, Deserialize)]
pub(crate) struct EffectiveLimits {
    key: Key,
    project: Project,
    organization: Organization,
    tier: Option<Tier>,
    user: Option<String>,
    rate_limits: Vec<Group>,
    budgets: Vec<Budget>,
    credit: Credit,
    note: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Key {
    id: String,
    name: String,
    state: String,
    expires_at: Option<Timestamp>,
    endpoints: Option<Vec<String>>,
    models: Option<ModelAccess>,
    networks: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Project {
    id: String,
    name: String,
    state: String,
    environment: String,
    data_class: String,
    after_grant: String,
    models: Option<ModelAccess>,
}

#[derive(Debug, Deserialize)]
struct Organization {
    id: String,
    name: String,
}

#[derive(Debug, Deserialize)]
struct ModelAccess {
    mode: String,
    models: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Tier {
    name: String,
    models: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Group {
    models: String,
    limits: Vec<Limit>,
    not_limited_in_this_chain: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Limit {
    measure: String,
    of: String,
    user: Option<String>,
    each_user: bool,
    models: String,
    limit: u64,
    used: Option<u64>,
    remaining: Option<u64>,
    binding: bool,
}

#[derive(Debug, Deserialize)]
struct Budget {
    of: String,
    which: Option<String>,
    each: bool,
    period: String,
    hard: bool,
    cost: Option<Money>,
    tokens: Option<u64>,
    steps: Option<u64>,
    spent: Option<Money>,
    held: Option<Money>,
    remaining: Option<Money>,
    tokens_used: Option<u64>,
    steps_used: Option<u64>,
    resets_at: Option<Timestamp>,
    binding: bool,
}

#[derive(Debug, Deserialize)]
struct Credit {
    available: Money,
    /// What of it is promotional.
    grants: Money,
    debt: Money,
    frozen: bool,
    wallets: Vec<Wallet>,
}

#[derive(Debug, Deserialize)]
struct Wallet {
    name: String,
    models: Vec<String>,
    available: Money,
}

impl View for EffectiveLimits {
    fn human(&self) -> String {
        let head = fields(&self.head());
        [self.rate_table(), self.budget_table(), self.unlimited()].into_iter().fold(head, below)
    }

    fn note(&self) -> Option<String> {
        let nothing = self.note.as_ref().map(|note| format!("{note} but the credit"));
        let marked = "* refuses first: it is the tightest of its measure";
        Some(nothing.unwrap_or_else(|| marked.to_owned()))
    }
}

impl EffectiveLimits {
    fn head(&self) -> Vec<(&'static str, String)> {
        let named = |name: &str, id: &str| format!("{name} ({id})");
        let project = format!(
            "{}, {}, {}, {} data",
            named(&self.project.name, &self.project.id),
            self.project.state,
            self.project.environment,
            self.project.data_class
        );
        let mut head = vec![
            ("key", format!("{}, {}", named(&self.key.name, &self.key.id), self.key.state)),
            ("expires", expiry(self.key.expires_at)),
            ("project", project),
            ("organization", named(&self.organization.name, &self.organization.id)),
            ("usage tier", self.tier.as_ref().map_or("none".to_owned(), |tier| tier.name.clone())),
            ("models", self.models()),
            ("endpoints", self.key.endpoints.as_ref().map_or("all".to_owned(), |some| some.join(", "))),
            (
                "networks",
                if self.key.networks.is_empty() { "all".to_owned() } else { self.key.networks.join(", ") },
            ),
            ("credit", self.credit.words(self.project.after_grant == "stop")),
        ];
        if let Some(user) = &self.user {
            head.push(("for the user", user.clone()));
        }
        head
    }

    /// Which models may be called, and who says so.
    fn models(&self) -> String {
        let listed = |whose: &str, access: &ModelAccess| {
            let but = if access.mode == "deny" { "all but " } else { "" };
            format!("{but}{} ({whose})", access.models.join(", "))
        };
        let project = self.project.models.iter().map(|access| listed("the project", access));
        let key = self.key.models.iter().map(|access| listed("the key", access));
        let tier = self.tier.iter().filter(|tier| !tier.models.iter().any(|models| models == "*"));
        let tier = tier.map(|tier| format!("{} (the usage tier)", tier.models.join(", ")));
        let all: Vec<String> = project.chain(key).chain(tier).collect();
        if all.is_empty() { "all".to_owned() } else { all.join("; ") }
    }

    fn rate_table(&self) -> String {
        const COLUMNS: &[Column] = &[
            Column::Text("MODELS"),
            Column::Text("MEASURE"),
            Column::Text("WHOSE"),
            Column::Number("LIMIT"),
            Column::Number("USED"),
            Column::Number("LEFT"),
            Column::Text("BINDS"),
        ];
        let count =
            |count: Option<u64>| count.map_or_else(|| "per user".to_owned(), |count| count.to_string());
        let lines = self.rate_limits.iter().flat_map(|group| {
            group.limits.iter().map(move |limit| {
                vec![
                    group.models.clone(),
                    limit.measure.replace('_', " "),
                    limit.whose(&group.models),
                    limit.limit.to_string(),
                    count(limit.used),
                    count(limit.remaining),
                    mark(limit.binding),
                ]
            })
        });
        rows(COLUMNS, lines)
    }

    fn budget_table(&self) -> String {
        const COLUMNS: &[Column] = &[
            Column::Text("BUDGET OF"),
            Column::Text("PERIOD"),
            Column::Text("KIND"),
            Column::Number("CAP"),
            Column::Number("SPENT"),
            Column::Number("HELD"),
            Column::Number("LEFT"),
            Column::Text("STARTS ANEW"),
            Column::Text("BINDS"),
        ];
        rows(COLUMNS, self.budgets.iter().map(Budget::cells))
    }

    /// The measures that nothing limits for any model, said as that.
    fn unlimited(&self) -> String {
        let Some(all) = self.rate_limits.iter().find(|group| group.models == "*") else {
            return String::new();
        };
        if all.not_limited_in_this_chain.is_empty() {
            return String::new();
        }
        let measures: Vec<String> =
            all.not_limited_in_this_chain.iter().map(|measure| measure.replace('_', " ")).collect();
        format!("no limit in this chain for all models: {}", measures.join(", "))
    }
}

impl Limit {
    /// Whose limit it is, and what shares it beyond the group it is shown in.
    fn whose(&self, group: &str) -> String {
        let whose = match &self.user {
            Some(user) => format!("user {user}"),
            None if self.each_user => "each user".to_owned(),
            None => self.of.clone(),
        };
        if self.models == group { whose } else { format!("{whose}, shared by {}", self.models) }
    }
}

impl Budget {
    fn cells(&self) -> Vec<String> {
        let whose = match &self.which {
            Some(which) => format!("{} {which}", self.of),
            None if self.each => format!("each {}", self.of),
            None => self.of.clone(),
        };
        let cap = [
            self.cost.map(|cost| cost.to_string()),
            self.tokens.map(|tokens| format!("{tokens} tokens")),
            self.steps.map(|steps| format!("{steps} calls")),
        ];
        let used = [
            self.cost.and(self.spent).map(|spent| spent.to_string()),
            self.tokens.and(self.tokens_used).map(|tokens| format!("{tokens} tokens")),
            self.steps.and(self.steps_used).map(|steps| format!("{steps} calls")),
        ];
        let money = |amount: Option<Money>| amount.map(|amount| amount.to_string()).unwrap_or_default();
        vec![
            whose,
            self.period.clone(),
            if self.hard { "hard" } else { "soft" }.to_owned(),
            joined(cap),
            joined(used),
            money(self.held),
            money(self.remaining),
            self.resets_at.map_or_else(|| "never".to_owned(), second),
            mark(self.binding),
        ]
    }
}

impl Credit {
    /// What is there, and what of it a project may have that stops where its grants end.
    fn words(&self, grants_only: bool) -> String {
        let mut words = if grants_only {
            let beside = self.available.checked_sub(self.grants).unwrap_or_default();
            format!("{} of grants, after which the project stops ({beside} of other credit)", self.grants)
        } else {
            format!("{} available", self.available)
        };
        if !self.debt.is_zero() {
            words.push_str(&format!(", {} owed, which refuses calls", self.debt));
        }
        if self.frozen {
            words.push_str(", frozen: nothing moves until the operator has looked");
        }
        let others = self.wallets.iter().filter(|_| self.wallets.len() > 1).map(|wallet| {
            let models =
                if wallet.models.is_empty() { "all models".to_owned() } else { wallet.models.join(", ") };
            format!("{}: {} for {models}", wallet.name, wallet.available)
        });
        let others: Vec<String> = others.collect();
        if others.is_empty() { words } else { format!("{words} ({})", others.join("; ")) }
    }
}

fn joined(parts: [Option<String>; 3]) -> String {
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn mark(binding: bool) -> String {
    if binding { "*".to_owned() } else { String::new() }
}
