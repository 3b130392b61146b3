//! The items of a response's output, and the response around them: the same in a whole answer and in the events that
//! begin and end a stream.

use std::borrow::Cow;

use domain::Usage;

use super::sealed_text;
use crate::convert::answer::{Answer, Block, Call, Stop};
use crate::convert::value::Value;
use crate::convert::writer::{Fields, Items};
use crate::convert::{AnswerContext, ids};

/// How far an item has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    InProgress,
    Completed,
    Incomplete,
}

impl Status {
    const fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete => "incomplete",
        }
    }
}

/// The id of the item that a block becomes.
pub(super) fn item_id(block: &Block, index: usize, context: &AnswerContext) -> String {
    let prefix = match block {
        Block::Text(_) | Block::Refusal(_) => "msg_",
        Block::Thinking { .. } | Block::Redacted(_) => "rs_",
        Block::Call(call) if is_text_tool(call, context) => "ctc_",
        Block::Call(_) => "fc_",
    };
    ids::derived(prefix, &context.seed, index)
}

/// Whether the caller knows the tool as one that takes free text.
pub(super) fn is_text_tool(call: &Call, context: &AnswerContext) -> bool {
    context.asked.text_tools.contains(&call.name)
}

/// The free text among the arguments; a model that wrote something else is taken at its word.
pub(super) fn text_input(arguments: &str) -> Cow<'_, str> {
    let document = Value::document(arguments.as_bytes()).ok();
    let input = document.and_then(|document| document.object().ok()?.string("input").ok().flatten());
    input.unwrap_or(Cow::Borrowed(arguments))
}

/// Writes the members of the item that a block becomes.
pub(super) fn item(
    to: &mut Fields<'_>,
    block: &Block,
    index: usize,
    status: Status,
    context: &AnswerContext,
) {
    to.text("id", &item_id(block, index, context));
    let is_new = status == Status::InProgress;
    match block {
        Block::Text(_) | Block::Refusal(_) => {
            to.text("type", "message");
            to.text("status", status.as_str());
            to.text("role", "assistant");
            to.array("content", |items| {
                if !is_new {
                    items.object(|to| part(to, block, true));
                }
            });
        }
        Block::Thinking { text, signature } => {
            to.text("type", "reasoning");
            to.array("summary", |items| {
                if !is_new && !text.is_empty() {
                    items.object(|to| part(to, block, true));
                }
            });
            let seal = signature.as_ref().filter(|_| !is_new);
            to.text_if("encrypted_content", seal.map(|seal| sealed_text(seal, false)).as_deref());
        }
        Block::Redacted(seal) => {
            to.text("type", "reasoning");
            to.array("summary", |_| {});
            to.text("encrypted_content", &sealed_text(seal, true));
        }
        Block::Call(call) => self::call(to, call, status, context),
    }
}

fn call(to: &mut Fields<'_>, call: &Call, status: Status, context: &AnswerContext) {
    let is_text = is_text_tool(call, context);
    let is_new = status == Status::InProgress;
    to.text("type", if is_text { "custom_tool_call" } else { "function_call" });
    to.text("status", status.as_str());
    match &call.id {
        Some(id) => to.text("call_id", id),
        None => to.text("call_id", &ids::derived("call_", &context.seed, call.slot)),
    }
    to.text("name", &call.name);
    match (is_text, is_new) {
        (true, true) => to.text("input", ""),
        (true, false) => to.text("input", &text_input(&call.arguments)),
        (false, true) => to.text("arguments", ""),
        (false, false) => to.text("arguments", arguments(call)),
    }
}

/// A call without arguments has an empty object of them.
pub(super) fn arguments(call: &Call) -> &str {
    if call.arguments.is_empty() { "{}" } else { &call.arguments }
}

/// Writes the members of the one part that a message or a thought has, with its text or before it.
pub(super) fn part(to: &mut Fields<'_>, block: &Block, has_text: bool) {
    let said = |text: &'_ str| if has_text { text.to_owned() } else { String::new() };
    match block {
        Block::Text(text) => {
            to.text("type", "output_text");
            to.text("text", &said(text));
            to.array("annotations", |_| {});
            to.array("logprobs", |_| {});
        }
        Block::Refusal(text) => {
            to.text("type", "refusal");
            to.text("refusal", &said(text));
        }
        Block::Thinking { text, .. } => {
            to.text("type", "summary_text");
            to.text("text", &said(text));
        }
        Block::Redacted(_) | Block::Call(_) => {}
    }
}

/// What a response is when its events or its body are written.
pub(super) enum State<'a> {
    InProgress,
    /// Ended, for this reason and at this cost.
    Ended(&'a Stop, &'a Usage),
    /// Broken off, with this code and message.
    Failed(&'a str, &'a str),
}

/// Writes the members of a response.
pub(super) fn response(to: &mut Fields<'_>, answer: &Answer, state: &State<'_>, context: &AnswerContext) {
    let reason = match state {
        State::Ended(Stop::Length | Stop::ContextFull, _) => Some("max_output_tokens"),
        State::Ended(Stop::Refusal | Stop::Filter, _) => Some("content_filter"),
        State::Ended(Stop::End | Stop::Sequence(_) | Stop::Calls, _)
        | State::InProgress
        | State::Failed(..) => None,
    };
    let status = match (state, reason) {
        (State::InProgress, _) => "in_progress",
        (State::Ended(..), None) => "completed",
        (State::Ended(..), Some(_)) => "incomplete",
        (State::Failed(..), _) => "failed",
    };
    to.text("id", &format!("resp_{}", context.seed));
    to.text("object", "response");
    to.count("created_at", context.created_seconds);
    to.text("status", status);
    to.flag("background", false);
    match state {
        State::Failed(code, message) => to.object("error", |to| {
            to.text("code", code);
            to.text("message", message);
        }),
        State::InProgress | State::Ended(..) => to.null("error"),
    }
    match reason {
        Some(reason) => to.object("incomplete_details", |to| to.text("reason", reason)),
        None => to.null("incomplete_details"),
    }
    to.text("model", answer.model.as_deref().unwrap_or(&context.model));
    to.array("output", |items| {
        if !matches!(state, State::InProgress) {
            output(items, answer, reason.is_some(), context);
        }
    });
    to.null("previous_response_id");
    to.flag("store", false);
    to.text("truncation", "disabled");
    for (name, default) in ECHOES {
        let said = context.asked.echo.iter().find(|(own, _)| own == name);
        to.raw(name, said.map_or(default, |(_, json)| json));
    }
    match state {
        State::Ended(_, usage) => to.object("usage", |to| self::usage(to, usage)),
        State::InProgress | State::Failed(..) => to.null("usage"),
    }
}

/// What of the request stands in the response, and what stands there if the request does not say it.
const ECHOES: &[(&str, &str)] = &[
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("temperature", "null"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", r#""auto""#),
    ("tools", "[]"),
    ("top_p", "null"),
    ("user", "null"),
];

fn output(items: &mut Items<'_>, answer: &Answer, is_cut: bool, context: &AnswerContext) {
    for (index, block) in answer.blocks.iter().enumerate() {
        let is_last = index + 1 == answer.blocks.len();
        let status = if is_cut && is_last { Status::Incomplete } else { Status::Completed };
        items.object(|to| item(to, block, index, status, context));
    }
}

fn usage(to: &mut Fields<'_>, usage: &Usage) {
    let (input, output) = (usage.input_total(), usage.output_total());
    to.count("input_tokens", input);
    to.object("input_tokens_details", |to| {
        to.count("cached_tokens", usage.cached);
        to.count("cache_write_tokens", usage.cache_write_total());
    });
    to.count("output_tokens", output);
    to.object("output_tokens_details", |to| to.count("reasoning_tokens", usage.reasoning));
    to.count("total_tokens", input.saturating_add(output));
}
