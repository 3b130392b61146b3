//! Large inputs of the shapes that make a reader slow: deep, wide, and of many small parts. What takes time by the
//! square of its input takes minutes here, and what is right takes a second or two without optimisation.

#![expect(clippy::disallowed_methods, reason = "it says how long things took")]

use std::time::{Duration, Instant};

use tollkeeper_properties::Target;

/// Bytes of an input, about.
const BYTES: usize = 200_000;
/// Far more than any of them needs on a busy machine, and far less than a square.
const LONGEST: Duration = Duration::from_secs(60);

/// A text made of so many parts as come to the size.
fn of(head: &str, part: impl Fn(usize) -> String, tail: &str) -> String {
    let mut text = head.to_owned();
    let mut at = 0;
    while text.len() < BYTES {
        if at > 0 && !head.is_empty() {
            text.push(',');
        }
        text += &part(at);
        at += 1;
    }
    text + tail
}

/// The same without anything between the parts.
fn run(part: impl Fn(usize) -> String) -> String {
    of("", part, "")
}

/// Documents that mean little to anybody.
fn shapes() -> Vec<String> {
    vec![
        "[".repeat(BYTES),
        r#"{"a":"#.repeat(BYTES / 5),
        format!("{}{}", "[".repeat(BYTES / 2), "]".repeat(BYTES / 2)),
        format!("\"{}\"", "\\u0000".repeat(BYTES / 6)),
        format!("{{\"model\":\"{}\"}}", "é".repeat(BYTES / 2)),
        of("{", |at| format!("\"k{at}\":0"), "}"),
        of("{", |_| "\"model\":\"m\"".to_owned(), "}"),
        of("[", |_| "0".to_owned(), "]"),
        " ".repeat(BYTES),
        "9".repeat(BYTES),
    ]
}

/// Bodies with many parts of one sort, each for the endpoint of its number.
fn bodies() -> Vec<(u8, String)> {
    let user = |at: usize| format!(r#"{{"role":"user","content":"{at}"}}"#);
    let tool =
        |at: usize| format!(r#"{{"type":"function","function":{{"name":"f{at}","parameters":{{}}}}}}"#);
    let called = |at: usize| {
        format!(
            r#"{{"role":"assistant","tool_calls":[{{"id":"c{at}","type":"function","function":{{"name":"f","arguments":"{{}}"}}}}]}},{{"role":"tool","tool_call_id":"c{at}","content":"r"}}"#
        )
    };
    let used = |at: usize| {
        format!(
            r#"{{"role":"assistant","content":[{{"type":"tool_use","id":"c{at}","name":"f","input":{{}}}}]}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"c{at}","content":"r"}}]}}"#
        )
    };
    let item = |at: usize| {
        format!(
            r#"{{"type":"function_call","call_id":"c{at}","name":"f","arguments":"{{}}"}},{{"type":"function_call_output","call_id":"c{at}","output":"r"}}"#
        )
    };
    let content = |at: usize| {
        format!(
            r#"{{"role":"model","parts":[{{"functionCall":{{"name":"f{at}","args":{{}}}}}}]}},{{"role":"user","parts":[{{"functionResponse":{{"name":"f{at}","response":{{}}}}}}]}}"#
        )
    };
    vec![
        (0, of(r#"{"model":"m","messages":["#, user, "]}")),
        (0, of(r#"{"model":"m","messages":["#, called, "]}")),
        (0, of(r#"{"model":"m","messages":[{"role":"user","content":"a"}],"tools":["#, tool, "]}")),
        (
            0,
            of(
                r#"{"model":"m","messages":[{"role":"user","content":"a"}],"models":["#,
                |at| format!("\"m{at}\""),
                "]}",
            ),
        ),
        (
            0,
            of(
                r#"{"model":"m","messages":[{"role":"user","content":["#,
                |_| r#"{"type":"text","text":"a"}"#.to_owned(),
                "]}]}",
            ),
        ),
        (1, of(r#"{"model":"m","input":["#, item, "]}")),
        (2, of(r#"{"model":"m","input":["#, |_| "\"a\"".to_owned(), "]}")),
        (5, of(r#"{"model":"m","max_tokens":9,"messages":["#, used, "]}")),
        (8, of(r#"{"contents":["#, content, "]}")),
    ]
}

/// Streams of many events, each of the endpoint of its number.
fn bodies_of_streams() -> Vec<(u8, String)> {
    let chat = |at: usize| format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{at}\"}}}}]}}\n\n");
    let call = |at: usize| {
        format!(
            "data: {{\"choices\":[{{\"delta\":{{\"tool_calls\":[{{\"index\":{at},\"id\":\"c\",\"function\":{{\"name\":\"f\"}}}}]}}}}]}}\n\n"
        )
    };
    let choice =
        |at: usize| format!("data: {{\"choices\":[{{\"index\":{at},\"delta\":{{\"content\":\"a\"}}}}]}}\n\n");
    let block = |at: usize| {
        format!(
            "data: {{\"type\":\"content_block_start\",\"index\":{at},\"content_block\":{{\"type\":\"text\",\"text\":\"a\"}}}}\n\ndata: {{\"type\":\"content_block_stop\",\"index\":{at}}}\n\n"
        )
    };
    let item = |at: usize| {
        format!(
            "data: {{\"type\":\"response.output_item.added\",\"output_index\":{at},\"item\":{{\"id\":\"i{at}\",\"type\":\"message\"}}}}\n\n"
        )
    };
    let part = |at: usize| {
        format!(
            "data: {{\"candidates\":[{{\"content\":{{\"parts\":[{{\"functionCall\":{{\"name\":\"f{at}\"}}}}]}}}}]}}\n\n"
        )
    };
    let mut streams: Vec<(u8, String)> = vec![
        (0, run(chat)),
        (0, run(call)),
        (0, run(choice)),
        (5, run(block)),
        (1, run(item)),
        (8, run(part)),
        (0, "data: {\n".repeat(BYTES / 8)),
        (0, "id: 1\n".repeat(BYTES / 6)),
        (0, ": c\n\n".repeat(BYTES / 5)),
        (0, "\r".repeat(BYTES)),
        (0, "data: ".to_owned() + &"a".repeat(BYTES)),
    ];
    streams.extend(shapes().into_iter().map(|shape| (0, format!("data: {shape}\n\n"))));
    streams
}

#[track_caller]
fn check(name: &str, head: &[u8], text: &str) {
    let target = Target::named(name).expect("a target of this name");
    let begun = Instant::now();
    (target.check)(&[head, text.as_bytes()].concat());
    let shown: String = text.chars().take(60).collect();
    assert!(begun.elapsed() < LONGEST, "{name} takes {:?} for {shown}", begun.elapsed());
}

#[test]
fn bodies_and_answers() {
    for (endpoint, body) in bodies() {
        check("requests", &[endpoint, 0], &body);
    }
    for shape in shapes() {
        for endpoint in [0, 1, 2, 3, 4, 5, 8] {
            check("requests", &[endpoint, 0], &shape);
            check("answers", &[endpoint], &shape);
        }
    }
}

#[test]
fn streams() {
    for (endpoint, stream) in bodies_of_streams() {
        // As it is, and for callers of other forms; in small pieces.
        for way in [0, 1, 2, 3, 4] {
            check("streams", &[endpoint, way, 2], &stream);
        }
    }
}

#[test]
fn files() {
    for shape in shapes() {
        for kind in 0..=4 {
            check("prices", &[kind], &shape);
            check("config", &[kind], &shape);
        }
    }
    let model = |at: usize| {
        format!(
            "\"m{at}\":{{\"litellm_provider\":\"openai\",\"mode\":\"chat\",\"input_cost_per_token\":1e-06,\"output_cost_per_token\":1e-06}}"
        )
    };
    check("prices", &[1], &of("{", model, "}"));
    let entry = |at: usize| format!("[[models]]\nid = \"m{at}\"\ninput = \"1\"\noutput = \"1\"\n");
    let head = "provider = \"p\"\nsource = \"https://prices.test\"\nretrieved = \"2026-01-01\"\n";
    check("prices", &[0], &format!("{head}{}", run(entry)));
    check("config", &[2], &"tk-".repeat(BYTES / 3));
}
