//! Fallback and retries: whatever providers do, a request has one answer or one failure, one row for each attempt, a
//! charge that is the sum of the rows, and no hold that stays.

use std::time::Duration;

use directory::{DataClass, InFlight};
use domain::Money;
use ledger::{AttemptStatus, CostRow};
use proptest::prelude::*;
use serde_json::json;

use super::contract::covering;
use super::house::Got;
use super::stage::{Actor, Play, Stage, quick};
use crate::{RetryRules, Substitution, TargetRules, Verified};

const WHOLE: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":50}"#;
const STREAM: &str =
    r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":50,"stream":true}"#;
const CREDIT: i64 = 1_000_000_000;

fn header<'a>(got: &'a Got, name: &str) -> &'a str {
    got.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

/// Asserts what must be so of every request, and answers the reasons of its rows.
fn check_books(stage: &Stage, got: &Got, credit: i64) -> Vec<String> {
    let rows = stage.house.rows();
    let charged = Money::sum(rows.iter().map(|row| row.cost)).unwrap();
    let books = stage.house.books();
    assert!(books.holds.is_empty(), "the hold has ended");
    let wallet = &books.wallets[0];
    assert_eq!(wallet.held, Money::ZERO);
    let left = wallet.balance.nano() - wallet.debt.nano();
    assert_eq!(credit - left, charged.nano(), "the charge is the sum of the rows: {rows:?}");
    let numbers: Vec<u32> = rows.iter().map(|row| row.attempt).collect();
    assert_eq!(numbers, (1..=u32::try_from(rows.len()).unwrap()).collect::<Vec<_>>());
    let (last, before) = rows.split_last().unwrap();
    for row in before {
        assert_eq!((row.status, row.cost), (AttemptStatus::Failed, Money::ZERO), "{row:?}");
    }
    assert_eq!(rows.len(), stage.called().len(), "a row for each call of a provider");
    for (row, called) in rows.iter().zip(stage.called()) {
        assert_eq!((&*row.provider, &*row.target), (&*called, &*format!("{called}/m")));
        assert!(row.price_version.starts_with(&format!("{called}/m@")), "{row:?}");
    }
    assert_eq!(header(got, "x-tollkeeper-target"), &*last.target);
    assert_eq!(header(got, "x-tollkeeper-attempts"), last.attempt.to_string());
    rows.iter().map(|row| row.reason.to_string()).collect()
}

/// Plays the same at a first target, and an answer at a second one.
async fn fall_back(play: Play, body: &str) -> (Stage, Got) {
    let rules = TargetRules { first_byte: Some(Duration::from_millis(200)), ..TargetRules::default() };
    let actors = [
        Actor { rules, ..Actor::new([play]) },
        Actor { price: ("2", "20"), ..Actor::new([Play::Answer(7)]) },
    ];
    let stage = Stage::new(InFlight::Completes, CREDIT, &actors, quick()).await;
    let got = stage.house.call(1, body).await;
    (stage, got)
}

#[tokio::test]
async fn what_may_pass_goes_to_the_next_target_and_what_may_not_does_not() {
    // What the first target does; the reason on its row, whole and streamed; whether the second one answers.
    for (play, whole, stream, answered) in [
        (Play::Status(500), "upstream_error", "upstream_error", true),
        (Play::Status(503), "upstream_overloaded", "upstream_overloaded", true),
        (Play::Status(401), "provider_auth_failed", "provider_auth_failed", true),
        (Play::Status(408), "upstream_timeout", "upstream_timeout", true),
        (Play::Limited(30), "upstream_rate_limited", "upstream_rate_limited", true),
        (Play::Quota, "provider_quota_exhausted", "provider_quota_exhausted", true),
        (Play::NoModel, "upstream_rejected", "upstream_rejected", true),
        (Play::Close, "upstream_closed", "upstream_closed", true),
        (Play::Hang, "upstream_timeout", "upstream_timeout", true),
        (Play::Nothing, "upstream_garbage", "upstream_closed", true),
        (Play::Garbage, "upstream_garbage", "upstream_garbage", true),
        (Play::Error, "upstream_error", "upstream_error", true),
        (Play::Status(400), "upstream_rejected", "upstream_rejected", false),
        (Play::Status(422), "upstream_rejected", "upstream_rejected", false),
    ] {
        for (body, reason) in [(WHOLE, whole), (STREAM, stream)] {
            let (stage, got) = fall_back(play, body).await;
            let reasons = check_books(&stage, &got, CREDIT);
            if answered {
                assert_eq!((got.status.as_u16(), reasons), (200, vec![reason.into(), "complete".into()]));
                let last = stage.house.rows().pop().unwrap();
                // Ten tokens in and seven out, at the price of the one that answered.
                assert_eq!((last.cost.nano(), last.estimated), (10 * 2_000 + 7 * 20_000, false), "{play:?}");
            } else {
                assert_eq!((got.status.as_u16() / 100, reasons), (4, vec![reason.into()]), "{play:?}");
            }
        }
    }
}

#[tokio::test]
async fn after_the_first_event_nothing_is_tried_again() {
    let (stage, got) = fall_back(Play::Break, STREAM).await;
    assert_eq!(check_books(&stage, &got, CREDIT), ["upstream_closed"]);
    assert_eq!((got.status.as_u16(), got.words(), stage.called()), (200, 3, vec!["p0".to_owned()]));
    assert!(got.events().last().unwrap().contains("upstream_closed"), "{}", got.body);
    // A whole answer that breaks off has not reached anybody.
    let (stage, got) = fall_back(Play::Break, WHOLE).await;
    assert_eq!(check_books(&stage, &got, CREDIT), ["upstream_closed", "complete"]);
}

#[tokio::test]
async fn a_target_is_tried_again_as_often_as_its_rules_say() {
    let rules = |retries| TargetRules { retries, ..TargetRules::default() };
    let twice = [Play::Status(500), Play::Status(500), Play::Answer(1)];
    // Retries of the first target, its plays, attempts that one request may have; who is called.
    for (retries, plays, attempts_max, called, status) in [
        (2, &twice[..], 9, &["p0", "p0", "p0"][..], 200),
        (1, &twice, 9, &["p0", "p0", "p1"], 200),
        (2, &twice, 2, &["p0", "p0"], 502),
        (2, &twice, 1, &["p0"], 502),
        // What will not pass by itself is not tried again where it was.
        (2, &[Play::Status(403)], 9, &["p0", "p1"], 200),
        (2, &[Play::Limited(9)], 9, &["p0", "p1"], 200),
        (2, &[Play::Status(422)], 9, &["p0"], 422),
    ] {
        let actors =
            [Actor { rules: rules(retries), ..Actor::new(plays.to_vec()) }, Actor::new([Play::Answer(1)])];
        let retry = RetryRules { attempts_max, ..quick() };
        let stage = Stage::new(InFlight::Completes, CREDIT, &actors, retry).await;
        let got = stage.house.call(1, WHOLE).await;
        check_books(&stage, &got, CREDIT);
        assert_eq!(
            (stage.called(), got.status.as_u16()),
            (called.iter().map(|name| (*name).to_owned()).collect(), status)
        );
    }
}

#[tokio::test]
async fn all_requests_together_have_a_budget_of_retries() {
    let actors = [Actor::new([Play::Status(500)]), Actor::new([Play::Answer(1)])];
    let retry = RetryRules { percent: 20, per_second: 0, ..quick() };
    let stage = Stage::new(InFlight::Completes, CREDIT, &actors, retry).await.opening_after(u32::MAX);
    let mut answered = Vec::new();
    for number in 1..=21 {
        answered.push(stage.house.call(number, WHOLE).await.status.as_u16() == 200);
    }
    // The bucket holds one, and each request brings a fifth.
    let places: Vec<usize> =
        answered.iter().enumerate().filter(|(_, ok)| **ok).map(|(place, _)| place).collect();
    assert_eq!(places, [0, 5, 10, 15, 20]);
}

#[tokio::test]
async fn a_call_falls_back_only_to_targets_that_may_have_it() {
    let public = covering(DataClass::Public, false, Verified::Always);
    let actors = [
        Actor::new([Play::Status(500)]),
        Actor { contract: public.into(), ..Actor::new([Play::Answer(1)]) },
        Actor::new([Play::Answer(2)]),
    ];
    let stage = Stage::new(InFlight::Completes, CREDIT, &actors, quick()).await;
    let got = stage.house.call(1, WHOLE).await;
    check_books(&stage, &got, CREDIT);
    assert_eq!(stage.called(), ["p0", "p2"]);
    let decision = stage.house.decisions().pop().unwrap();
    let body: serde_json::Value = serde_json::from_str(&decision.body).unwrap();
    let taken = json!({ "provider": "p0", "then": ["p2/m"], "left_out": [["p1/m", "contract_unfit"]] });
    assert_eq!(body["taken"], taken);
}

#[tokio::test]
async fn what_is_held_is_enough_for_the_dearest() {
    let actors = [
        Actor { price: ("0.10", "0.20"), ..Actor::new([Play::Status(500)]) },
        Actor { price: ("3", "75"), ..Actor::new([Play::Answer(50)]) },
        Actor::new([Play::Answer(1)]),
    ];
    let input = i64::try_from(WHOLE.len() + 16).unwrap() * 3_000;
    let dearest = input + 50 * 75_000;
    for (in_flight, credit, status) in [
        (InFlight::Completes, dearest, 200),
        (InFlight::Completes, dearest - 1, 429),
        (InFlight::Stops, dearest, 200),
    ] {
        let stage = Stage::new(in_flight, credit, &actors, quick()).await;
        let got = stage.house.call(1, WHOLE).await;
        assert_eq!(got.status.as_u16(), status, "{credit}: {}", got.body);
        if status == 200 {
            check_books(&stage, &got, credit);
            assert_eq!((stage.house.rows()[1].held.nano(), stage.house.debt()), (dearest, 0));
        }
    }
}

#[tokio::test]
async fn a_gateway_that_dies_in_the_second_attempt_books_it_where_it_went() {
    let actors = [Actor::new([Play::Status(500)]), Actor { price: ("2", "20"), ..Actor::new([Play::Hang]) }];
    let stage = Stage::new(InFlight::Stops, CREDIT, &actors, quick()).await;
    let call = stage.house.call(1, WHOLE);
    let died = tokio::time::timeout(Duration::from_millis(300), call).await;
    assert!(died.is_err(), "the second target hangs");
    assert_eq!(stage.called(), ["p0", "p1"]);
    // What a restart and a sweep book is the draft, and what became of the attempts before it.
    stage.house.time_out().await;
    let [first, row] = <[CostRow; 2]>::try_from(stage.house.rows()).unwrap();
    assert_eq!((first.attempt, &*first.target, &*first.reason), (1, "p0/m", "upstream_error"));
    assert_eq!((first.status, first.cost, first.http_status), (AttemptStatus::Failed, Money::ZERO, 500));
    assert_eq!((row.attempt, &*row.target, &*row.provider), (2, "p1/m", "p1"));
    assert!(row.price_version.starts_with("p1/m@"), "{row:?}");
    let guess = i64::try_from(row.usage.input).unwrap();
    assert_eq!((row.cost.nano(), row.usage.output, row.estimated), (guess * 2_000, 0, true));
}

#[tokio::test]
async fn an_answer_of_another_model_is_booked_and_where_that_is_the_rule_withheld() {
    let aliases = TargetRules { aliases: vec!["alias".into()], ..TargetRules::default() };
    let policies = [Substitution::Log, Substitution::Alert, Substitution::Refuse];
    // How the answer names its model; why it is withheld by the strict policy.
    for (name, reason) in [
        ("m", None),
        ("M-2026-01-01", None),
        ("vendor/m", None),
        ("alias", None),
        ("m-mini", Some("model_substituted")),
        ("", Some("model_not_told")),
    ] {
        for (policy, body) in policies.into_iter().flat_map(|policy| [(policy, WHOLE), (policy, STREAM)]) {
            let rules = aliases.clone();
            let actors =
                [Actor { rules, ..Actor::new([Play::Named(name, 4)]) }, Actor::new([Play::Answer(1)])];
            let stage = Stage::new(InFlight::Stops, CREDIT, &actors, quick()).await.strict(policy);
            let got = stage.house.call(1, body).await;
            let reasons = check_books(&stage, &got, CREDIT);
            let row = stage.house.rows().pop().unwrap();
            assert_eq!(
                row.model_answered.as_deref(),
                (!name.is_empty()).then_some(name),
                "absent is not equal"
            );
            // It was made, so it is charged, and nothing is tried again.
            assert!(row.cost.nano() >= 10 * 1_000, "{row:?}");
            match reason.filter(|_| policy == Substitution::Refuse) {
                Some(reason) => {
                    assert_eq!((got.status.as_u16(), reasons), (502, vec![reason.to_owned()]), "{name}");
                    assert!(got.body.contains(reason) && !got.body.contains(" word"), "{}", got.body);
                    assert_eq!(row.status, AttemptStatus::Failed);
                }
                None => {
                    assert_eq!((got.status.as_u16(), reasons), (200, vec!["complete".to_owned()]), "{name}");
                    assert!(got.body.contains(" word"));
                }
            }
        }
    }
}

fn play() -> impl Strategy<Value = Play> {
    prop_oneof![
        2 => (1_u64..60).prop_map(Play::Answer),
        4 => prop_oneof![Just(500), Just(503), Just(401), Just(408), Just(400)].prop_map(Play::Status),
        1 => (0_u32..3).prop_map(Play::Limited),
        1 => Just(Play::Quota),
        1 => Just(Play::Close),
        1 => Just(Play::Nothing),
        1 => Just(Play::Garbage),
        1 => Just(Play::Error),
        1 => Just(Play::Break),
    ]
}

fn actor() -> impl Strategy<Value = Actor> {
    let price = prop_oneof![Just(("1", "10")), Just(("0.01", "0.02")), Just(("3", "75")), Just(("0", "0"))];
    (prop::collection::vec(play(), 1..4), price, 0_u32..3).prop_map(|(plays, price, retries)| {
        let rules = TargetRules { retries, ..TargetRules::default() };
        Actor { price, rules, ..Actor::new(plays) }
    })
}

/// Which plays a request meets by the rules as the documents say them, written down a second time.
fn expected(actors: &[Actor], streamed: bool, attempts_max: usize) -> Vec<(usize, Play)> {
    let mut met = Vec::new();
    for (place, actor) in actors.iter().enumerate() {
        let plays = actor.plays.iter().chain(std::iter::repeat(actor.plays.last().unwrap()));
        for (try_number, play) in (0..=actor.rules.retries).zip(plays) {
            met.push((place, *play));
            if !play.brings_nothing(streamed) || !play.may_pass() || met.len() == attempts_max {
                return met;
            }
            let elsewhere = matches!(play, Play::Status(401) | Play::Quota)
                || matches!(play, Play::Limited(seconds) if *seconds > 0);
            if elsewhere && try_number <= actor.rules.retries {
                break;
            }
        }
    }
    met
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_fails_the_books_add_up(
        actors in prop::collection::vec(actor(), 1..4),
        streamed in any::<bool>(),
        stops in any::<bool>(),
        attempts_max in 1_u32..6,
        credit in prop_oneof![Just(CREDIT), 1_000_000_i64..6_000_000],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let in_flight = if stops { InFlight::Stops } else { InFlight::Completes };
            let retry = RetryRules { attempts_max, per_second: 1_000, ..quick() };
            let stage = Stage::new(in_flight, credit, &actors, retry).await;
            let got = stage.house.call(1, if streamed { STREAM } else { WHOLE }).await;
            if stage.house.rows().is_empty() {
                assert_eq!((got.status.as_u16(), stage.called()), (429, vec![]), "{}", got.body);
                return;
            }
            check_books(&stage, &got, credit);
            let met = expected(&actors, streamed, usize::try_from(attempts_max).unwrap());
            let called: Vec<String> = met.iter().map(|(place, _)| format!("p{place}")).collect();
            assert_eq!(stage.called(), called, "{met:?}");
            let (_, last) = met.last().unwrap();
            // Where there is nothing else to try, a stream's head passes at once.
            let alone = actors.len() == 1 && actors[0].rules.retries == 0;
            let headed = alone && streamed && matches!(last, Play::Nothing | Play::Garbage | Play::Error);
            assert_eq!(got.status == 200, headed || !last.brings_nothing(streamed), "{met:?}: {}", got.body);
            let row = stage.house.rows().pop().unwrap();
            assert!(!stops || (row.cost <= row.held && stage.house.debt() == 0), "{row:?}");
            // One answer: what the client read is what the last attempt brought, and nothing beside it.
            if let (Play::Answer(tokens), true) = (last, streamed) {
                assert!(got.words() == *tokens || stops, "{met:?}");
            }
        });
    }
}
