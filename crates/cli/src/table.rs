//! How data is laid out for eyes: named fields of one object, rows of many.

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

/// One object, a field a line: names, then values, aligned.
pub(crate) fn fields(fields: &[(&str, String)]) -> String {
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let lines: Vec<String> = fields.iter().map(|(name, value)| format!("{name:width$}  {value}")).collect();
    lines.join("\n")
}

/// A column of [`rows`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Column {
    /// Words, to the left.
    Text(&'static str),
    /// Numbers, to the right, so that their digits stand below each other.
    Number(&'static str),
}

/// Many objects, a row each below the columns' names; nothing at all when there are none.
pub(crate) fn rows(columns: &[Column], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    let cell = |(column, text): (&Column, String)| match column {
        Column::Text(_) => Cell::new(text),
        Column::Number(_) => Cell::new(text).set_alignment(CellAlignment::Right),
    };
    table.set_header(columns.iter().map(|column| match column {
        Column::Text(name) | Column::Number(name) => cell((column, (*name).to_owned())),
    }));
    for row in rows {
        table.add_row(columns.iter().zip(row).map(cell));
    }
    if table.is_empty() {
        return String::new();
    }
    let last = columns.len().saturating_sub(1);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if index == last { 0 } else { 2 }));
    }
    table.trim_fmt()
}
