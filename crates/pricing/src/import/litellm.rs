//! LiteLLM's `model_prices_and_context_window.json`: one object, a model a member, dollars for single units.
//!
//! The names of prices are `<measure>[_above_1hr|_above_12hr][_above_<N>k_tokens][_<tier>]`.

use std::collections::{BTreeMap, BTreeSet};

use domain::ServiceTier;
use serde_json::value::RawValue;

use super::{Fields, Import, ImportError, count, fields, meter, number, price, take, text};
use crate::entry::{NewEntry, Sheet, TierPrice};
use crate::factor::Factor;
use crate::meter::Meter;
use crate::version::ModelKind;

/// Members that are no models.
const NO_MODELS: [&str; 2] = ["sample_spec", "fallback_generalizations"];

/// Their measures, and our fields.
const MEASURES: [(&str, &str); 9] = [
    ("input_cost_per_token", "input"),
    ("cache_read_input_token_cost", "cached_input"),
    ("cache_creation_input_token_cost", "cache_write"),
    ("output_cost_per_token", "output"),
    ("input_cost_per_audio_token", "audio_input"),
    ("output_cost_per_audio_token", "audio_output"),
    ("input_cost_per_image_token", "image_input"),
    ("output_cost_per_image_token", "image_output"),
    ("output_cost_per_image", "per_image"),
];

/// What a price's name says.
struct Name {
    field: &'static str,
    /// The length of the input that it begins above.
    above: u64,
    tier: ServiceTier,
}

/// Reads a provider's models out of the list.
///
/// # Errors
/// [`ImportError`] for another file, and for a provider that is not in it.
pub fn read(list: &str, provider: &str) -> Result<Import, ImportError> {
    let members: BTreeMap<String, &RawValue> =
        serde_json::from_str(list).map_err(|error| ImportError::Shape {
            expected: "LiteLLM's model_prices_and_context_window.json",
            message: error.to_string(),
        })?;
    let (mut import, mut known, mut found) = (Import::default(), BTreeSet::new(), false);
    for (key, value) in members {
        if NO_MODELS.contains(&key.as_str()) {
            continue;
        }
        let Some(entry) = fields(value) else {
            import.skipped.push((key, "is no object".to_owned()));
            continue;
        };
        let of = entry.get("litellm_provider").and_then(|value| text(value)).unwrap_or_default();
        if of == provider {
            found = true;
            let model = key.strip_prefix(&format!("{provider}/")).unwrap_or(&key).to_owned();
            let mut left_out = Vec::new();
            let entry = entry_of(model, &entry, &mut left_out);
            take(&mut import, entry, &key, left_out);
        }
        known.insert(of);
    }
    let known = known.into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>().join(", ");
    if found { Ok(import) } else { Err(ImportError::Provider { provider: provider.to_owned(), known }) }
}

fn entry_of(model: String, listed: &Fields<'_>, left_out: &mut Vec<String>) -> Result<NewEntry, String> {
    for hours in ["off_peak_pricing", "tiered_pricing"] {
        if listed.contains_key(hours) {
            return Err(format!("has `{hours}`, which a price file cannot say"));
        }
    }
    let mode = listed.get("mode").and_then(|value| text(value)).unwrap_or_default();
    let mut entry = NewEntry::new(model, kind_of(&mode)?);
    let mut tiers: BTreeMap<ServiceTier, (Sheet, BTreeMap<u64, Sheet>)> = BTreeMap::new();
    for (name, value) in listed {
        match (name.as_str(), name_of(name, entry.kind)) {
            ("max_input_tokens", _) => entry.context = count(value),
            ("max_output_tokens", _) => entry.max_output = count(value),
            ("deprecation_date", _) => {
                entry.ends = text(value).filter(|date| date.parse::<domain::Timestamp>().is_ok())
            }
            ("search_context_cost_per_query", _) => put_search(&mut entry, value, left_out)?,
            ("output_cost_per_reasoning_token", _) => check_reasoning(listed, value)?,
            (_, Some((meter, named))) => {
                let (sheet, above) = tiers.entry(named.tier).or_default();
                let sheet = if named.above == 0 { sheet } else { above.entry(named.above).or_default() };
                let written = number(value).ok_or_else(|| format!("has a `{name}` that is no number"))?;
                sheet.insert(named.field, price(meter, &written, false)?);
            }
            (_, None) => put_factor(&mut entry, name, value, left_out)?,
        }
    }
    let (mut standard, above) = tiers.remove(&ServiceTier::Standard).unwrap_or_default();
    // Beside prices of tokens, one by time is the list's own conversion of them, and nobody charges both.
    if standard.keys().any(|field| meter(field).is_some_and(Meter::is_tokens)) {
        standard.remove("per_audio_second");
    }
    entry.prices.extend(standard);
    entry.above = above;
    leave_out_what_follows(&mut entry, &tiers);
    if entry.prices.values().all(|price| price.pico() == 0) {
        return Err(
            "is listed without a price above zero; state \"0\" with `prices set` if it is free".to_owned()
        );
    }
    for (tier, (prices, above)) in tiers {
        put_tier(&mut entry, tier, prices, above, left_out);
    }
    Ok(entry)
}

/// Takes prices out that are what they would be by themselves, where steps or tiers do not list them: there, too, they
/// follow by themselves.
fn leave_out_what_follows(
    entry: &mut NewEntry,
    tiers: &BTreeMap<ServiceTier, (Sheet, BTreeMap<u64, Sheet>)>,
) {
    let others = tiers.values().flat_map(|(sheet, above)| std::iter::once(sheet).chain(above.values()));
    let others: Vec<&Sheet> = entry.above.values().chain(others).collect();
    let stated = entry.prices.clone();
    let follows = |field: &str| {
        let by_itself = meter(field).and_then(|meter| stated.get(meter.fallback?));
        by_itself.is_some() && by_itself == stated.get(field)
    };
    entry.prices.retain(|field, _| {
        *field == "output" || !follows(field) || others.iter().all(|sheet| sheet.contains_key(field))
    });
}

fn kind_of(mode: &str) -> Result<ModelKind, String> {
    Ok(match mode {
        "chat" | "responses" | "completion" => ModelKind::Chat,
        "embedding" => ModelKind::Embedding,
        "moderation" => ModelKind::Moderation,
        "image_generation" | "image_edit" => ModelKind::Image,
        "audio_transcription" => ModelKind::Transcription,
        "audio_speech" => ModelKind::Speech,
        other => return Err(format!("is of the mode `{other}`, which price files do not know")),
    })
}

/// The meter and the place of a price, by its name; `None` for what is no price of ours.
fn name_of(name: &str, kind: ModelKind) -> Option<(&'static Meter, Name)> {
    let (rest, tier) = [("_batches", ServiceTier::Batch), ("_flex", ServiceTier::Flex)]
        .into_iter()
        .chain([("_priority", ServiceTier::Priority), ("_ultrafast", ServiceTier::Ultrafast)])
        .find_map(|(suffix, tier)| Some((name.strip_suffix(suffix)?, tier)))
        .unwrap_or((name, ServiceTier::Standard));
    let (rest, above) = match rest.strip_suffix("k_tokens").and_then(|rest| rest.rsplit_once("_above_")) {
        Some((rest, thousands)) => (rest, thousands.parse::<u64>().ok()?.checked_mul(1_000)?),
        None => (rest, 0),
    };
    let measure = ["_above_1hr", "_above_12hr"].into_iter().find_map(|hours| rest.strip_suffix(hours));
    let field = match (measure, rest, kind) {
        (Some("cache_creation_input_token_cost"), _, _) => "cache_write_long",
        (Some(_), _, _) => return None,
        (None, "input_cost_per_second", ModelKind::Transcription)
        | (None, "output_cost_per_second", ModelKind::Speech) => "per_audio_second",
        (None, "input_cost_per_character", ModelKind::Speech) => "per_character",
        (None, measure, _) => MEASURES.into_iter().find(|(known, _)| *known == measure)?.1,
    };
    Some((meter(field)?, Name { field, above, tier }))
}

/// Searches of one price, whatever their size.
fn put_search(entry: &mut NewEntry, value: &RawValue, left_out: &mut Vec<String>) -> Result<(), String> {
    let sizes: BTreeSet<String> =
        fields(value).into_iter().flatten().filter_map(|(_, size)| number(size)).collect();
    match (sizes.len(), sizes.first(), meter("per_search")) {
        (1, Some(written), Some(search)) => {
            let price = price(search, written, false)?;
            if price.pico() > 0 {
                entry.prices.insert("per_search", price);
            }
        }
        _ => left_out.push("search_context_cost_per_query".to_owned()),
    }
    Ok(())
}

/// Reasoning is output, at the output's price, or cannot be said.
fn check_reasoning(listed: &Fields<'_>, value: &RawValue) -> Result<(), String> {
    let output = listed.get("output_cost_per_token").map(|output| output.get());
    if output == Some(value.get()) {
        return Ok(());
    }
    Err("charges reasoning otherwise than output, which a price file cannot say".to_owned())
}

/// Multiples of regions; and the names of other prices, which are left out.
fn put_factor(
    entry: &mut NewEntry,
    name: &str,
    value: &RawValue,
    left_out: &mut Vec<String>,
) -> Result<(), String> {
    let mut put = |region: &str, value: &RawValue| match Factor::read(value.get()) {
        Some(factor) => {
            entry.regions.insert(region.to_owned(), factor);
            Ok(())
        }
        None => Err(format!("has a multiple `{}` of the region {region} that is none", value.get())),
    };
    if let Some(region) = name.strip_prefix("regional_processing_uplift_multiplier_") {
        return put(region, value);
    }
    if name == "provider_specific_entry" {
        for (key, value) in fields(value).into_iter().flatten() {
            if key == "us" { put("us", value)? } else { left_out.push(format!("{name}.{key}")) }
        }
        return Ok(());
    }
    // What is transcribed and spoken is charged once, not by second of both sides.
    let twice = matches!(name, "output_cost_per_second" | "input_cost_per_token_cache_hit");
    let is_price = name.contains("cost") || name.contains("pricing");
    if is_price && !twice && number(value).is_none_or(|written| !matches!(&*written, "0" | "0.0")) {
        left_out.push(name.to_owned());
    }
    Ok(())
}

/// A service tier with prices of its own, if it has all that the standard one has.
fn put_tier(
    entry: &mut NewEntry,
    tier: ServiceTier,
    prices: Sheet,
    above: BTreeMap<u64, Sheet>,
    left_out: &mut Vec<String>,
) {
    let lacks = |sheet: &Sheet| {
        let tokens = |name: &&&str| meter(name).is_some_and(Meter::is_tokens);
        entry.prices.keys().filter(tokens).find(|name| !sheet.contains_key(*name)).copied()
    };
    if let Some(missing) = lacks(&prices) {
        return left_out.push(format!("tiers.{tier} (no price of {missing})"));
    }
    if let Some((length, missing)) = above.iter().find_map(|(length, sheet)| Some((length, lacks(sheet)?))) {
        return left_out.push(format!("tiers.{tier} (no price of {missing} above {length} tokens)"));
    }
    entry.tiers.insert(tier, TierPrice::Own(prices, above));
}
