//! JSON of callers and providers, read a level at a time: members are taken by name, and what nobody took is known.
//!
//! It knows where in the document it is, so that every refusal names its member; it must never know what a member
//! means. Values that are not looked into stay slices of the body.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::notes::{Inexpressible, Notes};
use crate::json::{self, Kind, Name};

/// Where a value stands, as a list that grows on the stack.
#[derive(Clone, Copy)]
pub(super) enum Path<'p> {
    Root,
    Member(&'p Path<'p>, &'p str),
    Item(&'p Path<'p>, usize),
}

impl Path<'_> {
    /// The same for all items of a list: `messages[].name`.
    pub(super) fn pattern(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Member(Path::Root, name) => (*name).to_owned(),
            Self::Member(parent, name) => format!("{}.{name}", parent.pattern()),
            Self::Item(parent, _) => format!("{}[]", parent.pattern()),
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Member(Path::Root, name) => f.write_str(name),
            Self::Member(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// A value that has not been looked into, and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Value<'a, 'p> {
    pub(super) raw: &'a RawValue,
    pub(super) path: Path<'p>,
}

impl<'a> Value<'a, '_> {
    /// A whole document, which must be JSON in UTF-8 and not nested deeper than 128 levels.
    pub(super) fn document(body: &'a [u8]) -> Result<Value<'a, 'static>, Inexpressible> {
        let text = std::str::from_utf8(body).map_err(|_| Inexpressible::body("it is not UTF-8"))?;
        json::check_depth::<serde_json::Error>(text).map_err(Inexpressible::body)?;
        let raw = serde_json::from_str(text).map_err(Inexpressible::body)?;
        Ok(Value { raw, path: Path::Root })
    }

    pub(super) fn kind(&self) -> Kind {
        Kind::of(self.raw.get())
    }

    fn mistyped(&self, expected: &str) -> Inexpressible {
        let got = self.kind();
        Inexpressible::new(&self.path, format_args!("expected {expected}, but got {got} instead"))
    }

    /// The refusal of this value.
    pub(super) fn refuse(&self, why: impl fmt::Display) -> Inexpressible {
        Inexpressible::new(&self.path, why)
    }

    pub(super) fn string(&self) -> Result<Cow<'a, str>, Inexpressible> {
        if self.kind() != Kind::String {
            return Err(self.mistyped("a string"));
        }
        let mut read = None;
        // It is JSON, so only an escape that is no character can go wrong.
        json::read(self.raw.get(), &mut read).map_err(|_| self.refuse("it is no valid Unicode text"))?;
        read.ok_or_else(|| self.mistyped("a string"))
    }

    pub(super) fn boolean(&self) -> Result<bool, Inexpressible> {
        match self.raw.get() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(self.mistyped("a boolean")),
        }
    }

    pub(super) fn count(&self) -> Result<u64, Inexpressible> {
        self.raw.get().parse().map_err(|_| self.mistyped("a whole number that is not negative"))
    }

    /// A number as it is written: no digit of it is computed with.
    pub(super) fn number(&self) -> Result<&'a str, Inexpressible> {
        match self.kind() {
            Kind::Integer | Kind::Decimal => Ok(self.raw.get()),
            Kind::Null | Kind::Boolean | Kind::String | Kind::Array | Kind::Object => {
                Err(self.mistyped("a number"))
            }
        }
    }

    /// An object as it is written.
    pub(super) fn object_text(&self) -> Result<&'a str, Inexpressible> {
        if self.kind() == Kind::Object { Ok(self.raw.get()) } else { Err(self.mistyped("an object")) }
    }

    pub(super) fn items(&self) -> Result<Items<'a, '_>, Inexpressible> {
        if self.kind() != Kind::Array {
            return Err(self.mistyped("an array"));
        }
        let items = serde_json::from_str(self.raw.get()).map_err(|error| self.refuse(error))?;
        Ok(Items { path: &self.path, items })
    }

    /// The items of an array, or the one item that Google's servers take for an array of one.
    pub(super) fn list(&self) -> Result<Items<'a, '_>, Inexpressible> {
        match self.kind() {
            Kind::Object => Ok(Items { path: &self.path, items: vec![self.raw] }),
            Kind::Array | Kind::Null | Kind::Boolean | Kind::Integer | Kind::Decimal | Kind::String => {
                self.items()
            }
        }
    }

    pub(super) fn object(&self) -> Result<Object<'a, '_>, Inexpressible> {
        if self.kind() != Kind::Object {
            return Err(self.mistyped("an object"));
        }
        let mut deserializer = serde_json::Deserializer::from_str(self.raw.get());
        // Names with an escape that is no character are the only thing that can go wrong.
        let members =
            deserializer.deserialize_map(Members).map_err(|_| self.refuse("a name in it is no text"))?;
        Ok(Object { path: &self.path, members })
    }
}

/// Whether a member goes by this name. Google's servers take `max_output_tokens` for `maxOutputTokens`, too; names of
/// other forms have no capitals.
fn is_named(own: &str, name: &str) -> bool {
    let mut own_letters = own.chars();
    own == name
        || name.chars().all(|letter| {
            let is_capital = letter.is_ascii_uppercase();
            (!is_capital || own_letters.next() == Some('_'))
                && own_letters.next() == Some(letter.to_ascii_lowercase())
        }) && own_letters.next().is_none()
}

/// The items of an array.
pub(super) struct Items<'a, 'p> {
    path: &'p Path<'p>,
    items: Vec<&'a RawValue>,
}

impl<'a, 'p> Items<'a, 'p> {
    pub(super) fn iter(&self) -> impl Iterator<Item = Value<'a, 'p>> {
        let path = self.path;
        self.items.iter().enumerate().map(move |(index, raw)| Value { raw, path: Path::Item(path, index) })
    }
}

/// The members of an object; of several with one name the last counts, as with most parsers.
pub(super) struct Object<'a, 'p> {
    pub(super) path: &'p Path<'p>,
    members: Vec<(Cow<'a, str>, Cell<Option<&'a RawValue>>)>,
}

impl<'a> Object<'a, '_> {
    /// The member of this name, which is then no longer among the [rest](Self::drop_rest). Null counts as absent.
    pub(super) fn take<'s>(&'s self, name: &'s str) -> Option<Value<'a, 's>> {
        let mut found = None;
        for (own, slot) in &self.members {
            if is_named(own, name) {
                found = slot.take().or(found);
            }
        }
        let raw = found.filter(|raw| raw.get() != "null")?;
        Some(Value { raw, path: Path::Member(self.path, name) })
    }

    /// The same as it is written, and still untaken.
    pub(super) fn peek(&self, name: &str) -> Option<&'a RawValue> {
        let mut named = self.members.iter().rev().filter(|(own, _)| is_named(own, name));
        named.find_map(|(_, slot)| slot.get())
    }

    pub(super) fn string(&self, name: &str) -> Result<Option<Cow<'a, str>>, Inexpressible> {
        self.take(name).map(|value| value.string()).transpose()
    }

    pub(super) fn boolean(&self, name: &str) -> Result<Option<bool>, Inexpressible> {
        self.take(name).map(|value| value.boolean()).transpose()
    }

    pub(super) fn count(&self, name: &str) -> Result<Option<u64>, Inexpressible> {
        self.take(name).map(|value| value.count()).transpose()
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<&'a str>, Inexpressible> {
        self.take(name).map(|value| value.number()).transpose()
    }

    /// A string that must be there.
    pub(super) fn need_string(&self, name: &str) -> Result<Cow<'a, str>, Inexpressible> {
        self.string(name)?.ok_or_else(|| self.missing(name))
    }

    pub(super) fn missing(&self, name: &str) -> Inexpressible {
        Inexpressible::new(&Path::Member(self.path, name), "it is required, and missing")
    }

    /// The members that nobody took, in their order.
    pub(super) fn untaken(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.members.iter().filter_map(|(name, slot)| Some((&**name, slot.get()?)))
    }

    /// Refuses the member of this name, if it is there.
    pub(super) fn refuse(&self, name: &str, why: &str) -> Result<(), Inexpressible> {
        self.take(name).map_or(Ok(()), |value| Err(value.refuse(why)))
    }

    /// Leaves out the member of this name, and notes it if it was there.
    pub(super) fn drop(&self, name: &str, why: &'static str, notes: &mut Notes) {
        if let Some(value) = self.take(name) {
            notes.drop(&value.path, why);
        }
    }

    /// Leaves out a member that says nothing in any other form.
    pub(super) fn pass_over(&self, name: &str) {
        self.take(name);
    }

    /// Notes every member that nobody took.
    pub(super) fn drop_rest(&self, notes: &mut Notes) {
        for (name, _) in self.untaken().filter(|(_, raw)| raw.get() != "null") {
            notes.drop(&Path::Member(self.path, name), "not known to the conversion");
        }
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(Cow<'de, str>, Cell<Option<&'de RawValue>>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = map.next_key_seed(Name)? {
            members.push((name, Cell::new(Some(map.next_value()?))));
        }
        Ok(members)
    }
}
