//! The frame of a stream: blocks of lines, each ended by an empty line (server-sent events).

use std::borrow::Cow;
use std::ops::Range;

use serde::Serialize;

/// Finds where blocks end in bytes that come in arbitrary pieces. Lines end in LF, CRLF or CR.
///
/// Whether a CR is a whole line end is known only with the byte after it, so a stream whose lines end in bare CR (no
/// provider sends one) is read right but one block late.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scanner {
    /// The line that is being read has bytes.
    in_line: bool,
    /// The last byte was a CR.
    after_cr: bool,
    /// The line that this CR ended was empty.
    empty_cr: bool,
}

impl Scanner {
    /// Reads on. Returns how many of these bytes belong to the block, once its empty line is among them; what follows
    /// is the next block's.
    pub(crate) fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if std::mem::take(&mut self.after_cr) {
                at += usize::from(rest.first() == Some(&b'\n'));
                if std::mem::take(&mut self.empty_cr) {
                    return Some(at);
                }
                continue;
            }
            let Some(found) = memchr::memchr2(b'\n', b'\r', rest) else {
                self.in_line = true;
                return None;
            };
            let empty = found == 0 && !self.in_line;
            self.in_line = false;
            at += found + 1;
            if rest.get(found) == Some(&b'\r') {
                (self.after_cr, self.empty_cr) = (true, empty);
            } else if empty {
                return Some(at);
            }
        }
        None
    }

    /// What completes a block after which nothing comes.
    pub(crate) const fn missing_end(self) -> &'static [u8] {
        match self {
            Self { after_cr: true, empty_cr: true, .. } => b"",
            Self { in_line: true, .. } => b"\n\n",
            Self { .. } => b"\n",
        }
    }
}

/// Appends an event with this data.
pub(crate) fn write_event(into: &mut Vec<u8>, data: &impl Serialize) {
    into.extend_from_slice(b"data: ");
    // Strings and numbers into memory: there is nothing that could fail.
    let written = serde_json::to_writer(&mut *into, data);
    debug_assert!(written.is_ok(), "an event is always writable");
    into.extend_from_slice(b"\n\n");
}

/// Appends an event of this name and with this data.
pub(crate) fn write_named_event(into: &mut Vec<u8>, name: &str, data: &impl Serialize) {
    into.extend_from_slice(b"event: ");
    into.extend_from_slice(name.as_bytes());
    into.push(b'\n');
    write_event(into, data);
}

/// The data of a block that is one `data:` line and nothing else, as nearly every block is.
pub(crate) fn single_data(block: &str) -> Option<&str> {
    let rest = block.strip_prefix("data:")?;
    let end = memchr::memchr2(b'\n', b'\r', rest.as_bytes())?;
    let (data, ends) = rest.split_at_checked(end)?;
    ends.bytes().all(|byte| matches!(byte, b'\n' | b'\r')).then(|| data.strip_prefix(' ').unwrap_or(data))
}

/// A block, read line by line.
#[derive(Debug, Default)]
pub(crate) struct Block<'a> {
    /// The lines of `data`, joined; none if there is no such line.
    pub(crate) data: Option<Cow<'a, str>>,
    /// The last `event`.
    pub(crate) event: Option<&'a str>,
    /// There are `event`, `id` or `retry` lines.
    pub(crate) has_fields: bool,
    /// There are lines that are neither fields of the standard nor comments.
    pub(crate) has_unknown: bool,
}

impl<'a> Block<'a> {
    pub(crate) fn read(text: &'a str) -> Self {
        let mut block = Self::default();
        for line in Lines::of(text) {
            match line.field {
                "data" => match &mut block.data {
                    Some(data) => {
                        let data = data.to_mut();
                        data.push('\n');
                        data.push_str(line.value);
                    }
                    none => *none = Some(Cow::Borrowed(line.value)),
                },
                "event" => (block.event, block.has_fields) = (Some(line.value), true),
                "id" | "retry" => block.has_fields = true,
                // A comment begins with the colon; an empty line has no name either.
                "" => {}
                _ => block.has_unknown = true,
            }
        }
        block
    }
}

/// The ranges of a block that may go to a client: all but its `id` and `retry` lines, and `event` lines if told so.
///
/// A Python SDK that once saw an `id` breaks at the next block without data, a mere comment among them.
pub(crate) fn presentable(block: &str, cut_event: bool) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for line in Lines::of(block) {
        if matches!(line.field, "id" | "retry") || cut_event && line.field == "event" {
            continue;
        }
        match ranges.last_mut() {
            Some(last) if last.end == line.range.start => last.end = line.range.end,
            Some(_) | None => ranges.push(line.range),
        }
    }
    ranges
}

/// One line: where it stands, its end included, and what it says.
struct Line<'a> {
    range: Range<usize>,
    field: &'a str,
    value: &'a str,
}

struct Lines<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lines<'a> {
    const fn of(text: &'a str) -> Self {
        Self { text, at: 0 }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let rest = self.text.get(self.at..).filter(|rest| !rest.is_empty())?;
        let end = memchr::memchr2(b'\n', b'\r', rest.as_bytes()).unwrap_or(rest.len());
        let (content, after) = rest.split_at_checked(end)?;
        let ending = if after.starts_with("\r\n") { 2 } else { after.len().min(1) };
        let range = self.at..self.at + end + ending;
        self.at = range.end;
        let (field, value) = content.split_once(':').unwrap_or((content, ""));
        Some(Line { range, field, value: value.strip_prefix(' ').unwrap_or(value) })
    }
}
