//! Converse's answers, read, whole and as streams. The name of an event is its `:event-type` or `:exception-type`.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::UpstreamError;
use crate::convert::answer::{Delta, Garbage, Stop};
use crate::convert::conversation::{Sealed, Signer};
use crate::convert::value::{Object, Value};

/// Calls that may be open at a time.
const OPEN_MAX: usize = 4_096;

/// Reads a whole answer.
pub(in crate::convert) fn read(body: &[u8]) -> Result<Vec<Delta<'_>>, Garbage> {
    let document = Value::document(body).map_err(|_| Garbage)?;
    let object = document.object().map_err(|_| Garbage)?;
    let output = object.take("output").ok_or(Garbage)?;
    let output = output.object().map_err(|_| Garbage)?;
    let message = output.take("message").ok_or(Garbage)?;
    let message = message.object().map_err(|_| Garbage)?;
    let mut deltas = vec![Delta::Begin { model: None }];
    let mut calls = 0;
    if let Some(content) = message.take("content") {
        for item in content.items().map_err(|_| Garbage)?.iter() {
            let block = item.object().map_err(|_| Garbage)?;
            if let Some(reasoning) = block.take("reasoningContent") {
                let reasoning = reasoning.object().map_err(|_| Garbage)?;
                match reasoning.take("reasoningText") {
                    Some(text) => self::reasoning(&text.object().map_err(|_| Garbage)?, &mut deltas),
                    None => self::reasoning(&reasoning, &mut deltas),
                }
            }
            deltas
                .extend(block.string("text").ok().flatten().filter(|text| !text.is_empty()).map(Delta::Text));
            if let Some(call) = block.take("toolUse") {
                let call = call.object().map_err(|_| Garbage)?;
                begin_call(&call, calls, &mut deltas)?;
                let input = call.take("input").map_or("{}", |input| input.raw.get());
                deltas.push(Delta::Arguments { slot: calls, text: Cow::Borrowed(input) });
                calls += 1;
            }
        }
    }
    deltas.extend(stop(&object).map(Delta::Stop));
    Ok(deltas)
}

fn reasoning<'a>(object: &Object<'a, '_>, deltas: &mut Vec<Delta<'a>>) {
    let text = |name| object.string(name).ok().flatten().filter(|text| !text.is_empty());
    let sealed = |text| Sealed { by: Signer::Anthropic, text };
    deltas.extend(text("text").map(Delta::Thinking));
    deltas.extend(text("signature").map(sealed).map(Delta::Signature));
    deltas.extend(text("redactedContent").map(sealed).map(Delta::Redacted));
}

fn begin_call<'a>(call: &Object<'a, '_>, slot: usize, deltas: &mut Vec<Delta<'a>>) -> Result<(), Garbage> {
    let name = call.string("name").ok().flatten().ok_or(Garbage)?;
    let id = call.string("toolUseId").ok().flatten().filter(|id| !id.is_empty());
    deltas.push(Delta::Call { slot, id, name, signature: None });
    Ok(())
}

fn stop(object: &Object<'_, '_>) -> Option<Stop> {
    let reason = object.string("stopReason").ok().flatten()?;
    Some(match &*reason {
        "max_tokens" => Stop::Length,
        "model_context_window_exceeded" => Stop::ContextFull,
        "tool_use" => Stop::Calls,
        // Which one is not told.
        "stop_sequence" => Stop::Sequence(String::new()),
        "guardrail_intervened" | "content_filtered" => Stop::Filter,
        _ => Stop::End,
    })
}

/// Reads a stream.
#[derive(Debug, Default)]
pub(in crate::convert) struct StreamReader {
    calls: usize,
    /// The slots of the calls that are being told, by the index of their blocks, and whether arguments came.
    open: HashMap<u64, (usize, bool)>,
}

impl StreamReader {
    /// Reads one event.
    pub(in crate::convert) fn event<'a>(
        &mut self,
        name: Option<&str>,
        data: &'a str,
        deltas: &mut Vec<Delta<'a>>,
    ) -> Result<(), Garbage> {
        let name = name.ok_or(Garbage)?;
        if name.ends_with("Exception") {
            deltas.push(Delta::Failed(UpstreamError::of_exception(name, data)));
            return Ok(());
        }
        let document = Value::document(data.as_bytes()).map_err(|_| Garbage)?;
        let object = document.object().map_err(|_| Garbage)?;
        let index = object.count("contentBlockIndex").ok().flatten().unwrap_or(0);
        match name {
            "messageStart" => deltas.push(Delta::Begin { model: None }),
            "contentBlockStart" => {
                let start = object.take("start").ok_or(Garbage)?;
                if let Some(call) = start.object().map_err(|_| Garbage)?.take("toolUse") {
                    if self.open.len() >= OPEN_MAX {
                        return Err(Garbage);
                    }
                    begin_call(&call.object().map_err(|_| Garbage)?, self.calls, deltas)?;
                    self.open.insert(index, (self.calls, false));
                    self.calls += 1;
                }
            }
            "contentBlockDelta" => {
                let delta = object.take("delta").ok_or(Garbage)?;
                self.delta(index, &delta.object().map_err(|_| Garbage)?, deltas)?;
            }
            "contentBlockStop" => {
                if let Some((slot, false)) = self.open.remove(&index) {
                    deltas.push(Delta::Arguments { slot, text: Cow::Borrowed("{}") });
                }
            }
            "messageStop" => deltas.extend(stop(&object).map(Delta::Stop)),
            // `metadata` tells the usage, which the meter reads.
            _ => {}
        }
        Ok(())
    }

    fn delta<'a>(
        &mut self,
        index: u64,
        delta: &Object<'a, '_>,
        deltas: &mut Vec<Delta<'a>>,
    ) -> Result<(), Garbage> {
        deltas.extend(delta.string("text").ok().flatten().filter(|text| !text.is_empty()).map(Delta::Text));
        if let Some(reasoning) = delta.take("reasoningContent") {
            self::reasoning(&reasoning.object().map_err(|_| Garbage)?, deltas);
        }
        if let Some(call) = delta.take("toolUse") {
            let call = call.object().map_err(|_| Garbage)?;
            let text = call.string("input").ok().flatten().filter(|text| !text.is_empty());
            let (slot, told) = self.open.get_mut(&index).ok_or(Garbage)?;
            *told |= text.is_some();
            deltas.extend(text.map(|text| Delta::Arguments { slot: *slot, text }));
        }
        Ok(())
    }
}
