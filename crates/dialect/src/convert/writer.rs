//! Writing JSON straight into bytes: no tree is built of what is only passed on.

use serde::Serialize;

/// An object that is being written.
pub(super) struct Fields<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

/// An array that is being written.
pub(super) struct Items<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

/// Appends an object.
pub(super) fn object(out: &mut Vec<u8>, fill: impl FnOnce(&mut Fields<'_>)) {
    out.push(b'{');
    fill(&mut Fields { out, empty: true });
    out.push(b'}');
}

/// An object as text of its own.
pub(super) fn object_text(fill: impl FnOnce(&mut Fields<'_>)) -> String {
    let mut out = Vec::new();
    object(&mut out, fill);
    // Only whole texts are ever appended.
    String::from_utf8(out).unwrap_or_default()
}

/// Appends an event of a stream with this data; `name` becomes its `event:` line.
pub(super) fn event(out: &mut Vec<u8>, name: Option<&str>, fill: impl FnOnce(&mut Fields<'_>)) {
    if let Some(name) = name {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    object(out, fill);
    out.extend_from_slice(b"\n\n");
}

fn value(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    // Strings and numbers into memory: there is nothing that could fail.
    let written = serde_json::to_writer(out, value);
    debug_assert!(written.is_ok(), "a scalar is always writable");
}

/// JSON of a caller or provider. Line breaks between its tokens would end a line of an event.
fn raw(out: &mut Vec<u8>, json: &str) {
    if json.bytes().any(|byte| matches!(byte, b'\n' | b'\r')) {
        // In JSON a line break is never part of a string.
        out.extend(json.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
    } else {
        out.extend_from_slice(json.as_bytes());
    }
}

impl Fields<'_> {
    fn name(&mut self, name: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
        value(self.out, name);
        self.out.push(b':');
        self.out
    }

    pub(super) fn text(&mut self, name: &str, text: &str) {
        value(self.name(name), text);
    }

    /// A text where there is one.
    pub(super) fn text_if(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    pub(super) fn count(&mut self, name: &str, count: u64) {
        value(self.name(name), &count);
    }

    pub(super) fn flag(&mut self, name: &str, flag: bool) {
        value(self.name(name), &flag);
    }

    /// What has a shape of its own.
    pub(super) fn json(&mut self, name: &str, json: &impl Serialize) {
        value(self.name(name), json);
    }

    pub(super) fn null(&mut self, name: &str) {
        value(self.name(name), &());
    }

    /// JSON as it stands.
    pub(super) fn raw(&mut self, name: &str, json: &str) {
        raw(self.name(name), json);
    }

    pub(super) fn raw_if(&mut self, name: &str, json: Option<&str>) {
        if let Some(json) = json {
            self.raw(name, json);
        }
    }

    pub(super) fn object(&mut self, name: &str, fill: impl FnOnce(&mut Fields<'_>)) {
        object(self.name(name), fill);
    }

    pub(super) fn array(&mut self, name: &str, fill: impl FnOnce(&mut Items<'_>)) {
        let out = self.name(name);
        out.push(b'[');
        fill(&mut Items { out, empty: true });
        out.push(b']');
    }
}

impl Items<'_> {
    fn next(&mut self) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
        self.out
    }

    pub(super) fn object(&mut self, fill: impl FnOnce(&mut Fields<'_>)) {
        object(self.next(), fill);
    }

    pub(super) fn text(&mut self, text: &str) {
        value(self.next(), text);
    }
}
