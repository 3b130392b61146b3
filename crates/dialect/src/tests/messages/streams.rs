//! What becomes of each kind of event of a stream of messages, and how one ends that is cut off.

use bytes::Bytes;
use domain::{Timestamp, Usage};
use proptest::prelude::*;

use crate::convert::{AnswerContext, Asked, StreamConverter, Surface, Wire};
use crate::tests::join;
use crate::{CutCall, Endpoint, StreamFault, StreamMeter, StreamOptions};

const START: &str = r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[],"stop_reason":null,"usage":{"input_tokens":9,"cache_creation_input_tokens":4,"cache_read_input_tokens":30,"cache_creation":{"ephemeral_5m_input_tokens":4,"ephemeral_1h_input_tokens":0},"output_tokens":1,"service_tier":"standard"}}}"#;
const DELTA: &str = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":12}}"#;
const STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
const PING: &str = "event: ping\ndata: {\"type\": \"ping\"}\n\n";

fn event(name: &str, data: &str) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

fn start() -> String {
    event("message_start", START)
}

fn block(index: u64, begin: &str, deltas: &[&str]) -> String {
    let mut text = event(
        "content_block_start",
        &format!(r#"{{"type":"content_block_start","index":{index},"content_block":{begin}}}"#),
    );
    for delta in deltas {
        text += &event(
            "content_block_delta",
            &format!(r#"{{"type":"content_block_delta","index":{index},"delta":{delta}}}"#),
        );
    }
    text
}

fn block_stop(index: u64) -> String {
    event("content_block_stop", &format!(r#"{{"type":"content_block_stop","index":{index}}}"#))
}

fn hello() -> String {
    block(
        0,
        r#"{"type":"text","text":""}"#,
        &[r#"{"type":"text_delta","text":"Hel"}"#, r#"{"type":"text_delta","text":"lo"}"#],
    )
}

/// All but the end.
fn begun() -> String {
    start() + PING + &hello() + &block_stop(0)
}

fn ordinary() -> String {
    begun() + &event("message_delta", DELTA) + STOP
}

#[derive(Debug, PartialEq)]
struct Outcome {
    client: String,
    tail: String,
    fault: Option<StreamFault>,
    usage: Option<Usage>,
    input: Option<Usage>,
    model: Option<String>,
    service_tier: Option<String>,
    ends: (bool, bool),
    error: Option<String>,
    text: String,
}

fn run(pieces: impl IntoIterator<Item = Bytes>) -> Outcome {
    let mut meter = StreamMeter::new(Endpoint::Messages, StreamOptions::default());
    let mut out = Vec::new();
    for piece in pieces {
        if meter.push(piece, &mut out).is_err() {
            break;
        }
    }
    let fault = meter.finish(&mut out).err();
    assert!(out.iter().all(|bytes| !bytes.is_empty()), "an empty slice");
    Outcome {
        client: join(out),
        tail: join(meter.tail()),
        fault,
        usage: meter.usage(),
        input: meter.so_far(),
        model: meter.model().map(str::to_owned),
        service_tier: meter.service_tier().map(str::to_owned),
        ends: (meter.finish_seen(), meter.done_seen()),
        error: meter.upstream_error().map(|error| error.message.clone()),
        text: meter.output_text().to_owned(),
    }
}

fn whole(stream: &str) -> Outcome {
    run([Bytes::copy_from_slice(stream.as_bytes())])
}

const INPUT: Usage = Usage { input: 9, cached: 30, cache_write: 4, ..NONE };

const NONE: Usage = Usage::from_counts([0; 15]);

#[test]
fn an_ordinary_stream_passes_but_for_its_end() {
    let outcome = whole(&ordinary());
    assert_eq!(outcome.client, begun());
    assert_eq!(outcome.tail, event("message_delta", DELTA) + STOP);
    assert_eq!(outcome.usage, Some(Usage { output: 12, ..INPUT }));
    assert_eq!((outcome.input, outcome.ends, outcome.error), (Some(INPUT), (true, true), None));
    assert_eq!((outcome.model.as_deref(), outcome.text.as_str()), (Some("claude-x"), "Hello"));
    assert_eq!(outcome.service_tier.as_deref(), Some("standard"));
}

#[test]
fn the_last_word_on_each_count_is_taken() {
    for (usage, expected) in [
        (r#"{"output_tokens":12}"#, Some(Usage { output: 12, ..INPUT })),
        (
            r#"{"input_tokens":99,"cache_read_input_tokens":0,"output_tokens":12,"output_tokens_details":{"thinking_tokens":3}}"#,
            Some(Usage { input: 99, cached: 0, output: 12, reasoning: 3, ..INPUT }),
        ),
        (r#"{"input_tokens":null,"output_tokens":2}"#, Some(Usage { output: 2, ..INPUT })),
        // What does not tell the output does not tell the whole.
        (r#"{"input_tokens":99}"#, None),
    ] {
        let delta = DELTA.replace(r#"{"output_tokens":12}"#, usage);
        let outcome = whole(&(begun() + &event("message_delta", &delta) + STOP));
        assert_eq!(outcome.usage, expected, "{usage}");
        assert_eq!(outcome.tail, event("message_delta", &delta) + STOP);
    }
    // They are counts of the whole: the last of several is taken, not their sum, and only it waits.
    let twice =
        begun() + &event("message_delta", DELTA) + &event("message_delta", &DELTA.replace("12", "20")) + STOP;
    let outcome = whole(&twice);
    assert_eq!(outcome.usage, Some(Usage { output: 20, ..INPUT }));
    assert_eq!(outcome.client, begun() + &event("message_delta", DELTA));
}

/// The end that Anthropic's own clients miss is no event for a client of another dialect: its converter writes the end.
#[test]
fn a_missing_end_is_not_put_into_what_is_written_anew() {
    let cut_short = begun() + &event("message_delta", DELTA);
    let meter = StreamMeter::new(Endpoint::Messages, StreamOptions::default());
    let context = AnswerContext {
        seed: "req_1".to_owned(),
        created_seconds: 1,
        model: "m".to_owned(),
        asked: Asked::default(),
    };
    let mut meter = meter.converting(StreamConverter::new(Wire::Messages, Surface::Chat, context));
    let mut out = Vec::new();
    meter.push(Bytes::from(cut_short), &mut out).unwrap();
    meter.finish(&mut out).unwrap();
    assert_eq!(join(meter.tail()), "");
}

#[test]
fn what_breaks_clients_is_mended() {
    for (sent, client, tail) in [
        // Events go by their line.
        (format!("data: {START}\n\n"), start(), ""),
        (format!("id: 7\ndata: {START}\n\n"), start(), ""),
        (
            "data:{\"type\":\"ping\"}\n\n".to_owned(),
            "event: ping\ndata: {\"type\":\"ping\"}\n\n".to_owned(),
            "",
        ),
        ("data: {\"type\":\"message_stop\"}\n\n".to_owned(), String::new(), STOP),
        ("data: {\"type\":\"new\"}\n\n".to_owned(), "data: {\"type\":\"new\"}\n\n".to_owned(), ""),
        // Nothing crashes by what has no data, but nobody needs it.
        (format!("event: ping\n\n: c\n\nretry: 5\n\n{STOP}"), ": c\n\n".to_owned(), STOP),
        // SDKs crash on an end without a usage.
        (
            "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{}}\n\n".to_owned(),
            String::new(),
            "event: message_delta\ndata: {\"usage\":{\"output_tokens\":0},\"type\":\"message_delta\",\"delta\":{}}\n\n",
        ),
        (
            "event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\": null ,\"delta\":{}}\n\n"
                .to_owned(),
            String::new(),
            "event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\": {\"output_tokens\":0} ,\"delta\":{}}\n\n",
        ),
        (
            "event: message_delta\ndata: { }\n\n".to_owned(),
            String::new(),
            "event: message_delta\ndata: {\"usage\":{\"output_tokens\":0} }\n\n",
        ),
        (
            event("message_start", r#"{"type":"message_start","message":{"id":"m"}}"#),
            event(
                "message_start",
                r#"{"type":"message_start","message":{"usage":{"input_tokens":0,"output_tokens":0},"id":"m"}}"#,
            ),
            "",
        ),
        (
            "data: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":null}}\n\n".to_owned(),
            event(
                "message_start",
                r#"{"type":"message_start","message":{"id":"m","usage":{"input_tokens":0,"output_tokens":0}}}"#,
            ),
            "",
        ),
        ("data: [DONE]\n\n".to_owned(), String::new(), ""),
        // What comes after the end is not read.
        (format!("{STOP}data: [DONE]\n\ngarbage\n\n"), String::new(), STOP),
    ] {
        let outcome = whole(&sent);
        assert_eq!((outcome.client.as_str(), outcome.tail.as_str()), (client.as_str(), tail), "{sent}");
        assert_eq!(outcome.fault, None, "{sent}");
    }
    let unknown = event("new_kind", r#"{"type":"new_kind","x":[1]}"#);
    assert_eq!(whole(&unknown).client, unknown);
}

#[test]
fn an_end_that_is_missing_is_told_from_a_break() {
    let outcome = whole(&(begun() + &event("message_delta", DELTA)));
    assert_eq!(outcome.tail, event("message_delta", DELTA) + STOP);
    assert_eq!(outcome.ends, (true, false));
    let outcome = whole(&begun());
    assert_eq!((outcome.tail.as_str(), outcome.ends, outcome.usage), ("", (false, false), None));
    for (broken, fault) in [
        (begun() + "event: x\ndata: {\"a\"", StreamFault::Truncated),
        (begun() + "data: nonsense\n\n", StreamFault::Garbage),
        (begun() + "data: []\n\n", StreamFault::Garbage),
    ] {
        assert_eq!(whole(&broken).fault, Some(fault), "{broken}");
    }
}

#[test]
fn errors_reach_the_client() {
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let as_sent = event("error", error);
    for (sent, client) in [
        (as_sent.clone(), as_sent.clone()),
        (format!("data: {error}\n\n"), as_sent.clone()),
        (
            "event: error\ndata: Overloaded\n\n".to_owned(),
            event(
                "error",
                r#"{"type":"error","error":{"type":"api_error","message":"Overloaded","details":null}}"#,
            ),
        ),
        (
            "event: error\ndata: {\"message\":\"Overloaded\",\"type\":\"x\"}\n\n".to_owned(),
            event(
                "error",
                r#"{"type":"error","error":{"type":"api_error","message":"Overloaded","details":null}}"#,
            ),
        ),
    ] {
        let outcome = whole(&(begun() + &sent));
        assert_eq!(outcome.client, begun() + &client, "{sent}");
        assert_eq!(outcome.error.as_deref(), Some("Overloaded"), "{sent}");
    }
}

#[test]
fn calls_of_tools_and_thoughts_are_text() {
    let stream = block(
        0,
        r#"{"type":"thinking","thinking":""}"#,
        &[r#"{"type":"thinking_delta","thinking":"hm "}"#, r#"{"type":"signature_delta","signature":"no"}"#],
    ) + &block_stop(0)
        + &block(
            1,
            r#"{"type":"tool_use","id":"no","name":"f","input":{}}"#,
            &[
                r#"{"type":"input_json_delta","partial_json":"{\"a\""}"#,
                r#"{"type":"input_json_delta","partial_json":":1}"}"#,
            ],
        );
    assert_eq!(whole(&stream).text, r#"hm f{"a":1}"#);
}

const SPENT: Usage =
    Usage { input: 5, cached: 4, cache_write: 3, cache_write_long: 2, output: 30, reasoning: 8, ..NONE };
const SPENT_JSON: &str = r#"{"input_tokens":5,"cache_creation_input_tokens":5,"cache_creation":{"ephemeral_5m_input_tokens":3,"ephemeral_1h_input_tokens":2},"cache_read_input_tokens":4,"output_tokens":30}"#;

fn cut(stream: &[u8]) -> String {
    let mut meter = StreamMeter::new(Endpoint::Messages, StreamOptions::default());
    // A stream that breaks is not cut, but nothing bad must come of it.
    let _ = meter.push(Bytes::copy_from_slice(stream), &mut Vec::new());
    let call = CutCall { request_id: "req_1", at: Timestamp::from_micros(0), model: "asked", choices: 1 };
    join(meter.cut(call).events(&SPENT))
}

#[test]
fn a_stream_that_is_cut_ends_as_one_at_its_cap() {
    let end = event(
        "message_delta",
        &format!(
            r#"{{"type":"message_delta","delta":{{"stop_reason":"max_tokens","stop_sequence":null}},"usage":{SPENT_JSON}}}"#
        ),
    ) + STOP;
    assert_eq!(cut((start() + &hello()).as_bytes()), block_stop(0) + &end);
    assert_eq!(cut(begun().as_bytes()), end);
    let second = block(1, r#"{"type":"tool_use","name":"f","input":{}}"#, &[]);
    assert_eq!(cut((begun() + &second).as_bytes()), block_stop(1) + &end);
    let usage = SPENT_JSON.replace("30", "0");
    let own = format!(
        r#"{{"type":"message_start","message":{{"id":"msg_req_1","type":"message","role":"assistant","model":"asked","content":[],"stop_reason":null,"stop_sequence":null,"usage":{usage}}}}}"#
    );
    assert_eq!(cut(b""), event("message_start", &own) + &end);
}

/// Streams of every kind, good and bad.
fn corpus() -> Vec<String> {
    vec![
        ordinary(),
        ordinary().replace('\n', "\r\n"),
        ordinary().replace('\n', "\r"),
        format!("\u{feff}{}", ordinary()),
        ordinary().trim_end().to_owned(),
        ordinary().replace("event: ", "x-event: "),
        ordinary().replace("event: message_", "id: "),
        begun() + &event("message_delta", r#"{"type":"message_delta","delta":{"stop_reason":"x"}}"#) + STOP,
        begun() + &event("error", r#"{"type":"error","error":{"message":"m"}}"#) + STOP,
        begun() + "event: error\ndata: m\n\n",
        begun(),
    ]
}

fn pieces(stream: &str, mut at: Vec<usize>) -> Vec<Bytes> {
    let stream = Bytes::copy_from_slice(stream.as_bytes());
    at.retain(|at| *at <= stream.len());
    at.extend([0, stream.len()]);
    at.sort_unstable();
    at.windows(2).map(|ends| stream.slice(ends[0]..ends[1])).collect()
}

#[test]
fn cut_into_pieces_it_is_the_same_stream() {
    for stream in corpus() {
        let expected = whole(&stream);
        for at in 0..stream.len() {
            assert_eq!(run(pieces(&stream, vec![at])), expected, "{stream:?} at {at}");
        }
        assert_eq!(run(pieces(&stream, (0..stream.len()).collect())), expected, "{stream:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn cut_anywhere(
        which in prop::collection::vec(any::<prop::sample::Index>(), 1..3),
        at in prop::collection::vec(0_usize..3_000, 0..40),
    ) {
        let corpus = corpus();
        let stream: String = which.iter().map(|index| index.get(&corpus).as_str()).collect();
        prop_assert_eq!(run(pieces(&stream, at)), whole(&stream));
    }

    /// Whatever the bytes are, nothing panics, and what is written to end a stream can be read to its end.
    #[test]
    fn streams_gone_wrong(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut bytes = which.get(&corpus()).clone().into_bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        run([Bytes::from(bytes.clone())]);
        let end = whole(&cut(&bytes));
        prop_assert_eq!((end.fault, end.ends), (None, (true, true)));
        prop_assert_eq!(end.error, None);
    }
}
