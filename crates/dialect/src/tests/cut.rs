//! How a stream ends that the gateway cuts off.

use bytes::Bytes;
use domain::{Timestamp, Usage};
use proptest::prelude::*;

use super::{join, json};
use crate::{CutCall, Endpoint, StreamMeter, StreamOptions};

const USAGE: Usage = Usage::from_counts([5, 4, 3, 0, 2, 6, 30, 10, 7, 8, 0, 0, 0, 0, 0]);

const STATED: &str = r#"{"prompt_tokens":20,"completion_tokens":47,"total_tokens":67,"prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":3,"audio_tokens":2,"image_tokens":6},"completion_tokens_details":{"reasoning_tokens":8,"audio_tokens":10,"image_tokens":7}}"#;

/// The end of a stream of which this much has come.
fn cut(asked: bool, choices: u64, stream: &[u8], usage: &Usage) -> Vec<Bytes> {
    let mut meter = StreamMeter::new(Endpoint::Chat, StreamOptions { client_asked_usage: asked });
    // A stream that breaks is not cut, but nothing bad must come of it.
    let _ = meter.push(Bytes::copy_from_slice(stream), &mut Vec::new());
    let at = Timestamp::from_micros(1_700_000_000_999_999);
    meter.cut(CutCall { request_id: "req_1", at, model: "asked", choices }).events(usage)
}

/// A chunk of the stream, with these choices.
fn chunk(choices: &str) -> String {
    format!(
        r#"data: {{"id":"c","object":"chat.completion.chunk","created":7,"model":"gpt-x","service_tier":"default","system_fingerprint":"fp","choices":[{choices}],"usage":null,"obfuscation":"x"}}"#
    ) + "\n\n"
}

fn say(index: u64, finish: &str) -> String {
    format!(r#"{{"index":{index},"delta":{{"content":"a"}},"logprobs":null,"finish_reason":{finish}}}"#)
}

/// What begins every event of the end: as the chunks said, and as the gateway knows where none came.
const HEAD: &str = r#"data: {"id":"c","object":"chat.completion.chunk","created":7,"model":"gpt-x","service_tier":"default","system_fingerprint":"fp","choices":["#;
const OWN_HEAD: &str = r#"data: {"id":"chatcmpl-req_1","object":"chat.completion.chunk","created":1700000000,"model":"asked","choices":["#;
const DONE: &str = "data: [DONE]\n\n";

fn end_of(head: &str, index: u64, delta: &str, after: &str) -> String {
    format!(
        "{head}{{\"index\":{index},\"delta\":{delta},\"logprobs\":null,\"finish_reason\":\"length\"}}]{after}}}\n\n"
    )
}

const FIRST: &str = r#"{"role":"assistant","content":""}"#;

/// A stream so far, the number of choices that were asked for, and the choices that get an end, with their deltas.
type Row = (String, u64, Vec<(u64, &'static str)>);

fn rows() -> Vec<Row> {
    let one = chunk(&say(0, "null"));
    vec![
        (one.clone(), 1, vec![(0, "{}")]),
        (format!("{one}{one}"), 1, vec![(0, "{}")]),
        // What has ended does not end again.
        (format!("{one}{}", chunk(&say(0, r#""stop""#))), 1, vec![]),
        (chunk(&say(0, r#""tool_calls""#)), 2, vec![(1, FIRST)]),
        // An empty reason is none.
        (chunk(&say(0, r#""""#)), 1, vec![(0, "{}")]),
        (chunk(&say(0, "{}")), 1, vec![(0, "{}")]),
        // Several choices, in events of their own or in one, in any order.
        (
            format!("{}{}", chunk(&say(2, "null")), chunk(&say(1, r#""stop""#))),
            4,
            vec![(0, FIRST), (2, "{}"), (3, FIRST)],
        ),
        (chunk(&format!("{},{}", say(1, "null"), say(0, r#""length""#))), 2, vec![(1, "{}")]),
        (chunk(r#"{"finish_reason":"stop","delta":{},"index":1}"#), 2, vec![(0, FIRST)]),
        // Without an index the place counts.
        (chunk(r#"{"delta":{},"finish_reason":"stop"},{"index":null,"delta":{}}"#), 2, vec![(1, "{}")]),
        // More choices than were asked for, and indices that no request can ask for.
        (chunk(&say(3, "null")), 1, vec![(0, FIRST), (3, "{}")]),
        (format!("{one}{}", chunk(&say(128, "null"))), 1, vec![(0, "{}")]),
        (format!("{one}{}", chunk(&say(u64::MAX, r#""stop""#))), 1, vec![(0, "{}")]),
        // What has not come in full never was; neither was what waits.
        (format!("{one}data: {{\"choices\":[{}]}}\n", say(0, r#""stop""#)), 1, vec![(0, "{}")]),
        (format!("{one}data: [DO"), 1, vec![(0, "{}")]),
        (
            format!(
                "{one}{}",
                chunk("").replace("null", r#"{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}"#)
            ),
            1,
            vec![(0, "{}")],
        ),
    ]
}

#[test]
fn every_open_choice_ends_with_length() {
    for (stream, choices, ends) in rows() {
        let told = |after: &str| {
            ends.iter().map(|(index, delta)| end_of(HEAD, *index, delta, after)).collect::<String>()
        };
        let plain = told("") + DONE;
        assert_eq!(join(cut(false, choices, stream.as_bytes(), &USAGE)), plain, "{stream}");
        let with_usage = told(r#","usage":null"#) + &format!("{HEAD}],\"usage\":{STATED}}}\n\n{DONE}");
        assert_eq!(join(cut(true, choices, stream.as_bytes(), &USAGE)), with_usage, "{stream}");
    }
}

#[test]
fn a_stream_that_said_nothing_ends_by_what_the_gateway_knows() {
    let quiet = [
        "",
        ": keep-alive\n\n",
        "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"finish_reason\":\"stop\"}]}",
        // Members of other types, or without anything in them, say nothing.
        "data: {\"id\":null,\"created\":\"x\",\"model\":\"\",\"system_fingerprint\":null,\"service_tier\":null}\n\n",
    ];
    for stream in quiet {
        let expected = end_of(OWN_HEAD, 0, FIRST, "") + &end_of(OWN_HEAD, 1, FIRST, "") + DONE;
        assert_eq!(join(cut(false, 2, stream.as_bytes(), &USAGE)), expected, "{stream}");
        let usage = format!("{OWN_HEAD}],\"usage\":{STATED}}}\n\n");
        let expected = end_of(OWN_HEAD, 0, FIRST, r#","usage":null"#) + &usage + DONE;
        assert_eq!(join(cut(true, 1, stream.as_bytes(), &USAGE)), expected, "{stream}");
    }
    let most = join(cut(false, u64::MAX, b"", &USAGE));
    assert_eq!(most.matches("finish_reason").count(), 128);
    assert!(most.contains(r#""index":127,"#), "{most:.200}");
}

#[test]
fn texts_of_the_provider_are_written_as_json() {
    let stream =
        br#"data: {"id":"a\"\\\n\u00e9","created":1.0,"model":"\ud83e\udd80","choices":[{"index":0}]}"#;
    let events = join(cut(false, 1, &[&stream[..], b"\n\n"].concat(), &USAGE));
    let head =
        r#"data: {"id":"a\"\\\né","object":"chat.completion.chunk","created":1,"model":"🦀","choices":["#;
    assert_eq!(events, end_of(head, 0, "{}", "") + DONE);
    let long = chunk("").replace("\"c\"", &format!("\"{}\"", "i".repeat(1000)));
    let events = join(cut(true, 0, long.as_bytes(), &Usage::default()));
    let event = json(events.lines().next().unwrap().strip_prefix("data: ").unwrap());
    assert_eq!(event["id"].as_str().map(str::len), Some(256));
}

/// The end of whatever stream is one that the meter itself reads to its end.
pub(super) fn check_any(stream: &[u8]) {
    check_end(stream, 2, &USAGE);
}

#[track_caller]
fn check_end(stream: &[u8], choices: u64, usage: &Usage) {
    let mut meter = StreamMeter::new(Endpoint::Chat, StreamOptions { client_asked_usage: true });
    let mut out = Vec::new();
    for piece in cut(true, choices, stream, usage) {
        meter.push(piece, &mut out).expect("the end is a stream");
    }
    assert!(meter.done_seen() && meter.upstream_error().is_none());
    assert_eq!(meter.usage(), Some(*usage));
    let again = meter.cut(CutCall { request_id: "", at: Timestamp::MAX, model: "", choices: 0 });
    assert_eq!(join(again.events(usage)).matches("finish_reason").count(), 0, "all have ended");
}

proptest! {
    #[test]
    fn the_usage_is_read_as_it_was_stated(
        counts in prop::array::uniform8(0_u64..1 << 40),
        reasoning in any::<prop::sample::Index>(),
        choices in 1_u64..=128,
    ) {
        let [input, cached, cache_write, audio_input, image_input, output, audio_output, image_output] = counts;
        let reasoning = u64::try_from(reasoning.index(1 << 20)).unwrap().min(output);
        let usage = Usage {
            input,
            cached,
            cache_write,
            audio_input,
            image_input,
            output,
            audio_output,
            image_output,
            reasoning,
            ..Usage::default()
        };
        check_end(b"", choices, &usage);
    }
}
