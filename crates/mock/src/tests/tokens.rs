//! One truth: what the answer reports, what its text counts, and what the log says.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::client::{Caller, Rig};
use crate::text;

/// The text of each choice, and the counts if they came along.
fn said(answer: &super::client::Seen, stream: bool) -> (Vec<String>, Vec<String>, Value) {
    let parts = if stream { answer.events() } else { vec![answer.json()] };
    let (mut texts, mut ends, mut usage) = (Vec::new(), Vec::new(), Value::Null);
    for part in parts {
        for choice in part["choices"].as_array().unwrap() {
            let index = choice["index"].as_u64().unwrap() as usize;
            texts.resize(texts.len().max(index + 1), String::new());
            let message = if stream { &choice["delta"] } else { &choice["message"] };
            texts[index].push_str(message["content"].as_str().unwrap_or_default());
            ends.extend(choice["finish_reason"].as_str().map(str::to_owned));
        }
        if !part["usage"].is_null() {
            usage = part["usage"].clone();
        }
    }
    (texts, ends, usage)
}

struct Case {
    behaviour: &'static str,
    fields: Value,
    /// Prompt, cached, completion, reasoning.
    tokens: [u64; 4],
    finish: &'static str,
}

fn cases() -> Vec<Case> {
    let case = |behaviour, fields, tokens, finish| Case { behaviour, fields, tokens, finish };
    vec![
        case("", json!({}), [18, 0, 16, 0], "stop"),
        case("in=1000;cached=33;out=200;chunk=7", json!({}), [1000, 330, 200, 0], "stop"),
        case("out=5", json!({"n": 3}), [18, 0, 15, 0], "stop"),
        case("out=50;reasoning=20", json!({"n": 2}), [18, 0, 100, 40], "stop"),
        case("out=50", json!({"max_tokens": 10}), [18, 0, 10, 0], "length"),
        case("out=50", json!({"max_completion_tokens": 49}), [18, 0, 49, 0], "length"),
        case("out=50", json!({"max_completion_tokens": 50, "max_tokens": 60}), [18, 0, 50, 0], "stop"),
        case("out=50;reasoning=20", json!({"max_tokens": 15}), [18, 0, 15, 15], "length"),
        case("out=0", json!({}), [18, 0, 0, 0], "stop"),
        case("cached=100;out=3", json!({"max_tokens": null, "n": null}), [18, 18, 3, 0], "stop"),
    ]
}

async fn check(caller: &Caller, case: &Case, stream: bool) {
    let Case { behaviour, fields, tokens, finish } = case;
    let [prompt, cached, completion, reasoning] = tokens;
    let mut body = json!({
        "model": format!("sim-small?{behaviour}"),
        "messages": [{"role": "user", "content": "You miss 100% of the shots you don't take"}],
    });
    if stream {
        body["stream"] = json!(true);
        body["stream_options"] = json!({"include_usage": true});
    }
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let answer = caller.chat(&body).await;
    let mut line = caller.truth().pop().unwrap();
    let name = format!("{behaviour} {fields} stream={stream}");

    let (texts, ends, usage) = said(&answer, stream);
    let choices = fields["n"].as_u64().unwrap_or(1);
    assert_eq!(ends, vec![*finish; choices as usize], "{name}");
    let counted: u64 = texts.iter().map(|text| text::count(text)).sum();
    assert_eq!(counted, completion - reasoning, "{name}: {texts:?}");
    let reported = [
        &usage["prompt_tokens"],
        &usage["prompt_tokens_details"]["cached_tokens"],
        &usage["completion_tokens"],
        &usage["completion_tokens_details"]["reasoning_tokens"],
    ];
    assert_eq!(reported.map(|number| number.as_u64().unwrap()), *tokens, "{name}");
    assert_eq!(usage["total_tokens"], prompt + completion, "{name}");

    let id = answer.headers["x-request-id"].to_str().unwrap().replace("req_", "chatcmpl-");
    let at_us = line["at_us"].take();
    assert!(at_us.as_i64().unwrap() > 1_700_000_000_000_000, "{at_us}");
    let expected = json!({
        "at_us": null, "id": id, "request_id": null, "model": "sim-small", "stream": stream,
        "prompt_tokens": prompt, "cached_tokens": cached, "images": 0,
        "audio_prompt_tokens": 0, "image_prompt_tokens": 0, "characters": 0, "audio_ms": 0,
        "cache_write_tokens": 0, "cache_write_1h_tokens": 0, "completion_tokens": completion,
        "reasoning_tokens": reasoning, "finished": true, "fault": null, "status": 200,
    });
    assert_eq!(line, expected, "{name}");
}

#[tokio::test]
async fn report_text_and_log_agree() {
    let rig = Rig::new("", 1);
    for http2 in [false, true] {
        let caller = rig.caller(http2);
        for case in cases() {
            for stream in [false, true] {
                check(&caller, &case, stream).await;
            }
        }
    }
}

#[tokio::test]
async fn prompts_are_counted_over_their_text() {
    let rig = Rig::new("out=1", 1);
    let caller = rig.caller(false);
    let shots = "You miss 100% of the shots you don't take";
    let text = |text: &str| json!({"type": "text", "text": text});
    let table = [
        (json!([{"role": "user", "content": ""}]), 7),
        (json!([{"role": "user", "content": shots}]), 18),
        (json!([{"role": "system", "content": shots}, {"role": "user", "content": shots}]), 33),
        (json!([{"role": "user", "content": [text(shots), text(shots)]}]), 29),
        (json!([{"role": "user", "content": [text("a\n\"b\" \u{e9}")]}]), 7 + text::count("a\n\"b\" é")),
        (json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]), 7),
        (json!([{"role": "assistant", "content": null, "tool_calls": []}]), 7),
        (json!([{"role": "assistant"}]), 7),
    ];
    for (messages, tokens) in table {
        let seen = caller.chat(&json!({"model": "sim-small", "messages": messages})).await;
        assert_eq!(seen.json()["usage"]["prompt_tokens"], tokens, "{messages}");
    }
}

#[tokio::test]
async fn lines_of_concurrent_calls_do_not_mix() {
    let rig = Rig::new("in=9;out=30", 3);
    let mut calls = JoinSet::new();
    for number in 0..96 {
        let caller = rig.caller(number % 3 == 0);
        let body = json!({"model": "sim-small", "messages": [], "stream": number % 2 == 0});
        calls.spawn(async move { caller.chat(&body).await.status.unwrap().as_u16() });
    }
    assert!(calls.join_all().await.iter().all(|status| *status == 200));
    let lines = rig.caller(false).truth();
    let mut ids: Vec<_> = lines.iter().map(|line| line["id"].to_string()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!((lines.len(), ids.len()), (96, 96));
    assert_eq!(rig.mock.requests(), 96);
    assert_eq!(rig.mock.connections(), 96);
}
