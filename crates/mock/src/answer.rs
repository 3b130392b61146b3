//! The bodies of a chat answer, in one piece and in events. Written by hand, because the benchmark's load passes here.

use std::fmt::{self, Write};

use serde_json::json;

use crate::truth::Tokens;
use crate::{messages, text};

/// The models that the list names; any other name is answered as well.
const MODELS: [&str; 6] = ["sim-small", "sim-large", "sim-embed", "sim-moderate", "sim-image", "sim-picture"];
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
    /// Why each choice ended.
    pub(crate) finish: &'static str,
    /// Whether token counts are reported.
    pub(crate) usage: bool,
    /// Whose shape it has.
    pub(crate) dialect: Dialect,
    /// The tool that is called, with the text for its argument.
    pub(crate) tool: Option<String>,
}

/// Whose shapes answers and refusals have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Dialect {
    #[default]
    OpenAi,
    Anthropic,
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
            images: 0,
        }
    }

    /// The answer in one piece.
    pub(crate) fn whole(&self) -> String {
        if self.dialect == Dialect::Anthropic {
            return messages::whole(self);
        }
        let mut body = String::with_capacity(640 + (self.choices * (160 + self.visible * 7)) as usize);
        self.open(&mut body, "chat.completion");
        for index in 0..self.choices {
            if index > 0 {
                body.push(',');
            }
            put(&mut body, format_args!(r#"{{"index":{index},"message":{{"role":"assistant","content":""#));
            text::append(&mut body, 0, self.visible);
            body.push_str(r#"","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":""#);
            body.push_str(self.finish);
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
