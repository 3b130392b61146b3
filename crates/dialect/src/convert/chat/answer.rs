//! Chat Completions' answers: those of providers read, those for callers written, whole and as streams.

use std::borrow::Cow;

use domain::Usage;

use crate::UpstreamError;
use crate::convert::answer::{Answer, Block, Call, Delta, Garbage, Stop, settled_stop};
use crate::convert::conversation::{Sealed, Signer};
use crate::convert::value::{Object, Value};
use crate::convert::writer::{self, Fields, Items};
use crate::convert::{AnswerContext, ids};
use crate::json::Kind;
use crate::openai::UsageJson;

/// Calls of one stream that are told apart.
const CALLS_MAX: usize = 4_096;
/// The longest id of a call that is remembered.
const ID_BYTES_MAX: usize = 1_024;

/// Reads a whole answer.
pub(in crate::convert) fn read(body: &[u8]) -> Result<Vec<Delta<'_>>, Garbage> {
    let document = Value::document(body).map_err(|_| Garbage)?;
    if document.object().ok().and_then(|object| object.peek("choices")).is_none() {
        return Err(Garbage);
    }
    let mut deltas = Vec::new();
    StreamReader::default().choice(&document, "message", &mut deltas)?;
    Ok(deltas)
}

/// Reads a stream.
#[derive(Debug, Default)]
pub(in crate::convert) struct StreamReader {
    has_begun: bool,
    /// The provider's index and id of each call, in the order of our slots.
    calls: Vec<(u64, String)>,
}

impl StreamReader {
    /// Reads one event.
    pub(in crate::convert) fn event<'a>(
        &mut self,
        name: Option<&str>,
        data: &'a str,
        deltas: &mut Vec<Delta<'a>>,
    ) -> Result<(), Garbage> {
        if data.trim().starts_with("[DONE]") {
            return Ok(());
        }
        let document = Value::document(data.as_bytes()).map_err(|_| Garbage)?;
        let object = document.object().map_err(|_| Garbage)?;
        let is_error = |value: Value<'_, '_>| matches!(value.kind(), Kind::Object | Kind::String);
        if name == Some("error") || object.take("error").is_some_and(is_error) {
            deltas.push(Delta::Failed(UpstreamError::read(200, data.as_bytes())));
            return Ok(());
        }
        self.choice(&document, "delta", deltas)
    }

    /// Reads what the first choice says. Others are never asked for.
    fn choice<'a>(
        &mut self,
        document: &Value<'a, '_>,
        member: &str,
        deltas: &mut Vec<Delta<'a>>,
    ) -> Result<(), Garbage> {
        let object = document.object().map_err(|_| Garbage)?;
        if !std::mem::replace(&mut self.has_begun, true) {
            deltas.push(Delta::Begin { model: object.string("model").ok().flatten() });
        }
        let Some(choices) = object.take("choices") else { return Ok(()) };
        let choices = choices.items().map_err(|_| Garbage)?;
        for choice in choices.iter() {
            let choice = choice.object().map_err(|_| Garbage)?;
            if choice.count("index").ok().flatten().is_some_and(|index| index != 0) {
                continue;
            }
            if let Some(speech) = choice.take(member) {
                self.speech(&speech.object().map_err(|_| Garbage)?, deltas)?;
            }
            if let Some(reason) =
                choice.string("finish_reason").ok().flatten().filter(|reason| !reason.is_empty())
            {
                deltas.push(Delta::Stop(stop(&reason)));
            }
        }
        Ok(())
    }

    fn speech<'a>(&mut self, speech: &Object<'a, '_>, deltas: &mut Vec<Delta<'a>>) -> Result<(), Garbage> {
        // Some providers send the same reasoning under both names.
        let names = ["reasoning_content", "reasoning"];
        let reasoning = names.map(|name| text(speech, name)).into_iter().flatten().next();
        deltas.extend(reasoning.map(Delta::Thinking));
        content(speech, deltas);
        deltas.extend(text(speech, "refusal").map(Delta::Refusal));
        let Some(calls) = speech.take("tool_calls") else { return Ok(()) };
        for call in calls.items().map_err(|_| Garbage)?.iter() {
            self.call(&call.object().map_err(|_| Garbage)?, deltas)?;
        }
        Ok(())
    }

    fn call<'a>(&mut self, call: &Object<'a, '_>, deltas: &mut Vec<Delta<'a>>) -> Result<(), Garbage> {
        let index = call.count("index").ok().flatten();
        let id = text(call, "id");
        let function = call.take("function");
        let function = function.as_ref().map(Value::object).transpose().map_err(|_| Garbage)?;
        let name = function.as_ref().and_then(|function| text(function, "name"));
        let known = self.calls.iter().rposition(|(own, _)| index.is_none_or(|index| *own == index));
        let same = known.and_then(|slot| self.calls.get(slot)).is_some_and(|(_, own)| {
            // A provider that numbers no call, or each as the first, tells a new one by its id.
            name.is_none() || id.as_deref().is_none_or(|id| id == own)
        });
        // Whole calls have no index at all; each is one of its own.
        let slot = match known.filter(|_| same && !(index.is_none() && name.is_some())) {
            Some(slot) => slot,
            None => {
                let name = name.ok_or(Garbage)?;
                if self.calls.len() >= CALLS_MAX || id.as_ref().is_some_and(|id| id.len() > ID_BYTES_MAX) {
                    return Err(Garbage);
                }
                let slot = self.calls.len();
                let number = u64::try_from(slot).map_err(|_| Garbage)?;
                self.calls.push((index.unwrap_or(number), id.as_deref().unwrap_or_default().to_owned()));
                let extra = call.take("extra_content");
                let signature = extra.and_then(|extra| super::read::google_signature(&extra).ok().flatten());
                deltas.push(Delta::Call { slot, id, name, signature });
                slot
            }
        };
        if let Some(text) = function.as_ref().and_then(|function| text(function, "arguments")) {
            deltas.push(Delta::Arguments { slot, text });
        }
        Ok(())
    }
}

/// A text that says something.
fn text<'a>(object: &Object<'a, '_>, name: &str) -> Option<Cow<'a, str>> {
    object.string(name).ok().flatten().filter(|text| !text.is_empty())
}

/// A text, or parts as Mistral sends them.
fn content<'a>(speech: &Object<'a, '_>, deltas: &mut Vec<Delta<'a>>) {
    let Some(content) = speech.take("content") else { return };
    if let Ok(said) = content.string() {
        deltas.extend(Some(said).filter(|said| !said.is_empty()).map(Delta::Text));
        return;
    }
    let Ok(items) = content.items() else { return };
    for item in items.iter() {
        let Ok(part) = item.object() else { continue };
        if let Some(said) = text(&part, "text") {
            deltas.push(Delta::Text(said));
        } else if let Some(thoughts) = part.take("thinking")
            && let Ok(thoughts) = thoughts.items()
        {
            let texts =
                thoughts.iter().filter_map(|thought| thought.object().ok().and_then(|o| text(&o, "text")));
            deltas.extend(texts.map(Delta::Thinking));
        }
    }
}

fn stop(reason: &str) -> Stop {
    match reason {
        "length" => Stop::Length,
        "tool_calls" | "function_call" => Stop::Calls,
        "content_filter" => Stop::Filter,
        _ => Stop::End,
    }
}

const fn finish_reason(stop: &Stop) -> &'static str {
    match stop {
        Stop::End | Stop::Sequence(_) => "stop",
        Stop::Length | Stop::ContextFull => "length",
        Stop::Calls => "tool_calls",
        Stop::Refusal | Stop::Filter => "content_filter",
    }
}

fn answer_id(context: &AnswerContext) -> String {
    format!("chatcmpl-{}", context.seed)
}

/// Writes a whole answer.
pub(in crate::convert) fn write(answer: &Answer, usage: &Usage, context: &AnswerContext) -> Vec<u8> {
    let mut out = Vec::new();
    writer::object(&mut out, |to| {
        to.text("id", &answer_id(context));
        to.text("object", "chat.completion");
        to.count("created", context.created_seconds);
        to.text("model", answer.model.as_deref().unwrap_or(&context.model));
        // OpenRouter's SDK takes no answer without it.
        to.null("system_fingerprint");
        to.array("choices", |choices| {
            choices.object(|to| {
                to.count("index", 0);
                to.object("message", |to| message(to, answer, context));
                to.null("logprobs");
                to.text("finish_reason", finish_reason(&answer.stop()));
            });
        });
        to.json("usage", &UsageJson::stated(usage));
    });
    out
}

fn message(to: &mut Fields<'_>, answer: &Answer, context: &AnswerContext) {
    let joined = |pick: fn(&Block) -> Option<&str>| {
        let texts: Vec<&str> = answer.blocks.iter().filter_map(pick).collect();
        (!texts.is_empty()).then(|| texts.concat())
    };
    let content = joined(|block| if let Block::Text(text) = block { Some(text) } else { None });
    let refusal = joined(|block| if let Block::Refusal(text) = block { Some(text) } else { None });
    let thoughts = joined(|block| if let Block::Thinking { text, .. } = block { Some(text) } else { None });
    to.text("role", "assistant");
    match &content {
        Some(content) => to.text("content", content),
        None => to.null("content"),
    }
    match &refusal {
        Some(refusal) => to.text("refusal", refusal),
        None => to.null("refusal"),
    }
    to.text_if("reasoning_content", thoughts.as_deref().filter(|text| !text.is_empty()));
    let sealed =
        |block: &&Block| matches!(block, Block::Thinking { signature: Some(_), .. } | Block::Redacted(_));
    if answer.blocks.iter().any(|block| sealed(&block)) {
        to.array("reasoning_details", |items| {
            for (index, block) in (0..).zip(answer.blocks.iter().filter(sealed)) {
                match block {
                    Block::Thinking { text, signature: Some(seal) } => signed(items, index, text, seal),
                    Block::Redacted(seal) => encrypted(items, index, seal),
                    Block::Thinking { signature: None, .. }
                    | Block::Text(_)
                    | Block::Refusal(_)
                    | Block::Call(_) => {}
                }
            }
        });
    }
    if answer.calls().next().is_some() {
        to.array("tool_calls", |items| {
            for call in answer.calls() {
                items.object(|to| {
                    let Call { slot, id, name, arguments, signature } = call;
                    begin_call(to, *slot, id.as_deref(), name, signature.as_ref(), context, |to| {
                        to.text("arguments", if arguments.is_empty() { "{}" } else { arguments });
                    });
                });
            }
        });
    }
}

const fn format_of(signer: Signer) -> &'static str {
    match signer {
        Signer::Anthropic => "anthropic-claude-v1",
        Signer::Google => "google-gemini-v1",
    }
}

/// SDKs that gather a stream put together what has the same index.
fn signed(items: &mut Items<'_>, index: u64, text: &str, seal: &Sealed<'_>) {
    items.object(|to| {
        to.count("index", index);
        to.text("type", "reasoning.text");
        to.text("text", text);
        to.text("signature", &seal.text);
        to.text("format", format_of(seal.by));
    });
}

fn encrypted(items: &mut Items<'_>, index: u64, seal: &Sealed<'_>) {
    items.object(|to| {
        to.count("index", index);
        to.text("type", "reasoning.encrypted");
        to.text("data", &seal.text);
        to.text("format", format_of(seal.by));
    });
}

fn begin_call(
    to: &mut Fields<'_>,
    slot: usize,
    id: Option<&str>,
    name: &str,
    signature: Option<&Sealed<'_>>,
    context: &AnswerContext,
    arguments: impl FnOnce(&mut Fields<'_>),
) {
    let id = id.map_or_else(|| Cow::Owned(ids::derived("call_", &context.seed, slot)), Cow::Borrowed);
    to.text("id", &id);
    to.text("type", "function");
    to.object("function", |to| {
        to.text("name", name);
        arguments(to);
    });
    if let Some(seal) = signature.filter(|seal| seal.by == Signer::Google) {
        to.object("extra_content", |to| {
            to.object("google", |to| to.text("thought_signature", &seal.text));
        });
    }
}

/// Writes a stream.
#[derive(Debug, Default)]
pub(in crate::convert) struct StreamWriter {
    model: Option<String>,
    has_begun: bool,
    calls: usize,
    stop: Option<Stop>,
    /// The thought so far, which its signature comes with.
    thought: String,
    /// Thoughts that were told with a signature or sealed.
    sealed: u64,
}

impl StreamWriter {
    /// Appends the events for a piece.
    pub(in crate::convert) fn write(&mut self, delta: Delta<'_>, context: &AnswerContext, out: &mut Vec<u8>) {
        if let Delta::Begin { model } = &delta {
            self.model = self.model.take().or(model.as_deref().map(str::to_owned));
        }
        self.begin(context, out);
        match delta {
            Delta::Text(text) => self.chunk(context, out, |to| to.text("content", &text)),
            Delta::Refusal(text) => self.chunk(context, out, |to| to.text("refusal", &text)),
            Delta::Thinking(text) => {
                if self.thought.len().saturating_add(text.len()) <= crate::OUTPUT_TEXT_BYTES_MAX {
                    self.thought.push_str(&text);
                }
                self.chunk(context, out, |to| to.text("reasoning_content", &text));
            }
            Delta::Signature(seal) => {
                let thought = std::mem::take(&mut self.thought);
                let index = self.sealed;
                self.sealed += 1;
                self.chunk(context, out, |to| {
                    to.array("reasoning_details", |items| signed(items, index, &thought, &seal));
                });
            }
            Delta::Redacted(seal) => {
                let index = self.sealed;
                self.sealed += 1;
                self.chunk(context, out, |to| {
                    to.array("reasoning_details", |items| encrypted(items, index, &seal));
                });
            }
            Delta::Call { slot, id, name, signature } => {
                self.calls += 1;
                self.chunk(context, out, |to| {
                    to.array("tool_calls", |items| {
                        items.object(|to| {
                            to.count("index", u64::try_from(slot).unwrap_or(u64::MAX));
                            let signature = signature.as_ref();
                            begin_call(to, slot, id.as_deref(), &name, signature, context, |to| {
                                to.text("arguments", "");
                            });
                        });
                    });
                });
            }
            Delta::Arguments { slot, text } => self.chunk(context, out, |to| {
                to.array("tool_calls", |items| {
                    items.object(|to| {
                        to.count("index", u64::try_from(slot).unwrap_or(u64::MAX));
                        to.object("function", |to| to.text("arguments", &text));
                    });
                });
            }),
            Delta::Stop(stop) => self.stop = Some(stop),
            Delta::Begin { .. } | Delta::Failed(_) => {}
        }
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
        let stop = cut.unwrap_or_else(|| settled_stop(self.stop.take(), self.calls > 0));
        self.event(context, out, |to| {
            to.array("choices", |choices| choice(choices, Some(finish_reason(&stop)), |_| {}));
        });
        if context.asked.include_usage {
            writer::event(out, None, |to| {
                self.head(to, context);
                to.array("choices", |_| {});
                to.json("usage", &UsageJson::stated(usage));
            });
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn begin(&mut self, context: &AnswerContext, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.has_begun, true) {
            self.chunk(context, out, |to| {
                to.text("role", "assistant");
                to.text("content", "");
            });
        }
    }

    fn chunk(&self, context: &AnswerContext, out: &mut Vec<u8>, fill: impl FnOnce(&mut Fields<'_>)) {
        self.event(context, out, |to| to.array("choices", |choices| choice(choices, None, fill)));
    }

    fn event(&self, context: &AnswerContext, out: &mut Vec<u8>, fill: impl FnOnce(&mut Fields<'_>)) {
        writer::event(out, None, |to| {
            self.head(to, context);
            fill(to);
            if context.asked.include_usage {
                to.null("usage");
            }
        });
    }

    fn head(&self, to: &mut Fields<'_>, context: &AnswerContext) {
        to.text("id", &answer_id(context));
        to.text("object", "chat.completion.chunk");
        to.count("created", context.created_seconds);
        to.text("model", self.model.as_deref().unwrap_or(&context.model));
    }
}

fn choice(choices: &mut Items<'_>, finish: Option<&str>, delta: impl FnOnce(&mut Fields<'_>)) {
    choices.object(|to| {
        to.count("index", 0);
        to.object("delta", delta);
        to.null("logprobs");
        match finish {
            Some(finish) => to.text("finish_reason", finish),
            None => to.null("finish_reason"),
        }
    });
}
