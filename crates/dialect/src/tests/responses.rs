//! What is read of a request for a response and of a whole one.

use std::num::NonZeroU64;

use bytes::Bytes;
use domain::Usage;

use super::body::to;
use super::join;
use crate::tokens::count_prompt;
use crate::{AnswerFacts, BadRequest, Call, Endpoint, MediaParts, Upstream};

fn read(members: &str) -> Result<Call, BadRequest> {
    let body = format!(r#"{{"model":"m","input":"hi"{members}}}"#);
    Call::read(Endpoint::Responses, Bytes::from(body))
}

fn read_input(input: &str) -> Result<Call, BadRequest> {
    let body = format!(r#"{{"model":"m","input":{input}}}"#);
    Call::read(Endpoint::Responses, Bytes::from(body))
}

#[track_caller]
fn accepted(members: &str) -> Call {
    read(members).unwrap_or_else(|error| panic!("{members}: {error}"))
}

#[test]
fn members_that_matter_are_read() {
    let call = accepted(
        r#","stream":true,"max_output_tokens":99,"service_tier":"flex","safety_identifier":"s",
           "metadata":{"feature":"f","run":"r"},"store":false,"include":["reasoning.encrypted_content"],
           "client_metadata":{"x":[1]},"background":false,"prompt":null,"previous_response_id":null"#,
    );
    assert_eq!((call.model(), call.stream(), call.asked_usage()), ("m", true, false));
    assert_eq!((call.output_cap(), call.choices(), call.service_tier()), (Some(99), 1, Some("flex")));
    assert_eq!((call.user(), call.feature(), call.run()), (Some("s"), Some("f"), Some("r")));
    assert_eq!((call.web_search(), call.charged_tool(), call.input_elsewhere()), (None, None, None));
    let plain = accepted("");
    assert_eq!((plain.stream(), plain.output_cap()), (false, None));
    // There need be no input: an earlier response may bring it all.
    let bare = Call::read(Endpoint::Responses, Bytes::from_static(br#"{"model":"m"}"#)).unwrap();
    assert!(bare.input_tokens_bound() > 0);
}

#[test]
fn the_body_goes_up_as_it_came_but_for_the_model_and_the_cap() {
    let body =
        r#"{"model":"m","input":[{"role":"user","content":"h\u00e9"}],"stream":true,"max_output_tokens":99}"#;
    let call = Call::read(Endpoint::Responses, Bytes::from_static(body.as_bytes())).unwrap();
    assert_eq!(join(call.upstream_body(&to("m"))), body);
    assert_eq!(join(call.upstream_body(&to("other"))), body.replace("\"m\"", "\"other\""));
    let cap = NonZeroU64::new(20);
    assert_eq!(join(call.upstream_body(&Upstream { output_cap: cap, ..to("m") })), body.replace("99", "20"));
    let call = read_input("\"hi\"").unwrap();
    assert_eq!(
        join(call.upstream_body(&Upstream { output_cap: cap, ..to("gpt-4") })),
        r#"{"max_output_tokens":20,"model":"gpt-4","input":"hi"}"#
    );
}

#[test]
fn wrong_members_are_refused_by_name() {
    for (members, param, code) in [
        (r#","background":true"#, Some("background"), Some("unsupported_value")),
        (r#","background":1"#, Some("background"), Some("invalid_type")),
        (r#","prompt":{"id":"pmpt_1"}"#, Some("prompt"), Some("unsupported_parameter")),
        (r#","stream":"yes""#, Some("stream"), Some("invalid_type")),
        (r#","max_output_tokens":0"#, Some("max_output_tokens"), Some("integer_below_min_value")),
        (r#","max_output_tokens":1.5"#, Some("max_output_tokens"), Some("invalid_type")),
        (r#","tools":{}"#, Some("tools"), Some("invalid_type")),
        (r#","instructions":7"#, Some("instructions"), Some("invalid_type")),
        (r#","metadata":[]"#, Some("metadata"), Some("invalid_type")),
        // Of two of a kind, and of one in disguise, nobody knows what a provider reads.
        (r#","input":"again""#, Some("input"), Some("duplicate_parameter")),
        (r#","Background":true"#, Some("Background"), Some("unknown_parameter")),
        (r#","previous_re\u017fponse_id":"r""#, Some("previous_reſponse_id"), Some("unknown_parameter")),
        (
            r#","tools":[{"type":"function","type":"web_search"}]"#,
            Some("tools.type"),
            Some("duplicate_parameter"),
        ),
        (
            r#","tools":[{"type":"function","Type":"web_search"}]"#,
            Some("tools.Type"),
            Some("unknown_parameter"),
        ),
        (r#","tools":["#, None, None),
        (r#","tools":[{"type":"\ud800"}]"#, None, None),
    ] {
        let error = read(members).expect_err(members);
        assert_eq!((error.param.as_deref(), error.code), (param, code), "{members}: {error}");
    }
    for (input, param) in [("7", Some("input")), ("{}", Some("input")), ("true", Some("input"))] {
        assert_eq!(read_input(input).expect_err(input).param.as_deref(), param, "{input}");
    }
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    assert!(read_input(&deep).expect_err("too deep").message.contains("128 levels"));
    let missing = Call::read(Endpoint::Responses, Bytes::from_static(br#"{"input":"hi"}"#)).unwrap_err();
    assert_eq!(missing.param.as_deref(), Some("model"));
}

/// Tools, then whether the web is searched, the tool that is charged for, and what brings input.
#[test]
fn tools_are_free_charged_or_fetching() {
    for (tools, web_search, charged, elsewhere) in [
        ("null", false, None, None),
        ("[]", false, None, None),
        (
            r#"[{"type":"function","name":"f","parameters":{"type":"object"}},{"type":"custom","name":"c"}]"#,
            false,
            None,
            None,
        ),
        (
            r#"[{"type":"tool_search"},{"type":"local_shell"},{"type":"apply_patch"},{"type":"computer"}]"#,
            false,
            None,
            None,
        ),
        (r#"[{"type":"shell","environment":{"type":"local"}}]"#, false, None, None),
        (r#"[{"type":"shell"}]"#, false, Some("shell"), None),
        (r#"[{"type":"shell","environment":{"type":"container_auto"}}]"#, false, Some("shell"), None),
        (r#"[{"type":"web_search"}]"#, true, None, Some("tools")),
        (r#"[{"type":"web_search_preview_2025_03_11"}]"#, true, None, Some("tools")),
        (r#"[{"type":"mcp","server_url":"https://x"}]"#, false, None, Some("tools")),
        (r#"[{"type":"file_search"},{"type":"image_generation"}]"#, false, Some("file_search"), None),
        (
            r#"[{"type":"code_interpreter","container":{"type":"auto"}}]"#,
            false,
            Some("code_interpreter"),
            None,
        ),
        (r#"[{"type":"of_tomorrow"}]"#, false, Some("of_tomorrow"), None),
        (
            r#"[{"type":"namespace","name":"n","tools":[{"type":"function"},{"type":"web_search"}]}]"#,
            true,
            None,
            Some("tools"),
        ),
        (r#"[{"typ\u0065":"image_generation"}]"#, false, Some("image_generation"), None),
    ] {
        let call = accepted(&format!(r#","tools":{tools}"#));
        let expected = (web_search.then_some("tools"), charged, elsewhere);
        assert_eq!((call.web_search(), call.charged_tool(), call.input_elsewhere()), expected, "{tools}");
    }
    // Items of the input can bring tools, too.
    let call = read_input(r#"[{"type":"additional_tools","tools":[{"type":"image_generation"}]}]"#).unwrap();
    assert_eq!(call.charged_tool(), Some("image_generation"));
    let call = read_input(r#"[{"type":"mcp_list_tools","tools":[{"name":"t","type":"odd"}]}]"#).unwrap();
    assert_eq!(call.charged_tool(), None);
}

#[test]
fn input_that_stands_elsewhere_is_named() {
    for (members, elsewhere) in [
        (r#","previous_response_id":"resp_1""#, Some("previous_response_id")),
        (r#","conversation":{"id":"conv_1"}"#, Some("conversation")),
        (r#","conversation":"conv_1""#, Some("conversation")),
        (r#","conversation":null"#, None),
    ] {
        assert_eq!(accepted(members).input_elsewhere(), elsewhere, "{members}");
    }
    for (input, elsewhere) in [
        (r#"[{"type":"item_reference","id":"msg_1"}]"#, Some("input")),
        (r#"[{"id":"msg_1"}]"#, Some("input")),
        (r#"[{"id":"msg_1","role":"assistant","content":[]}]"#, None),
        (r#"[{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"x"}]"#, None),
    ] {
        assert_eq!(read_input(input).unwrap().input_elsewhere(), elsewhere, "{input}");
    }
}

#[test]
fn media_count_by_allowance_and_not_as_text() {
    let data = "A".repeat(400_000);
    for (input, media) in [
        (
            format!(r#"[{{"role":"user","content":[{{"type":"input_image","image_url":"data:{data}"}}]}}]"#),
            MediaParts { images: 1, ..MediaParts::default() },
        ),
        (
            format!(r#"[{{"content":[{{"type":"input_file","filename":"f","file_data":"{data}"}}]}}]"#),
            MediaParts { files: 1, ..MediaParts::default() },
        ),
        (
            format!(
                r#"[{{"content":[{{"type":"input_audio","input_audio":{{"data":"{data}","format":"mp3"}}}}]}}]"#
            ),
            MediaParts { audio: 1, ..MediaParts::default() },
        ),
        (
            format!(
                r#"[{{"type":"computer_call_output","call_id":"c","output":{{"type":"computer_screenshot","image_url":"{data}"}}}}]"#
            ),
            MediaParts { images: 1, ..MediaParts::default() },
        ),
        (
            format!(
                r#"[{{"type":"function_call_output","call_id":"c","output":[{{"type":"input_image","image_url":"{data}"}},{{"type":"input_file","file_id":"f"}}]}}]"#
            ),
            MediaParts { images: 1, files: 1, ..MediaParts::default() },
        ),
        (
            format!(r#"[{{"type":"image_generation_call","id":"i","result":"{data}"}}]"#),
            MediaParts { images: 1, ..MediaParts::default() },
        ),
    ] {
        let call = read_input(&input).unwrap();
        assert_eq!(call.media(), media, "{input:.100}");
        assert!(call.input_tokens_bound() < 300_000, "{input:.100}: {}", call.input_tokens_bound());
    }
    let text = format!(r#"[{{"role":"user","content":[{{"type":"input_text","text":"{data}"}}]}}]"#);
    assert!(read_input(&text).unwrap().input_tokens_bound() > 400_000);
    let file = read_input(r#"[{"content":[{"type":"input_file","file_url":"https://x"}]}]"#).unwrap();
    assert!(file.input_tokens_bound() > 200_000);
}

#[test]
fn prompts_are_counted() {
    for (body, tokens) in [
        (r#"{"input":"hello world"}"#, 3 + 4 + 2),
        (r#"{"input":[{"role":"user","content":"hello world"}]}"#, 3 + 4 + 2),
        (r#"{"input":[{"role":"user","content":[{"type":"input_text","text":"hello world"}]}]}"#, 3 + 4 + 2),
        (r#"{"instructions":"hello world","input":"hello world"}"#, 3 + 6 + 6),
        (
            r#"{"input":[{"type":"function_call","call_id":"c","name":"hello","arguments":"world"},
                      {"type":"function_call_output","call_id":"c","output":"hello world"}]}"#,
            3 + 3 + 2 + 3 + 2,
        ),
        (r#"{"previous_response_id":"r"}"#, 3),
    ] {
        assert_eq!(count_prompt(Endpoint::Responses, body.as_bytes(), "gpt-5"), tokens, "{body}");
    }
}

const WHOLE: &str = r#"{"id":"resp_1","object":"response","created_at":1,"status":"completed","error":null,"model":"gpt-5-x",
    "output":[{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"hm"}]},
      {"type":"message","id":"msg_1","role":"assistant","content":[{"type":"output_text","text":"h\u00e9llo","annotations":[]},
        {"type":"refusal","refusal":"no"}]},
      {"type":"function_call","id":"fc_1","name":"f","arguments":"{\"a\":1}"},
      {"type":"web_search_call","status":"completed","action":{"type":"search","query":"q"}},
      {"type":"web_search_call","status":"completed","action":{"type":"open_page","url":"u"}},
      {"type":"custom_tool_call","name":"c","input":"ls"}],
    "service_tier":"priority","instructions":"never read",
    "usage":{"input_tokens":100,"input_tokens_details":{"cached_tokens":40,"cache_write_tokens":20,"cache_write_tokens_details":{"ttl_30m_tokens":15,"ttl_12h_tokens":5}},
             "output_tokens":50,"output_tokens_details":{"reasoning_tokens":12},"total_tokens":150}}"#;

#[test]
fn facts_of_a_whole_response() {
    let usage = Usage {
        input: 40,
        cached: 40,
        cache_write: 15,
        cache_write_long: 5,
        output: 50,
        reasoning: 12,
        searches: 1,
        ..Usage::default()
    };
    assert_eq!(
        AnswerFacts::read(Endpoint::Responses, WHOLE.as_bytes()),
        Ok(AnswerFacts {
            reported_cost: None,
            model: Some("gpt-5-x".to_owned()),
            usage: Some(usage),
            service_tier: Some("priority".to_owned()),
            has_error: false,
            has_failed: false,
            searches: 1,
            images: 0,
            audio_ms: 0,
        })
    );
    assert_eq!(AnswerFacts::output_text(Endpoint::Responses, WHOLE.as_bytes()), "hmhéllonof{\"a\":1}cls");
}

#[test]
fn usage_becomes_disjoint_buckets() {
    for (text, expected) in [
        ("null", None),
        ("{}", None),
        (r#"{"input_tokens":7}"#, None),
        (r#"{"input_tokens":"7","output_tokens":5}"#, None),
        (r#"{"input_tokens":7,"output_tokens":5}"#, Some([7, 0, 0, 5, 0])),
        (r#"{"input_tokens":7,"total_tokens":12}"#, Some([7, 0, 0, 5, 0])),
        (r#"{"output_tokens":5,"total_tokens":12}"#, Some([7, 0, 0, 5, 0])),
        (
            r#"{"input_tokens":10,"output_tokens":5,"input_tokens_details":{"cached_tokens":8,"cache_write_tokens":8},
                "output_tokens_details":{"reasoning_tokens":9}}"#,
            Some([0, 8, 2, 5, 5]),
        ),
        (
            r#"{"input_tokens":10,"output_tokens":5,"input_tokens_details":null,"output_tokens_details":[]}"#,
            Some([10, 0, 0, 5, 0]),
        ),
    ] {
        let facts =
            AnswerFacts::read(Endpoint::Responses, format!(r#"{{"usage":{text}}}"#).as_bytes()).unwrap();
        let expected = expected.map(|[input, cached, cache_write, output, reasoning]| Usage {
            input,
            cached,
            cache_write,
            output,
            reasoning,
            ..Usage::default()
        });
        assert_eq!(facts.usage, expected, "{text}");
    }
}

#[test]
fn a_failed_response_is_an_answer_and_an_error_is_none() {
    for (body, has_error, has_failed) in [
        (r#"{"status":"failed","error":{"code":"server_error","message":"x"}}"#, false, true),
        (
            r#"{"status":"incomplete","error":null,"incomplete_details":{"reason":"max_output_tokens"}}"#,
            false,
            false,
        ),
        (r#"{"error":{"message":"x"}}"#, true, false),
        (r#"{"error":{}}"#, false, false),
    ] {
        let facts = AnswerFacts::read(Endpoint::Responses, body.as_bytes()).unwrap();
        assert_eq!((facts.has_error, facts.has_failed), (has_error, has_failed), "{body}");
    }
    for body in ["", "[]", "7", "{", "{}{}", "<html>"] {
        assert!(AnswerFacts::read(Endpoint::Responses, body.as_bytes()).is_err(), "{body}");
    }
}
