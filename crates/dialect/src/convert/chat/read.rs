//! A Chat Completions request, read.
//!
//! What tunes an answer and has no counterpart is dropped with a note; what the answer would have to hold, or what
//! changes who says what, is refused.

use std::borrow::Cow;

use crate::convert::conversation::{
    Body, Cache, Choice, Conversation, Effort, Format, ListNames, Part, Reasoning, Role, Sealed, Set, Signer,
    Source, Tool,
};
use crate::convert::notes::{Inexpressible, Notes};
use crate::convert::value::{Object, Value};
use crate::json::Kind;

const NAMES: ListNames = ListNames {
    turns: "messages",
    parts: "content",
    thoughts: "messages[].reasoning_details",
    cache: "messages[].content[].cache_control",
    failed: "messages[].content",
};

/// Settings without a counterpart: the answer is one that could have been given with them, too.
const TUNING: [&str; 9] = [
    "logit_bias",
    "prediction",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "metadata",
    "store",
    "moderation",
    "top_k",
];

/// Reads a request.
pub(in crate::convert) fn request<'a>(
    document: &Value<'a, '_>,
    notes: &mut Notes,
) -> Result<Conversation<'a>, Inexpressible> {
    let body = document.object()?;
    let mut to = Conversation::new(NAMES);
    body.pass_over("model");
    body.pass_over("stream");
    demands(&body)?;
    messages(&body, &mut to, notes)?;
    if let Some(tools) = body.take("tools") {
        for tool in tools.items()?.iter() {
            to.tools.extend(self::tool(&tool, notes)?);
        }
    }
    to.choice = body.take("tool_choice").map(|value| choice(&value)).transpose()?;
    to.parallel = body.boolean("parallel_tool_calls")?.map(|value| Set::new("parallel_tool_calls", value));
    let caps = [body.count("max_tokens")?, body.count("max_completion_tokens")?];
    to.cap = caps.into_iter().flatten().max();
    to.stops = body.take("stop").map(|value| stops(&value)).transpose()?;
    sampling(&body, &mut to)?;
    to.format = match body.take("response_format") {
        Some(value) => format(&value)?,
        None => None,
    };
    to.reasoning =
        body.take("reasoning_effort").map(|value| effort(&value, "reasoning_effort")).transpose()?;
    to.verbosity = body.string("verbosity")?.map(|value| Set::new("verbosity", value));
    let user = body.string("user")?.map(|value| Set::new("user", value));
    let identifier = body.string("safety_identifier")?.map(|value| Set::new("safety_identifier", value));
    to.user = identifier.or(user);
    to.service_tier = body.string("service_tier")?.map(|value| Set::new("service_tier", value));
    if let Some(options) = body.take("stream_options") {
        to.asked.include_usage = options.object()?.boolean("include_usage")?.unwrap_or(false);
    }
    for name in TUNING {
        body.drop(name, "has no counterpart at the provider", notes);
    }
    body.drop_rest(notes);
    Ok(to)
}

/// Refuses what the answer would have to hold, and cannot.
fn demands(body: &Object<'_, '_>) -> Result<(), Inexpressible> {
    if let Some(n) = body.take("n").filter(|n| n.raw.get() != "1") {
        return Err(n.refuse("this model's provider answers with one choice; leave it out or make it 1"));
    }
    for name in ["logprobs", "top_logprobs"] {
        if let Some(value) = body.take(name).filter(|value| !matches!(value.raw.get(), "false" | "0")) {
            return Err(value.refuse("this model's provider tells no log probabilities; leave it out"));
        }
    }
    if let Some(modalities) = body.take("modalities") {
        for modality in modalities.items()?.iter() {
            if modality.string()? != "text" {
                return Err(modality.refuse("this model is called for text only; leave it out"));
            }
        }
    }
    body.refuse("audio", "this model is called for text only; leave it out")?;
    body.refuse("web_search_options", "this model's provider is not asked to search the web; leave it out")?;
    body.refuse("functions", "it was replaced by 'tools'; use that for this model")?;
    body.refuse("function_call", "it was replaced by 'tool_choice'; use that for this model")
}

fn messages<'a>(
    body: &Object<'a, '_>,
    to: &mut Conversation<'a>,
    notes: &mut Notes,
) -> Result<(), Inexpressible> {
    let messages = body.take("messages").ok_or_else(|| body.missing("messages"))?;
    for (turn, message) in messages.items()?.iter().enumerate() {
        let object = message.object()?;
        let role = object.take("role").ok_or_else(|| object.missing("role"))?;
        match &*role.string()? {
            "system" | "developer" => {
                let parts = content(&object, turn, notes)?;
                if !parts.iter().all(|part| matches!(part.body, Body::Text(_))) {
                    return Err(message.refuse("instructions can only be text"));
                }
                to.push(Role::System, parts);
            }
            "user" => to.push(Role::User, content(&object, turn, notes)?),
            "assistant" => to.push(Role::Assistant, assistant(&object, turn, notes)?),
            "tool" => {
                let id = object.need_string("tool_call_id")?;
                let content = content(&object, turn, notes)?;
                to.push(Role::User, vec![Part::new(turn, Body::Result { id, content, failed: false })]);
            }
            "function" => return Err(role.refuse("it was replaced by 'tool'; use that for this model")),
            _ => return Err(role.refuse("it is none of system, developer, user, assistant, tool")),
        }
        object.drop("name", "participants have no names at the provider", notes);
        object.drop_rest(notes);
    }
    Ok(())
}

fn assistant<'a>(
    message: &Object<'a, '_>,
    turn: usize,
    notes: &mut Notes,
) -> Result<Vec<Part<'a>>, Inexpressible> {
    let mut parts = thoughts(message, turn, notes)?;
    parts.extend(content(message, turn, notes)?);
    if let Some(refusal) = message.string("refusal")? {
        parts.push(Part::new(turn, Body::Text(refusal)));
    }
    message.refuse(
        "audio",
        "audio of an earlier answer cannot be sent to this model; send its transcript as content",
    )?;
    message.refuse("function_call", "it was replaced by 'tool_calls'; use that for this model")?;
    message.pass_over("annotations");
    if let Some(calls) = message.take("tool_calls") {
        for call in calls.items()?.iter() {
            parts.push(Part::new(turn, self::call(&call, notes)?));
        }
    }
    Ok(parts)
}

/// What the model thought: with its seal in `reasoning_details` (OpenRouter's shape, in which our answers tell it),
/// else as text, which no provider takes back.
fn thoughts<'a>(
    message: &Object<'a, '_>,
    turn: usize,
    notes: &mut Notes,
) -> Result<Vec<Part<'a>>, Inexpressible> {
    let mut parts = Vec::new();
    if let Some(details) = message.take("reasoning_details") {
        for detail in details.items()?.iter() {
            let object = detail.object()?;
            let signer = match object.string("format")?.as_deref() {
                Some("google-gemini-v1") => Signer::Google,
                _ => Signer::Anthropic,
            };
            let sealed = |text| Sealed { by: signer, text };
            match object.string("type")?.as_deref() {
                Some("reasoning.text") => {
                    let signature = object.string("signature")?.map(sealed);
                    let text = object.string("text")?.unwrap_or_default();
                    parts.push(Part::new(turn, Body::Thinking { text, signature }));
                }
                Some("reasoning.encrypted") => {
                    let data = object.need_string("data")?;
                    parts.push(Part::new(turn, Body::Redacted(sealed(data))));
                }
                _ => notes.drop(&detail.path, "reasoning of this type cannot be sent back"),
            }
        }
    }
    // The same text under other names.
    for name in ["reasoning_content", "reasoning"] {
        match message.take(name) {
            Some(value) if parts.is_empty() => {
                parts.push(Part::new(turn, Body::Thinking { text: value.string()?, signature: None }));
            }
            Some(_) | None => {}
        }
    }
    Ok(parts)
}

fn call<'a>(call: &Value<'a, '_>, notes: &mut Notes) -> Result<Body<'a>, Inexpressible> {
    let object = call.object()?;
    let id = object.need_string("id")?;
    if object.string("type")?.is_some_and(|kind| kind != "function") {
        return Err(call.refuse("only calls of type 'function' can be sent to this model"));
    }
    let signature = match object.take("extra_content") {
        Some(extra) => google_signature(&extra)?,
        None => None,
    };
    let function = object.take("function").ok_or_else(|| object.missing("function"))?;
    let function = function.object()?;
    let name = function.need_string("name")?;
    let arguments = function.string("arguments")?.unwrap_or_default();
    object.pass_over("index");
    object.drop_rest(notes);
    Ok(Body::Call { id, name, arguments, signature })
}

/// Where Google's own OpenAI-compatible API tells the signature of a call.
pub(super) fn google_signature<'a>(extra: &Value<'a, '_>) -> Result<Option<Sealed<'a>>, Inexpressible> {
    let object = extra.object()?;
    let Some(google) = object.take("google") else { return Ok(None) };
    let text = google.object()?.string("thought_signature")?;
    Ok(text.map(|text| Sealed { by: Signer::Google, text }))
}

/// The content of a message: nothing, a text or parts.
fn content<'a>(
    message: &Object<'a, '_>,
    turn: usize,
    notes: &mut Notes,
) -> Result<Vec<Part<'a>>, Inexpressible> {
    let Some(content) = message.take("content") else { return Ok(Vec::new()) };
    if content.kind() == Kind::String {
        return Ok(vec![Part::new(turn, Body::Text(content.string()?))]);
    }
    let mut parts = Vec::new();
    for (at, item) in content.items()?.iter().enumerate() {
        let object = item.object()?;
        let mut part = Part::at(turn, at, part(&item, &object, notes)?);
        part.cache = cache(&object)?;
        object.drop_rest(notes);
        parts.push(part);
    }
    Ok(parts)
}

fn part<'a>(
    item: &Value<'a, '_>,
    object: &Object<'a, '_>,
    notes: &mut Notes,
) -> Result<Body<'a>, Inexpressible> {
    let inner = |name| object.take(name).ok_or_else(|| object.missing(name));
    Ok(match &*object.need_string("type")? {
        "text" => Body::Text(object.need_string("text")?),
        "refusal" => Body::Text(object.need_string("refusal")?),
        "image_url" => {
            let image = inner("image_url")?;
            let image = image.object()?;
            image.drop("detail", "the provider chooses the detail of images", notes);
            Body::Image(Source::url(image.need_string("url")?))
        }
        "input_audio" => {
            let audio = inner("input_audio")?;
            let audio = audio.object()?;
            Body::Audio { format: audio.need_string("format")?, data: audio.need_string("data")? }
        }
        "file" => {
            let file = inner("file")?;
            let file = file.object()?;
            let source = match (file.string("file_data")?, file.string("file_id")?) {
                (Some(data), _) => Source::url(data),
                (None, Some(_)) => Source::Id,
                (None, None) => return Err(file.missing("file_data")),
            };
            Body::File { source, name: file.string("filename")? }
        }
        _ => return Err(item.refuse("parts of this type cannot be sent to this model")),
    })
}

/// A mark for the cache: OpenAI's, or the one that Anthropic has and that gateways take on this form, too.
fn cache(part: &Object<'_, '_>) -> Result<Option<Cache>, Inexpressible> {
    let own = part.take("prompt_cache_breakpoint").is_some();
    let theirs = part.take("cache_control").map(|value| cache_control(&value)).transpose()?;
    Ok(theirs.or(own.then_some(Cache::Short)))
}

/// `cache_control`, as Anthropic writes it.
pub(in crate::convert) fn cache_control(value: &Value<'_, '_>) -> Result<Cache, Inexpressible> {
    let ttl = value.object()?.string("ttl")?;
    Ok(if ttl.is_some_and(|ttl| ttl == "1h") { Cache::Hour } else { Cache::Short })
}

/// A tool; none if it is one that only OpenAI runs.
fn tool<'a>(tool: &Value<'a, '_>, notes: &mut Notes) -> Result<Option<Tool<'a>>, Inexpressible> {
    let object = tool.object()?;
    if object.need_string("type")? != "function" {
        notes.drop(&tool.path, "only tools of type 'function' can be offered to this model");
        return Ok(None);
    }
    let function = object.take("function").ok_or_else(|| object.missing("function"))?;
    let function = function.object()?;
    let cache = object.take("cache_control").map(|value| cache_control(&value)).transpose()?;
    let schema = function.take("parameters").map(|value| value.object_text()).transpose()?;
    let read = Tool {
        name: function.need_string("name")?,
        description: function.string("description")?,
        schema: schema.map(Cow::Borrowed),
        strict: function.boolean("strict")?,
        cache,
    };
    function.drop_rest(notes);
    object.drop_rest(notes);
    Ok(Some(read))
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
        if object.need_string("type")? != "function" {
            return Err(value.refuse("only a function can be demanded of this model"));
        }
        let function = object.take("function").ok_or_else(|| object.missing("function"))?;
        Choice::Tool(function.object()?.need_string("name")?)
    };
    Ok(Set::new("tool_choice", choice))
}

fn stops<'a>(value: &Value<'a, '_>) -> Result<Set<Vec<Cow<'a, str>>>, Inexpressible> {
    let stops = if value.kind() == Kind::String {
        vec![value.string()?]
    } else {
        value.items()?.iter().map(|item| item.string()).collect::<Result<_, _>>()?
    };
    Ok(Set::new("stop", stops))
}

fn sampling<'a>(body: &Object<'a, '_>, to: &mut Conversation<'a>) -> Result<(), Inexpressible> {
    let number = |name| Ok::<_, Inexpressible>(body.number(name)?.map(|value| Set::new(name, value)));
    to.sampling.temperature = number("temperature")?;
    to.sampling.top_p = number("top_p")?;
    to.sampling.seed = number("seed")?;
    to.sampling.frequency_penalty = number("frequency_penalty")?;
    to.sampling.presence_penalty = number("presence_penalty")?;
    Ok(())
}

fn format<'a>(value: &Value<'a, '_>) -> Result<Option<Set<Format<'a>>>, Inexpressible> {
    const NAME: &str = "response_format";
    let object = value.object()?;
    let format = match &*object.need_string("type")? {
        "text" => return Ok(None),
        "json_object" => Format::Json,
        "json_schema" => {
            let inner = object.take("json_schema").ok_or_else(|| object.missing("json_schema"))?;
            let inner = inner.object()?;
            schema_format(&inner)?
        }
        _ => return Err(value.refuse("this model knows the types text, json_object and json_schema")),
    };
    Ok(Some(Set::new(NAME, format)))
}

/// The members that describe a schema, the same in Chat and in Responses.
pub(in crate::convert) fn schema_format<'a>(inner: &Object<'a, '_>) -> Result<Format<'a>, Inexpressible> {
    let schema = inner.take("schema").ok_or_else(|| inner.missing("schema"))?.object_text()?;
    Ok(Format::Schema {
        name: inner.string("name")?,
        description: inner.string("description")?,
        schema: Cow::Borrowed(schema),
        strict: inner.boolean("strict")?,
    })
}

/// An effort by its word.
pub(in crate::convert) fn effort(
    value: &Value<'_, '_>,
    name: &'static str,
) -> Result<Set<Reasoning>, Inexpressible> {
    let effort = Effort::read(&value.string()?)
        .ok_or_else(|| value.refuse("it is none of none, minimal, low, medium, high, xhigh, max"))?;
    Ok(Set::new(name, Reasoning { effort: Some(effort), budget: None }))
}
