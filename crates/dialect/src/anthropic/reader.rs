//! A stream of messages, event by event.

use bytes::Bytes;

use super::cut::{Blocks, Cut};
use super::event::Event;
use super::usage::WireUsage;
use crate::body::{after_brace, span};
use crate::cut::CutCall;
use crate::dialect::Dialect;
use crate::json::{self, Kind};
use crate::stream::{Fate, StreamFault, Told};
use crate::upstream_error::UpstreamError;

/// The events that SDKs know. They go by the `event` line and not by the `type`: without that line all of them are
/// passed over.
const KNOWN: [&str; 8] = [
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
    "ping",
    "error",
];

/// What ends a stream.
pub(crate) const STOP: &[u8] = b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

/// Reads the events of a message.
#[derive(Default)]
pub(crate) struct Reader {
    id: Option<String>,
    usage: WireUsage,
    blocks: Blocks,
}

impl Reader {
    /// Reads the data of one event.
    pub(crate) fn read(
        &mut self,
        data: &str,
        name: Option<&str>,
        told: &mut Told,
    ) -> Result<Fate, StreamFault> {
        if data.starts_with("[DONE]") {
            // Nothing that this dialect knows; what ends a message comes before it or not at all.
            return Ok(Fate::Drop);
        }
        let mut event = Event::new(told);
        let read = json::read(data, &mut event);
        let Event { kind, name: type_, id, index, usage, usage_text, message_text, has_error, .. } = event;
        if read.is_err() || kind != Kind::Object {
            return if name == Some("error") { Ok(complain(data, told)) } else { Err(StreamFault::Garbage) };
        }
        let type_ = type_.as_deref().or(name).unwrap_or_default();
        let known = KNOWN.into_iter().find(|known| *known == type_);
        // Events are known by their line: one that lacks it gets it.
        let named = known.filter(|_| name.is_none()).map(|known| renamed(known, data));
        if type_ == "error" || name == Some("error") {
            return Ok(if has_error && type_ == "error" && name.is_none_or(|name| name == "error") {
                told.error = Some(UpstreamError::read(200, data.as_bytes()));
                named.map_or(Fate::Pass, Fate::Replace)
            } else {
                complain(data, told)
            });
        }
        told.chunks += u64::from(type_ != "ping");
        match type_ {
            "message_start" => {
                self.id = id;
                self.blocks.begin();
                let whole = with_usage(
                    data,
                    message_text,
                    usage_text,
                    &usage,
                    r#"{"input_tokens":0,"output_tokens":0}"#,
                );
                self.learn(usage, told);
                told.so_far = self.usage.to_input();
                if let Some(whole) = whole {
                    return Ok(Fate::Replace(renamed("message_start", &whole)));
                }
            }
            "content_block_start" => self.blocks.open(index),
            "content_block_stop" => self.blocks.close(),
            "message_delta" => return Ok(self.message_delta(data, usage, usage_text, named, told)),
            "message_stop" => return Ok(Fate::Done(named)),
            _ => {}
        }
        Ok(named.map_or(Fate::Pass, Fate::Replace))
    }

    fn learn(&mut self, usage: Option<WireUsage>, told: &mut Told) {
        self.usage.update(usage.unwrap_or_default());
        told.service_tier = self.usage.service_tier.clone();
    }

    /// The event that tells the usage of the whole.
    fn message_delta(
        &mut self,
        data: &str,
        usage: Option<WireUsage>,
        usage_text: Option<&str>,
        named: Option<Bytes>,
        told: &mut Told,
    ) -> Fate {
        let is_told = usage.as_ref().is_some_and(WireUsage::has_output);
        let output = format!("{{\"output_tokens\":{}}}", told.output.tokens_seen());
        let whole = with_usage(data, Some(data), usage_text, &usage, &output);
        self.learn(usage, told);
        if is_told {
            told.usage = self.usage.to_usage();
        }
        Fate::Usage(whole.map(|whole| renamed("message_delta", &whole)).or(named))
    }

    /// The end for a client whose stream is cut off here.
    pub(crate) fn cut(&self, told: &Told, call: CutCall<'_>) -> Cut {
        Cut::new(self.id.as_deref(), self.blocks, told, call)
    }
}

/// The data of an event with a usage in this object of it, if there is none: SDKs crash without.
fn with_usage(
    data: &str,
    object: Option<&str>,
    text: Option<&str>,
    usage: &Option<WireUsage>,
    instead: &str,
) -> Option<String> {
    let object = object.filter(|object| usage.is_none() && Kind::of(object.trim_start()) == Kind::Object)?;
    let (place, member) = match text {
        Some(text) => (span(data, text), instead.to_owned()),
        None => {
            let place = after_brace(data, object);
            let is_empty = data.get(place.end..)?.trim_start().starts_with('}');
            (place, format!("\"usage\":{instead}{}", if is_empty { "" } else { "," }))
        }
    };
    Some(format!("{}{member}{}", data.get(..place.start)?, data.get(place.end..)?))
}

/// An event under this name. JSON has no line ends inside its texts, so those between its members can go.
fn renamed(name: &str, data: &str) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {}\n\n", data.replace(['\n', '\r'], " ")))
}

/// Puts an error that clients would overlook into the form that none does.
fn complain(data: &str, told: &mut Told) -> Fate {
    let error = told.error.insert(UpstreamError::read(200, data.as_bytes()));
    Fate::Replace(error.to_body(502).told_in(Dialect::Anthropic).stream_event())
}
