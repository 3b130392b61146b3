//! A body that goes upstream: the caller's bytes with small edits, in pieces.

use std::ops::Range;

use bytes::Bytes;

/// A body as a short list of pieces: slices of the caller's bytes, and what was put between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyParts {
    parts: Vec<Bytes>,
    len: usize,
}

/// Where a part of the body stands in it.
pub(crate) fn span(body: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr().saturating_sub(body.as_ptr().addr());
    start..start + part.len()
}

/// The place after the brace that opens an object.
pub(crate) fn after_brace(body: &str, object: &str) -> Range<usize> {
    let at = span(body, object.trim_ascii_start()).start + 1;
    at..at
}

/// A change to a body: these bytes in place of that range.
#[derive(Clone, Debug)]
pub(crate) struct Edit {
    pub(crate) range: Range<usize>,
    pub(crate) text: Bytes,
}

/// Where the name of a member stands, quotes included, whose value stands here. The body must be JSON.
pub(crate) fn name_of(body: &str, value: &Range<usize>) -> Range<usize> {
    let before = body.get(..value.start).unwrap_or_default();
    let name = before.trim_end().trim_end_matches(':').trim_end();
    // A name may be written with escapes. Those of a quote are the one place where a quote could stand in it, and no
    // member that is edited has one.
    let start = name.get(..name.len().saturating_sub(1)).and_then(|inner| inner.rfind('"')).unwrap_or(0);
    start..name.len()
}

/// What takes members out of the body's outermost object, with the commas that go with them. At least one other member
/// must stay.
pub(crate) fn without(body: &str, values: impl IntoIterator<Item = Range<usize>>) -> Vec<Edit> {
    let is_space = |c: char| c.is_ascii_whitespace();
    let mut members: Vec<Range<usize>> =
        values.into_iter().map(|value| name_of(body, &value).start..value.end).collect();
    members.sort_by_key(|member| member.start);
    // Neighbours go as one, so that no comma is taken twice.
    let mut runs: Vec<Range<usize>> = Vec::with_capacity(members.len());
    for member in members {
        let between = |run: &Range<usize>| body.get(run.end..member.start).unwrap_or_default();
        match runs.last_mut().filter(|run| between(run).trim_matches(is_space) == ",") {
            Some(run) => run.end = member.end,
            None => runs.push(member),
        }
    }
    let cut = |run: Range<usize>| {
        let (before, after) =
            (body.get(..run.start).unwrap_or_default(), body.get(run.end..).unwrap_or_default());
        let range = match after.trim_start_matches(is_space).strip_prefix(',') {
            Some(rest) => run.start..body.len().saturating_sub(rest.len()),
            None => before.trim_end_matches(is_space).trim_end_matches(',').len()..run.end,
        };
        Edit { range, text: Bytes::new() }
    };
    runs.into_iter().map(cut).collect()
}

impl BodyParts {
    /// The body with these edits, which must not overlap. Those for one place go there in their order.
    pub(crate) fn edited(body: &Bytes, mut edits: Vec<Edit>) -> Self {
        edits.sort_by_key(|edit| edit.range.start);
        let mut parts = Vec::with_capacity(2 * edits.len() + 1);
        let mut copied = 0;
        for Edit { range, text } in edits {
            parts.push(body.slice(copied..range.start));
            parts.push(text);
            copied = range.end;
        }
        parts.push(body.slice(copied..));
        parts.retain(|part| !part.is_empty());
        let len = parts.iter().map(Bytes::len).sum();
        Self { parts, len }
    }

    /// Bytes in all.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none; a body that was read never is.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl IntoIterator for BodyParts {
    type Item = Bytes;
    type IntoIter = std::vec::IntoIter<Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        self.parts.into_iter()
    }
}
