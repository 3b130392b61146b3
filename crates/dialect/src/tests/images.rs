//! Calls for images and their answers: what is read, what is refused, what it comes to.

use bytes::Bytes;
use domain::Usage;

use crate::{AnswerFacts, BadRequest, Call, Endpoint, Made, StreamMeter, StreamOptions};

fn read(members: &str) -> Result<Call, BadRequest> {
    let body = format!(r#"{{"model":"m","prompt":"a cat"{members}}}"#);
    Call::read(Endpoint::Images, Bytes::from(body))
}

#[test]
fn the_bound_follows_size_and_quality() {
    for (members, images, each) in [
        ("", 1, 8_232),
        (r#","size":"1024x1024","quality":"low""#, 1, 439),
        (r#","size":"1024x1024","quality":"medium""#, 1, 1_756),
        (r#","size":"1024x1024","quality":"high""#, 1, 7_024),
        (r#","size":"1024x1024","quality":"auto""#, 1, 7_024),
        (r#","size":"auto","quality":"hd","n":3"#, 3, 8_232),
        (r#","size":"1024x1024","quality":"xhigh""#, 1, 15_804),
        (r#","size":"1024x1024","quality":"something""#, 1, 28_096),
        (r#","size":"3840x2160","quality":"high","n":null"#, 1, 23_719),
        (r#","size":"large","quality":"high""#, 1, 23_719),
        (r#","size":"99999999999x2","quality":"high""#, 1, 23_719),
        (r#","size":"1024x1024","quality":"low","stream":true,"partial_images":3"#, 1, 739),
    ] {
        let call = read(members).unwrap_or_else(|error| panic!("{members}: {error}"));
        assert_eq!((call.images(), call.choices()), (images, images), "{members}");
        assert_eq!((call.output_cap(), call.output_is_fixed()), (Some(each + 1_024), true), "{members}");
        let reckoned = Usage { images, image_output: each * images, ..Usage::default() };
        assert_eq!(call.reckoned(Made { images, audio_ms: 0 }), reckoned, "{members}");
        let alone = call.body().len() as u64 + 16;
        assert_eq!(call.input_tokens_bound(), alone * images, "{members}");
    }
    // What OpenAI's models have been seen to count is within it.
    for (size, quality, most) in [
        ("1024x1024", "low", 272),
        ("1024x1536", "low", 408),
        ("1024x1024", "medium", 1_056),
        ("1536x1024", "medium", 1_584),
        ("1024x1024", "high", 7_024),
        ("1024x1536", "high", 6_240),
        ("3584x2048", "high", 12_329),
    ] {
        let call = read(&format!(r#","size":"{size}","quality":"{quality}""#)).unwrap();
        assert!(call.output_cap().unwrap() >= most, "{size} {quality}");
    }
}

#[test]
fn wrong_members_are_named() {
    for (members, param, code) in [
        (r#","n":0"#, "n", "integer_below_min_value"),
        (r#","n":11"#, "n", "integer_above_max_value"),
        (r#","n":"2""#, "n", "invalid_type"),
        (r#","N":2"#, "N", "unknown_parameter"),
        (r#","size":3"#, "size", "invalid_type"),
        (r#","quality":[]"#, "quality", "invalid_type"),
        (r#","stream":"yes""#, "stream", "invalid_type"),
        (r#","partial_images":4"#, "partial_images", "integer_above_max_value"),
        (r#","output_format":"gif""#, "output_format", "unsupported_parameter"),
        (r#","output_format":"svg""#, "output_format", "unsupported_parameter"),
        (r#","svg":{"model":"m"}"#, "svg", "unsupported_parameter"),
        (r#","frame_count":2"#, "frame_count", "unsupported_parameter"),
        (r#","width":2048"#, "width", "unsupported_parameter"),
        (r#","height":2048"#, "height", "unsupported_parameter"),
        (r#","steps":50"#, "steps", "unsupported_parameter"),
        (r#","size":"auto","resolution":"2k""#, "size", "invalid_value"),
        (r#","model":"n""#, "model", "duplicate_parameter"),
    ] {
        let error = read(members).unwrap_err();
        assert_eq!((error.param.as_deref(), error.code), (Some(param), Some(code)), "{members}");
    }
    for (body, param) in [(r#"{"model":"m"}"#, "prompt"), (r#"{"prompt":"a"}"#, "model")] {
        let error = Call::read(Endpoint::Images, Bytes::from_static(body.as_bytes())).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param));
    }
    let known =
        r#","output_format":"webp","svg":null,"response_format":"url","x":{"y":1},"safety_identifier":"u""#;
    assert_eq!(read(known).unwrap().user(), Some("u"));
}

const SAID: &str = r#""usage":{"input_tokens":50,"output_tokens":4160,"total_tokens":4210,"input_tokens_details":{"text_tokens":10,"image_tokens":40}}"#;

#[test]
fn whole_answers() {
    let counted = Usage { input: 10, image_input: 40, image_output: 4_160, images: 2, ..Usage::default() };
    let planned = r#""usage":{"input_tokens":5,"output_tokens":100,"output_tokens_details":{"text_tokens":30,"image_tokens":70}}"#;
    let text = Usage { input: 5, output: 30, image_output: 70, images: 2, ..Usage::default() };
    for (usage, expected) in [
        (format!(",{SAID}"), Some(counted)),
        (format!(",{planned}"), Some(text)),
        (
            r#","usage":{"input_tokens":5,"total_tokens":25}"#.to_owned(),
            Some(Usage { input: 5, image_output: 20, images: 2, ..Usage::default() }),
        ),
        (String::new(), None),
        (r#","usage":null"#.to_owned(), None),
        (r#","usage":{"output_tokens":5}"#.to_owned(), None),
    ] {
        let body = format!(r#"{{"created":1,"data":[{{"b64_json":"AA=="}},{{"url":"u"}}]{usage}}}"#);
        let facts = AnswerFacts::read(Endpoint::Images, body.as_bytes()).unwrap();
        assert_eq!((facts.usage, facts.images, facts.has_error), (expected, 2, false), "{body}");
    }
    assert!(AnswerFacts::read(Endpoint::Images, br#"{"error":{"message":"no"}}"#).unwrap().has_error);
    for garbage in ["", "[]", "<html>", r#"{"data":"#] {
        assert!(AnswerFacts::read(Endpoint::Images, garbage.as_bytes()).is_err(), "{garbage}");
    }
}

#[test]
fn streams_pass_and_their_end_waits() {
    let partial = "event: image_generation.partial_image\ndata: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"AA\"}\n\n";
    let done = format!(
        "event: image_generation.completed\ndata: {{\"type\":\"image_generation.completed\",\"b64_json\":\"AA\",{SAID}}}\n\n"
    );
    let once = Usage { input: 10, image_input: 40, image_output: 4_160, images: 1, ..Usage::default() };
    let twice = Usage { input: 20, image_input: 80, image_output: 8_320, images: 2, ..Usage::default() };
    for (stream, usage, images, waits) in [
        (partial.to_owned(), None, 1, ""),
        (format!("{partial}{done}"), Some(once), 1, done.as_str()),
        (format!("{partial}{done}{partial}"), Some(once), 2, done.as_str()),
        (format!("{done}{done}"), Some(twice), 2, done.as_str()),
    ] {
        for size in [1, 7, stream.len()] {
            let mut meter = StreamMeter::new(Endpoint::Images, StreamOptions::default());
            let mut out = Vec::new();
            for piece in stream.as_bytes().chunks(size) {
                meter.push(Bytes::copy_from_slice(piece), &mut out).unwrap();
            }
            meter.finish(&mut out).unwrap();
            assert_eq!((meter.usage(), meter.images()), (usage, images), "{stream}");
            assert_eq!(meter.tail().concat(), waits.as_bytes(), "{stream}");
            assert_eq!(out.concat().len() + waits.len(), stream.len(), "{stream}");
            assert_eq!(meter.finish_seen(), usage.is_some(), "{stream}");
        }
    }
    let mut meter = StreamMeter::new(Endpoint::Images, StreamOptions::default());
    let mut out = Vec::new();
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"message\":\"no\",\"code\":\"moderation_blocked\"}}\n\n";
    meter.push(Bytes::from_static(error.as_bytes()), &mut out).unwrap();
    assert!(meter.upstream_error().is_some() && meter.chunks() == 0);
    assert!(meter.push(Bytes::from_static(b"data: <html>\n\n"), &mut out).is_err());
}

#[test]
fn an_event_may_hold_an_image_and_no_more() {
    let event = |bytes: usize| {
        Bytes::from(format!(
            "data: {{\"type\":\"image_generation.partial_image\",\"b64_json\":\"{}\"}}\n\n",
            "A".repeat(bytes)
        ))
    };
    let most = Endpoint::Images.event_bytes_max();
    for (endpoint, bytes, fits) in [
        (Endpoint::Images, most - 1_000, true),
        (Endpoint::Images, most, false),
        (Endpoint::Chat, crate::EVENT_BYTES_MAX, false),
    ] {
        let mut meter = StreamMeter::new(endpoint, StreamOptions::default());
        assert_eq!(meter.push(event(bytes), &mut Vec::new()).is_ok(), fits, "{endpoint:?}");
    }
}

#[test]
fn images_that_come_along_cost_input() {
    const HEAD: &str = r#"{"model":"m","prompt":"a","n":2,"#;
    let edit = |rest: &str| Call::read(Endpoint::ImageEdits, Bytes::from(format!("{HEAD}{rest}}}")));
    let two = r#"[{"image_url":"data:image/png;base64,AAAA"},{"file_id":"f"}]"#;
    let mask = r#"{"file_id":"m"}"#;
    for (rest, brought, bytes) in [
        (format!(r#""images":{two}"#), 2, two.len()),
        (format!(r#""images":{two},"mask":{mask}"#), 3, two.len() + mask.len()),
    ] {
        let call = edit(&rest).unwrap();
        // Neither what stands in the body nor what is elsewhere is text.
        let text = (call.body().len() - bytes) as u64 + 16;
        assert_eq!(call.prompt_tokens_bound(), text * 2, "{rest}");
        assert_eq!(call.input_tokens_bound(), (text + brought * 12_000) * 2, "{rest}");
        assert_eq!(call.reckoned(Made::default()).image_input, brought * 765);
    }
    for (rest, param, code) in [
        (r#""x":1"#, "images", "missing_required_parameter"),
        (r#""images":[]"#, "images", "missing_required_parameter"),
        (r#""images":"a""#, "images", "invalid_type"),
        (r#""images":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18]"#, "images", "array_above_max_length"),
        (r#""images":[1],"Mask":1"#, "Mask", "unknown_parameter"),
    ] {
        let error = edit(rest).unwrap_err();
        assert_eq!((error.param.as_deref(), error.code), (Some(param), Some(code)), "{rest}");
    }
}
