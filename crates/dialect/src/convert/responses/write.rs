//! Responses' answers, written for callers, whole and as streams.

use domain::Usage;

use super::items::{self, State, Status, arguments, is_text_tool, item_id, text_input};
use crate::ErrorBody;
use crate::convert::AnswerContext;
use crate::convert::answer::{Answer, Block, Delta, Garbage, Stop, settled_stop};
use crate::convert::writer::{self, Fields};

/// Writes a whole answer.
pub(in crate::convert) fn write(mut answer: Answer, usage: &Usage, context: &AnswerContext) -> Vec<u8> {
    answer.split_signatures();
    let stop = answer.stop();
    let mut out = Vec::new();
    writer::object(&mut out, |to| items::response(to, &answer, &State::Ended(&stop, usage), context));
    out
}

/// Writes a stream. Each block of the answer becomes an item of the output, in the same order.
#[derive(Debug, Default)]
pub(in crate::convert) struct StreamWriter {
    answer: Answer,
    /// The number of the next event.
    sequence: u64,
    /// The last block's item is not done.
    is_open: bool,
    stop: Option<Stop>,
}

impl StreamWriter {
    /// Appends the events for a piece.
    ///
    /// # Errors
    /// [`Garbage`] for arguments of a call that is over, and for more than any model writes.
    pub(in crate::convert) fn write(
        &mut self,
        delta: Delta<'_>,
        context: &AnswerContext,
        out: &mut Vec<u8>,
    ) -> Result<(), Garbage> {
        match delta {
            Delta::Begin { .. } => self.answer.add(&delta)?,
            Delta::Stop(stop) => {
                self.stop = Some(stop);
                return Ok(());
            }
            Delta::Call { slot, id, name, signature: Some(seal) } => {
                self.block(&Delta::Signature(seal), context, out)?;
                return self.block(&Delta::Call { slot, id, name, signature: None }, context, out);
            }
            Delta::Text(_)
            | Delta::Refusal(_)
            | Delta::Thinking(_)
            | Delta::Signature(_)
            | Delta::Redacted(_)
            | Delta::Call { .. }
            | Delta::Arguments { .. } => return self.block(&delta, context, out),
            Delta::Failed(_) => {}
        }
        self.begin(context, out);
        Ok(())
    }

    /// Adds a piece to its block, and tells of the items that begin and end with it.
    fn block(
        &mut self,
        delta: &Delta<'_>,
        context: &AnswerContext,
        out: &mut Vec<u8>,
    ) -> Result<(), Garbage> {
        self.begin(context, out);
        let before = self.answer.blocks.len();
        if let Delta::Arguments { slot, .. } = delta
            && !matches!(self.answer.blocks.last(), Some(Block::Call(call)) if call.slot == *slot)
        {
            return Err(Garbage);
        }
        // The item that ends is told before the block that follows it stands in its place.
        if self.answer.begins_block(delta) {
            self.close(Status::Completed, context, out);
        }
        self.answer.add(delta)?;
        if self.answer.blocks.len() > before {
            self.is_open = true;
            self.open(context, out);
        }
        self.delta(delta, context, out);
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
        let has_calls = self.answer.calls().next().is_some();
        let stop = cut.unwrap_or_else(|| settled_stop(self.stop.take(), has_calls));
        let is_whole = matches!(stop, Stop::End | Stop::Sequence(_) | Stop::Calls);
        self.close(if is_whole { Status::Completed } else { Status::Incomplete }, context, out);
        let kind = if is_whole { "response.completed" } else { "response.incomplete" };
        self.response(kind, &State::Ended(&stop, usage), context, out);
    }

    /// Appends the end of a stream that broke, told twice because no client heeds both: Codex and the AI SDK pass over
    /// an `error` event, and the official SDKs take a failed response for an ordinary event, and raise an error only
    /// for one that has a member `error`.
    pub(in crate::convert) fn fail(&mut self, error: &ErrorBody, context: &AnswerContext, out: &mut Vec<u8>) {
        self.begin(context, out);
        let code = match (&error.code, error.status) {
            (Some(code), _) => code,
            (None, 429) => "rate_limit_exceeded",
            (None, _) => "server_error",
        };
        self.response("response.failed", &State::Failed(code, &error.message), context, out);
        event(&mut self.sequence, "error", out, |to| {
            to.text("code", code);
            to.text("message", &error.message);
            to.json("param", &error.param);
            to.json("error", error);
        });
    }

    fn begin(&mut self, context: &AnswerContext, out: &mut Vec<u8>) {
        if self.sequence == 0 {
            self.response("response.created", &State::InProgress, context, out);
            self.response("response.in_progress", &State::InProgress, context, out);
        }
    }

    fn response(&mut self, kind: &str, state: &State<'_>, context: &AnswerContext, out: &mut Vec<u8>) {
        let answer = &self.answer;
        event(&mut self.sequence, kind, out, |to| {
            to.object("response", |to| items::response(to, answer, state, context));
        });
    }

    /// The last block, its index, and the numbering of events.
    fn last(&mut self) -> Option<(&Block, usize, &mut u64)> {
        let index = self.answer.blocks.len().checked_sub(1)?;
        Some((self.answer.blocks.get(index)?, index, &mut self.sequence))
    }

    /// Tells that the last block's item begins.
    fn open(&mut self, context: &AnswerContext, out: &mut Vec<u8>) {
        let Some((block, index, sequence)) = self.last() else { return };
        event(sequence, "response.output_item.added", out, |to| {
            output_index(to, index);
            to.object("item", |to| items::item(to, block, index, Status::InProgress, context));
        });
        if let Some(part) = PartEvents::of(block) {
            event(sequence, part.added, out, |to| {
                part.place(to, block, index, context);
                to.object("part", |to| items::part(to, block, false));
            });
        }
    }

    fn delta(&mut self, delta: &Delta<'_>, context: &AnswerContext, out: &mut Vec<u8>) {
        let Some((block, index, sequence)) = self.last() else { return };
        match delta {
            Delta::Text(text) | Delta::Refusal(text) | Delta::Thinking(text) => {
                let Some(part) = PartEvents::of(block) else { return };
                event(sequence, part.delta, out, |to| {
                    part.place(to, block, index, context);
                    to.text("delta", text);
                    if matches!(block, Block::Text(_)) {
                        to.array("logprobs", |_| {});
                    }
                });
            }
            Delta::Arguments { text, .. } => {
                // Free text can be told only when its JSON is whole.
                if matches!(block, Block::Call(call) if is_text_tool(call, context)) {
                    return;
                }
                event(sequence, "response.function_call_arguments.delta", out, |to| {
                    to.text("item_id", &item_id(block, index, context));
                    output_index(to, index);
                    to.text("delta", text);
                });
            }
            Delta::Begin { .. }
            | Delta::Signature(_)
            | Delta::Redacted(_)
            | Delta::Call { .. }
            | Delta::Stop(_)
            | Delta::Failed(_) => {}
        }
    }

    /// Tells that the last block's item is done.
    fn close(&mut self, status: Status, context: &AnswerContext, out: &mut Vec<u8>) {
        if !std::mem::take(&mut self.is_open) {
            return;
        }
        let Some((block, index, sequence)) = self.last() else { return };
        if let Some(part) = PartEvents::of(block) {
            event(sequence, part.text_done, out, |to| {
                part.place(to, block, index, context);
                if let Block::Text(text) | Block::Refusal(text) | Block::Thinking { text, .. } = block {
                    to.text(if matches!(block, Block::Refusal(_)) { "refusal" } else { "text" }, text);
                }
                if matches!(block, Block::Text(_)) {
                    to.array("logprobs", |_| {});
                }
            });
            event(sequence, part.done, out, |to| {
                part.place(to, block, index, context);
                to.object("part", |to| items::part(to, block, true));
            });
        }
        if let Block::Call(call) = block {
            let place = |to: &mut Fields<'_>| {
                to.text("item_id", &item_id(block, index, context));
                output_index(to, index);
            };
            if is_text_tool(call, context) {
                let input = text_input(&call.arguments);
                event(sequence, "response.custom_tool_call_input.delta", out, |to| {
                    place(to);
                    to.text("delta", &input);
                });
                event(sequence, "response.custom_tool_call_input.done", out, |to| {
                    place(to);
                    to.text("input", &input);
                });
            } else {
                event(sequence, "response.function_call_arguments.done", out, |to| {
                    place(to);
                    to.text("name", &call.name);
                    to.text("arguments", arguments(call));
                });
            }
        }
        event(sequence, "response.output_item.done", out, |to| {
            output_index(to, index);
            to.object("item", |to| items::item(to, block, index, status, context));
        });
    }
}

fn event(sequence: &mut u64, kind: &str, out: &mut Vec<u8>, fill: impl FnOnce(&mut Fields<'_>)) {
    writer::event(out, Some(kind), |to| {
        to.text("type", kind);
        to.count("sequence_number", *sequence);
        fill(to);
    });
    *sequence += 1;
}

fn output_index(to: &mut Fields<'_>, index: usize) {
    to.count("output_index", u64::try_from(index).unwrap_or(u64::MAX));
}

/// The events of the one part that a message or a thought has.
struct PartEvents {
    added: &'static str,
    delta: &'static str,
    text_done: &'static str,
    done: &'static str,
    index: &'static str,
}

impl PartEvents {
    const fn of(block: &Block) -> Option<&'static Self> {
        const TEXT: PartEvents = PartEvents {
            added: "response.content_part.added",
            delta: "response.output_text.delta",
            text_done: "response.output_text.done",
            done: "response.content_part.done",
            index: "content_index",
        };
        const REFUSAL: PartEvents =
            PartEvents { delta: "response.refusal.delta", text_done: "response.refusal.done", ..TEXT };
        const THOUGHT: PartEvents = PartEvents {
            added: "response.reasoning_summary_part.added",
            delta: "response.reasoning_summary_text.delta",
            text_done: "response.reasoning_summary_text.done",
            done: "response.reasoning_summary_part.done",
            index: "summary_index",
        };
        match block {
            Block::Text(_) => Some(&TEXT),
            Block::Refusal(_) => Some(&REFUSAL),
            Block::Thinking { .. } => Some(&THOUGHT),
            Block::Redacted(_) | Block::Call(_) => None,
        }
    }

    fn place(&self, to: &mut Fields<'_>, block: &Block, index: usize, context: &AnswerContext) {
        to.text("item_id", &item_id(block, index, context));
        output_index(to, index);
        to.count(self.index, 0);
    }
}
