//! What becomes of each event of a response's stream, and how one ends that the gateway ends itself.

use bytes::Bytes;
use domain::{Timestamp, Usage};
use serde_json::Value;

use super::stream::{Outcome, run_on};
use super::{join, json};
use crate::{CutCall, Endpoint, ErrorBody, StreamFault, StreamMeter, StreamOptions};

fn meter() -> StreamMeter {
    StreamMeter::new(Endpoint::Responses, StreamOptions::default())
}

fn whole(stream: &str) -> Outcome {
    run_on(meter(), [Bytes::copy_from_slice(stream.as_bytes())])
}

/// However a stream is cut into pieces, the client gets the same bytes and the facts are the same.
#[track_caller]
pub(super) fn check_pieces(stream: &str, at: Vec<usize>) {
    let pieces = super::stream_pieces::cut(stream, at.clone());
    assert_eq!(run_on(meter(), pieces), whole(stream), "{stream:?} cut at {at:?}");
}

fn event(name: &str, members: &str) -> String {
    format!("event: {name}\ndata: {{\"type\":\"{name}\",{members}}}\n\n")
}

fn response(status: &str, usage: &str) -> String {
    format!(
        r#""response":{{"id":"resp_9","object":"response","created_at":7,"status":"{status}","error":null,"instructions":"be\u0020brief","model":"gpt-x","output":[],"service_tier":"default","tools":[{{"type":"function","name":"f"}}],"usage":{usage}}}"#
    )
}

const USAGE: &str = r#"{"input_tokens":9,"input_tokens_details":{"cached_tokens":4,"cache_write_tokens":0},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":1},"total_tokens":11}"#;
const COUNTED: Usage = Usage { input: 5, cached: 4, output: 2, reasoning: 1, ..Usage::from_counts([0; 15]) };

fn created() -> String {
    event("response.created", &format!(r#""sequence_number":0,{}"#, response("in_progress", "null")))
}

/// A message under way: "Hel" and "lo" are said.
fn saying() -> String {
    [
        event("response.output_item.added", r#""sequence_number":1,"output_index":0,"item":{"id":"msg_1","type":"message","status":"in_progress","role":"assistant","content":[]}"#),
        event("response.content_part.added", r#""sequence_number":2,"item_id":"msg_1","output_index":0,"content_index":0,"part":{"type":"output_text","text":"","annotations":[]}"#),
        event("response.output_text.delta", r#""sequence_number":3,"item_id":"msg_1","output_index":0,"content_index":0,"delta":"Hel","logprobs":[]"#),
        event("response.output_text.delta", r#""sequence_number":4,"item_id":"msg_1","output_index":0,"content_index":0,"delta":"lo \u00e9","logprobs":[]"#),
    ]
    .concat()
}

fn said() -> String {
    [
        event("response.output_text.done", r#""sequence_number":5,"item_id":"msg_1","output_index":0,"content_index":0,"text":"Hello é","logprobs":[]"#),
        event("response.content_part.done", r#""sequence_number":6,"item_id":"msg_1","output_index":0,"content_index":0,"part":{"type":"output_text","text":"Hello é","annotations":[]}"#),
        event("response.output_item.done", r#""sequence_number":7,"output_index":0,"item":{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"Hello é","annotations":[]}]}"#),
    ]
    .concat()
}

fn calling() -> String {
    [
        event("response.output_item.added", r#""sequence_number":8,"output_index":1,"item":{"id":"fc_1","type":"function_call","status":"in_progress","call_id":"c","name":"f","arguments":""}"#),
        event("response.function_call_arguments.delta", r#""sequence_number":9,"item_id":"fc_1","output_index":1,"delta":"{\"a\"""#),
    ]
    .concat()
}

fn ended(name: &str) -> String {
    let status = name.strip_prefix("response.").unwrap();
    event(name, &format!(r#""sequence_number":10,{}"#, response(status, USAGE)))
}

/// The streams of every test below, for the tests that cut them.
pub(super) fn corpus() -> Vec<String> {
    let start = created() + &saying() + &said() + &calling();
    let failures = FAILURES.into_iter().skip(3).map(|failure| created() + &saying() + failure);
    let ends = ["response.completed", "response.failed"].map(|name| created() + &calling() + &ended(name));
    failures.chain(ends).chain([start.replace('\n', "\r\n")]).collect()
}

#[test]
fn a_stream_passes_as_it_comes_and_its_end_waits() {
    let start = created() + &saying() + &said() + &calling();
    for name in ["response.completed", "response.incomplete"] {
        let expected = Outcome {
            client: start.clone(),
            tail: ended(name),
            fault: None,
            usage: Some(COUNTED),
            model: Some("gpt-x".to_owned()),
            service_tier: Some("default".to_owned()),
            finish: true,
            done: true,
            error: None,
            chunks: 9,
            text: "Hello éf{\"a\"".to_owned(),
            tokens_seen: 4,
        };
        assert_eq!(whole(&(start.clone() + &ended(name))), expected);
        // What comes after it is nobody's.
        assert_eq!(whole(&(start.clone() + &ended(name) + "data: [DONE]\n\ndata: {}\n\n")), expected);
    }
}

#[test]
fn searches_count_as_they_are_made() {
    let search = |action: &str| {
        let item =
            format!(r#""output_index":0,"item":{{"type":"web_search_call","action":{{"type":"{action}"}}}}"#);
        event("response.output_item.added", &item) + &event("response.output_item.done", &item)
    };
    let stream = created() + &search("search") + &search("open_page") + &search("search");
    assert_eq!(after(stream.as_bytes()).searches(), 2);
    let outcome = whole(&(stream + &ended("response.completed")));
    assert_eq!(outcome.usage, Some(Usage { searches: 2, ..COUNTED }));
}

#[test]
fn a_failed_response_waits_too_and_is_an_error() {
    let failed = ended("response.failed")
        .replace("\"error\":null", r#""error":{"code":"invalid_prompt","message":"No."}"#);
    let outcome = whole(&(created() + &failed));
    assert_eq!((outcome.client, outcome.tail), (created(), failed));
    assert_eq!((outcome.error.as_deref(), outcome.usage, outcome.chunks), (Some("No."), Some(COUNTED), 0));
    // One that does not say why still failed.
    let bare = "data: {\"type\":\"response.failed\"}\n\n";
    let outcome = whole(bare);
    assert_eq!((outcome.tail.as_str(), outcome.done, outcome.usage), (bare, true, None));
    assert!(outcome.error.is_some());
}

/// Events that say that something went wrong, in the forms that are seen.
const FAILURES: [&str; 5] = [
    "event: error\ndata: {\"type\":\"error\",\"code\":\"rate_limit_exceeded\",\"message\":\"Slow down.\",\"param\":null,\"sequence_number\":5}\n\n",
    "data: {\"type\":\"error\",\"code\":\"rate_limit_exceeded\",\"message\":\"Slow down.\"}\n\n",
    "data: {\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"Slow down.\"}}\n\n",
    "event: error\ndata: {\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"Slow down.\"}}\n\n",
    "event: error\ndata: Slow down.\n\n",
];

/// The events of a text, by their names and data.
fn events(text: &str) -> Vec<(String, Value)> {
    let split = |block: &str| {
        let (name, data) = block.split_once("\ndata: ").unwrap_or_else(|| panic!("no event: {block}"));
        (name.strip_prefix("event: ").unwrap().to_owned(), json(data))
    };
    text.split_terminator("\n\n").map(split).collect()
}

#[test]
fn an_error_becomes_what_every_client_heeds() {
    for failure in FAILURES {
        let start = created() + &saying();
        let late = event("response.output_text.delta", r#""sequence_number":6,"delta":"more""#)
            + &ended("response.completed");
        let outcome = whole(&(start.clone() + failure + &late));
        assert_eq!(outcome.error.as_deref(), Some("Slow down."), "{failure}");
        assert_eq!(
            (outcome.tail.as_str(), outcome.finish, outcome.text.as_str()),
            ("", false, "Hello é"),
            "{failure}"
        );
        let told = events(outcome.client.strip_prefix(&start).unwrap());
        let [(first, failed), (second, error)] = &told[..] else { panic!("{failure}: {told:?}") };
        assert_eq!((first.as_str(), second.as_str()), ("response.failed", "error"));
        let number = failed["sequence_number"].as_u64().unwrap();
        assert_eq!((number, error["sequence_number"].as_u64()), (5, Some(6)), "{failure}");
        assert_eq!(failed["response"]["status"], "failed");
        assert_eq!(
            (&failed["response"]["id"], &failed["response"]["instructions"]),
            (&"resp_9".into(), &"be brief".into())
        );
        assert_eq!(failed["response"]["error"]["message"], "Slow down.");
        assert_eq!(
            (&error["message"], &error["error"]["message"]),
            (&"Slow down.".into(), &"Slow down.".into())
        );
    }
}

#[test]
fn what_is_no_event_drops_or_breaks() {
    let start = created();
    for (stream, client, fault) in [
        ("data: [DONE]\n\n", "", None),
        (": keep-alive\n\n", ": keep-alive\n\n", None),
        ("event: ping\n\n", "", None),
        ("event: ping\ndata: {}\n\n", "", None),
        (
            "id: 1\nretry: 5\nevent: x\ndata: {\"type\":\"x\"}\n\n",
            "event: x\ndata: {\"type\":\"x\"}\n\n",
            None,
        ),
        (
            "event: keepalive\ndata: {\"type\":\"keepalive\"}\n\n",
            "event: keepalive\ndata: {\"type\":\"keepalive\"}\n\n",
            None,
        ),
        ("data: {\"type\":\"response.new_thing\"}\n\n", "data: {\"type\":\"response.new_thing\"}\n\n", None),
        ("data: <html>\n\n", "", Some(StreamFault::Garbage)),
        ("data: [1]\n\n", "", Some(StreamFault::Garbage)),
        ("data: {\"type\":", "", Some(StreamFault::Truncated)),
    ] {
        let outcome = whole(&(start.clone() + stream));
        assert_eq!((outcome.client, outcome.fault), (start.clone() + client, fault), "{stream}");
        assert!(!outcome.done && !outcome.finish && outcome.usage.is_none(), "{stream}");
    }
}

const CALL: CutCall<'_> = CutCall {
    request_id: "req_1",
    at: Timestamp::from_micros(1_700_000_000_999_999),
    model: "asked",
    choices: 1,
};

fn after(stream: &[u8]) -> StreamMeter {
    let mut meter = meter();
    // A stream that breaks is not cut, but nothing bad must come of it.
    let _ = meter.push(Bytes::copy_from_slice(stream), &mut Vec::new());
    meter
}

fn cut(stream: &str) -> Vec<(String, Value)> {
    events(&join(after(stream.as_bytes()).cut(CALL).events(&COUNTED)))
}

fn names(events: &[(String, Value)]) -> Vec<&str> {
    events.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn a_cut_response_ends_its_message_and_is_incomplete() {
    let events = cut(&(created() + &saying()));
    assert_eq!(
        names(&events),
        [
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.incomplete"
        ]
    );
    for (number, (name, event)) in (5..).zip(&events) {
        assert_eq!(
            (event["sequence_number"].as_u64(), &event["type"]),
            (Some(number), &Value::from(name.as_str()))
        );
    }
    assert_eq!(events[0].1["text"], "Hello é");
    let item = &events[2].1["item"];
    assert_eq!(
        (&item["id"], &item["status"], &item["role"]),
        (&"msg_1".into(), &"incomplete".into(), &"assistant".into())
    );
    assert_eq!(item["content"][0]["text"], "Hello é");
    let response = &events[3].1["response"];
    assert_eq!(response["status"], "incomplete");
    assert_eq!(response["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!((&response["id"], &response["tools"][0]["name"]), (&"resp_9".into(), &"f".into()));
    assert_eq!(response["usage"], json(USAGE));
    assert_eq!(response["output"], Value::Array(vec![item.clone()]));
}

#[test]
fn what_has_ended_stays_and_a_call_under_way_is_left_out() {
    let events = cut(&(created() + &saying() + &said() + &calling()));
    assert_eq!(names(&events), ["response.incomplete"]);
    let output = &events[0].1["response"]["output"];
    assert_eq!(output.as_array().map(Vec::len), Some(1));
    assert_eq!(output[0]["status"], "completed");
    // Between two parts only the message is open.
    let part_done = said().split_inclusive("\n\n").take(2).collect::<String>();
    let events = cut(&(created() + &saying() + &part_done));
    assert_eq!(names(&events), ["response.output_item.done", "response.incomplete"]);
    assert_eq!(events[0].1["item"]["content"][0]["text"], "Hello é");
    // A refusal ends as one.
    let refusing = saying().replace("output_text", "refusal");
    let events = cut(&(created() + &refusing));
    assert_eq!((events[0].0.as_str(), &events[0].1["refusal"]), ("response.refusal.done", &"Hello é".into()));
}

#[test]
fn a_stream_that_said_nothing_ends_by_what_the_gateway_knows() {
    for stream in ["", ": keep-alive\n\n", "data: {\"type\":\"response.created\""] {
        let events = cut(stream);
        assert_eq!(names(&events), ["response.created", "response.incomplete"]);
        for (_, event) in &events {
            let response = &event["response"];
            assert_eq!((&response["id"], &response["model"]), (&"resp_req_1".into(), &"asked".into()));
            assert_eq!(response["created_at"], 1_700_000_000);
        }
        assert_eq!(
            (&events[0].1["sequence_number"], &events[1].1["sequence_number"]),
            (&0.into(), &1.into())
        );
        let error = ErrorBody::new(502, "server_error", "Gone.").with_code("closed");
        let told = self::events(&join([after(stream.as_bytes()).broken(CALL).events(&error)]));
        assert_eq!(names(&told), ["response.created", "response.failed", "error"]);
        assert_eq!((&told[2].1["error"]["code"], &told[2].1["code"]), (&"closed".into(), &"closed".into()));
    }
}

/// The end of whatever stream is one that the meter itself reads to its end, and to its error.
pub(super) fn check_any(stream: &[u8]) {
    run_on(meter(), [Bytes::copy_from_slice(stream)]);
    let usage = Usage { input: 1, output: 9, reasoning: 2, ..Usage::default() };
    let ending = join(after(stream).cut(CALL).events(&usage));
    let outcome = whole(&ending);
    assert_eq!(
        (outcome.usage, outcome.finish, outcome.error, outcome.fault),
        (Some(usage), true, None, None),
        "{ending}"
    );
    let error = ErrorBody::new(502, "server_error", "Gone.");
    let ending = join([after(stream).broken(CALL).events(&error)]);
    let outcome = whole(&ending);
    assert_eq!((outcome.error.as_deref(), outcome.fault), (Some("Gone."), None), "{ending}");
}
