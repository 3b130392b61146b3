//! What cannot be said in the other form, and how the refusal names it.

use std::num::NonZeroU64;

use super::{OPTIONS, UPSTREAM};
use crate::convert::{self, RequestOptions, Surface, Thinking, Wire};
use crate::{Manners, Upstream};

/// Surface, wire, body, and the member that is named.
const REFUSED: &[(Surface, Wire, &str, Option<&str>)] = &[
    (Surface::Chat, Wire::Messages, "{", None),
    (Surface::Chat, Wire::Messages, "[]", None),
    (Surface::Chat, Wire::Messages, "{\"model\":\"\u{fffd}\"}", Some("messages")),
    (Surface::Chat, Wire::Messages, r#"{"messages":{}}"#, Some("messages")),
    (Surface::Chat, Wire::Messages, r#"{"messages":[]}"#, Some("messages")),
    (Surface::Chat, Wire::Messages, r#"{"messages":[{"role":"system","content":"a"}]}"#, Some("messages")),
    (Surface::Chat, Wire::Messages, r#"{"messages":[{"content":"a"}]}"#, Some("messages[0].role")),
    (Surface::Chat, Wire::Messages, r#"{"messages":[{"role":"x"}]}"#, Some("messages[0].role")),
    (Surface::Chat, Wire::Messages, r#"{"messages":[{"role":"function"}]}"#, Some("messages[0].role")),
    (
        Surface::Chat,
        Wire::Messages,
        r#"{"messages":[{"role":"user","content":"\ud800"}]}"#,
        Some("messages[0].content"),
    ),
    (
        Surface::Chat,
        Wire::Messages,
        r#"{"messages":[{"role":"user","content":[{"type":"x"}]}]}"#,
        Some("messages[0].content[0]"),
    ),
    (
        Surface::Chat,
        Wire::Messages,
        r#"{"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"","format":"wav"}}]}]}"#,
        Some("messages[0].content[0]"),
    ),
    (
        Surface::Chat,
        Wire::Messages,
        r#"{"messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"f"}}]}]}"#,
        Some("messages[0].content[0]"),
    ),
    (
        Surface::Chat,
        Wire::Messages,
        r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"file:///etc/passwd"}}]}]}"#,
        Some("messages[0].content[0]"),
    ),
    (
        Surface::Chat,
        Wire::Messages,
        r#"{"messages":[{"role":"user","content":[{"type":"file","file":{"file_data":"data:text/csv;base64,YQ=="}}]}]}"#,
        Some("messages[0].content[0]"),
    ),
    (
        Surface::Chat,
        Wire::Messages,
        r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"[1]"}}]}]}"#,
        Some("messages[1]"),
    ),
    (Surface::Chat, Wire::Messages, r#"{"messages":[{"role":"user","content":"a"}],"n":2}"#, Some("n")),
    (
        Surface::Chat,
        Wire::Messages,
        r#"{"messages":[{"role":"user","content":"a"}],"logprobs":true}"#,
        Some("logprobs"),
    ),
    (
        Surface::Chat,
        Wire::Messages,
        r#"{"messages":[{"role":"user","content":"a"}],"modalities":["text","audio"]}"#,
        Some("modalities[1]"),
    ),
    (
        Surface::Chat,
        Wire::Messages,
        r#"{"messages":[{"role":"user","content":"a"}],"web_search_options":{}}"#,
        Some("web_search_options"),
    ),
    (
        Surface::Chat,
        Wire::Messages,
        r#"{"messages":[{"role":"user","content":"a"}],"functions":[]}"#,
        Some("functions"),
    ),
    (
        Surface::Chat,
        Wire::Messages,
        r#"{"messages":[{"role":"user","content":"a"}],"response_format":{"type":"json_object"}}"#,
        Some("response_format"),
    ),
    (
        Surface::Chat,
        Wire::Messages,
        r#"{"messages":[{"role":"user","content":"a"}],"response_format":{"type":"grammar"}}"#,
        Some("response_format"),
    ),
    (
        Surface::Chat,
        Wire::Messages,
        r#"{"messages":[{"role":"user","content":"a"}],"temperature":"hot"}"#,
        Some("temperature"),
    ),
    (
        Surface::Chat,
        Wire::Messages,
        r#"{"messages":[{"role":"user","content":"a"}],"tool_choice":"maybe"}"#,
        Some("tool_choice"),
    ),
    (
        Surface::Chat,
        Wire::Messages,
        r#"{"messages":[{"role":"user","content":"a"}],"reasoning_effort":"huge"}"#,
        Some("reasoning_effort"),
    ),
    (
        Surface::Chat,
        Wire::Messages,
        r#"{"messages":[{"role":"user","content":"a"}],"tools":[{"type":"function"}]}"#,
        Some("tools[0].function"),
    ),
    (
        Surface::Messages,
        Wire::Chat,
        r#"{"messages":[{"role":"user","content":"a"}],"max_tokens":0}"#,
        Some("max_tokens"),
    ),
    (
        Surface::Messages,
        Wire::Chat,
        r#"{"messages":[{"role":"user","content":"a"}],"max_tokens":1,"container":"c"}"#,
        Some("container"),
    ),
    (
        Surface::Messages,
        Wire::Chat,
        r#"{"messages":[{"role":"user","content":"a"}],"max_tokens":1,"mcp_servers":[]}"#,
        Some("mcp_servers"),
    ),
    (
        Surface::Messages,
        Wire::Chat,
        r#"{"messages":[{"role":"user","content":[{"type":"container_upload"}]}],"max_tokens":1}"#,
        Some("messages[0].content[0]"),
    ),
    (
        Surface::Messages,
        Wire::Chat,
        r#"{"messages":[{"role":"user","content":[{"type":"document","source":{"type":"url","url":"https://example.com/a.pdf"}}]}],"max_tokens":1}"#,
        Some("messages[0].content[0]"),
    ),
    (
        Surface::Messages,
        Wire::Chat,
        r#"{"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"tool_reference"}]}]}],"max_tokens":1}"#,
        Some("messages[0].content[0].content[0]"),
    ),
    (
        Surface::Messages,
        Wire::Chat,
        r#"{"messages":[{"role":"user","content":"a"}],"max_tokens":1,"tool_choice":{"type":"x"}}"#,
        Some("tool_choice"),
    ),
    (
        Surface::Messages,
        Wire::Chat,
        r#"{"messages":[{"role":"user","content":"a"}],"max_tokens":1,"thinking":{"type":"x"}}"#,
        Some("thinking"),
    ),
];

#[test]
fn refusals_name_the_member() {
    for (from, to, body, param) in REFUSED {
        let refused = convert::request(*from, *to, body.as_bytes(), &OPTIONS).expect_err(body);
        assert_eq!(refused.param.as_deref(), *param, "{body}: {refused}");
        assert!(refused.message.ends_with('.') && refused.message.is_ascii(), "{refused}");
    }
    let deep = format!(r#"{{"messages":[],"x":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
    assert!(convert::request(Surface::Chat, Wire::Chat, deep.as_bytes(), &OPTIONS).is_err());
}

/// What the models of a target take, and the members that are dropped because of it.
#[test]
fn what_a_model_does_not_take_is_dropped_by_name() {
    let plain = OPTIONS;
    let untold = RequestOptions { thinking: Thinking::Untold, ..OPTIONS };
    let effort = RequestOptions { thinking: Thinking::Effort, ..OPTIONS };
    let fixed = RequestOptions { sampling: false, ..OPTIONS };
    let small =
        RequestOptions { upstream: Upstream { output_cap: NonZeroU64::new(1_024), ..UPSTREAM }, ..OPTIONS };
    let cases: &[(&RequestOptions<'_>, &str, &[&str], &str)] = &[
        (&untold, r#""reasoning_effort":"low""#, &["reasoning_effort"], ""),
        (&plain, r#""reasoning_effort":"none""#, &[], r#""thinking":{"type":"disabled"}"#),
        (&plain, r#""reasoning_effort":"low""#, &[], r#""thinking":{"type":"enabled","budget_tokens":1024}"#),
        (&plain, r#""reasoning_effort":"max""#, &[], r#""budget_tokens":4000}"#),
        (&small, r#""reasoning_effort":"max""#, &["reasoning_effort"], r#""max_tokens":1024"#),
        (
            &effort,
            r#""reasoning_effort":"xhigh""#,
            &[],
            r#""thinking":{"type":"adaptive"},"output_config":{"effort":"xhigh"}"#,
        ),
        (&effort, r#""reasoning_effort":"minimal","temperature":0.5"#, &["temperature"], r#""effort":"low""#),
        (
            &plain,
            r#""reasoning_effort":"low","tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"required""#,
            &["reasoning_effort"],
            r#""tool_choice":{"type":"any"}"#,
        ),
        (&fixed, r#""temperature":0.5,"top_p":0.1"#, &["temperature", "top_p"], ""),
        (&plain, r#""temperature":2,"top_p":0.1"#, &["temperature", "top_p"], r#""temperature":1"#),
        (&plain, r#""temperature":1.0"#, &[], r#""temperature":1.0"#),
        (&plain, r#""max_tokens":5,"max_completion_tokens":6"#, &[], r#""max_tokens":6"#),
        (&plain, r#""service_tier":"flex""#, &["service_tier"], ""),
        (&plain, "\"\u{e9}\\nx\":1", &["??x"], ""),
    ];
    for (options, members, dropped, written) in cases {
        let body = format!(r#"{{"messages":[{{"role":"user","content":"a"}}],{members}}}"#);
        let converted = convert::request(Surface::Chat, Wire::Messages, body.as_bytes(), options).unwrap();
        let names: Vec<&str> = converted.dropped.iter().map(|dropped| dropped.member.as_str()).collect();
        let text = String::from_utf8(converted.body).unwrap();
        assert_eq!(&names, dropped, "{body}");
        assert!(text.contains(written), "{body}: {text}");
    }
}

#[test]
fn a_header_can_hold_what_is_dropped() {
    let members: Vec<String> = (0..100).map(|at| format!("\"x{at}{}\":1", "y".repeat(200))).collect();
    let body = format!(r#"{{"messages":[{{"role":"user","content":"a"}}],{}}}"#, members.join(","));
    let converted = convert::request(Surface::Chat, Wire::Messages, body.as_bytes(), &OPTIONS).unwrap();
    assert_eq!(converted.dropped.len(), 32);
    assert!(converted.dropped.iter().all(|dropped| dropped.member.len() == 120));
}

/// The model that was told a budget goes on from calls only with the thoughts that it signed.
#[test]
fn calls_without_signed_reasoning_are_followed_without_reasoning() {
    let body = |details: &str| {
        format!(
            r#"{{"reasoning_effort":"low","messages":[{{"role":"user","content":"a"}},{{"role":"assistant",{details}"tool_calls":[{{"id":"c","type":"function","function":{{"name":"f","arguments":"{{}}"}}}}]}},{{"role":"tool","tool_call_id":"c","content":"r"}}]}}"#
        )
    };
    let signed = r#""reasoning_details":[{"type":"reasoning.text","text":"t","signature":"s"}],"#;
    for (details, thinks) in [("", false), (signed, true)] {
        let converted =
            convert::request(Surface::Chat, Wire::Messages, body(details).as_bytes(), &OPTIONS).unwrap();
        let text = String::from_utf8(converted.body).unwrap();
        assert_eq!(text.contains(r#""thinking":{"#), thinks, "{text}");
        assert_eq!(converted.dropped.is_empty(), thinks);
    }
}

/// Only Anthropic's models at Amazon are told how much to reason, in members of their own.
#[test]
fn reasoning_reaches_anthropics_models_at_amazon() {
    let body = r#"{"messages":[{"role":"user","content":"a"}],"reasoning_effort":"low","temperature":0.5}"#;
    let claude =
        RequestOptions { upstream: Upstream { model: "eu.anthropic.claude-x-v1:0", ..UPSTREAM }, ..OPTIONS };
    let effort = RequestOptions { thinking: Thinking::Effort, ..claude };
    let cases = [
        (&OPTIONS, r#""temperature":0.5}"#, "reasoning_effort"),
        (&claude, r#""thinking":{"type":"enabled","budget_tokens":1024}"#, "temperature"),
        (&effort, r#""outputConfig":{"effort":"low"}"#, "temperature"),
    ];
    for (options, written, dropped) in cases {
        let converted = convert::request(Surface::Chat, Wire::Converse, body.as_bytes(), options).unwrap();
        let text = String::from_utf8(converted.body).unwrap();
        assert!(text.contains(written), "{text}");
        assert_eq!(converted.dropped.iter().map(|it| it.member.as_str()).collect::<Vec<_>>(), [dropped]);
    }
}

/// Calls that another model made have no signature, and Gemini's newer models ask for one.
#[test]
fn calls_of_other_models_get_a_substitute_for_their_signature() {
    let body = r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"d","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"d","content":"2"},{"role":"tool","tool_call_id":"c","content":"1"}]}"#;
    for (thinking, count) in [(Thinking::Budget, 0), (Thinking::Effort, 1)] {
        let options = RequestOptions { thinking, ..OPTIONS };
        let converted = convert::request(Surface::Chat, Wire::Gemini, body.as_bytes(), &options).unwrap();
        let text = String::from_utf8(converted.body).unwrap();
        assert_eq!(text.matches("skip_thought_signature_validator").count(), count);
        // Without ids, results are told apart by their order.
        let first = text.find(r#"{"output":"1"}"#).unwrap();
        assert!(first < text.find(r#"{"output":"2"}"#).unwrap());
    }
}

/// What a provider wants otherwise, it gets.
#[test]
fn providers_manners_are_kept() {
    let body = br#"{"max_tokens":5,"messages":[{"role":"user","content":"a"}]}"#;
    let cases = [
        ("gpt-5", Manners::default(), r#""max_completion_tokens":5,"#, true),
        ("llama", Manners::default(), r#""max_tokens":5,"#, true),
        (
            "gpt-5",
            Manners { cap: Some("max_tokens"), stream_options: false, ..Manners::default() },
            r#""max_tokens":5,"#,
            false,
        ),
    ];
    for (model, manners, cap, asks_usage) in cases {
        let options = RequestOptions { upstream: Upstream { model, manners, ..UPSTREAM }, ..OPTIONS };
        let converted = convert::request(Surface::Messages, Wire::Chat, body, &options).unwrap();
        let text = String::from_utf8(converted.body).unwrap();
        assert!(text.contains(cap), "{text}");
        assert_eq!(text.contains("stream_options"), asks_usage, "{text}");
    }
}

/// Reasoning that nobody signed goes back to providers that ask for it.
#[test]
fn reasoning_goes_back_where_it_is_taken() {
    let body = r#"{"max_tokens":5,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":""},{"type":"thinking","thinking":"zzz","signature":"signed"},{"type":"text","text":"b"}]}]}"#;
    for (takes_reasoning, written) in [(true, r#""reasoning_content":"t""#), (false, r#""content":"b"}"#)] {
        let options = RequestOptions { takes_reasoning, ..OPTIONS };
        let converted = convert::request(Surface::Messages, Wire::Chat, body.as_bytes(), &options).unwrap();
        let text = String::from_utf8(converted.body).unwrap();
        assert!(text.contains(written) && !text.contains("zzz"), "{text}");
        assert_eq!(converted.dropped.len(), 1);
    }
}

#[test]
fn verbosity_reaches_models_that_know_it() {
    let body = br#"{"input":"a","text":{"verbosity":"low"},"service_tier":"auto"}"#;
    for (model, thinking, is_told) in [
        ("gpt-6-sol", Thinking::Effort, true),
        ("gpt-4.1", Thinking::Untold, false),
        ("llama", Thinking::Effort, false),
    ] {
        let upstream = Upstream { model, ..UPSTREAM };
        let options = RequestOptions { upstream, thinking, ..OPTIONS };
        let converted = convert::request(Surface::Responses, Wire::Chat, body, &options).unwrap();
        let text = String::from_utf8(converted.body).unwrap();
        assert_eq!(text.contains("verbosity"), is_told);
        assert_eq!(converted.dropped.is_empty(), is_told);
        assert!(!text.contains("service_tier"));
    }
}

/// What a caller can make large must not make the work larger than that.
#[test]
fn large_requests_take_time_in_proportion() {
    let many = |item: &str, count: usize| vec![item; count].join(",");
    let nested = format!("{}1{}", r#"{"a":"#.repeat(60), "}".repeat(60));
    let refused = [
        format!(
            r#"{{"contents":[],"tools":[{{"functionDeclarations":[{{"name":"f","parameters":{nested}}}]}}]}}"#
        ),
        format!(r#"{{"contents":[{{"parts":[{}]}}]}}"#, many(r#"{"functionCall":{"name":"f"}}"#, 1_001)),
    ];
    for body in refused {
        assert!(convert::request(Surface::Gemini, Wire::Chat, body.as_bytes(), &OPTIONS).is_err());
    }
    let unknown: Vec<String> = (0..50_000).map(|at| format!("\"x{at}\":1")).collect();
    let body = format!(
        r#"{{"messages":[{}],{}}}"#,
        many(r#"{"role":"user","content":"a"}"#, 50_000),
        unknown.join(",")
    );
    let converted = convert::request(Surface::Chat, Wire::Messages, body.as_bytes(), &OPTIONS).unwrap();
    assert_eq!(converted.dropped.len(), 32);
}
