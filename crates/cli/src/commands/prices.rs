//! `prices`: the catalogue that is compiled in and the operator's files, shown, compared and added to.

mod change;
mod import;
mod shown;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::Timestamp;
use pricing::{Catalog, CatalogError, Change, PriceVersion, Schedule};

use crate::args::{
    PriceFiles, PricesCommand, PricesDiffArgs, PricesHistoryArgs, PricesListArgs, PricesShowArgs,
};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use shown::{Difference, Differences, History, Listed, Prices, Shown, Version};

/// Does what was asked.
pub(crate) fn run(command: PricesCommand, output: &mut Output) -> Result<(), Failure> {
    match command {
        PricesCommand::List(args) => list(&args, output),
        PricesCommand::Show(args) => show(&args, output),
        PricesCommand::History(args) => history(&args, output),
        PricesCommand::Diff(args) => diff(args, output),
        PricesCommand::Set(args) => change::run(args, output),
        PricesCommand::Import(args) => import::run(args, output),
    }
}

/// The catalogue with these files.
fn catalog(files: &PriceFiles) -> Result<Catalog, Failure> {
    let texts = files.with.iter().map(|path| Ok((path.display().to_string(), read(path)?)));
    let texts: Vec<(String, String)> = texts.collect::<Result<_, Failure>>()?;
    let texts: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (&**name, &**text)).collect();
    Catalog::with_files(&texts).map_err(|errors| mistakes(&errors))
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::new(Exit::Failure, format!("{}: {error}", path.display())))
}

fn mistakes(errors: &[CatalogError]) -> Failure {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    Failure::new(Exit::Findings, lines.join("\n"))
        .next("mend the price file; docs/prices.md says what it may hold")
}

/// The provider and the model of a text such as `openai/gpt-5.4`.
fn parts(text: &str) -> Result<(&str, &str), Failure> {
    text.split_once('/').ok_or_else(|| {
        Failure::new(Exit::Usage, format!("`{text}` names no provider"))
            .next("write provider and model, such as openai/gpt-5.4")
    })
}

fn schedule<'c>(catalog: &'c Catalog, name: &str) -> Result<&'c Arc<Schedule>, Failure> {
    let (provider, model) = parts(name)?;
    catalog.schedule(provider, model).ok_or_else(|| {
        Failure::new(Exit::NotFound, format!("there is no price of `{name}`"))
            .next("tollkeeper prices list shows all there are; name your own files with --with")
    })
}

fn list(args: &PricesListArgs, output: &mut Output) -> Result<(), Failure> {
    let catalog = catalog(&args.files)?;
    let at = args.at.unwrap_or(Timestamp::MAX);
    let providers =
        catalog.providers().filter(|name| args.provider.as_deref().is_none_or(|only| only == *name));
    let data: Vec<Listed> = providers
        .flat_map(|provider| catalog.models(provider, at))
        .map(|version| Listed::of(version))
        .collect();
    if let (true, Some(provider)) = (data.is_empty(), &args.provider) {
        let known = catalog.providers().collect::<Vec<_>>().join(", ");
        return Err(Failure::new(
            Exit::NotFound,
            format!("`{provider}` has no prices; there are those of {known}"),
        ));
    }
    output.own(&Prices { object: "list", data })
}

fn show(args: &PricesShowArgs, output: &mut Output) -> Result<(), Failure> {
    let catalog = catalog(&args.files)?;
    let found = schedule(&catalog, &args.model)?.at(args.at.unwrap_or(Timestamp::MAX));
    let version = found.ok_or_else(|| {
        Failure::new(Exit::NotFound, format!("`{}` has no price at that moment", args.model))
            .next(format!("tollkeeper prices history {} lists its versions", args.model))
    })?;
    output.own(&Shown::of(version))
}

fn history(args: &PricesHistoryArgs, output: &mut Output) -> Result<(), Failure> {
    let catalog = catalog(&args.files)?;
    let versions = schedule(&catalog, &args.model)?.versions();
    let mut before: Option<&PriceVersion> = None;
    let mut data = Vec::new();
    for version in versions {
        let changes = before.map(|before| version.changes(before)).unwrap_or_default();
        data.push(Version::of(version, changes));
        before = Some(version);
    }
    output.own(&History { object: "list", model: args.model.clone(), data })
}

fn diff(args: PricesDiffArgs, output: &mut Output) -> Result<(), Failure> {
    let alone = |path: &PathBuf| {
        let name = path.display().to_string();
        Catalog::parse(&[(&name, &read(path)?)]).map_err(|errors| mistakes(&errors))
    };
    let (old, new, removed_too) = match &args.other {
        Some(other) => (alone(&args.file)?, alone(other)?, true),
        None => (catalog(&PriceFiles { with: Vec::new() })?, alone(&args.file)?, false),
    };
    let mut data = Vec::new();
    for version in every(&new) {
        let before = old.find(&version.provider, &version.model, Timestamp::MAX);
        let changes = match before {
            Some(before) => version.changes(&before),
            None => only(&version, |text| (None, Some(text))),
        };
        data.extend(changes.into_iter().map(|change| Difference::of(&version, change)));
    }
    if removed_too {
        for version in every(&old) {
            if new.find(&version.provider, &version.model, Timestamp::MAX).is_none() {
                let changes = only(&version, |text| (Some(text), None));
                data.extend(changes.into_iter().map(|change| Difference::of(&version, change)));
            }
        }
    }
    let found = data.len();
    output.own(&Differences { object: "list", data })?;
    match found {
        0 => Ok(()),
        _ => Err(Failure::new(Exit::Findings, format!("fields that differ: {found}"))),
    }
}

/// The last version of every model.
fn every(catalog: &Catalog) -> Vec<Arc<PriceVersion>> {
    catalog.providers().flat_map(|provider| catalog.models(provider, Timestamp::MAX)).cloned().collect()
}

/// All fields of a price that only one side has.
fn only(version: &PriceVersion, sides: impl Fn(String) -> (Option<String>, Option<String>)) -> Vec<Change> {
    let change = |(field, text)| {
        let (old, new) = sides(text);
        Change { field, old, new }
    };
    version.fields().into_iter().map(change).collect()
}
