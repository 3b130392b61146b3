//! The bodies of a response, in one piece and in events: OpenAI's other shape of a chat.

use crate::answer::put;
use crate::text;
use crate::truth::Tokens;

/// What begins and ends the text where JSON is asked for, and the arguments of a call.
const JSON_OPEN: &str = r#"{\"text\":\""#;
const JSON_CLOSE: &str = r#"\"}"#;

/// The error of a response that failed.
const ERROR: &str =
    r#"{"code":"server_error","message":"The server had an error while processing your request."}"#;

/// What a response puts out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// A message of text.
    Text,
    /// A message of JSON.
    Json,
    /// A call of the function with this name, which is a JSON string.
    Call(String),
}

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
            body.push_str(&self.item(self.status(), Some(self.visible)));
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

    fn item_id(&self) -> String {
        let prefix = if self.is_call() { "fc" } else { "msg" };
        format!("{prefix}_{:032x}", self.id)
    }

    const fn is_call(&self) -> bool {
        matches!(self.output, Output::Call(_))
    }

    /// The item that says something, with so many tokens of it; nothing is an item that begins.
    fn item(&self, status: &str, tokens: Option<u64>) -> String {
        let (id, said) = (self.item_id(), tokens.map(|tokens| self.said(tokens)));
        match &self.output {
            Output::Call(name) => format!(
                r#"{{"id":"{id}","type":"function_call","status":"{status}","call_id":"call_{:032x}","name":{name},"arguments":"{}"}}"#,
                self.id,
                said.unwrap_or_default()
            ),
            Output::Text | Output::Json => {
                let part = said.map(|said| part(&said)).unwrap_or_default();
                format!(
                    r#"{{"id":"{id}","type":"message","status":"{status}","role":"assistant","content":[{part}]}}"#
                )
            }
        }
    }

    /// The whole text of the first tokens, escaped.
    fn said(&self, tokens: u64) -> String {
        let mut said = String::new();
        let is_json = self.output != Output::Text;
        said.push_str(if is_json { JSON_OPEN } else { "" });
        text::append(&mut said, 0, tokens);
        said.push_str(if is_json { JSON_CLOSE } else { "" });
        said
    }
}

/// A part of text, which is escaped already.
fn part(text: &str) -> String {
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

    /// The place of the item that says something.
    fn index(&self) -> u64 {
        u64::from(self.reply.reasoning > 0)
    }

    /// Where a delta or the end of one stands.
    fn place(&self) -> String {
        let (id, index) = (self.reply.item_id(), self.index());
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
        let item = self.reply.item("in_progress", None);
        let added = format!("\"output_index\":{},\"item\":{item}", self.index());
        self.event(&mut events, "response.output_item.added", &added);
        if !self.reply.is_call() {
            let added = format!("{},\"part\":{}", self.place(), part(""));
            self.event(&mut events, "response.content_part.added", &added);
        }
        if self.reply.output != Output::Text {
            self.delta(&mut events, JSON_OPEN);
        }
        events
    }

    fn delta(&mut self, events: &mut String, text: &str) {
        let place = self.place();
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
        let (mut said, mut events) = (String::new(), String::new());
        text::append(&mut said, from, to);
        self.delta(&mut events, &said);
        events
    }

    /// What ends the item.
    pub(crate) fn finish(&mut self) -> String {
        let mut events = String::new();
        if self.reply.output != Output::Text {
            self.delta(&mut events, JSON_CLOSE);
        }
        let (place, said) = (self.place(), self.reply.said(self.reply.visible));
        if let Output::Call(name) = &self.reply.output {
            let done = format!("{place},\"name\":{name},\"arguments\":\"{said}\"");
            self.event(&mut events, "response.function_call_arguments.done", &done);
        } else {
            let done = format!("{place},\"text\":\"{said}\",\"logprobs\":[]");
            self.event(&mut events, "response.output_text.done", &done);
            let done = format!("{place},\"part\":{}", part(&said));
            self.event(&mut events, "response.content_part.done", &done);
        }
        let item = self.reply.item(self.reply.status(), Some(self.reply.visible));
        let done = format!("\"output_index\":{},\"item\":{item}", self.index());
        self.event(&mut events, "response.output_item.done", &done);
        events
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
