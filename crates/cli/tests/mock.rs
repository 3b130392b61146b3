//! `tollkeeper mock` as a process: it says where it is, answers, and stops when told.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// A provider's process, ended with the test whatever becomes of it.
struct Provider(Child);

impl Drop for Provider {
    fn drop(&mut self) {
        // Most have ended by then.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a provider on a free port.
fn start(arguments: &[&str]) -> (Provider, Value) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tollkeeper"))
        .args(["mock", "--listen", "127.0.0.1:0"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Provider(child), serde_json::from_str(&line).unwrap())
}

/// Sends a chat call and gives the whole answer.
fn call(base_url: &str) -> String {
    let address: SocketAddr = base_url.trim_start_matches("http://").trim_end_matches("/v1").parse().unwrap();
    let body = r#"{"model":"sim-small","messages":[{"role":"user","content":"Hello"}]}"#;
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST /v1/chat/completions HTTP/1.1\r\nhost: sim\r\nauthorization: Bearer x\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_answers_as_told_logs_the_truth_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("truth.jsonl");
    for signal in ["-TERM", "-INT"] {
        let (mut provider, ready) =
            start(&["--truth-log", log.to_str().unwrap(), "--behaviour", "out=3;in=21"]);
        assert_eq!(ready["object"], "mock");
        assert_eq!(ready["pid"], provider.0.id());
        assert_eq!(ready["truth_log"], log.to_str().unwrap());
        let answer = call(ready["base_url"].as_str().unwrap());
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains(r#""completion_tokens":3"#), "{answer}");
        assert!(
            Command::new("kill").args([signal, &provider.0.id().to_string()]).status().unwrap().success()
        );
        assert!(provider.0.wait().unwrap().success(), "{signal}");
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
    let (_provider, ready) = start(&[]);
    let address =
        ready["base_url"].as_str().unwrap().trim_start_matches("http://").trim_end_matches("/v1").to_owned();
    let second =
        Command::new(env!("CARGO_BIN_EXE_tollkeeper")).args(["mock", "--listen", &address]).output().unwrap();
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("cannot run a provider on {address}: Address already in use")), "{said}");
    assert!(said.contains("next:  choose a free port with --listen"), "{said}");
}
