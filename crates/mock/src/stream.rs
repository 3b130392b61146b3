//! A chat answer as a stream of events, at its pace, with its fault.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, Sleep};

use crate::answer::{Chat, Dialect, ERROR, put};
use crate::behaviour::{Behaviour, Fault, Trouble};
use crate::body::Broken;
use crate::truth::Entry;
use crate::{messages, text};

/// An event that is no JSON.
const GARBAGE: &str = "data: {\"id\":\"chatcmpl-\u{fffd}<html>502 Bad Gateway</html>\n\n";
/// The events still to come.
pub(crate) struct Events {
    chat: Chat,
    entry: Entry,
    /// What every event begins with.
    head: String,
    /// What every event with choices ends with.
    tail: &'static str,
    include_usage: bool,
    done_marker: bool,
    chunk: u64,
    /// The fault in mid-stream, and how many tokens of each choice come before it.
    trouble: Option<(u64, Trouble)>,
    pace: Pace,
    step: Step,
}

#[derive(Clone, Copy)]
enum Step {
    /// The events that name the role.
    Open,
    /// The events with text, of which this many tokens are out.
    Text(u64),
    /// The events that say why each choice ended.
    Finish,
    /// The event with the token counts.
    Usage,
    /// The marker after the last event.
    Done,
    /// Torn off, but what was written before must leave first.
    Torn,
    /// Torn off.
    Broken,
    /// Nothing more, and no end either.
    Stuck,
    /// Ended.
    Spent,
}

impl Events {
    /// A stream of this answer. `entry` has been told of the prompt.
    pub(crate) fn new(
        chat: Chat,
        entry: Entry,
        behaviour: &Behaviour,
        fault: Option<Fault>,
        include_usage: bool,
    ) -> Self {
        let after = behaviour.after.unwrap_or(chat.visible / 2).min(chat.visible);
        let include_usage = include_usage && chat.usage;
        Self {
            head: chat.event_head(),
            tail: if include_usage { "],\"usage\":null}\n\n" } else { "]}\n\n" },
            include_usage,
            done_marker: fault != Some(Fault::NoDone),
            chunk: behaviour.chunk,
            trouble: fault.and_then(Fault::trouble).map(|trouble| (after, trouble)),
            pace: Pace { ttft_ms: behaviour.ttft_ms, tps: behaviour.tps, began: None, sleep: None },
            step: Step::Open,
            chat,
            entry,
        }
    }

    /// Whether the last byte is out.
    pub(crate) fn is_spent(&self) -> bool {
        matches!(self.step, Step::Spent)
    }

    /// The next bytes: one event, or one of each choice.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        match self.step {
            Step::Open | Step::Finish => {
                let out = if matches!(self.step, Step::Open) { 0 } else { self.chat.visible };
                ready!(self.pace.poll_due(out, cx));
            }
            Step::Text(out) if self.trouble.is_none_or(|(at, _)| out < at) => {
                ready!(self.pace.poll_due(out, cx));
            }
            Step::Torn => {
                self.step = Step::Broken;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Step::Stuck => return Poll::Pending,
            Step::Text(_) | Step::Usage | Step::Done | Step::Broken | Step::Spent => {}
        }
        match self.advance() {
            Ok(Some(text)) => Poll::Ready(Some(Ok(Bytes::from(text)))),
            Ok(None) if self.is_spent() => Poll::Ready(None),
            Ok(None) => Poll::Pending,
            Err(error) => {
                self.step = Step::Spent;
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    /// Takes the step that is due; nothing at the end, or where there is nothing more without an end.
    fn advance(&mut self) -> Result<Option<String>, Broken> {
        let text = match self.step {
            Step::Open => {
                self.entry.bill(self.chat.tokens(0));
                self.step = self.after_text(0);
                match self.chat.dialect {
                    Dialect::OpenAi => {
                        self.events(r#"{"role":"assistant","content":"","refusal":null}"#, None)
                    }
                    Dialect::Anthropic => messages::open(&self.chat),
                }
            }
            Step::Text(out) => match self.trouble {
                Some((at, trouble)) if out >= at => return self.break_off(out, trouble),
                Some((at, _)) => self.say(out, at),
                None => self.say(out, self.chat.visible),
            },
            Step::Finish => {
                self.step = if self.include_usage { Step::Usage } else { Step::Done };
                let text = match self.chat.dialect {
                    Dialect::OpenAi => self.events("{}", Some(self.chat.finish)),
                    Dialect::Anthropic => messages::close(&self.chat),
                };
                self.end_here(!self.include_usage && !self.done_marker)?;
                text
            }
            Step::Usage => {
                self.step = Step::Done;
                let mut text = format!("{}],\"usage\":", self.head);
                self.chat.usage(&mut text);
                text.push_str("}\n\n");
                self.end_here(!self.done_marker)?;
                text
            }
            Step::Done => {
                self.end_here(true)?;
                match self.chat.dialect {
                    Dialect::OpenAi => "data: [DONE]\n\n".to_owned(),
                    Dialect::Anthropic => messages::STOP.to_owned(),
                }
            }
            Step::Broken => return Err(Broken::Scripted),
            Step::Torn | Step::Stuck | Step::Spent => return Ok(None),
        };
        Ok(Some(text))
    }

    /// One event of text for each choice, no further than token `limit`.
    fn say(&mut self, from: u64, limit: u64) -> String {
        let to = (from + self.chunk).min(limit);
        self.step = self.after_text(to);
        self.entry.bill(self.chat.tokens(to));
        if self.chat.dialect == Dialect::Anthropic {
            return messages::say(&self.chat, from, to);
        }
        let mut delta = String::with_capacity(24 + 7 * (to - from) as usize);
        delta.push_str("{\"content\":\"");
        text::append(&mut delta, from, to);
        delta.push_str("\"}");
        self.events(&delta, None)
    }

    fn after_text(&self, out: u64) -> Step {
        if out == self.chat.visible && self.trouble.is_none() { Step::Finish } else { Step::Text(out) }
    }

    /// The truth is told before the last bytes of a stream that breaks, too.
    fn break_off(&mut self, out: u64, trouble: Trouble) -> Result<Option<String>, Broken> {
        if matches!(trouble, Trouble::Error | Trouble::Close) {
            self.entry.close(false)?;
        }
        let (error, garbage) = match self.chat.dialect {
            Dialect::OpenAi => (format!("data: {ERROR}\n\n"), GARBAGE),
            Dialect::Anthropic => (format!("event: error\ndata: {}\n\n", messages::ERROR), messages::GARBAGE),
        };
        let (step, text) = match trouble {
            Trouble::Error => (Step::Spent, Some(error)),
            Trouble::Close => (Step::Torn, Some(self.half_event())),
            Trouble::Hang => (Step::Stuck, None),
            Trouble::Garbage => {
                self.trouble = None;
                (self.after_text(out), Some(garbage.to_owned()))
            }
        };
        self.step = step;
        Ok(text)
    }

    fn half_event(&self) -> String {
        if self.chat.dialect == Dialect::Anthropic {
            return messages::half_event(&self.chat);
        }
        self.head[..self.head.floor_char_boundary(self.head.len() / 2)].to_owned()
    }

    fn end_here(&mut self, last: bool) -> Result<(), Broken> {
        if last {
            self.entry.close(true)?;
            self.step = Step::Spent;
        }
        Ok(())
    }

    fn events(&self, delta: &str, finish: Option<&'static str>) -> String {
        let one = self.head.len() + delta.len() + self.tail.len() + 80;
        let mut text = String::with_capacity(one * self.chat.choices as usize);
        for index in 0..self.chat.choices {
            text.push_str(&self.head);
            put(
                &mut text,
                format_args!("{{\"index\":{index},\"delta\":{delta},\"logprobs\":null,\"finish_reason\":"),
            );
            match finish {
                Some(reason) => put(&mut text, format_args!("\"{reason}\"}}")),
                None => text.push_str("null}"),
            }
            text.push_str(self.tail);
        }
        text
    }
}

/// When each token is due, reckoned from the first look at the stream, so that late timers do not add up.
struct Pace {
    ttft_ms: u64,
    tps: u64,
    began: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    /// Ready once it is time for what follows the first `out` tokens.
    fn poll_due(&mut self, out: u64, cx: &mut Context<'_>) -> Poll<()> {
        if self.ttft_ms == 0 && self.tps == 0 {
            return Poll::Ready(());
        }
        let now = Instant::now();
        let micros = (out * 1_000_000).checked_div(self.tps).unwrap_or(0) + self.ttft_ms * 1_000;
        let due = *self.began.get_or_insert(now) + Duration::from_micros(micros);
        if due <= now {
            return Poll::Ready(());
        }
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if sleep.deadline() != due {
            sleep.as_mut().reset(due);
        }
        sleep.as_mut().poll(cx)
    }
}
