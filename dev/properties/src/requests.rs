//! What must hold of every body that a caller sends: it is read or refused; what is read can be sent on, edited and
//! converted, and is then a body that the provider's form reads; and it has no more tokens than it is held for.

use std::num::NonZeroU64;

use bytes::Bytes;
use dialect::convert::{self, RequestOptions, Surface, Thinking, Wire};
use dialect::{Addressed, Call, Endpoint, Framing, Manners, Upstream, tokens};
use serde::de::IgnoredAny;

use crate::input::Input;

const CAP: NonZeroU64 = NonZeroU64::MIN;

/// Bytes as the body of a call, with one byte that chooses its endpoint and one for what the provider wants.
pub fn requests(data: &[u8]) {
    let mut input = Input(data);
    let Some(endpoint) = input.endpoint() else { return };
    let way = input.byte();
    let body = Bytes::copy_from_slice(input.0);
    let Ok(call) = read(endpoint, body.clone(), "gpt-4o") else { return };
    check_facts(&call);
    let upstream = upstream(way, None);
    let sent = check_sent(&call, &upstream);
    assert!(way & 1 != 0 || sent.choices() == call.choices(), "{endpoint:?} has other choices when sent on");
    let capped = check_sent(&call, &Upstream { output_cap: Some(CAP), ..upstream });
    assert!(
        capped.output_is_fixed() || capped.output_cap().is_some_and(|cap| cap <= CAP.get().max(least(&call)))
    );
    if let Some(from) = surface(endpoint) {
        for to in [Wire::Chat, Wire::Messages, Wire::Gemini, Wire::Converse] {
            check_converted(from, to, way, &call);
        }
    }
}

/// What thinking demands beyond a cap.
fn least(call: &Call) -> u64 {
    call.output_cap_least()
}

fn upstream(way: u8, output_cap: Option<NonZeroU64>) -> Upstream<'static> {
    let manners = Manners {
        cap: match way >> 1 & 3 {
            1 => Some("max_tokens"),
            2 => Some("max_completion_tokens"),
            _ => None,
        },
        stream_options: way & 8 == 0,
        preferences: way & 16 != 0,
        version_in_body: None,
    };
    Upstream { model: "other", manners, output_cap }
}

fn read(endpoint: Endpoint, body: Bytes, model: &str) -> Result<Call, dialect::BadRequest> {
    let addressed = Addressed { model: model.to_owned(), framing: Framing::Whole };
    Call::read_at(endpoint, needs_address(endpoint).then_some(&addressed), body)
}

const fn needs_address(endpoint: Endpoint) -> bool {
    matches!(endpoint, Endpoint::GenerateContent | Endpoint::CountContent)
}

fn check_facts(call: &Call) {
    assert!((1..=256).contains(&call.model().len()), "the model's name has {} bytes", call.model().len());
    assert!((1..=128).contains(&call.choices()), "{} choices", call.choices());
    assert!(call.charged_tool().is_none_or(|tool| tool.len() <= 256));
    assert!(!format!("{call:?}").is_empty());
    // Every count of the prompt is within what it is held for. Gemini's takes any part that is no text for an image,
    // also one whose bytes bound it.
    let is_guess = matches!(call.endpoint(), Endpoint::GenerateContent | Endpoint::CountContent);
    if call.input_elsewhere().is_none() && !is_guess {
        let count = tokens::count_prompt(call.endpoint(), call.body(), call.model());
        let bound = call.input_tokens_bound();
        assert!(count <= bound, "{:?}: {count} tokens counted, {bound} held for", call.endpoint());
    }
}

/// What goes upstream is read again, and says the same but for what was edited.
fn check_sent(call: &Call, to: &Upstream<'_>) -> Call {
    let parts = call.upstream_body(to);
    let length = parts.len();
    let body = parts.into_iter().collect::<Vec<Bytes>>().concat();
    assert_eq!(body.len(), length, "the length that is announced");
    let shown = String::from_utf8_lossy(&body).into_owned();
    let again = read(call.endpoint(), Bytes::from(body), to.model);
    let again = again.unwrap_or_else(|refused| unreadable(call.endpoint(), &refused, &shown));
    assert_eq!(again.model(), to.model, "{shown}");
    assert_eq!(again.stream(), call.stream(), "{shown}");
    assert_eq!(again.user(), call.user(), "{shown}");
    assert_eq!(again.service_tier(), call.service_tier(), "{shown}");
    again
}

#[expect(clippy::panic, reason = "a property that does not hold is a panic: that is what is looked for")]
fn unreadable(endpoint: Endpoint, refused: &dialect::BadRequest, shown: &str) -> ! {
    panic!("{endpoint:?} cannot read what was written for it: {refused:?} in {shown}")
}

/// What is written in the form of a provider is a call in that form; a caller of that form can have it converted again.
fn check_converted(from: Surface, to: Wire, way: u8, call: &Call) {
    let options = RequestOptions {
        upstream: upstream(way, (way & 32 != 0).then_some(CAP)),
        stream: call.stream(),
        default_output_tokens: CAP,
        thinking: match way >> 6 {
            0 => Thinking::Untold,
            1 => Thinking::Budget,
            _ => Thinking::Effort,
        },
        sampling: way & 1 == 0,
        takes_reasoning: way >> 6 == 3,
    };
    let Ok(converted) = convert::request(from, to, call.body(), &options) else { return };
    let shown = || String::from_utf8_lossy(&converted.body).into_owned();
    let json = serde_json::from_slice::<IgnoredAny>(&converted.body);
    assert!(json.is_ok(), "{from:?} to {to:?} is no JSON: {}", shown());
    let (endpoint, again) = match to {
        Wire::Chat => (Endpoint::Chat, Surface::Chat),
        Wire::Messages => (Endpoint::Messages, Surface::Messages),
        Wire::Gemini => (Endpoint::GenerateContent, Surface::Gemini),
        Wire::Converse => return,
    };
    let body = Bytes::from(converted.body.clone());
    let read =
        read(endpoint, body, "other").unwrap_or_else(|refused| unreadable(endpoint, &refused, &shown()));
    assert_eq!(read.model(), "other", "{}", shown());
    let twice = convert::request(again, to, &converted.body, &options);
    // Google's form has media of more types than others take, need not say what lies at an address, and knows calls by
    // their names alone: what is wrong with those is for Google to say.
    assert!(
        to == Wire::Gemini || twice.is_ok(),
        "{from:?} to {to:?} cannot be converted again: {twice:?} in {}",
        shown()
    );
}

const fn surface(endpoint: Endpoint) -> Option<Surface> {
    match endpoint {
        Endpoint::Chat => Some(Surface::Chat),
        Endpoint::Responses => Some(Surface::Responses),
        Endpoint::Messages => Some(Surface::Messages),
        Endpoint::GenerateContent => Some(Surface::Gemini),
        Endpoint::Embeddings
        | Endpoint::Moderations
        | Endpoint::Images
        | Endpoint::CountTokens
        | Endpoint::CountContent
        | Endpoint::ImageEdits
        | Endpoint::Speech
        | Endpoint::Transcriptions
        | Endpoint::Translations
        | Endpoint::Converse => None,
    }
}
