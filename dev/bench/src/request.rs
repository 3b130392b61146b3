//! Requests, written once before the load begins.

use std::net::SocketAddr;

use serde_json::json;

/// What the calls of one row have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) connections: usize,
    /// In bytes.
    pub(crate) prompt: usize,
    pub(crate) stream: bool,
}

/// A chat call with a prompt of that many bytes.
pub(crate) fn chat(case: Case, ask_usage: bool, address: SocketAddr, key: &str, model: &str) -> Vec<u8> {
    let mut body = json!({
        "model": model,
        "messages": [{"role": "user", "content": prompt(case.prompt)}],
    });
    if case.stream {
        body["stream"] = json!(true);
        if ask_usage {
            body["stream_options"] = json!({"include_usage": true});
        }
    }
    post("/v1/chat/completions", address, key, body.to_string().as_bytes())
}

/// Prose with line breaks, as prompts have them, of exactly that many bytes.
fn prompt(bytes: usize) -> String {
    let line = "A gateway carries a request from evidence to evidence, and books what it cost.\n";
    line.chars().cycle().take(bytes).collect()
}

/// A JSON request.
pub(crate) fn post(path: &str, address: SocketAddr, key: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n\
         accept: application/json\r\nuser-agent: tollkeeper-bench\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A request without a body.
pub(crate) fn get(path: &str, address: SocketAddr) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n").into_bytes()
}
