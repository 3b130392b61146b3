//! The frame of Amazon's streams: binary messages, each with its length, headers and two checksums
//! (`application/vnd.amazon.eventstream`).
//!
//! It knows where messages end, whether they arrived whole and what their headers say; it must never know what an event
//! means. By <https://smithy.io/2.0/aws/amazon-eventstream.html>: a message is its length, the length of its headers,
//! the checksum of those eight bytes, the headers, the payload, and the checksum of all before it, all numbers big-endian.

use crate::stream::{EVENT_BYTES_MAX, StreamFault};

/// Two lengths and their checksum.
const PRELUDE_BYTES: usize = 12;
/// The checksum that ends a message.
const TRAILER_BYTES: usize = 4;
/// The most bytes that the headers of a message may have, by the specification.
const HEADERS_BYTES_MAX: usize = 128 * 1024;

/// What a message says that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// An event of this type, with its payload.
    Event(&'a str, &'a [u8]),
    /// An exception of this type, with its payload: an error that the service's description names.
    Exception(&'a str, &'a [u8]),
    /// Any other error: its code, and what it says.
    Error(&'a str, &'a str),
}

/// Takes messages out of bytes that come in arbitrary pieces. It holds one message at most.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// The bytes of the message that is being read.
    message: Vec<u8>,
    /// Its length, once its prelude was read.
    length: Option<usize>,
}

impl Decoder {
    /// Reads on, up to the end of the next message; what it has read is taken off the bytes. Nothing when they are used
    /// up before.
    ///
    /// # Errors
    /// [`StreamFault`] for bytes that are no such message, or too long a one. Nothing can be read after it.
    pub(crate) fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Frame<'_>>, StreamFault> {
        if self.length.is_some_and(|length| self.message.len() == length) {
            // The message that was handed out before.
            self.message.clear();
            self.length = None;
        }
        if !self.fill(bytes, PRELUDE_BYTES) {
            return Ok(None);
        }
        let length = match self.length {
            Some(length) => length,
            None => *self.length.insert(prelude(&self.message)?),
        };
        if !self.fill(bytes, length) {
            return Ok(None);
        }
        read(&self.message).map(Some)
    }

    /// Whether a message has begun whose end has not come.
    pub(crate) fn is_amid(&self) -> bool {
        !self.message.is_empty() && self.length.is_none_or(|length| self.message.len() < length)
    }

    /// Takes bytes until there are as many as wanted; whether there are.
    fn fill(&mut self, bytes: &mut &[u8], wanted: usize) -> bool {
        let missing = wanted.saturating_sub(self.message.len());
        let (taken, rest) = bytes.split_at(missing.min(bytes.len()));
        self.message.extend_from_slice(taken);
        *bytes = rest;
        self.message.len() >= wanted
    }
}

/// The length of a message by its first bytes, which must be intact before anything is held for them.
fn prelude(bytes: &[u8]) -> Result<usize, StreamFault> {
    let mut reader = Bytes(bytes);
    let lengths = bytes.get(..PRELUDE_BYTES - TRAILER_BYTES).ok_or(StreamFault::Garbage)?;
    let (length, headers, checksum) = (reader.length()?, reader.length()?, reader.number()?);
    if checksum != crc32(lengths) {
        return Err(StreamFault::Checksum);
    }
    if length > EVENT_BYTES_MAX || headers > HEADERS_BYTES_MAX {
        return Err(StreamFault::TooLong);
    }
    let room = length.checked_sub(PRELUDE_BYTES + TRAILER_BYTES).ok_or(StreamFault::Garbage)?;
    if headers > room { Err(StreamFault::Garbage) } else { Ok(length) }
}

/// Reads a message whose prelude was read already.
fn read(message: &[u8]) -> Result<Frame<'_>, StreamFault> {
    let end = message.len().saturating_sub(TRAILER_BYTES);
    let (told, mut trailer) =
        message.split_at_checked(end).map(|(a, b)| (a, Bytes(b))).ok_or(StreamFault::Garbage)?;
    if trailer.number()? != crc32(told) {
        return Err(StreamFault::Checksum);
    }
    let mut rest = Bytes(told);
    let (_, headers, _) = (rest.number()?, rest.length()?, rest.number()?);
    let headers = Headers::read(rest.take(headers)?)?;
    let payload = rest.0;
    match headers.message_type {
        Some("event") => Ok(Frame::Event(headers.event_type.ok_or(StreamFault::Garbage)?, payload)),
        Some("exception") => {
            Ok(Frame::Exception(headers.exception_type.ok_or(StreamFault::Garbage)?, payload))
        }
        Some("error") => Ok(Frame::Error(
            headers.error_code.unwrap_or_default(),
            headers.error_message.unwrap_or_default(),
        )),
        Some(_) | None => Err(StreamFault::Garbage),
    }
}

/// The headers that say what a message is.
#[derive(Default)]
struct Headers<'a> {
    message_type: Option<&'a str>,
    event_type: Option<&'a str>,
    exception_type: Option<&'a str>,
    error_code: Option<&'a str>,
    error_message: Option<&'a str>,
}

impl<'a> Headers<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, StreamFault> {
        let (mut headers, mut rest) = (Self::default(), Bytes(bytes));
        while !rest.0.is_empty() {
            let name = rest.byte()?;
            let name = rest.take(usize::from(name))?;
            let text = rest.value()?;
            let slot = match name {
                b":message-type" => &mut headers.message_type,
                b":event-type" => &mut headers.event_type,
                b":exception-type" => &mut headers.exception_type,
                b":error-code" => &mut headers.error_code,
                b":error-message" => &mut headers.error_message,
                _ => continue,
            };
            *slot = Some(text.ok_or(StreamFault::Garbage)?);
        }
        Ok(headers)
    }
}

/// Bytes that are read from the front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], StreamFault> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(StreamFault::Garbage)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, StreamFault> {
        self.take(1)?.first().copied().ok_or(StreamFault::Garbage)
    }

    fn number(&mut self) -> Result<u32, StreamFault> {
        let bytes = self.take(4)?.try_into().map_err(|_| StreamFault::Garbage)?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn length(&mut self) -> Result<usize, StreamFault> {
        usize::try_from(self.number()?).map_err(|_| StreamFault::TooLong)
    }

    /// The value of a header: a text, or nothing for a value of another type, which is passed over.
    fn value(&mut self) -> Result<Option<&'a str>, StreamFault> {
        let count = match self.byte()? {
            // True, and false.
            0 | 1 => 0,
            // Integers of one, two, four and eight bytes, and a time of eight.
            2 => 1,
            3 => 2,
            4 => 4,
            5 | 8 => 8,
            // Bytes, and a text.
            kind @ (6 | 7) => {
                let (high, low) = (self.byte()?, self.byte()?);
                let value = self.take(usize::from(u16::from_be_bytes([high, low])))?;
                let text = std::str::from_utf8(value);
                return if kind == 7 { text.map(Some).map_err(|_| StreamFault::Garbage) } else { Ok(None) };
            }
            // A UUID.
            9 => 16,
            _ => return Err(StreamFault::Garbage),
        };
        self.take(count).map(|_| None)
    }
}

/// The remainders of all bytes: CRC-32 as in IEEE 802.3, reflected.
const REMAINDERS: [u32; 256] = remainders();

#[expect(
    clippy::indexing_slicing,
    reason = "counts up to the table's own length, and is made at compile time"
)]
const fn remainders() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte: u32 = 0;
    let mut at = 0;
    while at < table.len() {
        let (mut remainder, mut bit) = (byte, 0);
        while bit < 8 {
            let carry = if remainder & 1 == 1 { 0xedb8_8320 } else { 0 };
            remainder = (remainder >> 1) ^ carry;
            bit += 1;
        }
        table[at] = remainder;
        byte += 1;
        at += 1;
    }
    table
}

/// The checksum of bytes.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        let [low, ..] = sum.to_le_bytes();
        let remainder = REMAINDERS.get(usize::from(low ^ byte)).copied().unwrap_or_default();
        (sum >> 8) ^ remainder
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A message with these headers, all of them texts.
    pub(crate) fn message(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
        let mut told = Vec::new();
        for (name, value) in headers {
            told.push(u8::try_from(name.len()).unwrap());
            told.extend_from_slice(name.as_bytes());
            told.push(7);
            told.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
            told.extend_from_slice(value.as_bytes());
        }
        raw(&told, payload)
    }

    /// A message with these bytes for headers.
    fn raw(headers: &[u8], payload: &[u8]) -> Vec<u8> {
        let number = |count: usize| u32::try_from(count).unwrap().to_be_bytes();
        let mut message = Vec::new();
        message.extend(number(headers.len() + payload.len() + PRELUDE_BYTES + TRAILER_BYTES));
        message.extend(number(headers.len()));
        message.extend(crc32(&message).to_be_bytes());
        message.extend_from_slice(headers);
        message.extend_from_slice(payload);
        message.extend(crc32(&message).to_be_bytes());
        message
    }

    pub(crate) fn event(kind: &str, payload: &str) -> Vec<u8> {
        let headers =
            [(":event-type", kind), (":content-type", "application/json"), (":message-type", "event")];
        message(&headers, payload.as_bytes())
    }

    pub(crate) fn exception(kind: &str, payload: &str) -> Vec<u8> {
        message(&[(":exception-type", kind), (":message-type", "exception")], payload.as_bytes())
    }

    /// What a decoder makes of bytes that come in these pieces: each message, or the fault.
    fn decoded<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, Option<StreamFault>, bool) {
        let (mut decoder, mut seen) = (Decoder::default(), Vec::new());
        for mut piece in pieces {
            loop {
                match decoder.next(&mut piece) {
                    Ok(Some(frame)) => seen.push(format!("{frame:?}")),
                    Ok(None) => break,
                    Err(fault) => return (seen, Some(fault), decoder.is_amid()),
                }
            }
            assert!(piece.is_empty(), "all of a piece is taken");
            assert!(decoder.message.len() <= EVENT_BYTES_MAX);
        }
        (seen, None, decoder.is_amid())
    }

    #[test]
    fn checksums_are_the_known_ones() {
        // The check value of CRC-32/ISO-HDLC, and that of nothing.
        assert_eq!((crc32(b"123456789"), crc32(b"")), (0xcbf4_3926, 0));
        // The shortest message there is, as Amazon's own SDKs test theirs (`empty_message`).
        let empty = [0, 0, 0, 16, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff];
        assert_eq!(raw(b"", b""), empty);
        // And theirs of a payload without headers (`payload_no_headers`).
        let told = raw(b"", b"{'foo':'bar'}");
        assert_eq!(told[8..12], [0xfd, 0x52, 0x8c, 0x5a]);
        assert_eq!(told[25..], [0xc3, 0x65, 0x39, 0x36]);
    }

    #[test]
    fn messages_say_what_they_are() {
        let other = |kind: u8, value: &[u8]| [&[1, b'x', kind], value].concat();
        let (text, event_type) = (&[12, b':'][..], b":message-type");
        let event =
            [&[13][..], event_type, &[7, 0, 5], b"event", &[11], b":event-type", &[7, 0, 1, b'e']].concat();
        let with = |header: Vec<u8>| raw(&[header, event.clone()].concat(), b"p");
        let passed = Ok("Event(\"e\", [112])");
        for (message, wanted) in [
            (message(&[(":message-type", "event"), (":event-type", "e")], b"p"), passed),
            // Headers of every other type are passed over.
            (with(other(0, b"")), passed),
            (with(other(1, b"")), passed),
            (with(other(2, &[1])), passed),
            (with(other(3, &[1; 2])), passed),
            (with(other(4, &[1; 4])), passed),
            (with(other(5, &[1; 8])), passed),
            (with(other(6, &[0, 2, 0xff, 0xff])), passed),
            (with(other(8, &[1; 8])), passed),
            (with(other(9, &[1; 16])), passed),
            (exception("badException", "{}"), Ok("Exception(\"badException\", [123, 125])")),
            (
                self::message(
                    &[(":message-type", "error"), (":error-code", "Bad"), (":error-message", "so")],
                    b"",
                ),
                Ok("Error(\"Bad\", \"so\")"),
            ),
            (with(other(10, b"")), Err(StreamFault::Garbage)),
            (with(other(7, &[0, 1, 0xff])), Err(StreamFault::Garbage)),
            (raw(&[200], b""), Err(StreamFault::Garbage)),
            (raw(text, b""), Err(StreamFault::Garbage)),
            (raw(b"", b"{}"), Err(StreamFault::Garbage)),
            (self::message(&[(":message-type", "event")], b""), Err(StreamFault::Garbage)),
            (self::message(&[(":message-type", "exception")], b""), Err(StreamFault::Garbage)),
            (
                self::message(&[(":message-type", "news"), (":event-type", "e")], b""),
                Err(StreamFault::Garbage),
            ),
        ] {
            let (seen, fault, _) = decoded([&message[..]]);
            let got = fault.map_or_else(|| Ok(seen[0].as_str()), Err);
            assert_eq!(got, wanted, "{message:?}");
        }
    }

    #[test]
    fn lengths_are_believed_only_with_their_checksum() {
        let prelude = |length: u32, headers: u32| {
            let mut bytes = [length.to_be_bytes(), headers.to_be_bytes()].concat();
            bytes.extend(crc32(&bytes).to_be_bytes());
            bytes
        };
        let max = u32::try_from(EVENT_BYTES_MAX).unwrap();
        for (bytes, fault) in [
            (prelude(max, 0), None),
            (prelude(max + 1, 0), Some(StreamFault::TooLong)),
            (prelude(u32::MAX, u32::MAX), Some(StreamFault::TooLong)),
            (prelude(max, 128 * 1024 + 1), Some(StreamFault::TooLong)),
            (prelude(15, 0), Some(StreamFault::Garbage)),
            (prelude(0, 0), Some(StreamFault::Garbage)),
            (prelude(20, 5), Some(StreamFault::Garbage)),
            (vec![0; 12], Some(StreamFault::Checksum)),
            (b"data: {\"error\":1}\n\n".to_vec(), Some(StreamFault::Checksum)),
        ] {
            assert_eq!(decoded([&bytes[..]]), (vec![], fault, true), "{bytes:?}");
        }
        assert_eq!(decoded([]), (vec![], None, false));
    }

    #[test]
    fn a_changed_bit_is_seen_wherever_it_is() {
        let whole = event("contentBlockDelta", r#"{"delta":{"text":"a"}}"#);
        for at in 0..whole.len() * 8 {
            let mut changed = whole.clone();
            changed[at / 8] ^= 1 << (at % 8);
            let (seen, fault, _) = decoded([&changed[..]]);
            assert_eq!((seen.len(), fault), (0, Some(StreamFault::Checksum)), "bit {at}");
        }
    }

    fn cut(bytes: &[u8], cuts: &[prop::sample::Index]) -> Vec<Vec<u8>> {
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        places.extend([0, bytes.len()]);
        places.sort_unstable();
        places.windows(2).map(|pair| bytes[pair[0]..pair[1]].to_vec()).collect()
    }

    proptest! {
        /// However a stream is cut, it says the same.
        #[test]
        fn pieces_do_not_matter(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..6),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let headers = [(":message-type", "event"), (":event-type", "e")];
            let bytes: Vec<u8> = payloads.iter().flat_map(|payload| message(&headers, payload)).collect();
            let whole = decoded([&bytes[..]]);
            prop_assert_eq!(whole.0.len(), payloads.len());
            let pieces = cut(&bytes, &cuts);
            prop_assert_eq!(decoded(pieces.iter().map(Vec::as_slice)), whole);
        }

        /// Any bytes are a fault or nothing yet, and never kept beyond the longest message.
        #[test]
        fn any_bytes_are_harmless(
            bytes in prop::collection::vec(any::<u8>(), 0..400),
            headers in prop::collection::vec(any::<u8>(), 0..60),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            decoded(cut(&bytes, &cuts).iter().map(Vec::as_slice));
            // The same behind checksums that are right.
            decoded(cut(&raw(&headers, &bytes), &cuts).iter().map(Vec::as_slice));
        }
    }
}
