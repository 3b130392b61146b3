//! Two attempts at once: the first success wins, the other one costs its prompt, and the books add up whatever happens.

use std::time::Duration;

use directory::InFlight;
use domain::Money;
use ledger::{AttemptStatus, CostRow};

use super::house::{Got, House};
use super::stage::{Actor, Play, Stage, quick};
use crate::{RetryRules, Route, Routes, Shared};

const WHOLE: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":50}"#;
const STREAM: &str =
    r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":50,"stream":true}"#;
const CREDIT: i64 = 1_000_000_000;
/// After how long a second attempt is sent.
const AFTER: Duration = Duration::from_millis(300);

/// Targets of one model that play these; the n-th asks n dollars for a million tokens in, ten times as much out.
async fn stage(in_flight: InFlight, credit: i64, plays: &[Play], retry: RetryRules) -> Stage {
    let prices = [("1", "10"), ("2", "20"), ("3", "30")];
    let actors: Vec<Actor> =
        plays.iter().zip(prices).map(|(play, price)| Actor { price, ..Actor::new([*play]) }).collect();
    Stage::new(in_flight, credit, &actors, retry).await.hedged(AFTER)
}

/// The rows of the only call as target, reason and cost, after asserting what must be so of every call.
fn rows(stage: &Stage, credit: i64) -> Vec<(String, String, i64)> {
    let (rows, books) = (stage.house.rows(), stage.house.books());
    assert!(books.holds.is_empty(), "the hold has ended");
    let wallet = &books.wallets[0];
    let charged = Money::sum(rows.iter().map(|row| row.cost)).unwrap();
    assert_eq!((wallet.held, credit - wallet.balance.nano()), (Money::ZERO, charged.nano()), "{rows:?}");
    assert!(charged <= rows[0].held, "both are paid for before the second is sent: {rows:?}");
    for (number, row) in (1..).zip(&rows) {
        assert_eq!(row.attempt, number);
        let outrun = &*row.reason == "outrun";
        assert_eq!(row.status == AttemptStatus::Cancelled, outrun, "{row:?}");
        assert_eq!(row.estimated, outrun || &*row.reason == "hold_timed_out", "{row:?}");
        assert_eq!(row.price_version.split('@').next(), Some(&*row.target), "{row:?}");
    }
    let told = |row: &CostRow| (row.target.to_string(), row.reason.to_string(), row.cost.nano());
    rows.iter().map(told).collect()
}

fn header<'a>(got: &'a Got, name: &str) -> &'a str {
    got.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

/// The input of the call by our count, at the n-th target's price.
fn prompt(place: i64) -> i64 {
    let input = dialect::tokens::count_prompt(dialect::Endpoint::Chat, WHOLE.as_bytes(), "m");
    i64::try_from(input).unwrap() * (place + 1) * 1_000
}

/// Plays one case, whole or streamed: who is called in this order, and which rows there are.
async fn check(
    plays: &'static [Play],
    called: &'static [&'static str],
    expected: &'static [(i64, &'static str)],
    streamed: bool,
) {
    for in_flight in [InFlight::Completes, InFlight::Stops] {
        let stage = stage(in_flight, CREDIT, plays, quick()).await;
        let got = stage.house.call(1, if streamed { STREAM } else { WHOLE }).await;
        let place = format!("{plays:?} {streamed} {in_flight:?}");
        assert_eq!(got.status.as_u16(), 200, "{place}: {}", got.body);
        assert_eq!(stage.called(), called, "{place}");
        let rows = rows(&stage, CREDIT);
        let of = |(target, reason): &(i64, &str)| {
            let cost = match *reason {
                "outrun" => prompt(*target),
                // Ten tokens in and five out.
                "complete" => (10 + 50) * (target + 1) * 1_000,
                _ => 0,
            };
            (format!("p{target}/m"), (*reason).to_owned(), cost)
        };
        assert_eq!(rows, expected.iter().map(of).collect::<Vec<_>>(), "{place}");
        let (target, _) = expected.last().unwrap();
        assert_eq!(header(&got, "x-tollkeeper-target"), format!("p{target}/m"), "{place}");
        assert_eq!(header(&got, "x-tollkeeper-attempts"), expected.len().to_string(), "{place}");
        if streamed {
            assert_eq!(got.words(), 5, "{place}");
        } else {
            let charged = rows.iter().map(|(.., cost)| *cost).sum();
            assert_eq!(header(&got, "x-tollkeeper-cost"), Money::from_nano(charged).to_string(), "{place}");
        }
        for health in stage.house.gateway.shared().routes.find("m").unwrap().targets.iter() {
            let look = health.health.look(&Default::default(), 0, 0);
            assert_eq!(look.pending, 0, "{place}: nobody is at a target after its call");
        }
    }
}

const SLOW: u64 = 900;
const SLOWER: u64 = 2_500;

#[tokio::test]
async fn the_first_success_wins_and_the_other_costs_its_prompt() {
    use Play::{Answer, Hang, Late, LateStatus, Status};
    type Case = (&'static [Play], &'static [&'static str], &'static [(i64, &'static str)]);
    let cases: &[Case] = &[
        // One that begins in time is alone.
        (&[Answer(5), Answer(1)], &["p0"], &[(0, "complete")]),
        // The second wins, or the first after all.
        (&[Hang, Answer(5)], &["p0", "p1"], &[(0, "outrun"), (1, "complete")]),
        (&[Late(SLOW, 5), Hang], &["p0", "p1"], &[(1, "outrun"), (0, "complete")]),
        // One fails, the other goes on alone.
        (&[Late(SLOW, 5), Status(500)], &["p0", "p1"], &[(1, "upstream_error"), (0, "complete")]),
        (
            &[LateStatus(SLOW, 503), Late(SLOWER, 5)],
            &["p0", "p1"],
            &[(0, "upstream_overloaded"), (1, "complete")],
        ),
        // Both fail, and there is a third.
        (
            &[LateStatus(SLOW, 500), LateStatus(SLOWER, 503), Answer(5)],
            &["p0", "p1", "p2"],
            &[(0, "upstream_error"), (1, "upstream_overloaded"), (2, "complete")],
        ),
        (
            &[LateStatus(SLOW, 500), Status(503), Answer(5)],
            &["p0", "p1", "p2"],
            &[(1, "upstream_overloaded"), (0, "upstream_error"), (2, "complete")],
        ),
        // A third one is not sent beside two.
        (&[Late(SLOW, 5), Hang, Answer(1)], &["p0", "p1"], &[(1, "outrun"), (0, "complete")]),
    ];
    let mut running = tokio::task::JoinSet::new();
    for (plays, called, rows) in cases {
        for streamed in [false, true] {
            running.spawn(check(plays, called, rows, streamed));
        }
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test]
async fn nothing_is_sent_beside_where_it_may_not_be() {
    let late = [Play::Late(600, 5), Play::Answer(1)];
    let dearest = i64::try_from(WHOLE.len() + 16).unwrap() * 2_000 + 50 * 20_000;
    let no_retries = RetryRules { percent: 0, per_second: 0, ..quick() };
    let once = RetryRules { attempts_max: 1, ..quick() };
    // The credit is for one attempt, all retries are used up, or the request has had all of its own.
    for (credit, retry) in [(dearest, quick()), (CREDIT, no_retries), (CREDIT, once)] {
        let stage = stage(InFlight::Completes, credit, &late, retry).await;
        let got = stage.house.call(1, WHOLE).await;
        assert_eq!((got.status.as_u16(), stage.called()), (200, vec!["p0".to_owned()]), "{}", got.body);
        assert_eq!(rows(&stage, credit), [("p0/m".to_owned(), "complete".to_owned(), 60_000)]);
    }
    // With a little more there is one.
    let stage = stage(InFlight::Completes, 2 * dearest, &late, quick()).await;
    stage.house.call(1, WHOLE).await;
    assert_eq!(stage.called(), ["p0", "p1"]);

    // What a caller names in second place is for the failure of the first.
    let actors = late.map(|play| Actor::new([play]));
    let mut stage = Stage::new(InFlight::Completes, CREDIT, &actors, quick()).await.hedged(AFTER);
    stage.house.alter(|old| {
        let route = old.routes.find("m").unwrap();
        let routes = ["m", "n"].into_iter().zip(&route.targets).map(|(model, target)| Route {
            hedge_after: Some(AFTER),
            ..Route::new(model, vec![target.clone()])
        });
        Shared { routes: Routes::new(routes), ..House::copy(old) }
    });
    let got = stage.house.call(1, &WHOLE.replace(r#""model":"m""#, r#""model":"m","models":["n"]"#)).await;
    assert_eq!((got.status.as_u16(), stage.called()), (200, vec!["p0".to_owned()]));
}

#[tokio::test]
async fn a_gateway_that_dies_with_two_attempts_books_both() {
    // The one that was the first, and the one that is left when the other has failed.
    for (plays, expected) in [
        ([Play::Hang, Play::Hang], [("p0/m", "outrun"), ("p1/m", "hold_timed_out")]),
        ([Play::Hang, Play::Status(500)], [("p1/m", "upstream_error"), ("p0/m", "hold_timed_out")]),
    ] {
        let stage = stage(InFlight::Stops, CREDIT, &plays, quick()).await;
        let call = stage.house.call(1, WHOLE);
        assert!(tokio::time::timeout(4 * AFTER, call).await.is_err(), "both hang");
        // What a restart and a sweep book is what the ledger was told.
        stage.house.time_out().await;
        let rows = rows(&stage, CREDIT);
        let told: Vec<(&str, &str)> = rows.iter().map(|(target, reason, _)| (&**target, &**reason)).collect();
        assert_eq!(told, expected);
        let costs: Vec<bool> = rows.iter().map(|(.., cost)| *cost > 0).collect();
        assert_eq!(costs, [expected[0].1 == "outrun", true], "{rows:?}");
    }
}

#[tokio::test]
async fn nothing_is_sent_beside_for_a_client_who_has_gone() {
    let stage = stage(InFlight::Stops, CREDIT, &[Play::Late(SLOW, 5), Play::Answer(5)], quick()).await;
    let call = tokio::time::timeout(AFTER / 3, stage.house.call(1, WHOLE));
    assert!(call.await.is_err());
    settled(&stage).await;
    assert_eq!(stage.called(), ["p0"]);
    assert_eq!(stage.house.rows().len(), 1);
}

/// Waits until the only call is on the books.
async fn settled(stage: &Stage) {
    let settled = async {
        while !stage.house.books().holds.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), settled).await.unwrap();
}

#[tokio::test]
async fn a_client_who_leaves_two_attempts_pays_both_prompts() {
    let stage = stage(InFlight::Stops, CREDIT, &[Play::Hang, Play::Hang], quick()).await;
    let call = tokio::time::timeout(4 * AFTER, stage.house.call(1, STREAM));
    assert!(call.await.is_err());
    settled(&stage).await;
    let rows: Vec<(String, i64)> =
        stage.house.rows().iter().map(|row| (row.reason.to_string(), row.cost.nano())).collect();
    assert_eq!(rows, [("outrun".to_owned(), prompt(0)), ("client_closed".to_owned(), prompt(1))]);
}
