//! A route explained, as a person reads it: a line for each target.

use serde::Deserialize;

use super::below;
use crate::output::View;
use crate::table::{Column, fields, rows};

/// Where a call of a model would go.
#[derive(Debug, Deserialize)]
pub(crate) struct RouteExplained {
    model: String,
    route: String,
    strategy: String,
    substitution: String,
    hedge_after_ms: Option<u64>,
    refused: Option<Refused>,
    targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
struct Refused {
    message: String,
    next_step: String,
}

#[derive(Debug, Deserialize)]
struct Target {
    target: String,
    place: Option<usize>,
    why: String,
    thousand_input: Option<String>,
    thousand_output: Option<String>,
    thousand_input_at_list: Option<String>,
    thousand_output_at_list: Option<String>,
    payer: String,
    contract: Contract,
    context: Option<u64>,
    circuit: String,
    latency_ms: u64,
    pending: u32,
    requests_left: Option<u64>,
    tokens_left: Option<u64>,
    #[serde(default)]
    caps: Vec<Cap>,
}

/// A cap of the provider's.
#[derive(Debug, Deserialize)]
struct Cap {
    measure: String,
    limit: u64,
    left: u64,
}

#[derive(Debug, Deserialize)]
struct Contract {
    class: String,
    stale: bool,
    covers_key: Option<bool>,
}

impl Target {
    const COLUMNS: &[Column] = &[
        Column::Text(""),
        Column::Text("TARGET"),
        Column::Number("1000 IN"),
        Column::Number("1000 OUT"),
        Column::Text("CONTRACT"),
        Column::Text("PAID BY"),
        Column::Number("CONTEXT"),
        Column::Text("CIRCUIT"),
        Column::Number("MS"),
        Column::Number("RUNNING"),
        Column::Text("LEFT"),
        Column::Text("WHY"),
    ];

    fn cells(&self) -> Vec<String> {
        let contract = &self.contract;
        let fits = match (contract.stale, contract.covers_key) {
            (_, Some(false)) => ", does not cover the key",
            (true, _) => ", stale",
            (false, _) => "",
        };
        let left = |count: Option<u64>, unit: &str| count.map(|count| format!("{count} {unit}"));
        let told = [left(self.requests_left, "requests"), left(self.tokens_left, "tokens")];
        let capped = |cap: &Cap| format!("{} of {} {}", cap.left, cap.limit, cap.measure.replace('_', " "));
        let left = self.caps.iter().map(capped).chain(told.into_iter().flatten());
        let price = |price: &Option<String>, listed: &Option<String>| {
            let shown = price.clone().unwrap_or_else(|| "none".to_owned());
            let other = listed.as_ref().filter(|listed| price.as_ref() != Some(listed));
            other.map_or_else(|| shown.clone(), |listed| format!("{shown} (list {listed})"))
        };
        vec![
            self.place.map_or_else(|| "✗".to_owned(), |place| place.to_string()),
            self.target.clone(),
            price(&self.thousand_input, &self.thousand_input_at_list),
            price(&self.thousand_output, &self.thousand_output_at_list),
            format!("{}{fits}", contract.class.replace('_', " ")),
            self.payer.replace('+', ", ").replace('_', " "),
            self.context.map(|tokens| tokens.to_string()).unwrap_or_default(),
            self.circuit.replace('_', " "),
            self.latency_ms.to_string(),
            self.pending.to_string(),
            left.collect::<Vec<_>>().join(", "),
            self.why.clone(),
        ]
    }
}

impl View for RouteExplained {
    fn human(&self) -> String {
        let mut facts = vec![
            ("model", self.model.clone()),
            ("route", self.route.clone()),
            ("strategy", self.strategy.replace('_', " ")),
            ("substitution", self.substitution.clone()),
        ];
        let hedge = |after: u64| ("hedge", format!("a second attempt after {after} ms"));
        facts.extend(self.hedge_after_ms.map(hedge));
        facts.extend(self.refused.as_ref().map(|refused| ("refused", refused.message.clone())));
        below(fields(&facts), rows(Target::COLUMNS, self.targets.iter().map(Target::cells)))
    }

    fn note(&self) -> Option<String> {
        self.refused.as_ref().map(|refused| format!("next: {}", refused.next_step))
    }
}
