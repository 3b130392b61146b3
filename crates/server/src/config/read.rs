//! Reading a table field by field, so that one pass finds every mistake.
#![expect(clippy::wildcard_enum_match_arm, reason = "whatever else TOML may hold is the wrong type here")]

use std::net::SocketAddr;
use std::time::Duration;

use domain::Money;
use toml::{Table, Value};

/// Every mistake found so far, each beginning with the name of its field.
#[derive(Debug, Default)]
pub(super) struct Mistakes(pub(super) Vec<String>);

impl Mistakes {
    pub(super) fn add(&mut self, field: &str, what: impl std::fmt::Display) {
        self.0.push(format!("{field}: {what}"));
    }
}

/// How little an amount may be.
#[derive(Clone, Copy)]
pub(super) enum Least {
    /// Nothing at all.
    Zero,
    /// Something, however little.
    AboveZero,
}

/// One table of the file. What is not taken from it by name is unknown.
pub(super) struct Section {
    path: String,
    table: Table,
    known: Vec<&'static str>,
}

impl Section {
    pub(super) const fn new(path: String, table: Table) -> Self {
        Self { path, table, known: Vec::new() }
    }

    /// A field's full name.
    pub(super) fn field(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.know(name);
        self.table.remove(name)
    }

    fn know(&mut self, name: &'static str) {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
    }

    /// Whether something is written under this name, and a mistake that says what for when nothing is.
    pub(super) fn requires(
        &mut self,
        name: &'static str,
        purpose: &'static str,
        mistakes: &mut Mistakes,
    ) -> bool {
        let has = self.has(name);
        if !has {
            mistakes.add(&self.field(name), format_args!("is missing; {purpose}"));
        }
        has
    }

    /// Whether something is written under this name.
    pub(super) fn has(&mut self, name: &'static str) -> bool {
        self.know(name);
        self.table.contains_key(name)
    }

    /// What is written under this name, whatever it is.
    pub(super) fn value(&mut self, name: &'static str) -> Option<Value> {
        self.take(name)
    }

    /// A table inside this one, empty when it is not written.
    pub(super) fn section(&mut self, name: &'static str, mistakes: &mut Mistakes) -> Section {
        let path = self.field(name);
        let table = match self.take(name) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(other) => {
                mistakes.add(&path, format_args!("expected a table, found {}", other.type_str()));
                Table::new()
            }
        };
        Section::new(path, table)
    }

    /// The tables of an array of tables.
    pub(super) fn sections(&mut self, name: &'static str, mistakes: &mut Mistakes) -> Vec<Section> {
        let path = self.field(name);
        let items = match self.take(name) {
            None => Vec::new(),
            Some(Value::Array(items)) => items,
            Some(other) => {
                mistakes.add(&path, format_args!("expected a list of tables, found {}", other.type_str()));
                Vec::new()
            }
        };
        let mut sections = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            let path = format!("{path}[{index}]");
            match item {
                Value::Table(table) => sections.push(Section::new(path, table)),
                other => mistakes.add(&path, format_args!("expected a table, found {}", other.type_str())),
            }
        }
        sections
    }

    pub(super) fn text(&mut self, name: &'static str, mistakes: &mut Mistakes) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text),
            other => self.wrong_type(name, "a text in quotes", &other, mistakes),
        }
    }

    pub(super) fn required_text(&mut self, name: &'static str, mistakes: &mut Mistakes) -> Option<String> {
        if !self.table.contains_key(name) {
            self.know(name);
            mistakes.add(&self.field(name), "is missing");
            return None;
        }
        self.text(name, mistakes)
    }

    pub(super) fn boolean(&mut self, name: &'static str, mistakes: &mut Mistakes) -> Option<bool> {
        match self.take(name)? {
            Value::Boolean(value) => Some(value),
            other => self.wrong_type(name, "true or false", &other, mistakes),
        }
    }

    /// A list of texts; `None` when nothing is written, or something else.
    pub(super) fn texts(&mut self, name: &'static str, mistakes: &mut Mistakes) -> Option<Vec<String>> {
        let items = match self.take(name)? {
            Value::Array(items) => items,
            other => return self.wrong_type(name, "a list of texts in quotes", &other, mistakes),
        };
        let mut texts = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match item {
                Value::String(text) => texts.push(text.clone()),
                other => {
                    let field = format!("{}[{index}]", self.field(name));
                    mistakes
                        .add(&field, format_args!("expected a text in quotes, found {}", other.type_str()));
                }
            }
        }
        (texts.len() == items.len()).then_some(texts)
    }

    /// A whole number within bounds.
    pub(super) fn number(
        &mut self,
        name: &'static str,
        bounds: std::ops::RangeInclusive<u64>,
        mistakes: &mut Mistakes,
    ) -> Option<u64> {
        let value = match self.take(name)? {
            Value::Integer(value) => value,
            other => return self.wrong_type(name, "a whole number", &other, mistakes),
        };
        let number = u64::try_from(value).ok().filter(|number| bounds.contains(number));
        if number.is_none() {
            let (low, high) = bounds.into_inner();
            mistakes.add(&self.field(name), format_args!("must be between {low} and {high}, is {value}"));
        }
        number
    }

    /// An amount of money, written as a text such as `"10.00"`.
    pub(super) fn amount(
        &mut self,
        name: &'static str,
        least: Least,
        mistakes: &mut Mistakes,
    ) -> Option<Money> {
        let text = self.text(name, mistakes)?;
        let mut mistaken = |what: &dyn std::fmt::Display| mistakes.add(&self.field(name), what);
        let amount = text.parse::<Money>().map_err(|error| mistaken(&error)).ok()?;
        let (allowed, problem) = match least {
            Least::Zero => (!amount.is_negative(), "must not be negative"),
            Least::AboveZero => (amount > Money::ZERO, "must be above zero"),
        };
        if !allowed {
            mistaken(&problem);
        }
        allowed.then_some(amount)
    }

    /// A length of time written as a whole number of milliseconds, at most a day.
    pub(super) fn millis(&mut self, name: &'static str, mistakes: &mut Mistakes) -> Option<Duration> {
        self.number(name, 1..=86_400_000, mistakes).map(Duration::from_millis)
    }

    pub(super) fn address(&mut self, name: &'static str, mistakes: &mut Mistakes) -> Option<SocketAddr> {
        let text = self.text(name, mistakes)?;
        let parsed = text.parse().ok();
        if parsed.is_none() {
            mistakes.add(
                &self.field(name),
                format_args!("`{text}` is not an address and port such as 127.0.0.1:4400"),
            );
        }
        parsed
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(
        &mut self,
        name: &'static str,
        words: &[(&str, T)],
        mistakes: &mut Mistakes,
    ) -> Option<T> {
        let text = self.text(name, mistakes)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let allowed: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            mistakes.add(&self.field(name), format_args!("must be {}, is \"{text}\"", allowed.join(" or ")));
        }
        found
    }

    /// A list of some of a few words; `None` when nothing is written, or something else.
    pub(super) fn words<T: Copy>(
        &mut self,
        name: &'static str,
        words: &[(&str, T)],
        mistakes: &mut Mistakes,
    ) -> Option<Vec<T>> {
        let texts = self.texts(name, mistakes)?;
        let allowed: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        let found = texts.iter().filter_map(|text| {
            let found = words.iter().find(|(word, _)| word == text).map(|(_, value)| *value);
            if found.is_none() {
                let what = format!("holds {} and no other words, has \"{text}\"", allowed.join(", "));
                mistakes.add(&self.field(name), what);
            }
            found
        });
        Some(found.collect())
    }

    /// Reports what was written and never asked for.
    pub(super) fn finish(self, mistakes: &mut Mistakes) {
        for name in self.table.keys() {
            let hint = closest(name, &self.known).map_or_else(
                || format!("known here: {}", self.known.join(", ")),
                |known| format!("did you mean `{known}`?"),
            );
            mistakes.add(&self.field(name), format_args!("unknown name; {hint}"));
        }
    }

    fn wrong_type<T>(&self, name: &str, expected: &str, found: &Value, mistakes: &mut Mistakes) -> Option<T> {
        mistakes.add(&self.field(name), format_args!("expected {expected}, found {}", found.type_str()));
        None
    }
}

/// The known name that differs from `name` by at most two edits.
fn closest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    known
        .iter()
        .map(|known| (edits(name, known), *known))
        .filter(|(edits, _)| *edits <= 2)
        .min()
        .map(|(_, known)| known)
}

fn edits(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (above, character) in left.chars().enumerate() {
        let mut corner = row[0];
        row[0] = above + 1;
        for (column, other) in right.iter().enumerate() {
            let replace = corner + usize::from(character != *other);
            corner = row[column + 1];
            row[column + 1] = replace.min(corner + 1).min(row[column] + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}
