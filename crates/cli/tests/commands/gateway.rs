//! The commands that run a gateway or look at its files, as processes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use crate::harness::{Ran, Server, inside, tollkeeper};
use serde_json::Value;

/// The one line of JSON that a command printed.
fn data((code, data, said): Ran) -> Value {
    assert_eq!((code, said.as_str()), (0, ""), "{data}");
    assert_eq!(data.lines().count(), 1, "{data}");
    serde_json::from_str(&data).unwrap()
}

/// The gateway's address without `/v1`.
fn url(gateway: &Server) -> String {
    gateway.fact("base_url").trim_end_matches("/v1").to_owned()
}

#[test]
fn a_demo_takes_a_call_and_remembers_it() {
    let folder = tempfile::tempdir().unwrap();
    let demo_data = inside(folder.path(), "demo");
    let line = format!("demo --json --data {demo_data} --listen 127.0.0.1:0");

    let first = Server::start(&line, &[]);
    let key = first.fact("key").to_owned();
    let answer = first.chat(&key);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let request = answer.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap().to_owned();
    assert_eq!(first.stop("-INT"), Some(0));

    let second = Server::start(&line, &[]);
    assert_eq!(second.fact("key"), key);
    let operator_key = fs::read_to_string(inside(folder.path(), "demo/operator.key")).unwrap();
    let (url, variables) = (url(&second), [("TOLLKEEPER_OPERATOR_KEY", operator_key.as_str())]);
    let explained = data(tollkeeper(&format!("explain {request} --url {url}"), &variables));
    assert_eq!(
        (&explained["state"], &explained["attempts"][0]["status"]),
        (&"settled".into(), &"succeeded".into())
    );
    let organization = explained["attempts"][0]["org"].as_str().unwrap();
    let usage = data(tollkeeper(&format!("usage list --org {organization} --url {url}"), &variables));
    assert_eq!(usage["data"], explained["attempts"]);
    let balance = data(tollkeeper(&format!("credits balance --org {organization} --url {url}"), &variables));
    let amount = |value: &Value| value.as_str().unwrap().parse::<domain::Money>().unwrap();
    assert_eq!(
        amount(&balance["available"]).checked_add(amount(&explained["cost"])),
        "5.00".parse().ok(),
        "{balance}"
    );
    for secret in ["demo/demo.key", "demo/operator.key", "demo/key.pepper"] {
        let mode = fs::metadata(inside(folder.path(), secret)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }
    assert_eq!(second.stop("-TERM"), Some(0));
    let verified = data(tollkeeper(&format!("verify --data {demo_data}"), &[]));
    assert_eq!(
        (&verified["ok"], &verified["rows"], &verified["holds"]),
        (&true.into(), &1.into(), &0.into())
    );
}

#[test]
fn a_gateway_is_set_up_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let line = format!("serve --data {} --listen 127.0.0.1:0", inside(folder.path(), "data"));
    let gateway = Server::start(&line, &[]);
    let operator_key = gateway.fact("operator_key").to_owned();
    let url = url(&gateway);
    let run = |line: &str| {
        tollkeeper(
            line,
            &[("TOLLKEEPER_URL", url.as_str()), ("TOLLKEEPER_OPERATOR_KEY", operator_key.as_str())],
        )
    };
    let id = |made: &Value| made["id"].as_str().unwrap().to_owned();

    let organization = id(&data(run("org create Acme")));
    let project = id(&data(run(&format!("project create chat --org {organization} --environment prod"))));
    let key = data(run(&format!("keys create --project {project} --name laptop")));
    let refused = gateway.chat(key["secret"].as_str().unwrap());
    assert!(refused.starts_with("HTTP/1.1 429 "), "{refused}");
    let grant =
        format!("credits grant --org {organization} --amount 1.50 --kind prepaid --idempotency-key order-7");
    let granted = data(run(&grant));
    assert_eq!(data(run(&grant)), granted, "the same grant twice counts once");
    assert_eq!(data(run(&format!("credits balance --org {organization}")))["available"], "1.50");
    let answered = gateway.chat(key["secret"].as_str().unwrap());
    assert!(answered.starts_with("HTTP/1.1 200 OK\r\n"), "{answered}");

    let stranger = "org_01920000000070008000000000000001";
    for (line, code, words) in [
        (format!("project create x --org {stranger}"), 5, stranger),
        (format!("credits balance --org {stranger}"), 5, stranger),
        (grant.replace("1.50", "2.50"), 1, "Idempotency-Key"),
        (
            format!("credits grant --org {organization} --amount 1 --kind promo --expires 2020-01-01"),
            2,
            "expires_at",
        ),
    ] {
        let (found, printed, said) = run(&line);
        assert_eq!((found, printed.as_str()), (code, ""), "{line}: {said}");
        assert!(said.contains(words), "{line}: {said}");
    }
    let wrong =
        [("TOLLKEEPER_URL", url.as_str()), ("TOLLKEEPER_OPERATOR_KEY", key["secret"].as_str().unwrap())];
    let (code, _, said) = tollkeeper("org create x", &wrong);
    assert_eq!(code, 4, "{said}");

    assert_eq!(gateway.stop("-TERM"), Some(0));
    let again = Server::start(&line, &[]);
    assert!(again.ready.get("operator_key").is_none(), "it is shown once");
}

#[test]
fn a_stop_waits_for_calls_until_it_is_told_again() {
    let folder = tempfile::tempdir().unwrap();
    let demo_data = inside(folder.path(), "demo");
    let line = format!("demo --data {demo_data} --listen 127.0.0.1:0");
    let mut demo = Server::start(&line, &[]);
    let key = demo.fact("key").to_owned();
    let unanswered = demo.ask(&key, "sim-small?fault=hang");
    let held = || data(tollkeeper(&format!("verify --data {demo_data}"), &[]))["holds"].clone();
    let dispatched = (0..500).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        held() == 1
    });
    assert!(dispatched, "no call is held after five seconds");
    demo.signal("-TERM");
    std::thread::sleep(Duration::from_millis(300));
    assert!(demo.runs(), "it left a call behind");
    // Told twice, it leaves the call, and says so.
    assert_eq!(demo.stop("-TERM"), Some(1));
    drop(unanswered);

    assert_eq!(Server::start(&line, &[]).stop("-TERM"), Some(0));
    assert_eq!(held(), 0, "the next start settles it");
}

#[test]
fn a_written_configuration_is_checked_and_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let file = inside(folder.path(), "tollkeeper.toml");
    assert_eq!(data(tollkeeper(&format!("init {file}"), &[]))["file"], file.as_str());
    assert_eq!(data(tollkeeper(&format!("config check --config {file}"), &[]))["ok"], true);
    assert_eq!(data(tollkeeper("config check", &[]))["ok"], true);
    fs::write(&file, "wrong = 1\n[server]\nlisten = 7\n").unwrap();
    let (code, _, said) = tollkeeper(&format!("init {file}"), &[]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("exists already and was left as it is"), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "wrong = 1\n[server]\nlisten = 7\n");

    let (code, printed, said) = tollkeeper(&format!("config check --config {file}"), &[]);
    let checked: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(
        (code, &checked["ok"], checked["errors"].as_array().unwrap().len()),
        (6, &false.into(), 2),
        "{said}"
    );
    let serve = format!("serve --data {} --config {file}", inside(folder.path(), "data"));
    let (code, printed, said) = tollkeeper(&serve, &[]);
    assert_eq!((code, printed.as_str()), (1, ""), "{said}");
    assert!(said.contains("server.listen") && said.contains("`tollkeeper config check`"), "{said}");
    let (code, _, said) = tollkeeper(&format!("config check --config {file}.missing"), &[]);
    assert_eq!(code, 6, "{said}");
}

#[test]
fn looking_at_files_tells_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let (nowhere, fresh) = (inside(folder.path(), "nowhere"), inside(folder.path(), "fresh"));
    let (code, printed, said) = tollkeeper(&format!("verify --data {nowhere}"), &[]);
    assert_eq!((code, printed.as_str()), (1, ""), "{said}");
    assert!(said.contains("give the folder that `tollkeeper serve --data DIR` runs on"), "{said}");

    let gateway = Server::start(&format!("serve --data {fresh} --listen 127.0.0.1:0"), &[]);
    assert_eq!(
        data(tollkeeper(&format!("verify --data {fresh}"), &[]))["ok"],
        true,
        "beside a running gateway"
    );
    let (code, _, said) = tollkeeper(&format!("serve --data {fresh} --listen 127.0.0.1:0"), &[]);
    assert_eq!(code, 1, "two gateways took the same folder: {said}");
    assert_eq!(gateway.stop("-INT"), Some(0));

    let (code, printed, said) = tollkeeper(&format!("doctor --data {fresh}"), &[]);
    let diagnosis: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((code, &diagnosis["ok"]), (6, &false.into()), "{said}");
    let found: Vec<&Value> =
        diagnosis["checks"].as_array().unwrap().iter().filter(|check| check["ok"] == false).collect();
    assert!(found[0]["message"].as_str().unwrap().contains("no organization yet"), "{found:?}");
    assert!(found[0]["next_step"].as_str().unwrap().contains("org create"), "{found:?}");
}
