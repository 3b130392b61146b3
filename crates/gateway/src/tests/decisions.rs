//! What is recorded of a request: the layers it passed, what each saw, and the one that stopped it.

use bytes::Bytes;
use dialect::Endpoint;
use directory::InFlight;
use domain::{BudgetId, Money, RequestId, WalletId, Zone};
use http::Request;
use http_body_util::{BodyExt, Full};
use ledger::{Act, Budget, Caps, Denial, LedgerError, Period, Subject};
use serde_json::{Value, json};

use super::house::{House, Manner, answer};
use crate::{Decision, Failure};

const CALL: &str =
    r#"{"model":"m","messages":[{"role":"user","content":"a secret thought"}],"max_tokens":5}"#;

/// Calls with this header of authorization, and answers the decision and what it says.
async fn decided(house: &House, authorization: Option<&str>, body: &str) -> (Decision, Value) {
    let mut request = Request::builder().method("POST");
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap();
    let id = RequestId::from_bytes([9; 16]);
    let response = house.gateway.serve(Endpoint::Chat, id, None, request).await;
    drop(response.into_body().collect().await.unwrap());
    let mut decisions = house.decisions();
    let decision = decisions.pop().unwrap();
    assert_eq!((decisions, decision.request), (vec![], id), "one decision for each request");
    assert!(!decision.body.contains("secret thought"), "{}", decision.body);
    for key in house.keys.values() {
        assert!(!decision.body.contains(key), "{}", decision.body);
    }
    let body = serde_json::from_str(&decision.body).unwrap();
    (decision, body)
}

fn layers(body: &Value) -> Vec<&str> {
    body["layers"].as_array().unwrap().iter().map(|layer| layer["owner"].as_str().unwrap()).collect()
}

fn bearer(house: &House, key: &str) -> Option<String> {
    Some(format!("Bearer {}", house.keys[key]))
}

#[tokio::test]
async fn a_prompt_that_was_counted_is_on_record() {
    let house = House::new(InFlight::Completes, 0, answer(3)).await;
    let body = r#"{"model":"m","messages":[{"role":"user","content":"a secret thought"}]}"#;
    let key = Some(house.keys["laptop"].as_str());
    let manner = Manner { key, endpoint: Some(Endpoint::CountTokens), ..Manner::default() };
    let headers = [("anthropic-version", "2023-06-01")];
    let got = house.ask(Manner { headers: &headers, ..manner }, body).await;
    let decision = house.decisions().pop().unwrap();
    let decided: Value = serde_json::from_str(&decision.body).unwrap();
    assert_eq!(layers(&decided), ["key", "project", "model_access", "region", "route", "rate_limit"]);
    // The provider of the house has no such answer.
    assert_eq!((got.status.as_u16(), decision.refused), (502, true), "{}", got.body);
    assert_eq!(decided["stopped"]["kind"], "upstream_garbage");
    assert!(!decided["stopped"]["message"].as_str().unwrap().is_empty());
    assert!(house.rows().is_empty() && !decision.body.contains("secret"));
}

#[tokio::test]
async fn an_admitted_call_tells_what_each_layer_saw_and_where_it_went() {
    let house = House::new(InFlight::Completes, 1_000_000_000, answer(3)).await;
    let (decision, body) = decided(&house, bearer(&house, "laptop").as_deref(), CALL).await;
    assert!(!decision.refused);
    assert_eq!(decision.organization, Some(house.organization));
    assert_eq!(
        layers(&body),
        ["key", "project", "model_access", "region", "route", "usage_limit", "rate_limit", "billing"]
    );
    let saw = |place: usize| &body["layers"][place]["saw"];
    assert_eq!(saw(0)["name"], "laptop");
    assert!(saw(0)["redacted"].as_str().unwrap().starts_with("tk-") && saw(0)["expires_at"].is_null());
    assert_eq!((&saw(1)["environment"], &saw(1)["data_class"]), (&json!("dev"), &json!("internal")));
    assert_eq!(saw(2), &json!({ "model": "m", "route": "m" }));
    assert_eq!(saw(4)["target"], "p/m");
    assert_eq!(saw(5)["asked"], saw(7)["asked"]);
    assert_eq!(saw(7)["held"], house.rows()[0].held.to_string());
    assert_eq!(body["taken"], json!({ "provider": "p" }));
    let acme = json!({ "organization": { "id": house.organization, "name": "Acme" } });
    assert_eq!(body["caller"], acme, "the rest stands with the layers");
    assert!(decision.body.len() < 900, "{}: {}", decision.body.len(), decision.body);
    assert_eq!(body["endpoint"], "chat");
    assert!(body.get("stopped").is_none());
    // A pattern's model tells which one it matched.
    let (_, body) =
        decided(&house, bearer(&house, "laptop").as_deref(), &CALL.replace("\"m\"", "\"many/m\"")).await;
    assert_eq!(body["layers"][2]["saw"], json!({ "model": "many/m", "route": "many/*" }));
}

#[tokio::test]
async fn what_refuses_names_itself_after_the_layers_before_it() {
    let house = House::new(InFlight::Completes, 1_000_000_000, answer(3)).await;
    let laptop = bearer(&house, "laptop");
    let foreign = Some("Bearer sk-live-0123456789abcdef0123456789".to_owned());
    let call = |model: &str| CALL.replace("\"m\"", &format!("\"{model}\""));
    let plain = call("m");
    let tier = CALL.replace("\"max_tokens\"", "\"service_tier\":\"priority\",\"max_tokens\"");
    let (nobody, known) = (&[][..], &["key", "project"][..]);
    let cases = [
        (None, &plain, nobody, "key", "missing_key", false),
        (foreign, &plain, nobody, "key", "invalid_key", false),
        (bearer(&house, "expired"), &plain, nobody, "key", "expired_key", true),
        (bearer(&house, "disabled"), &plain, nobody, "key", "disabled_key", true),
        (bearer(&house, "of a closed one"), &plain, &["key"][..], "project", "project_archived", true),
        (laptop.clone(), &call("nowhere"), known, "model_access", "model_not_found", true),
        (laptop.clone(), &call("unpriced"), known, "model_access", "model_unpriced", true),
        (laptop.clone(), &"{".to_owned(), known, "", "bad_request", true),
        (laptop.clone(), &tier, known, "", "bad_request", true),
    ];
    for (authorization, request, passed, owner, code, caller) in cases {
        let (decision, body) = decided(&house, authorization.as_deref(), request).await;
        let stopped = &body["stopped"];
        let names = (decision.refused, decision.organization.is_some(), body["caller"].is_object());
        assert_eq!(names, (true, caller, caller), "{code}");
        assert_eq!(layers(&body), passed, "{code}");
        assert_eq!(body["caller"]["key"].is_object(), caller && passed.len() < 2, "{code}: named once");
        assert_eq!(stopped["owner"].as_str().unwrap_or_default(), owner, "{code}");
        let kind = if owner.is_empty() { code } else { "refused" };
        assert_eq!(stopped["kind"], kind, "{code}");
        if !owner.is_empty() {
            assert_eq!(stopped["code"], code);
        }
        assert!(!stopped["message"].as_str().unwrap().is_empty(), "{code}");
        assert!(!stopped["next_step"].as_str().unwrap().is_empty(), "{code}");
        assert!(body.get("taken").is_none());
    }
}

#[tokio::test]
async fn what_the_books_refuse_comes_after_the_route() {
    let house = House::new(InFlight::Completes, 1_000_000_000, answer(3)).await;
    let (at_route, at_budget) = (
        &["key", "project", "model_access", "region", "route"][..],
        &["key", "project", "model_access", "region", "route", "usage_limit", "rate_limit"][..],
    );
    let nano = Money::from_nano;
    let short = Denial::InsufficientCredit { available: nano(1), needed: nano(2) };
    let owing = Denial::InDebt { wallet: WalletId::from_bytes([1; 16]), debt: nano(3) };
    for (error, passed, owner, word) in [
        (LedgerError::Denied(short), at_budget, "billing", "credit_exhausted"),
        (LedgerError::Denied(owing), at_budget, "billing", "wallet_in_debt"),
        (LedgerError::Denied(Denial::Frozen), at_route, "billing", "wallet_frozen"),
        (LedgerError::Busy, at_route, "", "server_is_overloaded"),
        (LedgerError::Stopped, at_route, "", "ledger_unavailable"),
    ] {
        *house.gate.denies.lock().unwrap() = Some(error);
        let (decision, body) = decided(&house, bearer(&house, "laptop").as_deref(), CALL).await;
        assert_eq!((decision.refused, layers(&body)), (true, passed.to_vec()), "{word}");
        assert_eq!(body["stopped"]["owner"].as_str().unwrap_or_default(), owner, "{word}");
        assert_eq!(body["stopped"]["code"], word);
    }
    let budget = Budget {
        id: BudgetId::from_bytes([4; 16]),
        subject: Subject::Organization,
        period: Period::Monthly,
        zone: Zone::default(),
        caps: Caps { steps: Some(0), ..Caps::default() },
        hard: true,
        thresholds: Vec::new(),
    };
    house.book(Act::SetBudget(budget)).await;
    let (_, body) = decided(&house, bearer(&house, "laptop").as_deref(), CALL).await;
    assert_eq!(layers(&body), at_route);
    let stopped = &body["stopped"];
    assert_eq!(
        (&stopped["owner"], &stopped["code"]),
        (&json!("usage_limit"), &json!("organization_budget_exceeded"))
    );
    assert_eq!((&stopped["limit"], &stopped["used"]), (&json!("0"), &json!("0")));
    assert!(
        stopped["resets_at"].is_string() && stopped["next_step"].as_str().unwrap().contains("budgets set")
    );
}

#[tokio::test]
async fn a_call_that_is_turned_away_at_the_door_is_recorded_too() {
    let house = House::new(InFlight::Completes, 0, answer(3)).await;
    let id = RequestId::from_bytes([8; 16]);
    house.gateway.turned_away(Endpoint::Chat, id, &Failure::Draining);
    let decision = house.decisions().pop().unwrap();
    let body: Value = serde_json::from_str(&decision.body).unwrap();
    assert_eq!((decision.request, decision.organization, decision.refused), (id, None, true));
    assert_eq!((layers(&body), &body["stopped"]["kind"]), (vec![], &json!("draining")));
}
