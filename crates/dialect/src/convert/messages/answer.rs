//! Messages' answers: those of Anthropic read, those for callers written, whole and as streams.

use std::borrow::Cow;
use std::collections::HashMap;

use domain::Usage;

use crate::UpstreamError;
use crate::anthropic::UsageJson;
use crate::convert::answer::{Answer, Block, Delta, Garbage, Stop, arguments_or_wrapped, settled_stop};
use crate::convert::conversation::{Sealed, Signer};
use crate::convert::value::{Object, Value};
use crate::convert::writer::{self, Fields, Items};
use crate::convert::{AnswerContext, ids};

/// Blocks that may be open at a time.
const OPEN_MAX: usize = 4_096;

/// Reads a whole answer.
pub(in crate::convert) fn read(body: &[u8]) -> Result<Vec<Delta<'_>>, Garbage> {
    let document = Value::document(body).map_err(|_| Garbage)?;
    let object = document.object().map_err(|_| Garbage)?;
    let mut deltas = vec![Delta::Begin { model: object.string("model").ok().flatten() }];
    let content = object.take("content").ok_or(Garbage)?;
    let mut calls = 0;
    for item in content.items().map_err(|_| Garbage)?.iter() {
        let block = item.object().map_err(|_| Garbage)?;
        if begin_block(&block, calls, &mut deltas)? {
            let input = block.take("input").map_or("{}", |input| input.raw.get());
            deltas.push(Delta::Arguments { slot: calls, text: Cow::Borrowed(input) });
            calls += 1;
        }
    }
    deltas.extend(stop(&object).map(Delta::Stop));
    Ok(deltas)
}

/// The pieces that a block begins with; true for a call.
fn begin_block<'a>(
    block: &Object<'a, '_>,
    slot: usize,
    deltas: &mut Vec<Delta<'a>>,
) -> Result<bool, Garbage> {
    let text = |name| block.string(name).ok().flatten().filter(|text| !text.is_empty());
    let sealed = |text| Sealed { by: Signer::Anthropic, text };
    match block.string("type").map_err(|_| Garbage)?.as_deref() {
        Some("text") => deltas.extend(text("text").map(Delta::Text)),
        Some("thinking") => {
            deltas.extend(text("thinking").map(Delta::Thinking));
            deltas.extend(text("signature").map(sealed).map(Delta::Signature));
        }
        Some("redacted_thinking") => deltas.extend(text("data").map(sealed).map(Delta::Redacted)),
        Some("tool_use") => {
            let name = text("name").ok_or(Garbage)?;
            deltas.push(Delta::Call { slot, id: text("id"), name, signature: None });
            return Ok(true);
        }
        // What the provider's own tools did is never asked for.
        Some(_) | None => {}
    }
    Ok(false)
}

fn stop(object: &Object<'_, '_>) -> Option<Stop> {
    let reason = object.string("stop_reason").ok().flatten()?;
    Some(match &*reason {
        "max_tokens" => Stop::Length,
        "model_context_window_exceeded" => Stop::ContextFull,
        "tool_use" => Stop::Calls,
        "refusal" => Stop::Refusal,
        "stop_sequence" => {
            let sequence = object.string("stop_sequence").ok().flatten();
            Stop::Sequence(sequence.map(Cow::into_owned).unwrap_or_default())
        }
        // A pause belongs to tools of the provider's own, which are never asked for.
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
        data: &'a str,
        deltas: &mut Vec<Delta<'a>>,
    ) -> Result<(), Garbage> {
        let document = Value::document(data.as_bytes()).map_err(|_| Garbage)?;
        let object = document.object().map_err(|_| Garbage)?;
        let index = object.count("index").ok().flatten().unwrap_or(0);
        match object.string("type").map_err(|_| Garbage)?.as_deref() {
            Some("message_start") => {
                let message = object.take("message").ok_or(Garbage)?;
                let message = message.object().map_err(|_| Garbage)?;
                deltas.push(Delta::Begin { model: message.string("model").ok().flatten() });
            }
            Some("content_block_start") => {
                let block = object.take("content_block").ok_or(Garbage)?;
                self.begin_block(index, &block.object().map_err(|_| Garbage)?, deltas)?;
            }
            Some("content_block_delta") => {
                let delta = object.take("delta").ok_or(Garbage)?;
                self.delta(index, &delta.object().map_err(|_| Garbage)?, deltas)?;
            }
            Some("content_block_stop") => {
                // A call without arguments is told no piece of them.
                if let Some((slot, false)) = self.open.remove(&index) {
                    deltas.push(Delta::Arguments { slot, text: Cow::Borrowed("{}") });
                }
            }
            Some("message_delta") => {
                if let Some(delta) = object.take("delta") {
                    deltas.extend(stop(&delta.object().map_err(|_| Garbage)?).map(Delta::Stop));
                }
            }
            Some("error") => deltas.push(Delta::Failed(UpstreamError::read(200, data.as_bytes()))),
            // `ping`, `message_stop`, and what may come to be.
            Some(_) | None => {}
        }
        Ok(())
    }

    fn begin_block<'a>(
        &mut self,
        index: u64,
        block: &Object<'a, '_>,
        deltas: &mut Vec<Delta<'a>>,
    ) -> Result<(), Garbage> {
        let slot = self.calls;
        if !begin_block(block, slot, deltas)? {
            return Ok(());
        }
        self.calls += 1;
        // Some servers tell all arguments at once, where Anthropic has an empty object.
        let input = block.take("input").map(|input| input.raw.get()).filter(|input| input.len() > 2);
        deltas.extend(input.map(|input| Delta::Arguments { slot, text: Cow::Borrowed(input) }));
        if self.open.len() >= OPEN_MAX {
            return Err(Garbage);
        }
        self.open.insert(index, (slot, input.is_some()));
        Ok(())
    }

    fn delta<'a>(
        &mut self,
        index: u64,
        delta: &Object<'a, '_>,
        deltas: &mut Vec<Delta<'a>>,
    ) -> Result<(), Garbage> {
        let text = |name| delta.string(name).ok().flatten().filter(|text| !text.is_empty());
        match delta.string("type").map_err(|_| Garbage)?.as_deref() {
            Some("text_delta") => deltas.extend(text("text").map(Delta::Text)),
            Some("thinking_delta") => deltas.extend(text("thinking").map(Delta::Thinking)),
            Some("signature_delta") => {
                let seal = text("signature").map(|text| Sealed { by: Signer::Anthropic, text });
                deltas.extend(seal.map(Delta::Signature));
            }
            Some("input_json_delta") => {
                let Some(text) = text("partial_json") else { return Ok(()) };
                // Blocks of the provider's own tools have arguments, too, and are not open.
                if let Some((slot, told)) = self.open.get_mut(&index) {
                    *told = true;
                    deltas.push(Delta::Arguments { slot: *slot, text });
                }
            }
            Some(_) | None => {}
        }
        Ok(())
    }
}

/// The words for a stop: `stop_reason` and `stop_sequence`.
fn write_stop(to: &mut Fields<'_>, stop: &Stop) {
    let word = match stop {
        Stop::End => "end_turn",
        Stop::Sequence(_) => "stop_sequence",
        Stop::Length => "max_tokens",
        Stop::ContextFull => "model_context_window_exceeded",
        Stop::Calls => "tool_use",
        Stop::Refusal | Stop::Filter => "refusal",
    };
    to.text("stop_reason", word);
    match stop {
        Stop::Sequence(sequence) if !sequence.is_empty() => to.text("stop_sequence", sequence),
        Stop::Sequence(_)
        | Stop::End
        | Stop::Length
        | Stop::ContextFull
        | Stop::Calls
        | Stop::Refusal
        | Stop::Filter => {
            to.null("stop_sequence");
        }
    }
}

fn head(to: &mut Fields<'_>, model: Option<&str>, context: &AnswerContext) {
    to.text("id", &format!("msg_{}", context.seed));
    to.text("type", "message");
    to.text("role", "assistant");
    to.text("model", model.unwrap_or(&context.model));
}

/// Writes a whole answer.
pub(in crate::convert) fn write(mut answer: Answer, usage: &Usage, context: &AnswerContext) -> Vec<u8> {
    answer.split_signatures();
    let mut out = Vec::new();
    writer::object(&mut out, |to| {
        head(to, answer.model.as_deref(), context);
        to.array("content", |items| answer.blocks.iter().for_each(|said| block(items, said, context)));
        write_stop(to, &answer.stop());
        to.json("usage", &UsageJson::of(usage));
    });
    out
}

fn block(items: &mut Items<'_>, block: &Block, context: &AnswerContext) {
    items.object(|to| match block {
        Block::Text(text) | Block::Refusal(text) => {
            to.text("type", "text");
            to.text("text", text);
        }
        Block::Thinking { text, signature } => {
            thinking(to, text, &signature.as_ref().map_or(Cow::Borrowed(""), Sealed::tagged));
        }
        Block::Redacted(seal) => {
            to.text("type", "redacted_thinking");
            to.text("data", &seal.tagged());
        }
        Block::Call(call) => {
            begin_call(to, call.slot, call.id.as_deref(), &call.name, context);
            to.raw("input", &arguments_or_wrapped(&call.arguments));
        }
    });
}

fn thinking(to: &mut Fields<'_>, text: &str, signature: &str) {
    to.text("type", "thinking");
    to.text("thinking", text);
    to.text("signature", signature);
}

fn begin_call(to: &mut Fields<'_>, slot: usize, id: Option<&str>, name: &str, context: &AnswerContext) {
    let id = id.map_or_else(|| Cow::Owned(ids::derived("toolu_", &context.seed, slot)), Cow::Borrowed);
    to.text("type", "tool_use");
    to.text("id", &id);
    to.text("name", name);
}

/// The block that is being told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
    Call(usize),
}

/// Writes a stream.
#[derive(Debug, Default)]
pub(in crate::convert) struct StreamWriter {
    model: Option<String>,
    has_begun: bool,
    open: Option<Open>,
    /// Blocks that were begun.
    blocks: u64,
    calls: usize,
    stop: Option<Stop>,
}

impl StreamWriter {
    /// Appends the events for a piece.
    ///
    /// # Errors
    /// [`Garbage`] for arguments of a call that is over: blocks come one after the other.
    pub(in crate::convert) fn write(
        &mut self,
        delta: Delta<'_>,
        context: &AnswerContext,
        out: &mut Vec<u8>,
    ) -> Result<(), Garbage> {
        if let Delta::Begin { model } = &delta {
            self.model = self.model.take().or(model.as_deref().map(str::to_owned));
        }
        self.begin(context, out);
        match delta {
            Delta::Text(text) | Delta::Refusal(text) => {
                self.open(Open::Text, out, |to| {
                    to.text("type", "text");
                    to.text("text", "");
                });
                self.delta("text_delta", "text", &text, out);
            }
            Delta::Thinking(text) => {
                self.open(Open::Thinking, out, |to| thinking(to, "", ""));
                self.delta("thinking_delta", "thinking", &text, out);
            }
            Delta::Signature(seal) => self.signature(&seal, out),
            Delta::Redacted(seal) => {
                self.close(out);
                self.start(out, |to| {
                    to.text("type", "redacted_thinking");
                    to.text("data", &seal.tagged());
                });
                self.stop_block(out);
            }
            Delta::Call { slot, id, name, signature } => {
                if let Some(seal) = signature {
                    self.close(out);
                    self.signature(&seal, out);
                }
                self.calls += 1;
                self.open(Open::Call(slot), out, |to| {
                    begin_call(to, slot, id.as_deref(), &name, context);
                    to.object("input", |_| {});
                });
            }
            Delta::Arguments { slot, text } => {
                if self.open != Some(Open::Call(slot)) {
                    return Err(Garbage);
                }
                self.delta("input_json_delta", "partial_json", &text, out);
            }
            Delta::Stop(stop) => self.stop = Some(stop),
            Delta::Begin { .. } | Delta::Failed(_) => {}
        }
        Ok(())
    }

    /// Appends the end of the answer.
    pub(in crate::convert) fn tail(
        &mut self,
        cut: Option<Stop>,
        usage: &Usage,
        context: &AnswerContext,
        out: &mut Vec<u8>,
    ) {
        self.begin(context, out);
        self.close(out);
        let stop = cut.unwrap_or_else(|| settled_stop(self.stop.take(), self.calls > 0));
        event(out, "message_delta", |to| {
            to.object("delta", |to| write_stop(to, &stop));
            to.json("usage", &UsageJson::of(usage));
        });
        event(out, "message_stop", |_| {});
    }

    fn begin(&mut self, context: &AnswerContext, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.has_begun, true) {
            return;
        }
        event(out, "message_start", |to| {
            to.object("message", |to| {
                head(to, self.model.as_deref(), context);
                to.array("content", |_| {});
                to.null("stop_reason");
                to.null("stop_sequence");
                // What it came to is known at the end, where it counts.
                to.json("usage", &UsageJson::of(&Usage::default()));
            });
        });
    }

    fn signature(&mut self, seal: &Sealed<'_>, out: &mut Vec<u8>) {
        self.open(Open::Thinking, out, |to| thinking(to, "", ""));
        self.delta("signature_delta", "signature", &seal.tagged(), out);
        // The next thought is another block, with a signature of its own.
        self.close(out);
    }

    /// Begins a block, unless it is the open one.
    fn open(&mut self, what: Open, out: &mut Vec<u8>, block: impl FnOnce(&mut Fields<'_>)) {
        if self.open == Some(what) {
            return;
        }
        self.close(out);
        self.open = Some(what);
        self.start(out, block);
    }

    fn start(&mut self, out: &mut Vec<u8>, block: impl FnOnce(&mut Fields<'_>)) {
        event(out, "content_block_start", |to| {
            to.count("index", self.blocks);
            to.object("content_block", block);
        });
        self.blocks += 1;
    }

    fn delta(&self, kind: &str, member: &str, text: &str, out: &mut Vec<u8>) {
        event(out, "content_block_delta", |to| {
            to.count("index", self.blocks.saturating_sub(1));
            to.object("delta", |to| {
                to.text("type", kind);
                to.text(member, text);
            });
        });
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open.take().is_some() {
            self.stop_block(out);
        }
    }

    fn stop_block(&self, out: &mut Vec<u8>) {
        event(out, "content_block_stop", |to| to.count("index", self.blocks.saturating_sub(1)));
    }
}

fn event(out: &mut Vec<u8>, kind: &str, fill: impl FnOnce(&mut Fields<'_>)) {
    writer::event(out, Some(kind), |to| {
        to.text("type", kind);
        fill(to);
    });
}
