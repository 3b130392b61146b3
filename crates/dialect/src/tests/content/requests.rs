//! What is read of a request for content, and how a wrong one is refused.

use std::num::NonZeroU64;

use bytes::Bytes;
use proptest::prelude::*;

use crate::tests::body::any_json;
use crate::tests::join;
use crate::{Addressed, BadRequest, Call, Endpoint, Framing, Manners, MediaParts, Upstream, tokens};

fn read_as(endpoint: Endpoint, model: &str, body: &str) -> Result<Call, BadRequest> {
    let addressed = Addressed { model: model.to_owned(), framing: Framing::Whole };
    Call::read_at(endpoint, Some(&addressed), Bytes::copy_from_slice(body.as_bytes()))
}

fn read(body: &str) -> Result<Call, BadRequest> {
    read_as(Endpoint::GenerateContent, "m", body)
}

fn upstream(call: &Call, model: &str, output_cap: Option<u64>) -> String {
    let output_cap = output_cap.and_then(NonZeroU64::new);
    join(call.upstream_body(&Upstream { model, manners: Manners::default(), output_cap }))
}

/// A request with these members besides the required one.
fn body(members: &str) -> String {
    format!(r#"{{"contents":[{{"role":"user","parts":[{{"text":"hi"}}]}}]{members}}}"#)
}

#[track_caller]
fn call(members: &str) -> Call {
    read(&body(members)).unwrap_or_else(|error| panic!("{members}: {error}"))
}

#[test]
fn members_that_matter_are_read() {
    let plain = call("");
    assert_eq!((plain.model(), plain.output_cap(), plain.choices(), plain.stream()), ("m", None, 1, false));
    assert_eq!((plain.user(), plain.service_tier(), plain.web_search()), (None, None, None));
    assert_eq!((plain.output_cap_least(), plain.charged_tool(), plain.input_elsewhere()), (1, None, None));
    for config in [
        r#","generationConfig":{"maxOutputTokens":9,"candidateCount":3,"temperature":1}"#,
        r#","generation_config":{"max_output_tokens":9,"candidate_count":3}"#,
    ] {
        assert_eq!((call(config).output_cap(), call(config).choices()), (Some(9), 3), "{config}");
    }
    for (members, tier) in [
        (r#","serviceTier":"flex""#, Some("flex")),
        (r#","service_tier":"PRIORITY""#, Some("priority")),
        (r#","serviceTier":null"#, None),
    ] {
        assert_eq!(call(members).service_tier(), tier, "{members}");
    }
    for (members, search, charged, elsewhere) in [
        (r#","tools":[{"functionDeclarations":[{"name":"googleSearch"}]}]"#, None, None, None),
        (r#","tools":[{"codeExecution":{}},{"googleMaps":null}]"#, None, None, None),
        (r#","tools":[{"googleSearch":{}}]"#, Some("tools"), None, None),
        (
            r#","tools":[{"google_search_retrieval":{}},{"urlContext":{}}]"#,
            Some("tools"),
            None,
            Some("tools"),
        ),
        (r#","tools":[{"googleMaps":{}},{"x":1}]"#, None, Some("googleMaps"), None),
        (r#","cachedContent":"cachedContents/1""#, None, None, Some("cachedContent")),
        (r#","cached_content":"""#, None, None, None),
    ] {
        let call = call(members);
        let read = (call.web_search(), call.charged_tool(), call.input_elsewhere());
        assert_eq!(read, (search, charged, elsewhere), "{members}");
    }
}

#[test]
fn one_of_something_may_stand_for_a_list_of_it() {
    let call = read(
        r#"{"contents":{"parts":{"inlineData":{"mimeType":"image/png","data":"A"}}},"tools":{"googleSearch":{}}}"#,
    )
    .unwrap();
    assert_eq!((call.media().images, call.web_search()), (1, Some("tools")));
}

#[test]
fn what_is_not_read_goes_upstream_as_it_came() {
    let strange = body(
        r#" , "safetySettings":[{"category":"X"}],"x_new":{"a":[1e5,null]},"generationConfig":{"thinkingConfig":{"thinkingBudget":-1}}"#,
    );
    assert_eq!(upstream(&read(&strange).unwrap(), "other", None), strange);
}

#[test]
fn a_body_that_names_the_model_names_the_one_that_is_called() {
    let named = body(r#","model":"models/m""#);
    let call = read(&named).unwrap();
    assert_eq!(upstream(&call, "m", None), named);
    assert_eq!(upstream(&call, "gemini-x", None), named.replace("models/m", "models/gemini-x"));
    assert_eq!(read(&body(r#","model":"models/n""#)).unwrap_err().param.as_deref(), Some("model"));
    let inner = format!(r#"{{"generateContentRequest":{named}}}"#);
    let count = read_as(Endpoint::CountContent, "m", &inner).unwrap();
    assert_eq!(upstream(&count, "gemini-x", None), inner.replace("models/m", "models/gemini-x"));
}

#[test]
fn the_cap_goes_where_google_looks_for_it() {
    for (members, written) in [
        ("", None),
        (r#","generationConfig":{}"#, Some(r#","generationConfig":{"maxOutputTokens":7}"#)),
        (r#","generationConfig": null "#, Some(r#","generationConfig": {"maxOutputTokens":7} "#)),
        (
            r#","generationConfig": { "topK":1}"#,
            Some(r#","generationConfig": {"maxOutputTokens":7, "topK":1}"#),
        ),
        (
            r#","generationConfig":{"maxOutputTokens":9,"topK":1}"#,
            Some(r#","generationConfig":{"maxOutputTokens":7,"topK":1}"#),
        ),
        (
            r#","generation_config":{"max_output_tokens":null}"#,
            Some(r#","generation_config":{"max_output_tokens":7}"#),
        ),
        (
            r#","generationConfig":{"maxOutputTokens":5}"#,
            Some(r#","generationConfig":{"maxOutputTokens":5}"#),
        ),
    ] {
        let expected = match written {
            Some(written) => body(written),
            None => body("").replacen('{', r#"{"generationConfig":{"maxOutputTokens":7},"#, 1),
        };
        assert_eq!(upstream(&call(members), "m", Some(7)), expected, "{members}");
        assert_eq!(upstream(&call(members), "m", None), body(members), "{members}");
    }
}

#[test]
fn wrong_requests_are_refused_by_name() {
    let cap = "generationConfig.maxOutputTokens";
    for (body, param, code) in [
        ("[]".to_owned(), None, None),
        ("{".to_owned(), None, None),
        ("{}".to_owned(), Some("contents"), Some("missing_required_parameter")),
        (r#"{"contents":[]}"#.to_owned(), Some("contents"), Some("empty_array")),
        (r#"{"contents":[],"tools":{"x":[]}}"#.to_owned(), Some("contents"), Some("empty_array")),
        (r#"{"contents":"hi"}"#.to_owned(), Some("contents"), Some("invalid_type")),
        (r#"{"contents":[1],"contents":[1]}"#.to_owned(), Some("contents"), Some("duplicate_parameter")),
        (r#"{"contents":[1],"Tools":[]}"#.to_owned(), Some("Tools"), Some("unknown_parameter")),
        (body(r#","generationConfig":[]"#), Some("generationConfig"), Some("invalid_type")),
        (
            body(r#","generationConfig":{},"generation_config":{}"#),
            Some("generation_config"),
            Some("duplicate_parameter"),
        ),
        (
            body(r#","generationConfig":{"maxOutputTokens":1,"max_output_tokens":2}"#),
            Some(cap),
            Some("duplicate_parameter"),
        ),
        (body(r#","generationConfig":{"maxOutputTokens":0}"#), Some(cap), Some("integer_below_min_value")),
        (body(r#","generationConfig":{"maxOutputTokens":"9"}"#), Some(cap), Some("invalid_type")),
        (
            body(r#","generationConfig":{"candidateCount":9}"#),
            Some("generationConfig.candidateCount"),
            Some("integer_above_max_value"),
        ),
        (body(r#","cachedContent":1"#), Some("cachedContent"), Some("invalid_type")),
    ] {
        let error = read(&body).expect_err(&body);
        assert_eq!((error.param.as_deref(), error.code), (param, code), "{body}: {error}");
    }
    let both = body(r#","generateContentRequest":{"contents":[1]}"#);
    let error = read_as(Endpoint::CountContent, "m", &both).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("contents"));
    assert_eq!(read_as(Endpoint::GenerateContent, "", &body("")).unwrap_err().code, Some("empty_string"));
    let unaddressed = Call::read(Endpoint::GenerateContent, Bytes::from(body("")));
    assert_eq!(unaddressed.unwrap_err().param.as_deref(), Some("model"));
}

#[test]
fn deep_nesting_is_refused_wherever_it_is() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for members in [
        format!(r#","x":{deep}"#),
        format!(r#","tools":[{{"x":{deep}}}]"#),
        format!(r#","generationConfig":{{"x":{deep}}}"#),
    ] {
        assert!(read(&body(&members)).is_err(), "{members}");
    }
    assert!(
        read(&format!(r#"{{"contents":[{{"parts":[{{"functionCall":{{"args":{deep}}}}}]}}]}}"#)).is_err()
    );
}

#[test]
fn media_count_by_allowances_and_not_by_their_bytes() {
    let data = "A".repeat(40_000);
    for (part, parts, elsewhere) in [
        (format!(r#"{{"inlineData":{{"mimeType":"image/png","data":"{data}"}}}}"#), [1, 0, 0], None),
        (
            format!(r#"{{"inline_data":{{"mime_type":"audio/mp3","data":"{data}"}}}}"#),
            [0, 1, 0],
            Some("contents"),
        ),
        // Few bytes can tell hours of sound and of pictures that stand still.
        (r#"{"inlineData":{"mimeType":"video/mp4","data":"AAAA"}}"#.to_owned(), [0, 0, 1], Some("contents")),
        (format!(r#"{{"inlineData":{{"mimeType":"application/pdf","data":"{data}"}}}}"#), [0, 0, 1], None),
        // A text is no medium, and neither is what has two types.
        (format!(r#"{{"inlineData":{{"mimeType":"text/plain","data":"{data}"}}}}"#), [0, 0, 0], None),
        (
            format!(r#"{{"inlineData":{{"mimeType":"image/png","mimeType":"text/plain","data":"{data}"}}}}"#),
            [0, 0, 0],
            None,
        ),
        (r#"{"fileData":{"mimeType":"image/png","fileUri":"u"}}"#.to_owned(), [1, 0, 0], None),
        (r#"{"fileData":{"mimeType":"video/mp4","fileUri":"u"}}"#.to_owned(), [0, 0, 0], Some("contents")),
        (
            format!(
                r#"{{"functionResponse":{{"name":"f","parts":[{{"inlineData":{{"mimeType":"image/png","data":"{data}"}}}}]}}}}"#
            ),
            [1, 0, 0],
            None,
        ),
    ] {
        let call = read(&format!(r#"{{"contents":[{{"parts":[{part}]}}]}}"#)).unwrap();
        let [images, audio, files] = parts;
        assert_eq!(call.media(), MediaParts { images, audio, files }, "{part}");
        assert_eq!(call.input_elsewhere(), elsewhere, "{part}");
        let is_text = parts == [0, 0, 0] && elsewhere.is_none();
        let is_bound_by_bytes = is_text || (files > 0 && elsewhere.is_none());
        assert_eq!(call.input_tokens_bound() >= 40_000, is_bound_by_bytes, "{part}");
    }
    let system = r#"{"contents":[{}],"systemInstruction":{"parts":[{"fileData":{"fileUri":"u"}}]}}"#;
    assert_eq!(read(system).unwrap().input_elsewhere(), Some("systemInstruction"));
}

#[test]
fn prompts_are_counted_by_their_texts() {
    let count = |body: &str| tokens::count_prompt(Endpoint::GenerateContent, body.as_bytes(), "gemini-x");
    let hello = count(r#"{"contents":[{"parts":[{"text":"hello"}]}]}"#);
    assert_eq!(hello, 4);
    let with_system =
        r#"{"systemInstruction":{"parts":[{"text":"hello"}]},"contents":[{"parts":[{"text":"hello"}]}]}"#;
    assert_eq!(count(with_system), 2 * hello);
    assert_eq!(count(&format!(r#"{{"generateContentRequest":{with_system}}}"#)), 2 * hello);
    assert!(count(r#"{"contents":[{"parts":[{"inlineData":{"data":"x"}}]}]}"#) >= 258);
}

proptest! {
    #[test]
    fn any_json_is_read_or_refused(value in any_json(), name in "(contents|tools|generationConfig|cachedContent)") {
        let json = value.to_string();
        for body in [json.clone(), format!(r#"{{"{name}":{json}}}"#), body(&format!(r#","{name}":{json}"#))] {
            if let Ok(call) = read(&body) {
                let sent = upstream(&call, "other", Some(3));
                prop_assert!(serde_json::from_str::<serde_json::Value>(&sent).is_ok(), "{}", sent);
            }
        }
    }
}
