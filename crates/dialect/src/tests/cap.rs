//! The cap on the output, lowered in the bytes of a request.

use std::num::NonZeroU64;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::body::{any_json, to};
use super::{join, json};
use crate::{BodyParts, Call, Endpoint, Manners, Upstream};

fn capped(endpoint: Endpoint, body: &str, model: &str, cap: u64) -> BodyParts {
    let call = Call::read(endpoint, Bytes::copy_from_slice(body.as_bytes())).unwrap();
    call.upstream_body(&Upstream { output_cap: NonZeroU64::new(cap), ..to(model) })
}

#[test]
fn caps_are_lowered_where_they_stand() {
    const CAP: u64 = 50;
    for (model, body, expected, pieces) in [
        // What is larger is lowered, by whatever name; what is smaller stays.
        ("m", r#"{"model":"m","messages":[1],"max_tokens":9}"#, None, 1),
        ("m", r#"{"model":"m","messages":[1],"max_tokens":50}"#, None, 1),
        (
            "m",
            r#"{"model":"m","max_tokens" : 128000 ,"messages":[1]}"#,
            Some(r#"{"model":"m","max_tokens" : 50 ,"messages":[1]}"#),
            3,
        ),
        (
            "m",
            r#"{"model":"m","messages":[1],"max_completion_tokens":51}"#,
            Some(r#"{"model":"m","messages":[1],"max_completion_tokens":50}"#),
            3,
        ),
        (
            "m",
            r#"{"max_completion_tokens":99,"model":"m","messages":[1],"max_tokens":18446744073709551615}"#,
            Some(r#"{"max_completion_tokens":50,"model":"m","messages":[1],"max_tokens":50}"#),
            5,
        ),
        (
            "m",
            r#"{"model":"m","messages":[1],"max_tokens":9,"max_completion_tokens":99}"#,
            Some(r#"{"model":"m","messages":[1],"max_tokens":9,"max_completion_tokens":50}"#),
            3,
        ),
        (
            "m",
            r#"{"model":"m","messages":[1],"max_tokens":null,"max_completion_tokens":99}"#,
            Some(r#"{"model":"m","messages":[1],"max_tokens":null,"max_completion_tokens":50}"#),
            3,
        ),
        (
            "o3",
            r#"{"model":"o3","messages":[1],"m\u0061x_tokens":99}"#,
            Some(r#"{"model":"o3","messages":[1],"m\u0061x_tokens":50}"#),
            3,
        ),
        // Where none is named, one is put in, in the place of a null of that name if there is one.
        ("m", r#"{"model":"m","messages":[1]}"#, Some(r#"{"max_tokens":50,"model":"m","messages":[1]}"#), 3),
        (
            "o3",
            " {\"model\":\"o3\",\"messages\":[1]}",
            Some(" {\"max_completion_tokens\":50,\"model\":\"o3\",\"messages\":[1]}"),
            3,
        ),
        (
            "m",
            r#"{"model":"m","messages":[1],"max_tokens":null,"max_completion_tokens":null}"#,
            Some(r#"{"model":"m","messages":[1],"max_tokens":50,"max_completion_tokens":null}"#),
            3,
        ),
        (
            "o3",
            r#"{"model":"o3","messages":[1],"max_tokens":null}"#,
            Some(r#"{"max_completion_tokens":50,"model":"o3","messages":[1],"max_tokens":null}"#),
            3,
        ),
        // It is the model that is called that decides, and all edits go together.
        (
            "openai/gpt-5-mini",
            r#"{"model":"m","messages":[{"max_tokens":1}],"stream":true}"#,
            Some(
                r#"{"stream_options":{"include_usage":true},"max_completion_tokens":50,"model":"openai/gpt-5-mini","messages":[{"max_tokens":1}],"stream":true}"#,
            ),
            6,
        ),
    ] {
        let parts = capped(Endpoint::Chat, body, model, CAP);
        let len = parts.len();
        let parts: Vec<Bytes> = parts.into_iter().collect();
        assert_eq!(parts.len(), pieces, "{body}");
        let text = join(parts);
        assert_eq!((text.as_str(), text.len()), (expected.unwrap_or(body), len), "{body}");
    }
    let embeddings = r#"{"model":"m","input":"x","max_tokens":99}"#;
    assert_eq!(join(capped(Endpoint::Embeddings, embeddings, "m", CAP)), embeddings);
}

#[test]
fn the_name_that_is_put_in_is_one_the_model_takes() {
    const OLD: &str = "max_tokens";
    const NEW: &str = "max_completion_tokens";
    for (model, name) in [
        ("o1", NEW),
        ("o3-mini-2025-01-31", NEW),
        ("o4-mini", NEW),
        ("gpt-4.1", NEW),
        ("gpt-4.1-nano-2025-04-14", NEW),
        ("gpt-4.5-preview", NEW),
        ("gpt-5", NEW),
        ("gpt-5.6-luna", NEW),
        ("gpt-10", NEW),
        ("openai/gpt-5-mini", NEW),
        ("ft:gpt-4.1-mini:acme::x", NEW),
        ("gpt-4", OLD),
        ("gpt-4-turbo", OLD),
        ("gpt-4o", OLD),
        ("gpt-4o-mini", OLD),
        ("gpt-3.5-turbo", OLD),
        ("gpt-35-turbo", OLD),
        ("gpt-oss-120b", OLD),
        ("gpt-", OLD),
        ("gpt-99999999999", OLD),
        ("gpt-4.", OLD),
        ("o", OLD),
        ("olmo-2", OLD),
        ("opus", OLD),
        ("mistral-large-4", OLD),
        ("deepseek-v4-pro", OLD),
        ("claude-opus-5", OLD),
        ("gemini-3-pro", OLD),
        ("", OLD),
    ] {
        let body = join(capped(Endpoint::Chat, r#"{"model":"m","messages":[1]}"#, model, 7));
        let document = json(&body);
        assert_eq!((&document[name], document.as_object().unwrap().len()), (&json!(7), 3), "{model}: {body}");
    }
}

/// A provider's one name for the cap of a chat is not that of its other calls' caps.
#[test]
fn only_the_cap_of_a_chat_is_renamed() {
    let manners = Manners { cap: Some("max_tokens"), ..Manners::default() };
    for (endpoint, body, expected) in [
        (
            Endpoint::Chat,
            r#"{"model":"m","messages":[1],"max_completion_tokens":99}"#,
            r#"{"model":"m","messages":[1],"max_tokens":50}"#,
        ),
        (
            Endpoint::Responses,
            r#"{"model":"m","input":"a","max_output_tokens":99}"#,
            r#"{"model":"m","input":"a","max_output_tokens":50}"#,
        ),
        (
            Endpoint::Responses,
            r#"{"model":"m","input":"a"}"#,
            r#"{"max_output_tokens":50,"model":"m","input":"a"}"#,
        ),
        (
            Endpoint::Messages,
            r#"{"model":"m","messages":[{"role":"user","content":"a"}],"max_tokens":99}"#,
            r#"{"model":"m","messages":[{"role":"user","content":"a"}],"max_tokens":50}"#,
        ),
    ] {
        let call = Call::read(endpoint, Bytes::copy_from_slice(body.as_bytes())).unwrap();
        let upstream = Upstream { manners, output_cap: NonZeroU64::new(50), ..to("m") };
        assert_eq!(join(call.upstream_body(&upstream)), expected, "{endpoint:?}");
    }
}

proptest! {
    /// Whatever else a body holds, it is the same document but for the caps that are above.
    #[test]
    fn the_rest_of_the_document_survives(
        extra in prop::collection::btree_map("x[a-z]{0,3}", any_json(), 0..4),
        message in any_json(),
        old in prop::option::of(prop::option::of(1_u64..200)),
        new in prop::option::of(prop::option::of(1_u64..200)),
        cap in 1_u64..200,
        model in prop::sample::select(vec!["gpt-4o", "gpt-5"]),
        pretty in any::<bool>(),
    ) {
        let mut document: serde_json::Map<String, Value> = extra.into_iter().collect();
        document.insert("model".into(), json!(model));
        document.insert("messages".into(), json!([message]));
        for (name, value) in [("max_tokens", old), ("max_completion_tokens", new)] {
            value.map(|value| document.insert(name.into(), json!(value)));
        }
        let mut expected = document.clone();
        for (name, value) in [("max_tokens", old), ("max_completion_tokens", new)] {
            value.flatten().map(|value| expected.insert(name.into(), json!(value.min(cap))));
        }
        if old.flatten().or(new.flatten()).is_none() {
            let name = if model == "gpt-5" { "max_completion_tokens" } else { "max_tokens" };
            expected.insert(name.into(), json!(cap));
        }
        let document = Value::Object(document);
        let body = if pretty { serde_json::to_string_pretty(&document) } else { serde_json::to_string(&document) };
        let text = join(capped(Endpoint::Chat, &body.unwrap(), model, cap));
        prop_assert_eq!(json(&text), Value::Object(expected));
        let again = Call::read(Endpoint::Chat, Bytes::from(text)).unwrap();
        prop_assert!(again.output_cap().is_some_and(|read| read <= cap));
    }
}
