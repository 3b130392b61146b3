//! The answers, field by field.

use serde_json::{Value, json};

use super::client::{End, PATIENT, Rig, Seen};

/// Takes out what differs from call to call, having looked at it.
fn without_id(mut answer: Value) -> Value {
    let id = answer["id"].take();
    let digits = id.as_str().unwrap().strip_prefix("chatcmpl-").unwrap();
    assert!(digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    let created = answer["created"].take().as_i64().unwrap();
    assert!((1_700_000_000..10_000_000_000).contains(&created), "{created}");
    answer
}

fn usage() -> Value {
    json!({
        "prompt_tokens": 50, "completion_tokens": 4, "total_tokens": 54,
        "prompt_tokens_details": {"cached_tokens": 12, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 1, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
        },
    })
}

fn ask() -> Value {
    json!({
        "model": "lab/sim-\"small?in=50;out=4;cached=25;reasoning=1;chunk=2",
        "messages": [{"role": "user", "content": "hello"}],
        "unknown_field": {"passes": true},
    })
}

#[tokio::test]
async fn chat_in_one_piece() {
    let rig = Rig::new("", 1);
    let seen = rig.caller(false).chat(&ask()).await;
    assert_eq!(seen.headers["content-type"], "application/json");
    let expected = json!({
        "id": null, "object": "chat.completion", "created": null, "model": "lab/sim-\"small",
        "service_tier": "default", "system_fingerprint": "fp_simulated",
        "choices": [{
            "index": 0, "logprobs": null, "finish_reason": "stop",
            "message": {"role": "assistant", "content": "The keeper at", "refusal": null, "annotations": []},
        }],
        "usage": usage(),
    });
    assert_eq!(without_id(seen.json()), expected);
}

#[tokio::test]
async fn chat_as_a_stream() {
    let rig = Rig::new("", 1);
    for (http2, include_usage) in
        [(false, None), (false, Some(false)), (false, Some(true)), (true, Some(true))]
    {
        let mut ask = ask();
        ask["stream"] = json!(true);
        if let Some(include_usage) = include_usage {
            ask["stream_options"] = json!({"include_usage": include_usage, "include_obfuscation": false});
        }
        let seen = rig.caller(http2).chat(&ask).await;
        assert_eq!(seen.headers["content-type"], "text/event-stream; charset=utf-8");
        assert!(seen.body.ends_with("\n\ndata: [DONE]\n\n"), "{}", seen.body);
        let chunk = |choices: Value, usage: Value| {
            let mut chunk = json!({
                "id": null, "object": "chat.completion.chunk", "created": null, "model": "lab/sim-\"small",
                "service_tier": "default", "system_fingerprint": "fp_simulated", "choices": choices,
            });
            if include_usage == Some(true) {
                chunk["usage"] = usage;
            }
            chunk
        };
        let choice = |delta: Value, finish: Value| json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]);
        let role = json!({"role": "assistant", "content": "", "refusal": null});
        let mut expected = vec![
            chunk(choice(role, json!(null)), json!(null)),
            chunk(choice(json!({"content": "The keeper"}), json!(null)), json!(null)),
            chunk(choice(json!({"content": " at"}), json!(null)), json!(null)),
            chunk(choice(json!({}), json!("stop")), json!(null)),
        ];
        if include_usage == Some(true) {
            expected.push(chunk(json!([]), usage()));
        }
        let ids: Vec<_> = seen.events().iter().map(|event| event["id"].to_string()).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        assert_eq!(seen.events().into_iter().map(without_id).collect::<Vec<_>>(), expected);
    }
}

fn vectors(seen: &Seen, base64: bool) -> Vec<Vec<f32>> {
    let read = |embedding: &Value| -> Vec<f32> {
        if !base64 {
            return serde_json::from_value(embedding.clone()).unwrap();
        }
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let text = embedding.as_str().unwrap().trim_end_matches('=');
        let (mut bits, mut width, mut bytes) = (0_u32, 0, Vec::new());
        for digit in text.chars() {
            bits = (bits << 6) | alphabet.find(digit).unwrap() as u32;
            width += 6;
            if width >= 8 {
                width -= 8;
                bytes.push((bits >> width) as u8);
            }
        }
        bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
    };
    let json = seen.json();
    let data = json["data"].as_array().unwrap();
    for (index, item) in data.iter().enumerate() {
        assert_eq!((&item["index"], &item["object"]), (&json!(index), &json!("embedding")));
    }
    data.iter().map(|item| read(&item["embedding"])).collect()
}

#[tokio::test]
async fn embeddings_in_both_encodings() {
    let rig = Rig::new("", 1);
    let caller = rig.caller(false);
    let table = [
        (json!("hello world"), 1, 2),
        (json!(["hello world", "hello", ""]), 3, 3),
        (json!([15_339, 1_917]), 1, 2),
        (json!([[15_339, 1_917], [1], [2, 3, 4]]), 3, 6),
    ];
    for (input, count, tokens) in table {
        for dimensions in [None, Some(1), Some(300)] {
            let mut body = json!({"model": "sim-embed", "input": input});
            if let Some(dimensions) = dimensions {
                body["dimensions"] = json!(dimensions);
            }
            let plain = caller.post("/v1/embeddings", &body).await;
            body["encoding_format"] = json!("base64");
            let packed = caller.post("/v1/embeddings", &body).await;
            let numbers = vectors(&plain, false);
            assert_eq!(numbers, vectors(&packed, true), "{input}");
            assert_eq!(numbers.len(), count, "{input}");
            assert!(numbers.iter().all(|vector| vector.len() == dimensions.unwrap_or(8)), "{input}");
            assert!(
                numbers.iter().flatten().all(|number| (0.25..0.5).contains(&number.abs())),
                "{numbers:?}"
            );
            assert!(count == 1 || numbers[0] != numbers[1], "{input}");
            let json = plain.json();
            assert_eq!((&json["object"], &json["model"]), (&json!("list"), &json!("sim-embed")));
            assert_eq!(json["usage"], json!({"prompt_tokens": tokens, "total_tokens": tokens}), "{input}");
            let line = caller.truth().pop().unwrap();
            assert_eq!((&line["prompt_tokens"], &line["completion_tokens"]), (&json!(tokens), &json!(0)));
        }
    }
}

#[tokio::test]
async fn models() {
    let rig = Rig::new("", 1);
    let caller = rig.caller(false);
    let key = [("authorization", "Bearer any")];
    let list = caller.see(PATIENT, "GET", "/v1/models", &key, "").await.json();
    assert_eq!(list["object"], "list");
    let data = list["data"].as_array().unwrap();
    assert_eq!(data.len(), 10);
    for model in data {
        let id = model["id"].as_str().unwrap();
        let one = caller.see(PATIENT, "GET", &format!("/v1/models/{id}"), &key, "").await;
        assert_eq!(&one.json(), model);
        let fields: Vec<_> = model.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["created", "id", "object", "owned_by"]);
    }
    for path in ["/v1/models/lab/any", "/v1/models/lab%2Fany"] {
        assert_eq!(caller.see(PATIENT, "GET", path, &key, "").await.json()["id"], "lab/any", "{path}");
    }
    assert!(caller.truth().is_empty(), "what costs nothing is not in the log");
}

#[tokio::test]
async fn split_writes_are_small_and_join_to_the_same() {
    let rig = Rig::new("", 1);
    for http2 in [false, true] {
        for stream in [false, true] {
            for split in [1, 7, 100_000_usize] {
                let mut ask = ask();
                let split = split.min(65_536);
                ask["model"] = json!(format!("sim-é?in=50;out=4;cached=25;reasoning=1;split={split}"));
                ask["stream"] = json!(stream);
                let seen = rig.caller(http2).chat(&ask).await;
                let name = format!("http2={http2} stream={stream} split={split}");
                assert_eq!(seen.end, End::Whole, "{name}");
                assert!(seen.piece <= split, "{name}: a piece of {} bytes", seen.piece);
                if stream {
                    assert_eq!(seen.events().len(), 5, "{name}");
                    assert!(seen.body.ends_with("data: [DONE]\n\n"), "{name}");
                } else {
                    assert_eq!(seen.json()["usage"], usage(), "{name}");
                }
            }
        }
    }
}

#[tokio::test]
async fn moderations_judge_texts_one_by_one_and_parts_together() {
    let rig = Rig::new("", 1);
    let caller = rig.caller(false);
    let image = json!({"type": "image_url", "image_url": {"url": "http://h/i.png"}});
    let table = [
        (json!("hello world"), vec![false], 2),
        (json!(["hello world", "harm"]), vec![false, true], 3),
        (json!([{"type": "text", "text": "hello"}, image]), vec![false], 766),
        (json!([{"type": "text", "text": "harm"}, {"type": "text", "text": "hello"}]), vec![true], 2),
    ];
    for (input, flagged, tokens) in table {
        let json = caller.post("/v1/moderations", &json!({"model": "m", "input": input})).await.json();
        let results = json["results"].as_array().unwrap();
        let found: Vec<_> = results.iter().map(|result| result["flagged"] == json!(true)).collect();
        assert_eq!((found, &json["model"]), (flagged, &json!("m")), "{input}");
        assert_eq!(caller.truth().pop().unwrap()["prompt_tokens"], json!(tokens), "{input}");
    }
    let json = caller.post("/v1/moderations", &json!({"input": "hello"})).await.json();
    assert_eq!(json["model"], json!("omni-moderation-latest"));
}

#[tokio::test]
async fn images_are_billed_each_and_once_they_show() {
    let rig = Rig::new("", 1);
    let caller = rig.caller(false);
    let body = json!({"model": "m?in=6;out=100", "prompt": "a cat", "n": 2, "size": "1024x1024"});
    let json = caller.post("/v1/images/generations", &body).await.json();
    assert_eq!(json["data"].as_array().unwrap().len(), 2);
    let usage = json!({
        "input_tokens": 6, "input_tokens_details": {"text_tokens": 6, "image_tokens": 0},
        "output_tokens": 200, "total_tokens": 206,
    });
    assert_eq!((&json["usage"], &json["size"]), (&usage, &json!("1024x1024")));
    let line = caller.truth().pop().unwrap();
    assert_eq!((&line["images"], &line["completion_tokens"]), (&json!(2), &json!(200)));
    let streamed = json!({"model": "m?out=100", "prompt": "a", "stream": true, "partial_images": 2});
    let seen = caller.post("/v1/images/generations", &streamed).await;
    let text = seen.body;
    let names: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("event: image_generation.")).collect();
    assert_eq!(names, ["partial_image", "partial_image", "completed"]);
    assert_eq!(caller.truth().pop().unwrap()["completion_tokens"], json!(300));
    for (wrong, param) in [
        (json!({"model": "m"}), "prompt"),
        (json!({"model": "m", "prompt": "a", "n": 11}), "n"),
        (json!({"model": "m", "prompt": "a", "partial_images": 4}), "partial_images"),
    ] {
        let refused = caller.post("/v1/images/generations", &wrong).await.json();
        assert_eq!(refused["error"]["param"], json!(param));
    }
}

#[tokio::test]
async fn speech_is_as_long_as_it_is_billed() {
    let rig = Rig::new("", 1);
    let caller = rig.caller(false);
    let ask = |rest: serde_json::Value| {
        let mut ask = json!({"model": "m?out=5", "input": "Wer da?", "voice": "v"});
        ask.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        ask
    };
    // A token is 48 milliseconds: 2,304 bytes of samples.
    let seen = caller.post("/v1/audio/speech", &ask(json!({"response_format": "pcm"}))).await;
    assert_eq!((seen.body.len(), seen.headers["content-type"].to_str().unwrap()), (5 * 2_304, "audio/pcm"));
    let line = caller.truth().pop().unwrap();
    let billed = [&line["characters"], &line["audio_ms"], &line["completion_tokens"], &line["finished"]];
    assert_eq!(billed, [&json!(7), &json!(240), &json!(5), &json!(true)]);
    let events = caller.post("/v1/audio/speech", &ask(json!({"stream_format": "sse"}))).await.events();
    assert_eq!((events.len(), &events[5]["type"]), (6, &json!("speech.audio.done")));
    assert_eq!(events[5]["usage"]["output_tokens"], json!(5));
    let wrong = caller.post("/v1/audio/speech", &json!({"model": "m", "voice": "v"})).await.json();
    assert_eq!(wrong["error"]["param"], json!("input"));
}

#[tokio::test]
async fn transcripts_are_billed_by_the_recording() {
    let rig = Rig::new("", 1);
    let caller = rig.caller(false);
    let file = "x".repeat(16_000 * 2);
    let key = [("authorization", "Bearer any"), ("content-type", "multipart/form-data; boundary=b")];
    let ask = |model: &str, format: &str| {
        let field = |name: &str, value: &str| {
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let sound =
            format!("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n{file}\r\n");
        format!("{}{sound}{}--b--\r\n", field("model", model), field("response_format", format))
    };
    for (model, format, answer, usage) in [
        ("whisper?out=3", "json", "The keeper at", json!({"type": "duration", "seconds": 2})),
        (
            "m?out=3",
            "json",
            "The keeper at",
            json!({"type": "tokens", "input_tokens": 20,
            "input_token_details": {"text_tokens": 0, "audio_tokens": 20}, "output_tokens": 3, "total_tokens": 23}),
        ),
        ("m?out=3", "srt", "1\n00:00:00,000 --> 00:00:02,000\nThe keeper at\n\n", json!(null)),
        ("m?out=3", "text", "The keeper at\n", json!(null)),
    ] {
        let seen = caller.see(PATIENT, "POST", "/v1/audio/transcriptions", &key, &ask(model, format)).await;
        if format == "json" {
            assert_eq!((&seen.json()["text"], &seen.json()["usage"]), (&json!(answer), &usage));
        } else {
            assert_eq!(seen.body, answer);
        }
        let line = caller.truth().pop().unwrap();
        let billed = [&line["audio_ms"], &line["audio_prompt_tokens"], &line["completion_tokens"]];
        assert_eq!(billed, [&json!(2_000), &json!(20), &json!(3)], "{format}");
    }
}
