//! A form with files, as far as an honest client writes one.

use http::HeaderMap;
use http::header::CONTENT_TYPE;

use crate::problem::Problem;

/// The fields of a form: name, whether it is a file, and bytes.
pub(crate) struct Form<'a>(Vec<(String, bool, &'a [u8])>);

/// Whether a form is announced.
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    content_type(headers).starts_with("multipart/form-data")
}

fn content_type(headers: &HeaderMap) -> &str {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

impl<'a> Form<'a> {
    /// Reads a body that these headers announce.
    pub(crate) fn read(headers: &HeaderMap, body: &'a [u8]) -> Result<Self, Problem> {
        let boundary = content_type(headers).split("boundary=").nth(1).unwrap_or_default();
        let boundary = boundary.split(';').next().unwrap_or_default().trim_matches('"');
        if !is_form(headers) || boundary.is_empty() {
            return Err(Problem::body("expected multipart/form-data with a boundary"));
        }
        let mut fields = Vec::new();
        let mut rest = body;
        let delimiter = format!("--{boundary}");
        let mut next = || {
            let at = find(rest, delimiter.as_bytes())?;
            let part = &rest[..at];
            rest = &rest[at + delimiter.len()..];
            Some(part)
        };
        next().ok_or_else(|| Problem::body("the boundary is missing"))?;
        while let Some(part) = next() {
            let end = find(part, b"\r\n\r\n").ok_or_else(|| Problem::body("a field has no head"))?;
            let head = String::from_utf8_lossy(&part[..end]).into_owned();
            let value = &part[end + 4..];
            let name = quoted(&head, " name=").ok_or_else(|| Problem::body("a field has no name"))?;
            let is_file = quoted(&head, " filename=").is_some();
            fields.push((name, is_file, value.strip_suffix(b"\r\n").unwrap_or(value)));
        }
        Ok(Self(fields))
    }

    /// The text of a field.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let field = self.0.iter().find(|(field, is_file, _)| field == name && !is_file)?;
        Some(String::from_utf8_lossy(field.2).into_owned())
    }

    /// The text of a field that must be there.
    pub(crate) fn needed(&self, name: &str) -> Result<String, Problem> {
        self.text(name).ok_or_else(|| Problem::missing(name))
    }

    /// Whether a field says yes.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    /// The files of a field, also under its name with brackets.
    pub(crate) fn files(&self, name: &str) -> Vec<&'a [u8]> {
        let same = |field: &str| field.split('[').next() == Some(name);
        self.0
            .iter()
            .filter(|(field, is_file, _)| *is_file && same(field))
            .map(|(.., bytes)| *bytes)
            .collect()
    }
}

fn quoted(head: &str, param: &str) -> Option<String> {
    let rest = head.split(param).nth(1)?.strip_prefix('"')?;
    rest.split('"').next().map(str::to_owned)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
