//! Reads of a request in Converse's form what the answer depends on.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::decode::{self, ChatAsk, object, typed};
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
struct ToolConfig {
    tools: Vec<Tool>,
    tool_choice: Option<Choice>,
}

/// A tool, or a mark after some.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tool {
    tool_spec: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Choice {
    any: Option<serde::de::IgnoredAny>,
    tool: Option<Named>,
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
        let (tool, prompt) = (self.tool()?, self.prompt(given)?);
        Ok(ChatAsk { stream, include_usage: false, choices: 1, cap, prompt, tool })
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

    /// The tool that must be called: the one that is named, or the first if any will do.
    fn tool(&self) -> Result<Option<String>, Problem> {
        let Some(raw) = self.tool_config else { return Ok(None) };
        let config: ToolConfig = object(raw, "toolConfig")?;
        Ok(match config.tool_choice {
            Some(Choice { tool: Some(named), .. }) => Some(named.name),
            Some(Choice { any: Some(_), .. }) => {
                config.tools.into_iter().find_map(|tool| tool.tool_spec).map(|tool| tool.name)
            }
            Some(_) | None => None,
        })
    }
}
