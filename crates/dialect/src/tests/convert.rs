//! Conversions, each input with one golden file a target: `INSTA_UPDATE=always` writes them anew.

mod refusals;
mod round_trips;
mod scripts;
mod tables;

use std::fmt::Write as _;
use std::fs;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use domain::Usage;
use serde_json::Value;

use crate::convert::{
    self, AnswerContext, Asked, Converted, RequestOptions, StreamConverter, Surface, Thinking, Wire,
};
use crate::{ErrorBody, Manners, Upstream};

pub(super) const SURFACES: [(Surface, &str); 4] = [
    (Surface::Chat, "chat"),
    (Surface::Responses, "responses"),
    (Surface::Messages, "messages"),
    (Surface::Gemini, "gemini"),
];
pub(super) const WIRES: [(Wire, &str); 4] = [
    (Wire::Chat, "chat"),
    (Wire::Messages, "messages"),
    (Wire::Gemini, "gemini"),
    (Wire::Converse, "converse"),
];

pub(super) const UPSTREAM: Upstream<'static> = Upstream {
    model: "upstream-model",
    manners: Manners { cap: None, stream_options: true, preferences: false, version_in_body: None },
    output_cap: NonZeroU64::new(8_000),
};

pub(super) const OPTIONS: RequestOptions<'static> = RequestOptions {
    upstream: UPSTREAM,
    stream: true,
    default_output_tokens: NonZeroU64::new(4_096).unwrap(),
    thinking: Thinking::Budget,
    sampling: true,
    takes_reasoning: false,
};

pub(super) const USAGE: Usage = Usage {
    input: 10,
    cached: 20,
    cache_write: 25,
    cache_write_long: 5,
    output: 7,
    reasoning: 3,
    ..Usage::from_counts([0; 15])
};

/// A whole answer of one form in another.
pub(super) fn answer(
    from: Wire,
    to: Surface,
    body: &[u8],
    usage: &Usage,
    context: &AnswerContext,
) -> Result<Vec<u8>, convert::Garbage> {
    let read = convert::read_answer(from, body)?;
    Ok(convert::write_answer(to, read, usage, context))
}

pub(super) fn context(asked: Asked) -> AnswerContext {
    AnswerContext {
        seed: "req_018f2b6d9f1c7a30b1c2d3e4f5061728".to_owned(),
        created_seconds: 1_763_000_000,
        model: "asked-model".to_owned(),
        asked,
    }
}

fn golden(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(folder)
}

/// The inputs of a folder in the order of their names: the name without its ending, and the text.
fn inputs(folder: &str, extension: &str) -> Vec<(String, String)> {
    let mut inputs: Vec<(String, String)> = fs::read_dir(golden(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|own| own == extension))
        .map(|path| {
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap())
        })
        .collect();
    inputs.sort();
    assert!(!inputs.is_empty());
    inputs
}

fn check(folder: &str, name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(format!("../../golden/{folder}"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// A surface by the beginning of a file's name.
fn of_name<T: Copy>(name: &str, forms: &[(T, &str)]) -> T {
    let form = name.split('_').next().unwrap();
    forms.iter().find(|(_, own)| *own == form).unwrap_or_else(|| panic!("no form for {name}")).0
}

/// A request that every wire it is sent to can say.
fn shown(converted: &Converted) -> String {
    let mut text = String::new();
    for dropped in &converted.dropped {
        writeln!(text, "{dropped}").unwrap();
    }
    let body: Value = serde_json::from_slice(&converted.body).unwrap();
    format!("{text}\n{body:#}\n")
}

#[test]
fn every_request_has_a_golden_file_for_each_wire() {
    for (name, body) in inputs("requests", "json") {
        let from = of_name(&name, &SURFACES);
        for (to, word) in WIRES {
            let shown = match convert::request(from, to, body.as_bytes(), &OPTIONS) {
                Ok(converted) => shown(&converted),
                Err(refused) => {
                    format!("refused: {refused}\nparam: {}\n", refused.param.as_deref().unwrap_or_default())
                }
            };
            check("requests", &format!("{name}.{word}"), &shown);
        }
    }
}

#[test]
fn googles_other_names_mean_the_same() {
    let own = fs::read_to_string(golden("requests").join("gemini_full.json")).unwrap();
    let mut other = own.clone();
    for name in [
        "systemInstruction",
        "inlineData",
        "mimeType",
        "functionCall",
        "functionResponse",
        "thoughtSignature",
        "functionDeclarations",
        "parametersJsonSchema",
        "toolConfig",
        "functionCallingConfig",
        "allowedFunctionNames",
        "generationConfig",
        "topP",
        "maxOutputTokens",
        "stopSequences",
        "candidateCount",
        "presencePenalty",
        "responseSchema",
        "responseMimeType",
        "responseModalities",
        "thinkingConfig",
        "thinkingBudget",
        "serviceTier",
    ] {
        let snake = name.chars().fold(String::new(), |snake, letter| match letter.is_ascii_uppercase() {
            true => snake + "_" + &letter.to_ascii_lowercase().to_string(),
            false => snake + &letter.to_string(),
        });
        let renamed = other.replace(&format!("\"{name}\":"), &format!("\"{snake}\":"));
        assert_ne!(renamed, other, "{name}");
        other = renamed;
    }
    for (to, word) in WIRES {
        let body =
            |text: &str| convert::request(Surface::Gemini, to, text.as_bytes(), &OPTIONS).unwrap().body;
        assert_eq!(body(&own), body(&other), "{word}");
    }
    let one = r#"{"contents":{"parts":{"text":"hi"}},"systemInstruction":{"parts":{"text":"Be terse."}}}"#;
    let list =
        r#"{"contents":[{"parts":[{"text":"hi"}]}],"systemInstruction":{"parts":[{"text":"Be terse."}]}}"#;
    let body =
        |text: &str| convert::request(Surface::Gemini, Wire::Chat, text.as_bytes(), &OPTIONS).unwrap().body;
    assert_eq!(body(one), body(list));
}

#[test]
fn every_answer_has_a_golden_file_for_each_surface() {
    for (name, body) in inputs("answers", "json") {
        let from = of_name(&name, &WIRES);
        for (to, word) in SURFACES {
            let answer = answer(from, to, body.as_bytes(), &USAGE, &context(asked(to))).unwrap();
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            check("answers", &format!("{name}.{word}"), &format!("{answer:#}\n"));
        }
    }
}

/// The name and data of each event of a stream.
pub(super) fn events(stream: &str) -> Vec<(Option<&str>, &str)> {
    let blocks = stream.trim_end().split("\n\n").filter(|block| !block.is_empty());
    blocks
        .map(|block| {
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
            (field("event: "), field("data: ").unwrap_or_else(|| panic!("no data in {block}")))
        })
        .collect()
}

/// What callers ask for whose answers are golden files: the usage of a stream, and a tool that takes free text.
fn asked(surface: Surface) -> Asked {
    let body = match surface {
        Surface::Chat => {
            r#"{"messages":[{"role":"user","content":"a"}],"stream_options":{"include_usage":true}}"#
        }
        Surface::Responses => {
            r#"{"input":"a","tools":[{"type":"custom","name":"apply_patch"}],"temperature":0.5,"parallel_tool_calls":false}"#
        }
        Surface::Messages => r#"{"messages":[{"role":"user","content":"a"}],"max_tokens":1}"#,
        Surface::Gemini => r#"{"contents":[{"parts":[{"text":"a"}]}]}"#,
    };
    convert::request(surface, Wire::Chat, body.as_bytes(), &OPTIONS).unwrap().asked
}

/// A stream as the caller sees it.
pub(super) fn converted(from: Wire, to: Surface, stream: &str, asked: Asked) -> String {
    let mut converter = StreamConverter::new(from, to, context(asked));
    let mut out = Vec::new();
    for (name, data) in events(stream) {
        converter.event(name, data, &mut out).unwrap();
    }
    converter.tail(&USAGE, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn every_stream_has_a_golden_file_for_each_surface() {
    for (name, stream) in inputs("streams", "txt") {
        let from = of_name(&name, &WIRES);
        for (to, word) in SURFACES {
            let text = converted(from, to, &stream, asked(to));
            check("streams", &format!("{name}.{word}"), &text);
        }
    }
}

#[test]
fn a_stream_that_is_cut_ends_with_length() {
    let stream = fs::read_to_string(golden("streams").join("messages_full.txt")).unwrap();
    let some: Vec<_> = events(&stream).into_iter().take(9).collect();
    for (to, word) in SURFACES {
        let mut converter = StreamConverter::new(Wire::Messages, to, context(Asked::default()));
        let mut out = Vec::new();
        for (name, data) in &some {
            converter.event(*name, data, &mut out).unwrap();
        }
        let mut tail = Vec::new();
        converter.cut(&USAGE, &mut tail);
        check("streams", &format!("cut.{word}"), &String::from_utf8(tail).unwrap());
    }
}

#[test]
fn a_stream_that_fails_says_so_and_nothing_more() {
    let stream = fs::read_to_string(golden("streams").join("messages_full.txt")).unwrap();
    let error = ErrorBody::new(503, "server_error", "The provider went away.").with_code("upstream_gone");
    for (to, word) in SURFACES {
        for (after, count) in [("nothing", 0), ("some", 9)] {
            let mut converter = StreamConverter::new(Wire::Messages, to, context(Asked::default()));
            let mut out = Vec::new();
            for (name, data) in events(&stream).into_iter().take(count) {
                converter.event(name, data, &mut out).unwrap();
            }
            out.clear();
            converter.fail(&error, &mut out);
            check("streams", &format!("failed_after_{after}.{word}"), &String::from_utf8(out).unwrap());
            let mut more = Vec::new();
            for (name, data) in events(&stream) {
                converter.event(name, data, &mut more).unwrap();
            }
            converter.fail(&error, &mut more);
            converter.tail(&USAGE, &mut more);
            converter.cut(&USAGE, &mut more);
            assert!(more.is_empty() && converter.has_failed());
        }
    }
}

#[test]
fn what_is_no_answer_is_not_made_one() {
    for body in
        ["", "1", "[]", "{}", r#"{"error":{"message":"m"}}"#, r#"{"choices":1}"#, r#"{"candidates":{}}"#]
    {
        for (from, _) in WIRES {
            let answer = answer(from, Surface::Chat, body.as_bytes(), &USAGE, &context(Asked::default()));
            assert!(answer.is_err(), "{from:?}: {body}");
        }
    }
}
