//! The bodies of a chat answer, in one piece and in events. Written by hand, because the benchmark's load passes here.

use std::fmt::{self, Write};

use serde_json::json;

use crate::output::{JSON_CLOSE, JSON_OPEN, Output, Step};
use crate::truth::Tokens;
use crate::{content, converse, messages, text};

/// The models that the list names; any other name is answered as well.
const MODELS: [&str; 10] = [
    "sim-small",
    "sim-large",
    "sim-embed",
    "sim-moderate",
    "sim-image",
    "sim-picture",
    "sim-speech",
    "sim-voice",
    "sim-whisper",
    "sim-transcribe",
];
/// The day the simulator began, as its models' `created`.
const MODELS_CREATED: i64 = 1_767_225_600;

/// The error object that comes where an answer was under way.
pub(crate) const ERROR: &str = r#"{"error":{"message":"The server had an error while processing your request.","type":"server_error","param":null,"code":null}}"#;

/// A chat answer, decided but not yet written.
pub(crate) struct Chat {
    /// Makes the ids of the answer.
    pub(crate) id: u128,
    /// Seconds since 1970.
    pub(crate) created: i64,
    /// The model that answers, as a JSON string.
    pub(crate) model: String,
    pub(crate) prompt: u64,
    pub(crate) cached: u64,
    /// Tokens written to the cache, for five minutes and for an hour.
    pub(crate) cache_writes: [u64; 2],
    pub(crate) choices: u64,
    /// Tokens of each choice that are shown.
    pub(crate) visible: u64,
    /// Tokens of each choice that are not.
    pub(crate) reasoning: u64,
    /// Why each choice ended, unless it called tools.
    pub(crate) finish: &'static str,
    /// Whether token counts are reported.
    pub(crate) usage: bool,
    /// Whose shape it has.
    pub(crate) dialect: Dialect,
    /// Whether it came by Vertex AI.
    pub(crate) by_vertex: bool,
    /// What it consists of.
    pub(crate) output: Output,
}

/// Whose shapes answers and refusals have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Dialect {
    #[default]
    OpenAi,
    Anthropic,
    Amazon,
    Gemini,
}

impl Chat {
    /// What is billed once `visible` tokens of each choice are out.
    pub(crate) fn tokens(&self, visible: u64) -> Tokens {
        Tokens {
            prompt: self.prompt,
            cached: self.cached,
            cache_write: self.cache_writes[0],
            cache_write_1h: self.cache_writes[1],
            completion: self.choices * (self.reasoning + visible),
            reasoning: self.choices * self.reasoning,
            ..Tokens::default()
        }
    }

    /// The answer in one piece.
    pub(crate) fn whole(&self) -> String {
        match self.dialect {
            Dialect::OpenAi => {}
            Dialect::Anthropic => return messages::whole(self),
            Dialect::Amazon => return converse::whole(self),
            Dialect::Gemini => return content::whole(self),
        }
        let mut body = String::with_capacity(640 + (self.choices * (160 + self.visible * 7)) as usize);
        self.open(&mut body, "chat.completion");
        for index in 0..self.choices {
            if index > 0 {
                body.push(',');
            }
            put(&mut body, format_args!(r#"{{"index":{index},"message":{{"role":"assistant","content":"#));
            self.content(&mut body, index);
            body.push_str(r#","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":""#);
            body.push_str(self.finish());
            body.push_str("\"}");
        }
        body.push(']');
        if self.usage {
            body.push_str(r#","usage":"#);
            self.usage(&mut body);
        }
        body.push('}');
        body
    }

    /// The content of a message, and the calls of tools behind it.
    fn content(&self, body: &mut String, choice: u64) {
        let Output::Calls(names) = &self.output else {
            body.push('"');
            self.said(body, 0);
            body.push('"');
            return;
        };
        body.push_str("null,\"tool_calls\":[");
        for (call, name) in (0..).zip(names) {
            let comma = if call > 0 { "," } else { "" };
            let id = self.call_id(choice, call);
            put(
                body,
                format_args!(
                    r#"{comma}{{"id":"{id}","type":"function","function":{{"name":{name},"arguments":""#
                ),
            );
            self.said(body, call);
            body.push_str("\"}}");
        }
        body.push(']');
    }

    /// Appends all that one part says, as it stands in a JSON string.
    pub(crate) fn said(&self, body: &mut String, part: u64) {
        let is_framed = self.output.is_framed();
        body.push_str(if is_framed { JSON_OPEN } else { "" });
        let ends = [part, part + 1].map(|part| self.output.begin(part, self.visible));
        text::append(body, ends[0], ends[1]);
        body.push_str(if is_framed { JSON_CLOSE } else { "" });
    }

    /// What identifies a call, among all of the answer's choices.
    fn call_id(&self, choice: u64, call: u64) -> String {
        format!("call_{:032x}_{choice}_{call}", self.id)
    }

    /// Why each choice ended.
    pub(crate) fn finish(&self) -> &'static str {
        match self.output {
            Output::Calls(_) if self.finish == "stop" => "tool_calls",
            Output::Text | Output::Json | Output::Calls(_) => self.finish,
        }
    }

    /// What a choice's event tells of a step.
    pub(crate) fn delta(&self, choice: u64, step: &Step) -> String {
        let (part, name, said) = match *step {
            Step::Open(part) => (part, self.output.name(part), JSON_OPEN.to_owned()),
            Step::Say(part, from, to) => {
                let mut said = String::with_capacity(7 * (to - from) as usize);
                text::append(&mut said, from, to);
                (part, None, said)
            }
            Step::Close(part) => (part, None, JSON_CLOSE.to_owned()),
        };
        match (&self.output, name) {
            (Output::Text | Output::Json, _) => format!(r#"{{"content":"{said}"}}"#),
            (Output::Calls(_), None) => {
                format!(r#"{{"tool_calls":[{{"index":{part},"function":{{"arguments":"{said}"}}}}]}}"#)
            }
            (Output::Calls(_), Some(name)) => {
                let id = self.call_id(choice, part);
                format!(
                    r#"{{"tool_calls":[{{"index":{part},"id":"{id}","type":"function","function":{{"name":{name},"arguments":"{said}"}}}}]}}"#
                )
            }
        }
    }

    /// What every event of the stream begins with, up to the `choices`.
    pub(crate) fn event_head(&self) -> String {
        let mut head = String::with_capacity(224);
        head.push_str("data: ");
        self.open(&mut head, "chat.completion.chunk");
        head
    }

    /// Appends the token counts of the whole answer.
    pub(crate) fn usage(&self, body: &mut String) {
        let Tokens { prompt, cached, completion, reasoning, .. } = self.tokens(self.visible);
        let written = match self.cache_writes {
            [0, 0] => String::new(),
            // OpenAI knows one sort of them.
            [one, other] => format!(r#","cache_write_tokens":{}"#, one + other),
        };
        put(
            body,
            format_args!(
                r#"{{"prompt_tokens":{prompt},"completion_tokens":{completion},"total_tokens":{},"prompt_tokens_details":{{"cached_tokens":{cached},"audio_tokens":0{written}}},"completion_tokens_details":{{"reasoning_tokens":{reasoning},"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}}"#,
                prompt + completion
            ),
        );
    }

    fn open(&self, body: &mut String, object: &str) {
        let Self { id, created, model, .. } = self;
        put(
            body,
            format_args!(
                r#"{{"id":"chatcmpl-{id:032x}","object":"{object}","created":{created},"model":{model},"service_tier":"default","system_fingerprint":"fp_simulated","choices":["#
            ),
        );
    }
}

/// Appends formatted text.
pub(crate) fn put(body: &mut String, text: fmt::Arguments<'_>) {
    // Writing to a string never fails; the result is there for other kinds of writers.
    let _ = body.write_fmt(text);
}

/// The body of the list of models.
pub(crate) fn models() -> String {
    json!({"object": "list", "data": MODELS.map(model)}).to_string()
}

/// One model, of whatever name.
pub(crate) fn model(id: &str) -> serde_json::Value {
    json!({"id": id, "object": "model", "created": MODELS_CREATED, "owned_by": "simulator"})
}
