//! What becomes of each kind of event.

use bytes::Bytes;
use domain::Usage;

use super::join;
use crate::{EVENT_BYTES_MAX, Endpoint, StreamFault, StreamMeter, StreamOptions};

/// Everything that a stream came to.
#[derive(Debug, PartialEq)]
pub(super) struct Outcome {
    pub(super) client: String,
    pub(super) tail: String,
    pub(super) fault: Option<StreamFault>,
    pub(super) usage: Option<Usage>,
    pub(super) model: Option<String>,
    pub(super) service_tier: Option<String>,
    pub(super) finish: bool,
    pub(super) done: bool,
    pub(super) error: Option<String>,
    pub(super) chunks: u64,
    pub(super) text: String,
    pub(super) tokens_seen: u64,
}

/// Pushes a stream in these pieces, to its end or its first fault.
pub(super) fn run(asked: bool, pieces: impl IntoIterator<Item = Bytes>) -> Outcome {
    run_on(StreamMeter::new(Endpoint::Chat, StreamOptions { client_asked_usage: asked }), pieces)
}

/// The same with this meter.
pub(super) fn run_on(mut meter: StreamMeter, pieces: impl IntoIterator<Item = Bytes>) -> Outcome {
    let mut out = Vec::new();
    let mut fault = None;
    for piece in pieces {
        fault = meter.push(piece, &mut out).err();
        if fault.is_some() {
            break;
        }
    }
    let finished = meter.finish(&mut out).err();
    assert!(fault.is_none() || finished == fault, "a fault stays");
    assert!(out.iter().all(|bytes| !bytes.is_empty()), "an empty slice");
    Outcome {
        client: join(out),
        tail: join(meter.tail()),
        fault: finished,
        usage: meter.usage(),
        model: meter.model().map(str::to_owned),
        service_tier: meter.service_tier().map(str::to_owned),
        finish: meter.finish_seen(),
        done: meter.done_seen(),
        error: meter.upstream_error().map(|error| error.message.clone()),
        chunks: meter.chunks(),
        text: meter.output_text().to_owned(),
        tokens_seen: meter.content_tokens_seen(),
    }
}

pub(super) fn whole(asked: bool, stream: &str) -> Outcome {
    run(asked, [Bytes::copy_from_slice(stream.as_bytes())])
}

/// A chunk with this delta and finish reason.
fn chunk(delta: &str, finish: &str) -> String {
    format!(
        r#"data: {{"id":"c","object":"chat.completion.chunk","created":1,"model":"gpt-x","service_tier":"default","choices":[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}],"usage":null}}"#
    ) + "\n\n"
}

fn say(text: &str) -> String {
    chunk(&format!(r#"{{"content":"{text}"}}"#), "null")
}

const USAGE: &str = "data: {\"id\":\"c\",\"model\":\"gpt-x\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,\"total_tokens\":11,\"prompt_tokens_details\":{\"cached_tokens\":4}}}\n\n";
const DONE: &str = "data: [DONE]\n\n";
const COUNTED: Usage = Usage::from_counts([5, 4, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]);

/// The streams of every test below, for the tests that cut them.
pub(super) fn corpus() -> Vec<String> {
    let mut streams: Vec<String> = rewrites().into_iter().map(|(stream, _)| stream).collect();
    streams.extend(faults().into_iter().map(|(stream, _)| stream));
    streams.push(ordinary());
    streams.push(ordinary().replace('\n', "\r\n"));
    streams.push(ordinary().replace('\n', "\r"));
    streams.push(format!("\u{feff}{}", ordinary()));
    streams.push(ordinary().trim_end().to_owned());
    streams.push(format!("{}\n", ordinary().trim_end()));
    streams
}

fn ordinary() -> String {
    [
        chunk(r#"{"role":"assistant","content":""}"#, "null"),
        say("Hel"),
        say("lo \\u00e9\\n🦀"),
        chunk("{}", r#""stop""#),
    ]
    .concat()
        + USAGE
        + DONE
}

#[test]
fn an_ordinary_stream_passes_in_one_slice_but_for_its_end() {
    let body = ordinary().replace(USAGE, "").replace(DONE, "");
    for asked in [false, true] {
        let stream = Bytes::from(ordinary());
        let mut meter = StreamMeter::new(Endpoint::Chat, StreamOptions { client_asked_usage: asked });
        let mut out = Vec::new();
        meter.push(stream.clone(), &mut out).unwrap();
        assert_eq!(out.len(), 1);
        assert_eq!(out[0].as_ptr(), stream.as_ptr(), "the bytes were copied");
        meter.finish(&mut out).unwrap();
        let outcome = whole(asked, &ordinary());
        assert_eq!(
            outcome,
            Outcome {
                client: body.clone(),
                tail: if asked { format!("{USAGE}{DONE}") } else { DONE.to_owned() },
                fault: None,
                usage: Some(COUNTED),
                model: Some("gpt-x".to_owned()),
                service_tier: Some("default".to_owned()),
                finish: true,
                done: true,
                error: None,
                chunks: 5,
                text: "Hello é\n🦀".to_owned(),
                tokens_seen: 3,
            }
        );
        assert_eq!(join(out), body);
        assert_eq!(meter.take_output_text(), "Hello é\n🦀");
        assert_eq!(meter.output_text(), "");
    }
}

/// Streams, and what of them reaches the client before the tail.
fn rewrites() -> Vec<(String, String)> {
    let a = say("a");
    let error = r#"{"error":{"message":"Busy","type":"server_error","param":null,"code":"c"}}"#;
    let rewritten = |message: &str, kind: &str, code: &str| {
        format!(
            "data: {{\"error\":{{\"message\":\"{message}\",\"type\":\"{kind}\",\"param\":null,\"code\":{code}}}}}\n\n"
        )
    };
    let same = |stream: String| (stream.clone(), stream);
    vec![
        same(format!(": hello\n\n{a}:\n\n\n\n\n: keep-alive\n{a}")),
        same(format!("data:{}", &a[6..])),
        same(format!("event: message\n{a}")),
        same("data: {\"choices\":[],\n: a comment\ndata: \"prompt_filter_results\":[]}\n\n".to_owned()),
        same("data: {}\n\ndata: {\"choices\":null}\n\nx-unknown: 1\ndata: {}\n\n".to_owned()),
        // Left out: lines that break parsers later, and blocks without data.
        (format!("id: 1\n{a}id: 2\nretry: 5\n{a}"), format!("{a}{a}")),
        (format!(": c\nid: 1\nevent: message\nretry\n{a}"), format!(": c\nevent: message\n{a}")),
        (format!("id\r\ndata: {{}}\r\nid: 3\r\n\r\n{a}"), format!("data: {{}}\r\n\r\n{a}")),
        (format!("retry: 100\n\n{a}"), a.clone()),
        (format!("event: ping\n\n{a}id: 1\n\n{a}"), format!("{a}{a}")),
        (format!("event: x\ndata:\n\n{a}data: \n\ndata\n\n"), a.clone()),
        (format!("event: ping\ndata: {{}}\n\n{a}event: keepalive\ndata: {{\"t\":1}}\n\n"), a.clone()),
        // Usage that is not alone passes; of usage events the last one waits.
        same(format!(
            "{a}{}",
            a.replace("\"usage\":null", "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}")
        )),
        (format!("{a}{USAGE}{a}: late\n\n"), format!("{a}{a}: late\n\n")),
        (format!("{a}data: {{\"usage\":{{}}}}\n\n"), a.clone()),
        // Errors reach every client in the nested form.
        same(format!("{a}data: {error}\n\n")),
        (format!("{a}event: error\ndata: {error}\n\n"), format!("{a}data: {error}\n\n")),
        (
            format!("{a}event: error\ndata: {{\"type\":\"error\",\"code\":\"c\",\"message\":\"Busy\"}}\n\n"),
            a.clone() + &rewritten("Busy", "error", "\"c\""),
        ),
        (
            format!(
                "{a}data: {{\"object\":\"error\",\"message\":\"Busy\",\"type\":\"BadRequestError\",\"param\":null,\"code\":400}}\n\n"
            ),
            a.clone() + &rewritten("Busy", "BadRequestError", "\"400\""),
        ),
        ("data: {\"error\":\"Busy\"}\n\n".to_owned(), rewritten("Busy", "upstream_error", "null")),
        ("event: error\ndata: Busy\n\n".to_owned(), rewritten("Busy", "upstream_error", "null")),
        same(format!("{a}data: {{\"error\":null,\"choices\":[{{\"delta\":null}}]}}\n\n")),
        same("data: {\"object\":\"error\",\"choices\":[]}\n\n".to_owned()),
        // Nothing after the end passes.
        (format!("{a}{DONE}{a}garbage\n\n"), a.clone()),
        // An event at the end of the stream is completed.
        (a.trim_end().to_owned(), a.clone()),
        (format!("{}\n", a.trim_end()), a.clone()),
        (format!("{}\r\n\r", a.trim_end()), format!("{}\r\n\r", a.trim_end())),
        (format!("{a}: bye"), format!("{a}: bye\n\n")),
        (String::new(), String::new()),
    ]
}

#[test]
fn events_pass_wait_or_are_mended() {
    for (stream, client) in rewrites() {
        let outcome = whole(false, &stream);
        assert_eq!((outcome.client, outcome.fault), (client, None), "{stream}");
    }
}

/// Streams that break, and how.
fn faults() -> Vec<(String, StreamFault)> {
    let a = say("a");
    let long = format!("data: {{\"x\":\"{}\"}}\n\n", "x".repeat(EVENT_BYTES_MAX));
    vec![
        (format!("{a}data: {{\"id\":<html>\n\n{a}"), StreamFault::Garbage),
        (format!("{a}data: 1\n\n"), StreamFault::Garbage),
        (format!("{a}data: [] \n\n"), StreamFault::Garbage),
        (format!("{a}data: {{}}{{}}\n\n"), StreamFault::Garbage),
        (format!("{a}<html>\n<h1>502</h1>\n\n"), StreamFault::Garbage),
        (format!("{a}{{\"error\":\"x\"}}\n\n"), StreamFault::Garbage),
        (format!("{a}data: {{\"id\":\"c\",\"choi"), StreamFault::Truncated),
        (long, StreamFault::TooLong),
    ]
}

#[test]
fn faults_stop_the_stream_and_keep_what_passed() {
    for (stream, fault) in faults() {
        let outcome = whole(false, &stream);
        assert_eq!(outcome.fault, Some(fault), "{stream:.80}");
        let passed = if fault == StreamFault::TooLong { String::new() } else { say("a") };
        assert_eq!(outcome.client, passed, "{stream:.80}");
    }
    let broken = [Bytes::from(say("a")), Bytes::from_static(b": \xff\n\n")];
    assert_eq!(run(false, broken).fault, Some(StreamFault::Garbage));
    let trickle = std::iter::repeat_n(Bytes::from(vec![b'x'; 1 << 16]), 100);
    assert_eq!(run(false, trickle).fault, Some(StreamFault::TooLong));
    let fits = format!("data: {{\"x\":\"{}\"}}\n\n", "x".repeat(EVENT_BYTES_MAX - 16));
    assert_eq!(fits.len(), EVENT_BYTES_MAX);
    assert_eq!(whole(false, &fits).fault, None);
}

#[test]
fn what_waits_for_the_tail() {
    let a = say("a");
    let later = USAGE.replace(":9", ":8");
    for (asked, stream, tail) in [
        (true, format!("{a}{USAGE}{DONE}"), format!("{USAGE}{DONE}")),
        (true, format!("{a}{USAGE}"), USAGE.to_owned()),
        (
            true,
            format!("{a}id: 7\n{USAGE}id: 8\r\ndata:[DONE]\r\n\r\n"),
            format!("{USAGE}data:[DONE]\r\n\r\n"),
        ),
        (true, format!("{USAGE}{later}{DONE}"), format!("{later}{DONE}")),
        (false, format!("{USAGE}{later}{DONE}"), DONE.to_owned()),
        (false, format!("{a}data: [DONE]"), DONE.to_owned()),
        (false, a.clone(), String::new()),
    ] {
        let outcome = whole(asked, &stream);
        assert_eq!((outcome.tail, outcome.fault), (tail, None), "{stream}");
    }
    let both = whole(true, &format!("{USAGE}{later}{DONE}"));
    assert_eq!(both.client, USAGE, "the earlier one is not lost");
    assert_eq!(both.usage.map(|usage| usage.input), Some(4), "the later one counts");
}

#[test]
fn facts_are_gathered_from_every_event() {
    let stream = [
        chunk(r#"{"content":"a","refusal":"b","reasoning":"c"}"#, "null"),
        chunk(r#"{"reasoning":"d","reasoning_content":"d"}"#, "null"),
        chunk(r#"{"tool_calls":[{"index":0,"function":{"name":"f","arguments":""}},{"function":{"arguments":"{}"}}]}"#, "null"),
        chunk(r#"{"function_call":{"name":"g","arguments":"[]"}}"#, "null"),
        chunk(r#"{"content":[{"type":"text","text":"t"}]}"#, "null"),
        chunk("null", r#""length""#),
        "data: {\"error\":{\"message\":\"Busy\\u001b\",\"code\":7}}\n\n".to_owned(),
    ]
    .concat();
    let outcome = whole(false, &stream);
    assert_eq!(outcome.text, "abcdf{}g[]t");
    assert_eq!((outcome.tokens_seen, outcome.chunks, outcome.finish, outcome.done), (9, 6, true, false));
    assert_eq!((outcome.error.as_deref(), outcome.usage), (Some("Busy"), None));
    assert!(!whole(false, &chunk("{}", r#""""#)).finish, "an empty reason is none");
    // A provider that sends many tokens at once is not thought to send few.
    assert_eq!(whole(false, &say(&"word ".repeat(100))).tokens_seen, 125);
    let debug = format!("{:?}", StreamMeter::new(Endpoint::Chat, StreamOptions::default()));
    assert!(debug.contains("chunks: 0"), "{debug}");
}

#[test]
fn text_is_kept_within_bounds() {
    let mut meter = StreamMeter::new(Endpoint::Chat, StreamOptions::default());
    let mut out = Vec::new();
    let piece = Bytes::from(say(&"x".repeat(1 << 20)));
    for _ in 0..10 {
        meter.push(piece.clone(), &mut out).unwrap();
    }
    assert_eq!(meter.output_text().len(), 8 << 20);
}
