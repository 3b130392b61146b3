//! Reading JSON that may have any shape: members are picked where they have the type that is looked for, and all
//! else is passed over without a fuss.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The nesting that a document may have, as deep as `serde_json` itself would follow it.
const DEPTH_MAX: usize = 128;

/// What a JSON value is, in the words of error messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Boolean,
    Integer,
    Decimal,
    String,
    Array,
    Object,
}

impl Kind {
    /// The kind of a value by its text, which must be JSON.
    pub(crate) fn of(text: &str) -> Self {
        match text.bytes().next() {
            Some(b'"') => Self::String,
            Some(b'{') => Self::Object,
            Some(b'[') => Self::Array,
            Some(b't' | b'f') => Self::Boolean,
            Some(b'-' | b'0'..=b'9') if text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) => {
                Self::Decimal
            }
            Some(b'-' | b'0'..=b'9') => Self::Integer,
            Some(_) | None => Self::Null,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Integer => "an integer",
            Self::Decimal => "a decimal number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        })
    }
}

/// Takes from one JSON value what it has a use for. Whatever a method is not written for is passed over.
pub(crate) trait Take<'de> {
    /// Told before anything else.
    fn kind(&mut self, _: Kind) {}
    /// A string.
    fn text(&mut self, _: &str) {}
    /// A string without escapes, which lives as long as the document.
    fn borrowed(&mut self, text: &'de str) {
        self.text(text);
    }
    /// A number as a count: a negative one is 0, a decimal one is rounded, one that fits no `u64` is not told.
    fn count(&mut self, _: u64) {}
    /// An object.
    fn object<A: MapAccess<'de>>(&mut self, map: A) -> Result<(), A::Error> {
        IgnoredAny.visit_map(map).map(drop)
    }
    /// An array.
    fn array<A: SeqAccess<'de>>(&mut self, seq: A) -> Result<(), A::Error> {
        IgnoredAny.visit_seq(seq).map(drop)
    }
}

/// Reads one value into the place behind the reference.
pub(crate) struct Into<'a, T>(pub(crate) &'a mut T);

impl<'de, T: Take<'de>> DeserializeSeed<'de> for Into<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Take<'de>> Visitor<'de> for Into<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.kind(Kind::Null);
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.0.kind(Kind::Boolean);
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.0.kind(Kind::Integer);
        self.0.count(value);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.0.kind(Kind::Integer);
        self.0.count(u64::try_from(value).unwrap_or(0));
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.0.kind(Kind::Decimal);
        // By way of text, because a float converts to an integer only by `as`. Counts written as 12.0 are rare.
        if let Ok(count) = format!("{:.0}", value.max(0.0)).parse() {
            self.0.count(count);
        }
        Ok(())
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<(), E> {
        self.0.kind(Kind::String);
        self.0.borrowed(text);
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.kind(Kind::String);
        self.0.text(text);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.0.kind(Kind::Object);
        self.0.object(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        self.0.kind(Kind::Array);
        self.0.array(seq)
    }
}

/// The string, if it is one.
impl<'de> Take<'de> for Option<Cow<'de, str>> {
    fn text(&mut self, text: &str) {
        *self = Some(Cow::Owned(text.to_owned()));
    }

    fn borrowed(&mut self, text: &'de str) {
        *self = Some(Cow::Borrowed(text));
    }
}

/// The number, if it is one.
impl Take<'_> for Option<u64> {
    fn count(&mut self, count: u64) {
        *self = Some(count);
    }
}

/// A member's name, borrowed where it has no escapes.
pub(crate) struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// Passes over one value.
pub(crate) fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(drop)
}

/// Reads every element of an array into the same place.
pub(crate) fn each<'de, A: SeqAccess<'de>, T: Take<'de>>(mut seq: A, into: &mut T) -> Result<(), A::Error> {
    while seq.next_element_seed(Into(into))?.is_some() {}
    Ok(())
}

/// Reads a whole document into a place.
pub(crate) fn read<'de>(text: &'de str, into: &mut impl Take<'de>) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    Into(into).deserialize(&mut deserializer)?;
    deserializer.end()
}

/// Passes over one value of a document that will be sent on, and refuses one that is nested too deeply.
///
/// The parser itself would skip any depth, but whoever reads the document next may follow it by recursion.
pub(crate) fn skip_shallow<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    check_depth(map.next_value::<&RawValue>()?.get())
}

/// Refuses JSON that is nested too deeply.
pub(crate) fn check_depth<E: Error>(text: &str) -> Result<(), E> {
    if matches!(Kind::of(text), Kind::Array | Kind::Object) && is_deep(text.as_bytes()) {
        return Err(E::custom(format_args!("nested more than {DEPTH_MAX} levels deep")));
    }
    Ok(())
}

fn is_deep(json: &[u8]) -> bool {
    let count = |bracket| memchr::memchr_iter(bracket, json).count();
    // Text with fewer brackets than levels needs no closer look; counting runs at tens of gigabytes a second.
    if json.len() < 2 * DEPTH_MAX || count(b'[') + count(b'{') <= DEPTH_MAX {
        return false;
    }
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(&byte) = json.get(at) {
        at += 1;
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => at = string_end(json, at),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return true;
        }
    }
    false
}

/// Where the string ends whose first byte after the quote is at `at`.
fn string_end(json: &[u8], mut at: usize) -> usize {
    while let Some(found) = json.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if json.get(at) == Some(&b'"') {
            return at + 1;
        }
        at += 2;
    }
    json.len()
}
