//! models.dev's `api.json`: providers by name, their models by name, dollars for a million tokens.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::{Fields, Import, ImportError, count, fields, meter, number, price, take, text};
use crate::entry::{NewEntry, Sheet};
use crate::version::ModelKind;

/// Their names of prices, and our fields.
const MEASURES: [(&str, &str); 6] = [
    ("input", "input"),
    ("output", "output"),
    ("cache_read", "cached_input"),
    ("cache_write", "cache_write"),
    ("input_audio", "audio_input"),
    ("output_audio", "audio_output"),
];

/// Reads a provider's models out of the list.
///
/// # Errors
/// [`ImportError`] for another file, and for a provider that is not in it.
pub fn read(list: &str, provider: &str) -> Result<Import, ImportError> {
    let shape = |message: String| ImportError::Shape { expected: "models.dev's api.json", message };
    let providers: BTreeMap<String, &RawValue> =
        serde_json::from_str(list).map_err(|error| shape(error.to_string()))?;
    let Some(found) = providers.get(provider) else {
        let known = providers.into_keys().collect::<Vec<_>>().join(", ");
        return Err(ImportError::Provider { provider: provider.to_owned(), known });
    };
    let models = fields(found).and_then(|found| fields(found.get("models")?));
    let models = models.ok_or_else(|| shape(format!("`{provider}` has no object `models`")))?;
    let mut import = Import::default();
    for (model, value) in models {
        let mut left_out = Vec::new();
        let entry = match fields(value) {
            Some(listed) => entry_of(model.clone(), &listed, &mut left_out),
            None => Err("is no object".to_owned()),
        };
        take(&mut import, entry, &model, left_out);
    }
    Ok(import)
}

fn entry_of(model: String, listed: &Fields<'_>, left_out: &mut Vec<String>) -> Result<NewEntry, String> {
    let mut entry = NewEntry::new(model, ModelKind::Chat);
    let answers: Option<Vec<String>> = listed
        .get("modalities")
        .and_then(|value| fields(value))
        .and_then(|modalities| serde_json::from_str(modalities.get("output")?.get()).ok());
    if answers.is_some_and(|answers| !answers.iter().any(|answer| answer == "text")) {
        return Err("answers with something else than text, whose unit the list does not name".to_owned());
    }
    let family = listed.get("family").and_then(|value| text(value)).unwrap_or_default();
    if family.contains("embedding") || entry.model.contains("embedding") {
        entry.kind = ModelKind::Embedding;
    }
    let cost = listed.get("cost").and_then(|value| fields(value)).ok_or("has no `cost`")?;
    entry.prices = sheet(&cost, left_out)?;
    if entry.kind == ModelKind::Embedding {
        // Zero says that there is no output.
        entry.prices.retain(|field, price| *field != "output" || price.pico() > 0);
    }
    if entry.prices.values().all(|price| price.pico() == 0) {
        return Err(
            "is listed without a price above zero; state \"0\" with `prices set` if it is free".to_owned()
        );
    }
    put_steps(&mut entry, &cost)?;
    if let Some(limit) = listed.get("limit").and_then(|value| fields(value)) {
        let of = |name: &str| limit.get(name).and_then(|value| count(value));
        entry.context = of("input").or(of("context"));
        entry.max_output = of("output");
    }
    left_out.extend(listed.contains_key("experimental").then(|| "experimental".to_owned()));
    Ok(entry)
}

/// The prices of one `cost`, or of one of its steps.
fn sheet(cost: &Fields<'_>, left_out: &mut Vec<String>) -> Result<Sheet, String> {
    let mut sheet = Sheet::new();
    for (name, value) in cost {
        let written = number(value);
        match (MEASURES.iter().find(|(known, _)| known == name), written) {
            (Some((_, field)), Some(written)) => {
                let meter = meter(field).ok_or("has an unknown price")?;
                sheet.insert(field, price(meter, &written, true)?);
            }
            (Some(_), None) => return Err(format!("has a `cost.{name}` that is no number")),
            (None, _) if matches!(name.as_str(), "tiers" | "tier" | "context_over_200k") => {}
            (None, Some(written)) if name == "reasoning" => {
                if cost.get("output").and_then(|output| number(output)) != Some(written) {
                    return Err(
                        "charges reasoning otherwise than output, which a price file cannot say".to_owned()
                    );
                }
            }
            (None, _) => left_out.push(format!("cost.{name}")),
        }
    }
    Ok(sheet)
}

/// Prices of longer inputs: `tiers`, or what stood there before them.
fn put_steps(entry: &mut NewEntry, cost: &Fields<'_>) -> Result<(), String> {
    let mut steps: Vec<(u64, Fields<'_>)> = Vec::new();
    if let Some(tiers) = cost.get("tiers") {
        let tiers: Vec<&RawValue> =
            serde_json::from_str(tiers.get()).map_err(|_| "has `cost.tiers` that are no list")?;
        for tier in tiers {
            let tier = fields(tier).ok_or("has a tier that is no object")?;
            let size = tier.get("tier").and_then(|value| fields(value)).and_then(|size| {
                let is_length =
                    size.get("type").is_none_or(|value| text(value).as_deref() == Some("context"));
                count(size.get("size").filter(|_| is_length)?)
            });
            steps.push((size.ok_or("has a tier by something else than the input's length")?, tier));
        }
    } else if let Some(over) = cost.get("context_over_200k") {
        steps.push((200_000, fields(over).ok_or("has a `cost.context_over_200k` that is no object")?));
    }
    for (length, step) in steps {
        entry.above.insert(length, sheet(&step, &mut Vec::new())?);
    }
    Ok(())
}
