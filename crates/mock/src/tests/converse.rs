//! Amazon's Converse: the answers, field by field, and what the truth log says of them.

use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::client::{Caller, Rig};

const MODEL: &str =
    "eu.a.b-v1%3A0%3Fin=100;out=4;cached=20;cache_write=30;cache_write_1h=10;reasoning=1;chunk=2";

fn ask() -> Value {
    json!({
        "messages": [{"role": "user", "content": [{"text": "hello"}, {"cachePoint": {"type": "default"}}]}],
        "system": [{"text": "be kind"}, {"cachePoint": {"type": "default"}}],
        "inferenceConfig": {"maxTokens": 50},
    })
}

fn usage() -> Value {
    json!({
        "inputTokens": 40, "outputTokens": 4, "totalTokens": 104, "cacheReadInputTokens": 20,
        "cacheWriteInputTokens": 40,
        "cacheDetails": [{"ttl": "1h", "inputTokens": 10}, {"ttl": "5m", "inputTokens": 30}],
    })
}

/// The messages of a stream: the text of their headers, and the payload.
async fn events(caller: &Caller, model: &str, body: &Value) -> Vec<(String, Value)> {
    let key = [("authorization", "Bearer any")];
    let path = format!("/model/{model}/converse-stream");
    let response = caller.send("POST", &path, &key, &body.to_string()).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/vnd.amazon.eventstream");
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let (mut rest, mut events) = (&bytes[..], Vec::new());
    while !rest.is_empty() {
        let number = |at: usize| u32::from_be_bytes(rest[at..at + 4].try_into().unwrap()) as usize;
        let (message, after) = rest.split_at(number(0));
        let (headers, payload) = message[12..message.len() - 4].split_at(number(4));
        let name = String::from_utf8_lossy(&headers[1..]).replace(|letter: char| letter.is_control(), " ");
        events.push((name, serde_json::from_slice(payload).unwrap()));
        rest = after;
    }
    events
}

#[tokio::test]
async fn an_answer_in_one_piece() {
    let rig = Rig::new("", 1);
    let caller = rig.caller(false);
    let seen = caller.post(&format!("/model/{MODEL}/converse"), &ask()).await;
    let content = json!([
        {"reasoningContent": {"reasoningText": {"text": "The", "signature": "c2ltdWxhdGVk"}}},
        {"text": "The keeper at"},
    ]);
    let expected = json!({
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": "end_turn", "usage": usage(), "metrics": {"latencyMs": 1},
    });
    assert_eq!(seen.json(), expected);
    assert!(seen.headers.contains_key("x-amzn-requestid"));
    let line = caller.truth().pop().unwrap();
    let told = [
        "prompt_tokens",
        "cached_tokens",
        "cache_write_tokens",
        "cache_write_1h_tokens",
        "completion_tokens",
    ];
    assert_eq!(told.map(|name| line[name].as_u64().unwrap()), [100, 20, 30, 10, 4]);
    assert_eq!(line["model"], "eu.a.b-v1:0");
}

#[tokio::test]
async fn an_answer_as_a_stream() {
    let rig = Rig::new("", 1);
    let caller = rig.caller(false);
    let events = events(&caller, MODEL, &ask()).await;
    let delta = |index: u64, delta: Value| json!({"contentBlockIndex": index, "delta": delta});
    let wanted = [
        ("messageStart", json!({"role": "assistant"})),
        ("contentBlockDelta", delta(0, json!({"reasoningContent": {"text": "The"}}))),
        ("contentBlockDelta", delta(0, json!({"reasoningContent": {"signature": "c2ltdWxhdGVk"}}))),
        ("contentBlockStop", json!({"contentBlockIndex": 0})),
        ("contentBlockDelta", delta(1, json!({"text": "The keeper"}))),
        ("contentBlockDelta", delta(1, json!({"text": " at"}))),
        ("contentBlockStop", json!({"contentBlockIndex": 1})),
        ("messageStop", json!({"stopReason": "end_turn"})),
        ("metadata", json!({"metrics": {"latencyMs": 1}, "usage": usage()})),
    ];
    assert_eq!(events.len(), wanted.len(), "{events:?}");
    for ((headers, payload), (name, data)) in events.iter().zip(wanted) {
        assert!(headers.contains(&format!(" {name} ")) && headers.ends_with(" event"), "{headers}");
        assert_eq!(*payload, data);
    }
    assert_eq!(caller.truth().pop().unwrap()["finished"], true);
}

#[tokio::test]
async fn tools_that_are_demanded_are_called() {
    let rig = Rig::new("", 1);
    let caller = rig.caller(false);
    let tools = json!([{"toolSpec": {"name": "f", "inputSchema": {"json": {}}}}, {"cachePoint": {"type": "default"}}]);
    for (choice, called) in
        [(json!({"any": {}}), true), (json!({"tool": {"name": "f"}}), true), (json!({"auto": {}}), false)]
    {
        let mut body = ask();
        body["toolConfig"] = json!({"tools": tools, "toolChoice": choice});
        let answer = caller.post("/model/sim%3Fout=2/converse", &body).await.json();
        let call = &answer["output"]["message"]["content"][0]["toolUse"];
        assert_eq!((call["name"] == "f", answer["stopReason"] == "tool_use"), (called, called), "{answer}");
        let events = events(&caller, "sim%3Fout=2", &body).await;
        let arguments: String =
            events.iter().filter_map(|(_, data)| data["delta"]["toolUse"]["input"].as_str()).collect();
        assert_eq!(arguments, if called { r#"{"text":"The keeper"}"# } else { "" });
    }
}

#[tokio::test]
async fn refusals_tell_their_type_in_a_header() {
    let rig = Rig::new("", 1);
    let caller = rig.caller(false);
    for (model, body, status, kind) in [
        ("sim%3Ffault=429", ask(), 429, "ThrottlingException"),
        ("sim%3Ffault=quota", ask(), 400, "ServiceQuotaExceededException"),
        ("sim%3Ffault=401", ask(), 403, "UnrecognizedClientException"),
        ("sim%3Ffault=500", ask(), 500, "InternalServerException"),
        ("sim%3Ffault=503", ask(), 503, "ServiceUnavailableException"),
        ("sim", json!({}), 400, "ValidationException"),
    ] {
        let seen = caller.post(&format!("/model/{model}/converse"), &body).await;
        assert_eq!(
            (seen.status.unwrap().as_u16(), &seen.headers["x-amzn-errortype"]),
            (status, &kind.parse().unwrap())
        );
        assert!(seen.json()["message"].is_string());
    }
    let signed = [("authorization", "AWS4-HMAC-SHA256 Credential=SIMULATED/a/b/bedrock/aws4_request")];
    for (headers, kind) in [(&signed[..], "InvalidSignatureException"), (&[], "UnrecognizedClientException")]
    {
        let seen = caller.send("POST", "/model/sim/converse", headers, &ask().to_string()).await.unwrap();
        assert_eq!(
            (seen.status().as_u16(), &seen.headers()["x-amzn-errortype"]),
            (403, &kind.parse().unwrap())
        );
    }
}

#[tokio::test]
async fn a_stream_that_fails_says_so_in_its_frame() {
    let rig = Rig::new("", 1);
    let caller = rig.caller(false);
    let events = events(&caller, "sim%3Ffault=error_mid", &ask()).await;
    let (headers, payload) = events.last().unwrap();
    assert!(headers.contains("modelStreamErrorException") && headers.ends_with("exception"), "{headers}");
    assert_eq!(payload["originalStatusCode"], 500);
    assert_eq!(caller.truth().pop().unwrap()["finished"], false);
}
