//! Requests that are wrong, and who may ask.

use serde_json::{Value, json};

use super::client::{PATIENT, Rig};

const CHAT: &str = "/v1/chat/completions";
const EMBEDDINGS: &str = "/v1/embeddings";

#[tokio::test]
async fn malformed_requests_name_their_field() {
    let rig = Rig::new("", 1);
    let caller = rig.caller(false);
    let hi = r#""messages":[{"role":"user","content":"hi"}]"#;
    let with = |fields: &str| format!(r#"{{"model":"m",{hi},{fields}}}"#);
    let embed = |fields: &str| format!(r#"{{"model":"m","input":"a",{fields}}}"#);
    let table = [
        (CHAT, String::new(), json!(null), json!(null)),
        (CHAT, "{".to_owned(), json!(null), json!(null)),
        (CHAT, "[]".to_owned(), json!(null), json!(null)),
        (CHAT, "{}".to_owned(), json!("model"), json!("missing_required_parameter")),
        (CHAT, r#"{"model":7}"#.to_owned(), json!("model"), json!("invalid_type")),
        (CHAT, format!(r#"{{"model":"",{hi}}}"#), json!("model"), json!("invalid_value")),
        (CHAT, format!(r#"{{"model":"m?speed=1",{hi}}}"#), json!("model"), json!("invalid_value")),
        (CHAT, r#"{"model":"m"}"#.to_owned(), json!("messages"), json!("missing_required_parameter")),
        (CHAT, r#"{"model":"m","messages":"hi"}"#.to_owned(), json!("messages"), json!("invalid_type")),
        (CHAT, r#"{"model":"m","messages":[]}"#.to_owned(), json!("messages"), json!("invalid_value")),
        (CHAT, r#"{"model":"m","messages":["hi"]}"#.to_owned(), json!("messages[0]"), json!("invalid_type")),
        (
            CHAT,
            r#"{"model":"m","messages":[{},{"content":3}]}"#.to_owned(),
            json!("messages[1].content"),
            json!("invalid_type"),
        ),
        (CHAT, with(r#""stream":"yes""#), json!("stream"), json!("invalid_type")),
        (CHAT, with(r#""stream_options":{}"#), json!("stream_options"), json!("invalid_value")),
        (CHAT, with(r#""stream":true,"stream_options":[]"#), json!("stream_options"), json!("invalid_type")),
        (CHAT, with(r#""n":0"#), json!("n"), json!("invalid_value")),
        (CHAT, with(r#""n":129"#), json!("n"), json!("invalid_value")),
        (CHAT, with(r#""max_tokens":0"#), json!("max_tokens"), json!("invalid_value")),
        (CHAT, with(r#""max_tokens":-1"#), json!("max_tokens"), json!("invalid_type")),
        (CHAT, with(r#""max_completion_tokens":1.5"#), json!("max_completion_tokens"), json!("invalid_type")),
        (EMBEDDINGS, r#"{"model":"m"}"#.to_owned(), json!("input"), json!("missing_required_parameter")),
        (EMBEDDINGS, r#"{"model":"m","input":[]}"#.to_owned(), json!("input"), json!("invalid_value")),
        (EMBEDDINGS, r#"{"model":"m","input":{}}"#.to_owned(), json!("input"), json!("invalid_type")),
        (EMBEDDINGS, r#"{"model":"m","input":["a",{}]}"#.to_owned(), json!("input"), json!("invalid_type")),
        (EMBEDDINGS, embed(r#""dimensions":0"#), json!("dimensions"), json!("invalid_value")),
        (EMBEDDINGS, embed(r#""encoding_format":"hex""#), json!("encoding_format"), json!("invalid_value")),
    ];
    for (path, body, param, code) in table {
        let seen = caller.see(PATIENT, "POST", path, &[("authorization", "Bearer any")], &body).await;
        assert_eq!(seen.status.unwrap(), 400, "{body}: {}", seen.body);
        let error = seen.json()["error"].take();
        assert_eq!(error["type"], "invalid_request_error", "{body}");
        assert_eq!((&error["param"], &error["code"]), (&param, &code), "{body}: {error}");
        assert_eq!(error.as_object().unwrap().len(), 4, "{error}");
        assert!(error["message"].as_str().unwrap().contains(param.as_str().unwrap_or("JSON")), "{error}");
        let line = caller.truth().pop().unwrap();
        assert_eq!(line["model"] == "m", body.contains(r#""model":"m"#), "{body}: {line}");
        assert_eq!((&line["status"], &line["prompt_tokens"]), (&json!(400), &json!(0)), "{body}");
    }
}

#[tokio::test]
async fn a_bearer_token_is_wanted_unless_told_otherwise() {
    type Headers = &'static [(&'static str, &'static str)];
    let table: [(&str, &str, Headers, u16); 9] = [
        ("", "", &[], 401),
        ("", "", &[("authorization", "Bearer ")], 401),
        ("", "", &[("authorization", "Basic abc")], 401),
        ("", "", &[("authorization", "bearer x")], 200),
        ("", "?auth=off", &[], 200),
        ("", "", &[("x-mock", "auth=off")], 200),
        ("auth=off", "", &[], 200),
        ("auth=off", "?auth=on", &[], 401),
        ("auth=off", "?auth=on", &[("x-mock", "auth=off")], 200),
    ];
    for (defaults, suffix, headers, status) in table {
        let rig = Rig::new(defaults, 1);
        let body =
            json!({"model": format!("sim-small{suffix}"), "messages": [{"content": "hi"}]}).to_string();
        let seen = rig.caller(false).see(PATIENT, "POST", CHAT, headers, &body).await;
        assert_eq!(seen.status.unwrap().as_u16(), status, "{defaults} {suffix} {headers:?}");
        if status == 401 {
            let error = seen.json()["error"].take();
            assert_eq!((&error["type"], &error["code"]), (&json!("invalid_request_error"), &Value::Null));
        }
    }
}

#[tokio::test]
async fn paths_and_methods_that_are_not_served() {
    let rig = Rig::new("", 1);
    let caller = rig.caller(false);
    let table = [
        ("GET", "/", 404, "Invalid URL (GET /)"),
        ("POST", "/chat/completions", 404, "Invalid URL (POST /chat/completions)"),
        ("GET", "/v1/models/", 404, "Invalid URL (GET /v1/models/)"),
        ("GET", "/v1/models/%zz", 404, "Invalid URL (GET /v1/models/%zz)"),
        ("GET", CHAT, 405, "Not allowed to GET on /v1/chat/completions."),
        ("DELETE", "/v1/models/sim-small", 405, "Not allowed to DELETE on /v1/models/sim-small."),
        ("GET", "/v1/models?x-mock=none", 401, "You didn't provide an API key."),
    ];
    for (method, path, status, message) in table {
        let seen = caller.see(PATIENT, method, path, &[], "").await;
        assert_eq!(seen.status.unwrap().as_u16(), status, "{method} {path}");
        let error = seen.json()["error"]["message"].take();
        assert!(error.as_str().unwrap().starts_with(message), "{method} {path}: {error}");
    }
    let headers = [("authorization", "Bearer any"), ("x-mock", "tps=fast")];
    let seen = caller.see(PATIENT, "GET", "/v1/models", &headers, "").await;
    assert_eq!((seen.status.unwrap().as_u16(), &seen.json()["error"]["param"]), (400, &json!("x-mock")));
}
