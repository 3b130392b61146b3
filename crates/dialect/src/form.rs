//! A form with files (`multipart/form-data`, RFC 7578), read where it lies: which field stands at which bytes.
//!
//! It knows the frame, and that a field which decides what a call costs must mean the same to every reader: whatever two
//! parsers could read in two ways is refused. It must never know what a field means, and copies nothing.

use std::ops::Range;

use memchr::memmem;

use crate::bad_request::BadRequest;
use crate::field;

/// Fields of one form, and bytes of a field's head. OpenAI's longest form has 16 images and a score of settings.
const PARTS_MAX: usize = 128;
const HEAD_BYTES_MAX: usize = 4_096;
/// RFC 2046.
const BOUNDARY_BYTES_MAX: usize = 70;

/// The fields of a form, in their order.
pub(crate) struct Form<'a> {
    body: &'a [u8],
    parts: Vec<Part<'a>>,
}

/// One field.
struct Part<'a> {
    name: &'a str,
    is_file: bool,
    value: Range<usize>,
}

/// The value of a field, and where it stands.
pub(crate) struct Text<'a> {
    pub(crate) text: &'a str,
    pub(crate) span: Range<usize>,
}

fn broken(why: &str) -> BadRequest {
    BadRequest::form(why)
}

/// What stands between the fields, by the header that announces the form.
pub(crate) fn boundary(content_type: &str) -> Result<String, BadRequest> {
    let (_, params) = content_type.split_once(';').unwrap_or((content_type, ""));
    let mut found = None;
    for (name, value) in Params(params) {
        let value = value.map_err(|()| broken("its content-type cannot be read"))?;
        if name.contains('*') {
            return Err(broken("its content-type has a parameter in pieces"));
        }
        if name.eq_ignore_ascii_case("boundary") && found.replace(value).is_some() {
            return Err(broken("its content-type names two boundaries"));
        }
    }
    let boundary = found.ok_or_else(|| broken("its content-type names no boundary"))?;
    let is_sign = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    let fits = (1..=BOUNDARY_BYTES_MAX).contains(&boundary.len()) && !boundary.ends_with(' ');
    if fits && boundary.bytes().all(is_sign) {
        Ok(boundary.to_owned())
    } else {
        Err(broken("its boundary is none: it has 1 to 70 letters, digits and some signs"))
    }
}

impl<'a> Form<'a> {
    /// Reads a form.
    ///
    /// # Errors
    /// What is wrong with it, as far as possible by the field's name.
    pub(crate) fn read(body: &'a [u8], boundary: &str) -> Result<Self, BadRequest> {
        let delimiter = format!("--{boundary}");
        let finder = memmem::Finder::new(delimiter.as_bytes());
        if !body.starts_with(delimiter.as_bytes()) {
            return Err(broken("it does not begin with its boundary"));
        }
        let (mut at, mut parts) = (delimiter.len(), Vec::new());
        loop {
            let rest = body.get(at..).unwrap_or_default();
            if let Some(end) = rest.strip_prefix(b"--") {
                let is_end = end.iter().all(u8::is_ascii_whitespace);
                return if is_end {
                    Ok(Self { body, parts })
                } else {
                    Err(broken("something follows its end"))
                };
            }
            if !rest.starts_with(b"\r\n") {
                return Err(broken("its boundary stands inside a field"));
            }
            if parts.len() >= PARTS_MAX {
                return Err(broken("it has more than 128 fields"));
            }
            let window = rest.get(..HEAD_BYTES_MAX.min(rest.len())).unwrap_or_default();
            let head_end = memmem::find(window, b"\r\n\r\n")
                .ok_or_else(|| broken("the head of a field is longer than 4,096 bytes, or does not end"))?;
            // The line's end belongs to the head: one without any lines is empty at once.
            let (name, is_file) = read_head(window.get(2..head_end).unwrap_or_default())?;
            let begin = at.saturating_add(head_end).saturating_add(4);
            let next = body.get(begin..).and_then(|rest| finder.find(rest));
            let next = begin.saturating_add(next.ok_or_else(|| broken("its last field does not end"))?);
            let end = next.saturating_sub(2).max(begin);
            // Not all readers ask for the line's end before it.
            if body.get(end..next) != Some(b"\r\n") {
                return Err(broken("its boundary stands inside a field"));
            }
            parts.push(Part { name, is_file, value: begin..end });
            at = next.saturating_add(delimiter.len());
        }
    }

    /// Refuses fields that another reader could take for one that decides: by another case of letters, by brackets, or
    /// given more than once. `lists` may stand there more than once, and with brackets.
    pub(crate) fn check(&self, decisive: &[&'static str], lists: &[&'static str]) -> Result<(), BadRequest> {
        let mut seen = Vec::with_capacity(decisive.len());
        for part in &self.parts {
            let plain = part.name.split('[').next().unwrap_or_default();
            if lists.contains(&plain) {
                continue;
            }
            if decisive.contains(&part.name) {
                if seen.contains(&part.name) {
                    return Err(BadRequest::duplicate(part.name));
                }
                seen.push(part.name);
            } else if let Some(meant) = field::disguised(plain, decisive).or(field::disguised(plain, lists)) {
                return Err(BadRequest::disguised(part.name, meant));
            }
        }
        Ok(())
    }

    /// The text of a field.
    ///
    /// # Errors
    /// When it is a file, or no text.
    pub(crate) fn text(&self, name: &str) -> Result<Option<Text<'a>>, BadRequest> {
        let Some(part) = self.parts.iter().find(|part| part.name == name) else { return Ok(None) };
        if part.is_file {
            return Err(BadRequest::mistyped(name, "a text", "a file"));
        }
        let bytes = self.body.get(part.value.clone()).unwrap_or_default();
        let text =
            std::str::from_utf8(bytes).map_err(|_| BadRequest::mistyped(name, "a text", "other bytes"))?;
        Ok(Some(Text { text, span: part.value.clone() }))
    }

    /// The text of a field that is the same as absent where it is empty.
    pub(crate) fn word(&self, name: &str) -> Result<Option<&'a str>, BadRequest> {
        Ok(self.text(name)?.map(|text| text.text.trim()).filter(|text| !text.is_empty()))
    }

    /// A whole number.
    pub(crate) fn integer(
        &self,
        name: &str,
        bounds: std::ops::RangeInclusive<u64>,
    ) -> Result<Option<u64>, BadRequest> {
        let Some(text) = self.word(name)? else { return Ok(None) };
        match text.parse::<u64>() {
            Ok(value) if bounds.contains(&value) => Ok(Some(value)),
            Ok(value) if value < *bounds.start() => Err(BadRequest::below(name, *bounds.start(), text)),
            Ok(_) => Err(BadRequest::above(name, *bounds.end(), text)),
            Err(_) => Err(BadRequest::mistyped(name, "an integer", "a text")),
        }
    }

    /// A yes or no. Every way to say yes counts that some server takes for one.
    pub(crate) fn boolean(&self, name: &str) -> Result<Option<bool>, BadRequest> {
        let Some(text) = self.word(name)? else { return Ok(None) };
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" | "t" | "y" => Ok(Some(true)),
            "false" | "0" | "no" | "off" | "f" | "n" => Ok(Some(false)),
            _ => Err(BadRequest::mistyped(name, "a boolean", "a text")),
        }
    }

    /// The files of a field, also under its name with brackets.
    ///
    /// # Errors
    /// When a text stands in place of one.
    pub(crate) fn files(&self, name: &str) -> Result<Vec<&'a [u8]>, BadRequest> {
        let parts = self.parts.iter().filter(|part| part.name.split('[').next() == Some(name));
        let file = |part: &Part<'_>| match part.is_file {
            true => Ok(self.body.get(part.value.clone()).unwrap_or_default()),
            false => Err(BadRequest::mistyped(name, "a file", "a text")),
        };
        parts.map(file).collect()
    }

    /// Whether there is a field of this name, empty or not.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.parts.iter().any(|part| part.name.split('[').next() == Some(name))
    }

    /// Bytes of all fields that are no files.
    pub(crate) fn text_bytes(&self) -> usize {
        self.parts.iter().filter(|part| !part.is_file).map(|part| part.value.len()).sum()
    }
}

/// Reads a part's head: its name, and whether it is a file.
fn read_head(head: &[u8]) -> Result<(&str, bool), BadRequest> {
    let head = std::str::from_utf8(head).map_err(|_| broken("the head of a field is no text"))?;
    let mut disposition = None;
    for line in head.split("\r\n") {
        let (name, value) =
            line.split_once(':').ok_or_else(|| broken("the head of a field has a line without a colon"))?;
        if line.contains(['\r', '\n', '\0']) {
            return Err(broken("the head of a field has lines that do not end as they should"));
        }
        // One that begins with a blank goes on with the line before, for some.
        if name.is_empty()
            || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
        {
            return Err(broken("the head of a field has a line without a name"));
        }
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-disposition") {
            if disposition.replace(value).is_some() {
                return Err(broken("a field has two names"));
            }
        } else if name.eq_ignore_ascii_case("content-transfer-encoding") {
            let plain = ["7bit", "8bit", "binary"].iter().any(|plain| value.eq_ignore_ascii_case(plain));
            if !plain {
                return Err(broken("a field is encoded for mail; send its bytes as they are"));
            }
        } else if name.eq_ignore_ascii_case("content-type") {
            let charset = Params(value.split_once(';').map_or("", |(_, params)| params))
                .find(|(name, _)| name.eq_ignore_ascii_case("charset"));
            let known = |set: &str| ["utf-8", "us-ascii"].iter().any(|known| set.eq_ignore_ascii_case(known));
            if charset.is_some_and(|(_, set)| !set.is_ok_and(known)) {
                return Err(broken("a field is not in UTF-8"));
            }
        }
    }
    named(disposition.ok_or_else(|| broken("a field has no content-disposition"))?)
}

/// The same by its disposition.
fn named(disposition: &str) -> Result<(&str, bool), BadRequest> {
    let (kind, params) = disposition.split_once(';').unwrap_or((disposition, ""));
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return Err(broken("the content-disposition of a field is not form-data"));
    }
    let (mut name, mut is_file) = (None, false);
    for (param, value) in Params(params) {
        let value = value.map_err(|()| broken("the content-disposition of a field cannot be read"))?;
        match param.to_ascii_lowercase().as_str() {
            "name" if name.replace(value).is_some() => return Err(broken("a field has two names")),
            "filename" | "filename*" => is_file = true,
            // RFC 2231 makes one parameter of pieces, of which some readers know and some do not.
            other if other.contains('*') => {
                return Err(broken("a field has an encoded name, or one in pieces"));
            }
            _ => {}
        }
    }
    let name = name.filter(|name| !name.is_empty()).ok_or_else(|| broken("a field has no name"))?;
    if name.contains('\\') {
        return Err(broken("the name of a field has a backslash"));
    }
    Ok((name, is_file))
}

/// The parameters of a header: `; name=value; name="value"`. A value that cannot be read is the last.
struct Params<'a>(&'a str);

impl<'a> Iterator for Params<'a> {
    type Item = (&'a str, Result<&'a str, ()>);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.0.trim_start_matches([' ', '\t', ';']);
        if rest.is_empty() {
            return None;
        }
        self.0 = "";
        let Some((name, rest)) = rest.split_once('=') else { return Some((rest, Err(()))) };
        let name = name.trim();
        let Some(quoted) = rest.trim_start().strip_prefix('"') else {
            let (value, rest) = rest.split_once(';').unwrap_or((rest, ""));
            self.0 = rest;
            let value = value.trim();
            return Some((name, if value.contains('"') { Err(()) } else { Ok(value) }));
        };
        let Some((value, rest)) = quoted.split_once('"') else { return Some((name, Err(()))) };
        let rest = rest.trim_start();
        // Some take a quote after a backslash for a part of the text, some do not.
        if value.ends_with('\\') || !(rest.is_empty() || rest.starts_with(';')) {
            return Some((name, Err(())));
        }
        self.0 = rest;
        Some((name, Ok(value)))
    }
}
