//! The tables of docs/conversions.md, made by converting: what becomes of each member of a request.
//!
//! `TOLLKEEPER_RENEW_CONVERSIONS=1 cargo test -p tollkeeper-dialect tables` writes them anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use super::super::json;
use super::{OPTIONS, UPSTREAM, WIRES};
use crate::Upstream;
use crate::convert::{self, RequestOptions, Surface, Thinking, Wire};

/// What is looked at: its name, the request's members with it, and those without it.
type Sample = (&'static str, &'static str, &'static str);

const CHAT: &[Sample] = &[
    (
        "messages[].role: system, developer",
        r#""messages":[{"role":"developer","content":"s"},{"role":"user","content":"a"}]"#,
        "",
    ),
    (
        "the same between turns",
        r#""messages":[{"role":"user","content":"a"},{"role":"system","content":"s"},{"role":"user","content":"b"}]"#,
        r#""messages":[{"role":"user","content":"a"},{"role":"user","content":"b"}]"#,
    ),
    ("messages[].name", r#""messages":[{"role":"user","content":"a","name":"n"}]"#, ""),
    (
        "image_url: a web address",
        r#""messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]}]"#,
        "",
    ),
    (
        "image_url: base64",
        r#""messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]}]"#,
        "",
    ),
    (
        "image_url.detail",
        r#""messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA==","detail":"low"}}]}]"#,
        r#""messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]}]"#,
    ),
    (
        "file: a PDF",
        r#""messages":[{"role":"user","content":[{"type":"file","file":{"file_data":"data:application/pdf;base64,AA=="}}]}]"#,
        "",
    ),
    (
        "file: of another type",
        r#""messages":[{"role":"user","content":[{"type":"file","file":{"file_data":"data:text/csv;base64,AA=="}}]}]"#,
        "",
    ),
    ("file_id", r#""messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"f"}}]}]"#, ""),
    (
        "input_audio",
        r#""messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AA==","format":"wav"}}]}]"#,
        "",
    ),
    (
        "cache_control, prompt_cache_breakpoint",
        r#""messages":[{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]}]"#,
        "",
    ),
    (
        "tool_calls and their results",
        r#""messages":[{"role":"user","content":"a"},{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"r"}]"#,
        "",
    ),
    (
        "arguments that are no object",
        r#""messages":[{"role":"user","content":"a"},{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"[1]"}}]}]"#,
        "",
    ),
    (
        "reasoning_details signed by Anthropic",
        r#""messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","reasoning_details":[{"type":"reasoning.text","text":"t","signature":"s"}]}]"#,
        r#""messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]"#,
    ),
    (
        "reasoning_content, reasoning",
        r#""messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","reasoning_content":"t"}]"#,
        r#""messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]"#,
    ),
    (
        "tools: function",
        r#""tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]"#,
        "",
    ),
    ("tools: custom and hosted", r#""tools":[{"type":"web_search"}]"#, ""),
    (
        "tools[].function.strict",
        r#""tools":[{"type":"function","function":{"name":"f","strict":true}}]"#,
        r#""tools":[{"type":"function","function":{"name":"f"}}]"#,
    ),
    (
        "tool_choice: auto, required, a function",
        r#""tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"required""#,
        r#""tools":[{"type":"function","function":{"name":"f"}}]"#,
    ),
    (
        "tool_choice: none",
        r#""tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"none""#,
        r#""tools":[{"type":"function","function":{"name":"f"}}]"#,
    ),
    (
        "parallel_tool_calls: false",
        r#""tools":[{"type":"function","function":{"name":"f"}}],"parallel_tool_calls":false"#,
        r#""tools":[{"type":"function","function":{"name":"f"}}]"#,
    ),
    ("functions, function_call", r#""functions":[]"#, ""),
    ("max_completion_tokens, max_tokens", r#""max_tokens":5"#, ""),
    ("stop", r#""stop":["x"]"#, ""),
    ("temperature up to 1", r#""temperature":0.5"#, ""),
    ("temperature above 1", r#""temperature":1.5"#, ""),
    ("top_p", r#""top_p":0.5"#, ""),
    ("top_p beside temperature", r#""temperature":0.5,"top_p":0.5"#, r#""temperature":0.5"#),
    ("seed", r#""seed":1"#, ""),
    ("frequency_penalty, presence_penalty", r#""presence_penalty":1"#, ""),
    ("logit_bias", r#""logit_bias":{"1":1}"#, ""),
    ("logprobs, top_logprobs", r#""logprobs":true"#, ""),
    ("n above 1", r#""n":2"#, ""),
    (
        "response_format: json_schema",
        r#""response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{}}}"#,
        "",
    ),
    ("response_format: json_object", r#""response_format":{"type":"json_object"}"#, ""),
    ("reasoning_effort", r#""reasoning_effort":"low""#, ""),
    ("verbosity", r#""verbosity":"low""#, ""),
    ("modalities with audio, audio", r#""modalities":["audio"]"#, ""),
    ("web_search_options", r#""web_search_options":{}"#, ""),
    ("prediction", r#""prediction":{}"#, ""),
    ("user, safety_identifier", r#""user":"u""#, ""),
    ("service_tier: default", r#""service_tier":"default""#, ""),
    ("service_tier: flex, priority", r#""service_tier":"flex""#, ""),
    ("metadata, store, prompt_cache_key and their like", r#""metadata":{"a":"b"}"#, ""),
    ("a member that nobody knows", r#""x":1"#, ""),
];

const RESPONSES: &[Sample] = &[
    ("instructions; input[].role: system, developer", r#""instructions":"s""#, ""),
    (
        "input: a text, or messages",
        r#""input":[{"role":"user","content":[{"type":"input_text","text":"b"}]}]"#,
        "",
    ),
    (
        "input_image: base64",
        r#""input":[{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,AA=="}]}]"#,
        "",
    ),
    (
        "input_image: a web address",
        r#""input":[{"role":"user","content":[{"type":"input_image","image_url":"https://example.com/a.png"}]}]"#,
        "",
    ),
    (
        "input_file: a PDF in base64",
        r#""input":[{"role":"user","content":[{"type":"input_file","file_data":"data:application/pdf;base64,AA=="}]}]"#,
        "",
    ),
    (
        "input_file: a web address",
        r#""input":[{"role":"user","content":[{"type":"input_file","file_url":"https://example.com/a.pdf"}]}]"#,
        "",
    ),
    ("file_id", r#""input":[{"role":"user","content":[{"type":"input_file","file_id":"f"}]}]"#, ""),
    (
        "function_call and its output",
        r#""input":[{"role":"user","content":"a"},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"r"}]"#,
        "",
    ),
    (
        "custom_tool_call and its output",
        r#""input":[{"role":"user","content":"a"},{"type":"custom_tool_call","call_id":"c","name":"f","input":"i"},{"type":"custom_tool_call_output","call_id":"c","output":"r"}]"#,
        "",
    ),
    (
        "reasoning sealed by Anthropic",
        r#""input":[{"role":"user","content":"a"},{"type":"reasoning","summary":[],"encrypted_content":"anthropic:s"},{"role":"assistant","content":"b"}]"#,
        r#""input":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]"#,
    ),
    (
        "reasoning sealed by OpenAI",
        r#""input":[{"role":"user","content":"a"},{"type":"reasoning","summary":[],"encrypted_content":"g"},{"role":"assistant","content":"b"}]"#,
        r#""input":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]"#,
    ),
    ("web_search_call", r#""input":[{"role":"user","content":"a"},{"type":"web_search_call"}]"#, ""),
    (
        "item_reference and all other items",
        r#""input":[{"role":"user","content":"a"},{"type":"item_reference","id":"i"}]"#,
        "",
    ),
    ("tools: function", r#""tools":[{"type":"function","name":"f","parameters":{"type":"object"}}]"#, ""),
    ("tools: custom", r#""tools":[{"type":"custom","name":"f"}]"#, ""),
    (
        "tools: custom with a grammar",
        r#""tools":[{"type":"custom","name":"f","format":{"type":"grammar","syntax":"lark","definition":"d"}}]"#,
        r#""tools":[{"type":"custom","name":"f"}]"#,
    ),
    ("tools: hosted", r#""tools":[{"type":"web_search"}]"#, ""),
    ("tool_choice: a hosted tool", r#""tool_choice":{"type":"web_search"}"#, ""),
    ("max_output_tokens", r#""max_output_tokens":16"#, ""),
    ("reasoning.effort", r#""reasoning":{"effort":"low"}"#, ""),
    ("text.format: json_schema", r#""text":{"format":{"type":"json_schema","name":"n","schema":{}}}"#, ""),
    ("text.format: json_object", r#""text":{"format":{"type":"json_object"}}"#, ""),
    ("text.verbosity", r#""text":{"verbosity":"low"}"#, ""),
    ("previous_response_id, conversation, prompt", r#""previous_response_id":"r""#, ""),
    ("background: true", r#""background":true"#, ""),
    ("store: true", r#""store":true"#, ""),
    ("include: reasoning.encrypted_content", r#""include":["reasoning.encrypted_content"]"#, ""),
    ("include: anything else", r#""include":["x"]"#, ""),
    ("top_logprobs", r#""top_logprobs":2"#, ""),
    ("truncation: auto", r#""truncation":"auto""#, ""),
    ("metadata, client_metadata, prompt_cache_key and their like", r#""client_metadata":{"a":"b"}"#, ""),
];

const MESSAGES: &[Sample] = &[
    ("system", r#""system":"s""#, ""),
    (
        "image: base64",
        r#""messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA=="}}]}]"#,
        "",
    ),
    (
        "image: a web address",
        r#""messages":[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"https://example.com/a.png"}}]}]"#,
        "",
    ),
    (
        "document: a PDF in base64",
        r#""messages":[{"role":"user","content":[{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"AA=="}}]}]"#,
        "",
    ),
    (
        "document: plain text",
        r#""messages":[{"role":"user","content":[{"type":"document","source":{"type":"text","media_type":"text/plain","data":"t"}}]}]"#,
        "",
    ),
    (
        "document: a web address",
        r#""messages":[{"role":"user","content":[{"type":"document","source":{"type":"url","url":"https://example.com/a.pdf"}}]}]"#,
        "",
    ),
    (
        "source: an uploaded file",
        r#""messages":[{"role":"user","content":[{"type":"image","source":{"type":"file","file_id":"f"}}]}]"#,
        "",
    ),
    (
        "citations",
        r#""messages":[{"role":"user","content":[{"type":"document","citations":{"enabled":true},"source":{"type":"text","media_type":"text/plain","data":"t"}}]}]"#,
        r#""messages":[{"role":"user","content":[{"type":"document","source":{"type":"text","media_type":"text/plain","data":"t"}}]}]"#,
    ),
    (
        "cache_control on a block or a tool",
        r#""messages":[{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]}]"#,
        "",
    ),
    ("cache_control of the request", r#""cache_control":{"type":"ephemeral"}"#, ""),
    (
        "tool_use and tool_result",
        r#""messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"r"}]}]"#,
        "",
    ),
    (
        "tool_result.is_error",
        r#""messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"r","is_error":true}]}]"#,
        r#""messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"r"}]}]"#,
    ),
    (
        "tool_result with an image",
        r#""messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA=="}}]}]}]"#,
        "",
    ),
    (
        "thinking, redacted_thinking",
        r#""messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"},{"type":"text","text":"b"}]}]"#,
        r#""messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"text","text":"b"}]}]"#,
    ),
    (
        "server_tool_use and its results",
        r#""messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"server_tool_use"},{"type":"text","text":"b"}]}]"#,
        r#""messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"text","text":"b"}]}]"#,
    ),
    ("all other blocks", r#""messages":[{"role":"user","content":[{"type":"container_upload"}]}]"#, ""),
    ("tools with input_schema", r#""tools":[{"name":"f","input_schema":{"type":"object"}}]"#, ""),
    ("Anthropic's own tools", r#""tools":[{"type":"web_search_20250305","name":"w"}]"#, ""),
    (
        "tool_choice",
        r#""tools":[{"name":"f","input_schema":{}}],"tool_choice":{"type":"any"}"#,
        r#""tools":[{"name":"f","input_schema":{}}]"#,
    ),
    (
        "disable_parallel_tool_use",
        r#""tools":[{"name":"f","input_schema":{}}],"tool_choice":{"type":"auto","disable_parallel_tool_use":true}"#,
        r#""tools":[{"name":"f","input_schema":{}}],"tool_choice":{"type":"auto"}"#,
    ),
    ("max_tokens", r#""max_tokens":5"#, ""),
    ("max_tokens: 0", r#""max_tokens":0"#, ""),
    ("stop_sequences", r#""stop_sequences":["x"]"#, ""),
    ("temperature, top_p", r#""temperature":0.5"#, ""),
    ("top_k", r#""top_k":5"#, ""),
    (
        "thinking: enabled, disabled; output_config.effort",
        r#""thinking":{"type":"enabled","budget_tokens":1024}"#,
        "",
    ),
    ("output_config.format", r#""output_config":{"format":{"type":"json_schema","schema":{}}}"#, ""),
    ("metadata.user_id", r#""metadata":{"user_id":"u"}"#, ""),
    ("service_tier: standard_only", r#""service_tier":"standard_only""#, ""),
    ("container, mcp_servers", r#""mcp_servers":[]"#, ""),
    ("context_management, inference_geo, speed and their like", r#""speed":"fast""#, ""),
];

const GEMINI: &[Sample] = &[
    ("systemInstruction", r#""systemInstruction":{"parts":[{"text":"s"}]}"#, ""),
    (
        "inlineData: an image",
        r#""contents":[{"parts":[{"inlineData":{"mimeType":"image/png","data":"AA=="}}]}]"#,
        "",
    ),
    (
        "inlineData: a PDF",
        r#""contents":[{"parts":[{"inlineData":{"mimeType":"application/pdf","data":"AA=="}}]}]"#,
        "",
    ),
    (
        "inlineData: audio",
        r#""contents":[{"parts":[{"inlineData":{"mimeType":"audio/wav","data":"AA=="}}]}]"#,
        "",
    ),
    (
        "inlineData: video",
        r#""contents":[{"parts":[{"inlineData":{"mimeType":"video/mp4","data":"AA=="}}]}]"#,
        "",
    ),
    (
        "fileData: an image at a web address",
        r#""contents":[{"parts":[{"fileData":{"mimeType":"image/png","fileUri":"https://example.com/a.png"}}]}]"#,
        "",
    ),
    (
        "fileData: a file at Google",
        r#""contents":[{"parts":[{"fileData":{"mimeType":"image/png","fileUri":"gs://b/a.png"}}]}]"#,
        "",
    ),
    (
        "functionCall and functionResponse",
        r#""contents":[{"parts":[{"text":"a"}]},{"role":"model","parts":[{"functionCall":{"name":"f"}}]},{"parts":[{"functionResponse":{"name":"f","response":{"output":"r"}}}]}]"#,
        "",
    ),
    (
        "functionResponse.parts",
        r#""contents":[{"parts":[{"text":"a"}]},{"role":"model","parts":[{"functionCall":{"name":"f"}}]},{"parts":[{"functionResponse":{"name":"f","parts":[]}}]}]"#,
        "",
    ),
    (
        "thought parts",
        r#""contents":[{"parts":[{"text":"a"}]},{"role":"model","parts":[{"text":"t","thought":true},{"text":"b"}]}]"#,
        r#""contents":[{"parts":[{"text":"a"}]},{"role":"model","parts":[{"text":"b"}]}]"#,
    ),
    (
        "functionDeclarations",
        r#""tools":[{"functionDeclarations":[{"name":"f","parameters":{"type":"OBJECT"}}]}]"#,
        "",
    ),
    ("googleSearch and all other tools", r#""tools":[{"googleSearch":{}}]"#, ""),
    (
        "functionCallingConfig",
        r#""tools":[{"functionDeclarations":[{"name":"f"}]}],"toolConfig":{"functionCallingConfig":{"mode":"ANY"}}"#,
        r#""tools":[{"functionDeclarations":[{"name":"f"}]}]"#,
    ),
    ("maxOutputTokens", r#""generationConfig":{"maxOutputTokens":5}"#, ""),
    ("stopSequences", r#""generationConfig":{"stopSequences":["x"]}"#, ""),
    ("temperature, topP", r#""generationConfig":{"temperature":0.5}"#, ""),
    ("topK", r#""generationConfig":{"topK":5}"#, ""),
    ("seed, presencePenalty, frequencyPenalty", r#""generationConfig":{"seed":5}"#, ""),
    ("responseSchema, responseJsonSchema", r#""generationConfig":{"responseSchema":{"type":"OBJECT"}}"#, ""),
    (
        "responseMimeType: application/json alone",
        r#""generationConfig":{"responseMimeType":"application/json"}"#,
        "",
    ),
    ("thinkingConfig", r#""generationConfig":{"thinkingConfig":{"thinkingBudget":1024}}"#, ""),
    ("candidateCount above 1", r#""generationConfig":{"candidateCount":2}"#, ""),
    ("responseLogprobs", r#""generationConfig":{"responseLogprobs":true}"#, ""),
    (
        "responseModalities but TEXT, speechConfig",
        r#""generationConfig":{"responseModalities":["IMAGE"]}"#,
        "",
    ),
    ("safetySettings, labels, mediaResolution", r#""safetySettings":[]"#, ""),
    ("cachedContent", r#""cachedContent":"c""#, ""),
    ("serviceTier: standard", r#""serviceTier":"standard""#, ""),
];

const BASES: [(Surface, &str, &str, &[Sample]); 4] = [
    (Surface::Chat, "Chat Completions", r#"{"messages":[{"role":"user","content":"a"}]}"#, CHAT),
    (Surface::Responses, "Responses", r#"{"input":"a"}"#, RESPONSES),
    (
        Surface::Messages,
        "Messages",
        r#"{"messages":[{"role":"user","content":"a"}],"max_tokens":9999}"#,
        MESSAGES,
    ),
    (Surface::Gemini, "Gemini", r#"{"contents":[{"parts":[{"text":"a"}]}]}"#, GEMINI),
];

/// The request with these members in place of its own.
fn request(base: &str, members: &str) -> String {
    let mut body: Map<String, Value> = serde_json::from_str(base).unwrap();
    let Value::Object(members) = json(&format!("{{{members}}}")) else { panic!("no object") };
    body.extend(members);
    Value::Object(body).to_string()
}

/// What becomes of a member on this wire, and why.
fn fate(from: Surface, to: Wire, base: &str, sample: Sample) -> (&'static str, Option<String>) {
    let (_, with, without) = sample;
    let options = RequestOptions {
        upstream: Upstream { model: "anthropic.m", output_cap: None, ..UPSTREAM },
        stream: false,
        thinking: Thinking::Budget,
        ..OPTIONS
    };
    let convert = |members| convert::request(from, to, request(base, members).as_bytes(), &options);
    let bare = convert(without).unwrap();
    match convert(with) {
        Err(refused) => {
            let (_, why) = refused.message.split_once(": ").unwrap();
            ("refused", Some(why.trim_end_matches('.').to_owned()))
        }
        Ok(converted) => {
            let why = converted.dropped.iter().find(|dropped| !bare.dropped.contains(dropped));
            let fate = match (why, converted.body == bare.body) {
                (Some(_), true) => "dropped",
                (Some(_), false) => "changed",
                (None, true) => "understood",
                (None, false) => "kept",
            };
            (fate, why.map(|why| why.why.to_owned()))
        }
    }
}

fn tables() -> String {
    let mut text = String::new();
    for (surface, title, base, samples) in BASES {
        writeln!(text, "\n### From {title}\n").unwrap();
        text += "| member | Chat | Messages | Gemini | Converse | why |\n|---|---|---|---|---|---|\n";
        for sample in samples {
            let mut whys = BTreeSet::new();
            write!(text, "| {} |", sample.0).unwrap();
            for (wire, word) in WIRES {
                if title.starts_with("Chat") && word == "chat" || title.eq_ignore_ascii_case(word) {
                    text += " |";
                    continue;
                }
                let (fate, why) = fate(surface, wire, base, *sample);
                write!(text, " {fate} |").unwrap();
                whys.extend(why);
            }
            writeln!(text, " {} |", whys.into_iter().collect::<Vec<_>>().join("; ")).unwrap();
        }
    }
    text
}

#[test]
fn the_document_has_the_tables_that_conversions_make() {
    const BEGIN: &str = "<!-- tables: begin -->\n";
    const END: &str = "\n<!-- tables: end -->";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/conversions.md");
    let page = fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once(BEGIN).unwrap();
    let (old, foot) = rest.split_once(END).unwrap();
    let new = tables();
    if option_env!("TOLLKEEPER_RENEW_CONVERSIONS").is_some() {
        fs::write(&path, format!("{head}{BEGIN}{new}{END}{foot}")).unwrap();
    } else {
        assert!(
            old == new,
            "docs/conversions.md is out of date; see this file's head. It should say:\n{new}"
        );
    }
}
