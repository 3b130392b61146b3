//! Responses: their shape in one piece and in events, what their text counts, their faults and their truth.

use serde_json::{Value, json};

use super::client::{End, PATIENT, Rig, Seen};
use crate::text;

const PATH: &str = "/v1/responses";

fn ask(behaviour: &str, fields: &Value) -> Value {
    let mut body = json!({ "model": format!("sim-small?{behaviour}"), "input": "hello world" });
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

/// The events by their names and data, which must say the same name and count from 0.
fn events(seen: &Seen) -> Vec<(String, Value)> {
    let blocks: Vec<&str> = seen.body.split_terminator("\n\n").collect();
    let read = |(number, block): (usize, &&str)| {
        let (name, data) = block.split_once("\ndata: ").unwrap_or_else(|| panic!("{block}"));
        let data: Value = serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"));
        let name = name.strip_prefix("event: ").unwrap().to_owned();
        assert_eq!((&data["type"], &data["sequence_number"]), (&json!(name), &json!(number)), "{block}");
        (name, data)
    };
    blocks.iter().enumerate().map(read).collect()
}

fn names(events: &[(String, Value)]) -> Vec<&str> {
    events.iter().map(|(name, _)| name.strip_prefix("response.").unwrap()).collect()
}

/// The text of a response's message, or the arguments of its call.
fn said(response: &Value) -> String {
    let item = response["output"].as_array().unwrap().last().unwrap();
    let said = if item["type"] == "message" { &item["content"][0]["text"] } else { &item["arguments"] };
    said.as_str().unwrap().to_owned()
}

/// Behaviour and fields, then prompt, cached, completion and reasoning tokens, and the status.
fn cases() -> Vec<(&'static str, Value, [u64; 4], &'static str)> {
    vec![
        ("", json!({}), [9, 0, 16, 0], "completed"),
        ("in=1000;cached=33;out=200;chunk=7", json!({}), [1000, 330, 200, 0], "completed"),
        ("out=50;reasoning=20", json!({"instructions": "hello world"}), [15, 0, 50, 20], "completed"),
        ("out=50", json!({"max_output_tokens": 10}), [9, 0, 10, 0], "incomplete"),
        ("out=0", json!({"input": null}), [3, 0, 0, 0], "completed"),
        (
            "out=3",
            json!({"input": [
                {"role": "user", "content": [{"type": "input_text", "text": "hello world"}]},
                {"type": "function_call", "call_id": "c", "name": "hello", "arguments": "world"},
                {"type": "function_call_output", "call_id": "c", "output": "hello"},
            ]}),
            [3 + 6 + 5 + 4, 0, 3, 0],
            "completed",
        ),
    ]
}

#[tokio::test]
async fn one_truth_in_one_piece_and_in_events() {
    let rig = Rig::new("", 1);
    let caller = rig.caller(false);
    for (behaviour, fields, [prompt, cached, completion, reasoning], status) in cases() {
        for stream in [false, true] {
            let mut body = ask(behaviour, &fields);
            body["stream"] = json!(stream);
            let seen = caller.post(PATH, &body).await;
            let response = match stream {
                true => events(&seen).pop().unwrap().1["response"].take(),
                false => seen.json(),
            };
            let name = format!("{behaviour} {fields} stream={stream}");
            assert_eq!(
                (&response["object"], &response["status"]),
                (&json!("response"), &json!(status)),
                "{name}"
            );
            assert_eq!(text::count(&said(&response)), completion - reasoning, "{name}");
            let usage = json!({
                "input_tokens": prompt,
                "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
                "output_tokens": completion, "output_tokens_details": {"reasoning_tokens": reasoning},
                "total_tokens": prompt + completion,
            });
            assert_eq!(response["usage"], usage, "{name}");
            let line = caller.truth().pop().unwrap();
            let logged = ["prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens"];
            assert_eq!(
                logged.map(|name| line[name].as_u64().unwrap()),
                [prompt, cached, completion, reasoning]
            );
            assert_eq!((&line["id"], &line["stream"]), (&response["id"], &json!(stream)), "{name}");
            assert_eq!(line["finished"], json!(true), "{name}");
        }
    }
}

#[tokio::test]
async fn events_come_in_order_and_add_up() {
    let rig = Rig::new("out=4;chunk=2;reasoning=1", 1);
    let caller = rig.caller(true);
    let tools = json!({
        "stream": true, "tool_choice": "required",
        "tools": [{"type": "custom", "name": "c"}, {"type": "function", "name": "f\"", "parameters": {}}],
    });
    let start = ["created", "in_progress", "output_item.added", "output_item.done", "output_item.added"];
    for (fields, middle, delta) in [
        (
            json!({"stream": true}),
            &[
                "content_part.added",
                "output_text.delta",
                "output_text.delta",
                "output_text.done",
                "content_part.done",
            ][..],
            "output_text",
        ),
        (
            json!({"stream": true, "text": {"format": {"type": "json_object"}}}),
            &[
                "content_part.added",
                "output_text.delta",
                "output_text.delta",
                "output_text.delta",
                "output_text.delta",
                "output_text.done",
                "content_part.done",
            ],
            "output_text",
        ),
        (
            tools,
            &[
                "function_call_arguments.delta",
                "function_call_arguments.delta",
                "function_call_arguments.delta",
                "function_call_arguments.delta",
                "function_call_arguments.done",
            ],
            "function_call_arguments",
        ),
    ] {
        let seen = caller.post(PATH, &ask("", &fields)).await;
        let events = events(&seen);
        let expected: Vec<&str> = [&start[..], middle, &["output_item.done", "completed"]].concat();
        assert_eq!(names(&events), expected, "{fields}");
        let deltas = events.iter().filter(|(name, _)| *name == format!("response.{delta}.delta"));
        let joined: String = deltas.map(|(_, event)| event["delta"].as_str().unwrap()).collect();
        let response = &events.last().unwrap().1["response"];
        assert_eq!(joined, said(response), "{fields}");
        let item = &events[events.len() - 2].1["item"];
        assert_eq!(&response["output"][1], item, "{fields}");
        if joined.starts_with('{') {
            assert_eq!(serde_json::from_str::<Value>(&joined).unwrap(), json!({"text": "The keeper at"}));
        }
        if delta == "function_call_arguments" {
            assert_eq!((&item["type"], &item["name"]), (&json!("function_call"), &json!("f\"")));
        }
    }
}

/// A fault, then the end and the last event as the caller sees them, and completion tokens and `finished` in the log.
const FAULTS: [(&str, End, &str, u64, bool); 5] = [
    ("close_mid", End::Cut, "", 3, false),
    ("hang_mid", End::Stuck, "response.output_text.delta", 3, false),
    ("error_mid", End::Whole, "response.failed", 3, false),
    ("no_done", End::Whole, "response.output_item.done", 8, true),
    ("no_usage", End::Whole, "response.completed", 8, true),
];

#[tokio::test]
async fn faults_amid_a_stream() {
    let rig = Rig::new("out=8;after=3", 1);
    let caller = rig.caller(false);
    for (fault, end, last, completion, finished) in FAULTS {
        let headers = [("authorization", "Bearer any"), ("x-client-request-id", fault)];
        let body = ask(&format!("fault={fault}"), &json!({"stream": true})).to_string();
        let patience = if end == End::Stuck { [PATIENT[0], 300] } else { PATIENT };
        let seen = caller.see(patience, "POST", PATH, &headers, &body).await;
        assert_eq!(seen.end, end, "{fault}");
        if !last.is_empty() {
            let (name, event) = events(&seen).pop().unwrap();
            assert_eq!(name, last, "{fault}");
            assert!(event["response"]["usage"].is_null(), "{fault}");
        }
        let line = caller.line(fault, true).await;
        assert_eq!(
            (&line["completion_tokens"], &line["finished"]),
            (&json!(completion), &json!(finished)),
            "{fault}"
        );
    }
    let failed = caller.post(PATH, &ask("fault=error_mid", &json!({}))).await.json();
    assert_eq!((&failed["status"], &failed["error"]["code"]), (&json!("failed"), &json!("server_error")));
}

#[tokio::test]
async fn malformed_requests_name_their_field() {
    let rig = Rig::new("", 1);
    let caller = rig.caller(false);
    for (fields, param) in [
        (json!({"model": 7}), "model"),
        (json!({"stream": "yes"}), "stream"),
        (json!({"max_output_tokens": 0}), "max_output_tokens"),
        (json!({"input": 7}), "input"),
        (json!({"input": ["hi"]}), "input[0]"),
        (json!({"input": [{"content": 3}]}), "input[0].content"),
        (json!({"instructions": []}), "instructions"),
        (json!({"tools": {}}), "tools"),
        (json!({"text": []}), "text"),
    ] {
        let seen = caller.post(PATH, &ask("", &fields)).await;
        assert_eq!(seen.status.unwrap(), 400, "{fields}: {}", seen.body);
        assert_eq!(seen.json()["error"]["param"], param, "{fields}: {}", seen.body);
    }
}
