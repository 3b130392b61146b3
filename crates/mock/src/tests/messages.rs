//! Anthropic's messages: the answers, field by field, and what the truth log says of them.

use serde_json::{Value, json};

use super::client::{Caller, PATIENT, Rig, Seen};

const HEADERS: [(&str, &str); 2] = [("x-api-key", "any"), ("anthropic-version", "2023-06-01")];

fn ask(more: Value) -> Value {
    let mut ask = json!({
        "model": "sim?in=100;out=4;cached=20;cache_write=30;cache_write_1h=10;reasoning=1;chunk=2",
        "max_tokens": 50, "messages": [{"role": "user", "content": "hello"}],
    });
    ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ask
}

async fn call(caller: &Caller, body: &Value) -> Seen {
    caller.see(PATIENT, "POST", "/v1/messages", &HEADERS, &body.to_string()).await
}

fn usage(output: u64, thinking: u64) -> Value {
    json!({
        "input_tokens": 40, "cache_creation_input_tokens": 40, "cache_read_input_tokens": 20,
        "cache_creation": {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 10},
        "output_tokens": output, "output_tokens_details": {"thinking_tokens": thinking},
        "service_tier": "standard",
    })
}

#[tokio::test]
async fn a_message_in_one_piece() {
    let rig = Rig::new("", 1);
    let caller = rig.caller(false);
    let seen = call(&caller, &ask(json!({}))).await;
    let mut answer = seen.json();
    assert!(answer["id"].take().as_str().unwrap().starts_with("msg_"));
    let expected = json!({
        "id": null, "type": "message", "role": "assistant", "model": "sim",
        "content": [
            {"type": "thinking", "thinking": "The", "signature": "c2ltdWxhdGVk"},
            {"type": "text", "text": "The keeper at"},
        ],
        "stop_reason": "end_turn", "stop_sequence": null, "usage": usage(4, 1),
    });
    assert_eq!(answer, expected);
    assert!(seen.headers.contains_key("request-id"));
    let line = caller.truth().pop().unwrap();
    let told = [
        "prompt_tokens",
        "cached_tokens",
        "cache_write_tokens",
        "cache_write_1h_tokens",
        "completion_tokens",
    ];
    assert_eq!(told.map(|name| line[name].as_u64().unwrap()), [100, 20, 30, 10, 4]);
}

#[tokio::test]
async fn a_message_as_a_stream() {
    let rig = Rig::new("", 1);
    let seen = call(&rig.caller(false), &ask(json!({"stream": true}))).await;
    let events: Vec<(&str, Value)> = seen
        .body
        .split_terminator("\n\n")
        .map(|event| {
            let (name, data) = event.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
            (name, serde_json::from_str(data).unwrap())
        })
        .collect();
    let names: Vec<&str> = events.iter().map(|(name, _)| *name).collect();
    let block = ["content_block_start", "content_block_delta", "content_block_delta", "content_block_stop"];
    let expected =
        [&["message_start", "ping"][..], &block, &block, &["message_delta", "message_stop"]].concat();
    assert_eq!(names, expected);
    assert!(events.iter().all(|(name, data)| data["type"] == *name));
    assert_eq!(events[0].1["message"]["usage"], usage(1, 1));
    assert_eq!(events[7].1["delta"], json!({"type": "text_delta", "text": "The keeper"}));
    let last = json!({
        "type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
        "usage": {"output_tokens": 4},
    });
    assert_eq!(events[10].1, last);
}

#[tokio::test]
async fn a_tool_that_must_be_called_is_called() {
    let rig = Rig::new("", 1);
    for (choice, name) in [(json!({"type": "any"}), "one"), (json!({"type": "tool", "name": "two"}), "two")] {
        let body = ask(json!({"tools": [{"name": "one"}, {"name": "two"}], "tool_choice": choice}));
        let answer = call(&rig.caller(false), &body).await.json();
        assert_eq!(answer["stop_reason"], "tool_use");
        assert_eq!(answer["content"][1]["name"], name);
        assert_eq!(answer["content"][1]["input"], json!({"text": "The keeper at"}));
    }
}

#[tokio::test]
async fn tokens_are_counted_for_nothing() {
    let rig = Rig::new("", 1);
    let caller = rig.caller(false);
    let body =
        json!({"model": "sim", "system": "hello world", "messages": [{"role": "user", "content": "hello"}]});
    let path = "/v1/messages/count_tokens";
    let seen = caller.see(PATIENT, "POST", path, &HEADERS, &body.to_string()).await;
    assert_eq!(seen.json(), json!({"input_tokens": 10}));
    assert!(caller.truth().is_empty());
}

#[tokio::test]
async fn refusals_are_anthropics() {
    let rig = Rig::new("", 1);
    let caller = rig.caller(false);
    let plain = json!({"model": "sim", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]});
    let with = |more: Value| {
        let mut body = plain.clone();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (body, status, kind) in [
        (with(json!({"max_tokens": null})), 400, "invalid_request_error"),
        (
            with(json!({"thinking": {"type": "enabled", "budget_tokens": 2_000}})),
            400,
            "invalid_request_error",
        ),
        (with(json!({"model": "sim?fault=401"})), 401, "authentication_error"),
        (with(json!({"model": "sim?fault=429"})), 429, "rate_limit_error"),
        (with(json!({"model": "sim?fault=quota"})), 402, "billing_error"),
        (with(json!({"model": "sim?fault=500"})), 500, "api_error"),
        (with(json!({"model": "sim?fault=503"})), 529, "overloaded_error"),
        (with(json!({"model": "sim?fault=error_mid"})), 200, "overloaded_error"),
    ] {
        let seen = call(&caller, &body).await;
        let answer = seen.json();
        let told = (seen.status.unwrap().as_u16(), &answer["type"], &answer["error"]["type"]);
        assert_eq!(told, (status, &json!("error"), &json!(kind)), "{body}");
    }
    let seen = caller.post("/v1/messages", &plain).await;
    assert_eq!(seen.json()["error"]["message"], "anthropic-version: header is required");
}
