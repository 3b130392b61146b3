//! Other people's price lists, turned into entries of price files. Numbers are read from their text, exactly.

mod litellm;
mod models_dev;
mod openrouter;

use std::collections::BTreeMap;

use domain::{Price, scaled};
use serde_json::value::RawValue;

use crate::entry::NewEntry;
use crate::meter::{METERS, Meter, Per};

pub use litellm::read as litellm;
pub use models_dev::read as models_dev;
pub use openrouter::read as openrouter;

/// What became of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Import {
    /// The entries, by model.
    pub entries: Vec<NewEntry>,
    /// Models that are not among them, and why.
    pub skipped: Vec<(String, String)>,
    /// What entries leave out of what the list says: model and fields.
    pub left_out: Vec<(String, Vec<String>)>,
}

/// Why a list cannot be read at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// Something else than the list that was named.
    #[error("this is not {expected}: {message}")]
    Shape {
        /// What it should be.
        expected: &'static str,
        /// What the parser says.
        message: String,
    },
    /// A provider that the list does not have.
    #[error("the list has no provider `{provider}`; it has {known}")]
    Provider {
        /// The provider.
        provider: String,
        /// Those that it has.
        known: String,
    },
}

/// An object whose values are not read yet.
type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// More than any model costs for a million tokens, in pico-units of one: a slip of the unit in the list.
const DEAREST: u64 = 500_000_000;

fn fields(value: &RawValue) -> Option<Fields<'_>> {
    serde_json::from_str(value.get()).ok()
}

fn text(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// A number's text, which may stand in quotes.
fn number(value: &RawValue) -> Option<String> {
    match text(value) {
        Some(quoted) => Some(quoted),
        None => value
            .get()
            .starts_with(|first: char| first == '-' || first.is_ascii_digit())
            .then(|| value.get().to_owned()),
    }
}

/// A count of tokens above zero, which some lists write as a decimal.
fn count(value: &RawValue) -> Option<u64> {
    let read = scaled(value.get(), 0).filter(|read| read.is_exact)?;
    u64::try_from(read.whole).ok().filter(|count| *count > 0)
}

/// The meter of this name.
fn meter(field: &str) -> Option<&'static Meter> {
    METERS.iter().find(|meter| meter.field == field)
}

/// The price of one counted unit, from a number of dollars for one unit, or for a million.
fn price(meter: &Meter, written: &str, per_million: bool) -> Result<Price, String> {
    let digits = match meter.per {
        Per::MillionTokens if per_million => 6,
        Per::MillionTokens | Per::One => 12,
        Per::Second => 9,
    };
    let wrong = |why: &str| format!("{} of `{written}` {why}", meter.field);
    let read = scaled(written, digits).ok_or_else(|| wrong("is no number"))?;
    if !read.is_exact {
        return Err(wrong("is finer than a pico-dollar"));
    }
    let pico = u64::try_from(read.whole).map_err(|_| wrong("is no price"))?;
    if meter.is_tokens() && pico > DEAREST {
        return Err(wrong(
            "is more than 500 dollars per million tokens, which no model costs: the unit must be wrong",
        ));
    }
    Ok(Price::from_pico(pico))
}

/// Puts an entry among the others, unless nobody could tell what it costs. `left_out` is what it does not say.
fn take(import: &mut Import, entry: Result<NewEntry, String>, model: &str, left_out: Vec<String>) {
    let entry = entry.and_then(|entry| match import.entries.iter().any(|known| known.model == entry.model) {
        true => Err("is listed twice".to_owned()),
        false => complete(entry),
    });
    match entry {
        Ok(entry) => {
            if !left_out.is_empty() {
                import.left_out.push((entry.model.clone(), left_out));
            }
            import.entries.push(entry);
        }
        Err(why) => import.skipped.push((model.to_owned(), why)),
    }
}

/// Refuses an entry that a price file would refuse.
fn complete(entry: NewEntry) -> Result<NewEntry, String> {
    if let Some(missing) = ["input", "output"]
        .into_iter()
        .find(|name| entry.kind.requires(name) && !entry.prices.contains_key(name))
    {
        return Err(format!("has no price of {missing}"));
    }
    if entry.prices.is_empty() {
        return Err("has no price at all".to_owned());
    }
    let is_tokens = |name: &&&str| meter(name).is_some_and(Meter::is_tokens);
    for (above, sheet) in &entry.above {
        if let Some(missing) = entry.prices.keys().filter(is_tokens).find(|name| !sheet.contains_key(*name)) {
            return Err(format!("has no price of {missing} above {above} tokens"));
        }
    }
    Ok(entry)
}
