//! What a call for speech asks for, and the most that it can come to.

use serde::de::MapAccess;
use serde_json::value::RawValue;

use super::decimal::thousandths;
use crate::bad_request::BadRequest;
use crate::body::span;
use crate::call::Asked;
use crate::field;
use crate::json::Kind;
use crate::members::{self, Members, Refusals};
use crate::product::{Product, spoken_ms};

/// The members that the gateway reads: they decide what a call costs, where it goes or how its answer comes.
const READ: [&str; 4] = ["model", "input", "speed", "stream_format"];

/// The most tokens of audio that one character comes to, at the usual speed. English has 1.3 of them a character; a digit
/// is spoken as a word, and a character outside ASCII may be a syllable, or a word, too.
const TOKENS_PER_CHARACTER: u64 = 4;
const TOKENS_PER_OTHER: u64 = 10;
/// Silence before and after.
const TOKENS_AROUND: u64 = 256;

/// OpenAI's least speed, and the usual one, in thousandths.
const SPEED_MIN: u64 = 250;
const SPEED: u64 = 1_000;

/// Reads the body of a call for speech.
pub(crate) fn read(text: &str) -> Result<Asked, BadRequest> {
    let fields = members::read(text, Fields::default())?;
    let (model, model_text) = field::model(fields.model)?;
    let input = field::string("input", fields.input)?.ok_or_else(|| BadRequest::missing("input"))?;
    if input.is_empty() {
        return Err(BadRequest::empty_string("input"));
    }
    let stream = match field::string("stream_format", fields.stream_format)?.as_deref() {
        None | Some("audio") => false,
        Some("sse") => true,
        Some(_) => return Err(BadRequest::word("stream_format", "'audio' or 'sse'")),
    };
    let count = |is_ascii: bool| {
        let characters = input.chars().filter(|character| character.is_ascii() == is_ascii).count();
        u64::try_from(characters).unwrap_or(u64::MAX)
    };
    let (plain, other) = (count(true), count(false));
    let tokens = plain
        .saturating_mul(TOKENS_PER_CHARACTER)
        .saturating_add(other.saturating_mul(TOKENS_PER_OTHER))
        .saturating_mul(SPEED)
        .div_ceil(speed(fields.speed)?.min(SPEED))
        .saturating_add(TOKENS_AROUND);
    let product = Product {
        characters: plain.saturating_add(other),
        output_tokens: tokens,
        audio_ms: spoken_ms(tokens),
        ..Product::default()
    };
    let model_span = span(text, model_text);
    Ok(Asked { stream, product, ..Asked::plain(model, model_span) })
}

/// The speed in thousandths: slow speech is long.
fn speed(raw: Option<&RawValue>) -> Result<u64, BadRequest> {
    let Some(text) = raw.map(RawValue::get).filter(|text| *text != "null") else { return Ok(SPEED) };
    let kind = Kind::of(text);
    if !matches!(kind, Kind::Integer | Kind::Decimal) {
        return Err(BadRequest::mistyped("speed", "a number", kind));
    }
    match thousandths(text) {
        Some(speed) if speed >= SPEED_MIN => Ok(speed),
        Some(_) | None => Err(BadRequest::word("speed", "a number from 0.25 to 4.0, without an exponent")),
    }
}

/// The members of one request, as they stand in its text.
#[derive(Default)]
struct Fields<'a> {
    model: Option<&'a RawValue>,
    input: Option<&'a RawValue>,
    speed: Option<&'a RawValue>,
    stream_format: Option<&'a RawValue>,
}

impl<'a> Members<'a> for Fields<'a> {
    fn member<A: MapAccess<'a>>(
        &mut self,
        name: &str,
        map: &mut A,
        refusals: &mut Refusals,
    ) -> Result<(), A::Error> {
        let slot = match name {
            "model" => &mut self.model,
            "input" => &mut self.input,
            "speed" => &mut self.speed,
            "stream_format" => &mut self.stream_format,
            _ => return refusals.unread(name, &READ, map),
        };
        refusals.raw(slot, name, map)
    }
}
