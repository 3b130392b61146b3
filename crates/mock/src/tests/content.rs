//! Gemini's content: the answers, field by field, and what the truth log says of them.

use serde_json::{Value, json};

use super::client::{Caller, PATIENT, Rig, Seen};

const HEADERS: [(&str, &str); 1] = [("x-goog-api-key", "any")];
const MODEL: &str = "sim%3Fin=100;out=4;cached=20;reasoning=1;chunk=2";

fn ask(more: Value) -> Value {
    let mut ask = json!({"contents": [{"role": "user", "parts": [{"text": "hello"}]}]});
    ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ask
}

async fn call(caller: &Caller, model: &str, action: &str, body: &Value) -> Seen {
    let path = format!("/v1beta/models/{model}:{action}");
    caller.see(PATIENT, "POST", &path, &HEADERS, &body.to_string()).await
}

fn usage(thoughts: Option<u64>, said: Option<u64>) -> Value {
    let mut usage = json!({
        "promptTokenCount": 100, "cachedContentTokenCount": 20,
        "totalTokenCount": 100 + thoughts.unwrap_or(0) + said.unwrap_or(0),
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 100}],
    });
    for (name, count) in [("thoughtsTokenCount", thoughts), ("candidatesTokenCount", said)] {
        if let Some(count) = count {
            usage[name] = count.into();
        }
    }
    usage
}

#[tokio::test]
async fn content_in_one_piece() {
    let rig = Rig::new("", 1);
    let caller = rig.caller(false);
    let mut answer = call(&caller, MODEL, "generateContent", &ask(json!({}))).await.json();
    assert_eq!(answer["responseId"].take().as_str().unwrap().len(), 32);
    let thought = json!({"text": "The", "thought": true, "thoughtSignature": "c2ltdWxhdGVk"});
    let expected = json!({
        "candidates": [{
            "content": {"parts": [thought, {"text": "The keeper at"}], "role": "model"},
            "finishReason": "STOP", "index": 0,
        }],
        "usageMetadata": usage(Some(1), Some(3)), "modelVersion": "sim", "responseId": null,
    });
    assert_eq!(answer, expected);
    let line = caller.truth().pop().unwrap();
    let told = ["prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens"];
    assert_eq!(told.map(|name| line[name].as_u64().unwrap()), [100, 20, 4, 1]);
}

#[tokio::test]
async fn content_as_a_stream() {
    let rig = Rig::new("", 1);
    let caller = rig.caller(false);
    let seen = call(&caller, MODEL, "streamGenerateContent?alt=sse", &ask(json!({}))).await;
    let events: Vec<Value> = seen
        .body
        .split_terminator("\r\n\r\n")
        .map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap())
        .collect();
    let texts: Vec<&str> = events
        .iter()
        .map(|event| event["candidates"][0]["content"]["parts"][0]["text"].as_str().unwrap())
        .collect();
    assert_eq!(texts, ["The", "The keeper", " at", ""]);
    let (last, before) = events.split_last().unwrap();
    assert!(before.iter().all(|event| event["usageMetadata"] == usage(Some(1), None)));
    assert!(before.iter().all(|event| event["candidates"][0].get("finishReason").is_none()));
    assert_eq!(
        (&last["usageMetadata"], &last["candidates"][0]["finishReason"]),
        (&usage(Some(1), Some(3)), &json!("STOP"))
    );
    assert_eq!(caller.truth().pop().unwrap()["finished"], true);
}

#[tokio::test]
async fn a_cap_and_candidates_are_heeded() {
    let rig = Rig::new("", 1);
    let config = json!({"generationConfig": {"maxOutputTokens": 2, "candidateCount": 2}});
    let answer = call(&rig.caller(false), "sim", "generateContent", &ask(config)).await.json();
    assert_eq!(answer["candidates"].as_array().unwrap().len(), 2);
    assert_eq!(answer["candidates"][1]["finishReason"], "MAX_TOKENS");
    assert_eq!(answer["usageMetadata"]["candidatesTokenCount"], 4);
}

#[tokio::test]
async fn a_function_that_must_be_called_is_called() {
    let rig = Rig::new("", 1);
    for (allowed, name) in [(json!([]), "one"), (json!(["two"]), "two")] {
        let body = ask(json!({
            "tools": [{"functionDeclarations": [{"name": "one"}, {"name": "two"}]}],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": allowed}},
        }));
        let answer = call(&rig.caller(false), MODEL, "generateContent", &body).await.json();
        let called = &answer["candidates"][0]["content"]["parts"][1]["functionCall"];
        assert_eq!(called, &json!({"name": name, "args": {"text": "The keeper at"}}));
    }
}

#[tokio::test]
async fn tokens_are_counted_for_nothing() {
    let rig = Rig::new("", 1);
    let caller = rig.caller(false);
    let plain = ask(json!({}));
    for body in [plain.clone(), json!({"generateContentRequest": plain})] {
        let counted = call(&caller, "sim", "countTokens", &body).await.json();
        assert_eq!(counted["totalTokens"], 8);
    }
    assert!(caller.truth().is_empty());
}

#[tokio::test]
async fn refusals_are_googles() {
    let rig = Rig::new("", 1);
    let caller = rig.caller(false);
    for (model, status, word) in [
        ("sim%3Ffault=400", 400, "INVALID_ARGUMENT"),
        ("sim%3Ffault=401", 400, "INVALID_ARGUMENT"),
        ("sim%3Ffault=429", 429, "RESOURCE_EXHAUSTED"),
        ("sim%3Ffault=quota", 402, "RESOURCE_EXHAUSTED"),
        ("sim%3Ffault=500", 500, "INTERNAL"),
        ("sim%3Ffault=503", 503, "UNAVAILABLE"),
        ("sim%3Ffault=error_mid", 200, "UNAVAILABLE"),
    ] {
        let seen = call(&caller, model, "generateContent", &ask(json!({}))).await;
        let answer = seen.json();
        let told = (seen.status.unwrap().as_u16(), &answer["error"]["status"]);
        assert_eq!(told, (status, &json!(word)), "{model}");
    }
    let seen = caller.see(PATIENT, "POST", "/v1/models/sim:generateContent", &[], "{}").await;
    assert_eq!(seen.json()["error"]["details"][0]["reason"], "API_KEY_INVALID");
    let seen = call(&caller, "sim", "generateContent", &json!({})).await;
    assert_eq!(seen.json()["error"]["status"], "INVALID_ARGUMENT");
}
