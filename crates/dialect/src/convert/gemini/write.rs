//! A `generateContent` request, written for Google. The model and whether the answer streams stand in the address.

use std::collections::HashMap;

use crate::convert::conversation::{
    Body, Choice, Conversation, Effort, Format, Part, Role, Sampling, Sealed, Set, Signer, Source, Turn,
    arguments_object, joined_text,
};
use crate::convert::notes::Notes;
use crate::convert::writer::{self, Fields, Items};
use crate::convert::{RequestOptions, Thinking};

/// What Google takes in place of the signature of a call that another model made.
const FOREIGN_SIGNATURE: &str = "skip_thought_signature_validator";

/// Writes a request.
pub(in crate::convert) fn request(
    mut from: Conversation<'_>,
    options: &RequestOptions<'_>,
    notes: &mut Notes,
) -> Vec<u8> {
    from.drop_cache_marks(notes);
    from.keep_thoughts(|signer| signer == Some(Signer::Google), notes);
    from.hoist_system(notes);
    from.drop_empty_texts();
    from.merge_turns();
    if from.turns.is_empty() {
        notes.refuse(from.names.turns, "this model needs a message of a user beside its instructions");
    }
    let mut out = Vec::new();
    writer::object(&mut out, |to| {
        if !from.system.is_empty() {
            to.object("systemInstruction", |to| {
                to.array("parts", |items| {
                    items.object(|to| to.text("text", &joined_text(&from.system, "\n\n")));
                });
            });
        }
        let called = from.called();
        to.array("contents", |items| {
            for turn in &from.turns {
                items.object(|to| content(to, turn, &Scene { from: &from, called: &called, options }, notes));
            }
        });
        tools(to, &from, notes);
        to.object("generationConfig", |to| generation(to, &from, options, notes));
        match from.service_tier.as_ref().map(|tier| (tier.name, &*tier.value)) {
            Some((_, "default")) => to.text("serviceTier", "standard"),
            Some((_, word @ ("flex" | "priority"))) => to.text("serviceTier", word),
            Some((_, "auto")) | None => {}
            Some((name, _)) => notes.drop_named(name, "the provider has no such tier"),
        }
    });
    for (name, why) in [
        (from.user.as_ref().map(|user| user.name), "has no counterpart at the provider"),
        (from.verbosity.as_ref().map(|verbosity| verbosity.name), "has no counterpart at the provider"),
    ] {
        name.into_iter().for_each(|name| notes.drop_named(name, why));
    }
    out
}

/// What a part is written with.
struct Scene<'c> {
    from: &'c Conversation<'c>,
    called: &'c HashMap<&'c str, (usize, &'c str)>,
    options: &'c RequestOptions<'c>,
}

fn content(to: &mut Fields<'_>, turn: &Turn<'_>, scene: &Scene<'_>, notes: &mut Notes) {
    to.text("role", if turn.role == Role::Assistant { "model" } else { "user" });
    to.array("parts", |items| {
        // The signature of a thought belongs to the part after it; without one, the first call needs a substitute.
        let mut seal: Option<&Sealed<'_>> = None;
        let mut needs_seal = scene.options.thinking == Thinking::Effort;
        for part in in_order(&turn.parts, scene.called) {
            match &part.body {
                Body::Thinking { signature, .. } => seal = signature.as_ref().or(seal),
                Body::Redacted(own) => seal = Some(own),
                Body::Call { name, arguments, signature, .. } => {
                    let own = signature.as_ref().filter(|own| own.by == Signer::Google).or(seal.take());
                    let substitute = needs_seal.then_some(FOREIGN_SIGNATURE);
                    let text = own.map(|own| &*own.text).or(substitute);
                    needs_seal = false;
                    items.object(|to| {
                        to.object("functionCall", |to| {
                            to.text("name", name);
                            match arguments_object(arguments) {
                                Some(args) => to.raw("args", args),
                                None => notes.refuse(
                                    &scene.from.place(part),
                                    "the arguments of a call must be a JSON object",
                                ),
                            }
                        });
                        to.text_if("thoughtSignature", text);
                    });
                }
                Body::Text(text) => items.object(|to| {
                    to.text("text", text);
                    to.text_if("thoughtSignature", seal.take().map(|own| &*own.text));
                }),
                Body::Result { id, content, failed } => {
                    result(items, part, (id, content, *failed), scene, notes)
                }
                Body::Image(_) | Body::File { .. } | Body::Audio { .. } => {
                    media(items, part, scene.from, notes)
                }
            }
        }
    });
}

/// The parts, of which results come first and in the order of their calls: they have no ids here.
fn in_order<'c>(parts: &'c [Part<'c>], called: &HashMap<&str, (usize, &str)>) -> Vec<&'c Part<'c>> {
    let mut parts: Vec<&Part<'_>> = parts.iter().collect();
    parts.sort_by_key(|part| match &part.body {
        Body::Result { id, .. } => called.get(id.as_ref()).map_or(0, |(at, _)| *at),
        Body::Text(_)
        | Body::Image(_)
        | Body::File { .. }
        | Body::Audio { .. }
        | Body::Thinking { .. }
        | Body::Redacted(_)
        | Body::Call { .. } => usize::MAX,
    });
    parts
}

fn result(
    items: &mut Items<'_>,
    part: &Part<'_>,
    (id, content, failed): (&str, &[Part<'_>], bool),
    scene: &Scene<'_>,
    notes: &mut Notes,
) {
    let Some((_, name)) = scene.called.get(id) else {
        notes.refuse(&scene.from.place(part), "no call with this id stands in the conversation");
        return;
    };
    items.object(|to| {
        to.object("functionResponse", |to| {
            to.text("name", name);
            to.object("response", |to| {
                to.text(if failed { "error" } else { "output" }, &joined_text(content, "\n"));
            });
        });
    });
    for inner in content.iter().filter(|inner| !matches!(inner.body, Body::Text(_))) {
        let member = format!("{}[].{}[].content", scene.from.names.turns, scene.from.names.parts);
        notes.drop_named(&member, "media of tool results were moved behind the results");
        media(items, inner, scene.from, notes);
    }
}

fn media(items: &mut Items<'_>, part: &Part<'_>, from: &Conversation<'_>, notes: &mut Notes) {
    let inline = |items: &mut Items<'_>, mime: &str, data: &str| {
        items.object(|to| {
            to.object("inlineData", |to| {
                to.text("mimeType", mime);
                to.text("data", data);
            });
        });
    };
    let source = match &part.body {
        Body::Audio { format, data } => return inline(items, &format!("audio/{format}"), data),
        Body::Image(source) | Body::File { source, .. } => source,
        Body::Text(_)
        | Body::Thinking { .. }
        | Body::Redacted(_)
        | Body::Call { .. }
        | Body::Result { .. } => return,
    };
    match source {
        Source::Inline { mime, data } => inline(items, mime, data),
        Source::Text(text) => items.object(|to| to.text("text", text)),
        Source::Url(url) if url.starts_with("https://") || url.starts_with("http://") => items.object(|to| {
            to.object("fileData", |to| {
                to.text_if("mimeType", mime_of(url));
                to.text("fileUri", url);
            });
        }),
        Source::Url(_) => {
            notes.refuse(&from.place(part), "it is neither a web address nor a base64 'data:' URL")
        }
        Source::Id => notes.refuse(
            &from.place(part),
            "an uploaded file is not known to this model's provider; send it as base64 or a URL",
        ),
    }
}

/// The type that the ending of an address tells.
fn mime_of(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next()?;
    let (_, ending) = path.rsplit_once('.')?;
    let endings = [
        ("png", "image/png"),
        ("jpg", "image/jpeg"),
        ("jpeg", "image/jpeg"),
        ("webp", "image/webp"),
        ("gif", "image/gif"),
        ("heic", "image/heic"),
        ("pdf", "application/pdf"),
    ];
    endings.into_iter().find(|(own, _)| own.eq_ignore_ascii_case(ending)).map(|(_, mime)| mime)
}

fn tools(to: &mut Fields<'_>, from: &Conversation<'_>, notes: &mut Notes) {
    if from.tools.is_empty() {
        return;
    }
    to.array("tools", |items| {
        items.object(|to| {
            to.array("functionDeclarations", |items| {
                for tool in &from.tools {
                    if tool.strict == Some(true) {
                        notes.drop_named("tools[].strict", "the provider holds no call to its schema");
                    }
                    items.object(|to| {
                        to.text("name", &tool.name);
                        to.text_if("description", tool.description.as_deref());
                        to.raw_if("parametersJsonSchema", tool.schema.as_deref());
                    });
                }
            });
        });
    });
    if let Some(parallel) = from.parallel.as_ref().filter(|parallel| !parallel.value) {
        notes.drop_named(parallel.name, "the provider cannot be held to one call at a time");
    }
    let Some(choice) = &from.choice else { return };
    to.object("toolConfig", |to| {
        to.object("functionCallingConfig", |to| match &choice.value {
            Choice::Auto => to.text("mode", "AUTO"),
            Choice::Never => to.text("mode", "NONE"),
            Choice::Any => to.text("mode", "ANY"),
            Choice::Tool(name) => {
                to.text("mode", "ANY");
                to.array("allowedFunctionNames", |items| items.text(name));
            }
        });
    });
}

fn generation(to: &mut Fields<'_>, from: &Conversation<'_>, options: &RequestOptions<'_>, notes: &mut Notes) {
    if let Some(cap) = from.capped(&options.upstream) {
        to.count("maxOutputTokens", cap);
    }
    if let Some(stops) = &from.stops {
        to.array("stopSequences", |items| stops.value.iter().for_each(|stop| items.text(stop)));
    }
    sampling(to, &from.sampling, options, notes);
    if let Some(format) = &from.format {
        to.text("responseMimeType", "application/json");
        if let Format::Schema { schema, .. } = &format.value {
            to.raw("responseJsonSchema", schema);
        }
    }
    let Some(Set { name, value: reasoning }) = &from.reasoning else { return };
    match options.thinking {
        Thinking::Untold => notes.drop_named(name, "this model is not told how much to reason"),
        Thinking::Budget => to.object("thinkingConfig", |to| {
            match reasoning.budget.or(reasoning.effort.map(Effort::budget)) {
                Some(budget) => to.count("thinkingBudget", budget),
                None => to.raw("thinkingBudget", "-1"),
            }
            to.flag("includeThoughts", !reasoning.is_off());
        }),
        Thinking::Effort => to.object("thinkingConfig", |to| {
            let level = reasoning.to_effort().map(|effort| match effort {
                Effort::Off | Effort::Minimal => "MINIMAL",
                Effort::Low => "LOW",
                Effort::Medium => "MEDIUM",
                Effort::High | Effort::ExtraHigh | Effort::Max => "HIGH",
            });
            to.text_if("thinkingLevel", level);
            to.flag("includeThoughts", !reasoning.is_off());
        }),
    }
}

fn sampling(to: &mut Fields<'_>, from: &Sampling<'_>, options: &RequestOptions<'_>, notes: &mut Notes) {
    for (name, set) in [("temperature", &from.temperature), ("topP", &from.top_p), ("topK", &from.top_k)] {
        match set {
            Some(set) if !options.sampling => notes.drop_named(set.name, "this model takes no such setting"),
            Some(set) => to.raw(name, set.value),
            None => {}
        }
    }
    for (name, set) in [
        ("seed", &from.seed),
        ("presencePenalty", &from.presence_penalty),
        ("frequencyPenalty", &from.frequency_penalty),
    ] {
        to.raw_if(name, set.as_ref().map(|set| set.value));
    }
}
