//! Reads of a request for messages what the answer depends on.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::decode::{self, ChatAsk, object, typed};
use crate::output::{self, Wish};
use crate::problem::Problem;
use crate::text;
use crate::vertex;

/// The least that a model may think, if it thinks.
const THINKING_LEAST: u64 = 1_024;

/// The raw fields of a request for messages.
#[derive(Deserialize)]
pub(crate) struct MessageFields<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    system: Option<&'a RawValue>,
    #[serde(borrow)]
    stream: Option<&'a RawValue>,
    #[serde(borrow)]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_choice: Option<&'a RawValue>,
    #[serde(borrow)]
    output_config: Option<&'a RawValue>,
    #[serde(borrow)]
    anthropic_version: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Thinking {
    budget_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct OutputConfig<'a> {
    #[serde(borrow)]
    format: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Turn<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Block {
    text: String,
}

impl MessageFields<'_> {
    /// The model as asked, its suffix included.
    pub(crate) fn model(&self) -> Result<String, Problem> {
        decode::model(self.model)
    }

    /// Whether the body is as Vertex AI wants it, where the address tells the model.
    pub(crate) fn check_vertex(&self) -> Result<(), Problem> {
        let version: Option<String> = typed(self.anthropic_version, "anthropic_version", "a string")?;
        let version = version.ok_or_else(|| Problem::missing("anthropic_version"))?;
        if version != vertex::VERSION {
            return Err(Problem::value("anthropic_version", vertex::VERSION));
        }
        match self.model {
            Some(_) => Err(Problem::value("model", "nothing: extra inputs are not permitted")),
            None => Ok(()),
        }
    }

    /// The rest. The prompt is counted unless its size is `given`.
    pub(crate) fn ask(&self, given: Option<u64>) -> Result<ChatAsk, Problem> {
        let stream = typed(self.stream, "stream", "a boolean")?.unwrap_or(false);
        let cap: u64 = typed(self.max_tokens, "max_tokens", "an integer")?
            .ok_or_else(|| Problem::missing("max_tokens"))?;
        self.check_thinking(cap)?;
        let (wish, prompt) = (self.wish()?, self.prompt(given)?);
        Ok(ChatAsk { stream, include_usage: false, choices: 1, cap: Some(cap), prompt, wish })
    }

    /// Tokens of the system prompt and the messages, unless their number is `given`.
    pub(crate) fn prompt(&self, given: Option<u64>) -> Result<u64, Problem> {
        let messages = decode::prompt(self.messages, given)?;
        match self.system {
            Some(system) if given.is_none() => Ok(messages + system_tokens(system)?),
            Some(_) | None => Ok(messages),
        }
    }

    /// Thoughts must leave room for an answer.
    fn check_thinking(&self, cap: u64) -> Result<(), Problem> {
        let Some(raw) = self.thinking else { return Ok(()) };
        match object::<Thinking>(raw, "thinking")?.budget_tokens {
            Some(budget) if budget < THINKING_LEAST => {
                Err(Problem::value("thinking.budget_tokens", "a number of at least 1024"))
            }
            Some(budget) if budget >= cap => {
                Err(Problem::value("thinking.budget_tokens", "a number below 'max_tokens'"))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn wish(&self) -> Result<Wish, Problem> {
        let tools = output::tools(self.tools, "custom")?;
        let has_result = |raw: &RawValue| {
            let turn: Option<Turn<'_>> = serde_json::from_str(raw.get()).ok();
            let blocks =
                turn.and_then(|turn| serde_json::from_str::<Vec<&RawValue>>(turn.content?.get()).ok());
            blocks
                .is_some_and(|blocks| blocks.iter().any(|block| output::is_kind(Some(block), "tool_result")))
        };
        let config: Option<OutputConfig<'_>> =
            self.output_config.map(|raw| object(raw, "output_config")).transpose()?;
        Ok(Wish {
            demand: output::demand(self.tool_choice)?,
            json: output::is_kind(config.and_then(|config| config.format), "json"),
            has_results: !tools.is_empty() && output::last(self.messages).is_some_and(has_result),
            tools,
        })
    }
}

fn system_tokens(raw: &RawValue) -> Result<u64, Problem> {
    if raw.get().starts_with('[') {
        let blocks: Vec<Block> = typed(Some(raw), "system", "an array of texts")?.unwrap_or_default();
        return Ok(blocks.iter().map(|block| text::count(&block.text)).sum());
    }
    let system: Option<String> = typed(Some(raw), "system", "a string")?;
    Ok(text::count(&system.unwrap_or_default()))
}
