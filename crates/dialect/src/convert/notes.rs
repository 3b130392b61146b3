//! What a conversion cannot carry over: dropped with a warning, or refused by name.

use std::fmt;

use super::value::Path;

/// Different members that are named; a request could hold any number, and a header cannot.
const DROPPED_MAX: usize = 32;
/// Characters of a member's name that are shown.
const NAME_CHARS_MAX: usize = 120;

/// A member that did not reach the provider, or not as it stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The member in the caller's terms, `messages[].name`; visible ASCII of at most 120 characters.
    pub member: String,
    /// Why, or what became of it; visible ASCII.
    pub why: &'static str,
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.member, self.why)
    }
}

/// A request that cannot be said in the other form, or not be read at all: status 400 in the caller's dialect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Inexpressible {
    /// The member, with the place in its list: `messages[3].content[0]`. None when it is the body as a whole.
    pub param: Option<String>,
    /// What is wrong and what can be done, for the caller. Holds no prompt text.
    pub message: String,
}

impl Inexpressible {
    pub(super) fn new(path: &Path<'_>, why: impl fmt::Display) -> Self {
        match path {
            Path::Root => Self::body(why),
            Path::Member(..) | Path::Item(..) => Self::named(&path.to_string(), why),
        }
    }

    pub(super) fn named(param: &str, why: impl fmt::Display) -> Self {
        let param = visible(param);
        Self { message: format!("Invalid '{param}': {why}."), param: Some(param) }
    }

    pub(super) fn body(why: impl fmt::Display) -> Self {
        Self { param: None, message: format!("We could not parse the JSON body of your request: {why}.") }
    }
}

/// What is noted while a request is converted.
#[derive(Debug, Default)]
pub(super) struct Notes {
    dropped: Vec<Dropped>,
    refused: Option<Inexpressible>,
}

impl Notes {
    /// Notes that a member is left out or changed; once for all items of a list.
    pub(super) fn drop(&mut self, path: &Path<'_>, why: &'static str) {
        // A body can hold any number of members that nobody knows.
        if self.dropped.len() < DROPPED_MAX {
            self.drop_named(&path.pattern(), why);
        }
    }

    /// The same for a member that is known by name.
    pub(super) fn drop_named(&mut self, member: &str, why: &'static str) {
        let dropped = Dropped { member: visible(member), why };
        if self.dropped.len() < DROPPED_MAX && !self.dropped.contains(&dropped) {
            self.dropped.push(dropped);
        }
    }

    /// Refuses the request. The first refusal is the one that the caller reads.
    pub(super) fn refuse(&mut self, member: &str, why: impl fmt::Display) {
        self.refused.get_or_insert_with(|| Inexpressible::named(member, why));
    }

    /// Everything that was dropped, unless there was a refusal.
    pub(super) fn finish(self) -> Result<Vec<Dropped>, Inexpressible> {
        self.refused.map_or(Ok(self.dropped), Err)
    }
}

/// The name as it may stand in a header: names are the caller's own words.
fn visible(name: &str) -> String {
    name.chars().take(NAME_CHARS_MAX).map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect()
}
