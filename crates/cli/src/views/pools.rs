//! Pools as a person reads them.

use domain::{Money, Timestamp};
use serde::Deserialize;

use super::second;
use crate::output::View;
use crate::table::{Column, rows};

/// Everything that pays for an organization's calls before money does.
#[derive(Debug, Deserialize)]
pub(crate) struct Pools {
    data: Vec<Pool>,
}

#[derive(Debug, Deserialize)]
struct Pool {
    pool: String,
    kind: String,
    unit: String,
    cap: u64,
    used: u64,
    remaining: u64,
    resets_at: Timestamp,
    list_price: Money,
    paid: Money,
    estimated_overage: Money,
    joined: Option<bool>,
    runs: Option<bool>,
}

impl Pool {
    /// Whether it pays, in a word.
    const fn state(&self) -> &'static str {
        match (self.joined, self.runs) {
            (_, Some(false)) => "not running",
            (Some(false), _) => "not joined",
            (Some(true), _) => "joined",
            (None, _) => "",
        }
    }
}

impl View for Pools {
    fn human(&self) -> String {
        const COLUMNS: &[Column] = &[
            Column::Text("POOL"),
            Column::Text("OF"),
            Column::Text(""),
            Column::Number("CAP"),
            Column::Number("USED"),
            Column::Number("LEFT"),
            Column::Text("RESETS"),
            Column::Number("WORTH"),
            Column::Number("PAID"),
            Column::Number("OVERAGE (EST.)"),
        ];
        let cells = self.data.iter().map(|pool| {
            vec![
                pool.pool.clone(),
                format!("{} ({})", pool.kind.replace('_', " "), pool.unit),
                pool.state().to_owned(),
                pool.cap.to_string(),
                pool.used.to_string(),
                pool.remaining.to_string(),
                second(pool.resets_at),
                pool.list_price.to_string(),
                pool.paid.to_string(),
                pool.estimated_overage.to_string(),
            ]
        });
        rows(COLUMNS, cells)
    }
}
