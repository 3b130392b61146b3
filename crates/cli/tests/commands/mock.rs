//! `tollkeeper mock` as a process: it says where it is, answers as told, and stops when told.

use crate::harness::{Server, inside, tollkeeper};
use serde_json::Value;

#[test]
fn it_answers_as_told_logs_the_truth_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let log = inside(folder.path(), "truth.jsonl");
    for signal in ["-TERM", "-INT"] {
        let line = format!("mock --listen 127.0.0.1:0 --truth-log {log} --behaviour out=3;in=21");
        let mock = Server::start(&line, &[]);
        assert_eq!((mock.fact("object"), mock.fact("truth_log")), ("mock", log.as_str()));
        let answer = mock.chat("x");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains(r#""completion_tokens":3"#), "{answer}");
        assert_eq!(mock.stop(signal), Some(0), "{signal}");
    }
    let truth = std::fs::read_to_string(log).unwrap();
    let prompts: Vec<Value> = truth
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["prompt_tokens"].clone())
        .collect();
    assert_eq!(prompts, [21, 21]);
}

#[test]
fn an_address_in_use_is_named() {
    let first = Server::start("mock --listen 127.0.0.1:0", &[]);
    let address = first.fact("base_url").trim_start_matches("http://").trim_end_matches("/v1");
    let (code, data, said) = tollkeeper(&format!("mock --listen {address}"), &[]);
    assert_eq!((code, data.as_str()), (1, ""), "{said}");
    assert!(said.contains(&format!("cannot run a provider on {address}: Address already in use")), "{said}");
    assert!(said.contains("next:  choose a free port with --listen"), "{said}");
}
