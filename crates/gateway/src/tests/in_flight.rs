//! What becomes of running calls when the money ends, by both policies.

use std::sync::atomic::Ordering;
use std::time::Duration;

use directory::{AfterGrant, InFlight, Mandate, ProjectChanges};
use domain::{BudgetId, LotId, Money, Timestamp, Zone};
use http_body_util::BodyExt;
use ledger::{Act, AttemptStatus, Budget, Caps, Grant, LotKind, Period, Subject};
use serde_json::Value;

use super::house::{Got, House, INPUT_NANO, OUTPUT_NANO, SLICE, Script, Steady, answer, words};
use crate::Answer;

const STREAM: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_usage":true}}"#;

/// What the input of a call with this body is held for at most.
fn input_nano(body: &str) -> i64 {
    INPUT_NANO * i64::try_from(body.len() + 16).unwrap()
}

/// Credit for the input and so many output tokens.
fn credit_for(body: &str, output: u64) -> i64 {
    input_nano(body) + OUTPUT_NANO * i64::try_from(output).unwrap()
}

/// What the provider's count comes to.
fn cost(output: u64) -> Money {
    Money::from_nano(10 * INPUT_NANO + OUTPUT_NANO * i64::try_from(output).unwrap())
}

/// Asserts that a stream ended as one does that ran into its cap, with what was settled as its usage.
fn check_cut(house: &House, got: &Got) {
    let row = house.rows().pop().unwrap();
    assert_eq!((row.status, &*row.reason), (AttemptStatus::Cancelled, "hold_exhausted"));
    assert!(row.estimated);
    assert!(row.cost <= row.held, "{} charged, {} held", row.cost, row.held);
    assert_eq!(house.debt(), 0);
    let events = got.events();
    let [.., finish, usage, done] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(*done, "[DONE]");
    let finish: Value = serde_json::from_str(finish).unwrap();
    assert_eq!(finish["choices"][0]["finish_reason"], "length");
    let usage: Value = serde_json::from_str(usage).unwrap();
    assert_eq!(usage["usage"]["completion_tokens"], row.usage.output);
    assert_eq!(usage["usage"]["prompt_tokens"], row.usage.input_total());
}

/// Takes the next piece of an answer; none at its end.
async fn read(body: &mut Answer, so_far: &mut String) -> Option<()> {
    let frame = body.frame().await?.unwrap().into_data().unwrap();
    so_far.push_str(std::str::from_utf8(&frame).unwrap());
    Some(())
}

#[tokio::test]
async fn a_stream_that_completes_goes_on_into_debt() {
    let house = House::new(
        InFlight::Completes,
        credit_for(STREAM, SLICE + 10),
        Script::Stream { tokens: 2_000, counts: 2_000 },
    )
    .await;
    let got = house.call(1, STREAM).await;
    assert_eq!(got.words(), 2_000);
    let row = house.rows().pop().unwrap();
    assert_eq!((row.cost, row.estimated), (cost(2_000), false));
    assert_eq!(house.debt(), cost(2_000).nano() - credit_for(STREAM, SLICE + 10));
    // The next one is told which wallet owes.
    let got = house.call(2, STREAM).await;
    let wallet = house.books().wallets[0].id.to_string();
    assert_eq!(got.status, 429);
    assert!(got.body.contains("\"reason\":\"wallet_in_debt\"") && got.body.contains(&wallet), "{}", got.body);
}

#[tokio::test]
async fn a_stream_that_stops_is_cut_off_where_the_money_ends() {
    // Credit for this many output tokens, and how many of them the steps find: the last ones are too few for a step.
    for (credit, least) in [(20, 20), (SLICE, SLICE), (700, SLICE), (800, 768), (2_000, 1_792)] {
        let house = House::new(InFlight::Stops, credit_for(STREAM, credit), Script::Endless).await;
        let call = tokio::time::timeout(Duration::from_secs(20), house.call(1, STREAM));
        let got = call.await.expect("the stream is cut off");
        if credit < SLICE {
            // Less than the first slice was to be had, so the provider was told; this one does not obey.
            assert_eq!(got.headers["x-tollkeeper-output-cap"], credit.to_string());
            assert_eq!(house.bodies()[0]["max_tokens"], credit);
        } else {
            assert!(!got.headers.contains_key("x-tollkeeper-output-cap"));
            assert!(house.bodies()[0].get("max_tokens").is_none());
            // One push may bring a few words at once.
            assert!((least..least + 8).contains(&got.words()), "{credit}: {} words", got.words());
        }
        check_cut(&house, &got);
        let charged = house.rows()[0].usage.output;
        assert!(charged >= least, "{credit}: {charged} charged");
        tokio::time::timeout(Duration::from_secs(20), house.seen.dropped.notified())
            .await
            .expect("the provider is left");
    }
}

/// A house whose project stops where its grants end, with one of so much beside other credit.
async fn granted(policy: InFlight, grant: i64, beside: i64, script: Script) -> House {
    let house = House::new(policy, beside, script).await;
    let changes = ProjectChanges { after_grant: Some(AfterGrant::Stop), ..ProjectChanges::default() };
    let (ids, now) = (Steady::default(), Timestamp::from_micros(0));
    house.service.update_project(house.project, changes, &Mandate::operator(&ids, now)).unwrap();
    let (wallet, lot, amount) = (None, LotId::from_bytes([40; 16]), Money::from_nano(grant));
    let (kind, expires_at) = (LotKind::Promo, Timestamp::MAX);
    house.book(Act::Grant(Grant { wallet, lot, kind, amount, expires_at })).await;
    house
}

#[tokio::test]
async fn where_grants_end_a_stream_that_completes_goes_on_and_the_next_call_is_refused() {
    let (grant, beside) = (credit_for(STREAM, SLICE + 10), credit_for(STREAM, 10_000));
    let script = Script::Stream { tokens: 2_000, counts: 2_000 };
    let house = granted(InFlight::Completes, grant, beside, script).await;
    let got = house.call(1, STREAM).await;
    assert_eq!(got.words(), 2_000);
    let row = house.rows().pop().unwrap();
    assert_eq!((row.cost, row.estimated, house.debt()), (cost(2_000), false, 0));
    // No more than the grant was ever held; what the answer cost beyond it is paid like any charge above its hold.
    assert!(row.held.nano() <= grant, "{}", row.held);
    assert_eq!(house.books().wallets[0].balance.nano(), grant + beside - cost(2_000).nano());
    let got = house.call(2, STREAM).await;
    assert!(got.status == 429 && got.body.contains("\"reason\":\"grants_used_up\""), "{}", got.body);
    let left = house.books().wallets[0].balance;
    assert!(got.body.contains(&format!("Other credit, which it leaves alone: {left}.")), "{}", got.body);
}

#[tokio::test]
async fn where_grants_end_a_stream_that_stops_is_cut_off() {
    let (grant, beside) = (credit_for(STREAM, 700), credit_for(STREAM, 10_000));
    let house = granted(InFlight::Stops, grant, beside, Script::Endless).await;
    let call = tokio::time::timeout(Duration::from_secs(20), house.call(1, STREAM));
    check_cut(&house, &call.await.expect("the stream is cut off"));
    assert!(house.books().wallets[0].balance.nano() >= beside, "nothing but the grant has paid");
}

#[tokio::test]
async fn a_stream_that_stops_grows_while_there_is_money() {
    let house = House::new(
        InFlight::Stops,
        credit_for(STREAM, 10_000),
        Script::Stream { tokens: 3_000, counts: 3_000 },
    )
    .await;
    let got = house.call(1, STREAM).await;
    assert_eq!((got.words(), got.events().last()), (3_000, Some(&"[DONE]")));
    let row = house.rows().pop().unwrap();
    assert_eq!((row.cost, row.estimated, row.status), (cost(3_000), false, AttemptStatus::Succeeded));
    assert!(row.cost <= row.held);
    assert_eq!(house.debt(), 0);
    assert!((5..10).contains(&house.gate.extensions()), "{} extensions", house.gate.extensions());
}

#[tokio::test]
async fn a_stream_that_stops_waits_for_the_ledger_where_its_hold_ends() {
    let house =
        House::new(InFlight::Stops, credit_for(STREAM, 10_000), Script::Stream { tokens: 900, counts: 900 })
            .await;
    house.gate.closed.store(true, Ordering::Relaxed);
    let mut body = house.begin(1, STREAM).await.into_body();
    let mut stream = String::new();
    while words(&stream) < SLICE {
        read(&mut body, &mut stream).await.expect("what is held passes");
    }
    // The ledger was asked before it came to that.
    let asked_at = house.gate.asked_at();
    assert!(
        matches!(asked_at[..], [asked_at] if (SLICE / 2..SLICE * 3 / 4).contains(&asked_at)),
        "{asked_at:?}"
    );
    // Nothing more passes before the answer, however long it is let run.
    let more = tokio::time::timeout(Duration::from_millis(300), read(&mut body, &mut stream)).await;
    assert!(more.is_err() && words(&stream) < SLICE + 8, "{} words", words(&stream));
    house.gate.open().await;
    while read(&mut body, &mut stream).await.is_some() {}
    assert_eq!(words(&stream), 900);
    assert_eq!((house.rows()[0].cost, house.debt()), (cost(900), 0));
}

#[tokio::test]
async fn a_step_that_is_granted_after_the_end_is_counted() {
    let credit = credit_for(STREAM, 2 * SLICE);
    let house = House::new(InFlight::Stops, credit, Script::Stream { tokens: 400, counts: 600 }).await;
    house.gate.closed.store(true, Ordering::Relaxed);
    let (mut body, mut stream) = (house.begin(1, STREAM).await.into_body(), String::new());
    while words(&stream) < 400 {
        read(&mut body, &mut stream).await.expect("what is held passes");
    }
    // The step was asked for, the stream comes to its end, and its settlement waits for the answer.
    assert_eq!(house.gate.asked_at().len(), 1);
    let more = tokio::time::timeout(Duration::from_millis(300), async {
        while read(&mut body, &mut stream).await.is_some() {}
    });
    assert!(more.await.is_err() && house.rows().is_empty());
    house.gate.open().await;
    while read(&mut body, &mut stream).await.is_some() {}
    let row = house.rows().pop().unwrap();
    assert_eq!((row.cost, row.estimated, house.debt()), (cost(600), false, 0));
}

#[tokio::test]
async fn thought_that_is_told_as_it_goes_counts() {
    let house = House::new(InFlight::Stops, credit_for(STREAM, SLICE), Script::Thinking(100)).await;
    let got = house.call(1, STREAM).await;
    assert!((5..8).contains(&got.words()), "{} words", got.words());
    let row = house.rows().pop().unwrap();
    assert!(row.usage.output >= SLICE && row.cost <= row.held, "{row:?}");
    assert_eq!(house.debt(), 0);
}

#[tokio::test]
async fn a_stream_that_stops_outlives_a_busy_ledger_as_long_as_its_hold() {
    let house = House::new(InFlight::Stops, credit_for(STREAM, 10_000), Script::Endless).await;
    house.gate.busy.store(true, Ordering::Relaxed);
    let got = house.call(1, STREAM).await;
    assert!((SLICE..SLICE + 8).contains(&got.words()), "{} words", got.words());
    check_cut(&house, &got);
    assert!(house.gate.extensions() < 20, "{} extensions", house.gate.extensions());
}

#[tokio::test]
async fn a_stream_whose_hold_has_timed_out_ends_within_a_step() {
    // Endless ones end at their next step; one that ends before it is told the same.
    let (endless, short) = (Script::Endless, Script::Stream { tokens: 900, counts: 900 });
    for (policy, script) in [
        (InFlight::Completes, endless.clone()),
        (InFlight::Stops, endless),
        (InFlight::Completes, short.clone()),
        (InFlight::Stops, short),
    ] {
        let house = House::new(policy, credit_for(STREAM, 100_000), script.clone()).await;
        let (mut body, mut stream) = (house.begin(1, STREAM).await.into_body(), String::new());
        while words(&stream) < SLICE + SLICE / 4 {
            read(&mut body, &mut stream).await.expect("what is held passes");
        }
        house.time_out().await;
        let rest = async { while read(&mut body, &mut stream).await.is_some() {} };
        tokio::time::timeout(Duration::from_secs(20), rest).await.expect("the stream ends");

        let what = format!("{policy} {script:?}");
        let [row] = &house.rows()[..] else { panic!("{what}: {:?}", house.rows()) };
        assert_eq!((&*row.reason, row.estimated, house.debt()), ("hold_timed_out", true, 0), "{what}");
        // The provider sends fifty tokens at once; a checkpoint counts roughly, and rather too many.
        let unpaid = words(&stream).saturating_sub(row.usage.output);
        assert!(unpaid < SLICE + 50, "{what}: {unpaid} tokens for nothing");
        let events: Vec<_> = stream.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).collect();
        let error: Value = serde_json::from_str(events.last().unwrap()).unwrap();
        assert_eq!(error["error"]["code"], "hold_timed_out", "{what}");
    }
}

#[test]
fn a_gateway_that_ends_while_it_asks_for_more_makes_no_debt() {
    // The provider thought for 5,000 tokens and said 100, and there is no credit for that. The ledger's answer to that
    // never comes: everything that runs is dropped, as at the end of a shutdown.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let house = runtime.block_on(async {
        let script = Script::Stream { tokens: 100, counts: 5_100 };
        let house = House::new(InFlight::Stops, credit_for(STREAM, 600), script).await;
        house.gate.closed.store(true, Ordering::Relaxed);
        let (mut body, mut stream) = (house.begin(1, STREAM).await.into_body(), String::new());
        while house.gate.asked_at() != [5_100] {
            let more = tokio::time::timeout(Duration::from_millis(50), read(&mut body, &mut stream)).await;
            assert_ne!(more, Ok(None), "the end waits for the settlement");
        }
        house
    });
    drop(runtime);
    let row = house.rows().pop().unwrap();
    assert_eq!((&*row.reason, row.estimated, house.debt()), ("gateway_error", true, 0));
    // It is charged what was held, less what is below the price of a token.
    let short = row.held.nano() - row.cost.nano();
    assert!((0..OUTPUT_NANO).contains(&short), "{} charged, {} held", row.cost, row.held);
}

#[tokio::test]
async fn what_no_stream_shows_is_charged_as_far_as_there_is_money() {
    // The provider thought for 5,000 tokens and said 100. All of that is charged if it is there, and else what is held.
    for (policy, credit, expected, debt, estimated) in [
        (InFlight::Stops, credit_for(STREAM, 6_000), cost(5_100), 0, false),
        (InFlight::Stops, credit_for(STREAM, 600), Money::from_nano(credit_for(STREAM, SLICE)), 0, true),
        (
            InFlight::Completes,
            credit_for(STREAM, 600),
            cost(5_100),
            cost(5_100).nano() - credit_for(STREAM, 600),
            false,
        ),
    ] {
        let house = House::new(policy, credit, Script::Stream { tokens: 100, counts: 5_100 }).await;
        let got = house.call(1, STREAM).await;
        assert_eq!((got.words(), got.events().last()), (100, Some(&"[DONE]")));
        let row = house.rows().pop().unwrap();
        assert_eq!((row.estimated, house.debt()), (estimated, debt), "{policy} {credit}");
        // What is left of the hold below the price of a token is nobody's.
        let short = expected.nano() - row.cost.nano();
        assert!((0..OUTPUT_NANO).contains(&short), "{policy} {credit}: {} for {expected}", row.cost);
    }
}

#[tokio::test]
async fn an_answer_that_is_not_streamed_gets_the_cap_that_its_credit_affords() {
    let body = |cap: &str| {
        format!(r#"{{"model":"m",{cap}"messages":[{{"role":"user","content":"hi"}}],"stream":false}}"#)
    };
    // The cap of the body, tokens that the credit affords, what the answer brings, and the cap that goes upstream with
    // what is told of it; none if the call is refused.
    for (cap, credit, tokens, upstream) in [
        (r#""max_tokens":2000,"#, 5_000, 50, Some((2_000, false))),
        (r#""max_tokens":2000,"#, 300, 50, Some((300, true))),
        (r#""max_tokens":2000,"#, 16, 16, Some((16, true))),
        (r#""max_tokens":2000,"#, 15, 0, None),
        (r#""max_tokens":4,"#, 4, 4, Some((4, false))),
        (r#""max_tokens":4,"#, 3, 0, None),
        // Nobody knows how long the answer may be, so it may be a slice long.
        ("", 5_000, 50, Some((SLICE, true))),
        ("", 100, 50, Some((100, true))),
    ] {
        let body = body(cap);
        let house = House::new(InFlight::Stops, credit_for(&body, credit), answer(tokens)).await;
        let got = house.call(1, &body).await;
        let told = got.headers.get("x-tollkeeper-output-cap").map(|value| value.to_str().unwrap().to_owned());
        let Some((sent, lowered)) = upstream else {
            assert_eq!((got.status.as_u16(), house.bodies().len()), (429, 0), "{cap} {credit}");
            assert!(got.body.contains("credit_balance_exhausted"), "{}", got.body);
            continue;
        };
        assert_eq!(house.bodies()[0]["max_tokens"], sent, "{cap} {credit}");
        assert_eq!(told, lowered.then(|| sent.to_string()), "{cap} {credit}");
        let row = house.rows().pop().unwrap();
        assert_eq!((row.cost, row.estimated, house.debt()), (cost(tokens), false, 0), "{cap} {credit}");
    }
}

#[tokio::test]
async fn an_answer_beyond_its_cap_makes_no_debt() {
    let body = r#"{"model":"m","max_tokens":100,"messages":[{"role":"user","content":"hi"}]}"#;
    // It is charged in full if that can still be held, and else as far as it is held for.
    for (credit, estimated) in [(100, true), (400, false)] {
        let house = House::new(InFlight::Stops, credit_for(body, credit), answer(400)).await;
        assert_eq!(house.call(1, body).await.status, 200);
        let row = house.rows().pop().unwrap();
        assert!(row.cost <= row.held && row.usage.output >= credit, "{row:?}");
        assert_eq!((row.estimated, house.debt()), (estimated, 0), "{row:?}");
    }
}

fn run_budget(caps: Caps) -> Act {
    Act::SetBudget(Budget {
        id: BudgetId::from_bytes([5; 16]),
        subject: Subject::Run(None),
        period: Period::Daily,
        zone: Zone::default(),
        caps,
        hard: true,
        thresholds: vec![],
    })
}

#[tokio::test]
async fn a_run_budget_stops_the_next_call_of_its_run() {
    let caps = Caps { steps: Some(1), ..Caps::default() };
    let house = House::new(InFlight::Completes, credit_for(STREAM, 10_000), answer(5)).await;
    house.book(run_budget(caps)).await;
    let run = |name| [("x-tollkeeper-run", name)];
    for (number, name, status) in [(1, "a", 200), (2, "a", 429), (3, "b", 200)] {
        let got = house.call_with(number, STREAM, &run(name)).await;
        assert_eq!(got.status, status, "{number}: {}", got.body);
        if status == 429 {
            let error: Value = serde_json::from_str(&got.body).unwrap();
            assert_eq!(error["error"]["reason"], "run_budget_exceeded");
            assert_eq!(error["error"]["resets_at"], "2027-01-16T00:00:00.000000Z");
            assert_eq!(got.headers["x-should-retry"], "false");
            assert!(!got.headers.contains_key("retry-after"));
        }
    }
}

#[tokio::test]
async fn a_budget_that_ends_under_a_running_stream_is_like_credit_that_ends() {
    let cap = |output| Caps { cost: Some(Money::from_nano(credit_for(STREAM, output))), ..Caps::default() };
    let script = Script::Stream { tokens: 2_000, counts: 2_000 };
    let run = [("x-tollkeeper-run", "a")];

    let house = House::new(InFlight::Completes, credit_for(STREAM, 50_000), script).await;
    house.book(run_budget(cap(SLICE))).await;
    let got = house.call_with(1, STREAM, &run).await;
    assert_eq!((got.words(), house.rows()[0].cost, house.debt()), (2_000, cost(2_000), 0));

    let house = House::new(InFlight::Stops, credit_for(STREAM, 50_000), Script::Endless).await;
    house.book(run_budget(cap(SLICE))).await;
    let got = house.call_with(1, STREAM, &run).await;
    assert!((SLICE..SLICE + 8).contains(&got.words()), "{} words", got.words());
    check_cut(&house, &got);
    let spent = house.books().uses.values().next().unwrap().spent;
    assert!(spent <= Money::from_nano(credit_for(STREAM, SLICE)), "{spent}");
}
