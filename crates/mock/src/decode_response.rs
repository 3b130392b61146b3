//! Reads of a request for a response what the answer depends on.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::decode::{TOKENS_PER_ANSWER, TOKENS_PER_MESSAGE, Text, cap, model, object, typed};
use crate::output::{self, Wish};
use crate::problem::Problem;
use crate::text;

/// Tokens that wrap an item which is no message.
const TOKENS_PER_ITEM: u64 = 3;

/// The raw fields of a request for a response.
#[derive(Deserialize)]
pub(crate) struct ResponseFields<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    instructions: Option<&'a RawValue>,
    #[serde(borrow)]
    stream: Option<&'a RawValue>,
    #[serde(borrow)]
    max_output_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_choice: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
}

/// What a request for a response asks for.
pub(crate) struct ResponseAsk {
    pub(crate) stream: bool,
    /// The most completion tokens, if the request says so.
    pub(crate) cap: Option<u64>,
    pub(crate) prompt: u64,
    /// What it says of tools and of JSON.
    pub(crate) wish: Wish,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    role: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    output: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    arguments: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
}

impl ResponseFields<'_> {
    /// The model as asked, its suffix included.
    pub(crate) fn model(&self) -> Result<String, Problem> {
        model(self.model)
    }

    /// The rest. The prompt is counted unless its size is `given`.
    pub(crate) fn ask(&self, given: Option<u64>) -> Result<ResponseAsk, Problem> {
        Ok(ResponseAsk {
            stream: typed(self.stream, "stream", "a boolean")?.unwrap_or(false),
            cap: cap(self.max_output_tokens, "max_output_tokens")?,
            prompt: match given {
                Some(given) => given,
                None => self.prompt()?,
            },
            wish: self.wish()?,
        })
    }

    fn prompt(&self) -> Result<u64, Problem> {
        let mut tokens = TOKENS_PER_ANSWER;
        if let Some(Text(instructions)) = typed(self.instructions, "instructions", "a string")? {
            tokens += TOKENS_PER_MESSAGE + text::count(&instructions);
        }
        let Some(raw) = self.input else { return Ok(tokens) };
        if !raw.get().starts_with('[') {
            let input: Option<Text<'_>> = typed(Some(raw), "input", "a string or an array of objects")?;
            return Ok(tokens + input.map_or(0, |text| TOKENS_PER_MESSAGE + text::count(&text.0)));
        }
        let items: Vec<&RawValue> =
            typed(Some(raw), "input", "a string or an array of objects")?.unwrap_or_default();
        for (index, item) in items.into_iter().enumerate() {
            tokens += item_tokens(item, &format!("input[{index}]"))?;
        }
        Ok(tokens)
    }

    fn wish(&self) -> Result<Wish, Problem> {
        #[derive(Deserialize)]
        struct Settings<'a> {
            #[serde(borrow)]
            format: Option<&'a RawValue>,
        }
        let tools = output::tools(self.tools, "function")?;
        let settings: Option<Settings<'_>> = self.text.map(|raw| object(raw, "text")).transpose()?;
        Ok(Wish {
            demand: output::demand(self.tool_choice)?,
            json: output::is_kind(settings.and_then(|settings| settings.format), "json"),
            has_results: !tools.is_empty()
                && output::is_kind(output::last(self.input), "function_call_output"),
            tools,
        })
    }
}

fn item_tokens(raw: &RawValue, name: &str) -> Result<u64, Problem> {
    let item: Item<'_> = object(raw, name)?;
    let mut tokens = if item.role.is_some() { TOKENS_PER_MESSAGE } else { TOKENS_PER_ITEM };
    for said in [&item.name, &item.arguments].into_iter().flatten() {
        tokens += text::count(&said.0);
    }
    for content in [item.content, item.output].into_iter().flatten() {
        let wrong = || Problem::mistyped(&format!("{name}.content"), "a string or an array of objects");
        if content.get().starts_with('[') {
            let parts: Vec<Part<'_>> = serde_json::from_str(content.get()).map_err(|_| wrong())?;
            tokens += parts
                .iter()
                .filter_map(|part| part.text.as_ref())
                .map(|text| text::count(&text.0))
                .sum::<u64>();
        } else {
            let content: Text<'_> = serde_json::from_str(content.get()).map_err(|_| wrong())?;
            tokens += text::count(&content.0);
        }
    }
    Ok(tokens)
}
