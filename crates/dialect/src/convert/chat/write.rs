//! A Chat Completions request, written for a provider.

use crate::convert::RequestOptions;
use crate::convert::conversation::{
    Body, Choice, Conversation, Format, Part, Role, Sampling, Signer, Source, Turn, joined_text,
};
use crate::convert::notes::Notes;
use crate::convert::writer::{self, Fields, Items};
use crate::openai::takes_new_name;

/// The longest name of an end user that OpenAI takes.
const USER_CHARS_MAX: usize = 64;

/// Writes a request.
pub(in crate::convert) fn request(
    mut from: Conversation<'_>,
    options: &RequestOptions<'_>,
    notes: &mut Notes,
) -> Vec<u8> {
    from.drop_cache_marks(notes);
    from.keep_thoughts(|signer| options.takes_reasoning && signer.is_none(), notes);
    from.merge_turns();
    if from.turns.is_empty() && from.system.is_empty() {
        notes.refuse(from.names.turns, "nothing stands in it that the model could be told");
    }
    let mut out = Vec::new();
    writer::object(&mut out, |to| {
        to.text("model", options.upstream.model);
        to.array("messages", |messages| {
            if !from.system.is_empty() {
                system(messages, &from.system);
            }
            for turn in &from.turns {
                self::turn(messages, turn, &from, notes);
            }
        });
        tools(to, &from);
        if let Some(cap) = from.capped(&options.upstream) {
            let by_model =
                if takes_new_name(options.upstream.model) { "max_completion_tokens" } else { "max_tokens" };
            to.count(options.upstream.manners.cap.unwrap_or(by_model), cap);
        }
        if let Some(stops) = &from.stops {
            to.array("stop", |items| stops.value.iter().for_each(|stop| items.text(stop)));
        }
        sampling(to, &from.sampling, options, notes);
        settings(to, &from, options, notes);
        if options.stream {
            to.flag("stream", true);
            if options.upstream.manners.stream_options {
                to.object("stream_options", |to| to.flag("include_usage", true));
            }
        }
    });
    out
}

fn system(messages: &mut Items<'_>, parts: &[Part<'_>]) {
    messages.object(|to| {
        // Not `developer`: servers of open models know this word alone, and OpenAI takes it for all models.
        to.text("role", "system");
        to.text("content", &joined_text(parts, "\n\n"));
    });
}

fn turn(messages: &mut Items<'_>, turn: &Turn<'_>, from: &Conversation<'_>, notes: &mut Notes) {
    match turn.role {
        Role::System => system(messages, &turn.parts),
        Role::User => user(messages, &turn.parts, from, notes),
        Role::Assistant => assistant(messages, &turn.parts, from, notes),
    }
}

/// The results of tools, each a message of its own, and then what the user says.
fn user(messages: &mut Items<'_>, parts: &[Part<'_>], from: &Conversation<'_>, notes: &mut Notes) {
    let mut rest: Vec<&Part<'_>> = Vec::new();
    for part in parts {
        let Body::Result { id, content, failed } = &part.body else {
            rest.push(part);
            continue;
        };
        if *failed {
            notes.drop_named(from.names.failed, "said by the content of the result alone");
        }
        messages.object(|to| {
            to.text("role", "tool");
            to.text("tool_call_id", id);
            to.text("content", &joined_text(content, "\n"));
        });
        let media = content.iter().filter(|part| !matches!(part.body, Body::Text(_)));
        let before = rest.len();
        rest.extend(media);
        if rest.len() > before {
            let member = format!("{}[].{}[].content", from.names.turns, from.names.parts);
            notes.drop_named(&member, "media of tool results were moved into the user's message after them");
        }
    }
    if rest.is_empty() {
        return;
    }
    messages.object(|to| {
        to.text("role", "user");
        if let [Part { body: Body::Text(text), .. }] = rest.as_slice() {
            to.text("content", text);
            return;
        }
        to.array("content", |items| {
            for part in rest {
                self::part(items, part, from, notes);
            }
        });
    });
}

fn part(items: &mut Items<'_>, part: &Part<'_>, from: &Conversation<'_>, notes: &mut Notes) {
    let typed = |items: &mut Items<'_>, kind: &str, fill: &dyn Fn(&mut Fields<'_>)| {
        items.object(|to| {
            to.text("type", kind);
            to.object(kind, |to| fill(to));
        });
    };
    let text = |items: &mut Items<'_>, text: &str| {
        items.object(|to| {
            to.text("type", "text");
            to.text("text", text);
        });
    };
    let refuse = |notes: &mut Notes, why| notes.refuse(&from.place(part), why);
    match &part.body {
        Body::Text(said) => text(items, said),
        Body::Image(Source::Inline { mime, data }) => {
            typed(items, "image_url", &|to| to.text("url", &format!("data:{mime};base64,{data}")));
        }
        Body::Image(Source::Url(url)) => typed(items, "image_url", &|to| to.text("url", url)),
        Body::Image(Source::Id | Source::Text(_)) => {
            refuse(
                notes,
                "an uploaded image is not known to this model's provider; send it as base64 or a URL",
            );
        }
        Body::File { source: Source::Inline { mime, data }, name } => typed(items, "file", &|to| {
            to.text("filename", name.as_deref().unwrap_or("file"));
            to.text("file_data", &format!("data:{mime};base64,{data}"));
        }),
        Body::File { source: Source::Text(said), .. } => text(items, said),
        Body::File { source: Source::Url(_) | Source::Id, .. } => {
            refuse(notes, "this model's provider takes files in the request only; send it as base64");
        }
        Body::Audio { format, data } => typed(items, "input_audio", &|to| {
            to.text("data", data);
            to.text("format", format);
        }),
        Body::Thinking { .. } | Body::Redacted(_) | Body::Call { .. } | Body::Result { .. } => {
            refuse(notes, "a user's message cannot hold this; it belongs to another role");
        }
    }
}

fn assistant(messages: &mut Items<'_>, parts: &[Part<'_>], from: &Conversation<'_>, notes: &mut Notes) {
    let is_said = |part: &&Part<'_>| {
        matches!(part.body, Body::Text(_) | Body::Call { .. } | Body::Thinking { .. } | Body::Redacted(_))
    };
    let thoughts = parts.iter().filter_map(|part| match &part.body {
        Body::Thinking { text, .. } => Some(&**text),
        Body::Text(_)
        | Body::Image(_)
        | Body::File { .. }
        | Body::Audio { .. }
        | Body::Redacted(_)
        | Body::Call { .. }
        | Body::Result { .. } => None,
    });
    let thoughts = thoughts.collect::<Vec<_>>().concat();
    if let Some(other) = parts.iter().find(|part| !is_said(part)) {
        notes.refuse(&from.place(other), "an assistant's message holds text and calls only");
    }
    let has_calls = parts.iter().any(|part| matches!(part.body, Body::Call { .. }));
    messages.object(|to| {
        to.text("role", "assistant");
        let text = joined_text(parts, "");
        if text.is_empty() && has_calls {
            to.null("content");
        } else {
            to.text("content", &text);
        }
        to.text_if("reasoning_content", Some(&*thoughts).filter(|text| !text.is_empty()));
        if has_calls {
            to.array("tool_calls", |items| parts.iter().for_each(|part| call(items, part)));
        }
    });
}

fn call(items: &mut Items<'_>, part: &Part<'_>) {
    let Body::Call { id, name, arguments, signature } = &part.body else { return };
    items.object(|to| {
        to.text("id", id);
        to.text("type", "function");
        to.object("function", |to| {
            to.text("name", name);
            to.text("arguments", arguments);
        });
        if let Some(signature) = signature.as_ref().filter(|sealed| sealed.by == Signer::Google) {
            to.object("extra_content", |to| {
                to.object("google", |to| to.text("thought_signature", &signature.text));
            });
        }
    });
}

fn tools(to: &mut Fields<'_>, from: &Conversation<'_>) {
    if from.tools.is_empty() {
        return;
    }
    to.array("tools", |items| {
        for tool in &from.tools {
            items.object(|to| {
                to.text("type", "function");
                to.object("function", |to| {
                    to.text("name", &tool.name);
                    to.text_if("description", tool.description.as_deref());
                    to.raw_if("parameters", tool.schema.as_deref());
                    // Not to be strict is what all do unless told, and not all know the word.
                    if tool.strict == Some(true) {
                        to.flag("strict", true);
                    }
                });
            });
        }
    });
    match from.choice.as_ref().map(|choice| &choice.value) {
        Some(Choice::Auto) => to.text("tool_choice", "auto"),
        Some(Choice::Never) => to.text("tool_choice", "none"),
        Some(Choice::Any) => to.text("tool_choice", "required"),
        Some(Choice::Tool(name)) => to.object("tool_choice", |to| {
            to.text("type", "function");
            to.object("function", |to| to.text("name", name));
        }),
        None => {}
    }
    if let Some(parallel) = &from.parallel {
        to.flag("parallel_tool_calls", parallel.value);
    }
}

fn sampling(to: &mut Fields<'_>, from: &Sampling<'_>, options: &RequestOptions<'_>, notes: &mut Notes) {
    if let Some(top_k) = &from.top_k {
        notes.drop_named(top_k.name, "has no counterpart at the provider");
    }
    for (name, set) in [("temperature", &from.temperature), ("top_p", &from.top_p)] {
        match set {
            Some(set) if !options.sampling => notes.drop_named(set.name, "this model takes no such setting"),
            Some(set) => to.raw(name, set.value),
            None => {}
        }
    }
    for (name, set) in [
        ("seed", &from.seed),
        ("frequency_penalty", &from.frequency_penalty),
        ("presence_penalty", &from.presence_penalty),
    ] {
        to.raw_if(name, set.as_ref().map(|set| set.value));
    }
}

fn settings(to: &mut Fields<'_>, from: &Conversation<'_>, options: &RequestOptions<'_>, notes: &mut Notes) {
    match from.format.as_ref().map(|format| &format.value) {
        Some(Format::Json) => to.object("response_format", |to| to.text("type", "json_object")),
        Some(Format::Schema { name, description, schema, strict }) => to.object("response_format", |to| {
            to.text("type", "json_schema");
            to.object("json_schema", |to| {
                to.text("name", name.as_deref().unwrap_or("answer"));
                to.text_if("description", description.as_deref());
                to.raw("schema", schema);
                // Forms without the member always hold the model to the schema.
                to.flag("strict", strict.unwrap_or(name.is_none()));
            });
        }),
        None => {}
    }
    if let Some(reasoning) = &from.reasoning {
        match reasoning.value.to_effort() {
            Some(_) if !options.thinking.is_known() => {
                notes.drop_named(reasoning.name, "this model is not told how much to reason");
            }
            Some(effort) => to.text("reasoning_effort", effort.as_str()),
            None => {}
        }
    }
    match &from.verbosity {
        // OpenAI's models that reason know it, and servers of others refuse what they do not know.
        Some(verbosity) if options.thinking.is_known() && takes_new_name(options.upstream.model) => {
            to.text("verbosity", &verbosity.value);
        }
        Some(verbosity) => notes.drop_named(verbosity.name, "only OpenAI's reasoning models know it"),
        None => {}
    }
    match &from.user {
        Some(user) if user.value.chars().count() > USER_CHARS_MAX => {
            notes.drop_named(user.name, "longer than the 64 characters that the provider takes");
        }
        Some(user) => to.text("user", &user.value),
        None => {}
    }
    if let Some(tier) = from.service_tier.as_ref().filter(|tier| tier.value != "auto") {
        to.text("service_tier", &tier.value);
    }
}
