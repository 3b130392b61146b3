//! Reads one price file, field by field, so that every mistake in it is reported and not only the first.

use domain::Timestamp;
use toml::{Table, Value};

use crate::catalog::{CatalogError, CatalogProblem};
use crate::prices::{FIELDS, PriceSet, Written};
use crate::version::{ModelKind, PriceVersion, Tier};

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
    let stated: Vec<&str> = FIELDS.into_iter().filter(|name| table.contains_key(*name)).collect();
    let mut fields = Fields { table, prefix: String::new(), problems };
    let model = fields.required("id", name);
    let valid_from = fields.optional("valid_from", date);
    let ends = fields.optional("ends", date);
    let kind = fields.optional("kind", kind).unwrap_or(ModelKind::Chat);
    let context = fields.optional("context", count);
    let max_output = fields.optional("max_output", count);
    let above = fields.optional("above", tables).unwrap_or_default();
    let base = fields.prices(kind.requires());
    fields.finish();
    // A tier that leaves out what the base states would silently fall back to the tier's own input price.
    let tiers = read_tiers(above, |name| kind.requires()(name) || stated.contains(&name), problems);
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
        base: base?,
        tiers,
    })
}

fn read_tiers(
    above: Vec<Table>,
    required: impl Fn(&str) -> bool,
    problems: &mut Vec<CatalogProblem>,
) -> Vec<Tier> {
    let mut tiers: Vec<Tier> = Vec::new();
    for (index, table) in above.into_iter().enumerate() {
        let mut fields = Fields { table, prefix: format!("above[{index}]."), problems };
        let input_tokens = fields.required("input_tokens", count);
        let prices = fields.prices(&required);
        let field = fields.path("input_tokens");
        fields.finish();
        if let (Some(input_tokens), Some(before)) = (input_tokens, tiers.last())
            && input_tokens <= before.input_tokens
        {
            problems.push(CatalogProblem::TierOrder { field });
        }
        tiers.extend(input_tokens.zip(prices).map(|(input_tokens, prices)| Tier { input_tokens, prices }));
    }
    tiers
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

    fn prices(&mut self, required: impl Fn(&str) -> bool) -> Option<PriceSet> {
        let written = |name: &str| match self.table.remove(name) {
            None => Written::Absent,
            Some(Value::String(text)) => Written::Text(text),
            Some(_) => Written::NotText,
        };
        let errors = match PriceSet::read(&self.prefix, required, written) {
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
    match name(field, value)?.as_str() {
        "chat" => Ok(ModelKind::Chat),
        "embedding" => Ok(ModelKind::Embedding),
        text => Err(CatalogProblem::Kind { text: text.to_owned() }),
    }
}

fn tables(field: String, value: Value) -> Result<Vec<Table>, CatalogProblem> {
    let tables: Option<Vec<Table>> =
        value.as_array().and_then(|values| values.iter().map(|value| value.as_table().cloned()).collect());
    tables
        .filter(|tables| !tables.is_empty())
        .ok_or(CatalogProblem::WrongType { field, expected: "a list of tables with something in it" })
}
