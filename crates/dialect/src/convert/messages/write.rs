//! A Messages request, written for Anthropic.

use crate::convert::conversation::{
    Body, Cache, Choice, Conversation, Effort, Format, Part, Reasoning, Role, Set, Signer, Source, Turn,
    arguments_object,
};
use crate::convert::notes::Notes;
use crate::convert::writer::{self, Fields, Items};
use crate::convert::{RequestOptions, Thinking, ids};

/// The fewest tokens that may be given to thinking.
const BUDGET_MIN: u64 = 1_024;

/// The schema of a tool that takes nothing.
pub(in crate::convert) const EMPTY_SCHEMA: &str = r#"{"type":"object","properties":{}}"#;

/// Writes a request.
pub(in crate::convert) fn request(
    mut from: Conversation<'_>,
    options: &RequestOptions<'_>,
    notes: &mut Notes,
) -> Vec<u8> {
    from.hoist_system(notes);
    from.drop_empty_texts();
    from.keep_thoughts(|signer| signer == Some(Signer::Anthropic), notes);
    from.merge_turns();
    if from.turns.is_empty() {
        notes.refuse(from.names.turns, "this model needs a message of a user beside its instructions");
    }
    let cap = from.capped(&options.upstream).unwrap_or(options.default_output_tokens.get());
    let thinking = thinking(&from, cap, options, notes);
    let mut out = Vec::new();
    writer::object(&mut out, |to| {
        to.text("model", options.upstream.model);
        to.count("max_tokens", cap);
        if !from.system.is_empty() {
            to.array("system", |items| from.system.iter().for_each(|text| part(items, text, &from, notes)));
        }
        to.array("messages", |items| from.turns.iter().for_each(|said| turn(items, said, &from, notes)));
        tools(to, &from);
        stops(to, &from, notes);
        sampling(to, &from, thinking.is_some_and(|thinking| thinking != Written::Disabled), options, notes);
        effort_and_format(to, &from, thinking, notes);
        if let Some(user) = &from.user {
            to.object("metadata", |to| to.text("user_id", &user.value));
        }
        match from.service_tier.as_ref().map(|tier| (tier.name, &*tier.value)) {
            Some((_, "default")) => to.text("service_tier", "standard_only"),
            Some((_, "auto")) => to.text("service_tier", "auto"),
            Some((name, _)) => notes.drop_named(name, "the provider has no such tier"),
            None => {}
        }
        if options.stream {
            to.flag("stream", true);
        }
    });
    out
}

fn turn(items: &mut Items<'_>, turn: &Turn<'_>, from: &Conversation<'_>, notes: &mut Notes) {
    items.object(|to| {
        to.text("role", if turn.role == Role::Assistant { "assistant" } else { "user" });
        to.array("content", |items| {
            // Results must stand before all else that the user says.
            let is_result = |part: &&Part<'_>| matches!(part.body, Body::Result { .. });
            turn.parts.iter().filter(is_result).for_each(|result| part(items, result, from, notes));
            let rest = turn.parts.iter().filter(|part| !is_result(part));
            rest.for_each(|said| part(items, said, from, notes));
        });
    });
}

fn part(items: &mut Items<'_>, part: &Part<'_>, from: &Conversation<'_>, notes: &mut Notes) {
    items.object(|to| {
        match &part.body {
            Body::Text(text) => {
                to.text("type", "text");
                to.text("text", text);
            }
            Body::Image(source) => {
                to.text("type", "image");
                self::source(to, source, part, from, notes);
            }
            Body::File { source, name } => {
                to.text("type", "document");
                self::source(to, source, part, from, notes);
                to.text_if("title", name.as_deref());
            }
            Body::Audio { .. } => {
                notes.refuse(&from.place(part), "this model does not listen to audio; send its transcript");
            }
            Body::Thinking { text, signature } => {
                to.text("type", "thinking");
                to.text("thinking", text);
                to.text("signature", signature.as_ref().map_or("", |sealed| &sealed.text));
            }
            Body::Redacted(sealed) => {
                to.text("type", "redacted_thinking");
                to.text("data", &sealed.text);
            }
            Body::Call { id, name, arguments, .. } => {
                to.text("type", "tool_use");
                to.text("id", &ids::plain(id));
                to.text("name", name);
                match arguments_object(arguments) {
                    Some(input) => to.raw("input", input),
                    None => notes.refuse(&from.place(part), "the arguments of a call must be a JSON object"),
                }
            }
            Body::Result { id, content, failed } => {
                to.text("type", "tool_result");
                to.text("tool_use_id", &ids::plain(id));
                to.array("content", |items| {
                    content.iter().for_each(|inner| self::part(items, inner, from, notes))
                });
                if *failed {
                    to.flag("is_error", true);
                }
            }
        }
        if let Some(cache) = part.cache {
            cache_control(to, cache);
        }
    });
}

fn cache_control(to: &mut Fields<'_>, cache: Cache) {
    to.object("cache_control", |to| {
        to.text("type", "ephemeral");
        if cache == Cache::Hour {
            to.text("ttl", "1h");
        }
    });
}

fn source(
    to: &mut Fields<'_>,
    source: &Source<'_>,
    part: &Part<'_>,
    from: &Conversation<'_>,
    notes: &mut Notes,
) {
    let is_file = matches!(part.body, Body::File { .. });
    to.object("source", |to| match source {
        Source::Inline { mime, .. } if is_file && mime != "application/pdf" => {
            notes.refuse(&from.place(part), "this model takes PDF files; send other documents as text");
        }
        Source::Inline { mime, data } => {
            to.text("type", "base64");
            to.text("media_type", mime);
            to.text("data", data);
        }
        Source::Url(url) if url.starts_with("https://") || url.starts_with("http://") => {
            to.text("type", "url");
            to.text("url", url);
        }
        Source::Text(text) => {
            to.text("type", "text");
            to.text("media_type", "text/plain");
            to.text("data", text);
        }
        Source::Url(_) => {
            notes.refuse(&from.place(part), "it is neither a web address nor a base64 'data:' URL")
        }
        Source::Id => notes.refuse(
            &from.place(part),
            "an uploaded file is not known to this model's provider; send it as base64 or a URL",
        ),
    });
}

fn tools(to: &mut Fields<'_>, from: &Conversation<'_>) {
    if from.tools.is_empty() {
        return;
    }
    to.array("tools", |items| {
        for tool in &from.tools {
            items.object(|to| {
                to.text("name", &tool.name);
                to.text_if("description", tool.description.as_deref());
                let schema = tool.schema.as_deref().filter(|schema| !is_empty_object(schema));
                to.raw("input_schema", schema.unwrap_or(EMPTY_SCHEMA));
                if tool.strict == Some(true) {
                    to.flag("strict", true);
                }
                if let Some(cache) = tool.cache {
                    cache_control(to, cache);
                }
            });
        }
    });
    // To forbid parallel calls is part of the choice here, so there must be one.
    let single = from.parallel.as_ref().is_some_and(|parallel| !parallel.value);
    let choice = from.choice.as_ref().map(|choice| &choice.value);
    let Some(choice) = choice.or(single.then_some(&Choice::Auto)) else { return };
    to.object("tool_choice", |to| {
        match choice {
            Choice::Auto => to.text("type", "auto"),
            Choice::Never => to.text("type", "none"),
            Choice::Any => to.text("type", "any"),
            Choice::Tool(name) => {
                to.text("type", "tool");
                to.text("name", name);
            }
        }
        if single && !matches!(choice, Choice::Never) {
            to.flag("disable_parallel_tool_use", true);
        }
    });
}

/// `{}`, which says nothing about the arguments, and lacks the type that must be said.
pub(in crate::convert) fn is_empty_object(json: &str) -> bool {
    json.bytes().all(|byte| matches!(byte, b'{' | b'}') || byte.is_ascii_whitespace())
}

fn stops(to: &mut Fields<'_>, from: &Conversation<'_>, notes: &mut Notes) {
    let Some(stops) = &from.stops else { return };
    let (said, blank): (Vec<_>, Vec<_>) = stops.value.iter().partition(|stop| !stop.trim().is_empty());
    if !blank.is_empty() {
        notes.drop_named(stops.name, "the provider takes no stop sequence of white space alone");
    }
    if !said.is_empty() {
        to.array("stop_sequences", |items| said.iter().for_each(|stop| items.text(stop)));
    }
}

/// Anthropic's models refuse these settings while they think, some of them all of these, and most both of the first
/// two together.
fn sampling(
    to: &mut Fields<'_>,
    from: &Conversation<'_>,
    thinks: bool,
    options: &RequestOptions<'_>,
    notes: &mut Notes,
) {
    let sampling = &from.sampling;
    for set in [&sampling.seed, &sampling.frequency_penalty, &sampling.presence_penalty].into_iter().flatten()
    {
        notes.drop_named(set.name, "has no counterpart at the provider");
    }
    if let Some(verbosity) = &from.verbosity {
        notes.drop_named(verbosity.name, "has no counterpart at the provider");
    }
    let settings =
        [("temperature", &sampling.temperature), ("top_p", &sampling.top_p), ("top_k", &sampling.top_k)];
    for (name, set) in settings {
        let Some(Set { name: own, value }) = set else { continue };
        if !options.sampling {
            notes.drop_named(own, "this model takes no such setting");
        } else if thinks {
            notes.drop_named(own, "this model takes no such setting while it reasons");
        } else if name == "top_p" && sampling.temperature.is_some() {
            notes.drop_named(own, "this model takes it or a temperature, and not both");
        } else if name == "temperature" && exceeds_one(value) {
            notes.drop_named(own, "lowered to 1, the most that the provider takes");
            to.raw(name, "1");
        } else {
            to.raw(name, value);
        }
    }
}

/// Whether a number is above 1. It is compared, never computed with.
pub(in crate::convert) fn exceeds_one(number: &str) -> bool {
    number.parse::<f64>().is_ok_and(|number| number > 1.0)
}

/// How the model is told to think.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::convert) enum Written {
    Disabled,
    Budget(u64),
    Adaptive(Option<Effort>),
}

/// How the model is to be told, by what it takes and by what the request asks for besides.
pub(in crate::convert) fn thinking(
    from: &Conversation<'_>,
    cap: u64,
    options: &RequestOptions<'_>,
    notes: &mut Notes,
) -> Option<Written> {
    let Set { name, value: reasoning } = from.reasoning.as_ref()?;
    if options.thinking == Thinking::Untold {
        notes.drop_named(name, "this model is not told how much to reason");
        return None;
    }
    if reasoning.is_off() {
        return Some(Written::Disabled);
    }
    let forced =
        from.choice.as_ref().is_some_and(|choice| matches!(choice.value, Choice::Any | Choice::Tool(_)));
    if forced {
        notes.drop_named(name, "this model does not reason when a tool is demanded");
        return None;
    }
    if options.thinking == Thinking::Effort {
        return Some(Written::Adaptive(reasoning.to_effort()));
    }
    if ends_in_unsigned_calls(from) {
        notes.drop_named(name, "this model reasons on only after calls whose signed reasoning is sent back");
        return None;
    }
    let Reasoning { effort, budget } = *reasoning;
    // A caller that names no number expects an answer, too: half of the cap is left for it.
    let budget = match budget {
        Some(budget) => budget.min(cap.saturating_sub(1)),
        None => effort.unwrap_or(Effort::Medium).budget().min(cap / 2),
    };
    if budget < BUDGET_MIN {
        notes
            .drop_named(name, "the cap on the output leaves fewer than the 1024 tokens that reasoning needs");
        return None;
    }
    Some(Written::Budget(budget))
}

/// Whether the model is in the middle of calls that it made without a thought that could be sent back: told a budget,
/// it refuses to go on from there.
fn ends_in_unsigned_calls(from: &Conversation<'_>) -> bool {
    let is_result = |part: &Part<'_>| matches!(part.body, Body::Result { .. });
    let mut turns = from.turns.iter().rev();
    let answers_calls = turns.next().is_some_and(|turn| turn.parts.iter().any(is_result));
    answers_calls
        && turns.next().is_some_and(|turn| {
            let first = turn.parts.first();
            first.is_some_and(|part| !matches!(part.body, Body::Thinking { .. } | Body::Redacted(_)))
        })
}

fn effort_and_format(
    to: &mut Fields<'_>,
    from: &Conversation<'_>,
    thinking: Option<Written>,
    notes: &mut Notes,
) {
    match thinking {
        Some(Written::Disabled) => to.object("thinking", |to| to.text("type", "disabled")),
        Some(Written::Budget(tokens)) => to.object("thinking", |to| {
            to.text("type", "enabled");
            to.count("budget_tokens", tokens);
        }),
        Some(Written::Adaptive(_)) => to.object("thinking", |to| to.text("type", "adaptive")),
        None => {}
    }
    let effort = match thinking {
        Some(Written::Adaptive(effort)) => effort,
        Some(Written::Disabled | Written::Budget(_)) | None => None,
    };
    let schema = match from.format.as_ref().map(|format| (format.name, &format.value)) {
        Some((_, Format::Schema { schema, .. })) => Some(&**schema),
        Some((name, Format::Json)) => {
            notes.refuse(name, "this model is held to a schema or to none; use type json_schema");
            None
        }
        None => None,
    };
    if effort.is_none() && schema.is_none() {
        return;
    }
    to.object("output_config", |to| {
        let word = effort.map(|effort| effort.max(Effort::Low).as_str());
        to.text_if("effort", word);
        if let Some(schema) = schema {
            to.object("format", |to| {
                to.text("type", "json_schema");
                to.raw("schema", schema);
            });
        }
    });
}
