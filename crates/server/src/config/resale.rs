//! What a reseller charges (access class 2.4), and the list price beside what is paid: `resale` of a provider or a target,
//! and `list` of a target.

use std::sync::Arc;

use domain::AccessClass;
use gateway::Contract;
use pricing::{Catalog, Resale, ResaleError, Schedule};

use super::read::{Mistakes, Section};

/// How a provider's prices become ours, if it says so; `contract` is `None` when it has mistakes.
pub(super) fn read(
    section: &mut Section,
    contract: Option<&Contract>,
    mistakes: &mut Mistakes,
) -> Option<Resale> {
    let found = written(section, mistakes)?;
    check_class(&section.field("resale"), contract, mistakes);
    Some(found)
}

/// A resale, if one is written.
pub(super) fn written(section: &mut Section, mistakes: &mut Mistakes) -> Option<Resale> {
    if !section.has("resale") {
        return None;
    }
    let mut inner = section.section("resale", mistakes);
    let [unit, value, markup] =
        ["price_unit", "unit_value", "markup_percent"].map(|name| inner.text(name, mistakes));
    let has_per = inner.has("per_tokens");
    let per_tokens = inner.number("per_tokens", 1..=1_000_000, mistakes);
    let field = section.field("resale");
    inner.finish(mistakes);
    if has_per && per_tokens.is_none() {
        return None;
    }
    let unit = match (&unit, &value) {
        (Some(unit), Some(value)) => Ok(Some((&**unit, &**value))),
        (None, None) => Ok(None),
        (Some(_), None) | (None, Some(_)) => Err(ResaleError::Half),
    };
    let read = unit.and_then(|unit| Resale::read(unit, per_tokens, markup.as_deref()));
    read.map_err(|error| mistakes.add(&field, error)).ok()
}

/// Only a reseller adds to a price, or sells by a unit of its own.
pub(super) fn check_class(field: &str, contract: Option<&Contract>, mistakes: &mut Mistakes) {
    let Some(contract) = contract else { return };
    if contract.class != AccessClass::Reseller {
        let class = contract.class.as_str();
        let what = "is out of place; only where the contract says class = \"reseller\" does somebody add to the price";
        mistakes.add(field, format_args!("{what}, and here it says \"{class}\""));
    }
}

/// The catalogue's prices that a target names as list prices, as `openai/gpt-5.4`.
pub(super) fn list_named(
    field: &str,
    text: &str,
    catalog: &Catalog,
    mistakes: &mut Mistakes,
) -> Option<Arc<Schedule>> {
    let found = text.split_once('/').and_then(|(provider, model)| catalog.schedule(provider, model));
    if found.is_none() {
        let what = format!(
            "the price catalogue has no `{text}`; write provider/model, as `tollkeeper prices list` shows them, such as \
             \"openai/gpt-5.4\""
        );
        mistakes.add(field, what);
    }
    found.cloned()
}

/// What is paid at a target, with the list price beside: by its own price, in the reseller's unit where there is one, or by
/// the list price and what the reseller adds.
pub(super) fn priced(
    (provider, model): (&str, &str),
    own: Option<Arc<Schedule>>,
    list: Option<Arc<Schedule>>,
    resale: Option<&Resale>,
) -> Result<Option<Arc<Schedule>>, ResaleError> {
    let paid = match (own, &list, resale) {
        (Some(own), _, Some(resale)) => own.resold(resale).map(Arc::new)?,
        (None, Some(list), Some(resale)) => {
            return list.above_list((provider, model), resale).map(Arc::new).map(Some);
        }
        (Some(own), _, None) => own,
        (None, _, _) => return Ok(None),
    };
    Ok(Some(match list {
        Some(list) => Arc::new(paid.beside(&list)),
        None => paid,
    }))
}
