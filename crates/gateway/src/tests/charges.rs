//! What is charged: the service tier that was served, searches, and what the provider itself says that it cost.

use std::sync::Arc;

use directory::{DataClass, InFlight};
use domain::{Money, ServiceTier};
use pricing::{ModelKind, PriceVersion, RoutePrice, Schedule};

use super::contract;
use super::house::{House, Script};

/// A price with a cheap and a dear tier, and searches.
fn price() -> Arc<Schedule> {
    let written = RoutePrice {
        input: "1".to_owned(),
        output: Some("10".to_owned()),
        per_search: Some("0.01".to_owned()),
        tiers: [("flex", "0.5"), ("priority", "2")].map(|(tier, times)| (tier.into(), times.into())).into(),
        ..RoutePrice::default()
    };
    Arc::new(Schedule::from(PriceVersion::from_route("p", "m", &written, ModelKind::Chat).unwrap()))
}

/// A call with more in its body, to a provider that answers ten tokens in and five out, and says more.
async fn call(in_flight: InFlight, asked: &str, answered: &str) -> (House, u16) {
    let facts = format!(
        r#""model":"m"{answered},"usage":{{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"cost":0.0000700001}}"#
    );
    let script = Script::Whole(format!(
        r#"{{{facts},"choices":[{{"index":0,"message":{{"role":"assistant","content":"a b c d e"}},"finish_reason":"stop"}}]}}"#
    ));
    let targets = [(contract(), Some(price()))];
    let house = House::with_targets(targets, DataClass::default(), in_flight, 1_000_000_000, script).await;
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}]{asked}}}"#);
    let got = house.call(1, &body).await;
    (house, got.status.as_u16())
}

#[tokio::test]
async fn the_tier_that_was_served_is_charged_if_it_has_a_price() {
    use ServiceTier::{Flex, Priority, Standard};
    // Ten in and five out are 60 millionths at the standard tier.
    for (asked, answered, charged, nano) in [
        ("", "", Standard, 60_000),
        ("", r#","service_tier":"default""#, Standard, 60_000),
        (r#","service_tier":"auto""#, r#","service_tier":"priority""#, Priority, 120_000),
        (r#","service_tier":"flex""#, r#","service_tier":"flex""#, Flex, 30_000),
        (r#","service_tier":"flex""#, "", Flex, 30_000),
        (r#","service_tier":"flex""#, r#","service_tier":"default""#, Standard, 60_000),
        (r#","service_tier":"fast""#, r#","service_tier":"priority""#, Priority, 120_000),
        // Downgraded, as OpenAI does when too much comes at once.
        (r#","service_tier":"priority""#, r#","service_tier":"default""#, Standard, 60_000),
        // What has no price is charged as it was asked for.
        (r#","service_tier":"flex""#, r#","service_tier":"scale""#, Flex, 30_000),
    ] {
        for in_flight in [InFlight::Completes, InFlight::Stops] {
            let (house, status) = call(in_flight, asked, answered).await;
            let row = house.rows().pop().unwrap();
            assert_eq!(status, 200, "{asked}");
            assert_eq!((row.service_tier, row.cost), (charged, Money::from_nano(nano)), "{asked} {answered}");
            assert_eq!(row.reported_pico, Some(70_000_100), "{asked}");
            assert!(row.is_rounded_right() && !row.estimated, "{asked}");
        }
    }
}

#[tokio::test]
async fn a_hold_is_sized_for_the_tier_that_is_asked_for() {
    let mut held = Vec::new();
    for tier in ["flex", "default", "priority"] {
        // The same length of body each time.
        let asked = format!(r#","service_tier":"{tier}"{}"#, " ".repeat(10 - tier.len()));
        let (house, _) = call(InFlight::Completes, &asked, "").await;
        held.push(house.rows().pop().unwrap().held.nano());
    }
    assert_eq!((held[0] * 2, held[1] * 2), (held[1], held[2]));
}

#[tokio::test]
async fn what_has_no_price_is_refused_by_name() {
    for (asked, named) in [
        (r#","service_tier":"ultrafast""#, "has none for `ultrafast`"),
        (r#","service_tier":"scale""#, "has none for `scale`"),
        (r#","service_tier":"whatever""#, "It has: standard, flex, priority."),
    ] {
        let (house, status) = call(InFlight::Completes, asked, "").await;
        assert_eq!(status, 400, "{asked}");
        assert!(house.rows().is_empty(), "{asked}");
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}]{asked}}}"#);
        let got = house.call(2, &body).await;
        assert!(got.body.contains(named) && got.body.contains("p/m@input=1.00"), "{}", got.body);
    }
    let house = House::new(InFlight::Completes, 1_000_000_000, super::house::answer(3)).await;
    let got = house
        .call(1, r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"web_search_options":{}}"#)
        .await;
    assert_eq!(got.status, 400);
    assert!(got.body.contains("web searches") && got.body.contains("per_search"), "{}", got.body);
}

#[tokio::test]
async fn searches_are_charged_by_the_search_and_once_where_nobody_counts() {
    let asked = r#","web_search_options":{}"#;
    for (asked, counted, searches) in
        [(asked, "", 1), (asked, r#","server_tool_use":{"web_search_requests":3}"#, 3), ("", "", 0)]
    {
        let answer = format!(
            r#"{{"model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"a"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":10,"completion_tokens":5{counted}}}}}"#
        );
        let targets = [(contract(), Some(price()))];
        let script = Script::Whole(answer);
        let house =
            House::with_targets(targets, DataClass::default(), InFlight::Stops, 1_000_000_000, script).await;
        house
            .call(1, &format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}]{asked}}}"#))
            .await;
        let row = house.rows().pop().unwrap();
        let cost = 60_000 + 10_000_000 * i64::try_from(searches).unwrap();
        assert_eq!((row.usage.searches, row.cost.nano()), (searches, cost), "{asked} {counted}");
    }
}

#[tokio::test]
async fn searches_that_have_no_price_leave_the_tokens_on_the_bill() {
    let answer = r#"{"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":5,"server_tool_use":{"web_search_requests":3}}}"#;
    let house = House::new(InFlight::Completes, 1_000_000_000, Script::Whole(answer.to_owned())).await;
    house.call(1, r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#).await;
    let row = house.rows().pop().unwrap();
    assert_eq!((row.usage.searches, row.cost.nano(), row.estimated), (0, 60_000, false));
}
