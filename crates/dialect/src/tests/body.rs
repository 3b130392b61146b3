//! The body that goes upstream: the caller's bytes but for the model and the usage.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{join, json};
use crate::{Call, Endpoint, Manners, Upstream};

/// Upstream to this model, in OpenAI's own way and without a cap of the gateway's.
pub(super) fn to(model: &str) -> Upstream<'_> {
    Upstream { model, manners: Manners::default(), output_cap: None }
}

#[track_caller]
fn check(body: &str, upstream_model: &str, expected: &str, pieces: usize) {
    let bytes = Bytes::copy_from_slice(body.as_bytes());
    let parts = Call::read(Endpoint::Chat, bytes.clone()).unwrap().upstream_body(&to(upstream_model));
    let len = parts.len();
    let parts: Vec<Bytes> = parts.into_iter().collect();
    assert_eq!(parts.len(), pieces, "{body}");
    let within = |part: &Bytes| bytes.as_ptr_range().contains(&part.as_ptr());
    assert_eq!(
        parts.iter().filter(|part| within(part)).count(),
        pieces.div_ceil(2),
        "{body}: a slice was copied"
    );
    let text = join(parts);
    assert_eq!(text, expected);
    assert_eq!(len, text.len());
}

#[test]
fn only_the_model_and_the_usage_are_edited() {
    for (body, model, expected, pieces) in [
        (r#"{"model":"m","messages":[1]}"#, "m", r#"{"model":"m","messages":[1]}"#, 1),
        (r#"{"model":"\u006d","messages":[1]}"#, "m", r#"{"model":"\u006d","messages":[1]}"#, 1),
        (r#"{"model":"\u006d" ,"messages":[1]}"#, "gpt", r#"{"model":"gpt" ,"messages":[1]}"#, 3),
        (r#"{"messages":[1],"model":"m"}"#, "a\"\\\n", r#"{"messages":[1],"model":"a\"\\\n"}"#, 3),
        (
            "\n { \"messages\":[1] ,\"stream\":true,\"model\":\"m\"}",
            "m",
            "\n {\"stream_options\":{\"include_usage\":true}, \"messages\":[1] ,\"stream\":true,\"model\":\"m\"}",
            3,
        ),
        (
            r#"{"model":"m","messages":[1],"stream":true,"stream_options":null,"z":1}"#,
            "x",
            r#"{"model":"x","messages":[1],"stream":true,"stream_options":{"include_usage":true},"z":1}"#,
            5,
        ),
        (
            r#"{"stream_options": {"a":1,"include_usage" : false},"model":"m","messages":[1],"stream":true}"#,
            "x",
            r#"{"stream_options": {"a":1,"include_usage" : true},"model":"x","messages":[1],"stream":true}"#,
            5,
        ),
        (
            r#"{"model":"m","messages":[1],"stream":true,"stream_options":{ }}"#,
            "m",
            r#"{"model":"m","messages":[1],"stream":true,"stream_options":{"include_usage":true }}"#,
            3,
        ),
        (
            r#"{"model":"m","messages":[1],"stream":true,"stream_options":{"include_obfuscation":false}}"#,
            "m",
            r#"{"model":"m","messages":[1],"stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false}}"#,
            3,
        ),
        (
            r#"{"model":"m","messages":[1],"stream":true,"stream_options":{"include_usage":true}}"#,
            "m",
            r#"{"model":"m","messages":[1],"stream":true,"stream_options":{"include_usage":true}}"#,
            1,
        ),
    ] {
        check(body, model, expected, pieces);
    }
}

#[test]
fn providers_have_their_manners() {
    const CAP: Option<&str> = Some("max_tokens");
    let usage = Manners { stream_options: false, ..Manners::default() };
    let both = Manners { cap: CAP, ..usage };
    for (manners, cap, body, expected) in [
        // What tells its usage unasked is not asked, wherever the member stands.
        (
            usage,
            None,
            r#"{"model":"m","messages":[1],"stream":true}"#,
            r#"{"model":"m","messages":[1],"stream":true}"#,
        ),
        (
            usage,
            None,
            r#"{"stream_options" : {"include_usage":true} , "model":"m","messages":[1],"stream":true}"#,
            r#"{ "model":"m","messages":[1],"stream":true}"#,
        ),
        (
            usage,
            None,
            r#"{"model":"m","messages":[1],"stream":true , "stream\u005foptions":null }"#,
            r#"{"model":"m","messages":[1],"stream":true  }"#,
        ),
        // One name for the cap: the other is renamed, or goes if both are there.
        (
            both,
            None,
            r#"{"model":"m","max_completion_tokens" : 9,"messages":[1]}"#,
            r#"{"model":"m","max_tokens" : 9,"messages":[1]}"#,
        ),
        (
            both,
            Some(5),
            r#"{"model":"m","messages":[1],"max_completion_tokens":9}"#,
            r#"{"model":"m","messages":[1],"max_tokens":5}"#,
        ),
        (
            both,
            Some(5),
            r#"{"max_tokens":null,"max_completion_tokens":9,"model":"m","messages":[1]}"#,
            r#"{"max_tokens":5,"model":"m","messages":[1]}"#,
        ),
        (
            both,
            None,
            r#"{"model":"m","messages":[1],"stream":true,"stream_options":{},"max_completion_tokens":9,"max_tokens":7}"#,
            r#"{"model":"m","messages":[1],"stream":true,"max_tokens":7}"#,
        ),
        (
            both,
            None,
            r#"{"model":"m","messages":[1],"stream":true,"max_tokens":7,"max_completion_tokens":9,"stream_options":{}}"#,
            r#"{"model":"m","messages":[1],"stream":true,"max_tokens":7}"#,
        ),
        // What is meant for a gateway goes with whatever else is left out beside it.
        (
            usage,
            None,
            r#"{"model":"m","stream":true,"provider":{"only":["x"]},"stream_options":{},"messages":[1]}"#,
            r#"{"model":"m","stream":true,"messages":[1]}"#,
        ),
        (
            Manners { preferences: true, ..Manners::default() },
            None,
            r#"{"model":"m","messages":[1],"provider":{"only":["x"]}}"#,
            r#"{"model":"m","messages":[1],"provider":{"only":["x"]}}"#,
        ),
        (both, Some(5), r#"{"model":"m","messages":[1]}"#, r#"{"max_tokens":5,"model":"m","messages":[1]}"#),
        (
            both,
            Some(5),
            r#"{"model":"m","messages":[1],"max_tokens":3}"#,
            r#"{"model":"m","messages":[1],"max_tokens":3}"#,
        ),
        (
            both,
            Some(5),
            r#"{"model":"m","messages":[1],"max_completion_tokens":null}"#,
            r#"{"model":"m","messages":[1],"max_tokens":5}"#,
        ),
    ] {
        let call = Call::read(Endpoint::Chat, Bytes::copy_from_slice(body.as_bytes())).unwrap();
        let output_cap = cap.and_then(std::num::NonZeroU64::new);
        let text = join(call.upstream_body(&Upstream { model: "m", manners, output_cap }));
        assert_eq!(text, expected, "{body}");
    }
}

#[test]
fn models_to_fall_back_to_are_read_and_taken_out() {
    const INPUT: &str = r#""messages":[1]"#;
    let names = |call: &Call| -> Vec<(usize, String)> {
        call.fallbacks().iter().map(|fallback| (fallback.place, fallback.model.clone())).collect()
    };
    let named = |names: &[(usize, &str)]| -> Vec<(usize, String)> {
        names.iter().map(|(place, name)| (*place, (*name).to_owned())).collect()
    };
    for (members, model, fallbacks, upstream) in [
        (
            r#""model":"a","models":["b","c"],"#,
            "a",
            &[(0, "b"), (1, "c")][..],
            r#"{"model":"x","messages":[1]}"#,
        ),
        // Each once, whichever way it is written.
        (
            r#""models":["a","b","\u0062","a"],"model":"a","#,
            "a",
            &[(1, "b")],
            r#"{"model":"x","messages":[1]}"#,
        ),
        (r#""models":["a","b"],"#, "a", &[(1, "b")], r#"{"model":"x","messages":[1]}"#),
        (r#""models":["a","b"],"model":null,"#, "a", &[(1, "b")], r#"{"model":"x","messages":[1]}"#),
        // The name that the body has need not be the provider's.
        (r#""models":["x","b"],"#, "x", &[(1, "b")], r#"{"model":"x","messages":[1]}"#),
        (r#""model":"a","models":[],"#, "a", &[], r#"{"model":"x","messages":[1]}"#),
        (
            r#""model":"a","models":null,"provider":{"only":["p"]},"#,
            "a",
            &[],
            r#"{"model":"x","messages":[1]}"#,
        ),
    ] {
        for endpoint in [Endpoint::Chat, Endpoint::Responses] {
            let own = if endpoint == Endpoint::Chat { INPUT } else { r#""input":"hi""# };
            let upstream = upstream.replace(INPUT, own);
            let body = Bytes::from(format!("{{{members}{own}}}"));
            let call = Call::read(endpoint, body.clone()).unwrap();
            assert_eq!((call.model(), names(&call)), (model, named(fallbacks)), "{members}");
            let to = Upstream { model: "x", manners: Manners::default(), output_cap: None };
            let text = join(call.upstream_body(&to));
            if endpoint == Endpoint::Responses && members.contains("provider") {
                assert!(!text.contains("models"), "{text}");
            } else {
                assert_eq!(text, upstream, "{members}");
            }
            assert!(!call.bare_body().windows(8).any(|part| part == b"\"models\""), "{members}");
        }
    }
    for (members, param, code) in [
        (r#""model":"a","models":"b","#, "models", "invalid_type"),
        (r#""model":"a","models":{},"#, "models", "invalid_type"),
        (r#""model":"a","models":["b",7],"#, "models[1]", "invalid_type"),
        (r#""model":"a","models":["b","c",null],"#, "models[2]", "invalid_type"),
        (r#""model":"a","models":["b",""],"#, "models[1]", "empty_string"),
        (
            r#""model":"a","models":["1","2","3","4","5","6","7","8","9"],"#,
            "models",
            "array_above_max_length",
        ),
        (r#""models":[],"#, "model", "missing_required_parameter"),
        (r#""model":"a","models":["b"],"models":["c"],"#, "models", "duplicate_parameter"),
        (r#""model":null,"models":null,"#, "model", "invalid_type"),
    ] {
        for (endpoint, own) in [(Endpoint::Chat, INPUT), (Endpoint::Responses, r#""input":"hi""#)] {
            let refused = Call::read(endpoint, Bytes::from(format!("{{{members}{own}}}"))).unwrap_err();
            assert_eq!((refused.param.as_deref(), refused.code), (Some(param), Some(code)), "{members}");
        }
    }
    let long = format!(r#"{{"model":"a","models":["{}"],{INPUT}}}"#, "m".repeat(257));
    let refused = Call::read(Endpoint::Chat, Bytes::from(long)).unwrap_err();
    assert_eq!(
        (refused.param.as_deref(), refused.code),
        (Some("models[0]"), Some("string_above_max_length"))
    );
}

pub(super) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z{}\\[\\]\"\\\\]{0,6}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Whatever else a body holds, what goes upstream is the same document but for the model and `include_usage`.
    #[test]
    fn the_rest_of_the_document_survives(
        extra in prop::collection::btree_map("x[a-z]{0,3}", any_json(), 0..4),
        message in any_json(),
        model in "\\PC{1,20}",
        upstream in "\\PC{0,20}",
        stream in any::<bool>(),
        options in prop::option::of((prop::option::of(any::<bool>()), any::<bool>())),
        pretty in any::<bool>(),
    ) {
        let mut document: serde_json::Map<String, Value> = extra.into_iter().collect();
        document.insert("model".into(), json!(model));
        document.insert("messages".into(), json!([message]));
        document.insert("stream".into(), json!(stream));
        if let Some((usage, more)) = options.filter(|_| stream) {
            let mut object = serde_json::Map::new();
            usage.map(|usage| object.insert("include_usage".into(), json!(usage)));
            more.then(|| object.insert("include_obfuscation".into(), json!(false)));
            document.insert("stream_options".into(), Value::Object(object));
        }
        let mut expected = document.clone();
        let document = Value::Object(document);
        let body = if pretty { serde_json::to_string_pretty(&document) } else { serde_json::to_string(&document) };
        let call = Call::read(Endpoint::Chat, Bytes::from(body.unwrap())).unwrap();
        prop_assert_eq!(call.model(), model.as_str());
        expected.insert("model".into(), json!(upstream));
        if stream {
            let options = expected.entry("stream_options").or_insert_with(|| json!({}));
            options["include_usage"] = json!(true);
        }
        prop_assert_eq!(json(&join(call.upstream_body(&to(&upstream)))), Value::Object(expected));
    }
}
