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
const WALLET: &str = "wal_01920000000070008000000000000006";
const BUDGET: &str = "bud_01920000000070008000000000000007";

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
            json!({ "name": "chat", "organization": ORG, "environment": "dev", "data_class": "internal" }),
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
        (
            format!("credits ledger --org {ORG} --before 9"),
            200,
            format!("GET /admin/v1/organizations/{ORG}/ledger?limit=20&before=9"),
            Value::Null,
        ),
        (
            format!("events --org {ORG} --limit 5"),
            200,
            format!("GET /admin/v1/events?organization={ORG}&limit=5"),
            Value::Null,
        ),
        (
            format!("budgets list --org {ORG}"),
            200,
            format!("GET /admin/v1/budgets?organization={ORG}&limit=20"),
            Value::Null,
        ),
        (
            format!("wallets list --org {ORG}"),
            200,
            format!("GET /admin/v1/wallets?organization={ORG}"),
            Value::Null,
        ),
        (
            format!("org update {ORG} --in-flight stops"),
            200,
            format!("PATCH /admin/v1/organizations/{ORG}"),
            json!({ "in_flight": "stops" }),
        ),
        (
            "promo create welcome --amount 5 --uses 2 --credit-days 9 --model m".to_owned(),
            201,
            "POST /admin/v1/promo-codes".to_owned(),
            json!({ "code": "welcome", "amount": "5.00", "uses": 2, "credit_days": 9, "models": ["m"] }),
        ),
        (format!("explain {REQUEST}"), 200, format!("GET /admin/v1/requests/{REQUEST}/explain"), Value::Null),
    ] {
        let gateway = Gateway::answering(status, "{\n  \"b\": \"x  y\",\r\n  \"a\": 0.10\n}\n");
        let ran = with_gateway(&line, &gateway);
        // Without a terminal: the answer as it came, on one line, and not a word besides.
        assert_eq!(ran, (0, "{  \"b\": \"x  y\",  \"a\": 0.10}\n".to_owned(), String::new()), "{line}");
        let seen = gateway.seen();
        assert_eq!((seen.request, seen.body), (request, body), "{line}");
        assert_eq!(seen.headers["authorization"], "Bearer tk-op-test", "{line}");
        let key = seen.headers.get("idempotency-key").map(|key| key.to_str().unwrap().to_owned());
        assert_eq!(key.is_some(), line.starts_with("credits grant"), "{line}");
        assert_eq!(key == Some("order-7".to_owned()), line.contains("--idempotency-key"), "{line}");
    }
}

#[test]
fn what_moves_money_is_sent_under_a_name_of_its_own() {
    let organization = |body: Value| {
        let mut body = body;
        body["organization"] = json!(ORG);
        body
    };
    let credits = "/admin/v1/credits";
    for (line, request, body) in [
        (
            format!("wallets create chat --org {ORG} --project {PROJECT} --overflow"),
            "POST /admin/v1/wallets".to_owned(),
            organization(json!({ "name": "chat", "project": PROJECT, "overflow": true })),
        ),
        (
            format!("wallets create small --org {ORG} --model sim-* --model a/b"),
            "POST /admin/v1/wallets".to_owned(),
            organization(json!({ "name": "small", "models": ["sim-*", "a/b"] })),
        ),
        (
            format!("credits grant --org {ORG} --amount 5 --kind prepaid --wallet {WALLET} --reason paid"),
            format!("POST {credits}/grants"),
            organization(json!({ "amount": "5.00", "kind": "prepaid", "wallet": WALLET, "reason": "paid" })),
        ),
        (
            format!("credits transfer --org {ORG} --from own --to {WALLET} --amount 2"),
            format!("POST {credits}/transfers"),
            organization(json!({ "from": "own", "to": WALLET, "amount": "2.00" })),
        ),
        (
            format!("credits refund {REQUEST} --reason slip"),
            format!("POST {credits}/refunds"),
            json!({ "request": REQUEST, "reason": "slip" }),
        ),
        (
            format!("credits payout --org {ORG} --amount 1 --reason closed --yes"),
            format!("POST {credits}/payouts"),
            organization(json!({ "amount": "1.00", "reason": "closed" })),
        ),
        (
            format!("credits adjust --org {ORG} --amount -1 --reason slip --yes"),
            format!("POST {credits}/adjustments"),
            organization(json!({ "amount": "-1.00", "reason": "slip" })),
        ),
        (
            format!("credits redeem welcome --org {ORG}"),
            format!("POST {credits}/redeem"),
            organization(json!({ "code": "welcome" })),
        ),
        (
            format!("budgets set --org {ORG} --of run --period total --steps 9 --soft"),
            "POST /admin/v1/budgets".to_owned(),
            organization(json!({ "of": "run", "period": "total", "steps": 9, "hard": false })),
        ),
        (
            format!("budgets set --org {ORG} --id {BUDGET} --cost 1 --thresholds 50,90"),
            format!("PATCH /admin/v1/budgets/{BUDGET}"),
            organization(json!({ "cost": "1.00", "thresholds": [50, 90] })),
        ),
        (
            format!("budgets remove {BUDGET} --org {ORG}"),
            format!("DELETE /admin/v1/budgets/{BUDGET}?organization={ORG}"),
            Value::Null,
        ),
    ] {
        // A gateway that fails inside may have done it: the name is what makes a repetition safe.
        let gateway = Gateway::answering(503, json!({ "error": { "message": "Broken." } }).to_string());
        let (code, data, said) = with_gateway(&line, &gateway);
        assert_eq!((code, data.as_str()), (1, ""), "{line}");
        let seen = gateway.seen();
        assert_eq!((seen.request, seen.body), (request, body), "{line}");
        let key = seen.headers["idempotency-key"].to_str().unwrap();
        assert!(said.contains(&format!("safe to repeat with --idempotency-key {key}\n")), "{line}: {said}");
        // A refusal is an answer, after which there is nothing to repeat.
        let gateway = Gateway::answering(409, json!({ "error": { "message": "No." } }).to_string());
        let (_, _, said) = with_gateway(&format!("{line} --idempotency-key order-7"), &gateway);
        assert_eq!(gateway.seen().headers["idempotency-key"], "order-7", "{line}");
        assert_eq!(said, "error: No.\n", "{line}");
    }
}

#[test]
fn what_takes_credit_is_not_done_unasked() {
    let gateway = Gateway::answering(200, "{}");
    for line in ["credits payout --amount 1", "credits adjust --amount -1"] {
        let (code, data, said) = with_gateway(&format!("{line} --org {ORG} --reason x"), &gateway);
        assert_eq!((code, data.as_str()), (2, ""), "{line}: {said}");
        assert!(said.contains("next:  give --yes if it is meant"), "{line}: {said}");
    }
    assert!(gateway.seen.try_recv().is_err(), "nothing was sent");
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
