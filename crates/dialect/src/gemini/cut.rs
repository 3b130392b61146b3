//! The end of an answer that the gateway cuts off: what Google would have sent that ran into `maxOutputTokens`.
//!
//! It knows how such an end looks on the wire; it must never know why the stream was cut.

use bytes::Bytes;
use domain::Usage;
use serde::Serialize;

use super::usage::UsageJson;
use crate::cut::CutCall;
use crate::sse::write_event;
use crate::stream::Told;

/// The end of an answer that is cut off, but for the usage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    id: String,
    model: String,
    /// The candidates that have not told why they ended.
    open: Vec<u64>,
}

impl Cut {
    pub(super) fn new(id: Option<&str>, ended: &[u64], told: &Told, call: CutCall<'_>) -> Self {
        Self {
            id: id.unwrap_or(call.request_id).to_owned(),
            model: told.model.clone().unwrap_or_else(|| call.model.to_owned()),
            open: (0..call.choices).filter(|index| !ended.contains(index)).collect(),
        }
    }

    /// The one event for the client: that every candidate which is open ran into its cap, with this usage.
    pub(crate) fn events(&self, usage: &Usage) -> Vec<Bytes> {
        let candidate = |index: &u64| Candidate {
            content: Content { parts: [Part { text: "" }], role: "model" },
            finish_reason: "MAX_TOKENS",
            index: *index,
        };
        let mut event = Vec::new();
        write_event(
            &mut event,
            &Response {
                candidates: self.open.iter().map(candidate).collect(),
                usage_metadata: UsageJson::of(usage),
                model_version: &self.model,
                response_id: &self.id,
            },
        );
        vec![Bytes::from(event)]
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    candidates: Vec<Candidate>,
    usage_metadata: UsageJson,
    model_version: &'a str,
    response_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    content: Content,
    finish_reason: &'static str,
    index: u64,
}

#[derive(Serialize)]
struct Content {
    parts: [Part; 1],
    role: &'static str,
}

#[derive(Serialize)]
struct Part {
    text: &'static str,
}
