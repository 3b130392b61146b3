//! What is read of a whole message.

use domain::Usage;

use crate::{AnswerFacts, Endpoint, Garbage};

fn facts(body: &str) -> AnswerFacts {
    AnswerFacts::read(Endpoint::Messages, body.as_bytes()).unwrap_or_else(|error| panic!("{body}: {error}"))
}

#[test]
fn usage_is_read_bucket_by_bucket() {
    let none = Usage::default();
    for (usage, expected) in [
        ("null", None),
        ("{}", None),
        (r#"{"input_tokens":7}"#, None),
        (r#"{"output_tokens":7}"#, None),
        (r#"{"input_tokens":7,"output_tokens":5}"#, Some(Usage { input: 7, output: 5, ..none })),
        (
            r#"{"input_tokens":7,"cache_creation_input_tokens":20,"cache_read_input_tokens":300,"cache_creation":{"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":0},"output_tokens":5,"output_tokens_details":{"thinking_tokens":2},"x":1}"#,
            Some(Usage { input: 7, cached: 300, cache_write: 20, output: 5, reasoning: 2, ..none }),
        ),
        (
            r#"{"input_tokens":7,"cache_creation_input_tokens":20,"cache_creation":{"ephemeral_5m_input_tokens":15,"ephemeral_1h_input_tokens":5},"server_tool_use":{"web_search_requests":3},"output_tokens":5}"#,
            Some(Usage { input: 7, cache_write: 15, cache_write_long: 5, searches: 3, output: 5, ..none }),
        ),
        // The split is part of the whole, whatever it says.
        (
            r#"{"input_tokens":7,"cache_creation_input_tokens":3,"cache_creation":{"ephemeral_1h_input_tokens":5},"output_tokens":5}"#,
            Some(Usage { input: 7, cache_write_long: 3, output: 5, ..none }),
        ),
        (
            r#"{"input_tokens":7,"cache_creation_input_tokens":null,"cache_creation":{"ephemeral_5m_input_tokens":20},"output_tokens":5}"#,
            Some(Usage { input: 7, cache_write: 20, output: 5, ..none }),
        ),
        (
            r#"{"input_tokens":1,"output_tokens":5,"output_tokens_details":{"thinking_tokens":9}}"#,
            Some(Usage { input: 1, output: 5, reasoning: 5, ..none }),
        ),
    ] {
        assert_eq!(facts(&format!(r#"{{"type":"message","usage":{usage}}}"#)).usage, expected, "{usage}");
    }
}

#[test]
fn the_rest_is_read_beside_it() {
    let told =
        facts(r#"{"model":"claude","type":"message","usage":{"service_tier":"priority"},"error":null}"#);
    assert_eq!(told.model.as_deref(), Some("claude"));
    assert_eq!(told.service_tier.as_deref(), Some("priority"));
    assert!(!told.has_error);
    assert_eq!(
        facts(r#"{"usage":{"service_tier":"standard","speed":"fast"}}"#).service_tier.as_deref(),
        Some("fast")
    );
    assert!(facts(r#"{"type":"error","error":{"type":"api_error","message":"m"}}"#).has_error);
    assert!(facts(r#"{"type":"error"}"#).has_error);
    for garbage in ["[]", "", "{", "\"x\""] {
        assert_eq!(AnswerFacts::read(Endpoint::Messages, garbage.as_bytes()), Err(Garbage), "{garbage}");
    }
}

#[test]
fn all_that_was_generated_is_text() {
    let text = AnswerFacts::output_text(
        Endpoint::Messages,
        br#"{"content":[{"type":"thinking","thinking":"a ","signature":"no"},{"type":"text","text":"b "},{"type":"tool_use","id":"no","name":"c ","input":{"d":1}},{"type":"web_search_tool_result","content":[{"text":"no"}]}],"model":"no"}"#,
    );
    assert_eq!(text, r#"a b c {"d":1}"#);
}
