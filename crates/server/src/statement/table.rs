//! A statement as CSV (RFC 4180), fit for spreadsheets.

use super::{Booking, Line, Sheet, Usage};

/// Names of the columns, in their order.
const HEAD: [&str; 24] = [
    "organization",
    "month",
    "type",
    "sequence",
    "date",
    "project",
    "project_name",
    "model",
    "calls",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "list_price",
    "payer",
    "borne",
    "wallet",
    "reference",
    "payment",
    "actor",
    "reason",
    "moved",
    "currency",
    "amount",
    "balance",
];

/// One row: a cell for each name in [`HEAD`] that has something to say.
type Cells = Vec<(&'static str, String)>;

pub(super) fn csv(sheet: &Sheet) -> String {
    let mut text = HEAD.join(",");
    text.push_str("\r\n");
    let edge = |kind: &str, balance: domain::Money| {
        vec![("type", kind.to_owned()), ("balance", balance.to_string())]
    };
    push(&mut text, sheet, edge("opening_balance", sheet.opening_balance));
    for line in &sheet.lines {
        let cells = match line {
            Line::Booking(line) => booking(line),
            Line::Usage(line) => usage(line),
        };
        push(&mut text, sheet, cells);
    }
    for borne in &sheet.payers {
        let cells = [("type", "payer".to_owned()), ("payer", borne.payer.to_string())];
        push(&mut text, sheet, cells.into_iter().chain([("borne", borne.amount.to_string())]).collect());
    }
    push(&mut text, sheet, edge("closing_balance", sheet.closing_balance));
    text
}

fn push(text: &mut String, sheet: &Sheet, mut cells: Cells) {
    cells.push(("organization", sheet.organization.to_string()));
    cells.push(("month", sheet.month.to_string()));
    cells.push(("currency", tame(&sheet.currency)));
    let cell = |name: &&str| {
        let found = cells.iter().find(|(column, _)| column == name);
        found.map_or_else(String::new, |(_, cell)| quoted(cell))
    };
    text.push_str(&HEAD.iter().map(cell).collect::<Vec<_>>().join(","));
    text.push_str("\r\n");
}

fn booking(line: &Booking) -> Cells {
    let optional = |text: &Option<String>| text.as_deref().map(tame).unwrap_or_default();
    vec![
        ("type", super::page::word(line.kind).to_owned()),
        ("sequence", line.sequence.to_string()),
        ("date", line.date.clone()),
        ("wallet", tame(&line.wallet)),
        ("reference", line.reference.clone()),
        ("payment", optional(&line.payment)),
        ("actor", optional(&line.actor)),
        ("reason", optional(&line.reason)),
        ("moved", line.moved.map(|moved| moved.to_string()).unwrap_or_default()),
        ("amount", line.amount.to_string()),
    ]
}

fn usage(line: &Usage) -> Cells {
    vec![
        ("type", "usage".to_owned()),
        ("project", line.project.to_string()),
        ("project_name", line.project_name.as_deref().map(tame).unwrap_or_default()),
        ("model", tame(&line.model)),
        ("calls", line.calls.to_string()),
        ("input_tokens", line.input_tokens.to_string()),
        ("cached_tokens", line.cached_tokens.to_string()),
        ("output_tokens", line.output_tokens.to_string()),
        ("list_price", line.list_price.to_string()),
        ("amount", line.amount.to_string()),
    ]
}

/// Somebody's text so that a spreadsheet shows it and does not run it: what begins like a formula gets an apostrophe.
fn tame(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

/// A cell, in quotes where it must be.
fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\r', '\n']) || cell.starts_with(' ') || cell.ends_with(' ') {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}
