//! Reads of a request in Converse's form what the answer depends on.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::decode::{self, ChatAsk, object, typed};
use crate::output::{self, Demand, Wish};
use crate::problem::Problem;
use crate::text;

/// The raw fields of a request. The model, and whether the answer is to be a stream, stand in the address.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConverseFields<'a> {
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    system: Option<&'a RawValue>,
    #[serde(borrow)]
    inference_config: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_config: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inference<'a> {
    #[serde(borrow)]
    max_tokens: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolConfig<'a> {
    #[serde(borrow)]
    tools: Vec<Tool<'a>>,
    #[serde(borrow)]
    tool_choice: Option<Choice<'a>>,
}

/// A tool, or a mark after some.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tool<'a> {
    #[serde(borrow)]
    tool_spec: Option<Named<'a>>,
}

/// A name, as a JSON string.
#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    name: &'a RawValue,
}

#[derive(Deserialize)]
struct Choice<'a> {
    any: Option<IgnoredAny>,
    #[serde(borrow)]
    tool: Option<Named<'a>>,
}

#[derive(Deserialize)]
struct Turn {
    content: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    tool_result: Option<IgnoredAny>,
}

/// A text, or a mark after one.
#[derive(Deserialize)]
struct Block {
    text: Option<String>,
}

impl ConverseFields<'_> {
    /// What is asked for. The prompt is counted unless its size is `given`.
    pub(crate) fn ask(&self, stream: bool, given: Option<u64>) -> Result<ChatAsk, Problem> {
        let cap = match self.inference_config {
            Some(raw) => decode::cap(
                object::<Inference<'_>>(raw, "inferenceConfig")?.max_tokens,
                "inferenceConfig.maxTokens",
            )?,
            None => None,
        };
        let (wish, prompt) = (self.wish()?, self.prompt(given)?);
        Ok(ChatAsk { stream, include_usage: false, choices: 1, cap, prompt, wish })
    }

    fn prompt(&self, given: Option<u64>) -> Result<u64, Problem> {
        let messages = decode::prompt(self.messages, given)?;
        let system: Vec<Block> = typed(self.system, "system", "an array of texts")?.unwrap_or_default();
        let texts = system.iter().filter_map(|block| block.text.as_ref());
        Ok(if given.is_some() {
            messages
        } else {
            messages + texts.map(|text| text::count(text)).sum::<u64>()
        })
    }

    /// What it says of tools. Converse has no member that asks for JSON.
    fn wish(&self) -> Result<Wish, Problem> {
        let Some(raw) = self.tool_config else { return Ok(Wish::default()) };
        let config: ToolConfig<'_> = object(raw, "toolConfig")?;
        let demand = match config.tool_choice {
            Some(Choice { tool: Some(named), .. }) => Demand::One(named.name.get().to_owned()),
            Some(Choice { any: Some(_), .. }) => Demand::Any,
            Some(_) | None => Demand::May,
        };
        let names = config.tools.into_iter().filter_map(|tool| tool.tool_spec);
        let tools = names.map(|tool| tool.name.get().to_owned()).collect();
        Ok(Wish { tools, demand, json: false, has_results: self.has_results() })
    }

    /// Whether the last turn brings what a tool said.
    fn has_results(&self) -> bool {
        let turn = output::last(self.messages).and_then(|turn| serde_json::from_str::<Turn>(turn.get()).ok());
        turn.is_some_and(|turn| turn.content.iter().any(|block| block.tool_result.is_some()))
    }
}
