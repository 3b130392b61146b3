//! A Converse request, written for Amazon. The model and whether the answer streams stand in the address.

use std::collections::BTreeSet;

use crate::convert::conversation::{
    Body, Cache, Choice, Conversation, Effort, Format, Part, Role, Set, Signer, Source, arguments_object,
};
use crate::convert::messages::write::{EMPTY_SCHEMA, Written, exceeds_one, is_empty_object, thinking};
use crate::convert::notes::Notes;
use crate::convert::writer::{self, Fields, Items};
use crate::convert::{RequestOptions, Thinking, ids};

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
    // Only Anthropic's models are told about reasoning in members that are known here.
    let is_anthropic = options.upstream.model.contains("anthropic.");
    let told = if is_anthropic { options.thinking } else { Thinking::Untold };
    let thinking = thinking(&from, cap, &RequestOptions { thinking: told, ..*options }, notes);
    let thinks = matches!(thinking, Some(Written::Budget(_) | Written::Adaptive(_)));
    let mut out = Vec::new();
    writer::object(&mut out, |to| {
        to.array("messages", |items| {
            for turn in &from.turns {
                items.object(|to| {
                    to.text("role", if turn.role == Role::Assistant { "assistant" } else { "user" });
                    to.array("content", |items| parts(items, &turn.parts, &from, notes));
                });
            }
        });
        if !from.system.is_empty() {
            to.array("system", |items| parts(items, &from.system, &from, notes));
        }
        to.object("inferenceConfig", |to| inference(to, &from, (cap, thinks), options, notes));
        tools(to, &from, notes);
        extras(to, &from, thinking, is_anthropic, notes);
        output(to, &from, thinking, notes);
        match from.service_tier.as_ref().map(|tier| (tier.name, &*tier.value)) {
            Some((_, word @ ("default" | "flex" | "priority"))) => {
                to.object("serviceTier", |to| to.text("type", word));
            }
            Some((_, "auto")) | None => {}
            Some((name, _)) => notes.drop_named(name, "the provider has no such tier"),
        }
    });
    dropped(&from, notes);
    out
}

/// What the form has no members for.
fn dropped(from: &Conversation<'_>, notes: &mut Notes) {
    let sampling = &from.sampling;
    let names = [
        sampling.seed.as_ref().map(|set| set.name),
        sampling.frequency_penalty.as_ref().map(|set| set.name),
        sampling.presence_penalty.as_ref().map(|set| set.name),
        from.verbosity.as_ref().map(|set| set.name),
        from.user.as_ref().map(|set| set.name),
        from.parallel.as_ref().filter(|parallel| !parallel.value).map(|set| set.name),
    ];
    names.into_iter().flatten().for_each(|name| notes.drop_named(name, "has no counterpart at the provider"));
}

fn parts(items: &mut Items<'_>, parts: &[Part<'_>], from: &Conversation<'_>, notes: &mut Notes) {
    let is_result = |part: &&Part<'_>| matches!(part.body, Body::Result { .. });
    let results = parts.iter().filter(is_result);
    for part in results.chain(parts.iter().filter(|part| !is_result(part))) {
        items.object(|to| self::part(to, part, from, notes));
        if let Some(cache) = part.cache {
            items.object(|to| cache_point(to, cache));
        }
    }
}

fn cache_point(to: &mut Fields<'_>, cache: Cache) {
    to.object("cachePoint", |to| {
        to.text("type", "default");
        if cache == Cache::Hour {
            to.text("ttl", "1h");
        }
    });
}

fn part(to: &mut Fields<'_>, part: &Part<'_>, from: &Conversation<'_>, notes: &mut Notes) {
    match &part.body {
        Body::Text(text) => to.text("text", text),
        Body::Image(source) => image(to, source, part, from, notes),
        Body::File { source, name } => document(to, source, name.as_deref(), part, from, notes),
        Body::Audio { .. } => {
            notes.refuse(&from.place(part), "this model does not listen to audio; send its transcript");
        }
        Body::Thinking { text, signature } => to.object("reasoningContent", |to| {
            to.object("reasoningText", |to| {
                to.text("text", text);
                to.text_if("signature", signature.as_ref().map(|seal| &*seal.text));
            });
        }),
        Body::Redacted(seal) => {
            to.object("reasoningContent", |to| to.text("redactedContent", &seal.text));
        }
        Body::Call { id, name, arguments, .. } => to.object("toolUse", |to| {
            to.text("toolUseId", &ids::plain(id));
            to.text("name", name);
            match arguments_object(arguments) {
                Some(input) => to.raw("input", input),
                None => notes.refuse(&from.place(part), "the arguments of a call must be a JSON object"),
            }
        }),
        Body::Result { id, content, failed } => to.object("toolResult", |to| {
            to.text("toolUseId", &ids::plain(id));
            to.array("content", |items| {
                content.iter().for_each(|inner| items.object(|to| self::part(to, inner, from, notes)));
            });
            to.text("status", if *failed { "error" } else { "success" });
        }),
    }
}

fn image(
    to: &mut Fields<'_>,
    source: &Source<'_>,
    part: &Part<'_>,
    from: &Conversation<'_>,
    notes: &mut Notes,
) {
    let Source::Inline { mime, data } = source else {
        notes.refuse(
            &from.place(part),
            "this model's provider takes images in the request only; send it as base64",
        );
        return;
    };
    let Some(format) = mime.strip_prefix("image/") else {
        notes.refuse(&from.place(part), "its type is none of image/png, image/jpeg, image/gif, image/webp");
        return;
    };
    to.object("image", |to| {
        to.text("format", if format == "jpg" { "jpeg" } else { format });
        to.object("source", |to| to.text("bytes", data));
    });
}

fn document(
    to: &mut Fields<'_>,
    source: &Source<'_>,
    name: Option<&str>,
    part: &Part<'_>,
    from: &Conversation<'_>,
    notes: &mut Notes,
) {
    let (format, member, data) = match source {
        Source::Inline { mime, data } => match format_of(mime) {
            Some(format) => (format, "bytes", data),
            None => {
                notes.refuse(
                    &from.place(part),
                    "this model's provider takes PDF, text, HTML and office files only",
                );
                return;
            }
        },
        Source::Text(text) => ("txt", "text", text),
        Source::Url(_) | Source::Id => {
            notes.refuse(
                &from.place(part),
                "this model's provider takes files in the request only; send it as base64",
            );
            return;
        }
    };
    // Nothing else is taken in a name; in a URL's or file's name a dot is common.
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '(' | ')' | '[' | ']');
    let name: String = name.unwrap_or("document").chars().map(|c| if fits(c) { c } else { '-' }).collect();
    to.object("document", |to| {
        to.text("format", format);
        to.text("name", &name);
        to.object("source", |to| to.text(member, data));
    });
}

fn format_of(mime: &str) -> Option<&'static str> {
    Some(match mime {
        "application/pdf" => "pdf",
        "text/csv" => "csv",
        "text/html" => "html",
        "text/plain" => "txt",
        "text/markdown" => "md",
        "application/msword" => "doc",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => "docx",
        "application/vnd.ms-excel" => "xls",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => "xlsx",
        _ => return None,
    })
}

fn inference(
    to: &mut Fields<'_>,
    from: &Conversation<'_>,
    (cap, thinks): (u64, bool),
    options: &RequestOptions<'_>,
    notes: &mut Notes,
) {
    to.count("maxTokens", cap);
    if let Some(stops) = &from.stops {
        to.array("stopSequences", |items| stops.value.iter().for_each(|stop| items.text(stop)));
    }
    let sampling = &from.sampling;
    for (name, set) in [("temperature", &sampling.temperature), ("topP", &sampling.top_p)] {
        let Some(Set { name: own, value }) = set else { continue };
        if !options.sampling {
            notes.drop_named(own, "this model takes no such setting");
        } else if thinks {
            notes.drop_named(own, "this model takes no such setting while it reasons");
        } else if name == "temperature" && exceeds_one(value) {
            notes.drop_named(own, "lowered to 1, the most that the provider takes");
            to.raw(name, "1");
        } else {
            to.raw(name, value);
        }
    }
}

/// The tools; where the conversation holds calls there must be some, so those that were called stand for themselves.
fn tools(to: &mut Fields<'_>, from: &Conversation<'_>, notes: &mut Notes) {
    let called: BTreeSet<&str> = from.called().into_values().map(|(_, name)| name).collect();
    let forbidden = from.choice.as_ref().filter(|choice| matches!(choice.value, Choice::Never));
    if called.is_empty() && (from.tools.is_empty() || forbidden.is_some()) {
        return;
    }
    if let Some(choice) = forbidden {
        notes.drop_named(choice.name, "tools cannot be forbidden where the conversation holds calls");
    }
    to.object("toolConfig", |to| {
        to.array("tools", |items| {
            for tool in &from.tools {
                let schema = tool.schema.as_deref().filter(|schema| !is_empty_object(schema));
                spec(items, &tool.name, tool.description.as_deref(), schema, tool.strict);
                if let Some(cache) = tool.cache {
                    items.object(|to| cache_point(to, cache));
                }
            }
            for name in called.iter().filter(|_| from.tools.is_empty()) {
                spec(items, name, None, None, None);
            }
        });
        match from.choice.as_ref().map(|choice| &choice.value) {
            Some(Choice::Auto) => to.object("toolChoice", |to| to.object("auto", |_| {})),
            Some(Choice::Any) => to.object("toolChoice", |to| to.object("any", |_| {})),
            Some(Choice::Tool(name)) => {
                to.object("toolChoice", |to| to.object("tool", |to| to.text("name", name)));
            }
            Some(Choice::Never) | None => {}
        }
    });
}

fn spec(
    items: &mut Items<'_>,
    name: &str,
    description: Option<&str>,
    schema: Option<&str>,
    strict: Option<bool>,
) {
    items.object(|to| {
        to.object("toolSpec", |to| {
            to.text("name", name);
            to.text_if("description", description.filter(|text| !text.is_empty()));
            to.object("inputSchema", |to| to.raw("json", schema.unwrap_or(EMPTY_SCHEMA)));
            if strict == Some(true) {
                to.flag("strict", true);
            }
        });
    });
}

/// Members of the model's own API.
fn extras(
    to: &mut Fields<'_>,
    from: &Conversation<'_>,
    thinking: Option<Written>,
    is_anthropic: bool,
    notes: &mut Notes,
) {
    let thinks = matches!(thinking, Some(Written::Budget(_) | Written::Adaptive(_)));
    let top_k = match &from.sampling.top_k {
        Some(set) if !is_anthropic || thinks => {
            notes.drop_named(set.name, "has no counterpart at the provider");
            None
        }
        Some(set) => Some(set.value),
        None => None,
    };
    if top_k.is_none() && !thinks {
        return;
    }
    to.object("additionalModelRequestFields", |to| {
        to.raw_if("top_k", top_k);
        match thinking {
            Some(Written::Budget(tokens)) => to.object("thinking", |to| {
                to.text("type", "enabled");
                to.count("budget_tokens", tokens);
            }),
            Some(Written::Adaptive(_)) => to.object("thinking", |to| to.text("type", "adaptive")),
            Some(Written::Disabled) | None => {}
        }
    });
}

fn output(to: &mut Fields<'_>, from: &Conversation<'_>, thinking: Option<Written>, notes: &mut Notes) {
    let effort = match thinking {
        Some(Written::Adaptive(effort)) => effort,
        Some(Written::Disabled | Written::Budget(_)) | None => None,
    };
    let schema = match from.format.as_ref().map(|format| (format.name, &format.value)) {
        Some((_, Format::Schema { schema, name, description, .. })) => Some((schema, name, description)),
        Some((name, Format::Json)) => {
            notes.refuse(name, "this model is held to a schema or to none; use type json_schema");
            None
        }
        None => None,
    };
    if effort.is_none() && schema.is_none() {
        return;
    }
    to.object("outputConfig", |to| {
        to.text_if("effort", effort.map(|effort| effort.max(Effort::Low).as_str()));
        if let Some((schema, name, description)) = schema {
            to.object("textFormat", |to| {
                to.text("type", "json_schema");
                to.object("structure", |to| {
                    to.object("jsonSchema", |to| {
                        // Here the schema is a text of its own.
                        to.text("schema", schema);
                        to.text_if("name", name.as_deref());
                        to.text_if("description", description.as_deref());
                    });
                });
            });
        }
    });
}
