//! Members of a request that have one value, each with the refusal that names it.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use serde_json::value::RawValue;

use crate::bad_request::BadRequest;
use crate::json::{self, Kind};

/// Longer model names are nobody's.
const MODEL_BYTES_MAX: usize = 256;

/// Reads an optional boolean.
pub(crate) fn boolean(param: &str, raw: Option<&RawValue>) -> Result<Option<bool>, BadRequest> {
    match raw.map(RawValue::get) {
        None | Some("null") => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(other) => Err(BadRequest::mistyped(param, "a boolean", Kind::of(other))),
    }
}

/// Reads an optional integer within bounds.
pub(crate) fn integer(
    param: &str,
    raw: Option<&RawValue>,
    bounds: RangeInclusive<u64>,
) -> Result<Option<u64>, BadRequest> {
    let Some(text) = raw.map(RawValue::get).filter(|text| *text != "null") else { return Ok(None) };
    let kind = Kind::of(text);
    if kind != Kind::Integer {
        return Err(BadRequest::mistyped(param, "an integer", kind));
    }
    // A number can have as many digits as the body has bytes.
    let shown = text.get(..32).unwrap_or(text);
    match text.parse::<u64>() {
        Ok(value) if bounds.contains(&value) => Ok(Some(value)),
        Ok(value) if value < *bounds.start() => Err(BadRequest::below(param, *bounds.start(), shown)),
        Err(_) if text.starts_with('-') => Err(BadRequest::below(param, *bounds.start(), shown)),
        Ok(_) | Err(_) => Err(BadRequest::above(param, *bounds.end(), shown)),
    }
}

/// Reads an optional string.
pub(crate) fn string<'a>(param: &str, raw: Option<&'a RawValue>) -> Result<Option<Cow<'a, str>>, BadRequest> {
    let Some(text) = raw.map(RawValue::get).filter(|text| *text != "null") else { return Ok(None) };
    let mut read = None;
    // The text is JSON, so only an escape that is no character can go wrong.
    json::read(text, &mut read)
        .map_err(|_| BadRequest::body(format_args!("'{param}' is no valid Unicode text")))?;
    read.map(Some).ok_or_else(|| BadRequest::mistyped(param, "a string", Kind::of(text)))
}

/// Reads the model's name: decoded, and as it stands in the text.
pub(crate) fn model(raw: Option<&RawValue>) -> Result<(String, &str), BadRequest> {
    model_in("model", raw.ok_or_else(|| BadRequest::missing("model"))?)
}

/// The same of a member, or an item of one, that names a model.
pub(crate) fn model_in<'a>(param: &str, raw: &'a RawValue) -> Result<(String, &'a str), BadRequest> {
    let name =
        string(param, Some(raw))?.ok_or_else(|| BadRequest::mistyped(param, "a string", Kind::Null))?;
    match name.len() {
        0 => Err(BadRequest::empty_string(param)),
        got if got > MODEL_BYTES_MAX => Err(BadRequest::long_string(param, MODEL_BYTES_MAX, got)),
        _ => Ok((name.into_owned(), raw.get())),
    }
}

/// The decisive member that a name stands for with a parser that does not mind upper and lower case (Go's, for one).
pub(crate) fn disguised(name: &str, decisive: &[&'static str]) -> Option<&'static str> {
    if name.is_ascii() {
        return decisive.iter().copied().find(|decisive| decisive.eq_ignore_ascii_case(name));
    }
    // The long s and the Kelvin sign are the two letters outside ASCII that fold into it.
    let folded: String = name.chars().take(32).flat_map(char::to_lowercase).collect();
    let folded = folded.replace('\u{17f}', "s");
    decisive.iter().copied().find(|decisive| *decisive == folded)
}
