//! What becomes of each event of a stream of content, how one ends that is cut off, and the array that one may be sent as.

use bytes::Bytes;
use domain::{Timestamp, Usage};
use proptest::prelude::*;

use crate::gemini::ArrayFrame;
use crate::tests::join;
use crate::tests::stream::{Outcome, run_on};
use crate::tests::stream_pieces::cut;
use crate::{CutCall, Endpoint, StreamFault, StreamMeter, StreamOptions};

const FIRST: &str = r#"data: {"candidates": [{"content": {"parts": [{"text": "Hel"}],"role": "model"},"index": 0}],"usageMetadata": {"promptTokenCount": 9,"cachedContentTokenCount": 4,"totalTokenCount": 9},"modelVersion": "gemini-x","responseId": "r1"}"#;
const LAST: &str = r#"data: {"candidates": [{"content": {"parts": [{"text": "lo"}],"role": "model"},"finishReason": "STOP","index": 0}],"usageMetadata": {"promptTokenCount": 9,"cachedContentTokenCount": 4,"candidatesTokenCount": 2,"thoughtsTokenCount": 10,"totalTokenCount": 21,"serviceTier": "flex"},"modelVersion": "gemini-x","responseId": "r1"}"#;
const END: &str = "\r\n\r\n";

const NONE: Usage = Usage::from_counts([0; 15]);
const INPUT: Usage = Usage { input: 5, cached: 4, ..NONE };
const WHOLE: Usage = Usage { output: 12, reasoning: 10, ..INPUT };

fn meter() -> StreamMeter {
    StreamMeter::new(Endpoint::GenerateContent, StreamOptions::default())
}

fn whole(stream: &str) -> Outcome {
    run_on(meter(), [Bytes::copy_from_slice(stream.as_bytes())])
}

fn ordinary() -> String {
    format!("{FIRST}{END}{LAST}{END}")
}

#[test]
fn an_ordinary_stream_passes_but_for_its_last_event() {
    let outcome = whole(&ordinary());
    assert_eq!((outcome.client, outcome.tail), (format!("{FIRST}{END}"), format!("{LAST}{END}")));
    assert_eq!((outcome.usage, outcome.finish, outcome.done), (Some(WHOLE), true, false));
    assert_eq!((outcome.model.as_deref(), outcome.text.as_str()), (Some("gemini-x"), "Hello"));
    assert_eq!((outcome.service_tier.as_deref(), outcome.chunks), (Some("flex"), 2));
    assert_eq!((outcome.fault, outcome.error), (None, None));
}

#[test]
fn nothing_is_told_of_the_whole_before_its_end() {
    let mut begun = meter();
    let mut out = Vec::new();
    begun.push(Bytes::from(format!("{FIRST}{END}")), &mut out).unwrap();
    assert_eq!((begun.usage(), begun.so_far(), begun.finish_seen()), (None, Some(INPUT), false));
    // What it has thought by then is told beside what it says, and shown nowhere.
    let thinking =
        FIRST.replace(r#""totalTokenCount": 9"#, r#""thoughtsTokenCount": 300,"totalTokenCount": 309"#);
    begun.push(Bytes::from(format!("{thinking}{END}")), &mut out).unwrap();
    let so_far = Usage { output: 300, reasoning: 300, ..INPUT };
    assert_eq!((begun.usage(), begun.so_far()), (None, Some(so_far)));
    // An end without a usage of its own: what was told before is not that of the whole.
    let unmetered = format!("{FIRST}{END}data: {{\"candidates\":[{{\"finishReason\":\"STOP\"}}]}}{END}");
    let outcome = whole(&unmetered);
    assert_eq!((outcome.usage, outcome.finish), (None, true));
}

#[test]
fn what_comes_after_an_end_lets_the_one_before_it_go() {
    let other = r#"data: {"candidates": [{"content": {"parts": [{"text": "x"}]},"finishReason": "STOP","index": 1}],"usageMetadata": {"promptTokenCount": 9,"candidatesTokenCount": 30,"totalTokenCount": 39}}"#;
    let outcome = whole(&format!("{}{other}{END}", ordinary()));
    assert_eq!((outcome.client, outcome.tail), (ordinary(), format!("{other}{END}")));
    assert_eq!(outcome.usage, Some(Usage { input: 9, output: 30, ..NONE }), "the last word");
}

#[test]
fn a_prompt_that_is_blocked_is_an_end() {
    let blocked = format!(
        "data: {{\"promptFeedback\":{{\"blockReason\":\"SAFETY\"}},\"usageMetadata\":{{\"promptTokenCount\":7,\"totalTokenCount\":7}}}}{END}"
    );
    let outcome = whole(&blocked);
    assert_eq!((outcome.client.as_str(), outcome.tail), ("", blocked));
    assert_eq!((outcome.finish, outcome.usage), (true, Some(Usage { input: 7, ..NONE })));
}

#[test]
fn errors_pass_in_the_form_that_clients_look_for() {
    let error = r#"{"error":{"code":503,"message":"Overloaded","status":"UNAVAILABLE"}}"#;
    let outcome = whole(&format!("data: {error}{END}"));
    assert_eq!(
        (outcome.client, outcome.error.as_deref()),
        (format!("data: {error}{END}"), Some("Overloaded"))
    );
    let outcome = whole(&format!("data: [{error}]{END}"));
    assert!(
        outcome.client.starts_with("data: {\"error\":{\"code\":502,\"message\":\"Overloaded\""),
        "{}",
        outcome.client
    );
    assert_eq!(outcome.error.as_deref(), Some("Overloaded"));
    for (garbage, fault) in [
        (format!("data: 7{END}"), StreamFault::Garbage),
        (format!("data: {{\"candidates\":<html>{END}"), StreamFault::Garbage),
        (format!("<html>{END}"), StreamFault::Garbage),
        (FIRST[..FIRST.len() - 9].to_owned(), StreamFault::Truncated),
    ] {
        assert_eq!(whole(&garbage).fault, Some(fault), "{garbage}");
    }
}

#[test]
fn a_stream_that_is_cut_off_ends_as_one_that_ran_into_its_cap() {
    let call = CutCall { request_id: "req_1", at: Timestamp::from_micros(0), model: "gemini-y", choices: 2 };
    let usage = r#""usageMetadata":{"promptTokenCount":9,"cachedContentTokenCount":4,"candidatesTokenCount":2,"thoughtsTokenCount":10,"totalTokenCount":21}"#;
    let open = |index: u64| {
        format!(
            r#"{{"content":{{"parts":[{{"text":""}}],"role":"model"}},"finishReason":"MAX_TOKENS","index":{index}}}"#
        )
    };
    for (sent, candidates, model, id) in [
        (String::new(), format!("{},{}", open(0), open(1)), "gemini-y", "req_1"),
        (format!("{FIRST}{END}"), format!("{},{}", open(0), open(1)), "gemini-x", "r1"),
        // One candidate has ended.
        (ordinary(), open(1), "gemini-x", "r1"),
    ] {
        let mut meter = meter();
        meter.push(Bytes::from(sent.clone()), &mut Vec::new()).unwrap();
        let events = join(meter.cut(call).events(&WHOLE));
        let expected = format!(
            "data: {{\"candidates\":[{candidates}],{usage},\"modelVersion\":\"{model}\",\"responseId\":\"{id}\"}}\n\n"
        );
        assert_eq!(events, expected, "{sent}");
    }
}

fn array(pieces: Vec<Bytes>) -> String {
    let mut frame = ArrayFrame::default();
    let mut parts: Vec<Bytes> = pieces.into_iter().map(|piece| frame.push(piece)).collect();
    parts.push(frame.end());
    join(parts)
}

#[test]
fn an_array_has_an_element_for_each_event() {
    let elements = format!("[{},\n{}]\n", &FIRST[6..], &LAST[6..]);
    for (stream, expected) in [
        (ordinary(), elements.as_str()),
        (format!(": a comment\n\n{FIRST}\n\nevent: x\n{LAST}\n\n"), &elements),
        (format!("{FIRST}{END}{LAST}"), &elements),
        (String::new(), "[]\n"),
    ] {
        assert_eq!(array(vec![Bytes::from(stream.clone())]), expected, "{stream}");
    }
}

proptest! {
    #[test]
    fn pieces_change_neither_the_bill_nor_the_array(at in prop::collection::vec(0..ordinary().len(), 0..6)) {
        let pieces = cut(&ordinary(), at);
        let outcome = run_on(meter(), pieces.clone());
        prop_assert_eq!(&outcome, &whole(&ordinary()));
        prop_assert_eq!(array(pieces), array(vec![Bytes::from(ordinary())]));
    }

    #[test]
    fn any_event_is_read_or_refused(value in crate::tests::body::any_json()) {
        let mut meter = meter();
        let mut out = Vec::new();
        let event = format!("data: {{\"candidates\":{value},\"usageMetadata\":{value}}}\n\ndata: {value}\n\n");
        let pushed = meter.push(Bytes::from(event), &mut out);
        prop_assert_eq!(meter.finish(&mut out).is_ok(), pushed.is_ok());
    }
}
