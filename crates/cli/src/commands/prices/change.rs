//! `prices set`: a new version of a model's price, appended to a file.

use std::io::Write;
use std::path::PathBuf;

use domain::{ServiceTier, Timestamp};
use pricing::{Catalog, Factor, METERS, Meter, ModelKind, NewEntry, TierPrice, file_head};
use serde::Serialize;

use super::{mistakes, parts, read};
use crate::args::PricesSetArgs;
use crate::failure::{Exit, Failure};
use crate::output::{Output, View};

/// The version that was written.
#[derive(Debug, Serialize)]
struct Set {
    object: &'static str,
    file: PathBuf,
    price_version: String,
    /// Service tiers that are not for sale any more, because the prices that they were multiples of have changed.
    dropped_tiers: Vec<&'static str>,
}

impl View for Set {
    fn human(&self) -> String {
        format!("{} in {}", self.price_version, self.file.display())
    }

    fn note(&self) -> Option<String> {
        let file = self.file.display();
        let tiers = match self.dropped_tiers.as_slice() {
            [] => String::new(),
            tiers => format!("; not for sale any more, for want of a price: {}", tiers.join(", ")),
        };
        Some(format!("it counts when the configuration names it: [prices] files = [\"{file}\"]{tiers}"))
    }
}

pub(super) fn run(args: PricesSetArgs, output: &mut Output) -> Result<(), Failure> {
    let (provider, model) = parts(&args.model)?;
    let name = args.file.display().to_string();
    let before = if args.file.exists() { read(&args.file)? } else { String::new() };
    let files: &[(&str, &str)] = if before.is_empty() { &[] } else { &[(&name, &before)] };
    let catalog = Catalog::with_files(files).map_err(|errors| mistakes(&errors))?;
    let known = catalog.find(provider, model, Timestamp::MAX);
    let mut entry = match &known {
        Some(version) => NewEntry::of(version),
        None => NewEntry::new(model.to_owned(), ModelKind::Chat),
    };
    let mut done = Done::default();
    for value in &args.values {
        assign(&mut entry, value, &mut done)?;
    }
    check_steps(&entry, &done)?;
    let dropped = drop_tiers(&mut entry, &done);
    let head = if before.is_empty() {
        file_head(provider, "set by the operator", &args.valid_from)
    } else {
        String::new()
    };
    let added = format!("{head}\n{}", entry.write(&args.valid_from));
    let whole = format!("{before}{added}");
    let after = Catalog::with_files(&[(&name, &whole)]).map_err(|errors| mistakes(&errors))?;
    let version = after
        .find(provider, model, Timestamp::MAX)
        .filter(|version| known.as_ref().is_none_or(|known| known.id != version.id));
    let version = version.ok_or_else(|| too_early(&args, known.as_deref().map(|known| &*known.id)))?;
    let file = std::fs::OpenOptions::new().create(true).append(true).open(&args.file);
    file.and_then(|mut file| file.write_all(added.as_bytes()))
        .map_err(|error| Failure::new(Exit::Failure, format!("{name}: {error}")))?;
    output.own(&Set {
        object: "price_set",
        file: args.file,
        price_version: version.id.to_string(),
        dropped_tiers: dropped,
    })
}

fn too_early(args: &PricesSetArgs, last: Option<&str>) -> Failure {
    let last = last.unwrap_or("the file's provider is another one");
    Failure::new(
        Exit::Usage,
        format!("{} would not be the last version of the price: {last}", args.valid_from),
    )
    .next("date it later than every version there is, in a file of the model's provider")
}

/// Which prices were named.
#[derive(Default)]
struct Done {
    tokens: bool,
    steps: Vec<u64>,
    tiers: Vec<ServiceTier>,
}

/// Takes one `FIELD=VALUE`.
fn assign(entry: &mut NewEntry, text: &str, done: &mut Done) -> Result<(), Failure> {
    let wrong = |why: &str| {
        Failure::new(Exit::Usage, format!("`{text}` {why}"))
            .next("tollkeeper prices set --help lists what there is")
    };
    let (field, value) =
        text.split_once('=').ok_or_else(|| wrong("is not FIELD=VALUE, such as input=2.50"))?;
    let factor = || Factor::read(value).ok_or_else(|| wrong("is no multiple such as 0.5"));
    if let Some(name) = field.strip_prefix("tiers.") {
        let tier = name.parse().ok().filter(|tier| *tier != ServiceTier::Standard);
        let tier = tier.ok_or_else(|| wrong("names no tier: flex, batch, priority or ultrafast"))?;
        entry.tiers.insert(tier, TierPrice::Times(factor()?));
        done.tiers.push(tier);
    } else if let Some(region) = field.strip_prefix("regions.") {
        entry.regions.insert(region.to_owned(), factor()?);
    } else if let Some(step) = field.strip_prefix("above.") {
        let (length, name) =
            step.split_once('.').ok_or_else(|| wrong("is not such as above.200000.input=4.00"))?;
        let length = length.parse().map_err(|_| wrong("names no number of tokens"))?;
        let (meter, price) = amount(name, value).map_err(|why| wrong(&why))?;
        let base = entry.prices.clone();
        let tokens = |name: &&str| METERS.iter().any(|meter| meter.field == *name && meter.is_tokens());
        let sheet = entry
            .above
            .entry(length)
            .or_insert_with(|| base.into_iter().filter(|(name, _)| tokens(name)).collect());
        sheet.insert(meter.field, price);
        done.steps.push(length);
    } else if let Some(count) = [("context", &mut entry.context), ("max_output", &mut entry.max_output)]
        .into_iter()
        .find_map(|(name, count)| (name == field).then_some(count))
    {
        let number: u64 = value.parse().map_err(|_| wrong("is no number of tokens"))?;
        *count = Some(number);
    } else {
        let (meter, price) = amount(field, value).map_err(|why| wrong(&why))?;
        done.tokens |= meter.is_tokens() && entry.prices.get(meter.field) != Some(&price);
        entry.prices.insert(meter.field, price);
    }
    Ok(())
}

fn amount(field: &str, value: &str) -> Result<(&'static Meter, domain::Price), String> {
    let meter = METERS.iter().find(|meter| meter.field == field);
    let meter = meter.ok_or_else(|| {
        let known: Vec<&str> = METERS.iter().map(|meter| meter.field).collect();
        format!("names no price; there are {}", known.join(", "))
    })?;
    meter.read(value).map(|price| (meter, price)).map_err(|error| format!("is no price: {error}"))
}

/// Prices of long inputs do not follow by themselves: left as they were, they would be too low without a sign.
fn check_steps(entry: &NewEntry, done: &Done) -> Result<(), Failure> {
    let stale = entry.above.keys().find(|length| done.tokens && !done.steps.contains(length));
    stale.map_or(Ok(()), |length| {
        Err(Failure::new(Exit::Usage, format!("the model has prices of its own above {length} tokens"))
            .next(format!("state them, too: above.{length}.input=... above.{length}.output=...")))
    })
}

/// Takes the service tiers out whose prices would be those of before; answers which.
fn drop_tiers(entry: &mut NewEntry, done: &Done) -> Vec<&'static str> {
    if !done.tokens && done.steps.is_empty() {
        return Vec::new();
    }
    let stale: Vec<ServiceTier> =
        entry.tiers.keys().filter(|tier| !done.tiers.contains(tier)).copied().collect();
    stale.iter().for_each(|tier| drop(entry.tiers.remove(tier)));
    stale.into_iter().map(ServiceTier::as_str).collect()
}
