//! Several models in one call: tried in the caller's order, each by its own rights, limits, wallets and price.

use directory::{AccessMode, InFlight, LimitSubject, Mandate, ModelAccess, ProjectChanges};
use domain::{Clock, LotId, Money, Timestamp, WalletId};
use ledger::{Act, Grant, LotKind, Purpose};
use serde_json::{Value, json};

use super::house::{Got, House, Steady};
use super::rates::requests;
use super::stage::{Actor, Play, Stage, quick};
use crate::{Capability, Route, Routes, Shared, TargetRules};

const CREDIT: i64 = 1_000_000_000;

/// A stage on which each target is a model of its own: `a`, `b`, `c`.
async fn models(credit: i64, actors: &[Actor]) -> Stage {
    models_by(InFlight::Completes, credit, actors).await
}

/// The same, where calls end so at the end of the money.
async fn models_by(in_flight: InFlight, credit: i64, actors: &[Actor]) -> Stage {
    let mut stage = Stage::new(in_flight, credit, actors, quick()).await;
    stage.house.alter(|old| {
        let targets = old.routes.find("m").unwrap().targets.clone();
        let routes = ["a", "b", "c"].into_iter().zip(targets);
        let routes = routes.map(|(model, target)| Route::new(model, vec![target]));
        Shared { routes: Routes::new(routes), ..House::copy(old) }
    });
    stage
}

fn playing(plays: &[Play]) -> Vec<Actor> {
    plays.iter().map(|play| Actor::new([*play])).collect()
}

/// A call of `model`, if any, and `models`.
fn body(model: Option<&str>, models: &[&str]) -> String {
    let mut body =
        json!({ "models": models, "messages": [{ "role": "user", "content": "hi" }], "max_tokens": 50 });
    if let Some(model) = model {
        body["model"] = model.into();
    }
    body.to_string()
}

/// The models and reasons of a call's rows, after its hold has ended.
fn rows(stage: &Stage) -> Vec<(String, String)> {
    assert!(stage.house.books().holds.is_empty(), "the hold has ended");
    let rows = stage.house.rows();
    rows.iter().map(|row| (row.model.to_string(), row.reason.to_string())).collect()
}

fn taken(stage: &Stage) -> Value {
    let decision = stage.house.decisions().pop().unwrap();
    serde_json::from_str::<Value>(&decision.body).unwrap()["taken"].clone()
}

fn model_of(got: &Got) -> &str {
    got.headers.get("x-tollkeeper-model").map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn the_next_model_is_called_after_any_failure_of_the_one_before() {
    let (fails, refuses) = (Play::Status(500), Play::Status(400));
    let answers = Play::Answer(3);
    let failed = |model: &str| (model.to_owned(), "upstream_error".to_owned());
    let refused = |model: &str| (model.to_owned(), "upstream_rejected".to_owned());
    let done = |model: &str| (model.to_owned(), "complete".to_owned());
    for (plays, named, listed, status, expected) in [
        ([answers, answers, answers], Some("a"), &["b"][..], 200, vec![done("a")]),
        ([fails, answers, answers], Some("a"), &["b", "c"], 200, vec![failed("a"), done("b")]),
        ([fails, answers, answers], None, &["a", "c"], 200, vec![failed("a"), done("c")]),
        (
            [fails, fails, answers],
            Some("b"),
            &["a", "b", "c"],
            200,
            vec![failed("b"), failed("a"), done("c")],
        ),
        // What one model refuses, another may take; by itself a refusal is the end.
        ([refuses, answers, answers], Some("a"), &["c"], 200, vec![refused("a"), done("c")]),
        ([refuses, answers, answers], Some("a"), &[], 400, vec![refused("a")]),
        ([fails, refuses, answers], Some("a"), &["b"], 400, vec![failed("a"), refused("b")]),
    ] {
        let stage = models(CREDIT, &playing(&plays)).await;
        let got = stage.house.call(1, &body(named, listed)).await;
        assert_eq!((got.status.as_u16(), rows(&stage)), (status, expected.clone()), "{}", got.body);
        let told = if status == 200 && !listed.is_empty() { expected.last().unwrap().0.as_str() } else { "" };
        assert_eq!(model_of(&got), told);
        let first = named.or(listed.first().copied()).unwrap();
        let seen: Vec<&str> = listed.iter().copied().filter(|model| *model != first).collect();
        let asked: Vec<&str> = std::iter::once(first).chain(seen).collect();
        let asked = if asked.len() > 1 { json!(asked) } else { Value::Null };
        assert_eq!(taken(&stage)["models"], asked);
    }
}

#[tokio::test]
async fn a_model_that_the_project_may_not_use_is_left_out_and_a_name_nobody_knows_is_a_mistake() {
    let plays = [Play::Status(500), Play::Answer(1), Play::Answer(1)];
    let only = |names: &[&str]| {
        let models = names.iter().map(|name| (*name).to_owned()).collect();
        let access = ModelAccess { mode: AccessMode::Allow, models };
        ProjectChanges { models: Some(Some(access)), ..ProjectChanges::default() }
    };
    // What may be used, and what is asked for; the models of the rows, and what was left out.
    for (allowed, asked, called, left_out) in [
        (&["a", "c"][..], ["a", "b", "c"], &["a", "c"][..], json!([["b", "model_not_allowed"]])),
        (&["c"], ["a", "b", "c"], &["c"], json!([["a", "model_not_allowed"], ["b", "model_not_allowed"]])),
    ] {
        let stage = models(CREDIT, &playing(&plays)).await;
        let (ids, now) = (Steady::default(), stage.house.clock.now());
        let project = stage.house.project;
        stage.house.service.update_project(project, only(allowed), &Mandate::operator(&ids, now)).unwrap();
        let got = stage.house.call(1, &body(None, &asked)).await;
        assert_eq!(got.status.as_u16(), 200, "{}", got.body);
        assert_eq!(rows(&stage).iter().map(|(model, _)| model.as_str()).collect::<Vec<_>>(), called);
        assert_eq!(taken(&stage)["left_out"], left_out);
        // If none may be used, its owner says so.
        let got = stage.house.call(2, &body(Some("b"), &["b"])).await;
        assert_eq!(
            (got.status.as_u16(), got.body.contains("model_not_allowed")),
            (403, true),
            "{}",
            got.body
        );
        let got = stage.house.call(3, &body(Some("c"), &["a", "nobody"])).await;
        assert_eq!(got.status.as_u16(), 404);
        assert!(got.body.contains("Invalid 'models[1]': The model `nobody` does not exist"), "{}", got.body);
    }
}

/// Puts credit for these models alone into a wallet of its own.
async fn endow(stage: &Stage, wallet: u8, models: &[&str], nano: i64) {
    let id = WalletId::from_bytes([wallet; 16]);
    let models = models.iter().map(|model| Box::from(*model)).collect();
    let purpose = Purpose { name: "some".into(), models, ..Purpose::default() };
    stage.house.book(Act::OpenWallet { wallet: id, purpose }).await;
    stage
        .house
        .book(Act::Grant(Grant {
            wallet: Some(id),
            lot: LotId::from_bytes([wallet; 16]),
            kind: LotKind::Promo,
            amount: Money::from_nano(nano),
            expires_at: Timestamp::MAX,
        }))
        .await;
}

#[tokio::test]
async fn a_wallet_for_one_model_pays_for_no_other_one() {
    let plays = [Play::Status(500), Play::Answer(7), Play::Answer(1)];
    // Ten tokens in, seven out.
    let cost = 10 * 1_000 + 7 * 10_000;
    // Credit of the organization's own; what the two wallets are for; what each has spent in the end, and the status.
    for (own, first, second, spent, status) in [
        // The second model's wallet pays for it, though the hold began with the first one's.
        (0, "a", "b", [0, 0, cost], 200),
        (CREDIT, "a", "b", [0, 0, cost], 200),
        (CREDIT, "a", "a", [cost, 0, 0], 200),
        // By the target's name it is the same.
        (CREDIT, "p0/*", "p1/m", [0, 0, cost], 200),
        // Nobody pays for the second model: it is not called, and the failure is the first one's.
        (0, "a", "c", [0, 0, 0], 502),
    ] {
        let stage = models(own, &playing(&plays)).await;
        endow(&stage, 2, &[first], CREDIT).await;
        endow(&stage, 3, &[second, "x"], CREDIT).await;
        let got = stage.house.call(1, &body(Some("a"), &["b"])).await;
        assert_eq!(got.status.as_u16(), status, "{first} {second}: {}", got.body);
        let called = if status == 200 { vec!["p0", "p1"] } else { vec!["p0"] };
        assert_eq!(stage.called(), called);
        assert_eq!(rows(&stage).len(), called.len());
        let books = stage.house.books();
        let left: Vec<i64> = books.wallets.iter().map(|wallet| wallet.balance.nano()).collect();
        let before = [own, CREDIT, CREDIT];
        assert_eq!(left, before.iter().zip(spent).map(|(had, spent)| had - spent).collect::<Vec<_>>());
        assert!(books.wallets.iter().all(|wallet| wallet.held.is_zero() && wallet.debt.is_zero()));
    }
}

#[tokio::test]
async fn a_model_whose_circuit_is_open_is_passed_by_unless_nobody_pays_for_the_next_one() {
    let cheap = Actor { price: ("0.1", "1"), ..Actor::new([Play::Answer(7)]) };
    let broken = Actor::new([Play::Status(500), Play::Answer(7)]);
    let body = body(Some("a"), &["b"]);
    let input = i64::try_from(body.len() + 16).unwrap() * 1_000;
    // Credit for 30 tokens of the first model, and who may spend it.
    for (models_paid, called, cap) in [("a", &["p0", "p0"][..], "30"), ("*", &["p0", "p1", "p1"], "")] {
        let actors = [broken.clone(), cheap.clone()];
        let stage = models_by(InFlight::Stops, 0, &actors).await.opening_after(1);
        endow(&stage, 2, &[models_paid], input + 30 * 10_000).await;
        let got = stage.house.call(1, &body).await;
        assert_eq!(got.status.as_u16(), if models_paid == "a" { 502 } else { 200 }, "{}", got.body);
        // What is held pays for as much as the price of the model allows where the call stays in the end.
        let got = stage.house.call(2, &body).await;
        assert_eq!(
            (got.status.as_u16(), stage.called()),
            (200, called.iter().map(ToString::to_string).collect())
        );
        let told = got.headers.get("x-tollkeeper-output-cap").map_or("", |value| value.to_str().unwrap());
        assert_eq!(told, cap);
        assert_eq!(stage.house.debt(), 0);
    }
}

#[tokio::test]
async fn a_call_goes_on_at_a_dearer_model_only_if_that_is_paid_for() {
    let cheap = |play| Actor { price: ("0.10", "0.20"), ..Actor::new([play]) };
    let dear = Actor { price: ("3", "75"), ..Actor::new([Play::Answer(50)]) };
    let body = body(Some("a"), &["b"]);
    let input = i64::try_from(body.len() + 16).unwrap();
    let (cheapest, dearest) = (input * 100 + 50 * 200, input * 3_000 + 50 * 75_000);
    // The credit, what the cheap model does; the status, and who is called.
    for (credit, play, status, called) in [
        (dearest, Play::Status(500), 200, &["p0", "p1"][..]),
        (dearest - 1, Play::Status(500), 502, &["p0"]),
        // Who cannot pay for the second model can have the first.
        (cheapest, Play::Answer(50), 200, &["p0"]),
        (cheapest - 1, Play::Answer(50), 429, &[]),
    ] {
        for in_flight in [InFlight::Completes, InFlight::Stops] {
            let stage = models_by(in_flight, credit, &[cheap(play), dear.clone()]).await;
            let got = stage.house.call(1, &body).await;
            let (in_flight, stops) = (format!("{in_flight:?}"), in_flight == InFlight::Stops);
            // Calls that stop go with less, and with a cap that says so.
            let (status, called) = match (stops, credit) {
                (true, credit) if credit == dearest - 1 => (200, &["p0", "p1"][..]),
                (true, credit) if credit == cheapest - 1 => (200, &["p0"][..]),
                _ => (status, called),
            };
            assert_eq!(got.status.as_u16(), status, "{in_flight} {credit}: {}", got.body);
            assert_eq!(stage.called(), called, "{in_flight} {credit}");
            assert!(stage.house.books().holds.is_empty());
            assert_eq!(stage.house.debt(), 0);
        }
    }
}

#[tokio::test]
async fn what_a_model_was_refused_for_goes_to_no_other_target_of_it() {
    // `a` has two targets, `b` one, whose circuit is open: still it is the only one that may take the request.
    let plays = [&[Play::Status(400)][..], &[Play::Answer(1)], &[Play::Status(500), Play::Answer(1)]];
    let actors: Vec<Actor> = plays.iter().map(|plays| Actor::new(plays.iter().copied())).collect();
    let mut stage = Stage::new(InFlight::Completes, CREDIT, &actors, quick()).await.opening_after(1);
    stage.house.alter(|old| {
        let mut targets = old.routes.find("m").unwrap().targets.clone();
        let last = targets.split_off(2);
        let routes = Routes::new([Route::new("a", targets), Route::new("b", last)]);
        Shared { routes, ..House::copy(old) }
    });
    assert_eq!(stage.house.call(1, &body(Some("b"), &[])).await.status.as_u16(), 502);
    let got = stage.house.call(2, &body(Some("a"), &["b"])).await;
    assert_eq!((got.status.as_u16(), model_of(&got)), (200, "b"), "{}", got.body);
    assert_eq!(stage.called(), ["p2", "p0", "p2"]);
}

#[tokio::test]
async fn each_model_counts_under_its_own_limits() {
    // A limit of one call a minute for the first model: the second call goes to the second model at once.
    let stage = models(CREDIT, &playing(&[Play::Answer(1), Play::Answer(1), Play::Answer(1)])).await;
    stage.house.limit(LimitSubject::Organization, "a", requests(1));
    for (number, model) in [(1, "a"), (2, "b"), (3, "b")] {
        let got = stage.house.call(number, &body(Some("a"), &["b"])).await;
        assert_eq!((got.status.as_u16(), model_of(&got)), (200, model), "{}", got.body);
    }
    assert_eq!(taken(&stage)["left_out"], json!([["a", "requests_per_minute_exceeded"]]));
    let got = stage.house.call(4, &body(Some("a"), &[])).await;
    assert_eq!(got.status.as_u16(), 429);

    // A call that goes on at the second model counts there, and no longer at the first one.
    let stage = models(CREDIT, &playing(&[Play::Status(500), Play::Answer(1), Play::Answer(1)])).await;
    stage.house.limit(LimitSubject::Organization, "a", requests(1));
    stage.house.limit(LimitSubject::Organization, "b", requests(2));
    for (number, called) in [(1, ["p0", "p1"]), (2, ["p0", "p1"]), (3, ["p0", "p2"])] {
        stage.called.lock().unwrap().clear();
        let got = stage.house.call(number, &body(Some("a"), &["b", "c"])).await;
        assert_eq!((got.status.as_u16(), stage.called()), (200, called.map(str::to_owned).to_vec()));
    }
    assert!(stage.house.books().holds.is_empty());
}

#[tokio::test]
async fn a_model_that_cannot_do_what_the_call_needs_is_passed_by() {
    let can = |capabilities: &[Capability]| {
        let rules = TargetRules { capabilities: Some(capabilities.to_vec()), ..TargetRules::default() };
        Actor { rules, ..Actor::new([Play::Answer(1)]) }
    };
    let tools =
        body(Some("a"), &["b"]).replace("\"max_tokens\"", r#""tools":[{"type":"function"}],"max_tokens""#);
    for (first, second, called) in [
        (can(&[]), can(&[Capability::Tools]), "p1"),
        (can(&[Capability::Tools]), can(&[]), "p0"),
        // Where none can, the providers say so.
        (can(&[]), can(&[]), "p0"),
    ] {
        let stage = models(CREDIT, &[first, second]).await;
        stage.house.call(1, &tools).await;
        assert_eq!(stage.called(), [called]);
    }
}
