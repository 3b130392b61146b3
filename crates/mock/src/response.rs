//! The bodies of a response, in one piece and in events: OpenAI's other shape of a chat.

use crate::answer::put;
use crate::output::{JSON_CLOSE, JSON_OPEN, Output, Step};
use crate::text;
use crate::truth::Tokens;

/// The error of a response that failed.
const ERROR: &str =
    r#"{"code":"server_error","message":"The server had an error while processing your request."}"#;

/// A response, decided but not yet written.
pub(crate) struct Reply {
    /// Makes the ids of the answer.
    pub(crate) id: u128,
    /// Seconds since 1970.
    pub(crate) created: i64,
    /// The model that answers, as a JSON string.
    pub(crate) model: String,
    pub(crate) prompt: u64,
    pub(crate) cached: u64,
    /// Tokens that are shown.
    pub(crate) visible: u64,
    /// Tokens that are not.
    pub(crate) reasoning: u64,
    /// Whether the cap ended it.
    pub(crate) is_capped: bool,
    /// Whether token counts are reported.
    pub(crate) usage: bool,
    pub(crate) output: Output,
}

impl Reply {
    /// What is billed once `visible` tokens are out.
    pub(crate) fn tokens(&self, visible: u64) -> Tokens {
        Tokens {
            prompt: self.prompt,
            cached: self.cached,
            completion: self.reasoning + visible,
            reasoning: self.reasoning,
            ..Tokens::default()
        }
    }

    /// The answer in one piece.
    pub(crate) fn whole(&self) -> String {
        self.object(self.status(), true, "null")
    }

    /// The same, of one that failed.
    pub(crate) fn failed(&self) -> String {
        self.object("failed", false, ERROR)
    }

    const fn status(&self) -> &'static str {
        if self.is_capped { "incomplete" } else { "completed" }
    }

    /// The response, with all it has put out or with nothing.
    fn object(&self, status: &str, is_whole: bool, error: &str) -> String {
        let Self { id, created, model, .. } = self;
        let details = if status == "incomplete" { r#"{"reason":"max_output_tokens"}"# } else { "null" };
        let mut body = String::with_capacity(1024 + self.visible as usize * 7);
        put(
            &mut body,
            format_args!(
                r#"{{"id":"resp_{id:032x}","object":"response","created_at":{created},"status":"{status}","background":false,"error":{error},"incomplete_details":{details},"instructions":null,"max_output_tokens":null,"model":{model},"output":["#
            ),
        );
        if is_whole {
            if self.reasoning > 0 {
                body.push_str(&self.thought());
                body.push(',');
            }
            let items = (0..self.output.parts()).map(|part| self.item(part, self.status(), true));
            body.push_str(&items.collect::<Vec<_>>().join(","));
        }
        body.push_str(r#"],"parallel_tool_calls":true,"previous_response_id":null,"reasoning":{"effort":null,"summary":null},"service_tier":"default","store":false,"temperature":1.0,"text":{"format":{"type":"text"}},"tool_choice":"auto","tools":[],"top_p":1.0,"truncation":"disabled","usage":"#);
        if is_whole && self.usage {
            self.usage(&mut body)
        } else {
            body.push_str("null")
        }
        body.push_str(r#","user":null,"metadata":{}}"#);
        body
    }

    fn usage(&self, body: &mut String) {
        let Tokens { prompt, cached, completion, reasoning, .. } = self.tokens(self.visible);
        put(
            body,
            format_args!(
                r#"{{"input_tokens":{prompt},"input_tokens_details":{{"cached_tokens":{cached},"cache_write_tokens":0}},"output_tokens":{completion},"output_tokens_details":{{"reasoning_tokens":{reasoning}}},"total_tokens":{}}}"#,
                prompt + completion
            ),
        );
    }

    /// The item of the thoughts, which nobody reads.
    fn thought(&self) -> String {
        format!(r#"{{"id":"rs_{:032x}","type":"reasoning","summary":[]}}"#, self.id)
    }

    fn item_id(&self, part: u64) -> String {
        let prefix = if self.is_call() { "fc" } else { "msg" };
        format!("{prefix}_{:032x}_{part}", self.id)
    }

    const fn is_call(&self) -> bool {
        matches!(self.output, Output::Calls(_))
    }

    /// The item of one part of what is said: with all of it, or as it begins.
    fn item(&self, part: u64, status: &str, is_whole: bool) -> String {
        let (id, said) = (self.item_id(part), is_whole.then(|| self.said(part)));
        match self.output.name(part) {
            Some(name) => format!(
                r#"{{"id":"{id}","type":"function_call","status":"{status}","call_id":"call_{:032x}_{part}","name":{name},"arguments":"{}"}}"#,
                self.id,
                said.unwrap_or_default()
            ),
            None => {
                let content = said.map(|said| content(&said)).unwrap_or_default();
                format!(
                    r#"{{"id":"{id}","type":"message","status":"{status}","role":"assistant","content":[{content}]}}"#
                )
            }
        }
    }

    /// All that one part says, escaped.
    fn said(&self, part: u64) -> String {
        let mut said = String::new();
        let is_framed = self.output.is_framed();
        said.push_str(if is_framed { JSON_OPEN } else { "" });
        let ends = [part, part + 1].map(|part| self.output.begin(part, self.visible));
        text::append(&mut said, ends[0], ends[1]);
        said.push_str(if is_framed { JSON_CLOSE } else { "" });
        said
    }
}

/// A part of text, which is escaped already.
fn content(text: &str) -> String {
    format!(r#"{{"type":"output_text","text":"{text}","annotations":[],"logprobs":[]}}"#)
}

/// Writes the events of a reply, numbered as they go out.
pub(crate) struct Script {
    pub(crate) reply: Reply,
    number: u64,
}

impl Script {
    pub(crate) const fn new(reply: Reply) -> Self {
        Self { reply, number: 0 }
    }

    fn event(&mut self, events: &mut String, name: &str, members: &str) {
        let number = self.number;
        put(
            events,
            format_args!(
                "event: {name}\ndata: {{\"type\":\"{name}\",\"sequence_number\":{number},{members}}}\n\n"
            ),
        );
        self.number += 1;
    }

    /// The place of the item of a part.
    fn index(&self, part: u64) -> u64 {
        u64::from(self.reply.reasoning > 0) + part
    }

    /// Where a delta or the end of one stands.
    fn place(&self, part: u64) -> String {
        let (id, index) = (self.reply.item_id(part), self.index(part));
        let content = if self.reply.is_call() { "" } else { r#","content_index":0"# };
        format!(r#""item_id":"{id}","output_index":{index}{content}"#)
    }

    /// What comes before the first token.
    pub(crate) fn open(&mut self) -> String {
        let mut events = String::new();
        let response = self.reply.object("in_progress", false, "null");
        for name in ["response.created", "response.in_progress"] {
            self.event(&mut events, name, &format!("\"response\":{response}"));
        }
        if self.reply.reasoning > 0 {
            let item = format!("\"output_index\":0,\"item\":{}", self.reply.thought());
            for name in ["response.output_item.added", "response.output_item.done"] {
                self.event(&mut events, name, &item);
            }
        }
        self.begin(&mut events, 0);
        events
    }

    /// The events that begin a part.
    fn begin(&mut self, events: &mut String, part: u64) {
        let item = self.reply.item(part, "in_progress", false);
        let added = format!("\"output_index\":{},\"item\":{item}", self.index(part));
        self.event(events, "response.output_item.added", &added);
        if !self.reply.is_call() {
            let added = format!("{},\"part\":{}", self.place(part), content(""));
            self.event(events, "response.content_part.added", &added);
        }
        if self.reply.output.is_framed() {
            self.delta(events, part, JSON_OPEN);
        }
    }

    fn delta(&mut self, events: &mut String, part: u64, text: &str) {
        let place = self.place(part);
        if self.reply.is_call() {
            let delta = format!("{place},\"delta\":\"{text}\"");
            self.event(events, "response.function_call_arguments.delta", &delta);
        } else {
            let delta = format!("{place},\"delta\":\"{text}\",\"logprobs\":[]");
            self.event(events, "response.output_text.delta", &delta);
        }
    }

    /// The tokens from number `from` up to, not including, `to`.
    pub(crate) fn say(&mut self, from: u64, to: u64) -> String {
        let mut events = String::new();
        for step in self.reply.output.steps(self.reply.visible, from, to) {
            match step {
                Step::Open(part) => self.begin(&mut events, part),
                Step::Close(part) => self.end(&mut events, part),
                Step::Say(part, from, to) => {
                    let mut said = String::new();
                    text::append(&mut said, from, to);
                    self.delta(&mut events, part, &said);
                }
            }
        }
        events
    }

    /// What ends the last item.
    pub(crate) fn finish(&mut self) -> String {
        let mut events = String::new();
        self.end(&mut events, self.reply.output.parts() - 1);
        events
    }

    /// The events that end a part.
    fn end(&mut self, events: &mut String, part: u64) {
        if self.reply.output.is_framed() {
            self.delta(events, part, JSON_CLOSE);
        }
        let (place, said) = (self.place(part), self.reply.said(part));
        if let Some(name) = self.reply.output.name(part) {
            let done = format!("{place},\"name\":{name},\"arguments\":\"{said}\"");
            self.event(events, "response.function_call_arguments.done", &done);
        } else {
            let done = format!("{place},\"text\":\"{said}\",\"logprobs\":[]");
            self.event(events, "response.output_text.done", &done);
            let done = format!("{place},\"part\":{}", content(&said));
            self.event(events, "response.content_part.done", &done);
        }
        let item = self.reply.item(part, self.reply.status(), true);
        let done = format!("\"output_index\":{},\"item\":{item}", self.index(part));
        self.event(events, "response.output_item.done", &done);
    }

    /// The last event.
    pub(crate) fn done(&mut self) -> String {
        let mut events = String::new();
        let name = format!("response.{}", self.reply.status());
        let response = format!("\"response\":{}", self.reply.whole());
        self.event(&mut events, &name, &response);
        events
    }

    /// The last event of one that fails on the way.
    pub(crate) fn fail(&mut self) -> String {
        let mut events = String::new();
        let response = format!("\"response\":{}", self.reply.failed());
        self.event(&mut events, "response.failed", &response);
        events
    }
}
