//! Gemini's answers: those of Google read, those for callers written, whole and as streams. An event of a stream has
//! the shape of a whole answer, and holds a part of it.

use std::borrow::Cow;

use domain::Usage;

use crate::convert::AnswerContext;
use crate::convert::answer::{Answer, Block, Call, Delta, Garbage, Stop, arguments_or_wrapped, settled_stop};
use crate::convert::conversation::{Sealed, Signer};
use crate::convert::ids;
use crate::convert::value::{Object, Value};
use crate::convert::writer::{self, Fields, Items};
use crate::{OUTPUT_TEXT_BYTES_MAX, UpstreamError};

/// Reads a whole answer.
pub(in crate::convert) fn read(body: &[u8]) -> Result<Vec<Delta<'_>>, Garbage> {
    let document = Value::document(body).map_err(|_| Garbage)?;
    let object = document.object().map_err(|_| Garbage)?;
    if object.peek("candidates").or(object.peek("promptFeedback")).is_none() {
        return Err(Garbage);
    }
    let mut deltas = Vec::new();
    StreamReader::default().response(&object, &mut deltas)?;
    Ok(deltas)
}

/// Reads a stream.
#[derive(Debug, Default)]
pub(in crate::convert) struct StreamReader {
    has_begun: bool,
    calls: usize,
}

impl StreamReader {
    /// Reads one event.
    pub(in crate::convert) fn event<'a>(
        &mut self,
        data: &'a str,
        deltas: &mut Vec<Delta<'a>>,
    ) -> Result<(), Garbage> {
        let document = Value::document(data.as_bytes()).map_err(|_| Garbage)?;
        // An error may stand in an array of its own.
        let is_array = document.items().is_ok();
        if is_array || document.object().map_err(|_| Garbage)?.take("error").is_some() {
            deltas.push(Delta::Failed(UpstreamError::read(200, data.as_bytes())));
            return Ok(());
        }
        self.response(&document.object().map_err(|_| Garbage)?, deltas)
    }

    fn response<'a>(
        &mut self,
        response: &Object<'a, '_>,
        deltas: &mut Vec<Delta<'a>>,
    ) -> Result<(), Garbage> {
        if !std::mem::replace(&mut self.has_begun, true) {
            deltas.push(Delta::Begin { model: response.string("modelVersion").ok().flatten() });
        }
        if let Some(feedback) = response.take("promptFeedback")
            && feedback.object().map_err(|_| Garbage)?.take("blockReason").is_some()
        {
            deltas.push(Delta::Stop(Stop::Filter));
        }
        let Some(candidates) = response.take("candidates") else { return Ok(()) };
        for candidate in candidates.items().map_err(|_| Garbage)?.iter() {
            let candidate = candidate.object().map_err(|_| Garbage)?;
            if candidate.count("index").ok().flatten().is_some_and(|index| index != 0) {
                continue;
            }
            if let Some(content) = candidate.take("content")
                && let Some(parts) = content.object().map_err(|_| Garbage)?.take("parts")
            {
                for part in parts.items().map_err(|_| Garbage)?.iter() {
                    self.part(&part.object().map_err(|_| Garbage)?, deltas)?;
                }
            }
            deltas.extend(
                candidate.string("finishReason").ok().flatten().map(|reason| Delta::Stop(stop(&reason))),
            );
        }
        Ok(())
    }

    fn part<'a>(&mut self, part: &Object<'a, '_>, deltas: &mut Vec<Delta<'a>>) -> Result<(), Garbage> {
        let seal = part.string("thoughtSignature").ok().flatten();
        let seal = seal.map(|text| Sealed { by: Signer::Google, text });
        let is_thought = part.boolean("thought").ok().flatten().unwrap_or(false);
        if let Some(text) = part.string("text").ok().flatten().filter(|text| !text.is_empty()) {
            deltas.push(if is_thought { Delta::Thinking(text) } else { Delta::Text(text) });
        }
        if let Some(call) = part.take("functionCall") {
            let call = call.object().map_err(|_| Garbage)?;
            let name = call.string("name").ok().flatten().ok_or(Garbage)?;
            let slot = self.calls;
            self.calls += 1;
            let id = call.string("id").ok().flatten().filter(|id| !id.is_empty());
            deltas.push(Delta::Call { slot, id, name, signature: seal });
            let args = call.take("args").map_or("{}", |args| args.raw.get());
            deltas.push(Delta::Arguments { slot, text: Cow::Borrowed(args) });
        }
        Ok(())
    }
}

fn stop(reason: &str) -> Stop {
    match reason {
        "MAX_TOKENS" => Stop::Length,
        "SAFETY" | "RECITATION" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "IMAGE_SAFETY"
        | "LANGUAGE" => Stop::Filter,
        _ => Stop::End,
    }
}

const fn finish_reason(stop: &Stop) -> &'static str {
    match stop {
        Stop::End | Stop::Sequence(_) | Stop::Calls => "STOP",
        Stop::Length | Stop::ContextFull => "MAX_TOKENS",
        Stop::Refusal | Stop::Filter => "SAFETY",
    }
}

/// Writes a whole answer.
pub(in crate::convert) fn write(answer: &Answer, usage: &Usage, context: &AnswerContext) -> Vec<u8> {
    let mut out = Vec::new();
    writer::object(&mut out, |to| {
        candidate(to, Some(&answer.stop()), |items| {
            // Only its own provider can read a sealed thought, and this form has no place for it.
            let readable = answer.blocks.iter().filter(|block| !matches!(block, Block::Redacted(_)));
            readable.for_each(|block| part(items, block, context));
        });
        foot(to, answer.model.as_deref(), Some(usage), context);
    });
    out
}

fn candidate(to: &mut Fields<'_>, stop: Option<&Stop>, parts: impl FnOnce(&mut Items<'_>)) {
    to.array("candidates", |items| {
        items.object(|to| {
            to.object("content", |to| {
                to.array("parts", parts);
                to.text("role", "model");
            });
            to.text_if("finishReason", stop.map(finish_reason));
            to.count("index", 0);
        });
    });
}

fn foot(to: &mut Fields<'_>, model: Option<&str>, usage: Option<&Usage>, context: &AnswerContext) {
    if let Some(usage) = usage {
        let (input, output) = (usage.input_total(), usage.output_total());
        to.object("usageMetadata", |to| {
            to.count("promptTokenCount", input);
            to.count("cachedContentTokenCount", usage.cached);
            // Here the thoughts stand beside the answer and not in it.
            to.count("candidatesTokenCount", output.saturating_sub(usage.reasoning));
            to.count("thoughtsTokenCount", usage.reasoning);
            to.count("totalTokenCount", input.saturating_add(output));
        });
    }
    to.text("modelVersion", model.unwrap_or(&context.model));
    to.text("responseId", &context.seed);
}

fn part(items: &mut Items<'_>, block: &Block, context: &AnswerContext) {
    items.object(|to| match block {
        Block::Text(text) | Block::Refusal(text) => to.text("text", text),
        Block::Thinking { text, signature } => {
            thought(to, text);
            let own = signature.as_ref().filter(|own| own.by == Signer::Google);
            to.text_if("thoughtSignature", own.map(|own| &*own.text));
        }
        Block::Redacted(_) => {}
        Block::Call(call) => self::call(to, call, context),
    });
}

fn thought(to: &mut Fields<'_>, text: &str) {
    to.text("text", text);
    to.flag("thought", true);
}

fn call(to: &mut Fields<'_>, call: &Call, context: &AnswerContext) {
    to.object("functionCall", |to| {
        match &call.id {
            Some(id) => to.text("id", id),
            None => to.text("id", &ids::derived("call_", &context.seed, call.slot)),
        }
        to.text("name", &call.name);
        to.raw("args", &arguments_or_wrapped(&call.arguments));
    });
    let own = call.signature.as_ref().filter(|own| own.by == Signer::Google);
    to.text_if("thoughtSignature", own.map(|own| &*own.text));
}

/// Writes a stream.
#[derive(Debug, Default)]
pub(in crate::convert) struct StreamWriter {
    model: Option<String>,
    /// A call whose arguments are coming: this form tells calls whole.
    call: Option<Call>,
    calls: usize,
    stop: Option<Stop>,
}

impl StreamWriter {
    /// Appends the events for a piece.
    ///
    /// # Errors
    /// [`Garbage`] for arguments of a call that is over, and for more of them than any model writes.
    pub(in crate::convert) fn write(
        &mut self,
        delta: Delta<'_>,
        context: &AnswerContext,
        out: &mut Vec<u8>,
    ) -> Result<(), Garbage> {
        if !matches!(delta, Delta::Arguments { .. }) {
            self.flush(context, out);
        }
        match delta {
            Delta::Begin { model } => self.model = self.model.take().or(model.map(Cow::into_owned)),
            Delta::Text(text) | Delta::Refusal(text) => self.chunk(context, out, |to| to.text("text", &text)),
            Delta::Thinking(text) => self.chunk(context, out, |to| thought(to, &text)),
            Delta::Signature(seal) => {
                if seal.by == Signer::Google {
                    self.chunk(context, out, |to| {
                        thought(to, "");
                        to.text("thoughtSignature", &seal.text);
                    });
                }
            }
            Delta::Call { slot, id, name, signature } => {
                self.calls += 1;
                self.call = Some(Call {
                    slot,
                    id: id.map(Cow::into_owned),
                    name: name.into_owned(),
                    arguments: String::new(),
                    signature: signature
                        .map(|seal| Sealed { by: seal.by, text: Cow::Owned(seal.text.into_owned()) }),
                });
            }
            Delta::Arguments { slot, text } => {
                let call = self.call.as_mut().filter(|call| call.slot == slot).ok_or(Garbage)?;
                if call.arguments.len().saturating_add(text.len()) > OUTPUT_TEXT_BYTES_MAX {
                    return Err(Garbage);
                }
                call.arguments.push_str(&text);
            }
            Delta::Stop(stop) => self.stop = Some(stop),
            Delta::Redacted(_) | Delta::Failed(_) => {}
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
        self.flush(context, out);
        let stop = cut.unwrap_or_else(|| settled_stop(self.stop.take(), self.calls > 0));
        writer::event(out, None, |to| {
            candidate(to, Some(&stop), |items| items.object(|to| to.text("text", "")));
            foot(to, self.model.as_deref(), Some(usage), context);
        });
    }

    /// Tells the call that is whole now.
    fn flush(&mut self, context: &AnswerContext, out: &mut Vec<u8>) {
        if let Some(call) = self.call.take() {
            self.chunk(context, out, |to| self::call(to, &call, context));
        }
    }

    fn chunk(&self, context: &AnswerContext, out: &mut Vec<u8>, part: impl FnOnce(&mut Fields<'_>)) {
        writer::event(out, None, |to| {
            candidate(to, None, |items| items.object(part));
            foot(to, self.model.as_deref(), None, context);
        });
    }
}
