//! The end of a message that the gateway cuts off: what a provider would have sent that ran into `max_tokens`.
//!
//! It knows how such an end looks on the wire; it must never know why the stream was cut.

use bytes::Bytes;
use domain::Usage;
use serde::Serialize;

use super::reader::STOP;
use crate::cut::CutCall;
use crate::sse::write_named_event as write;
use crate::stream::Told;

/// The end of a message that is cut off, but for the usage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    id: String,
    model: String,
    blocks: Blocks,
}

/// How far the blocks of a message have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Blocks {
    has_begun: bool,
    /// The block that has begun and not ended.
    open: Option<u64>,
}

impl Blocks {
    /// The message has begun.
    pub(super) const fn begin(&mut self) {
        self.has_begun = true;
    }

    /// A block begins; they come one after the other.
    pub(super) const fn open(&mut self, index: Option<u64>) {
        self.open = index;
    }

    pub(super) const fn close(&mut self) {
        self.open = None;
    }
}

impl Cut {
    pub(super) fn new(id: Option<&str>, blocks: Blocks, told: &Told, call: CutCall<'_>) -> Self {
        Self {
            id: id.map_or_else(|| format!("msg_{}", call.request_id), str::to_owned),
            model: told.model.clone().unwrap_or_else(|| call.model.to_owned()),
            blocks,
        }
    }

    /// The events for the client: the beginning if there was none, the end of the block that is open, the reason
    /// `max_tokens` with this usage, and the end. Nothing may follow.
    pub(crate) fn events(&self, usage: &Usage) -> Vec<Bytes> {
        let mut events = Vec::new();
        if !self.blocks.has_begun {
            let message = MessageJson {
                id: &self.id,
                r#type: "message",
                role: "assistant",
                model: &self.model,
                content: [],
                stop_reason: (),
                stop_sequence: (),
                usage: UsageJson::of(&Usage { output: 0, audio_output: 0, ..*usage }),
            };
            write(&mut events, "message_start", &Start { r#type: "message_start", message });
        }
        if let Some(index) = self.blocks.open {
            write(&mut events, "content_block_stop", &BlockStop { r#type: "content_block_stop", index });
        }
        let delta = Delta { stop_reason: "max_tokens", stop_sequence: () };
        let end = MessageDelta { r#type: "message_delta", delta, usage: UsageJson::of(usage) };
        write(&mut events, "message_delta", &end);
        vec![Bytes::from(events), Bytes::from_static(STOP)]
    }
}

#[derive(Serialize)]
struct Start<'a> {
    r#type: &'static str,
    message: MessageJson<'a>,
}

#[derive(Serialize)]
struct MessageJson<'a> {
    id: &'a str,
    r#type: &'static str,
    role: &'static str,
    model: &'a str,
    content: [(); 0],
    stop_reason: (),
    stop_sequence: (),
    usage: UsageJson,
}

#[derive(Serialize)]
struct BlockStop {
    r#type: &'static str,
    index: u64,
}

#[derive(Serialize)]
struct MessageDelta {
    r#type: &'static str,
    delta: Delta,
    usage: UsageJson,
}

#[derive(Serialize)]
struct Delta {
    stop_reason: &'static str,
    stop_sequence: (),
}

#[derive(Serialize)]
pub(crate) struct UsageJson {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_creation: CacheCreation,
    cache_read_input_tokens: u64,
    output_tokens: u64,
}

#[derive(Serialize)]
struct CacheCreation {
    ephemeral_5m_input_tokens: u64,
    ephemeral_1h_input_tokens: u64,
}

impl UsageJson {
    pub(crate) const fn of(usage: &Usage) -> Self {
        Self {
            input_tokens: usage.input.saturating_add(usage.audio_input).saturating_add(usage.image_input),
            cache_creation_input_tokens: usage.cache_write_total(),
            cache_creation: CacheCreation {
                ephemeral_5m_input_tokens: usage.cache_write,
                ephemeral_1h_input_tokens: usage.cache_write_long,
            },
            cache_read_input_tokens: usage.cached,
            output_tokens: usage.output_total(),
        }
    }
}
