//! A caller that notes how an answer ended, and the mock with its log.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::{Behaviour, Mock, Options};

/// Milliseconds to wait for a head, and for each piece, that will come even on a busy machine.
pub(super) const PATIENT: [u64; 2] = [20_000, 20_000];

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Whole,
    Cut,
    Stuck,
}

/// What a caller saw; without a status when there was no head.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) status: Option<StatusCode>,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
    /// The largest piece that the body came in, in bytes.
    pub(super) piece: usize,
    pub(super) end: End,
}

impl Seen {
    fn nothing(end: End) -> Self {
        Self { status: None, headers: HeaderMap::new(), body: String::new(), piece: 0, end }
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The data of every event but the marker after the last.
    pub(super) fn events(&self) -> Vec<Value> {
        let data = self.body.split_terminator("\n\n").map(|event| event.strip_prefix("data: ").unwrap());
        data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
    }
}

/// Calls one mock.
#[derive(Clone)]
pub(super) struct Caller {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
    truth: PathBuf,
}

impl Caller {
    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Response<Incoming>, hyper_util::client::legacy::Error> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.client.request(request.body(Full::from(body.to_owned())).unwrap()).await
    }

    /// Sends and reads to the end, waiting at most so long for the head and for each piece.
    pub(super) async fn see(
        &self,
        [head_ms, piece_ms]: [u64; 2],
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Seen {
        let patience = Duration::from_millis;
        let mut response =
            match tokio::time::timeout(patience(head_ms), self.send(method, path, headers, body)).await {
                Err(_) => return Seen::nothing(End::Stuck),
                Ok(Err(_)) => return Seen::nothing(End::Cut),
                Ok(Ok(response)) => response,
            };
        let mut bytes = Vec::new();
        let mut piece = 0;
        let end = loop {
            match tokio::time::timeout(patience(piece_ms), response.frame()).await {
                Err(_) => break End::Stuck,
                Ok(None) => break End::Whole,
                Ok(Some(Err(_))) => break End::Cut,
                Ok(Some(Ok(frame))) => {
                    let data = frame.into_data().unwrap();
                    piece = piece.max(data.len());
                    bytes.extend_from_slice(&data);
                }
            }
        };
        let body = String::from_utf8(bytes).unwrap();
        Seen { status: Some(response.status()), headers: response.headers().clone(), body, piece, end }
    }

    /// Posts with a key, patiently.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Seen {
        self.see(PATIENT, "POST", path, &[("authorization", "Bearer any")], &body.to_string()).await
    }

    /// Chats with a key, patiently.
    pub(super) async fn chat(&self, body: &Value) -> Seen {
        self.post("/v1/chat/completions", body).await
    }

    /// The lines of the truth log as it stands.
    pub(super) fn truth(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.truth).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The only line of this request, waiting a little for it when it is written on someone's leaving.
    pub(super) async fn line(&self, request_id: &str, wait: bool) -> Value {
        for _ in 0..if wait { 500 } else { 1 } {
            let mut lines = self.truth();
            lines.retain(|line| line["request_id"] == request_id);
            if !lines.is_empty() {
                assert_eq!(lines.len(), 1, "{request_id} was logged twice");
                return lines.remove(0);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{request_id} is not in the truth log")
    }
}

/// A mock with a log; the directory goes with it.
pub(super) struct Rig {
    pub(super) mock: Mock,
    pub(super) dir: tempfile::TempDir,
}

impl Rig {
    pub(super) fn new(defaults: &str, threads: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let truth_log = Some(dir.path().join("truth.jsonl"));
        let defaults = Behaviour::parse(defaults).unwrap();
        let mock = Mock::start(Options { truth_log, defaults, threads, ..Options::default() }).unwrap();
        Self { mock, dir }
    }

    /// A mock started otherwise; no caller reads its log.
    pub(super) fn of(mock: Mock) -> Self {
        Self { mock, dir: tempfile::tempdir().unwrap() }
    }

    /// A caller by HTTP/1.1, or by HTTP/2 from the first byte.
    pub(super) fn caller(&self, http2: bool) -> Caller {
        let client = Client::builder(TokioExecutor::new())
            .http2_only(http2)
            .retry_canceled_requests(false)
            .build_http();
        let base = format!("http://{}", self.mock.addr());
        Caller { client, base, truth: self.dir.path().join("truth.jsonl") }
    }
}
