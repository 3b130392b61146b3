//! Time: the pace of streams, callers who leave, and the mock's own beginning and end.

use std::sync::mpsc;
use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::json;
use tokio::time::Instant;

use super::client::Rig;
use crate::{Mock, Options, run};

#[tokio::test]
async fn streams_keep_their_pace() {
    let rig = Rig::new("in=1;out=20", 1);
    // What is asked, and the least and (generously, for busy machines) the most milliseconds it takes.
    let table = [
        ("tps=200", 100, 1_500),
        ("tps=200;chunk=5", 100, 1_500),
        ("ttft_ms=80", 80, 1_500),
        ("latency_ms=40;ttft_ms=40;tps=1000", 100, 1_500),
        ("tps=100000", 0, 1_000),
    ];
    for (behaviour, least, most) in table {
        let body = json!({"model": format!("sim-small?{behaviour}"), "messages": [], "stream": true});
        let began = Instant::now();
        let seen = rig.caller(false).chat(&body).await;
        let took = began.elapsed();
        assert!(seen.body.ends_with("data: [DONE]\n\n"), "{behaviour}");
        assert!(took >= Duration::from_millis(least), "{behaviour} took {took:?}");
        assert!(took < Duration::from_millis(most), "{behaviour} took {took:?}");
    }
}

#[tokio::test]
async fn a_caller_who_leaves_is_billed_for_what_was_sent() {
    let rig = Rig::new("in=11;out=5000;reasoning=2;tps=100", 1);
    for http2 in [false, true] {
        let caller = rig.caller(http2);
        let id = format!("leaves http2={http2}");
        let headers = [("authorization", "Bearer any"), ("x-client-request-id", id.as_str())];
        let body = json!({"model": "sim-small", "messages": [], "stream": true}).to_string();
        let mut response = caller.send("POST", "/v1/chat/completions", &headers, &body).await.unwrap();
        let mut got = String::new();
        while !got.contains(" counts") {
            let data = response.frame().await.unwrap().unwrap().into_data().unwrap();
            got.push_str(std::str::from_utf8(&data).unwrap());
        }
        drop(response);
        let line = caller.line(&id, true).await;
        assert_eq!((&line["finished"], &line["status"]), (&json!(false), &json!(200)), "{line}");
        assert_eq!((&line["prompt_tokens"], &line["reasoning_tokens"]), (&json!(11), &json!(2)), "{line}");
        let got = got.matches("{\"content\":\" ").count() as u64 + 1;
        let sent = line["completion_tokens"].as_u64().unwrap() - 2;
        assert!((got..got + 100).contains(&sent), "{got} arrived, {sent} were logged");
    }
}

#[tokio::test]
async fn a_caller_who_leaves_before_the_answer_is_billed_for_the_prompt() {
    let rig = Rig::new("in=11;latency_ms=60000", 1);
    for (id, stream) in [("streaming", true), ("in one piece", false)] {
        let caller = rig.caller(false);
        let headers = [("authorization", "Bearer any"), ("x-client-request-id", id)];
        let body = json!({"model": "sim-small", "messages": [], "stream": stream}).to_string();
        let seen = caller.see([200, 200], "POST", "/v1/chat/completions", &headers, &body).await;
        assert_eq!(seen.status, None);
        let line = caller.line(id, true).await;
        let told = [&line["finished"], &line["status"], &line["prompt_tokens"], &line["completion_tokens"]];
        assert_eq!(told, [&json!(false), &json!(0), &json!(11), &json!(0)], "{line}");
    }
}

#[tokio::test]
async fn the_head_trickles() {
    let rig = Rig::new("in=1", 1);
    let body = json!({"model": "sim-small?fault=slow_headers;latency_ms=200", "messages": []});
    let began = Instant::now();
    let seen = rig.caller(false).chat(&body).await;
    assert_eq!(seen.status.unwrap(), 200);
    assert!(began.elapsed() >= Duration::from_millis(200), "{:?}", began.elapsed());
}

#[tokio::test]
async fn stopping_ends_calls_and_frees_the_port() {
    let rig = Rig::new("in=11;tps=1;out=100", 2);
    let (caller, addr) = (rig.caller(false), rig.mock.addr());
    let headers = [("authorization", "Bearer any"), ("x-client-request-id", "stopped")];
    let body = json!({"model": "sim-small", "messages": [], "stream": true}).to_string();
    let mut response = caller.send("POST", "/v1/chat/completions", &headers, &body).await.unwrap();
    assert!(response.frame().await.unwrap().is_ok());
    let Rig { mock, dir } = rig;
    mock.stop();
    let line = caller.line("stopped", false).await;
    assert_eq!((&line["finished"], &line["prompt_tokens"]), (&json!(false), &json!(11)), "{line}");
    while let Some(frame) = response.frame().await {
        if frame.is_err() {
            break;
        }
    }
    assert!(caller.send("POST", "/v1/chat/completions", &headers, &body).await.is_err());
    let again = Mock::start(Options { listen: addr, ..Options::default() }).unwrap();
    assert_eq!(again.addr(), addr);
    drop(dir);
}

#[test]
fn running_ends_when_told() {
    for by_message in [true, false] {
        let (stop, stopped) = mpsc::channel();
        let mut served = None;
        let ready = |mock: &Mock| {
            served = Some(mock.addr());
            assert!(std::net::TcpStream::connect(mock.addr()).is_ok());
            if by_message {
                stop.send(()).unwrap();
            }
            drop(stop);
        };
        run(Options::default(), ready, &stopped).unwrap();
        assert!(std::net::TcpStream::connect(served.unwrap()).is_err());
    }
}

#[test]
fn a_taken_port_and_a_log_that_cannot_be_opened_are_told() {
    let mock = Mock::start(Options::default()).unwrap();
    let taken = Options { listen: mock.addr(), ..Options::default() };
    assert_eq!(Mock::start(taken).err().unwrap().kind(), std::io::ErrorKind::AddrInUse);
    let nowhere = Options { truth_log: Some("/nowhere/at/all".into()), ..Options::default() };
    assert_eq!(Mock::start(nowhere).err().unwrap().kind(), std::io::ErrorKind::NotFound);
}
