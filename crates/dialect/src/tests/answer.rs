//! What is read of an answer that is not streamed.

use domain::Usage;

use crate::{AnswerFacts, Endpoint, Garbage, StreamMeter, StreamOptions};

const NONE: Usage = Usage::from_counts([0; 15]);

#[track_caller]
fn usage(endpoint: Endpoint, usage: &str, expected: Option<Usage>) {
    let body = format!(r#"{{"object":"x","usage":{usage}}}"#);
    let facts = AnswerFacts::read(endpoint, body.as_bytes()).unwrap();
    assert_eq!(facts.usage, expected, "{usage}");
}

#[test]
fn usage_becomes_disjoint_buckets() {
    for (text, expected) in [
        ("null", None),
        ("{}", None),
        (r#""none""#, None),
        (r#"{"total_tokens":9}"#, None),
        (r#"{"prompt_tokens":"7","completion_tokens":5}"#, None),
        (r#"{"prompt_tokens":7,"completion_tokens":5}"#, Some(Usage { input: 7, output: 5, ..NONE })),
        (r#"{"prompt_tokens":7,"total_tokens":12}"#, Some(Usage { input: 7, output: 5, ..NONE })),
        (r#"{"completion_tokens":5,"total_tokens":12}"#, Some(Usage { input: 7, output: 5, ..NONE })),
        (r#"{"prompt_tokens":7.0,"completion_tokens":5.0}"#, Some(Usage { input: 7, output: 5, ..NONE })),
        (r#"{"prompt_tokens":-7,"completion_tokens":5}"#, Some(Usage { output: 5, ..NONE })),
        (
            r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
                "prompt_tokens_details":{"cached_tokens":40,"cache_write_tokens":20,"audio_tokens":10,"text_tokens":30},
                "completion_tokens_details":{"reasoning_tokens":12,"audio_tokens":8,"rejected_prediction_tokens":2}}"#,
            Some(Usage {
                input: 30,
                cached: 40,
                cache_write: 20,
                audio_input: 10,
                output: 42,
                audio_output: 8,
                reasoning: 12,
                ..NONE
            }),
        ),
        // For how long it is cached is told apart, of what stands beside it or without that.
        (
            r#"{"prompt_tokens":100,"completion_tokens":5,"prompt_tokens_details":{"cache_write_tokens":30,
                "cache_write_tokens_details":{"ttl_30m_tokens":10,"ttl_12h_tokens":20},"image_tokens":6},
                "completion_tokens_details":{"image_tokens":4},"server_tool_use":{"web_search_requests":3}}"#,
            Some(Usage {
                input: 64,
                cache_write: 10,
                cache_write_long: 20,
                image_input: 6,
                output: 1,
                image_output: 4,
                searches: 3,
                ..NONE
            }),
        ),
        (
            r#"{"prompt_tokens":100,"completion_tokens":5,
                "prompt_tokens_details":{"cache_write_tokens_details":{"ttl_30m_tokens":10,"ttl_12h_tokens":20}}}"#,
            Some(Usage { input: 70, cache_write: 10, cache_write_long: 20, output: 5, ..NONE }),
        ),
        // Reasoning beside what is called completion, as the total tells, and inside it.
        (
            r#"{"prompt_tokens":32,"completion_tokens":9,"total_tokens":135,"completion_tokens_details":{"reasoning_tokens":94}}"#,
            Some(Usage { input: 32, output: 103, reasoning: 94, ..NONE }),
        ),
        (
            r#"{"prompt_tokens":32,"completion_tokens":103,"total_tokens":135,"completion_tokens_details":{"reasoning_tokens":94}}"#,
            Some(Usage { input: 32, output: 103, reasoning: 94, ..NONE }),
        ),
        // Contradictions: the parts never come to more than the whole.
        (
            r#"{"prompt_tokens":10,"completion_tokens":5,
                "prompt_tokens_details":{"cached_tokens":8,"cache_write_tokens":8,"audio_tokens":8},
                "completion_tokens_details":{"reasoning_tokens":9,"audio_tokens":3}}"#,
            Some(Usage { cached: 8, cache_write: 2, output: 2, audio_output: 3, reasoning: 2, ..NONE }),
        ),
        (
            r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":null,"completion_tokens_details":[]}"#,
            Some(Usage { input: 10, output: 5, ..NONE }),
        ),
        (
            r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_cache_hit_tokens":4,"prompt_cache_miss_tokens":6}"#,
            Some(Usage { input: 6, cached: 4, output: 5, ..NONE }),
        ),
        (r#"{"prompt_tokens":18446744073709551615,"completion_tokens":1e30,"total_tokens":1}"#, None),
    ] {
        usage(Endpoint::Chat, text, expected);
    }
    for (text, expected) in [
        (r#"{"prompt_tokens":8,"total_tokens":8}"#, Some(Usage { input: 8, ..NONE })),
        (r#"{"total_tokens":8}"#, Some(Usage { input: 8, ..NONE })),
        ("{}", None),
    ] {
        usage(Endpoint::Embeddings, text, expected);
    }
}

#[test]
fn facts_of_a_whole_answer() {
    let body = br#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o-2024-11-20","choices":[
        {"index":0,"message":{"role":"assistant","content":"h\u00e9llo"},"logprobs":null,"finish_reason":"stop"},
        {"index":1,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function",
            "function":{"name":"f","arguments":"{\"a\":1}"}}]},"finish_reason":"tool_calls"},
        {"index":2,"message":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},
            {"type":"text","text":"so"}],"refusal":"no","reasoning":"why","reasoning_content":"why"},
            "finish_reason":null}],
        "service_tier":"priority","usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7},"error":null}"#;
    assert_eq!(
        AnswerFacts::read(Endpoint::Chat, body),
        Ok(AnswerFacts {
            model: Some("gpt-4o-2024-11-20".to_owned()),
            usage: Some(Usage { input: 3, output: 4, ..NONE }),
            service_tier: Some("priority".to_owned()),
            reported_cost: None,
            has_error: false,
            has_failed: false,
            searches: 0,
            images: 0,
            audio_ms: 0,
        })
    );
    assert_eq!(AnswerFacts::output_text(Endpoint::Chat, body), "héllof{\"a\":1}hmsonowhy");
    assert_eq!(AnswerFacts::output_text(Endpoint::Embeddings, body), "");
}

#[test]
fn odd_answers_are_facts_or_garbage() {
    for (body, has_error) in [
        (r#"{"error":{"message":"x"}}"#, true),
        (r#"{"error":"boom"}"#, true),
        (r#"{"error":{ }}"#, false),
        (r#"{"error":null}"#, false),
        (r#"{"error":false,"model":7,"choices":{"a":1},"usage":[1],"service_tier":null}"#, false),
        ("{}", false),
    ] {
        let facts = AnswerFacts::read(Endpoint::Chat, body.as_bytes()).unwrap();
        assert_eq!(facts, AnswerFacts { has_error, ..AnswerFacts::default() }, "{body}");
    }
    for body in ["", "null", "[]", "7", "\"x\"", "{", "{\"a\":1,}", "{}{}", "<html>", "{\"a\":\"\u{0}\"}"] {
        assert_eq!(AnswerFacts::read(Endpoint::Chat, body.as_bytes()), Err(Garbage), "{body}");
    }
    assert_eq!(AnswerFacts::read(Endpoint::Chat, b"{\"a\":\"\xff\"}"), Err(Garbage));
    let long = format!(r#"{{"model":"{}"}}"#, "é".repeat(1000));
    let model = AnswerFacts::read(Endpoint::Chat, long.as_bytes()).unwrap().model.unwrap();
    assert_eq!(model, "é".repeat(128));
}

#[test]
fn what_a_provider_says_it_cost_is_read_to_the_digit() {
    for (member, dollars) in [
        (r#""cost":0.00014"#, Some("0.00014")),
        (r#""cost":1.5e-05,"cost_details":{"upstream_inference_cost":9}"#, Some("0.000015")),
        (r#""cost":0.1000000000000001"#, Some("0.100000000001")),
        (r#""cost":0"#, Some("0.00")),
        (r#""cost_in_usd_ticks":37756000"#, Some("0.0037756")),
        (r#""cost":null"#, None),
        (r#""cost":"0.5""#, None),
        (r#""cost":{"amount":1}"#, None),
        (r#""total":1"#, None),
    ] {
        let usage = format!(r#"{{"prompt_tokens":3,"completion_tokens":4,{member}}}"#);
        let facts = AnswerFacts::read(Endpoint::Chat, format!(r#"{{"usage":{usage}}}"#).as_bytes()).unwrap();
        assert_eq!(facts.reported_cost.map(|cost| cost.to_string()).as_deref(), dollars, "{member}");
        assert_eq!(facts.usage, Some(Usage { input: 3, output: 4, ..NONE }), "{member}");
        let mut meter = StreamMeter::new(Endpoint::Chat, StreamOptions::default());
        let event = format!("data: {{\"choices\":[],\"usage\":{usage}}}\n\n");
        meter.push(event.into_bytes().into(), &mut Vec::new()).unwrap();
        assert_eq!(meter.reported_cost(), facts.reported_cost, "{member}");
    }
}
