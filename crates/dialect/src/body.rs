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
