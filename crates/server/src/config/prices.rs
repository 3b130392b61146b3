//! `[prices]`: the price catalogue that is compiled in, and the operator's own price files.

use pricing::Catalog;
use toml::{Table, Value};

use super::read::{Mistakes, Section};

/// Takes the section out of the configuration and reads the catalogue with the files that it names. Where there are
/// mistakes in those, what is compiled in stands for all of it, so that the rest of the configuration is looked at too.
pub(super) fn read(root: &mut Table, mistakes: &mut Mistakes) -> Catalog {
    let written = match root.remove("prices") {
        Some(Value::Table(table)) => table,
        Some(other) => {
            mistakes.add("prices", format_args!("expected a table, found {}", other.type_str()));
            Table::new()
        }
        None => Table::new(),
    };
    let mut section = Section::new("prices".to_owned(), written);
    let field = section.field("files");
    let paths = section.texts("files", mistakes).unwrap_or_default();
    section.finish(mistakes);
    let mut files = Vec::new();
    for path in paths {
        match std::fs::read_to_string(&path) {
            Ok(text) => files.push((path, text)),
            Err(error) => mistakes.add(&field, format_args!("{path}: {error}")),
        }
    }
    let texts: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    Catalog::with_files(&texts).unwrap_or_else(|errors| {
        for error in errors {
            mistakes.add(&field, error);
        }
        Catalog::embedded().unwrap_or_default()
    })
}
