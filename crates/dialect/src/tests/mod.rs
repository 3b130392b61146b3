//! Tables of what comes over the wire, and what must become of it.

mod address;
mod answer;
mod audio;
mod body;
mod cap;
mod content;
mod converse;
mod convert;
mod cut;
mod error;
mod forms;
mod hostile;
mod images;
mod messages;
mod request;
mod responses;
mod responses_stream;
mod stream;
mod stream_pieces;
mod tokens;

use bytes::Bytes;
use serde_json::Value;

/// The bytes of several pieces as one text.
fn join(parts: impl IntoIterator<Item = Bytes>) -> String {
    let bytes: Vec<u8> = parts.into_iter().flatten().collect();
    String::from_utf8(bytes).expect("the pieces are text")
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}
