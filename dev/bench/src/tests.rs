//! That only whole answers count, on bytes and on the real simulated provider with every fault it can play; and that
//! the figures follow from the samples.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use mock::{Behaviour, Mock};

use crate::answer::Expected;
use crate::contender::{Contender, Kind, behaviour};
use crate::load::{self, Connection, Window};
use crate::marks;
use crate::options::Options;
use crate::proc::Memory;
use crate::report::{Disk, Row};
use crate::request::{self, Case};
use crate::response::Response;
use crate::statistics::{median, percentile};

const SMALL: Case = Case { connections: 1, prompt: 200, stream: false };
const STREAM: Case = Case { stream: true, ..SMALL };

const WHOLE: &str = r#"{"choices":[{"message":{"content":"one two"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;

/// A stream of these events, in SSE.
fn stream(events: &[&str]) -> String {
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}

const ONE: &str = r#"{"choices":[{"delta":{"content":"one"},"finish_reason":null}],"usage":null}"#;
const TWO: &str = r#"{"choices":[{"delta":{"content":" two"},"finish_reason":null}]}"#;
const END: &str = r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;
const WRONG: &str = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
const DONE: &str = "[DONE]";

#[test]
fn only_whole_answers_count() {
    let full = stream(&[ONE, TWO, END, USAGE, DONE]);
    let expected = Expected::learn(WHOLE.as_bytes(), full.as_bytes()).unwrap();
    let verdict = |case, asked, body: &str| {
        expected.check(case, asked, 200, body.as_bytes()).err().map(|failure| failure.to_string())
    };
    let table: &[(bool, String, Option<&str>)] = &[
        (true, full.clone(), None),
        (false, stream(&[ONE, TWO, END, DONE]), None),
        (false, format!(": keep-alive\n\n{}", stream(&[ONE, TWO, END, DONE])), None),
        (true, stream(&[ONE, TWO, END, DONE]), Some("the token counts are missing or wrong")),
        (true, stream(&[ONE, TWO, END, WRONG, DONE]), Some("the token counts are missing or wrong")),
        (true, stream(&[ONE, TWO, END, USAGE, USAGE, DONE]), Some("the token counts came twice")),
        (false, full.clone(), Some("token counts came that nobody asked for")),
        (false, stream(&[ONE, TWO, END]), Some("the stream ends without [DONE]")),
        (false, stream(&[ONE, TWO, DONE]), Some("no finish_reason came")),
        (false, stream(&[ONE, END, DONE]), Some("the text is not the provider's")),
        (false, stream(&[TWO, ONE, END, DONE]), Some("the text is not the provider's")),
        (false, stream(&[ONE, TWO, END, DONE, DONE]), Some("an event follows [DONE]")),
        (true, full[..full.len() - 1].to_owned(), Some("the stream ends inside an event")),
        (true, full.replace("data: [", "["), Some("an event has no data")),
    ];
    for (asked, body, expected) in table {
        assert_eq!(verdict(STREAM, *asked, body).as_deref(), *expected, "{body}");
    }
    assert_eq!(verdict(SMALL, false, WHOLE), None);
    assert_eq!(
        verdict(SMALL, false, &WHOLE.replace("one", "two")).unwrap(),
        "the text is not the provider's"
    );
    assert!(verdict(SMALL, false, &WHOLE[..WHOLE.len() - 1]).unwrap().contains("EOF while parsing"));
    let refused = expected.check(SMALL, false, 503, b"busy").unwrap_err();
    assert_eq!(refused.to_string(), "status 503: busy");
}

#[test]
fn responses_are_read_however_they_are_cut() {
    let length = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nx: y\r\n\r\nhello";
    let chunked = "HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\na: b\r\n\r\n";
    let empty = "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n";
    for (text, status, body) in [(length, 200, "hello"), (chunked, 201, "hello"), (empty, 204, "")] {
        let mut response = Response::new();
        for cut in 1..text.len() {
            response.clear();
            let (first, second) = text.as_bytes().split_at(cut);
            assert!(!response.feed(first).unwrap(), "{text} is not whole after {cut} bytes");
            assert!(response.feed(second).unwrap(), "{text} is whole, cut after {cut} bytes");
            assert_eq!((response.status, &*response.body), (status, body.as_bytes()));
        }
        response.clear();
        assert!(text.bytes().map(|byte| response.feed(&[byte]).unwrap()).last().unwrap());
        assert!(response.feed(b"x").is_err(), "bytes after the end of {text}");
    }
    let broken = [
        "HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n",
    ];
    for text in broken {
        assert!(Response::new().feed(text.as_bytes()).is_err(), "{text}");
    }
}

/// The simulated provider in this process, as a contender that is asked for `model`.
fn direct(address: SocketAddr, model: &'static str) -> Contender {
    Contender::direct(address, model, std::process::id())
}

async fn loaded(contender: &Contender, case: Case, expected: &Rc<Expected>) -> Window {
    load::window(contender, case, expected, Duration::from_millis(20), Duration::from_millis(60)).await
}

#[test]
fn faults_of_the_provider_are_failures_and_nothing_else_is() {
    let defaults = Behaviour::parse(&behaviour(20, None)).unwrap();
    let mock = Mock::start(mock::Options { defaults, ..mock::Options::default() }).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let whole = direct(mock.addr(), "sim-small");
        let mut bodies = Vec::new();
        for case in [SMALL, STREAM] {
            let request = request::chat(case, true, whole.address, &whole.key, whole.model);
            bodies.push(
                Connection::open(whole.address).await.unwrap().exchange(&request).await.unwrap().1.to_vec(),
            );
        }
        let expected = Rc::new(Expected::learn(&bodies[0], &bodies[1]).unwrap());
        assert_eq!((expected.pieces, expected.prompt_tokens, expected.completion_tokens), (20, 50, 20));
        for case in [SMALL, STREAM, Case { connections: 8, prompt: 32_768, stream: true }] {
            let window = loaded(&whole, case, &expected).await;
            assert_eq!((window.failures, window.first_failure.clone()), (0, None), "{case:?}");
            assert!(
                !window.latencies.is_empty() && window.cpu > 0 && window.memory.resident > 0,
                "{window:?}"
            );
        }
        let faults = [
            ("sim-small?fault=500", true),
            ("sim-small?fault=close", true),
            ("sim-small?fault=garbage", true),
            ("sim-small?fault=empty", true),
            ("sim-small?fault=no_usage", true),
            ("sim-small?out=19", true),
            ("sim-small?fault=no_done", false),
            ("sim-small?fault=close_mid", true),
            ("sim-small?fault=garbage_mid", true),
            ("sim-small?fault=error_mid", true),
        ];
        for (model, when_whole_too) in faults {
            for case in [SMALL, STREAM].into_iter().filter(|case| case.stream || when_whole_too) {
                let window = loaded(&direct(mock.addr(), model), case, &expected).await;
                assert!(
                    window.failures > 0 && window.first_failure.is_some(),
                    "{model} {case:?}: {window:?}"
                );
            }
        }
    });
    mock.stop();
}

#[test]
fn orders_of_samples() {
    let hundred: Vec<u64> = (1..=100).collect();
    let table: &[(&[u64], usize, u64)] =
        &[(&[], 500, 0), (&[7], 990, 7), (&[1, 2, 3], 500, 2), (&hundred, 990, 100), (&hundred, 500, 51)];
    for (samples, per_mille, expected) in table {
        assert_eq!(percentile(samples, *per_mille), *expected, "{samples:?} {per_mille}");
    }
    assert_eq!(median([9, 1, 5]), 5);
}

/// A row whose every call took `latency` and `cpu` nanoseconds.
fn row(contender: Kind, connections: usize, latency: u64, cpu: u64, failures: u64) -> Row {
    let latencies = vec![latency; 1_000];
    let memory = Memory { resident: 50 * 1_024, peak: 60 * 1_024 };
    let window =
        Window { span: 1_000_000_000, latencies, failures, first_failure: None, cpu: cpu * 1_000, memory };
    Row::new(contender, Case { connections, ..SMALL }, 20, &[window])
}

#[test]
fn marks_are_judged_on_the_rows_they_name() {
    let rows = [
        row(Kind::Direct, 1, 60_000, 5_000, 0),
        row(Kind::Process, 1, 209_000, 40_000, 0),
        row(Kind::Power, 1, 2_261_000, 40_000, 0),
        row(Kind::Nginx, 64, 900_000, 10_000, 0),
        row(Kind::Process, 64, 900_000, 30_000, 0),
        row(Kind::Power, 64, 900_000, 30_010, 0),
    ];
    assert_eq!((rows[1].requests_per_second, rows[1].p50, rows[1].cpu), (1_000, 209_000, 40_000));
    assert_eq!(rows[1].cpu_per_event, None);
    let window = Window { latencies: vec![1; 10], cpu: 400_000, ..Window::default() };
    assert_eq!(Row::new(Kind::Process, STREAM, 20, &[window]).cpu_per_event, Some(2_000));
    let disk = Disk::new(vec![1_000_000; 3]);
    let met: Vec<Option<bool>> = marks::judge(&rows, &disk).iter().map(|mark| mark.met).collect();
    let (yes, no) = (Some(true), Some(false));
    assert_eq!(met, [yes, yes, no, yes, no, yes, yes]);
    let lines: Vec<String> = marks::judge(&rows, &disk).iter().map(marks::Mark::line).collect();
    assert_eq!(
        lines[4],
        "MISSED power: added to p50, one connection, small, not streaming: 2201.00 us (at most 2200.00 us)"
    );
    let alone = marks::judge(&[row(Kind::Process, 1, 1, 1, 2)], &disk);
    let met: Vec<Option<bool>> = alone.iter().map(|mark| mark.met).collect();
    assert_eq!(met, [no, None, None, None, None, yes, None]);
}

#[test]
fn options_are_read_and_mistakes_named() {
    let parse = |line: &str| {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&arguments)
    };
    let all = "--contender direct,power --connections 2 --prompt 10,20 --stream yes --seconds 0.5 --rounds 3 --json a";
    let options = parse(all).unwrap().unwrap();
    assert_eq!(options.contenders, [Kind::Direct, Kind::Power]);
    assert_eq!((options.connections, options.prompts, options.streams), (vec![2], vec![10, 20], vec![true]));
    assert_eq!((options.window, options.rounds), (Duration::from_millis(500), 3));
    assert_eq!(options.json.unwrap().to_str(), Some("a"));
    assert_eq!(behaviour(options.tokens, options.pace), "in=50;out=20");
    let streams = parse("--contender converted --tokens 1000 --pace 500").unwrap().unwrap();
    assert_eq!(streams.contenders, [Kind::Converted]);
    assert_eq!(behaviour(streams.tokens, streams.pace), "in=50;out=1000;tps=500");
    assert!(parse("--quick --help").unwrap().is_none());
    for (line, message) in [
        ("--fast", "`--fast` lacks its value"),
        ("--fast yes", "no option is called `--fast`"),
        ("--contender squid", "`--contender` cannot be `squid`"),
        ("--connections 0", "`--connections` cannot be `0`"),
        ("--seconds 0", "`--seconds` cannot be `0`"),
        ("--tokens 1", "`--tokens` cannot be `1`"),
        ("--pace 0", "`--pace` cannot be `0`"),
        ("--stream maybe", "`--stream` is no, yes or both, not `maybe`"),
    ] {
        assert_eq!(parse(line).unwrap_err().to_string(), message);
    }
}
