//! Reads one price file, field by field, so that every mistake in it is reported and not only the first.

use std::collections::BTreeMap;

use domain::{ServiceTier, Timestamp};
use toml::{Table, Value};

use crate::catalog::{CatalogError, CatalogProblem};
use crate::factor::Factor;
use crate::meter::METERS;
use crate::prices::{PriceError, PriceSet, Written};
use crate::version::{Ladder, ModelKind, PriceVersion, Step, tier_named};

/// One entry of a file, with what is needed to complain about it later.
pub(crate) struct Entry {
    pub(crate) version: PriceVersion,
    /// The day its file was retrieved.
    pub(crate) retrieved: Timestamp,
    file: String,
    place: String,
}

impl Entry {
    /// An error about this entry.
    pub(crate) fn error(&self, problem: CatalogProblem) -> CatalogError {
        CatalogError { file: self.file.clone(), entry: Some(self.place.clone()), problem }
    }
}

/// Reads a file's entries and adds its mistakes to `errors`. The entries are of use only if there are none.
pub(crate) fn read_file(file: &str, text: &str, errors: &mut Vec<CatalogError>) -> Vec<Entry> {
    let mut problems = Vec::new();
    let (header, models) = match text.parse::<Table>() {
        Ok(table) => read_header(table, &mut problems),
        Err(error) => {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.split('\n').count();
            problems.push(CatalogProblem::Syntax { line, message: error.message().to_owned() });
            (None, Vec::new())
        }
    };
    let error = |entry, problem| CatalogError { file: file.to_owned(), entry, problem };
    errors.extend(problems.drain(..).map(|problem| error(None, problem)));
    let mut entries = Vec::new();
    for (index, model) in models.into_iter().enumerate() {
        let place = match model.get("id").and_then(Value::as_str) {
            Some(id) => format!("`{id}` (models[{index}])"),
            None => format!("models[{index}]"),
        };
        let version = read_model(model, header.as_ref(), &mut problems);
        errors.extend(problems.drain(..).map(|problem| error(Some(place.clone()), problem)));
        if let (Some(version), Some(header)) = (version, &header) {
            let retrieved = header.retrieved.at;
            entries.push(Entry { version, retrieved, file: file.to_owned(), place });
        }
    }
    entries
}

/// What stands at the top of a file.
struct Header {
    provider: String,
    retrieved: Date,
}

/// A date as it was written, and the moment it means.
struct Date {
    text: String,
    at: Timestamp,
}

fn read_header(table: Table, problems: &mut Vec<CatalogProblem>) -> (Option<Header>, Vec<Table>) {
    let mut fields = Fields { table, prefix: String::new(), problems };
    let provider = fields.required("provider", name);
    // The source is for people who check the prices; here it only has to be there.
    fields.required("source", name);
    let retrieved = fields.required("retrieved", date);
    let models = fields.required("models", tables).unwrap_or_default();
    fields.finish();
    let header = provider.zip(retrieved).map(|(provider, retrieved)| Header { provider, retrieved });
    (header, models)
}

/// Reads one entry. Without a header it is read for its mistakes only.
fn read_model(
    table: Table,
    header: Option<&Header>,
    problems: &mut Vec<CatalogProblem>,
) -> Option<PriceVersion> {
    let mut fields = Fields { table, prefix: String::new(), problems };
    let model = fields.required("id", name);
    let valid_from = fields.optional("valid_from", date);
    let ends = fields.optional("ends", date);
    let kind = fields.optional("kind", kind).unwrap_or(ModelKind::Chat);
    let context = fields.optional("context", count);
    let max_output = fields.optional("max_output", count);
    let tiers = fields.optional("tiers", table_of).unwrap_or_default();
    let regions = fields.optional("regions", table_of).unwrap_or_default();
    // What the model states, its steps and tiers must state: they would silently fall back to their own input price.
    let stated: Vec<&str> = METERS
        .iter()
        .filter(|meter| meter.is_tokens() && fields.table.contains_key(meter.field))
        .map(|meter| meter.field)
        .collect();
    let standard = fields.ladder(|name| kind.requires(name), &stated, None);
    if stated.is_empty() && fields_sell_nothing(standard.as_ref()) {
        fields.problems.push(CatalogProblem::NothingSold);
    }
    fields.finish();
    let tiers = read_tiers(tiers, &stated, standard.as_ref(), problems);
    let regions = read_regions(regions, standard.iter().chain(tiers.values()), problems);
    let (Header { provider, retrieved }, model) = (header?, model?);
    let since = valid_from.as_ref().unwrap_or(retrieved);
    Some(PriceVersion {
        id: format!("{provider}/{model}@{}", since.text).into(),
        provider: provider.clone(),
        model,
        valid_from: valid_from.map(|date| date.at),
        ends: ends.map(|date| date.at),
        kind,
        context,
        max_output,
        standard: standard?,
        tiers,
        regions,
        list: None,
    })
}

fn fields_sell_nothing(standard: Option<&Ladder>) -> bool {
    standard.is_some_and(|ladder| ladder.base.iter().all(|(_, price)| price.is_none()))
}

/// Reads the service tiers of an entry: each a multiple of the standard prices, or a table of prices of its own.
fn read_tiers(
    written: Table,
    stated: &[&str],
    standard: Option<&Ladder>,
    problems: &mut Vec<CatalogProblem>,
) -> BTreeMap<ServiceTier, Ladder> {
    let mut tiers = BTreeMap::new();
    for (name, value) in written {
        let field = format!("tiers.{name}");
        let read = match value {
            Value::String(factor) => standard.map(|standard| {
                standard.tier(&field, &name, &factor).map(|(tier, ladder, _)| (tier, ladder))
            }),
            Value::Table(table) => {
                let mut fields = Fields { table, prefix: format!("{field}."), problems };
                let ladder = fields.ladder(|_| false, stated, standard);
                fields.finish();
                // A tier's whole name is looked at even where its prices are wrong.
                let tier = tier_named(&field, &name);
                match (tier, ladder) {
                    (Ok(tier), Some(ladder)) => Some(Ok((tier, ladder))),
                    (Err(error), _) => Some(Err(error)),
                    (Ok(_), None) => None,
                }
            }
            Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_)
            | Value::Array(_) => Some(Err(PriceError::Factor { field })),
        };
        match read {
            Some(Ok((tier, ladder))) => drop(tiers.insert(tier, ladder)),
            Some(Err(error)) => problems.push(CatalogProblem::Price(error)),
            None => {}
        }
    }
    tiers
}

/// Reads the regions of an entry, each a multiple of all its token prices.
fn read_regions<'a>(
    written: Table,
    ladders: impl Iterator<Item = &'a Ladder>,
    problems: &mut Vec<CatalogProblem>,
) -> BTreeMap<String, Factor> {
    let ladders: Vec<&Ladder> = ladders.collect();
    let mut regions = BTreeMap::new();
    for (name, value) in written {
        let field = format!("regions.{name}");
        let Some(factor) = value.as_str().and_then(Factor::read) else {
            problems.push(CatalogProblem::Price(PriceError::Factor { field }));
            continue;
        };
        if let Some(price) = ladders.iter().find_map(|ladder| ladder.times(factor).err()) {
            problems.push(CatalogProblem::Price(PriceError::Inexact { field, price }));
        }
        regions.insert(name, factor);
    }
    regions
}

/// A table that is emptied field by field: what is left at the end is unknown.
struct Fields<'a> {
    table: Table,
    /// Where the table stands inside its entry: empty, or such as `above[0].`.
    prefix: String,
    problems: &'a mut Vec<CatalogProblem>,
}

/// Turns what stands in the field named first into what is wanted.
type Convert<T> = fn(String, Value) -> Result<T, CatalogProblem>;

impl Fields<'_> {
    fn path(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn optional<T>(&mut self, name: &str, convert: Convert<T>) -> Option<T> {
        let value = self.table.remove(name)?;
        convert(self.path(name), value).map_err(|problem| self.problems.push(problem)).ok()
    }

    fn required<T>(&mut self, name: &str, convert: Convert<T>) -> Option<T> {
        if !self.table.contains_key(name) {
            self.problems.push(CatalogProblem::Missing { field: self.path(name) });
        }
        self.optional(name, convert)
    }

    /// Reads the prices of one service tier and their steps. `stated` names what the standard tier states, which each
    /// step and each other tier must state, too. A tier that says nothing of longer inputs takes the standard's steps:
    /// providers serve those at the standard tier.
    fn ladder(
        &mut self,
        required: impl Fn(&str) -> bool,
        stated: &[&str],
        standard: Option<&Ladder>,
    ) -> Option<Ladder> {
        let above = self.optional("above", tables);
        let is_stated = |name: &str| stated.contains(&name);
        let base = self.prices(
            |name| required(name) || (standard.is_some() && is_stated(name)),
            standard.map(|standard| &standard.base),
        );
        let steps = match (above, standard) {
            (None, Some(standard)) => standard.steps.clone(),
            (above, _) => {
                self.steps(above.unwrap_or_default(), |name| required(name) || is_stated(name), base.as_ref())
            }
        };
        Some(Ladder { base: base?, steps })
    }

    fn steps(
        &mut self,
        above: Vec<Table>,
        required: impl Fn(&str) -> bool,
        base: Option<&PriceSet>,
    ) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        for (index, table) in above.into_iter().enumerate() {
            let prefix = format!("{}above[{index}].", self.prefix);
            let mut fields = Fields { table, prefix, problems: self.problems };
            let input_tokens = fields.required("input_tokens", count);
            let prices = fields.prices(&required, base);
            let field = fields.path("input_tokens");
            fields.finish();
            if let (Some(input_tokens), Some(before)) = (input_tokens, steps.last())
                && input_tokens <= before.input_tokens
            {
                self.problems.push(CatalogProblem::StepOrder { field });
            }
            steps
                .extend(input_tokens.zip(prices).map(|(input_tokens, prices)| Step { input_tokens, prices }));
        }
        steps
    }

    fn prices(&mut self, required: impl Fn(&str) -> bool, other: Option<&PriceSet>) -> Option<PriceSet> {
        let written = |name: &str| match self.table.remove(name) {
            None => Written::Absent,
            Some(Value::String(text)) => Written::Text(text),
            Some(_) => Written::NotText,
        };
        let errors = match PriceSet::read(&self.prefix, required, written, other) {
            Ok(prices) => return Some(prices),
            Err(errors) => errors,
        };
        self.problems.extend(errors.into_iter().map(CatalogProblem::Price));
        None
    }

    fn finish(self) {
        let Self { table, prefix, problems } = self;
        problems.extend(
            table.into_iter().map(|(name, _)| CatalogProblem::Unknown { field: format!("{prefix}{name}") }),
        );
    }
}

fn name(field: String, value: Value) -> Result<String, CatalogProblem> {
    match value.as_str() {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        Some(_) | None => Err(CatalogProblem::WrongType { field, expected: "a text with something in it" }),
    }
}

fn date(field: String, value: Value) -> Result<Date, CatalogProblem> {
    let text = name(field.clone(), value)?;
    match text.parse() {
        Ok(at) => Ok(Date { text, at }),
        Err(source) => Err(CatalogProblem::Date { field, source }),
    }
}

fn count(field: String, value: Value) -> Result<u64, CatalogProblem> {
    let count = value.as_integer().and_then(|count| u64::try_from(count).ok());
    count
        .filter(|count| *count > 0)
        .ok_or(CatalogProblem::WrongType { field, expected: "a whole number above zero" })
}

fn kind(field: String, value: Value) -> Result<ModelKind, CatalogProblem> {
    let text = name(field, value)?;
    ModelKind::named(&text).ok_or(CatalogProblem::Kind { text })
}

fn table_of(field: String, value: Value) -> Result<Table, CatalogProblem> {
    match value {
        Value::Table(table) => Ok(table),
        Value::String(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_)
        | Value::Array(_) => Err(CatalogProblem::WrongType { field, expected: "a table" }),
    }
}

fn tables(field: String, value: Value) -> Result<Vec<Table>, CatalogProblem> {
    let tables: Option<Vec<Table>> =
        value.as_array().and_then(|values| values.iter().map(|value| value.as_table().cloned()).collect());
    tables
        .filter(|tables| !tables.is_empty())
        .ok_or(CatalogProblem::WrongType { field, expected: "a list of tables with something in it" })
}
