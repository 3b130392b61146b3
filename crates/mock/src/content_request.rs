//! Reads of a request for content what the answer depends on.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::decode::{self, ChatAsk, TOKENS_PER_ANSWER, TOKENS_PER_MESSAGE, Text, object, typed};
use crate::output::{Demand, Wish, last};
use crate::problem::Problem;
use crate::text;

/// Candidates that one request may ask for.
const MOST_CANDIDATES: u64 = 8;

/// The raw fields of a request for content, or for how long one is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ContentFields<'a> {
    #[serde(borrow)]
    contents: Option<&'a RawValue>,
    #[serde(borrow)]
    system_instruction: Option<&'a RawValue>,
    #[serde(borrow)]
    generation_config: Option<&'a RawValue>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_config: Option<&'a RawValue>,
    #[serde(borrow)]
    generate_content_request: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Generation<'a> {
    #[serde(borrow)]
    max_output_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    candidate_count: Option<&'a RawValue>,
    #[serde(borrow)]
    response_mime_type: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    parts: Option<Vec<Part<'a>>>,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tool {
    function_declarations: Option<Vec<Function>>,
}

#[derive(Deserialize)]
struct Function {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolConfig {
    function_calling_config: Option<Calling>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Calling {
    mode: Option<String>,
    allowed_function_names: Option<Vec<String>>,
}

impl ContentFields<'_> {
    /// What is asked for; whether it is to be streamed the address says. The prompt is counted unless its size is
    /// `given`.
    pub(crate) fn ask(&self, stream: bool, given: Option<u64>) -> Result<ChatAsk, Problem> {
        let generation: Generation<'_> = match self.generation_config {
            Some(raw) => object(raw, "generationConfig")?,
            None => Generation::default(),
        };
        let cap = decode::cap(generation.max_output_tokens, "generationConfig.maxOutputTokens")?;
        let name = "generationConfig.candidateCount";
        let choices = typed(generation.candidate_count, name, "an integer")?.unwrap_or(1);
        if !(1..=MOST_CANDIDATES).contains(&choices) {
            return Err(Problem::value(name, "a number from 1 to 8"));
        }
        let json = generation.response_mime_type.is_some_and(|mime| mime.0 == "application/json");
        let (wish, prompt) = (self.wish(json)?, self.prompt(given)?);
        Ok(ChatAsk { stream, include_usage: false, choices, cap, prompt, wish })
    }

    /// Tokens of the instructions and the contents, also of a request inside, unless their number is `given`.
    pub(crate) fn prompt(&self, given: Option<u64>) -> Result<u64, Problem> {
        if let Some(inner) = self.generate_content_request {
            let inner: ContentFields<'_> = object(inner, "generateContentRequest")?;
            return inner.prompt(given);
        }
        let contents: Vec<Content<'_>> = typed(self.contents, "contents", "an array of contents")?
            .ok_or_else(|| Problem::missing("contents"))?;
        if contents.is_empty() {
            return Err(Problem::value("contents", "at least one content"));
        }
        if let Some(given) = given {
            return Ok(given);
        }
        let system: Option<Content<'_>> = typed(self.system_instruction, "systemInstruction", "a content")?;
        let spoken: u64 = contents.iter().map(|content| TOKENS_PER_MESSAGE + content.tokens()).sum();
        Ok(TOKENS_PER_ANSWER + spoken + system.map_or(0, |system| system.tokens()))
    }

    /// Which functions there are, and whether one must be called: the first that is allowed, or any.
    fn wish(&self, json: bool) -> Result<Wish, Problem> {
        let tools: Vec<Tool> = typed(self.tools, "tools", "an array of tools")?.unwrap_or_default();
        let functions = tools.into_iter().filter_map(|tool| tool.function_declarations).flatten();
        let tools = functions.map(|function| name(&function.name)).collect();
        let has_results = last(self.contents).is_some_and(|last| last.get().contains("\"functionResponse\""));
        Ok(Wish { tools, demand: self.demand()?, json, has_results })
    }

    fn demand(&self) -> Result<Demand, Problem> {
        let Some(raw) = self.tool_config else { return Ok(Demand::May) };
        let config: ToolConfig = object(raw, "toolConfig")?;
        let Some(calling) = config.function_calling_config else { return Ok(Demand::May) };
        let allowed = calling.allowed_function_names.unwrap_or_default();
        Ok(match (calling.mode.as_deref(), allowed.first()) {
            (Some("ANY"), Some(only)) => Demand::One(name(only)),
            (Some("ANY"), None) => Demand::Any,
            (Some("NONE"), _) => Demand::Never,
            (Some(_) | None, _) => Demand::May,
        })
    }
}

/// A name as a JSON string.
fn name(name: &str) -> String {
    serde_json::Value::from(name).to_string()
}

impl Content<'_> {
    fn tokens(&self) -> u64 {
        let parts = self.parts.iter().flatten();
        parts.filter_map(|part| part.text.as_ref()).map(|text| text::count(&text.0)).sum()
    }
}
