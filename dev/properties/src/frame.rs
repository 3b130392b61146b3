//! Amazon's framing, written with checksums that are right, by its specification and not by the reader's code.

use crate::input::Input;

/// Headers of messages, as names and texts.
const HEADS: [&[(&str, &str)]; 12] = [
    &[(":message-type", "event"), (":event-type", "messageStart")],
    &[(":message-type", "event"), (":event-type", "contentBlockStart")],
    &[(":message-type", "event"), (":event-type", "contentBlockDelta")],
    &[(":message-type", "event"), (":event-type", "contentBlockStop")],
    &[(":message-type", "event"), (":event-type", "messageStop")],
    &[(":message-type", "event"), (":event-type", "metadata")],
    &[(":message-type", "event"), (":event-type", "unheardOf"), (":content-type", "application/json")],
    &[(":message-type", "exception"), (":exception-type", "throttlingException")],
    &[(":message-type", "exception"), (":exception-type", "modelStreamErrorException")],
    &[(":message-type", "error"), (":error-code", "Bad"), (":error-message", "so")],
    &[(":message-type", "event")],
    &[],
];

/// Messages made of an input: each takes two bytes for the length of its payload, one that chooses its headers (or, from
/// 128 on, says how many of the payload's bytes are the headers' raw form), and the payload. The last may be cut short.
pub(crate) fn stream(mut input: Input<'_>) -> Vec<u8> {
    let mut stream = Vec::new();
    while !input.0.is_empty() {
        let length = usize::from(u16::from_le_bytes([input.byte(), input.byte() & 0x0f]));
        let head = input.byte();
        let (payload, rest) = input.0.split_at(length.min(input.0.len()));
        input.0 = rest;
        if let Some(headers) = HEADS.get(usize::from(head)) {
            stream.extend(message(&texts(headers), payload));
        } else {
            let (headers, payload) = payload.split_at(usize::from(head & 127).min(payload.len()));
            stream.extend(message(headers, payload));
        }
    }
    stream
}

/// A message with the headers of this number, as an input for [`stream`].
pub(crate) fn chosen(kind: &str, payload: &[u8]) -> Vec<u8> {
    let place = HEADS.iter().position(|head| head.iter().any(|(_, value)| *value == kind)).unwrap_or(6);
    let length = u16::try_from(payload.len().min(0x0fff)).unwrap_or_default();
    let [low, high] = length.to_le_bytes();
    [&[low, high, u8::try_from(place).unwrap_or_default()], payload].concat()
}

fn texts(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in headers {
        bytes.push(u8::try_from(name.len()).unwrap_or_default());
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(7);
        bytes.extend_from_slice(&u16::try_from(value.len()).unwrap_or_default().to_be_bytes());
        bytes.extend_from_slice(value.as_bytes());
    }
    bytes
}

fn message(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let number = |count: usize| u32::try_from(count).unwrap_or_default().to_be_bytes();
    let mut message = Vec::new();
    message.extend(number(headers.len() + payload.len() + 16));
    message.extend(number(headers.len()));
    message.extend(crc32(&message).to_be_bytes());
    message.extend_from_slice(headers);
    message.extend_from_slice(payload);
    message.extend(crc32(&message).to_be_bytes());
    message
}

/// CRC-32 as in IEEE 802.3, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shortest message there is, as Amazon's own SDKs test theirs (`empty_message`).
    #[test]
    fn checksums_are_the_known_ones() {
        let empty = [0, 0, 0, 16, 0, 0, 0, 0, 0x05, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff];
        assert_eq!(message(b"", b""), empty);
        assert_eq!(stream(Input(&[0, 0, 11])), empty);
    }
}
