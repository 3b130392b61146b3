//! A Responses request, read.

use std::borrow::Cow;

use super::sealed;
use crate::convert::chat::read::{effort, schema_format};
use crate::convert::conversation::{
    Body, Cache, Choice, Conversation, Format, ListNames, Part, Role, Set, Source, Tool, joined_text,
};
use crate::convert::notes::{Inexpressible, Notes};
use crate::convert::value::{Object, Value};
use crate::convert::writer;
use crate::json::Kind;

const NAMES: ListNames = ListNames {
    turns: "input",
    parts: "content",
    thoughts: "input[].encrypted_content",
    cache: "input[].content[].prompt_cache_breakpoint",
    failed: "input[].output",
};

/// Settings without a counterpart: the answer is one that could have been given with them, too.
const TUNING: [&str; 9] = [
    "client_metadata",
    "context_management",
    "max_tool_calls",
    "metadata",
    "moderation",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "stream_options",
];

/// Members that stand in the answer as they stood in the request.
const ECHOED: [&str; 11] = [
    "instructions",
    "max_output_tokens",
    "metadata",
    "parallel_tool_calls",
    "reasoning",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_p",
    "user",
];

/// The schema of a tool that takes free text: no other form has such tools.
const TEXT_SCHEMA: &str = r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}"#;

/// Reads a request.
pub(in crate::convert) fn request<'a>(
    document: &Value<'a, '_>,
    notes: &mut Notes,
) -> Result<Conversation<'a>, Inexpressible> {
    let body = document.object()?;
    let mut to = Conversation::new(NAMES);
    let echo = ECHOED.iter().filter_map(|name| Some((*name, body.peek(name)?.get().to_owned())));
    to.asked.echo = echo.collect();
    body.pass_over("model");
    body.pass_over("stream");
    demands(&body, notes)?;
    if let Some(instructions) = body.take("instructions") {
        // A list of items is what an answer echoes; nobody sends one.
        to.system.push(Part::new(0, Body::Text(instructions.string()?)));
    }
    input(&body, &mut to, notes)?;
    if let Some(tools) = body.take("tools") {
        for tool in tools.items()?.iter() {
            self::tool(&tool, &mut to, notes)?;
        }
    }
    to.choice = body.take("tool_choice").map(|value| choice(&value)).transpose()?;
    to.parallel = body.boolean("parallel_tool_calls")?.map(|value| Set::new("parallel_tool_calls", value));
    to.cap = body.count("max_output_tokens")?;
    to.sampling.temperature = body.number("temperature")?.map(|value| Set::new("temperature", value));
    to.sampling.top_p = body.number("top_p")?.map(|value| Set::new("top_p", value));
    if let Some(reasoning) = body.take("reasoning") {
        let object = reasoning.object()?;
        to.reasoning = object.take("effort").map(|value| effort(&value, "reasoning.effort")).transpose()?;
        // What a provider shows of its reasoning is its own choice in the other forms.
        object.pass_over("summary");
        object.pass_over("generate_summary");
        object.drop_rest(notes);
    }
    if let Some(text) = body.take("text") {
        let object = text.object()?;
        to.verbosity = object.string("verbosity")?.map(|value| Set::new("text.verbosity", value));
        if let Some(format) = object.take("format") {
            to.format = self::format(&format)?;
        }
        object.drop_rest(notes);
    }
    let user = body.string("user")?.map(|value| Set::new("user", value));
    let identifier = body.string("safety_identifier")?.map(|value| Set::new("safety_identifier", value));
    to.user = identifier.or(user);
    to.service_tier = body.string("service_tier")?.map(|value| Set::new("service_tier", value));
    for name in TUNING {
        body.drop(name, "has no counterpart at the provider", notes);
    }
    body.drop_rest(notes);
    Ok(to)
}

/// Refuses what needs state that neither the provider nor the gateway keeps, and what the answer could not hold.
fn demands(body: &Object<'_, '_>, notes: &mut Notes) -> Result<(), Inexpressible> {
    const STATE: &str =
        "this model's provider keeps no conversations; send the whole input with every request";
    body.refuse("previous_response_id", STATE)?;
    body.refuse("conversation", STATE)?;
    body.refuse(
        "prompt",
        "this model's provider keeps no prompts; send the text in 'instructions' and 'input'",
    )?;
    if let Some(background) = body.take("background").filter(|value| value.raw.get() != "false") {
        return Err(background.refuse("this model's provider answers at once only; leave it out"));
    }
    if let Some(top) = body.take("top_logprobs").filter(|value| value.raw.get() != "0") {
        return Err(top.refuse("this model's provider tells no log probabilities; leave it out"));
    }
    if let Some(store) = body.take("store").filter(|value| value.raw.get() != "false") {
        notes.drop(&store.path, "this model's provider stores no responses");
    }
    if let Some(truncation) = body.take("truncation").filter(|value| value.raw.get() != "\"disabled\"") {
        notes.drop(&truncation.path, "the input is sent whole");
    }
    if let Some(include) = body.take("include") {
        for wanted in include.items()?.iter() {
            if wanted.string()? != "reasoning.encrypted_content" {
                notes.drop(&wanted.path, "the provider does not tell it");
            }
        }
    }
    Ok(())
}

fn input<'a>(
    body: &Object<'a, '_>,
    to: &mut Conversation<'a>,
    notes: &mut Notes,
) -> Result<(), Inexpressible> {
    let input = body.take("input").ok_or_else(|| body.missing("input"))?;
    if input.kind() == Kind::String {
        to.push(Role::User, vec![Part::new(0, Body::Text(input.string()?))]);
        return Ok(());
    }
    for (turn, item) in input.items()?.iter().enumerate() {
        let object = item.object()?;
        object.pass_over("id");
        object.pass_over("status");
        let kind = object.string("type")?.unwrap_or(Cow::Borrowed("message"));
        match &*kind {
            "message" => {
                object.pass_over("phase");
                let role = object.take("role").ok_or_else(|| object.missing("role"))?;
                let role = match &*role.string()? {
                    "system" | "developer" => Role::System,
                    "user" => Role::User,
                    "assistant" => Role::Assistant,
                    _ => return Err(role.refuse("it is none of user, assistant, system, developer")),
                };
                let content = object.take("content").ok_or_else(|| object.missing("content"))?;
                let parts = self::content(&content, turn, notes)?;
                if role == Role::System && !parts.iter().all(|part| matches!(part.body, Body::Text(_))) {
                    return Err(item.refuse("instructions can only be text"));
                }
                to.push(role, parts);
            }
            "function_call" | "custom_tool_call" => {
                let body = call(&object, kind == "custom_tool_call")?;
                to.push(Role::Assistant, vec![Part::new(turn, body)]);
            }
            "function_call_output" | "custom_tool_call_output" => {
                let id = object.need_string("call_id")?;
                let output = object.take("output").ok_or_else(|| object.missing("output"))?;
                let content = self::content(&output, turn, notes)?;
                to.push(Role::User, vec![Part::new(turn, Body::Result { id, content, failed: false })]);
            }
            "reasoning" => to.push(Role::Assistant, vec![Part::new(turn, thought(&object)?)]),
            "web_search_call" => {
                notes.drop(&item.path, "what OpenAI's own tools did is not sent on");
                continue;
            }
            "item_reference" => {
                return Err(item.refuse("this model's provider keeps no items; send the item itself"));
            }
            _ => return Err(item.refuse("items of this type cannot be sent to this model")),
        }
        object.drop_rest(notes);
    }
    Ok(())
}

fn call<'a>(object: &Object<'a, '_>, is_text: bool) -> Result<Body<'a>, Inexpressible> {
    let (id, name) = (object.need_string("call_id")?, object.need_string("name")?);
    let arguments = if is_text {
        let input = object.need_string("input")?;
        Cow::Owned(writer::object_text(|to| to.text("input", &input)))
    } else {
        object.need_string("arguments")?
    };
    Ok(Body::Call { id, name, arguments, signature: None })
}

/// What the model thought, with the seal that our own answers put into `encrypted_content`.
fn thought<'a>(object: &Object<'a, '_>) -> Result<Body<'a>, Inexpressible> {
    let mut texts = Vec::new();
    for name in ["summary", "content"] {
        if let Some(list) = object.take(name)
            && texts.is_empty()
        {
            for item in list.items()?.iter() {
                texts.push(Part::new(0, Body::Text(item.object()?.need_string("text")?)));
            }
        }
    }
    let seal = object.string("encrypted_content")?.and_then(|text| sealed(&text));
    Ok(match seal {
        Some((seal, true)) => Body::Redacted(seal),
        Some((seal, false)) => Body::Thinking { text: joined_text(&texts, "\n\n"), signature: Some(seal) },
        None => Body::Thinking { text: joined_text(&texts, "\n\n"), signature: None },
    })
}

/// A text, or parts.
fn content<'a>(
    value: &Value<'a, '_>,
    turn: usize,
    notes: &mut Notes,
) -> Result<Vec<Part<'a>>, Inexpressible> {
    if value.kind() == Kind::String {
        return Ok(vec![Part::new(turn, Body::Text(value.string()?))]);
    }
    let mut parts = Vec::new();
    for (at, item) in value.items()?.iter().enumerate() {
        let object = item.object()?;
        let body = match &*object.need_string("type")? {
            "input_text" | "output_text" | "text" => {
                object.pass_over("annotations");
                object.pass_over("logprobs");
                Body::Text(object.need_string("text")?)
            }
            "refusal" => Body::Text(object.need_string("refusal")?),
            "input_image" => {
                object.drop("detail", "the provider chooses the detail of images", notes);
                let url = object.string("image_url")?;
                object.pass_over("file_id");
                Body::Image(url.map_or(Source::Id, Source::url))
            }
            "input_file" => {
                object.drop("detail", "the provider chooses the detail of files", notes);
                let data = object.string("file_data")?;
                let url = object.string("file_url")?;
                object.pass_over("file_id");
                Body::File {
                    source: data.or(url).map_or(Source::Id, Source::url),
                    name: object.string("filename")?,
                }
            }
            "input_audio" => {
                let audio = object.take("input_audio").ok_or_else(|| object.missing("input_audio"))?;
                let audio = audio.object()?;
                Body::Audio { format: audio.need_string("format")?, data: audio.need_string("data")? }
            }
            _ => return Err(item.refuse("parts of this type cannot be sent to this model")),
        };
        let cache = object.take("prompt_cache_breakpoint").map(|_| Cache::Short);
        object.drop_rest(notes);
        parts.push(Part { cache, ..Part::at(turn, at, body) });
    }
    Ok(parts)
}

fn tool<'a>(tool: &Value<'a, '_>, to: &mut Conversation<'a>, notes: &mut Notes) -> Result<(), Inexpressible> {
    let object = tool.object()?;
    match &*object.need_string("type")? {
        "function" => {
            let schema = object.take("parameters").map(|value| value.object_text()).transpose()?;
            to.tools.push(Tool {
                name: object.need_string("name")?,
                description: object.string("description")?,
                schema: schema.map(Cow::Borrowed),
                strict: object.boolean("strict")?,
                cache: None,
            });
        }
        "custom" => {
            let name = object.need_string("name")?;
            to.asked.text_tools.insert(name.clone().into_owned());
            let mut description = object.string("description")?.unwrap_or_default();
            if let Some(format) = object.take("format")
                && let Some(grammar) = format.object()?.string("definition")?
            {
                notes.drop(&format.path, "told to the model, which is not held to it");
                let told = description.to_mut();
                told.push_str("\n\nThe input must follow this grammar:\n");
                told.push_str(&grammar);
            }
            to.tools.push(Tool {
                name,
                description: Some(description),
                schema: Some(Cow::Borrowed(TEXT_SCHEMA)),
                strict: None,
                cache: None,
            });
        }
        _ => {
            notes
                .drop(&tool.path, "only tools of types 'function' and 'custom' can be offered to this model");
            return Ok(());
        }
    }
    object.drop("defer_loading", "the provider is told every tool", notes);
    object.drop_rest(notes);
    Ok(())
}

fn choice<'a>(value: &Value<'a, '_>) -> Result<Set<Choice<'a>>, Inexpressible> {
    let choice = if value.kind() == Kind::String {
        match &*value.string()? {
            "auto" => Choice::Auto,
            "none" => Choice::Never,
            "required" => Choice::Any,
            _ => return Err(value.refuse("it is none of none, auto, required")),
        }
    } else {
        let object = value.object()?;
        match &*object.need_string("type")? {
            "function" | "custom" => Choice::Tool(object.need_string("name")?),
            _ => return Err(value.refuse("only a function or a custom tool can be demanded of this model")),
        }
    };
    Ok(Set::new("tool_choice", choice))
}

fn format<'a>(value: &Value<'a, '_>) -> Result<Option<Set<Format<'a>>>, Inexpressible> {
    let object = value.object()?;
    let format = match &*object.need_string("type")? {
        "text" => return Ok(None),
        "json_object" => Format::Json,
        "json_schema" => schema_format(&object)?,
        _ => return Err(value.refuse("this model knows the types text, json_object and json_schema")),
    };
    Ok(Some(Set::new("text.format", format)))
}
