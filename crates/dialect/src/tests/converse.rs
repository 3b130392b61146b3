//! Converse on the wire: what a call in its form asks for, and what its answers come to.

use std::num::NonZeroU64;

use bytes::Bytes;
use domain::{Timestamp, Usage};
use proptest::prelude::*;
use serde_json::Value;

use super::{join, json};
use crate::event_frames::tests::{event, exception, message};
use crate::{
    AnswerFacts, Call, Conversion, CutCall, Endpoint, Manners, StreamFault, StreamMeter, StreamOptions,
    Upstream, UpstreamError, tokens,
};

const MODEL: &str = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0";

const UPSTREAM: Upstream<'static> = Upstream {
    model: MODEL,
    manners: Manners { cap: None, stream_options: true, preferences: false, version_in_body: None },
    output_cap: None,
};

const CUT: CutCall<'static> =
    CutCall { request_id: "req_1", at: Timestamp::from_micros(0), model: "asked", choices: 1 };

fn converted(endpoint: Endpoint, body: &str) -> Conversion {
    let call = Call::read(endpoint, Bytes::copy_from_slice(body.as_bytes())).unwrap();
    Conversion::of(&call, Endpoint::Converse, UPSTREAM, NonZeroU64::new(4_096).unwrap()).unwrap()
}

fn sent(call: &Call, output_cap: Option<u64>) -> Value {
    let to = Upstream { output_cap: output_cap.and_then(NonZeroU64::new), ..UPSTREAM };
    json(&join(call.upstream_body(&to)))
}

#[test]
fn a_converted_call_asks_for_what_its_body_says() {
    // The request, whether it streams, its cap, the smallest one, its tier, and images and files.
    for (body, stream, cap, least, tier, media) in [
        (r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#, false, 4_096, 1, None, (0, 0)),
        (
            r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"max_tokens":9,
                "service_tier":"flex"}"#,
            true,
            9,
            1,
            Some("flex"),
            (0, 0),
        ),
        (
            r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":7000,"reasoning_effort":"medium"}"#,
            false,
            7_000,
            1_025,
            None,
            (0, 0),
        ),
        (
            r#"{"model":"m","messages":[{"role":"user","content":[
                {"type":"image_url","image_url":{"url":"data:image/png;base64,AAAAAAAA"}},
                {"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,AAAA"}}]}]}"#,
            false,
            4_096,
            1,
            None,
            (1, 1),
        ),
    ] {
        let converted = converted(Endpoint::Chat, body);
        let call = converted.call();
        assert_eq!((call.endpoint(), call.model()), (Endpoint::Converse, MODEL), "{body}");
        assert_eq!((call.stream(), call.output_cap(), call.choices()), (stream, Some(cap), 1), "{body}");
        assert_eq!((call.output_cap_least(), call.service_tier()), (least, tier), "{body}");
        assert_eq!((call.media().images, call.media().files), media, "{body}");
        // The address names the model, and the body does not.
        let body = sent(call, None);
        assert_eq!(body, json(&join([call.body().clone()])));
        assert_eq!((body.get("model"), body.get("stream")), (None, None));
    }
}

#[test]
fn the_cap_is_lowered_and_thoughts_with_it() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":7000,"reasoning_effort":"high"}"#;
    let converted = converted(Endpoint::Chat, body);
    for (cap, max_tokens, budget) in
        [(None, 7_000, 3_500), (Some(9_000), 7_000, 3_500), (Some(2_000), 2_000, 1_999)]
    {
        let body = sent(converted.call(), cap);
        assert_eq!(body["inferenceConfig"]["maxTokens"], max_tokens);
        assert_eq!(body["additionalModelRequestFields"]["thinking"]["budget_tokens"], budget);
    }
}

#[test]
fn models_are_known_behind_their_maker_and_region() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"reasoning_effort":"low"}"#;
    let call = Call::read(Endpoint::Chat, Bytes::from_static(body.as_bytes())).unwrap();
    let cap = NonZeroU64::new(4_096).unwrap();
    for (model, thinking) in [
        ("anthropic.claude-sonnet-4-20250514-v1:0", Some("enabled")),
        (
            "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-opus-4-1-20250805-v1:0",
            Some("enabled"),
        ),
        ("us.anthropic.claude-opus-5", Some("adaptive")),
        ("anthropic.claude-3-5-sonnet-20241022-v2:0", None),
        ("amazon.nova-pro-v1:0", None),
    ] {
        let converted =
            Conversion::of(&call, Endpoint::Converse, Upstream { model, ..UPSTREAM }, cap).unwrap();
        let body = sent(converted.call(), None);
        let told = &body["additionalModelRequestFields"]["thinking"]["type"];
        assert_eq!(told.as_str(), thinking, "{model}: {body}");
        assert_eq!(converted.dropped().is_empty(), thinking.is_some(), "{model}");
    }
}

#[test]
fn nobody_calls_by_converse() {
    assert!(Endpoint::at(Endpoint::Converse.path()).is_none());
    assert!(Call::read(Endpoint::Converse, Bytes::from_static(b"{}")).is_err());
    let embeddings =
        Call::read(Endpoint::Embeddings, Bytes::from_static(br#"{"model":"m","input":"a"}"#)).unwrap();
    let cap = NonZeroU64::new(1).unwrap();
    assert!(Conversion::of(&embeddings, Endpoint::Converse, UPSTREAM, cap).is_err());
}

#[test]
fn prompts_and_answers_are_counted() {
    let text = |bytes: &str| tokens::count_prompt(Endpoint::Converse, bytes.as_bytes(), MODEL);
    let empty = text("{}");
    assert_eq!(text(r#"{"messages":[{"role":"user","content":[{"text":"hello world"}]}]}"#), empty + 3 + 2);
    assert_eq!(text(r#"{"system":[{"text":"hello world"},{"cachePoint":{"type":"default"}}]}"#), empty + 2);
    assert_eq!(
        text(r#"{"messages":[{"content":[{"image":{"source":{"bytes":"AAAA"}}}]}]}"#),
        empty + 3 + 1_568
    );
    assert!(text(r#"{"toolConfig":{"tools":[{"toolSpec":{"name":"f"}}]}}"#) > empty + 5);
    let call = r#"{"messages":[{"content":[{"toolUse":{"name":"world","input":{"a":"hello world"}}},
        {"toolResult":{"content":[{"text":"hello world"}]}}]}]}"#;
    assert!(text(call) > empty + 3 + 2 + 2);
    let said = AnswerFacts::output_text(
        Endpoint::Converse,
        br#"{"output":{"message":{"content":[{"reasoningContent":{"reasoningText":{"text":"hm","signature":"s"}}},
            {"text":"hello"},{"toolUse":{"name":"f","toolUseId":"t","input":{"a":1}}}]}},"stopReason":"tool_use"}"#,
    );
    assert_eq!(said, r#"hmhellof{"a":1}"#);
}

#[test]
fn usage_is_of_disjoint_buckets() {
    let usage = |usage: &str| {
        let body = format!(r#"{{"output":{{}},"usage":{usage},"serviceTier":{{"type":"flex"}}}}"#);
        let facts = AnswerFacts::read(Endpoint::Converse, body.as_bytes()).unwrap();
        assert_eq!(
            (facts.has_error, facts.model, facts.service_tier.as_deref()),
            (false, None, Some("flex"))
        );
        facts.usage
    };
    let plain = Usage { input: 3, output: 4, ..Usage::default() };
    let (large, small) = (u64::MAX, 0);
    for (told, wanted) in [
        (r#"{"inputTokens":3,"outputTokens":4,"totalTokens":7}"#.to_owned(), Some(plain)),
        (
            r#"{"inputTokens":3,"outputTokens":4,"totalTokens":22,"cacheReadInputTokens":5,"cacheWriteInputTokens":10,
                "cacheDetails":[{"ttl":"1h","inputTokens":4},{"ttl":"5m","inputTokens":6}]}"#
                .to_owned(),
            Some(Usage { cached: 5, cache_write: 6, cache_write_long: 4, ..plain }),
        ),
        // The split is never more than the whole, whatever it says.
        (
            format!(
                r#"{{"inputTokens":3,"outputTokens":4,"cacheWriteInputTokens":2,
                    "cacheDetails":[{{"ttl":"1h","inputTokens":{large}}},{{"ttl":"1h","inputTokens":9}}]}}"#
            ),
            Some(Usage { cache_write: small, cache_write_long: 2, ..plain }),
        ),
        (r#"{"inputTokens":3}"#.to_owned(), None),
        (r#"{"outputTokens":3}"#.to_owned(), None),
        (r#"{"inputTokens":"3","outputTokens":4}"#.to_owned(), None),
        ("[]".to_owned(), None),
        ("null".to_owned(), None),
    ] {
        assert_eq!(usage(&told), wanted, "{told}");
    }
    // What has no output is an error, whatever its status.
    let facts = AnswerFacts::read(Endpoint::Converse, br#"{"message":"no"}"#).unwrap();
    assert!(facts.has_error && facts.usage.is_none());
    assert!(AnswerFacts::read(Endpoint::Converse, b"[]").is_err());
    assert!(AnswerFacts::read(Endpoint::Converse, b"<html>").is_err());
}

#[test]
fn the_type_of_an_error_stands_outside_its_body() {
    for (header, body, kind) in [
        ("ThrottlingException", "{}", Some("ThrottlingException")),
        ("ThrottlingException:http://internal.amazon.com/coral/", "{}", Some("ThrottlingException")),
        ("com.amazon.coral#ValidationException,x", "{}", Some("ValidationException")),
        ("", "{}", None),
        ("Outer", r#"{"type":"inner"}"#, Some("inner")),
    ] {
        assert_eq!(UpstreamError::of_exception(header, body).kind.as_deref(), kind, "{header}");
    }
}

/// The events of an answer with a thought, a text and a call.
fn answer() -> Vec<Vec<u8>> {
    [
        ("messageStart", r#"{"role":"assistant"}"#),
        ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"hm"}}}"#),
        ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"reasoningContent":{"signature":"c2ln"}}}"#),
        ("contentBlockStop", r#"{"contentBlockIndex":0}"#),
        ("contentBlockDelta", r#"{"contentBlockIndex":1,"delta":{"text":"Grüße"},"p":"abcd"}"#),
        ("contentBlockStop", r#"{"contentBlockIndex":1}"#),
        ("contentBlockStart", r#"{"contentBlockIndex":2,"start":{"toolUse":{"toolUseId":"t1","name":"f"}}}"#),
        ("contentBlockDelta", r#"{"contentBlockIndex":2,"delta":{"toolUse":{"input":"{\"a\":"}}}"#),
        ("contentBlockDelta", r#"{"contentBlockIndex":2,"delta":{"toolUse":{"input":"1}"}}}"#),
        ("contentBlockStop", r#"{"contentBlockIndex":2}"#),
        ("messageStop", r#"{"stopReason":"tool_use"}"#),
        (
            "metadata",
            r#"{"usage":{"inputTokens":5,"outputTokens":9,"totalTokens":20,"cacheReadInputTokens":6},
                "metrics":{"latencyMs":1},"serviceTier":{"type":"default"}}"#,
        ),
    ]
    .map(|(name, data)| event(name, data))
    .to_vec()
}

/// What a stream came to: what the client got, up to and with its end, and what the meter says.
#[derive(Debug, PartialEq)]
struct Read {
    text: String,
    usage: Option<Usage>,
    fault: Option<StreamFault>,
    error: Option<UpstreamError>,
    said: String,
    chunks: u64,
    done: bool,
    finish: bool,
}

fn read<'a>(endpoint: Endpoint, pieces: impl IntoIterator<Item = &'a [u8]>) -> Read {
    let table = [
        (
            Endpoint::Messages,
            r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":64,"stream":true}"#,
        ),
        (Endpoint::Responses, r#"{"model":"m","input":"hi","stream":true}"#),
        (
            Endpoint::Chat,
            r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_usage":true}}"#,
        ),
    ];
    let (_, body) = table.into_iter().find(|(caller, _)| *caller == endpoint).unwrap();
    let converted = converted(endpoint, body);
    let mut meter = StreamMeter::new(converted.call().endpoint(), StreamOptions { client_asked_usage: true })
        .converting(converted.stream(CUT));
    let (mut out, mut fault) = (Vec::new(), None);
    for piece in pieces {
        fault = meter.push(Bytes::copy_from_slice(piece), &mut out).err();
        if fault.is_some() {
            break;
        }
    }
    let fault = fault.or(meter.finish(&mut out).err());
    out.extend(meter.tail());
    let mut end = Vec::new();
    if fault.is_none()
        && let Some(mut converter) = meter.take_converter()
    {
        converter.tail(&meter.usage().unwrap_or_default(), &mut end);
    }
    out.push(Bytes::from(end));
    Read {
        text: join(out),
        usage: meter.usage(),
        fault,
        error: meter.upstream_error().cloned(),
        said: meter.output_text().to_owned(),
        chunks: meter.chunks(),
        done: meter.done_seen(),
        finish: meter.finish_seen(),
    }
}

fn slices(events: &[Vec<u8>]) -> impl Iterator<Item = &[u8]> {
    events.iter().map(Vec::as_slice)
}

#[test]
fn a_stream_is_metered_and_written_anew_for_every_surface() {
    for (endpoint, ends) in [
        (Endpoint::Chat, "data: [DONE]\n\n"),
        (Endpoint::Messages, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"),
        (Endpoint::Responses, "\n\n"),
    ] {
        let read = read(endpoint, slices(&answer()));
        let usage = Usage { input: 5, cached: 6, output: 9, ..Usage::default() };
        assert_eq!((read.usage, read.fault, &read.error), (Some(usage), None, &None), "{endpoint:?}");
        assert_eq!((read.said.as_str(), read.chunks), (r#"hmGrüßef{"a":1}"#, 12));
        assert!(read.done && read.finish && read.text.ends_with(ends), "{}", read.text);
        for shown in ["hm", "c2ln", "Grüße", r#"{\"a\":"#, "1}", "t1"] {
            assert!(read.text.contains(shown), "{endpoint:?} lacks {shown}: {}", read.text);
        }
        assert!(!read.text.contains("messageStart") && !read.text.contains("abcd"), "{}", read.text);
    }
}

#[test]
fn an_exception_is_the_end_and_is_told() {
    let begun = &answer()[..5];
    let error = |kind: &str, message: &str| UpstreamError {
        kind: Some(kind.to_owned()),
        message: message.to_owned(),
        ..UpstreamError::default()
    };
    let unnamed = "the provider reported an error without saying which";
    for (bytes, wanted) in [
        (
            exception("modelStreamErrorException", r#"{"message":"It broke.","originalStatusCode":500}"#),
            error("modelStreamErrorException", "It broke."),
        ),
        (exception("throttlingException", r#"{"Message":"x"}"#), error("throttlingException", unnamed)),
        (exception("internalServerException", ""), error("internalServerException", unnamed)),
        (exception("internalServerException", "no JSON"), error("internalServerException", "no JSON")),
        (
            message(&[(":message-type", "error"), (":error-code", "Slow"), (":error-message", "Wait.")], b""),
            error("Slow", "Wait."),
        ),
    ] {
        for endpoint in [Endpoint::Chat, Endpoint::Messages, Endpoint::Responses] {
            let events = [begun, std::slice::from_ref(&bytes)].concat();
            let read = read(endpoint, slices(&events));
            assert_eq!((read.error.as_ref(), read.fault), (Some(&wanted), None));
            assert_eq!((read.usage, read.chunks, read.said.as_str()), (None, 5, "hmGrüße"));
            // Codex reads one event of a failed response, and the SDKs another.
            let told = if endpoint == Endpoint::Responses { 3 } else { 1 };
            assert_eq!(read.text.matches(&wanted.message).count(), told, "{}", read.text);
            assert!(!read.text.contains("[DONE]") && !read.text.contains("message_stop"), "{}", read.text);
        }
    }
}

#[test]
fn what_is_no_such_stream_is_a_fault() {
    let whole = answer().concat();
    let damaged = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let with = |bytes: Vec<u8>| [answer()[0].clone(), bytes].concat();
    for (bytes, fault, chunks) in [
        (whole[..whole.len() - 1].to_vec(), Some(StreamFault::Truncated), 11),
        (whole[..3].to_vec(), Some(StreamFault::Truncated), 0),
        (damaged(20), Some(StreamFault::Checksum), 0),
        (b"event: error\ndata: {}\n\n".to_vec(), Some(StreamFault::Checksum), 0),
        (with(event("contentBlockDelta", "[1]")), Some(StreamFault::Garbage), 1),
        (with(event("contentBlockDelta", "{\"delta\":")), Some(StreamFault::Garbage), 1),
        (
            with(message(&[(":message-type", "event"), (":event-type", "x")], b"\xff")),
            Some(StreamFault::Garbage),
            1,
        ),
        // An event of a type that nobody knows is passed over.
        (with(event("contentBlockNews", r#"{"contentBlockIndex":0}"#)), None, 2),
        // Without the usage that ends it, a stream has its end all the same.
        (answer()[..11].concat(), None, 11),
        (Vec::new(), None, 0),
    ] {
        let read = read(Endpoint::Chat, [&bytes[..]]);
        assert_eq!((read.fault, read.chunks), (fault, chunks), "{read:?}");
    }
}

proptest! {
    /// However a stream is cut, the client gets the same bytes, and the bill is the same.
    #[test]
    fn pieces_do_not_matter(cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..16)) {
        let bytes = answer().concat();
        let whole = read(Endpoint::Chat, [&bytes[..]]);
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        places.extend([0, bytes.len()]);
        places.sort_unstable();
        prop_assert_eq!(read(Endpoint::Chat, places.windows(2).map(|pair| &bytes[pair[0]..pair[1]])), whole);
    }

    /// Whatever events say, the meter answers with a value or a fault.
    #[test]
    fn any_events_are_harmless(
        events in prop::collection::vec(
            (
                prop::sample::select(vec![
                    "messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop",
                    "metadata", "oddException", "",
                ]),
                prop::sample::select(vec![
                    "{}", "[]", "", "null", r#"{"delta":{"toolUse":{"input":"x"}},"contentBlockIndex":7}"#,
                    r#"{"start":{"toolUse":{"name":"f"}},"contentBlockIndex":18446744073709551615}"#,
                    r#"{"usage":{"inputTokens":18446744073709551615,"outputTokens":-1}}"#, r#"{"stopReason":"x"}"#,
                    r#"{"delta":{"text":"a"}}"#, r#"{"delta":[[[["#, r#"{"start":null,"delta":7}"#, "\u{0}",
                ]),
            ),
            0..12,
        ),
    ) {
        let bytes: Vec<Vec<u8>> = events.iter().map(|(name, data)| event(name, data)).collect();
        read(Endpoint::Messages, slices(&bytes));
    }
}
