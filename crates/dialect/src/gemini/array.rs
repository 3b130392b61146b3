//! A stream of events as the JSON array that Gemini's API answers whoever does not ask for events.

use bytes::{Bytes, BytesMut};

use crate::sse::{Block, Scanner, single_data};

/// Turns events into the elements of an array, as they come.
///
/// What is pushed are events that the gateway lets pass, so they are whole and their data is JSON.
#[derive(Debug, Default)]
pub struct ArrayFrame {
    scanner: Scanner,
    /// The bytes of an event whose end has not come.
    carry: BytesMut,
    has_begun: bool,
}

impl ArrayFrame {
    /// The part of the array that these bytes of the stream are; may be empty.
    pub fn push(&mut self, mut events: Bytes) -> Bytes {
        let mut out = BytesMut::with_capacity(events.len());
        while let Some(end) = self.scanner.find(&events) {
            self.carry.extend_from_slice(&events.split_to(end));
            let block = self.carry.split();
            self.element(&block, &mut out);
        }
        self.carry.extend_from_slice(&events);
        out.freeze()
    }

    /// The end of the array.
    pub fn end(&mut self) -> Bytes {
        let mut out = BytesMut::new();
        let rest = self.carry.split();
        self.element(&rest, &mut out);
        if !self.has_begun {
            out.extend_from_slice(b"[");
        }
        out.extend_from_slice(b"]\n");
        out.freeze()
    }

    fn element(&mut self, block: &[u8], out: &mut BytesMut) {
        let text = std::str::from_utf8(block).unwrap_or_default();
        let data = match single_data(text) {
            Some(data) => data.to_owned(),
            // A comment has no data.
            None => Block::read(text).data.map(std::borrow::Cow::into_owned).unwrap_or_default(),
        };
        if data.trim().is_empty() {
            return;
        }
        let before: &[u8] = if std::mem::replace(&mut self.has_begun, true) { b",\n" } else { b"[" };
        out.extend_from_slice(before);
        out.extend_from_slice(data.trim().as_bytes());
    }
}
