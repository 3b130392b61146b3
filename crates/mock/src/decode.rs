//! Reads of a request what the answer depends on, and says in OpenAI's shape what is wrong with it.
//!
//! Fields stay raw until they are looked at, so that a mistake names its field and a long prompt whose tokens need
//! not be counted is skipped over, not built.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::output::{self, Wish};
use crate::problem::Problem;
use crate::text;

/// Choices that one request may ask for.
const MOST_CHOICES: u64 = 128;
/// Inputs that one request may embed.
const MOST_INPUTS: usize = 2_048;
/// Dimensions of one vector.
const MOST_DIMENSIONS: u64 = 65_536;
/// Numbers in one answer, over all vectors: enough for 2,048 of the longest that models have.
const MOST_NUMBERS: u64 = 8 << 20;
/// Dimensions of a vector when none are asked for.
const DIMENSIONS: u64 = 8;
/// Tokens of one message beside its text, by OpenAI's published recipe: three that wrap it, and its role.
pub(crate) const TOKENS_PER_MESSAGE: u64 = 4;
/// Tokens that begin the answer.
pub(crate) const TOKENS_PER_ANSWER: u64 = 3;

/// The raw fields of a chat request.
#[derive(Deserialize)]
pub(crate) struct ChatFields<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    stream: Option<&'a RawValue>,
    #[serde(borrow)]
    stream_options: Option<&'a RawValue>,
    #[serde(borrow)]
    n: Option<&'a RawValue>,
    #[serde(borrow)]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    max_completion_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_choice: Option<&'a RawValue>,
    #[serde(borrow)]
    response_format: Option<&'a RawValue>,
}

/// What a chat request asks for.
pub(crate) struct ChatAsk {
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    pub(crate) choices: u64,
    /// The most completion tokens of one choice, if the request says so.
    pub(crate) cap: Option<u64>,
    pub(crate) prompt: u64,
    /// What it says of tools and of JSON.
    pub(crate) wish: Wish,
}

/// The raw fields of an embeddings request.
#[derive(Deserialize)]
pub(crate) struct EmbeddingFields<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    dimensions: Option<&'a RawValue>,
    #[serde(borrow)]
    encoding_format: Option<&'a RawValue>,
}

/// What an embeddings request asks for.
pub(crate) struct EmbeddingAsk {
    pub(crate) inputs: Vec<Input>,
    pub(crate) dimensions: u64,
    pub(crate) base64: bool,
    pub(crate) prompt: u64,
}

/// One thing to embed.
pub(crate) struct Input {
    /// Stands for the contents: equal inputs have equal prints.
    pub(crate) print: u64,
    tokens: u64,
}

/// Reads the raw fields of a JSON object.
pub(crate) fn fields<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Problem::body("expected an object"));
    }
    serde_json::from_slice(body).map_err(|error| Problem::body(&error.to_string()))
}

impl ChatFields<'_> {
    /// The model as asked, its suffix included.
    pub(crate) fn model(&self) -> Result<String, Problem> {
        model(self.model)
    }

    /// The rest. The prompt is counted unless its size is `given`.
    pub(crate) fn ask(&self, given: Option<u64>) -> Result<ChatAsk, Problem> {
        let stream = typed(self.stream, "stream", "a boolean")?.unwrap_or(false);
        let include_usage = self.include_usage(stream)?;
        let choices = typed(self.n, "n", "an integer")?.unwrap_or(1);
        if !(1..=MOST_CHOICES).contains(&choices) {
            return Err(Problem::value("n", "a number from 1 to 128"));
        }
        let old = cap(self.max_tokens, "max_tokens")?;
        let new = cap(self.max_completion_tokens, "max_completion_tokens")?;
        let cap = old.into_iter().chain(new).min();
        let prompt = self.prompt(given)?;
        Ok(ChatAsk { stream, include_usage, choices, cap, prompt, wish: self.wish()? })
    }

    fn wish(&self) -> Result<Wish, Problem> {
        #[derive(Deserialize)]
        struct Turn<'a> {
            #[serde(borrow)]
            role: Option<Text<'a>>,
        }
        let tools = output::tools(self.tools, "function")?;
        let is_result = |raw: &RawValue| {
            let turn: Option<Turn<'_>> = serde_json::from_str(raw.get()).ok();
            turn.and_then(|turn| turn.role).is_some_and(|role| role.0 == "tool")
        };
        Ok(Wish {
            demand: output::demand(self.tool_choice)?,
            json: output::is_kind(self.response_format, "json"),
            has_results: !tools.is_empty() && output::last(self.messages).is_some_and(is_result),
            tools,
        })
    }

    fn include_usage(&self, stream: bool) -> Result<bool, Problem> {
        #[derive(Deserialize)]
        struct StreamOptions {
            include_usage: Option<bool>,
        }
        let Some(raw) = self.stream_options else { return Ok(false) };
        if !stream {
            return Err(Problem::value("stream_options", "it only together with 'stream': true"));
        }
        object::<StreamOptions>(raw, "stream_options").map(|options| options.include_usage.unwrap_or(false))
    }

    fn prompt(&self, given: Option<u64>) -> Result<u64, Problem> {
        prompt(self.messages, given)
    }
}

/// Tokens of the messages, unless their number is `given`.
pub(crate) fn prompt(messages: Option<&RawValue>, given: Option<u64>) -> Result<u64, Problem> {
    let raw = messages.ok_or_else(|| Problem::missing("messages"))?;
    if !raw.get().starts_with('[') {
        return Err(Problem::mistyped("messages", "an array of objects"));
    }
    if let Some(given) = given {
        return Ok(given);
    }
    let messages: Vec<&RawValue> = typed(Some(raw), "messages", "an array of objects")?.unwrap_or_default();
    if messages.is_empty() {
        return Err(Problem::value("messages", "at least one message"));
    }
    let mut tokens = TOKENS_PER_ANSWER;
    for (index, message) in messages.into_iter().enumerate() {
        tokens += TOKENS_PER_MESSAGE + message_tokens(message, index)?;
    }
    Ok(tokens)
}

impl EmbeddingFields<'_> {
    /// The model as asked, its suffix included.
    pub(crate) fn model(&self) -> Result<String, Problem> {
        model(self.model)
    }

    /// The rest. The inputs are counted unless their size is `given`.
    pub(crate) fn ask(&self, given: Option<u64>) -> Result<EmbeddingAsk, Problem> {
        let dimensions = typed(self.dimensions, "dimensions", "an integer")?.unwrap_or(DIMENSIONS);
        if !(1..=MOST_DIMENSIONS).contains(&dimensions) {
            return Err(Problem::value("dimensions", "a number from 1 to 65536"));
        }
        let format: Option<String> = typed(self.encoding_format, "encoding_format", "a string")?;
        let base64 = match format.as_deref() {
            None | Some("float") => false,
            Some("base64") => true,
            Some(_) => return Err(Problem::value("encoding_format", "'float' or 'base64'")),
        };
        let raw = self.input.ok_or_else(|| Problem::missing("input"))?;
        let inputs = inputs(raw, given.is_none())?;
        if inputs.is_empty() || inputs.len() > MOST_INPUTS {
            return Err(Problem::value("input", "1 to 2048 inputs"));
        }
        if inputs.len() as u64 * dimensions > MOST_NUMBERS {
            return Err(Problem::value("dimensions", "fewer of them for so many inputs"));
        }
        let prompt = given.unwrap_or_else(|| inputs.iter().map(|input| input.tokens).sum());
        Ok(EmbeddingAsk { inputs, dimensions, base64, prompt })
    }
}

pub(crate) fn model(raw: Option<&RawValue>) -> Result<String, Problem> {
    typed(raw, "model", "a string")?.ok_or_else(|| Problem::missing("model"))
}

pub(crate) fn cap(raw: Option<&RawValue>, name: &str) -> Result<Option<u64>, Problem> {
    let cap = typed(raw, name, "an integer")?;
    if cap == Some(0) { Err(Problem::value(name, "a number of at least 1")) } else { Ok(cap) }
}

pub(crate) fn typed<'a, T: Deserialize<'a>>(
    raw: Option<&'a RawValue>,
    name: &str,
    expected: &str,
) -> Result<Option<T>, Problem> {
    raw.map(|raw| serde_json::from_str(raw.get()).map_err(|_| Problem::mistyped(name, expected))).transpose()
}

/// As [`typed`], for structs, which serde would also read from an array.
pub(crate) fn object<'a, T: Deserialize<'a>>(raw: &'a RawValue, name: &str) -> Result<T, Problem> {
    let read = if raw.get().starts_with('{') { serde_json::from_str(raw.get()).ok() } else { None };
    read.ok_or_else(|| Problem::mistyped(name, "an object"))
}

/// Borrows the text where it has no escapes.
#[derive(Deserialize)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
}

fn message_tokens(raw: &RawValue, index: usize) -> Result<u64, Problem> {
    let message: Message<'_> = object(raw, &format!("messages[{index}]"))?;
    let Some(content) = message.content else { return Ok(0) };
    let wrong =
        || Problem::mistyped(&format!("messages[{index}].content"), "a string or an array of objects");
    if content.get().starts_with('[') {
        let parts: Vec<Part<'_>> = serde_json::from_str(content.get()).map_err(|_| wrong())?;
        return Ok(parts.iter().filter_map(|part| part.text.as_ref()).map(|text| text::count(&text.0)).sum());
    }
    let content: Text<'_> = serde_json::from_str(content.get()).map_err(|_| wrong())?;
    Ok(text::count(&content.0))
}

fn inputs(raw: &RawValue, count: bool) -> Result<Vec<Input>, Problem> {
    let wrong =
        || Problem::mistyped("input", "a string, an array of strings, of integers or of arrays of integers");
    if !raw.get().starts_with('[') {
        return text_input(raw, count).map(|input| vec![input]).ok_or_else(wrong);
    }
    if let Some(input) = token_input(raw) {
        return Ok(vec![input]);
    }
    let items: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| wrong())?;
    items
        .into_iter()
        .map(|item| text_input(item, count).or_else(|| token_input(item)).ok_or_else(wrong))
        .collect()
}

fn text_input(raw: &RawValue, count: bool) -> Option<Input> {
    let Text(text) = serde_json::from_str(raw.get()).ok()?;
    let tokens = if count { text::count(&text) } else { 0 };
    Some(Input { print: print(text.bytes().map(u64::from)), tokens })
}

/// An input given as token numbers; never an empty one, which could as well be no input at all.
fn token_input(raw: &RawValue) -> Option<Input> {
    let numbers: Vec<u32> = serde_json::from_str(raw.get()).ok()?;
    let filled = !numbers.is_empty();
    filled.then(|| Input { tokens: numbers.len() as u64, print: print(numbers.into_iter().map(u64::from)) })
}

/// FNV-1a.
fn print(contents: impl Iterator<Item = u64>) -> u64 {
    contents.fold(0xcbf2_9ce4_8422_2325, |print, item| (print ^ item).wrapping_mul(0x0100_0000_01b3))
}
