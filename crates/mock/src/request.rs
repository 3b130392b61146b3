//! Reads of a request for messages what the answer depends on.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::decode::{self, ChatAsk, object, typed};
use crate::problem::Problem;
use crate::text;

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
}

#[derive(Deserialize)]
struct Thinking {
    budget_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct Tool {
    name: String,
}

#[derive(Deserialize)]
struct Choice {
    r#type: String,
    name: Option<String>,
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

    /// The rest. The prompt is counted unless its size is `given`.
    pub(crate) fn ask(&self, given: Option<u64>) -> Result<ChatAsk, Problem> {
        let stream = typed(self.stream, "stream", "a boolean")?.unwrap_or(false);
        let cap: u64 = typed(self.max_tokens, "max_tokens", "an integer")?
            .ok_or_else(|| Problem::missing("max_tokens"))?;
        self.check_thinking(cap)?;
        let (tool, prompt) = (self.tool()?, self.prompt(given)?);
        Ok(ChatAsk { stream, include_usage: false, choices: 1, cap: Some(cap), prompt, tool })
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

    /// The tool that must be called: the one that is named, or the first if any will do.
    fn tool(&self) -> Result<Option<String>, Problem> {
        let tools: Vec<Tool> = typed(self.tools, "tools", "an array of tools")?.unwrap_or_default();
        let Some(raw) = self.tool_choice else { return Ok(None) };
        let choice: Choice = object(raw, "tool_choice")?;
        Ok(match &*choice.r#type {
            "any" => tools.into_iter().next().map(|tool| tool.name),
            "tool" => choice.name,
            _ => None,
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
