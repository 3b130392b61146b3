//! OpenRouter's answer to `GET /api/v1/models`: dollars for single units, as texts.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Fields, Import, ImportError, count, fields, meter, number, price, take, text};
use crate::entry::{NewEntry, Sheet};
use crate::version::ModelKind;

/// Their names of prices, and our fields.
const MEASURES: [(&str, &str); 9] = [
    ("prompt", "input"),
    ("completion", "output"),
    ("input_cache_read", "cached_input"),
    ("input_cache_write", "cache_write"),
    ("input_cache_write_1h", "cache_write_long"),
    ("audio", "audio_input"),
    ("audio_output", "audio_output"),
    ("image_token", "image_input"),
    ("web_search", "per_search"),
];

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
}

/// Reads the list's models.
///
/// # Errors
/// [`ImportError`] for another file.
pub fn read(list: &str) -> Result<Import, ImportError> {
    let List { data } = serde_json::from_str(list).map_err(|error| ImportError::Shape {
        expected: "OpenRouter's list of models",
        message: error.to_string(),
    })?;
    let mut import = Import::default();
    for (index, value) in data.into_iter().enumerate() {
        let listed = fields(value);
        let id = listed.as_ref().and_then(|listed| text(listed.get("id")?));
        let (Some(listed), Some(id)) = (listed, id) else {
            import.skipped.push((format!("data[{index}]"), "has no `id`".to_owned()));
            continue;
        };
        let mut left_out = Vec::new();
        let entry = entry_of(id.clone(), &listed, &mut left_out);
        take(&mut import, entry, &id, left_out);
    }
    Ok(import)
}

fn entry_of(model: String, listed: &Fields<'_>, left_out: &mut Vec<String>) -> Result<NewEntry, String> {
    let answers: Option<Vec<String>> = listed
        .get("architecture")
        .and_then(|value| fields(value))
        .and_then(|architecture| serde_json::from_str(architecture.get("output_modalities")?.get()).ok());
    let answers_with =
        |what: &str| answers.as_ref().is_none_or(|all| all.iter().any(|answer| answer == what));
    let kind = match (answers_with("text"), answers_with("embeddings")) {
        (true, _) => ModelKind::Chat,
        (false, true) => ModelKind::Embedding,
        (false, false) => {
            return Err("answers with something else than text, whose unit the list does not name".to_owned());
        }
    };
    let mut entry = NewEntry::new(model, kind);
    let pricing = listed.get("pricing").and_then(|value| fields(value)).ok_or("has no `pricing`")?;
    entry.prices = sheet(&pricing, left_out)?;
    if let Some(overrides) = pricing.get("overrides") {
        put_overrides(&mut entry, overrides)?;
    }
    entry.context = listed.get("context_length").and_then(|value| count(value));
    entry.max_output = listed
        .get("top_provider")
        .and_then(|value| fields(value))
        .and_then(|top| count(top.get("max_completion_tokens")?));
    entry.ends = listed
        .get("expiration_date")
        .and_then(|value| text(value))
        .filter(|date| date.parse::<domain::Timestamp>().is_ok());
    Ok(entry)
}

fn sheet(pricing: &Fields<'_>, left_out: &mut Vec<String>) -> Result<Sheet, String> {
    let mut sheet = Sheet::new();
    for (name, value) in pricing {
        if matches!(name.as_str(), "overrides" | "min_prompt_tokens") {
            continue;
        }
        let written = number(value).ok_or_else(|| format!("has a `pricing.{name}` that is no number"))?;
        let is_zero = domain::scaled(&written, 0).is_some_and(|read| read.is_exact && read.whole == 0);
        match (name.as_str(), MEASURES.iter().find(|(known, _)| known == name)) {
            (_, Some(_)) if written == "-1" => {
                return Err("has a price that changes with every call".to_owned());
            }
            // A search that costs nothing says that there is none.
            ("web_search", Some(_)) if is_zero => {}
            (_, Some((_, field))) => {
                let meter = meter(field).ok_or("has an unknown price")?;
                sheet.insert(field, price(meter, &written, false)?);
            }
            ("request", None) if !is_zero => {
                return Err("charges by the request, which a price file cannot say".to_owned());
            }
            ("internal_reasoning", None) if !is_zero => {
                if pricing.get("completion").and_then(|output| number(output)) != Some(written) {
                    return Err(
                        "charges reasoning otherwise than output, which a price file cannot say".to_owned()
                    );
                }
            }
            (_, None) if is_zero => {}
            (_, None) => left_out.push(format!("pricing.{name}")),
        }
    }
    Ok(sheet)
}

/// Prices of longer inputs; what one does not name stays.
fn put_overrides(entry: &mut NewEntry, overrides: &RawValue) -> Result<(), String> {
    let overrides: Vec<&RawValue> =
        serde_json::from_str(overrides.get()).map_err(|_| "has `pricing.overrides` that are no list")?;
    for value in overrides {
        let step = fields(value).ok_or("has an override that is no object")?;
        if step.contains_key("utc_start") || step.contains_key("utc_end") {
            return Err("has a price by the time of day, which a price file cannot say".to_owned());
        }
        let length = step.get("min_prompt_tokens").and_then(|value| count(value));
        let length = length.ok_or("has an override by something else than the input's length")?;
        let mut prices = entry.prices.clone();
        prices.extend(sheet(&step, &mut Vec::new())?);
        // What is no token costs the same at every length.
        prices.retain(|field, _| meter(field).is_some_and(crate::Meter::is_tokens));
        entry.above.insert(length, prices);
    }
    Ok(())
}
