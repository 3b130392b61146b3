//! Calls of several tools at once, and JSON, in every dialect: the stream puts together what the one piece shows.

use serde_json::{Value, json};

use super::client::{Caller, PATIENT, Rig};

const CHATS: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";
const MESSAGES: &str = "/v1/messages";
const HEADERS: [(&str, &str); 2] = [("authorization", "Bearer any"), ("anthropic-version", "2023-06-01")];

/// What was said: a text, or the names and the arguments of calls.
type Said = (String, Vec<(String, Value)>);
/// How a dialect offers a tool, tells what one said, and asks for JSON.
type Words = (fn(&str) -> Value, Value, (&'static str, Value));

fn parsed(arguments: &str) -> Value {
    serde_json::from_str(arguments).unwrap_or_else(|error| panic!("{error}: {arguments}"))
}

fn owned(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// What an answer in one piece says.
fn whole(path: &str, answer: &Value) -> Said {
    match path {
        CHATS => {
            let message = &answer["choices"][0]["message"];
            let call = |call: &Value| {
                (owned(&call["function"]["name"]), parsed(&owned(&call["function"]["arguments"])))
            };
            (owned(&message["content"]), list(&message["tool_calls"]).iter().map(call).collect())
        }
        RESPONSES => {
            let items = list(&answer["output"]);
            let calls = items.iter().filter(|item| item["type"] == "function_call");
            let call = |item: &Value| (owned(&item["name"]), parsed(&owned(&item["arguments"])));
            (owned(&items[0]["content"][0]["text"]), calls.map(call).collect())
        }
        _ => {
            let blocks = list(&answer["content"]);
            let calls = blocks.iter().filter(|block| block["type"] == "tool_use");
            let call = |block: &Value| (owned(&block["name"]), block["input"].clone());
            (owned(&blocks[0]["text"]), calls.map(call).collect())
        }
    }
}

/// What a stream says, put together as SDKs do.
fn streamed(path: &str, body: &str) -> Said {
    let datas = body.split("\n\n").filter_map(|block| block.split_once("data: ")).map(|(_, data)| data);
    let (mut text, mut calls): (String, Vec<(String, String)>) = Default::default();
    for event in datas.filter(|data| *data != "[DONE]").map(parsed) {
        match path {
            CHATS => {
                let delta = &event["choices"][0]["delta"];
                text.push_str(&owned(&delta["content"]));
                for call in list(&delta["tool_calls"]) {
                    let index = call["index"].as_u64().unwrap() as usize;
                    calls.resize(calls.len().max(index + 1), Default::default());
                    calls[index].0.push_str(&owned(&call["function"]["name"]));
                    calls[index].1.push_str(&owned(&call["function"]["arguments"]));
                }
            }
            RESPONSES if event["type"] == "response.completed" => return whole(path, &event["response"]),
            RESPONSES => {}
            _ => {
                let delta = &event["delta"];
                if event["content_block"]["type"] == "tool_use" {
                    calls.push((owned(&event["content_block"]["name"]), String::new()));
                }
                text.push_str(&owned(&delta["text"]));
                if let Some(part) = delta["partial_json"].as_str() {
                    calls.last_mut().unwrap().1.push_str(part);
                }
            }
        }
    }
    (text, calls.into_iter().map(|(name, arguments)| (name, parsed(&arguments))).collect())
}

/// What is asked in each dialect: tools, an end with a tool's result, and JSON.
fn ask(path: &str, tools: bool, result: bool, json: bool) -> Value {
    let mut body = json!({"model": "sim?calls=2;out=5;chunk=2", "max_tokens": 50});
    let user = json!({"role": "user", "content": "hello"});
    let names = ["one", "two"];
    let schema = json!({"type": "object"});
    let (tool, told, format): Words = match path {
        CHATS => (
            |name| json!({"type": "function", "function": {"name": name}}),
            json!({"role": "tool", "tool_call_id": "c", "content": "yes"}),
            (
                "response_format",
                json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}),
            ),
        ),
        RESPONSES => (
            |name| json!({"type": "function", "name": name}),
            json!({"type": "function_call_output", "call_id": "c", "output": "yes"}),
            ("text", json!({"format": {"type": "json_schema", "name": "n", "schema": schema}})),
        ),
        _ => (
            |name| json!({"name": name, "type": "custom"}),
            json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "yes"}]}),
            ("output_config", json!({"format": {"type": "json_schema", "schema": schema}})),
        ),
    };
    let turns = if result { vec![user, told] } else { vec![user] };
    body[if path == RESPONSES { "input" } else { "messages" }] = json!(turns);
    if tools {
        body["tools"] = names.map(tool).to_vec().into();
    }
    if json {
        body[format.0] = format.1;
    }
    body
}

async fn said(caller: &Caller, path: &str, mut body: Value) -> Said {
    let one = caller.see(PATIENT, "POST", path, &HEADERS, &body.to_string()).await.json();
    body["stream"] = json!(true);
    let stream = caller.see(PATIENT, "POST", path, &HEADERS, &body.to_string()).await;
    let said = whole(path, &one);
    assert_eq!(streamed(path, &stream.body), said, "{path}: {}", stream.body);
    said
}

#[tokio::test]
async fn tools_are_called_at_once_and_answered_by_a_text() {
    let rig = Rig::new("", 1);
    let caller = rig.caller(false);
    for path in [CHATS, RESPONSES, MESSAGES] {
        let calls = [("one", "The keeper"), ("two", " at the gate")];
        let calls = calls.map(|(name, text)| (name.to_owned(), json!({"text": text}))).to_vec();
        assert_eq!(
            said(&caller, path, ask(path, true, false, false)).await,
            (String::new(), calls),
            "{path}"
        );
        let text = "The keeper at the gate".to_owned();
        for body in [ask(path, true, true, false), ask(path, false, false, false)] {
            assert_eq!(said(&caller, path, body).await, (text.clone(), vec![]), "{path}");
        }
        let (framed, _) = said(&caller, path, ask(path, false, false, true)).await;
        assert_eq!(parsed(&framed), json!({"text": text}), "{path}");
    }
    for line in caller.truth() {
        assert_eq!(line["completion_tokens"], 5, "frames and names cost nothing: {line}");
    }
}

#[tokio::test]
async fn whoever_calls_a_tool_says_so() {
    let rig = Rig::new("", 1);
    let caller = rig.caller(false);
    for stream in [false, true] {
        let mut body = ask(CHATS, true, false, false);
        body["stream"] = json!(stream);
        let seen = caller.see(PATIENT, "POST", CHATS, &HEADERS, &body.to_string()).await.body;
        assert!(seen.contains(r#""finish_reason":"tool_calls""#), "{seen}");
    }
}
