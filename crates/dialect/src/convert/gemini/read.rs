//! A `generateContent` request, read. Its address tells the model and whether the answer streams.

use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};

use super::schema::json_schema;
use crate::convert::conversation::{
    Body, Choice, Conversation, Effort, Format, ListNames, Part, Reasoning, Role, Sealed, Set, Signer,
    Source, Tool,
};
use crate::convert::notes::{Inexpressible, Notes};
use crate::convert::value::{Object, Value};
use crate::json::Kind;

const NAMES: ListNames = ListNames {
    turns: "contents",
    parts: "parts",
    thoughts: "contents[].parts[].thought",
    cache: "cachedContent",
    failed: "contents[].parts[].functionResponse.response.error",
};

/// Calls without a result that may stand in a conversation: each result is looked for among them.
const WAITING_MAX: usize = 1_000;

/// Reads a request.
pub(in crate::convert) fn request<'a>(
    document: &Value<'a, '_>,
    notes: &mut Notes,
) -> Result<Conversation<'a>, Inexpressible> {
    let body = document.object()?;
    let mut to = Conversation::new(NAMES);
    body.pass_over("model");
    body.refuse(
        "cachedContent",
        "contents cached at Google are not known to this model's provider; send them",
    )?;
    if let Some(system) = body.take("systemInstruction") {
        let object = system.object()?;
        object.pass_over("role");
        let parts = object.take("parts").ok_or_else(|| object.missing("parts"))?;
        for part in parts.list()?.iter() {
            to.system.push(Part::new(0, Body::Text(part.object()?.need_string("text")?)));
        }
    }
    contents(&body, &mut to, notes)?;
    if let Some(tools) = body.take("tools") {
        for tool in tools.list()?.iter() {
            self::tools(&tool, &mut to, notes)?;
        }
    }
    if let Some(config) = body.take("toolConfig") {
        choice(&config, &mut to, notes)?;
    }
    if let Some(config) = body.take("generationConfig") {
        generation(&config.object()?, &mut to, notes)?;
    }
    to.service_tier = body.string("serviceTier")?.map(|tier| {
        let tier = if tier == "standard" { Cow::Borrowed("default") } else { tier };
        Set::new("serviceTier", tier)
    });
    body.drop("safetySettings", "has no counterpart at the provider", notes);
    body.drop("labels", "has no counterpart at the provider", notes);
    body.drop_rest(notes);
    Ok(to)
}

fn contents<'a>(
    body: &Object<'a, '_>,
    to: &mut Conversation<'a>,
    notes: &mut Notes,
) -> Result<(), Inexpressible> {
    let contents = body.take("contents").ok_or_else(|| body.missing("contents"))?;
    // Calls whose results have not come: most callers pair them by name and order, and not by an id.
    let mut waiting = VecDeque::new();
    for (turn, content) in contents.list()?.iter().enumerate() {
        let object = content.object()?;
        let role = match object.string("role")?.as_deref() {
            Some("user" | "function") | None => Role::User,
            Some("model") => Role::Assistant,
            Some(_) => return Err(content.refuse("its role is none of user, model")),
        };
        let mut parts = Vec::new();
        if let Some(list) = object.take("parts") {
            for (at, item) in list.list()?.iter().enumerate() {
                let part = item.object()?;
                let place = (turn, at);
                let body = self::part(&item, &part, place, &mut waiting, notes)?;
                part.drop_rest(notes);
                parts.push(Part::at(turn, at, body));
            }
        }
        object.drop_rest(notes);
        to.push(role, parts);
    }
    Ok(())
}

/// The id and the name of a call.
type Waiting<'a> = VecDeque<(Cow<'a, str>, Cow<'a, str>)>;

fn part<'a>(
    item: &Value<'a, '_>,
    part: &Object<'a, '_>,
    place: (usize, usize),
    waiting: &mut Waiting<'a>,
    notes: &mut Notes,
) -> Result<Body<'a>, Inexpressible> {
    let seal = part.string("thoughtSignature")?.map(|text| Sealed { by: Signer::Google, text });
    let is_thought = part.boolean("thought")?.unwrap_or(false);
    part.drop("videoMetadata", "has no counterpart at the provider", notes);
    part.drop("mediaResolution", "the provider chooses the detail of media", notes);
    if let Some(text) = part.string("text")? {
        return Ok(if is_thought { Body::Thinking { text, signature: seal } } else { Body::Text(text) });
    }
    if let Some(data) = part.take("inlineData") {
        let object = data.object()?;
        let mime = object.need_string("mimeType")?;
        let source = Source::Inline { mime: mime.clone(), data: object.need_string("data")? };
        return media(&data, &mime, source, object.string("displayName")?);
    }
    if let Some(data) = part.take("fileData") {
        let object = data.object()?;
        let mime = object.need_string("mimeType")?;
        let uri = object.need_string("fileUri")?;
        let is_google = uri.starts_with("gs://") || uri.contains("generativelanguage.googleapis.com/");
        let source = if is_google { Source::Id } else { Source::url(uri) };
        return media(&data, &mime, source, object.string("displayName")?);
    }
    if let Some(call) = part.take("functionCall") {
        let object = call.object()?;
        let name = object.need_string("name")?;
        let id = match object.string("id")? {
            Some(id) => id,
            None => Cow::Owned(format!("call_{}_{}", place.0, place.1)),
        };
        let arguments = object.take("args").map(|args| args.object_text()).transpose()?.unwrap_or("{}");
        if waiting.len() >= WAITING_MAX {
            return Err(call.refuse(format_args!("more than {WAITING_MAX} calls before it have no result")));
        }
        waiting.push_back((id.clone(), name.clone()));
        return Ok(Body::Call { id, name, arguments: Cow::Borrowed(arguments), signature: seal });
    }
    if let Some(response) = part.take("functionResponse") {
        return result(&response, place, waiting);
    }
    Err(item.refuse("parts of this type cannot be sent to this model"))
}

fn media<'a>(
    value: &Value<'a, '_>,
    mime: &str,
    source: Source<'a>,
    name: Option<Cow<'a, str>>,
) -> Result<Body<'a>, Inexpressible> {
    let (kind, format) = mime.split_once('/').unwrap_or((mime, ""));
    Ok(match (kind, source) {
        ("image", source) => Body::Image(source),
        ("audio", Source::Inline { data, .. }) => {
            let format = if format == "mpeg" { "mp3" } else { format };
            Body::Audio { format: Cow::Owned(format.trim_start_matches("x-").to_owned()), data }
        }
        ("application" | "text", source) => Body::File { source, name },
        _ => return Err(value.refuse("media of this type cannot be sent to this model")),
    })
}

/// The result of a call: of the one with its id, or of the first of its name that has none yet.
fn result<'a>(
    response: &Value<'a, '_>,
    place: (usize, usize),
    waiting: &mut Waiting<'a>,
) -> Result<Body<'a>, Inexpressible> {
    let object = response.object()?;
    let name = object.need_string("name")?;
    object.pass_over("willContinue");
    object.pass_over("scheduling");
    object
        .refuse("parts", "media in results of functions cannot be sent to this model; send them as parts")?;
    let id = object.string("id")?;
    let found = waiting.iter().position(|(own, called)| match &id {
        Some(id) => own == id,
        None => *called == name,
    });
    let id = match (id, found.and_then(|at| waiting.remove(at))) {
        (Some(id), _) | (None, Some((id, _))) => id,
        (None, None) => return Err(response.refuse("no call of a function of this name stands before it")),
    };
    let Some(value) = object.take("response") else {
        return Ok(Body::Result { id, content: Vec::new(), failed: false });
    };
    // What a function returned stands under one of these names, if it is no object of its own.
    let inner = value.object()?;
    let failed = inner.peek("error").is_some();
    let mut texts = ["output", "result", "error"].into_iter().filter_map(|name| inner.peek(name));
    let only = texts.next().filter(|_| inner.untaken().count() == 1 && texts.next().is_none());
    let text = match only {
        Some(raw) if Kind::of(raw.get()) == Kind::String => Value { raw, path: value.path }.string()?,
        Some(_) | None => Cow::Borrowed(value.raw.get()),
    };
    let (turn, at) = place;
    Ok(Body::Result { id, content: vec![Part::at(turn, at, Body::Text(text))], failed })
}

fn tools<'a>(
    tool: &Value<'a, '_>,
    to: &mut Conversation<'a>,
    notes: &mut Notes,
) -> Result<(), Inexpressible> {
    let object = tool.object()?;
    if let Some(list) = object.take("functionDeclarations") {
        for declaration in list.list()?.iter() {
            let function = declaration.object()?;
            let own = function.take("parameters").map(|schema| json_schema(&schema)).transpose()?;
            let json =
                function.take("parametersJsonSchema").map(|schema| schema.object_text()).transpose()?;
            to.tools.push(Tool {
                name: function.need_string("name")?,
                description: function.string("description")?,
                schema: json.map(Cow::Borrowed).or(own.map(Cow::Owned)),
                strict: None,
                cache: None,
            });
            for name in ["behavior", "response", "responseJsonSchema"] {
                function.drop(name, "has no counterpart at the provider", notes);
            }
            function.drop_rest(notes);
        }
    }
    if object.untaken().next().is_some() {
        notes.drop(&tool.path, "only functions can be offered to this model");
    }
    Ok(())
}

fn choice<'a>(
    value: &Value<'a, '_>,
    to: &mut Conversation<'a>,
    notes: &mut Notes,
) -> Result<(), Inexpressible> {
    const NAME: &str = "toolConfig.functionCallingConfig";
    let object = value.object()?;
    if let Some(config) = object.take("functionCallingConfig") {
        let inner = config.object()?;
        let mut allowed = BTreeSet::new();
        if let Some(names) = inner.take("allowedFunctionNames") {
            allowed = names.items()?.iter().map(|name| name.string()).collect::<Result<_, _>>()?;
        }
        let only = allowed.first().filter(|_| allowed.len() == 1);
        let choice = match (inner.string("mode")?.as_deref(), only) {
            (Some("ANY"), Some(name)) => Choice::Tool(name.clone()),
            (Some("ANY"), None) if allowed.is_empty() => Choice::Any,
            (Some("ANY"), None) => {
                // The model is left with the functions that it may call.
                to.tools.retain(|tool| allowed.contains(&tool.name));
                Choice::Any
            }
            (Some("NONE"), _) => Choice::Never,
            (Some("AUTO" | "VALIDATED" | "MODE_UNSPECIFIED") | None, _) => Choice::Auto,
            (Some(_), _) => return Err(config.refuse("its mode is none of AUTO, ANY, NONE, VALIDATED")),
        };
        to.choice = Some(Set::new(NAME, choice));
        inner.drop_rest(notes);
    }
    object.drop_rest(notes);
    Ok(())
}

fn generation<'a>(
    config: &Object<'a, '_>,
    to: &mut Conversation<'a>,
    notes: &mut Notes,
) -> Result<(), Inexpressible> {
    let number = |member: &str, name| {
        Ok::<_, Inexpressible>(config.number(member)?.map(|value| Set::new(name, value)))
    };
    to.sampling.temperature = number("temperature", "generationConfig.temperature")?;
    to.sampling.top_p = number("topP", "generationConfig.topP")?;
    to.sampling.top_k = number("topK", "generationConfig.topK")?;
    to.sampling.seed = number("seed", "generationConfig.seed")?;
    to.sampling.presence_penalty = number("presencePenalty", "generationConfig.presencePenalty")?;
    to.sampling.frequency_penalty = number("frequencyPenalty", "generationConfig.frequencyPenalty")?;
    to.cap = config.count("maxOutputTokens")?;
    if let Some(stops) = config.take("stopSequences") {
        let stops = stops.items()?.iter().map(|item| item.string()).collect::<Result<_, _>>()?;
        to.stops = Some(Set::new("generationConfig.stopSequences", stops));
    }
    if let Some(count) = config.take("candidateCount").filter(|count| count.raw.get() != "1") {
        return Err(
            count.refuse("this model's provider answers with one candidate; leave it out or make it 1")
        );
    }
    if let Some(wanted) = config.take("responseLogprobs").filter(|wanted| wanted.raw.get() != "false") {
        return Err(wanted.refuse("this model's provider tells no log probabilities; leave it out"));
    }
    config.refuse("speechConfig", "this model is called for text only; leave it out")?;
    if let Some(modalities) = config.take("responseModalities") {
        for modality in modalities.items()?.iter() {
            if modality.string()? != "TEXT" {
                return Err(modality.refuse("this model is called for text only; leave it out"));
            }
        }
    }
    to.format = format(config)?;
    if let Some(thinking) = config.take("thinkingConfig") {
        to.reasoning = Some(Set::new("generationConfig.thinkingConfig", reasoning(&thinking, notes)?));
    }
    config.drop("mediaResolution", "the provider chooses the detail of media", notes);
    config.drop_rest(notes);
    Ok(())
}

fn format<'a>(config: &Object<'a, '_>) -> Result<Option<Set<Format<'a>>>, Inexpressible> {
    let own = config.take("responseSchema").map(|schema| json_schema(&schema)).transpose()?;
    let json = config.take("responseJsonSchema").map(|schema| schema.object_text()).transpose()?;
    if let Some(schema) = json.map(Cow::Borrowed).or(own.map(Cow::Owned)) {
        config.pass_over("responseMimeType");
        let format = Format::Schema { name: None, description: None, schema, strict: None };
        return Ok(Some(Set::new("generationConfig.responseSchema", format)));
    }
    let Some(mime) = config.take("responseMimeType") else { return Ok(None) };
    match &*mime.string()? {
        "text/plain" => Ok(None),
        "application/json" => Ok(Some(Set::new("generationConfig.responseMimeType", Format::Json))),
        _ => Err(mime.refuse("this model answers with text/plain or application/json")),
    }
}

fn reasoning(thinking: &Value<'_, '_>, notes: &mut Notes) -> Result<Reasoning, Inexpressible> {
    let object = thinking.object()?;
    let budget = match object.take("thinkingBudget") {
        // As much as the model sees fit.
        Some(value) if value.raw.get() == "-1" => None,
        Some(value) => Some(value.count()?),
        None => None,
    };
    let effort = match object.take("thinkingLevel") {
        Some(level) => {
            let word = level.string()?.to_ascii_lowercase();
            Some(
                Effort::read(&word)
                    .ok_or_else(|| level.refuse("it is none of MINIMAL, LOW, MEDIUM, HIGH"))?,
            )
        }
        None => None,
    };
    object.pass_over("includeThoughts");
    object.drop_rest(notes);
    Ok(Reasoning { effort, budget })
}
