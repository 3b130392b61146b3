//! OpenRouter's `models`: the models that may answer, in the order in which they are tried.
//!
//! It knows how the member is written (<https://openrouter.ai/docs/guides/routing/model-fallbacks>) and how it stands
//! beside `model`, which comes first; it must never know which models there are.

use std::ops::Range;

use serde_json::value::RawValue;

use crate::bad_request::BadRequest;
use crate::body::{after_brace, span};
use crate::field;
use crate::json::Kind;

/// Models that one call may name beside the first; OpenRouter takes three.
const MODELS_MAX: usize = 8;

/// A model to be tried when those before it fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// Its place in `models`, from 0.
    pub place: usize,
    /// Its name, decoded; 1 to 256 bytes.
    pub model: String,
}

/// The models that a call names.
pub(super) struct Named {
    /// The first one.
    pub(super) model: String,
    /// Where its name stands or would stand in the body, and whether it does.
    pub(super) span: Range<usize>,
    pub(super) stands: bool,
    /// The others, in order, each once.
    pub(super) fallbacks: Vec<Fallback>,
    /// Where the value of `models` stands.
    pub(super) models: Option<Range<usize>>,
}

/// Reads `model` and `models`. Without the one the other has the first model, too.
pub(super) fn read(
    body: &str,
    model: Option<&RawValue>,
    models: Option<&RawValue>,
) -> Result<Named, BadRequest> {
    let mut fallbacks = list(models)?;
    let is_null = model.is_none_or(|model| model.get() == "null");
    let (model, span, stands) = if is_null && !fallbacks.is_empty() {
        // Without a value there is no place but the first in the body.
        let place = model.map_or_else(|| after_brace(body, body), |null| span(body, null.get()));
        (fallbacks.remove(0).model, place, false)
    } else {
        let (name, text) = field::model(model)?;
        (name, span(body, text), true)
    };
    let mut seen = vec![model.clone()];
    fallbacks.retain(|fallback| {
        let fresh = !seen.contains(&fallback.model);
        seen.push(fallback.model.clone());
        fresh
    });
    let models = models.map(|models| self::span(body, models.get()));
    Ok(Named { model, span, stands, fallbacks, models })
}

fn list(raw: Option<&RawValue>) -> Result<Vec<Fallback>, BadRequest> {
    let Some(text) = raw.map(RawValue::get).filter(|text| *text != "null") else { return Ok(Vec::new()) };
    let kind = Kind::of(text);
    if kind != Kind::Array {
        return Err(BadRequest::mistyped("models", "an array of strings", kind));
    }
    let items: Vec<&RawValue> = serde_json::from_str(text).map_err(BadRequest::body)?;
    if items.len() > MODELS_MAX {
        return Err(BadRequest::long_array("models", MODELS_MAX, items.len()));
    }
    let read = |(place, item)| {
        let (model, _) = field::model_in(&format!("models[{place}]"), item)?;
        Ok(Fallback { place, model })
    };
    items.into_iter().enumerate().map(read).collect()
}
