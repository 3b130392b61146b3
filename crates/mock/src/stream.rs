//! A chat answer or a response as a stream of events, at its pace, with its fault.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, Sleep};

use crate::answer::{Chat, ERROR, put};
use crate::behaviour::{Behaviour, Fault, Trouble};
use crate::body::Broken;
use crate::output::{Output, Step as Part};
use crate::truth::{Entry, Tokens};
use crate::{content, converse, messages, response};

/// An event that is no JSON.
pub(crate) const GARBAGE: &str = "data: {\"id\":\"chatcmpl-\u{fffd}<html>502 Bad Gateway</html>\n\n";
/// The events still to come.
pub(crate) struct Events {
    script: Script,
    entry: Entry,
    done_marker: bool,
    chunk: u64,
    /// The fault in mid-stream, and how many tokens of each choice come before it.
    trouble: Option<(u64, Trouble)>,
    pace: Pace,
    step: Step,
}

/// Writes the events of one shape of answer.
pub(crate) enum Script {
    Chat(ChatScript),
    Message(Chat),
    Converse(Chat),
    Content(Chat),
    Response(response::Script),
    Made(Made),
}

/// A stream of what is no text, piece by piece.
pub(crate) struct Made {
    /// What comes before the end.
    pub(crate) pieces: Vec<String>,
    /// What is billed once so many pieces are out.
    pub(crate) bills: Vec<Tokens>,
    /// The end.
    pub(crate) end: String,
    /// A piece that does not belong.
    pub(crate) garbage: &'static str,
    /// Whether the pieces are bytes, one for each of their characters, and no events.
    pub(crate) is_sound: bool,
}

/// Writes the events of a chat.
pub(crate) struct ChatScript {
    chat: Chat,
    /// What every event begins with.
    head: String,
    /// What every event with choices ends with.
    tail: &'static str,
    include_usage: bool,
}

#[derive(Clone, Copy)]
enum Step {
    /// The events that come before any text.
    Open,
    /// The events with text, of which this many tokens are out.
    Text(u64),
    /// The events that say that the text has ended, and why.
    Finish,
    /// The event with the token counts.
    Usage,
    /// What ends the stream: the marker after the last event, or the event that shows the whole response.
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
    pub(crate) fn new(script: Script, entry: Entry, behaviour: &Behaviour, fault: Option<Fault>) -> Self {
        let visible = script.visible();
        let after = behaviour.after.unwrap_or(visible / 2).min(visible);
        let is_sound = matches!(&script, Script::Made(made) if made.is_sound);
        let trouble = fault.and_then(Fault::trouble).map(|trouble| {
            // What is no stream of events cannot tell of an error.
            let tells = !is_sound || trouble != Trouble::Error;
            (after, if tells { trouble } else { Trouble::Close })
        });
        Self {
            done_marker: fault != Some(Fault::NoDone) && script.has_done(),
            chunk: behaviour.chunk,
            trouble,
            pace: Pace { ttft_ms: behaviour.ttft_ms, tps: behaviour.tps, began: None, sleep: None },
            step: Step::Open,
            script,
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
                let out = if matches!(self.step, Step::Open) { 0 } else { self.script.visible() };
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
            Ok(Some(bytes)) => Poll::Ready(Some(Ok(bytes))),
            Ok(None) if self.is_spent() => Poll::Ready(None),
            Ok(None) => Poll::Pending,
            Err(error) => {
                self.step = Step::Spent;
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    /// Takes the step that is due; nothing at the end, or where there is nothing more without an end.
    fn advance(&mut self) -> Result<Option<Bytes>, Broken> {
        let text = match self.step {
            Step::Open => {
                self.entry.bill(self.script.tokens(0));
                self.step = self.after_text(0);
                self.script.open()
            }
            Step::Text(out) => match self.trouble {
                Some((at, trouble)) if out >= at => return self.break_off(out, trouble),
                Some((at, _)) => self.say(out, at),
                None => self.say(out, self.script.visible()),
            },
            Step::Finish => {
                let has_usage = self.script.has_usage_event();
                self.step = if has_usage { Step::Usage } else { Step::Done };
                let text = self.script.finish();
                self.end_here(!has_usage && !self.done_marker)?;
                text
            }
            Step::Usage => {
                self.step = Step::Done;
                let text = self.script.usage();
                self.end_here(!self.done_marker)?;
                text
            }
            Step::Done => {
                self.end_here(true)?;
                self.script.done()
            }
            Step::Broken => return Err(Broken::Scripted),
            Step::Torn | Step::Stuck | Step::Spent => return Ok(None),
        };
        Ok(Some(self.script.framed(text)))
    }

    /// One event of text for each choice, no further than token `limit`.
    fn say(&mut self, from: u64, limit: u64) -> String {
        let to = (from + self.chunk).min(limit);
        self.step = self.after_text(to);
        self.entry.bill(self.script.tokens(to));
        self.script.say(from, to)
    }

    fn after_text(&self, out: u64) -> Step {
        if out == self.script.visible() && self.trouble.is_none() { Step::Finish } else { Step::Text(out) }
    }

    /// The truth is told before the last bytes of a stream that breaks, too.
    fn break_off(&mut self, out: u64, trouble: Trouble) -> Result<Option<Bytes>, Broken> {
        if matches!(trouble, Trouble::Error | Trouble::Close) {
            self.entry.close(false)?;
        }
        let (step, text) = match trouble {
            Trouble::Error => {
                let event = self.script.fail();
                (Step::Spent, Some(self.script.framed(event)))
            }
            Trouble::Close => (Step::Torn, Some(self.script.half_event(out))),
            Trouble::Hang => (Step::Stuck, None),
            Trouble::Garbage => {
                self.trouble = None;
                (self.after_text(out), Some(Bytes::from_static(self.script.garbage().as_bytes())))
            }
        };
        self.step = step;
        Ok(text)
    }

    fn end_here(&mut self, last: bool) -> Result<(), Broken> {
        if last {
            self.entry.close(true)?;
            self.step = Step::Spent;
        }
        Ok(())
    }
}

impl Script {
    fn visible(&self) -> u64 {
        match self {
            Self::Chat(script) => script.chat.visible,
            Self::Message(chat) | Self::Converse(chat) | Self::Content(chat) => chat.visible,
            Self::Response(script) => script.reply.visible,
            Self::Made(made) => made.pieces.len() as u64,
        }
    }

    fn tokens(&self, visible: u64) -> Tokens {
        match self {
            Self::Chat(script) => script.chat.tokens(visible),
            Self::Message(chat) | Self::Converse(chat) | Self::Content(chat) => chat.tokens(visible),
            Self::Response(script) => script.reply.tokens(visible),
            Self::Made(made) => made.bills.get(visible as usize).copied().unwrap_or_default(),
        }
    }

    /// Whether something ends the stream after its last event of the answer.
    const fn has_done(&self) -> bool {
        !matches!(self, Self::Content(_) | Self::Made(_))
    }

    /// Whether an event of its own tells the token counts.
    fn has_usage_event(&self) -> bool {
        matches!(self, Self::Chat(script) if script.include_usage)
    }

    fn open(&mut self) -> String {
        match self {
            Self::Chat(script) => script.open(),
            Self::Message(chat) => messages::open(chat),
            Self::Converse(chat) => converse::open(chat),
            Self::Content(chat) => content::open(chat),
            Self::Response(script) => script.open(),
            Self::Made(_) => String::new(),
        }
    }

    fn say(&mut self, from: u64, to: u64) -> String {
        match self {
            Self::Chat(script) => script.say(from, to),
            Self::Message(chat) => messages::say(chat, from, to),
            Self::Converse(chat) => converse::say(chat, from, to),
            Self::Content(chat) => content::say(chat, from, to),
            Self::Response(script) => script.say(from, to),
            Self::Made(made) => made.pieces[from as usize..to as usize].concat(),
        }
    }

    fn finish(&mut self) -> String {
        match self {
            Self::Chat(script) => script.finish(),
            Self::Message(chat) => messages::close(chat),
            Self::Converse(chat) => converse::close(chat),
            Self::Content(chat) => content::close(chat),
            Self::Response(script) => script.finish(),
            Self::Made(made) => made.end.clone(),
        }
    }

    fn usage(&self) -> String {
        match self {
            Self::Chat(script) => script.usage(),
            Self::Message(_) | Self::Converse(_) | Self::Response(_) | Self::Content(_) | Self::Made(_) => {
                String::new()
            }
        }
    }

    fn done(&mut self) -> String {
        match self {
            Self::Chat(_) => "data: [DONE]\n\n".to_owned(),
            Self::Message(_) => messages::STOP.to_owned(),
            Self::Converse(chat) => converse::metadata(chat),
            Self::Content(_) => String::new(),
            Self::Response(script) => script.done(),
            Self::Made(_) => String::new(),
        }
    }

    fn fail(&mut self) -> String {
        match self {
            Self::Chat(_) | Self::Made(_) => format!("data: {ERROR}\n\n"),
            Self::Message(_) => format!("event: error\ndata: {}\n\n", messages::ERROR),
            Self::Converse(_) => converse::FAILURE.to_owned(),
            Self::Content(_) => format!("data: {}\r\n\r\n", content::ERROR),
            Self::Response(script) => script.fail(),
        }
    }

    /// An event that is no JSON.
    const fn garbage(&self) -> &'static str {
        match self {
            Self::Chat(_) | Self::Response(_) => GARBAGE,
            Self::Message(_) => messages::GARBAGE,
            Self::Converse(_) => converse::GARBAGE,
            Self::Content(_) => content::GARBAGE,
            Self::Made(made) => made.garbage,
        }
    }

    /// The first half of what would come next.
    fn half_event(&mut self, out: u64) -> Bytes {
        let event = match self {
            Self::Chat(script) => script.head.clone(),
            Self::Message(chat) => messages::say(chat, out, out + 8),
            Self::Converse(chat) => converse::say(chat, out, out + 8),
            Self::Content(chat) => content::say(chat, out, out + 8),
            Self::Response(script) => script.say(out, out + 1),
            Self::Made(made) => made.pieces.get(out as usize).unwrap_or(&made.end).clone(),
        };
        let mut event = self.framed(event);
        event.truncate(event.len() / 2);
        event
    }

    /// Events as they go out.
    fn framed(&self, events: String) -> Bytes {
        Bytes::from(match self {
            Self::Converse(_) => converse::framed(&events),
            Self::Made(made) if made.is_sound => events.chars().map(|byte| byte as u8).collect(),
            Self::Chat(_) | Self::Message(_) | Self::Response(_) | Self::Content(_) | Self::Made(_) => {
                events.into_bytes()
            }
        })
    }
}

impl ChatScript {
    pub(crate) fn new(chat: Chat, include_usage: bool) -> Self {
        let include_usage = include_usage && chat.usage;
        Self {
            head: chat.event_head(),
            tail: if include_usage { "],\"usage\":null}\n\n" } else { "]}\n\n" },
            include_usage,
            chat,
        }
    }

    fn open(&self) -> String {
        let content = if matches!(self.chat.output, Output::Calls(_)) { "null" } else { "\"\"" };
        let delta = format!(r#"{{"role":"assistant","content":{content},"refusal":null}}"#);
        let mut text = self.events(|_| delta.clone(), None);
        if self.chat.output.is_framed() {
            text.push_str(&self.step(&Part::Open(0)));
        }
        text
    }

    fn say(&self, from: u64, to: u64) -> String {
        if self.chat.output.parts() == 1 {
            return self.step(&Part::Say(0, from, to));
        }
        self.chat.output.steps(self.chat.visible, from, to).iter().map(|step| self.step(step)).collect()
    }

    fn finish(&self) -> String {
        let is_framed = self.chat.output.is_framed();
        let mut text =
            if is_framed { self.step(&Part::Close(self.chat.output.parts() - 1)) } else { String::new() };
        text.push_str(&self.events(|_| "{}".to_owned(), Some(self.chat.finish())));
        text
    }

    fn step(&self, step: &Part) -> String {
        self.events(|choice| self.chat.delta(choice, step), None)
    }

    fn usage(&self) -> String {
        let mut text = format!("{}],\"usage\":", self.head);
        self.chat.usage(&mut text);
        text.push_str("}\n\n");
        text
    }

    fn events(&self, delta: impl Fn(u64) -> String, finish: Option<&'static str>) -> String {
        let one = self.head.len() + self.tail.len() + 128;
        let mut text = String::with_capacity(one * self.chat.choices as usize);
        for index in 0..self.chat.choices {
            let delta = delta(index);
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
