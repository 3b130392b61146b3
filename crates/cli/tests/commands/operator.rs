//! The binary itself, against a small server that answers as the operator API does.

use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use crate::harness::{Ran, tollkeeper};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

const KEY: &str = "tk-op-test";
const ORG: &str = "org_01920000000070008000000000000001";
const PROJECT: &str = "proj_01920000000070008000000000000002";
const REQUEST: &str = "req_01920000000070008000000000000003";

/// What a request brought.
#[derive(Debug)]
struct Seen {
    request: String,
    headers: http::HeaderMap,
    body: Value,
}

/// A server on loopback that gives one answer to everything and tells what it saw.
struct Gateway {
    url: String,
    seen: mpsc::Receiver<Seen>,
}

impl Gateway {
    fn answering(status: u16, answer: impl Into<String>) -> Self {
        let (answer, (sender, seen)) = (answer.into(), mpsc::channel());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        listener.set_nonblocking(true).unwrap();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let service = service_fn(|request| serve(request, &sender, status, &answer));
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let connection = hyper::server::conn::http1::Builder::new();
                    // One client at a time; when it leaves, so does the connection.
                    let _ = connection.serve_connection(TokioIo::new(stream), &service).await;
                }
            });
        });
        Self { url, seen }
    }

    fn seen(&self) -> Seen {
        self.seen.recv_timeout(Duration::from_secs(10)).unwrap()
    }
}

async fn serve(
    request: Request<Incoming>,
    sender: &mpsc::Sender<Seen>,
    status: u16,
    answer: &str,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
    let request = format!("{} {}", head.method, head.uri);
    sender.send(Seen { request, headers: head.headers, body }).unwrap();
    let mut response = Response::new(Full::from(answer.to_owned()));
    *response.status_mut() = status.try_into().unwrap();
    if status == 308 {
        response.headers_mut().insert("location", "https://elsewhere/".try_into().unwrap());
    }
    Ok(response)
}

fn with_gateway(line: &str, gateway: &Gateway) -> Ran {
    tollkeeper(line, &[("TOLLKEEPER_URL", &gateway.url), ("TOLLKEEPER_OPERATOR_KEY", KEY)])
}

#[test]
fn commands_are_calls_of_the_operator_api() {
    let grant = format!("credits grant --org {ORG} --amount 5 --kind promo");
    for (line, status, request, body) in [
        (
            "org create Acme".to_owned(),
            201,
            "POST /admin/v1/organizations".to_owned(),
            json!({ "name": "Acme" }),
        ),
        (
            format!("project create chat --org {ORG}"),
            201,
            "POST /admin/v1/projects".to_owned(),
            json!({ "name": "chat", "organization": ORG, "environment": "dev" }),
        ),
        (
            format!("keys create --project {PROJECT}"),
            201,
            "POST /admin/v1/keys".to_owned(),
            json!({ "project": PROJECT }),
        ),
        (
            format!("keys create --project {PROJECT} --name laptop"),
            201,
            "POST /admin/v1/keys".to_owned(),
            json!({ "project": PROJECT, "name": "laptop" }),
        ),
        (
            grant.clone(),
            201,
            "POST /admin/v1/credits/grants".to_owned(),
            json!({ "organization": ORG, "amount": "5.00", "kind": "promo" }),
        ),
        (
            format!("{grant} --expires 2027-01-31 --idempotency-key order-7"),
            201,
            "POST /admin/v1/credits/grants".to_owned(),
            json!({
                "organization": ORG, "amount": "5.00", "kind": "promo", "expires_at": "2027-01-31T00:00:00.000000Z"
            }),
        ),
        (
            format!("credits balance --org {ORG}"),
            200,
            format!("GET /admin/v1/organizations/{ORG}/balance"),
            Value::Null,
        ),
        (
            format!("usage list --org {ORG} --limit 5"),
            200,
            format!("GET /admin/v1/usage?organization={ORG}&limit=5"),
            Value::Null,
        ),
        (format!("explain {REQUEST}"), 200, format!("GET /admin/v1/requests/{REQUEST}"), Value::Null),
    ] {
        let gateway = Gateway::answering(status, "{\n  \"b\": \"x  y\",\r\n  \"a\": 0.10\n}\n");
        let ran = with_gateway(&line, &gateway);
        // Without a terminal: the answer as it came, on one line, and not a word besides.
        assert_eq!(ran, (0, "{  \"b\": \"x  y\",  \"a\": 0.10}\n".to_owned(), String::new()), "{line}");
        let seen = gateway.seen();
        assert_eq!((seen.request, seen.body), (request, body), "{line}");
        assert_eq!(seen.headers["authorization"], "Bearer tk-op-test", "{line}");
        let key = seen.headers.get("idempotency-key").map(|key| key.to_str().unwrap());
        assert_eq!(key, line.contains("--idempotency-key").then_some("order-7"), "{line}");
    }
}

#[test]
fn failures_say_what_to_do_and_end_with_their_code() {
    let error = |code: &str, next_step: &str| {
        json!({ "error": {
            "message": "What happened.", "type": "invalid_request_error", "param": "org", "code": code,
            "next_step": next_step,
        } })
        .to_string()
    };
    for (status, answer, code, words) in [
        (400, error("invalid_value", "mend it"), 2, "error: What happened.\nnext:  mend it\n"),
        (401, error("invalid_api_key", "use it"), 4, "error: What happened.\nnext:  use it\n"),
        (404, error("not_found", "look for it"), 5, "error: What happened.\nnext:  look for it\n"),
        (409, error("idempotency_conflict", "change it"), 1, "error: What happened.\nnext:  change it\n"),
        (429, error("insufficient_quota", "pay"), 7, "error: What happened.\nnext:  pay\n"),
        (500, error("internal", "wait"), 1, "error: What happened.\nnext:  wait\n"),
        // A 404 of something else is no missing organization.
        (
            404,
            "<html>not here</html>".to_owned(),
            1,
            "answered 404, but not as a gateway\nnext:  is another service",
        ),
        (
            200,
            "<html>welcome</html>".to_owned(),
            1,
            "answered 200, but not as a gateway\nnext:  is another service",
        ),
        (200, "[]".to_owned(), 1, "answered 200, but not as a gateway"),
        (200, String::new(), 1, "answered 200, but not as a gateway"),
        (308, String::new(), 1, "answered 308 (a redirect to https://elsewhere/), but not as a gateway"),
    ] {
        let gateway = Gateway::answering(status, answer.clone());
        let (found, data, said) = with_gateway(&format!("credits balance --org {ORG}"), &gateway);
        assert_eq!((found, data.as_str()), (code, ""), "{status} {answer}: {said}");
        assert!(said.contains(words), "{status} {answer}: {said}");
        gateway.seen();
    }
}

#[test]
fn a_gateway_that_is_not_there_is_named() {
    // Bound and closed again, so that nothing listens there.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{free}");
    let (code, data, said) =
        tollkeeper(&format!("org create x --url {url}"), &[("TOLLKEEPER_OPERATOR_KEY", KEY)]);
    assert_eq!((code, data.as_str()), (1, ""), "{said}");
    assert!(said.contains(&format!("cannot connect to {url}: Connection refused")), "{said}");
    assert!(said.contains(&format!("is `tollkeeper serve` running at {url}? set TOLLKEEPER_URL")), "{said}");

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let closer = std::thread::spawn(move || drop(listener.accept().unwrap()));
    let (code, data, said) =
        tollkeeper(&format!("org create x --url {url}"), &[("TOLLKEEPER_OPERATOR_KEY", KEY)]);
    closer.join().unwrap();
    assert_eq!((code, data.as_str()), (1, ""), "{said}");
    assert!(said.contains(&format!("no answer from {url}")), "{said}");

    // What speaks plain HTTP is no gateway behind TLS; without root certificates the next step is to install them.
    let gateway = Gateway::answering(200, "{}");
    let url = gateway.url.replace("http:", "https:");
    let (code, data, said) =
        tollkeeper(&format!("org create x --url {url}"), &[("TOLLKEEPER_OPERATOR_KEY", KEY)]);
    assert_eq!((code, data.as_str()), (1, ""), "{said}");
    assert!(said.contains("cannot connect to https://") || said.contains("ca-certificates"), "{said}");
}

#[test]
fn keys_come_from_the_environment_and_are_never_repeated() {
    let gateway = Gateway::answering(200, "{}");
    let line = format!("credits balance --org {ORG}");
    for (key, code, words) in [
        (
            None,
            4,
            "TOLLKEEPER_OPERATOR_KEY is not set\nnext:  set TOLLKEEPER_OPERATOR_KEY to the operator's key",
        ),
        (Some(""), 4, "TOLLKEEPER_OPERATOR_KEY is not set"),
        (Some(" \n"), 4, "TOLLKEEPER_OPERATOR_KEY is not set"),
        (Some("tk-op-se\ncret"), 2, "TOLLKEEPER_OPERATOR_KEY contains a character that cannot be sent"),
        (Some("tk-op-test\n"), 0, ""),
    ] {
        let mut variables = vec![("TOLLKEEPER_URL", gateway.url.as_str())];
        variables.extend(key.map(|key| ("TOLLKEEPER_OPERATOR_KEY", key)));
        let (found, _, said) = tollkeeper(&line, &variables);
        assert_eq!(found, code, "{key:?}: {said}");
        assert!(said.contains(words), "{key:?}: {said}");
        assert!(!said.contains("cret"), "{said}");
    }
    assert_eq!(gateway.seen().headers["authorization"], "Bearer tk-op-test");
    let (_, help, _) = tollkeeper("credits balance --help", &[("TOLLKEEPER_OPERATOR_KEY", "tk-op-secret")]);
    assert!(help.contains("TOLLKEEPER_OPERATOR_KEY") && !help.contains("tk-op-secret"), "{help}");
}

#[test]
fn usage_mistakes_end_with_2_and_print_no_data() {
    for line in ["", "fly", "org create", "credits balance --org acme"] {
        let (code, data, said) = tollkeeper(line, &[]);
        assert_eq!((code, data.as_str()), (2, ""), "{line}");
        assert!(said.contains("Usage: tollkeeper") || said.contains("--help"), "{line}: {said}");
    }
    let (code, data, said) = tollkeeper("--help", &[]);
    assert_eq!((code, said.as_str()), (0, ""));
    assert!(data.contains("Usage: tollkeeper"), "{data}");
}
