//! What Google's Vertex AI wants of messages otherwise than Anthropic: the version of the API stands in the body, and the
//! model in the address.
//!
//! By <https://docs.anthropic.com/en/api/claude-on-vertex-ai>, and by Anthropic's own client for it.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::body::{Edit, after_brace, span};
use crate::endpoint::Endpoint;

const VERSION: &str = "anthropic_version";

/// The version, if the caller wrote one into the body.
#[derive(Deserialize)]
struct Written<'a> {
    #[serde(borrow)]
    anthropic_version: Option<&'a RawValue>,
}

/// What states this version in a body: in place of the caller's, or as its first member.
pub(crate) fn with_version(body: &str, version: &str) -> Edit {
    // Hardly anybody writes one, and bodies are long.
    let written = body.contains(VERSION).then(|| serde_json::from_str::<Written<'_>>(body).ok()).flatten();
    match written.and_then(|written| written.anthropic_version) {
        Some(value) => Edit { range: span(body, value.get()), text: Bytes::from(format!("\"{version}\"")) },
        None => {
            let text = format!("\"{VERSION}\":\"{version}\",");
            Edit { range: after_brace(body, body), text: Bytes::from(text) }
        }
    }
}

/// Whether this header of Anthropic's does not go along: the version, which the body states; and, where tokens are
/// counted, the names of what is tried out. Vertex refuses those there that it takes at the models themselves
/// (<https://github.com/anthropics/anthropic-sdk-typescript/pull/1060>), and no count depends on them.
pub(crate) fn leaves_out(endpoint: Endpoint, header: &str) -> bool {
    header == "anthropic-version" || (endpoint.counts() && header == "anthropic-beta")
}
