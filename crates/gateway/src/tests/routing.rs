//! Which target a call goes to first: by the route's strategy, by what the call needs, and by how the targets are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use directory::{DataClass, InFlight};
use domain::RequestId;

use super::contract::covering;
use super::house::{House, answer};
use super::stage::{Actor, Play, Stage, quick};
use crate::{BreakerRules, Capability, Contract, Strategy, TargetRules, Terms, Verified};

const BODY: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":50}"#;
const CREDIT: i64 = 100_000_000_000;

async fn by(strategy: Strategy, actors: &[Actor]) -> Stage {
    Stage::by(strategy, InFlight::Completes, CREDIT, actors, quick()).await
}

fn with(rules: TargetRules) -> Actor {
    Actor { rules, ..Actor::new([Play::Answer(1)]) }
}

/// How often each target was called.
fn counts(stage: &Stage) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for name in stage.called() {
        *counts.entry(name).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn the_cheapest_for_this_call_comes_first() {
    // Dear input and cheap output, and the other way round.
    let actors = [
        Actor { price: ("10", "1"), ..Actor::new([Play::Answer(1)]) },
        Actor { price: ("1", "10"), ..Actor::new([Play::Answer(1)]) },
        Actor { price: ("50", "50"), ..Actor::new([Play::Answer(1)]) },
    ];
    let long = BODY.replace("hi", &"long ".repeat(200)).replace("50}", "1}");
    for (body, first) in [(BODY, "p0"), (&long, "p1")] {
        let stage = by(Strategy::LowestCost, &actors).await;
        stage.house.call(1, body).await;
        assert_eq!(stage.called(), [first]);
        let decision: serde_json::Value =
            serde_json::from_str(&stage.house.decisions().pop().unwrap().body).unwrap();
        assert_eq!(
            (&decision["taken"]["by"], &decision["taken"]["then"][1]),
            (&"lowest_cost".into(), &"p2/m".into())
        );
    }
}

#[tokio::test]
async fn weights_deal_the_calls_out() {
    let weight = |weight| with(TargetRules { weight, ..TargetRules::default() });
    let stage = by(Strategy::Weighted, &[weight(3), weight(1), weight(0)]).await;
    for number in 0..200 {
        stage.house.call(number, BODY).await;
    }
    let counts = counts(&stage);
    assert!((125..=175).contains(&counts["p0"]) && counts["p0"] + counts["p1"] == 200, "{counts:?}");
    // Without any weight they stay as they are written.
    let stage = by(Strategy::Weighted, &[weight(0), weight(0)]).await;
    stage.house.call(1, BODY).await;
    assert_eq!(stage.called(), ["p0"]);
}

#[tokio::test]
async fn of_two_targets_the_sooner_one_is_called() {
    let slow = Actor::new([Play::Late(2, 1)]);
    let stage = by(Strategy::LowestLatency, &[slow, with(TargetRules::default())]).await;
    // The clock of the house moves with every look alone, so what takes long is told to it.
    for number in 0..20 {
        stage.house.call(number, BODY).await;
    }
    let routes = &stage.house.gateway.shared().routes;
    let health = routes.find("m").unwrap().targets[0].health.clone();
    health.began(&BreakerRules::default(), 0, 5_000_000);
    let before = counts(&stage).get("p0").copied().unwrap_or(0);
    for number in 20..40 {
        stage.house.call(number, BODY).await;
    }
    assert_eq!(counts(&stage).get("p0").copied().unwrap_or(0), before, "it has become slow");
}

#[tokio::test]
async fn who_lacks_what_a_call_needs_is_left_out() {
    let can = |capabilities: &[Capability]| {
        with(TargetRules { capabilities: Some(capabilities.to_vec()), ..TargetRules::default() })
    };
    let tools = BODY.replace("\"max_tokens\"", r#""tools":[{"type":"function"}],"max_tokens""#);
    let schema = BODY.replace("\"max_tokens\"", r#""response_format":{"type":"json_schema"},"max_tokens""#);
    let image =
        BODY.replace("\"hi\"", r#"[{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]"#);
    let unknown = with(TargetRules::default());
    // Whoever has not said is asked; where nobody has it, the provider says so.
    for (actors, body, first) in [
        (vec![can(&[]), can(&[Capability::Tools])], BODY, "p0"),
        (vec![can(&[]), can(&[Capability::Tools])], &tools, "p1"),
        (vec![can(&[Capability::Tools]), can(&[Capability::StructuredOutput])], &schema, "p1"),
        (vec![can(&[Capability::Tools]), unknown.clone()], &image, "p1"),
        (vec![can(&[Capability::Images]), unknown], &image, "p0"),
        (vec![can(&[]), can(&[])], &tools, "p0"),
    ] {
        let stage = by(Strategy::Ordered, &actors).await;
        stage.house.call(1, body).await;
        assert_eq!(stage.called(), [first], "{body}");
    }
}

#[tokio::test]
async fn an_open_circuit_is_passed_by_until_its_probe() {
    let plays = [Play::Status(500), Play::Status(500), Play::Status(500), Play::Answer(1)];
    let actors = [Actor::new(plays), with(TargetRules::default())];
    let stage = by(Strategy::Ordered, &actors).await.opening_after(2);
    let call = async |number| assert_eq!(stage.house.call(number, BODY).await.status.as_u16(), 200);
    let calls = |names: &str| names.split(' ').map(|place| format!("p{place}")).collect::<Vec<_>>();
    // Two failures open it; then nobody goes there.
    for number in 1..=4 {
        call(number).await;
    }
    assert_eq!(stage.called(), calls("0 1 0 1 1 1"));
    // One probe after its time; it fails, and the circuit is open for as long again.
    stage.house.clock.advance(Duration::from_secs(15));
    call(5).await;
    call(6).await;
    assert_eq!(stage.called()[6..], calls("0 1 1"));
    stage.house.clock.advance(Duration::from_secs(15));
    call(7).await;
    call(8).await;
    assert_eq!(stage.called()[9..], calls("0 0"), "the probe was answered");
}

#[tokio::test]
async fn who_has_nowhere_else_to_go_goes_to_a_target_in_trouble() {
    let stage = by(Strategy::Ordered, &[Actor::new([Play::Status(500)])]).await;
    for number in 1..=9 {
        assert_eq!(stage.house.call(number, BODY).await.status.as_u16(), 502);
    }
    assert_eq!(stage.called().len(), 9);
}

#[tokio::test]
async fn a_target_whose_rate_is_used_up_is_passed_by_until_it_has_some() {
    for play in [Play::Exhausted, Play::Limited(60)] {
        let stage = by(Strategy::Ordered, &[Actor::new([play]), with(TargetRules::default())]).await;
        let first = stage.house.call(1, BODY).await;
        assert_eq!(
            first.headers["x-tollkeeper-target"],
            if play == Play::Exhausted { "p0/m" } else { "p1/m" }
        );
        let before = stage.called().len();
        stage.house.call(2, BODY).await;
        assert_eq!(stage.called()[before..], ["p1"], "{play:?}: before it refuses");
        stage.house.clock.advance(Duration::from_secs(61));
        stage.house.call(3, BODY).await;
        assert_eq!(stage.called()[before + 1], "p0", "{play:?}");
    }
}

#[test]
fn what_is_drawn_follows_from_the_request() {
    let request = RequestId::from_bytes([7; 16]);
    assert_eq!(crate::retry::draw(request, 1), crate::retry::draw(request, 1));
    assert_ne!(crate::retry::draw(request, 1), crate::retry::draw(request, 2));
}

/// What the caller's preferences make of three targets: the first is dear and trains, the second keeps nothing, and the
/// third is cheap.
#[tokio::test]
async fn a_callers_preferences_are_heeded_among_what_it_may_use() {
    let open = |training| covering(DataClass::Public, training, Verified::Always);
    let keeps_nothing = {
        let contract = open(false);
        Contract { terms: Terms { retention_days: 0, ..contract.terms.clone() }, ..contract }
    };
    let actor = |contract: Contract, price| Actor {
        contract: Arc::new(contract),
        price,
        ..Actor::new([Play::Status(500)])
    };
    let actors =
        [actor(open(true), ("5", "50")), actor(keeps_nothing, ("3", "30")), actor(open(false), ("1", "10"))];
    // What is asked for, and which targets are tried, in order; or the member that leaves none.
    for (asked, tried) in [
        ("{}", Ok(vec!["p0", "p1", "p2"])),
        ("null", Ok(vec!["p0", "p1", "p2"])),
        (r#"{"order":["P2","p1/m"]}"#, Ok(vec!["p2", "p1", "p0"])),
        (r#"{"order":["p2","nobody"],"allow_fallbacks":false}"#, Ok(vec!["p2"])),
        (r#"{"allow_fallbacks":false}"#, Ok(vec!["p0"])),
        (r#"{"only":["p1","p2"]}"#, Ok(vec!["p1", "p2"])),
        (r#"{"only":["p1","p2"],"ignore":["p1"]}"#, Ok(vec!["p2"])),
        (r#"{"data_collection":"deny"}"#, Ok(vec!["p1", "p2"])),
        (r#"{"zdr":true}"#, Ok(vec!["p1"])),
        (r#"{"sort":"price"}"#, Ok(vec!["p2", "p1", "p0"])),
        (r#"{"max_price":{"prompt":3,"completion":"30.00"}}"#, Ok(vec!["p1", "p2"])),
        (r#"{"max_price":{"completion":29.999999}}"#, Ok(vec!["p2"])),
        (r#"{"require_parameters":true,"data_collection":"allow"}"#, Ok(vec!["p0", "p1", "p2"])),
        (r#"{"max_price":{"prompt":0.5}}"#, Err("provider.max_price.prompt")),
        (r#"{"only":["nobody"]}"#, Err("provider.only")),
        (r#"{"order":["nobody"],"allow_fallbacks":false}"#, Err("provider.order")),
        (r#"{"quantizations":["int4"]}"#, Err("provider")),
        (r#"{"sort":"throughput"}"#, Err("provider")),
        (r#"{"max_price":{"prompt":"cheap"}}"#, Err("provider.max_price.prompt")),
        (r#"["p1"]"#, Err("provider")),
    ] {
        let house = House::with_targets([], DataClass::Public, InFlight::Completes, CREDIT, answer(1)).await;
        let stage = Stage::in_house(house, Strategy::Ordered, &actors, quick()).await;
        let body = BODY.replace("\"max_tokens\"", &format!("\"provider\":{asked},\"max_tokens\""));
        let got = stage.house.call(1, &body).await;
        match tried {
            Ok(tried) => assert_eq!(stage.called(), tried, "{asked}: {}", got.body),
            Err(param) => {
                let error: serde_json::Value = serde_json::from_str(&got.body).unwrap();
                assert_eq!((got.status.as_u16(), &error["error"]["param"]), (400, &param.into()), "{asked}");
                assert_eq!(stage.called(), Vec::<String>::new(), "{asked}");
            }
        }
    }
}
