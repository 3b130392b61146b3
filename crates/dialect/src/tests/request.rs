//! What is read of a request, and how a wrong one is refused.

use bytes::Bytes;

use crate::{BadRequest, Call, Endpoint, Manners, MediaParts, Upstream};

fn read(endpoint: Endpoint, body: &str) -> Result<Call, BadRequest> {
    Call::read(endpoint, Bytes::copy_from_slice(body.as_bytes()))
}

/// A chat with these members besides the required ones.
fn chat(members: &str) -> String {
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}]{members}}}"#)
}

#[derive(Debug, PartialEq)]
struct Facts {
    stream: bool,
    asked_usage: bool,
    cap: Option<u64>,
    choices: u64,
    user: Option<&'static str>,
    feature: Option<&'static str>,
    run: Option<&'static str>,
}

const PLAIN: Facts =
    Facts { stream: false, asked_usage: false, cap: None, choices: 1, user: None, feature: None, run: None };

#[track_caller]
fn check(members: &str, expected: &Facts) {
    let call = read(Endpoint::Chat, &chat(members)).unwrap_or_else(|error| panic!("{members}: {error}"));
    assert_eq!(call.model(), "m");
    assert_eq!(
        (call.stream(), call.asked_usage(), call.output_cap(), call.choices()),
        (expected.stream, expected.asked_usage, expected.cap, expected.choices),
        "{members}"
    );
    assert_eq!(
        (call.user(), call.feature(), call.run()),
        (expected.user, expected.feature, expected.run),
        "{members}"
    );
}

#[test]
fn members_that_matter_are_read() {
    for (members, expected) in [
        ("", PLAIN),
        (r#","temperature":0.5,"x_unknown":{"a":[1,2,{"b":null}]}"#, PLAIN),
        (r#","stream":true"#, Facts { stream: true, ..PLAIN }),
        (
            r#","stream":null,"stream_options":null,"n":null,"max_tokens":null,"user":null,"metadata":null"#,
            PLAIN,
        ),
        (r#","stream":true,"stream_options":{}"#, Facts { stream: true, ..PLAIN }),
        (
            r#","stream_options":{"include_usage":true,"include_obfuscation":false},"stream":true"#,
            Facts { stream: true, asked_usage: true, ..PLAIN },
        ),
        (r#","stream":true,"stream_options":{"include_usage":null}"#, Facts { stream: true, ..PLAIN }),
        (r#","max_tokens":7"#, Facts { cap: Some(7), ..PLAIN }),
        (r#","max_completion_tokens":128000"#, Facts { cap: Some(128_000), ..PLAIN }),
        (r#","max_tokens":7,"max_completion_tokens":9"#, Facts { cap: Some(9), ..PLAIN }),
        (r#","max_tokens":9,"max_completion_tokens":7"#, Facts { cap: Some(9), ..PLAIN }),
        (r#","n":128"#, Facts { choices: 128, ..PLAIN }),
        (r#","user":"ann","safety_identifier":"x""#, Facts { user: Some("ann"), ..PLAIN }),
        (r#","safety_identifier":"s","metadata":{"user":"m"}"#, Facts { user: Some("s"), ..PLAIN }),
        (r#","user":"","metadata":{"user":"m"}"#, Facts { user: Some("m"), ..PLAIN }),
        (
            r#","user":"a\u00e9\n","metadata":{"feature":"search","run":"r1","user":3,"else":[1]}"#,
            Facts { user: Some("aé\n"), feature: Some("search"), run: Some("r1"), ..PLAIN },
        ),
        (r#","metadata":{"feature":7,"run":""}"#, PLAIN),
    ] {
        check(members, &expected);
    }
}

#[test]
fn a_model_name_is_decoded_and_the_body_is_kept() {
    let body = r#" { "messages":[1] , "model" : "\u0067pt\/\"4" } "#;
    let call = read(Endpoint::Chat, body).unwrap();
    assert_eq!(call.model(), "gpt/\"4");
    assert_eq!(call.body(), body);
    assert_eq!(format!("{call:?}").matches("messages").count(), 0);
}

/// A body, and the message, param and code of its refusal.
type Row = (&'static str, &'static str, Option<&'static str>, Option<&'static str>);

#[track_caller]
fn refused(endpoint: Endpoint, body: &str, expected: (&str, Option<&str>, Option<&str>)) {
    let refusal = read(endpoint, body).expect_err(body);
    assert_eq!((refusal.message.as_str(), refusal.param.as_deref(), refusal.code), expected, "{body}");
}

#[test]
fn wrong_members_are_named() {
    const TYPE: Option<&str> = Some("invalid_type");
    const MISSING: Option<&str> = Some("missing_required_parameter");
    const TWICE: Option<&str> = Some("duplicate_parameter");
    let rows: &[Row] = &[
        (
            r#","stream":"yes""#,
            "Invalid type for 'stream': expected a boolean, but got a string instead.",
            Some("stream"),
            TYPE,
        ),
        (
            r#","stream":1"#,
            "Invalid type for 'stream': expected a boolean, but got an integer instead.",
            Some("stream"),
            TYPE,
        ),
        (
            r#","n":1.0"#,
            "Invalid type for 'n': expected an integer, but got a decimal number instead.",
            Some("n"),
            TYPE,
        ),
        (
            r#","n":"2""#,
            "Invalid type for 'n': expected an integer, but got a string instead.",
            Some("n"),
            TYPE,
        ),
        (
            r#","n":0"#,
            "Invalid 'n': integer below minimum value. Expected a value >= 1, but got 0 instead.",
            Some("n"),
            Some("integer_below_min_value"),
        ),
        (
            r#","n":-3"#,
            "Invalid 'n': integer below minimum value. Expected a value >= 1, but got -3 instead.",
            Some("n"),
            Some("integer_below_min_value"),
        ),
        (
            r#","n":129"#,
            "Invalid 'n': integer above maximum value. Expected a value <= 128, but got 129 instead.",
            Some("n"),
            Some("integer_above_max_value"),
        ),
        (
            r#","max_tokens":0"#,
            "Invalid 'max_tokens': integer below minimum value. Expected a value >= 1, but got 0 instead.",
            Some("max_tokens"),
            Some("integer_below_min_value"),
        ),
        (
            r#","max_completion_tokens":[5]"#,
            "Invalid type for 'max_completion_tokens': expected an integer, but got an array instead.",
            Some("max_completion_tokens"),
            TYPE,
        ),
        (
            r#","max_tokens":18446744073709551616"#,
            "Invalid 'max_tokens': integer above maximum value. Expected a value <= 18446744073709551615, but got 18446744073709551616 instead.",
            Some("max_tokens"),
            Some("integer_above_max_value"),
        ),
        (
            r#","user":{}"#,
            "Invalid type for 'user': expected a string, but got an object instead.",
            Some("user"),
            TYPE,
        ),
        (
            r#","metadata":"x""#,
            "Invalid type for 'metadata': expected an object, but got a string instead.",
            Some("metadata"),
            TYPE,
        ),
        (
            r#","stream_options":{"include_usage":true}"#,
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            Some("stream_options"),
            None,
        ),
        (
            r#","stream":false,"stream_options":{}"#,
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            Some("stream_options"),
            None,
        ),
        (
            r#","stream":true,"stream_options":[]"#,
            "Invalid type for 'stream_options': expected an object, but got an array instead.",
            Some("stream_options"),
            TYPE,
        ),
        (
            r#","stream":true,"stream_options":{"include_usage":1}"#,
            "Invalid type for 'stream_options.include_usage': expected a boolean, but got an integer instead.",
            Some("stream_options.include_usage"),
            TYPE,
        ),
        (
            r#","stream":true,"stream_options":{"include_usage":true,"include_usage":false}"#,
            "Duplicate parameter: 'stream_options.include_usage' is given more than once.",
            Some("stream_options.include_usage"),
            TWICE,
        ),
        (
            r#","model":"other""#,
            "Duplicate parameter: 'model' is given more than once.",
            Some("model"),
            TWICE,
        ),
        (
            r#","\u006dodel":"other""#,
            "Duplicate parameter: 'model' is given more than once.",
            Some("model"),
            TWICE,
        ),
        (r#","n":1,"n":2"#, "Duplicate parameter: 'n' is given more than once.", Some("n"), TWICE),
        (
            r#","max_tokens":1,"max_tokens":2"#,
            "Duplicate parameter: 'max_tokens' is given more than once.",
            Some("max_tokens"),
            TWICE,
        ),
        (
            r#","messages":[1]"#,
            "Duplicate parameter: 'messages' is given more than once.",
            Some("messages"),
            TWICE,
        ),
        (
            r#","Model":"other""#,
            "Unknown parameter: 'Model'. Did you mean 'model'?",
            Some("Model"),
            Some("unknown_parameter"),
        ),
        (
            ",\"\u{17f}tream\":true",
            "Unknown parameter: '\u{17f}tream'. Did you mean 'stream'?",
            Some("\u{17f}tream"),
            Some("unknown_parameter"),
        ),
        (
            ",\"max_to\u{212a}ens\":5",
            "Unknown parameter: 'max_to\u{212a}ens'. Did you mean 'max_tokens'?",
            Some("max_to\u{212a}ens"),
            Some("unknown_parameter"),
        ),
    ];
    for (members, message, param, code) in rows {
        refused(Endpoint::Chat, &chat(members), (message, *param, *code));
    }
    let rows: &[Row] = &[
        ("{}", "Missing required parameter: 'model'.", Some("model"), MISSING),
        (r#"{"model":"m"}"#, "Missing required parameter: 'messages'.", Some("messages"), MISSING),
        (r#"{"messages":[1]}"#, "Missing required parameter: 'model'.", Some("model"), MISSING),
        (
            r#"{"model":null,"messages":[1]}"#,
            "Invalid type for 'model': expected a string, but got null instead.",
            Some("model"),
            TYPE,
        ),
        (
            r#"{"model":["m"],"messages":[1]}"#,
            "Invalid type for 'model': expected a string, but got an array instead.",
            Some("model"),
            TYPE,
        ),
        (
            r#"{"model":"","messages":[1]}"#,
            "Invalid 'model': empty string. Expected a string with minimum length 1, but got an empty string instead.",
            Some("model"),
            Some("empty_string"),
        ),
        (
            r#"{"model":"m","messages":[]}"#,
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            Some("messages"),
            Some("empty_array"),
        ),
        (
            r#"{"model":"m","messages":"hi"}"#,
            "Invalid type for 'messages': expected an array of objects, but got a string instead.",
            Some("messages"),
            TYPE,
        ),
        (
            r#"{"model":"m","messages":{"a":1}}"#,
            "Invalid type for 'messages': expected an array of objects, but got an object instead.",
            Some("messages"),
            TYPE,
        ),
        (
            r#"{"model":"m","messages":null}"#,
            "Invalid type for 'messages': expected an array of objects, but got null instead.",
            Some("messages"),
            TYPE,
        ),
        (
            "[]",
            "We could not parse the JSON body of your request: expected an object, but got an array instead.",
            None,
            None,
        ),
        (
            r#""secret""#,
            "We could not parse the JSON body of your request: expected an object, but got a string instead.",
            None,
            None,
        ),
        (
            "",
            "We could not parse the JSON body of your request: EOF while parsing a value at line 1 column 0.",
            None,
            None,
        ),
        (
            "{\"model\":\"m\",\n\"messages\":[1,]}",
            "We could not parse the JSON body of your request: trailing comma at line 2 column 15.",
            None,
            None,
        ),
        (
            r#"{"model":"m","messages":[1]} x"#,
            "We could not parse the JSON body of your request: trailing characters at line 1 column 30.",
            None,
            None,
        ),
        (
            r#"{"model":"\ud800","messages":[1]}"#,
            "We could not parse the JSON body of your request: 'model' is no valid Unicode text.",
            None,
            None,
        ),
    ];
    for (body, message, param, code) in rows {
        refused(Endpoint::Chat, body, (message, *param, *code));
    }
    let long = format!(r#"{{"model":"{}","messages":[1]}}"#, "x".repeat(257));
    let message = "Invalid 'model': string too long. Expected a string with maximum length 256, but got a string with length 257 instead.";
    refused(Endpoint::Chat, &long, (message, Some("model"), Some("string_above_max_length")));
}

#[test]
fn bodies_that_are_no_text_are_refused_with_the_place() {
    let error = Call::read(Endpoint::Chat, Bytes::from_static(b"{\"model\":\"\xff\"}")).unwrap_err();
    assert_eq!(
        error.message,
        "We could not parse the JSON body of your request: it is not UTF-8, from byte 10 on."
    );
}

#[test]
fn nesting_is_bounded_wherever_it_stands() {
    let nest = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let places: &[fn(String) -> String] = &[
        |deep| format!(r#"{{"model":"m","messages":{deep}}}"#),
        |deep| format!(r#"{{"model":"m","messages":[{{"content":{deep}}}]}}"#),
        |deep| format!(r#"{{"model":"m","messages":[{{"role":{deep}}}]}}"#),
        |deep| format!(r#"{{"model":"m","messages":[1],"tools":[{{"a":"[[\"","b":{deep}}}]}}"#),
        |deep| format!(r#"{{"model":"m","messages":[1],"metadata":{{"a":{deep}}}}}"#),
        |deep| format!(r#"{{"model":{deep},"messages":[1]}}"#),
    ];
    for place in places {
        for depth in [200, 100_000] {
            let error = read(Endpoint::Chat, &place(nest(depth))).expect_err("too deep");
            assert!(error.message.contains("nested"), "{error}");
        }
    }
    // Brackets in strings, and many of them side by side, are not nesting.
    let wide = format!(
        r#"{{"model":"m","messages":[{{"content":"{}"}}],"tools":[{}{{}}]}}"#,
        "[{".repeat(500),
        "[[\"]\\\"[[[\"]],".repeat(400)
    );
    assert!(read(Endpoint::Chat, &wide).is_ok());
    assert!(read(Endpoint::Chat, &places[3](nest(126))).is_ok());
}

#[test]
fn embeddings_take_texts_and_tokens() {
    let body = |input: &str| format!(r#"{{"model":"e","input":{input},"stream":"not looked at"}}"#);
    for input in [r#""text""#, r#""""#, r#"["a","b\n"]"#, "[1,2,3]", "[[1,2],[3]]", "[[]]"] {
        let call =
            read(Endpoint::Embeddings, &body(input)).unwrap_or_else(|error| panic!("{input}: {error}"));
        assert_eq!((call.stream(), call.output_cap(), call.choices()), (false, Some(0), 1));
    }
    for (input, got) in [
        ("null", "null"),
        ("7", "an integer"),
        ("{}", "an object"),
        ("[null]", "an array with null in it"),
        (r#"["a",1]"#, "an array with an integer in it"),
        ("[1.5]", "an array with a decimal number in it"),
        (r#"[[1],["a"]]"#, "an array with a string in it"),
        ("[[[1]]]", "an array with an array in it"),
    ] {
        let expected = format!(
            "Invalid type for 'input': expected a string, an array of strings, an array of integers or an array of \
             arrays of integers, but got {got} instead."
        );
        refused(Endpoint::Embeddings, &body(input), (&expected, Some("input"), Some("invalid_type")));
    }
    let error = read(Endpoint::Embeddings, &body("[]")).unwrap_err();
    assert_eq!((error.param.as_deref(), error.code), (Some("input"), Some("empty_array")));
    let error = read(Endpoint::Embeddings, r#"{"model":"e"}"#).unwrap_err();
    assert_eq!((error.param.as_deref(), error.code), (Some("input"), Some("missing_required_parameter")));
}

#[test]
fn moderations_take_texts_and_parts() {
    let body = |input: &str| format!(r#"{{"model":"m","input":{input}}}"#);
    let text = r#"{"type":"text","text":"hi"}"#;
    let image = r#"{"type":"image_url","image_url":{"url":"http://h/i.png"}}"#;
    for (input, images) in [
        (r#""text""#.to_owned(), 0),
        (r#"["a","b"]"#.to_owned(), 0),
        (format!("[{text}]"), 0),
        (format!("[{text},{image},{image}]"), 2),
    ] {
        let call = read(Endpoint::Moderations, &body(&input)).unwrap();
        assert_eq!(
            (call.stream(), call.output_cap(), call.media().images),
            (false, Some(0), images),
            "{input}"
        );
        let exact = crate::tokens::count_prompt(Endpoint::Moderations, body(&input).as_bytes(), "m");
        assert!(exact > 0 && call.input_tokens_bound() >= exact, "{input}");
    }
    for (input, got) in [
        ("null", "null"),
        ("7", "an integer"),
        ("[1]", "an array with an integer in it"),
        (r#"["a",{}]"#, "an array with an object in it"),
    ] {
        let expected = format!(
            "Invalid type for 'input': expected a string, an array of strings or an array of objects, but got {got} \
             instead."
        );
        refused(Endpoint::Moderations, &body(input), (&expected, Some("input"), Some("invalid_type")));
    }
    for (body, param, code) in [
        (r#"{"model":"m"}"#, "input", "missing_required_parameter"),
        (r#"{"model":"m","input":[]}"#, "input", "empty_array"),
        (r#"{"model":"","input":"a"}"#, "model", "empty_string"),
        (r#"{"model":"m","input":"a","input":"b"}"#, "input", "duplicate_parameter"),
        (r#"{"model":"m","input":"a","Model":"n"}"#, "Model", "unknown_parameter"),
    ] {
        let error = read(Endpoint::Moderations, body).unwrap_err();
        assert_eq!((error.param.as_deref(), error.code), (Some(param), Some(code)), "{body}");
    }
}

#[test]
fn a_moderation_without_a_model_names_one_upstream() {
    for (body, sent) in [
        (r#"{"input":"a"}"#, r#"{"model":"up","input":"a"}"#),
        (r#" { "input" : "a" } "#, r#" {"model":"up", "input" : "a" } "#),
        (r#"{"input":"a","model":"m"}"#, r#"{"input":"a","model":"up"}"#),
    ] {
        let call = read(Endpoint::Moderations, body).unwrap();
        let to = Upstream { model: "up", manners: Manners::default(), output_cap: None };
        let parts: Vec<u8> = call.upstream_body(&to).into_iter().flatten().collect();
        assert_eq!(std::str::from_utf8(&parts).unwrap(), sent);
        assert!(matches!(call.model(), "m" | "omni-moderation-latest"));
    }
}

#[test]
fn media_count_by_allowance_and_text_by_bytes() {
    let filler = "A".repeat(50_000);
    let data_url = format!("data:image/png;base64,{filler}");
    let with = |part: &str| {
        format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":[{{"type":"text","text":"hi"}},{part}]}}]}}"#
        )
    };
    let image = |url: &str| format!(r#"{{"type":"image_url","image_url":{{"url":"{url}"}}}}"#);
    let images = MediaParts { images: 1, ..MediaParts::default() };
    let audio = MediaParts { audio: 1, ..MediaParts::default() };
    let files = MediaParts { files: 1, ..MediaParts::default() };
    for (part, parts, bytes, tokens) in [
        (image("https://x/y.png"), images, 15, 12_000),
        (image(&data_url), images, data_url.len(), 12_000),
        (r#"{"type":"im\u0061ge_url","im\u0061ge_url":"http://h"}"#.to_owned(), images, 8, 12_000),
        (
            format!(r#"{{"type":"input_audio","input_audio":{{"data":"{filler}","format":"mp3"}}}}"#),
            audio,
            50_000,
            50_000 / 16,
        ),
        (r#"{"type":"file","file":{"file_id":"f"}}"#.to_owned(), files, 0, 244_500),
        (format!(r#"{{"type":"file","file":{{"file_data":"{filler}"}}}}"#), files, 50_000, 50_000),
        (r#"{"type":"text","text":"an \"image_url\" that is none"}"#.to_owned(), MediaParts::default(), 0, 0),
    ] {
        let body = with(&part);
        let call = read(Endpoint::Chat, &body).unwrap();
        assert_eq!(call.media(), parts, "{part:.60}");
        assert_eq!(call.input_tokens_bound(), (body.len() - bytes + 16 + tokens) as u64, "{part:.60}");
    }
    let mini = with(&image("u")).replace(r#""m""#, r#""gpt-4o-mini""#);
    assert!(read(Endpoint::Chat, &mini).unwrap().input_tokens_bound() > 48_169);
}

#[test]
fn the_bound_is_above_the_exact_count() {
    for text in
        ["", "hi", "naïve “quotes” 漢字 🦀", "\u{1}\u{2}\u{3}", "a\nb\tc\"d\\e", "ﷺ".repeat(50).as_str()]
    {
        let message = serde_json::json!({"role": "user", "content": text, "name": "n"});
        for count in [1, 2, 50] {
            let body =
                serde_json::json!({"model": "gpt-4o", "messages": vec![message.clone(); count]}).to_string();
            let call = read(Endpoint::Chat, &body).unwrap();
            let exact = crate::tokens::count_prompt(Endpoint::Chat, body.as_bytes(), "gpt-4o");
            assert!(call.input_tokens_bound() >= exact, "{text:?} x {count}");
        }
    }
}
