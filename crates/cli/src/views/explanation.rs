//! A request explained, as a person reads it: a line for each layer, then what came of it.

use domain::{LotId, Money, RequestId, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{CostRow, below, second};
use crate::output::View;
use crate::table::{Column, fields, rows};

/// Everything on record about one request.
#[derive(Debug, Deserialize)]
pub(crate) struct Explained {
    id: RequestId,
    at: Option<Timestamp>,
    state: String,
    note: Option<String>,
    caller: Option<Caller>,
    layers: Vec<Layer>,
    stopped: Option<Stopped>,
    route: Option<Route>,
    hold: Option<Hold>,
    attempts: Vec<CostRow>,
    cost: Money,
    retry_cost: Money,
    refunded: Option<Money>,
    journal: Vec<JournalEntry>,
}

#[derive(Debug, Deserialize)]
struct Caller {
    organization: Named,
    project: Named,
    key: Named,
}

/// Somebody, whose name the books do not know.
#[derive(Debug, Deserialize)]
struct Named {
    id: String,
    name: Option<String>,
}

impl Named {
    fn words(&self) -> String {
        self.name.as_ref().map_or_else(|| self.id.clone(), |name| format!("{name} ({})", self.id))
    }
}

#[derive(Debug, Deserialize)]
struct Layer {
    owner: String,
    passed: bool,
    /// What it looked at: one thing, or several of a kind, as rate limits are.
    saw: Option<Saw>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Saw {
    One(Map<String, Value>),
    Several(Vec<Map<String, Value>>),
}

impl Saw {
    fn words(&self) -> String {
        match self {
            Self::One(saw) => members(saw),
            Self::Several(all) => all.iter().map(members).collect::<Vec<_>>().join("; "),
        }
    }
}

/// The members of an object, but for those that say nothing.
fn members(object: &Map<String, Value>) -> String {
    let told = object.iter().filter_map(|(name, value)| {
        let value = match value {
            Value::Null => return None,
            Value::String(text) => text.clone(),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
        };
        Some(format!("{}: {value}", name.replace('_', " ")))
    });
    told.collect::<Vec<_>>().join(", ")
}

#[derive(Debug, Deserialize)]
struct Stopped {
    owner: Option<String>,
    kind: String,
    message: String,
    next_step: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Route {
    target: String,
    price_version: String,
    /// The models that were asked for, where there are several.
    #[serde(default)]
    models: Vec<String>,
    /// The targets that are turned to when the first one fails.
    #[serde(default)]
    then: Vec<String>,
    /// Those that may not have the call, and why.
    #[serde(default)]
    left_out: Vec<(String, String)>,
}

impl Route {
    fn words(&self) -> String {
        let then: String = self.then.iter().map(|target| format!(", then {target}")).collect();
        let out =
            self.left_out.iter().map(|(target, why)| format!("; not {target}: {}", why.replace('_', " ")));
        let models =
            if self.models.is_empty() { String::new() } else { format!("{}: ", self.models.join(", ")) };
        format!("{models}{}, price {}{then}{}", self.target, self.price_version, out.collect::<String>())
    }
}

#[derive(Debug, Deserialize)]
struct Hold {
    amount: Money,
    state: String,
    created_at: Timestamp,
}

#[derive(Debug, Deserialize)]
struct JournalEntry {
    seq: u64,
    kind: String,
    amount: Money,
    at: Timestamp,
    draws: Vec<Draw>,
    debt: Option<Money>,
}

#[derive(Debug, Deserialize)]
struct Draw {
    lot: LotId,
    amount: Money,
}

impl JournalEntry {
    const COLUMNS: &[Column] = &[
        Column::Number("SEQ"),
        Column::Text("AT"),
        Column::Text("ENTRY"),
        Column::Number("AMOUNT"),
        Column::Number("DEBT"),
        Column::Text("DRAWN FROM"),
    ];

    fn cells(&self) -> Vec<String> {
        let draws: Vec<String> =
            self.draws.iter().map(|draw| format!("{} of {}", draw.amount, draw.lot)).collect();
        vec![
            self.seq.to_string(),
            second(self.at),
            self.kind.clone(),
            self.amount.to_string(),
            self.debt.unwrap_or_default().to_string(),
            draws.join(", "),
        ]
    }
}

impl Layer {
    const COLUMNS: &[Column] = &[Column::Text(""), Column::Text("LAYER"), Column::Text("SAW")];

    fn cells(&self) -> Vec<String> {
        let mark = if self.passed { "✓" } else { "✗" };
        let saw = self.saw.as_ref().map(Saw::words).unwrap_or_default();
        vec![mark.to_owned(), numbered(&self.owner), saw]
    }
}

/// A layer with its number in the map of layers, which says where in the order it stands.
fn numbered(owner: &str) -> String {
    const ORDER: [&str; 9] = [
        "key",
        "project",
        "model_access",
        "region",
        "route",
        "usage_limit",
        "rate_limit",
        "billing",
        "provider",
    ];
    let words = owner.replace('_', " ");
    match ORDER.iter().position(|known| *known == owner) {
        Some(place) => format!("1.{} {words}", place + 1),
        None => words,
    }
}

impl Explained {
    fn facts(&self) -> Vec<(&'static str, String)> {
        let hold =
            |hold: &Hold| format!("{}, {} (made {})", hold.amount, hold.state, second(hold.created_at));
        let mut facts = vec![("request", self.id.to_string())];
        facts.extend(self.at.map(|at| ("at", second(at))));
        if let Some(Caller { organization, project, key }) = &self.caller {
            facts.push(("organization", organization.words()));
            facts.push(("project", project.words()));
            facts.push(("key", key.words()));
        }
        facts.push(("state", self.state.clone()));
        facts.extend(self.route.as_ref().map(|route| ("route", route.words())));
        facts.push(("hold", self.hold.as_ref().map_or_else(|| "none".to_owned(), hold)));
        facts.push(("cost", self.cost.to_string()));
        if self.attempts.len() > 1 {
            facts.push(("of it for retries", self.retry_cost.to_string()));
        }
        facts.extend(self.attempts.iter().filter_map(CostRow::reported).map(|said| ("provider says", said)));
        facts.extend(self.attempts.iter().filter_map(CostRow::access).map(|access| ("access class", access)));
        facts.extend(self.attempts.iter().filter_map(CostRow::tier).map(|tier| ("service tier", tier)));
        facts.extend(
            self.refunded.filter(|refunded| !refunded.is_zero()).map(|back| ("refunded", back.to_string())),
        );
        if let Some(Stopped { owner, kind, message, .. }) = &self.stopped {
            let by = owner.as_deref().map_or_else(|| kind.replace('_', " "), numbered);
            facts.push(("stopped by", by));
            facts.push(("because", message.clone()));
        }
        facts
    }
}

impl View for Explained {
    fn human(&self) -> String {
        let layers = rows(Layer::COLUMNS, self.layers.iter().map(Layer::cells));
        let attempts = rows(CostRow::COLUMNS, self.attempts.iter().map(CostRow::cells));
        let journal = rows(JournalEntry::COLUMNS, self.journal.iter().map(JournalEntry::cells));
        below(below(below(fields(&self.facts()), layers), attempts), journal)
    }

    fn note(&self) -> Option<String> {
        let next = self.stopped.as_ref().and_then(|stopped| stopped.next_step.as_ref());
        let next = next.map(|step| format!("next: {step}"));
        let notes: Vec<String> = self.note.iter().cloned().chain(next).collect();
        (!notes.is_empty()).then(|| notes.join("\n"))
    }
}
