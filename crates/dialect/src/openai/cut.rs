//! The end of a chat that the gateway cuts off: what a provider would have sent that ran into the cap on its output.
//!
//! It knows how such an end looks on the wire; it must never know why the stream was cut.

use bytes::Bytes;
use domain::Usage;
use serde::Serialize;

use super::chunk::Head;
use crate::cut::CutCall;
use crate::sse;
use crate::stream::Told;

/// Most choices that a request can ask for; OpenAI's limit. One bit for each in [`Choices`].
const CHOICES_MAX: u32 = u128::BITS;

/// The end of a chat that is cut off, but for the usage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    id: String,
    created: u64,
    model: String,
    service_tier: Option<String>,
    system_fingerprint: Option<String>,
    client_asked_usage: bool,
    choices: Choices,
}

impl Cut {
    pub(super) fn new(head: &Head, told: &Told, client_asked_usage: bool, call: CutCall<'_>) -> Self {
        Self {
            id: head.id.clone().unwrap_or_else(|| format!("chatcmpl-{}", call.request_id)),
            created: head.created.unwrap_or_else(|| u64::try_from(call.at.seconds()).unwrap_or(0)),
            model: told.model.clone().unwrap_or_else(|| call.model.to_owned()),
            service_tier: told.service_tier.clone(),
            system_fingerprint: head.system_fingerprint.clone(),
            client_asked_usage,
            choices: head.choices.of(call.choices),
        }
    }

    /// The events for the client: the finish reason `length` for every choice that has none, this usage if the client
    /// asked for it, and `[DONE]`. Nothing may follow.
    pub(crate) fn events(&self, usage: &Usage) -> Vec<Bytes> {
        let mut events = Vec::new();
        let not_yet = self.client_asked_usage.then_some(UsageJson::NotYet);
        // One choice an event and in order, as providers send them: clients read the first of an event and no other,
        // and SDKs that gather a stream want the choices to begin one after the other.
        for (index, has_begun) in self.choices.open() {
            // A gathered choice without a role is an error to the Node SDK.
            let delta = if has_begun {
                Delta::default()
            } else {
                Delta { role: Some("assistant"), content: Some("") }
            };
            let choice = ChoiceJson { index, delta, logprobs: (), finish_reason: "length" };
            sse::write_event(&mut events, &self.chunk(&[choice], not_yet));
        }
        if self.client_asked_usage {
            sse::write_event(&mut events, &self.chunk(&[], Some(UsageJson::stated(usage))));
        }
        let mut out = Vec::with_capacity(2);
        if !events.is_empty() {
            out.push(Bytes::from(events));
        }
        out.push(Bytes::from_static(b"data: [DONE]\n\n"));
        out
    }

    fn chunk<'a>(&'a self, choices: &'a [ChoiceJson], usage: Option<UsageJson>) -> ChunkJson<'a> {
        ChunkJson {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.created,
            model: &self.model,
            service_tier: self.service_tier.as_deref(),
            system_fingerprint: self.system_fingerprint.as_deref(),
            choices,
            usage,
        }
    }
}

/// Which choices of a stream have begun, and which of them have ended: one bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Choices {
    begun: u128,
    ended: u128,
}

impl Choices {
    /// An event has something of this choice. What no request can ask for is not remembered.
    pub(super) fn note(&mut self, index: u64, has_ended: bool) {
        let Some(bit) = u32::try_from(index).ok().and_then(|index| 1_u128.checked_shl(index)) else { return };
        self.begun |= bit;
        if has_ended {
            self.ended |= bit;
        }
    }

    /// The same, of which those that have neither begun nor been asked for have ended.
    fn of(self, asked: u64) -> Self {
        let asked = u32::try_from(asked).unwrap_or(CHOICES_MAX);
        let beyond = u128::MAX.checked_shl(asked).unwrap_or(0);
        Self { begun: self.begun, ended: self.ended | (beyond & !self.begun) }
    }

    /// Those that have not ended, in order, and whether each has begun.
    fn open(self) -> impl Iterator<Item = (u32, bool)> {
        let is_in = |bits: u128, index: u32| (bits >> index) & 1 == 1;
        let open = (0..CHOICES_MAX).filter(move |index| !is_in(self.ended, *index));
        open.map(move |index| (index, is_in(self.begun, index)))
    }
}

#[derive(Serialize)]
struct ChunkJson<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_fingerprint: Option<&'a str>,
    choices: &'a [ChoiceJson],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageJson>,
}

#[derive(Serialize)]
struct ChoiceJson {
    index: u32,
    delta: Delta,
    logprobs: (),
    finish_reason: &'static str,
}

#[derive(Default, Serialize)]
struct Delta {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'static str>,
}

/// `usage`: null in every event but the last one, for a client that asked for it.
#[derive(Clone, Copy, Serialize)]
#[serde(untagged)]
pub(crate) enum UsageJson {
    NotYet,
    Stated {
        prompt_tokens: u64,
        completion_tokens: u64,
        total_tokens: u64,
        prompt_tokens_details: PromptDetails,
        completion_tokens_details: CompletionDetails,
    },
}

#[derive(Clone, Copy, Serialize)]
pub(crate) struct PromptDetails {
    cached_tokens: u64,
    cache_write_tokens: u64,
    audio_tokens: u64,
    image_tokens: u64,
}

#[derive(Clone, Copy, Serialize)]
pub(crate) struct CompletionDetails {
    reasoning_tokens: u64,
    audio_tokens: u64,
    image_tokens: u64,
}

impl UsageJson {
    pub(crate) const fn stated(usage: &Usage) -> Self {
        Self::Stated {
            prompt_tokens: usage.input_total(),
            completion_tokens: usage.output_total(),
            total_tokens: usage.input_total().saturating_add(usage.output_total()),
            prompt_tokens_details: PromptDetails {
                cached_tokens: usage.cached,
                cache_write_tokens: usage.cache_write_total(),
                audio_tokens: usage.audio_input,
                image_tokens: usage.image_input,
            },
            completion_tokens_details: CompletionDetails {
                reasoning_tokens: usage.reasoning,
                audio_tokens: usage.audio_output,
                image_tokens: usage.image_output,
            },
        }
    }
}
