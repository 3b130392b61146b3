//! What is read of a request for messages, and how a wrong one is refused.

use std::num::NonZeroU64;

use bytes::Bytes;

use crate::tests::join;
use crate::{BadRequest, BodyParts, Call, Endpoint, Manners, MediaParts, Upstream, tokens};

fn read(body: &str) -> Result<Call, BadRequest> {
    Call::read(Endpoint::Messages, Bytes::copy_from_slice(body.as_bytes()))
}

fn upstream(call: &Call, model: &str, output_cap: Option<NonZeroU64>) -> BodyParts {
    call.upstream_body(&Upstream { model, manners: Manners::default(), output_cap })
}

/// A request with these members besides the required ones.
fn body(members: &str) -> String {
    format!(r#"{{"model":"m","max_tokens":100,"messages":[{{"role":"user","content":"hi"}}]{members}}}"#)
}

#[track_caller]
fn call(members: &str) -> Call {
    read(&body(members)).unwrap_or_else(|error| panic!("{members}: {error}"))
}

#[test]
fn members_that_matter_are_read() {
    let plain = call("");
    assert_eq!(
        (plain.model(), plain.output_cap(), plain.choices(), plain.stream()),
        ("m", Some(100), 1, false)
    );
    assert_eq!((plain.user(), plain.service_tier(), plain.web_search()), (None, None, None));
    assert_eq!((plain.output_cap_least(), plain.charged_tool(), plain.input_elsewhere()), (1, None, None));
    assert!(call(r#","stream":true"#).stream());
    assert_eq!(call(r#","metadata":{"user_id":"u\u00e9","x":1}"#).user(), Some("ué"));
    assert_eq!(call(r#","metadata":null"#).user(), None);
    for (members, tier) in [
        (r#","service_tier":"auto""#, Some("auto")),
        (r#","service_tier":"auto","speed":"fast""#, Some("fast")),
        (r#","speed":"standard","service_tier":"standard_only""#, Some("standard_only")),
        (r#","speed":"standard""#, None),
        (r#","inference_geo":"global""#, None),
    ] {
        assert_eq!(call(members).service_tier(), tier, "{members}");
    }
    for (members, search, charged, elsewhere) in [
        (r#","tools":[{"name":"f","input_schema":{"type":"web_search"}}]"#, None, None, None),
        (r#","tools":[{"type":"web_search_20250305","name":"web_search"}]"#, Some("tools"), None, None),
        (r#","tools":[{"type":"bash_20250124"},{"type":"web_fetch_20250910"}]"#, None, None, Some("tools")),
        (
            r#","tools":[{"type":"code_execution_20250825","name":"c"}]"#,
            None,
            Some("code_execution_20250825"),
            None,
        ),
        (r#","mcp_servers":[{"type":"url","url":"https://example.com"}]"#, None, None, Some("mcp_servers")),
        (r#","mcp_servers":[],"tools":null"#, None, None, None),
    ] {
        let call = call(members);
        let read = (call.web_search(), call.charged_tool(), call.input_elsewhere());
        assert_eq!(read, (search, charged, elsewhere), "{members}");
    }
    // What fills the cache alone asks for no output.
    assert_eq!(read(&body("").replace("100", "0")).unwrap().output_cap(), Some(0));
}

#[test]
fn what_is_not_read_goes_upstream_as_it_came() {
    let strange = body(
        r#" , "system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral","ttl":"1h"}}],"x_new":{"a":[1e5,null]},"temperature":1.0"#,
    );
    let call = read(&strange).unwrap();
    assert_eq!(join(upstream(&call, "m", None)), strange);
    assert_eq!(join(upstream(&call, "claude", None)), strange.replace(r#""m""#, r#""claude""#));
}

#[test]
fn wrong_requests_are_refused_by_name() {
    for (body, param, code) in [
        ("[]", None, None),
        ("{", None, None),
        (r#"{"max_tokens":1,"messages":[1]}"#, Some("model"), Some("missing_required_parameter")),
        (r#"{"model":"m","messages":[1]}"#, Some("max_tokens"), Some("missing_required_parameter")),
        (
            r#"{"model":"m","messages":[1],"max_tokens":null}"#,
            Some("max_tokens"),
            Some("missing_required_parameter"),
        ),
        (
            r#"{"model":"m","messages":[1],"max_tokens":-1}"#,
            Some("max_tokens"),
            Some("integer_below_min_value"),
        ),
        (r#"{"model":"m","messages":[1],"max_tokens":"9"}"#, Some("max_tokens"), Some("invalid_type")),
        (r#"{"model":"m","messages":[1],"max_tokens":1.5}"#, Some("max_tokens"), Some("invalid_type")),
        (r#"{"model":"m","max_tokens":1}"#, Some("messages"), Some("missing_required_parameter")),
        (r#"{"model":"m","max_tokens":1,"messages":[]}"#, Some("messages"), Some("empty_array")),
        (r#"{"model":"m","max_tokens":1,"messages":{}}"#, Some("messages"), Some("invalid_type")),
        (
            r#"{"model":"m","max_tokens":1,"messages":[1],"max_tokens":2}"#,
            Some("max_tokens"),
            Some("duplicate_parameter"),
        ),
        (
            r#"{"model":"m","max_tokens":1,"messages":[1],"messages":[1]}"#,
            Some("messages"),
            Some("duplicate_parameter"),
        ),
        (
            r#"{"model":"m","max_tokens":1,"messages":[1],"tools":[],"tools":[]}"#,
            Some("tools"),
            Some("duplicate_parameter"),
        ),
        (
            r#"{"model":"m","max_tokens":1,"messages":[1],"Max_Tokens":2}"#,
            Some("Max_Tokens"),
            Some("unknown_parameter"),
        ),
        (
            r#"{"model":"m","max_tokens":1,"messages":[1],"\u017ftream":true}"#,
            Some("ſtream"),
            Some("unknown_parameter"),
        ),
        (r#"{"model":"m","max_tokens":1,"messages":[1],"stream":1}"#, Some("stream"), Some("invalid_type")),
        (
            r#"{"model":"m","max_tokens":1,"messages":[1],"thinking":true}"#,
            Some("thinking"),
            Some("invalid_type"),
        ),
        (
            r#"{"model":"m","max_tokens":1,"messages":[1],"thinking":{"budget_tokens":"x"}}"#,
            Some("thinking.budget_tokens"),
            Some("invalid_type"),
        ),
        (
            r#"{"model":"m","max_tokens":1,"messages":[1],"thinking":{"budget_tokens":1,"budget_tokens":2}}"#,
            Some("thinking.budget_tokens"),
            Some("duplicate_parameter"),
        ),
        (
            r#"{"model":"m","max_tokens":1,"messages":[1],"metadata":[]}"#,
            Some("metadata"),
            Some("invalid_type"),
        ),
        // OpenRouter would go on at these by itself, and what is held is for the model that is named.
        (
            r#"{"model":"m","max_tokens":1,"messages":[1],"models":["n"]}"#,
            Some("models"),
            Some("unsupported_parameter"),
        ),
        (
            r#"{"model":"m","max_tokens":1,"messages":[1],"fallbacks":["n"]}"#,
            Some("fallbacks"),
            Some("unsupported_parameter"),
        ),
        (
            r#"{"model":"m","max_tokens":1,"messages":[1],"inference_geo":"us"}"#,
            Some("inference_geo"),
            Some("unsupported_parameter"),
        ),
    ] {
        let error = read(body).expect_err(body);
        assert_eq!((error.param.as_deref(), error.code), (param, code), "{body}: {error}");
    }
}

#[test]
fn deep_nesting_is_refused_wherever_it_is() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for members in [
        format!(r#","x":{deep}"#),
        format!(r#","tools":[{deep}]"#),
        format!(r#","mcp_servers":[{deep}]"#),
        format!(r#","system":{deep}"#),
    ] {
        assert!(read(&body(&members)).is_err(), "{members}");
    }
    for content in [deep.clone(), format!(r#"[{{"type":"tool_result","content":{deep}}}]"#)] {
        let body = format!(r#"{{"model":"m","max_tokens":1,"messages":[{{"content":{content}}}]}}"#);
        assert!(read(&body).is_err(), "{body}");
    }
}

/// A request whose one message has these blocks.
fn blocks(blocks: &str) -> String {
    format!(r#"{{"model":"m","max_tokens":1,"messages":[{{"role":"user","content":[{blocks}]}}]}}"#)
}

#[test]
fn media_count_by_allowances_and_texts_by_bytes() {
    let data = "A".repeat(100_000);
    let inline = format!(r#"{{"type":"base64","media_type":"x","data":"{data}"}}"#);
    for (block, images, files, inline_bytes) in [
        (format!(r#"{{"type":"image","source":{inline}}}"#), 1, 0, 100_000),
        (format!(r#"{{"source":{inline},"type":"image"}}"#), 1, 0, 100_000),
        (r#"{"type":"image","source":{"type":"url","url":"https://example.com/x"}}"#.to_owned(), 1, 0, 0),
        (format!(r#"{{"type":"document","source":{inline}}}"#), 0, 1, 100_000),
        (r#"{"type":"document","source":{"type":"file","file_id":"f"}}"#.to_owned(), 0, 1, 0),
        // A text is a text, wherever it stands.
        (format!(r#"{{"type":"document","source":{{"type":"text","data":"{data}"}}}}"#), 0, 0, 0),
        (format!(r#"{{"type":"text","text":"t","source":{inline}}}"#), 0, 0, 0),
        // Of two types, a provider may take either.
        (
            format!(r#"{{"type":"document","source":{{"type":"base64","data":"{data}","type":"text"}}}}"#),
            0,
            0,
            0,
        ),
        (format!(r#"{{"type":"image","source":{inline},"source":{inline}}}"#), 1, 0, 0),
        (
            format!(
                r#"{{"type":"tool_result","content":[{{"type":"image","source":{inline}}},{{"type":"text","text":"x"}}]}}"#
            ),
            1,
            0,
            100_000,
        ),
        (
            format!(
                r#"{{"type":"document","source":{{"type":"content","content":[{{"type":"image","source":{inline}}}]}}}}"#
            ),
            1,
            0,
            100_000,
        ),
    ] {
        let body = blocks(&block);
        let call = read(&body).unwrap();
        assert_eq!(call.media(), MediaParts { images, audio: 0, files }, "{:.90}", block);
        let bytes = u64::try_from(body.len()).unwrap();
        let allowance = 12_000 * images + if files == 0 { 0 } else { 244_500.min(inline_bytes.max(1)) };
        let bound = call.input_tokens_bound();
        assert!(bound >= bytes - inline_bytes + allowance, "{bound} for {:.90}", block);
        if inline_bytes > 0 && files == 0 {
            assert!(bound < bytes, "{bound} for {:.90}", block);
        }
    }
}

#[test]
fn a_lowered_cap_leaves_room_beside_the_thoughts() {
    let thinking = |cap: u64, budget: u64| {
        format!(
            r#"{{"model":"m","max_tokens":{cap},"thinking":{{"type":"enabled","budget_tokens":{budget}}},"messages":[1]}}"#
        )
    };
    for (cap, budget, to, cap_after, budget_after) in [
        (9_000, 4_000, 9_000, 9_000, 4_000),
        (9_000, 4_000, 5_000, 5_000, 4_000),
        (9_000, 4_000, 4_001, 4_001, 4_000),
        (9_000, 4_000, 4_000, 4_000, 3_999),
        (9_000, 4_000, 1_025, 1_025, 1_024),
        // With tools between, thoughts may be more than the cap; that is the provider's to say.
        (2_000, 4_000, 3_000, 2_000, 2_999),
    ] {
        let call = read(&thinking(cap, budget)).unwrap();
        assert_eq!(call.output_cap_least(), 1_025);
        let lowered = join(upstream(&call, "m", NonZeroU64::new(to)));
        assert_eq!(lowered, thinking(cap_after, budget_after));
    }
    for free in [r#"{"type":"disabled"}"#, r#"{"type":"adaptive","budget_tokens":null}"#, "null"] {
        let body = body(&format!(r#","thinking":{free}"#));
        let call = read(&body).unwrap();
        assert_eq!(call.output_cap_least(), 1);
        let lowered = join(upstream(&call, "m", Some(NonZeroU64::MIN)));
        assert_eq!(lowered, body.replace(r#""max_tokens":100"#, r#""max_tokens":1"#));
    }
}

#[test]
fn a_prompt_is_counted_wherever_it_stands() {
    let count = |body: &str| tokens::count_prompt(Endpoint::Messages, body.as_bytes(), "claude");
    let one = count(r#"{"messages":[{"role":"user","content":"hello world"}]}"#);
    assert_eq!(one, 8, "two tokens, three around the message and three around all");
    for more in [
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"hello world"}]}]}"#,
        r#"{"messages":[{"role":"user","content":[{"type":"tool_result","content":"hello world"}]}]}"#,
        r#"{"messages":[{"role":"user","content":[{"type":"tool_result","content":[{"type":"text","text":"hello world"}]}]}]}"#,
        r#"{"messages":[{"content":[{"type":"document","source":{"type":"text","data":"hello world"}}]}]}"#,
        r#"{"system":"hello world","messages":[{"content":""}]}"#,
        r#"{"system":[{"type":"text","text":"hello world"}],"messages":[{"content":""}]}"#,
    ] {
        assert_eq!(count(more), one, "{more}");
    }
    assert!(count(r#"{"tools":[{"name":"f"}],"messages":[{"content":"hello world"}]}"#) > one);
    assert!(count(r#"{"messages":[{"content":[{"type":"image","source":{"type":"url"}}]}]}"#) > 1_500);
    assert_eq!(count("nonsense"), 0);
}

/// Google's Vertex AI has the version in the body and the model in the address; of a count, the model in the body, too.
#[test]
fn the_version_stands_in_the_body_where_it_is_wanted_there() {
    let manners = Manners { version_in_body: Some("vertex-2023-10-16"), ..Manners::default() };
    let messages = r#""max_tokens":9,"messages":[1]"#;
    for (endpoint, body, wanted) in [
        (
            Endpoint::Messages,
            format!(r#"{{"model":"m",{messages}}}"#),
            format!(r#"{{"anthropic_version":"vertex-2023-10-16",{messages}}}"#),
        ),
        (
            Endpoint::Messages,
            format!(r#" {{ {messages} , "model" : "m" }}"#),
            format!(r#" {{"anthropic_version":"vertex-2023-10-16", {messages}  }}"#),
        ),
        (
            Endpoint::Messages,
            format!(r#"{{{messages},"model":"m","anthropic_version":"bedrock-2023-05-31","stream":true}}"#),
            format!(r#"{{{messages},"anthropic_version":"vertex-2023-10-16","stream":true}}"#),
        ),
        (
            Endpoint::Messages,
            r#"{"max_tokens":9,"model":"m","messages":[{"role":"user","content":"anthropic_version"}]}"#.to_owned(),
            r#"{"anthropic_version":"vertex-2023-10-16","max_tokens":9,"messages":[{"role":"user","content":"anthropic_version"}]}"#
                .to_owned(),
        ),
        (
            Endpoint::CountTokens,
            r#"{"model":"m","messages":[1]}"#.to_owned(),
            r#"{"anthropic_version":"vertex-2023-10-16","model":"up@1","messages":[1]}"#.to_owned(),
        ),
    ] {
        let call = Call::read(endpoint, Bytes::from(body.clone())).unwrap();
        let head = vec![("anthropic-version", "2023-06-01".to_owned()), ("anthropic-beta", "a,b".to_owned())];
        let call = call.with_head(head);
        let to = Upstream { model: "up@1", manners, output_cap: None };
        assert_eq!(join(call.upstream_body(&to)), wanted, "{body}");
        let heads = |manners| call.upstream_head(manners).map(|(name, _)| name).collect::<Vec<_>>();
        let beta: &[&str] = if endpoint == Endpoint::Messages { &["anthropic-beta"] } else { &[] };
        assert_eq!(heads(manners), beta);
        assert_eq!(heads(Manners::default()), ["anthropic-version", "anthropic-beta"]);
    }
    let lowered = call("");
    let to = Upstream { model: "up", manners, output_cap: NonZeroU64::new(5) };
    let text = join(lowered.upstream_body(&to));
    assert!(text.starts_with(r#"{"anthropic_version":"vertex-2023-10-16","max_tokens":5,"#), "{text}");
}
