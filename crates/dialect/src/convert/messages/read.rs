//! A Messages request, read.

use std::borrow::Cow;

use crate::convert::chat::read::cache_control;
use crate::convert::conversation::{
    Body, Choice, Conversation, Effort, Format, ListNames, Part, Reasoning, Role, Sealed, Set, Source, Tool,
};
use crate::convert::notes::{Inexpressible, Notes};
use crate::convert::value::{Object, Value};
use crate::json::Kind;

const NAMES: ListNames = ListNames {
    turns: "messages",
    parts: "content",
    thoughts: "messages[].content[].thinking",
    cache: "messages[].content[].cache_control",
    failed: "messages[].content[].is_error",
};

/// Settings without a counterpart: the answer is one that could have been given with them, too.
const TUNING: [&str; 7] = [
    "cache_control",
    "context_management",
    "diagnostics",
    "inference_geo",
    "speed",
    "user_profile_id",
    "workspace_id",
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
    body.refuse("container", "containers exist at Anthropic only; leave it out for this model")?;
    body.refuse("mcp_servers", "this model's provider does not call MCP servers; leave it out")?;
    if let Some(system) = body.take("system") {
        to.system = content(&system, 0, notes)?;
        if !to.system.iter().all(|part| matches!(part.body, Body::Text(_))) {
            return Err(system.refuse("instructions can only be text"));
        }
    }
    messages(&body, &mut to, notes)?;
    if let Some(tools) = body.take("tools") {
        for tool in tools.items()?.iter() {
            to.tools.extend(self::tool(&tool, notes)?);
        }
    }
    if let Some(value) = body.take("tool_choice") {
        choice(&value, &mut to)?;
    }
    to.cap = body.count("max_tokens")?;
    if to.cap == Some(0) {
        return Err(Inexpressible::named(
            "max_tokens",
            "0 warms the cache of Anthropic's models; this model must be asked for at least 1 token",
        ));
    }
    if let Some(stops) = body.take("stop_sequences") {
        let stops = stops.items()?.iter().map(|item| item.string()).collect::<Result<_, _>>()?;
        to.stops = Some(Set::new("stop_sequences", stops));
    }
    let number = |name| Ok::<_, Inexpressible>(body.number(name)?.map(|value| Set::new(name, value)));
    to.sampling.temperature = number("temperature")?;
    to.sampling.top_p = number("top_p")?;
    to.sampling.top_k = number("top_k")?;
    reasoning_and_format(&body, &mut to, notes)?;
    if let Some(metadata) = body.take("metadata") {
        to.user = metadata.object()?.string("user_id")?.map(|user| Set::new("metadata.user_id", user));
    }
    to.service_tier = match body.take("service_tier").map(|value| value.string()).transpose()?.as_deref() {
        Some("standard_only") => Some(Set::new("service_tier", Cow::Borrowed("default"))),
        // `auto` is what every provider does unless told otherwise.
        _ => None,
    };
    for name in TUNING {
        body.drop(name, "has no counterpart at the provider", notes);
    }
    body.drop_rest(notes);
    Ok(to)
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
        let role = match &*role.string()? {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            _ => return Err(role.refuse("it is none of user, assistant, system")),
        };
        let content = object.take("content").ok_or_else(|| object.missing("content"))?;
        // Pushed as a turn even where it comes first: what Anthropic has in `system` stands before it.
        let parts = self::content(&content, turn, notes)?;
        to.push(role, parts);
        object.drop_rest(notes);
    }
    Ok(())
}

/// A text, or blocks.
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
        let cache = object.take("cache_control").map(|value| cache_control(&value)).transpose()?;
        let Some(body) = block(&item, &object, turn, notes)? else { continue };
        object.drop_rest(notes);
        parts.push(Part { cache, ..Part::at(turn, at, body) });
    }
    Ok(parts)
}

fn block<'a>(
    item: &Value<'a, '_>,
    object: &Object<'a, '_>,
    turn: usize,
    notes: &mut Notes,
) -> Result<Option<Body<'a>>, Inexpressible> {
    Ok(Some(match &*object.need_string("type")? {
        "text" => {
            object.drop("citations", "citations of earlier answers are not sent on", notes);
            Body::Text(object.need_string("text")?)
        }
        "image" => Body::Image(source(object)?),
        "document" => {
            object.drop("citations", "this model does not cite documents", notes);
            object.drop("context", "documents have no context of their own at the provider", notes);
            Body::File { name: object.string("title")?, source: source(object)? }
        }
        "thinking" => {
            let signature = object.string("signature")?.filter(|text| !text.is_empty()).map(Sealed::untagged);
            Body::Thinking { text: object.string("thinking")?.unwrap_or_default(), signature }
        }
        "redacted_thinking" => Body::Redacted(Sealed::untagged(object.need_string("data")?)),
        "tool_use" => {
            object.pass_over("caller");
            let input = object.take("input").map(|input| input.object_text()).transpose()?.unwrap_or("{}");
            Body::Call {
                id: object.need_string("id")?,
                name: object.need_string("name")?,
                arguments: Cow::Borrowed(input),
                signature: None,
            }
        }
        "tool_result" => {
            let id = object.need_string("tool_use_id")?;
            let failed = object.boolean("is_error")?.unwrap_or(false);
            let content = match object.take("content") {
                Some(content) => results(&content, turn, notes)?,
                None => Vec::new(),
            };
            Body::Result { id, content, failed }
        }
        "server_tool_use" | "web_search_tool_result" | "web_fetch_tool_result" => {
            notes.drop(&item.path, "what Anthropic's own tools did is not sent on");
            return Ok(None);
        }
        _ => return Err(item.refuse("blocks of this type cannot be sent to this model")),
    }))
}

/// The content of a result: what stands in it again must be text or media, so nothing nests further.
fn results<'a>(
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
        object.pass_over("cache_control");
        let body = match &*object.need_string("type")? {
            "text" => Body::Text(object.need_string("text")?),
            "image" => Body::Image(source(&object)?),
            "document" => Body::File { name: object.string("title")?, source: source(&object)? },
            _ => return Err(item.refuse("results of this type cannot be sent to this model")),
        };
        object.drop_rest(notes);
        parts.push(Part::at(turn, at, body));
    }
    Ok(parts)
}

fn source<'a>(object: &Object<'a, '_>) -> Result<Source<'a>, Inexpressible> {
    let source = object.take("source").ok_or_else(|| object.missing("source"))?;
    let inner = source.object()?;
    Ok(match &*inner.need_string("type")? {
        "base64" => {
            Source::Inline { mime: inner.need_string("media_type")?, data: inner.need_string("data")? }
        }
        "url" => Source::url(inner.need_string("url")?),
        "file" => {
            inner.need_string("file_id")?;
            Source::Id
        }
        "text" => Source::Text(inner.need_string("data")?),
        _ => return Err(source.refuse("sources of this type cannot be sent to this model")),
    })
}

/// A tool; none if its schema is known to Anthropic's models only.
fn tool<'a>(tool: &Value<'a, '_>, notes: &mut Notes) -> Result<Option<Tool<'a>>, Inexpressible> {
    let object = tool.object()?;
    if object.string("type")?.is_some_and(|kind| kind != "custom") {
        notes.drop(&tool.path, "only tools with a schema of their own can be offered to this model");
        return Ok(None);
    }
    let schema = object.take("input_schema").ok_or_else(|| object.missing("input_schema"))?;
    let read = Tool {
        name: object.need_string("name")?,
        description: object.string("description")?,
        schema: Some(Cow::Borrowed(schema.object_text()?)),
        strict: object.boolean("strict")?,
        cache: object.take("cache_control").map(|value| cache_control(&value)).transpose()?,
    };
    for name in ["defer_loading", "eager_input_streaming", "allowed_callers", "input_examples"] {
        object.drop(name, "has no counterpart at the provider", notes);
    }
    object.drop_rest(notes);
    Ok(Some(read))
}

fn choice<'a>(value: &Value<'a, '_>, to: &mut Conversation<'a>) -> Result<(), Inexpressible> {
    let object = value.object()?;
    let choice = match &*object.need_string("type")? {
        "auto" => Choice::Auto,
        "any" => Choice::Any,
        "none" => Choice::Never,
        "tool" => Choice::Tool(object.need_string("name")?),
        _ => return Err(value.refuse("it is none of auto, any, tool, none")),
    };
    to.choice = Some(Set::new("tool_choice", choice));
    let disabled = object.boolean("disable_parallel_tool_use")?;
    to.parallel = disabled.map(|disabled| Set::new("tool_choice.disable_parallel_tool_use", !disabled));
    Ok(())
}

/// `thinking` and `output_config`, which together say how much is thought and in which shape the answer comes.
fn reasoning_and_format<'a>(
    body: &Object<'a, '_>,
    to: &mut Conversation<'a>,
    notes: &mut Notes,
) -> Result<(), Inexpressible> {
    let mut reasoning = None;
    if let Some(thinking) = body.take("thinking") {
        let object = thinking.object()?;
        let budget = object.count("budget_tokens")?;
        reasoning = Some(Set::new(
            "thinking",
            match &*object.need_string("type")? {
                "disabled" => Reasoning { effort: Some(Effort::Off), budget: None },
                "enabled" => Reasoning { effort: None, budget },
                "adaptive" => Reasoning::default(),
                _ => return Err(thinking.refuse("its type is none of enabled, adaptive, disabled")),
            },
        ));
        // Whether thoughts are shown is the provider's choice in the other forms.
        object.pass_over("display");
        object.drop_rest(notes);
    }
    if let Some(config) = body.take("output_config") {
        let object = config.object()?;
        if let Some(effort) = object.take("effort") {
            let told = crate::convert::chat::read::effort(&effort, "output_config.effort")?;
            let set = reasoning.get_or_insert(told);
            // An effort colours the whole answer; without thinking there is none to set.
            if set.value.effort.is_none() && set.value.budget.is_none() {
                set.value.effort = Effort::read(&effort.string()?);
            }
        }
        if let Some(format) = object.take("format") {
            let inner = format.object()?;
            if inner.need_string("type")? != "json_schema" {
                return Err(format.refuse("its type is not json_schema"));
            }
            let schema = inner.take("schema").ok_or_else(|| inner.missing("schema"))?.object_text()?;
            let schema = Cow::Borrowed(schema);
            let format = Format::Schema { name: None, description: None, schema, strict: None };
            to.format = Some(Set::new("output_config.format", format));
        }
        object.drop("task_budget", "has no counterpart at the provider", notes);
        object.drop_rest(notes);
    }
    to.reasoning = reasoning;
    Ok(())
}
