//! Who pays: free requests, complimentary tokens, and money behind them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use directory::{DataClass, InFlight, Mandate};
use domain::{AccessClass, Money, Payer, ServiceTier, Usage, Zone};
use ledger::{AttemptStatus, CostRow};
use pricing::{ModelKind, PriceVersion, RoutePrice, Schedule};
use serde_json::Value;

use super::contract::covering;
use super::house::{Got, House, INPUT_NANO, OUTPUT_NANO, Script, answer, price};
use super::stage::{Actor, Play, Stage, quick};
use crate::caps::{Account, CapRules};
use crate::funding::Funding;
use crate::pools::Pools;
use crate::{
    ByokAllowance, ByokRules, Contract, FreeRules, Programme, Route, Routes, Shared, Strategy, Target,
    TargetRules, TokenGroup, Verified,
};

const BODY: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":200}"#;

fn nothing() -> Arc<Schedule> {
    let price = RoutePrice { input: "0".to_owned(), output: Some("0".to_owned()), ..RoutePrice::default() };
    let free = Schedule::from(PriceVersion::from_route("p", "m", &price, ModelKind::Chat).unwrap());
    Arc::new(free.beside(&self::price()))
}

/// A house whose model has one target, of this contract, and these rules by which pools pay.
async fn house(contract: Contract, data: DataClass, credit: i64, pools: Pools, script: Script) -> House {
    let free = contract.class == AccessClass::Free;
    let prices = Some(if free { nothing() } else { price() });
    let contract = Arc::new(contract);
    let targets = [(Arc::clone(&contract), prices.clone())];
    let mut house = House::with_targets(targets, data, InFlight::Completes, credit, script).await;
    let target = Target::new(Arc::clone(&house.provider), "m", contract, prices);
    let routes = Routes::new([Route::new("m", vec![target])]);
    house.alter(|old| Shared { routes, pools, ..House::copy(old) });
    house
}

pub(super) fn free() -> Contract {
    Contract { class: AccessClass::Free, ..covering(DataClass::Internal, false, Verified::Always) }
}

fn refused(got: &Got) -> (u16, String, Value) {
    let body: Value = serde_json::from_str(&got.body).unwrap();
    let error = body["error"].clone();
    let reason = error["reason"].as_str().or(error["code"].as_str()).unwrap_or_default().to_owned();
    (got.status.as_u16(), reason, error)
}

#[tokio::test]
async fn free_requests_are_counted_by_the_minute_and_by_the_day_and_touch_no_wallet() {
    let house = house(free(), DataClass::Internal, 0, Pools::default(), answer(7)).await;
    let mut number = 0;
    let mut call = async || {
        number += 1;
        house.call(number, BODY).await
    };
    for _ in 0..20 {
        assert_eq!(call().await.status, 200);
    }
    let (status, reason, error) = refused(&call().await);
    assert_eq!((status, &*reason), (429, "requests_per_minute_exceeded"), "the 21st of a minute");
    assert!(error["message"].as_str().unwrap().contains("free models"), "{error}");
    for _ in 0..2 {
        house.clock.advance(Duration::from_secs(61));
        for _ in 0..15 {
            assert_eq!(call().await.status, 200);
        }
    }
    house.clock.advance(Duration::from_secs(61));
    let (status, reason, error) = refused(&call().await);
    assert_eq!((status, &*reason), (429, "free_requests_used_up"), "the 51st of a day");
    assert_eq!((&error["limit"], &error["used"]), (&"50".into(), &"50".into()));
    assert!(error["resets_at"].as_str().unwrap().contains("T00:00:00"), "{error}");
    let next = error["next_step"].as_str().unwrap();
    assert!(next.contains("10.00") && next.contains("1000 a day"), "{next}");

    // Whoever has bought enough has more of them at once.
    let bought = [(house.organization, Money::from_nano(10_000_000_000))];
    house.gateway.shared().pools.note_purchased(bought.into());
    assert_eq!(call().await.status, 200);
    // And a new day has its own.
    house.gateway.shared().pools.note_purchased([].into());
    house.clock.advance(Duration::from_secs(24 * 60 * 60));
    assert_eq!(call().await.status, 200);

    let rows = house.rows();
    assert_eq!(rows.len(), 52);
    for row in rows {
        assert_eq!((row.class, row.payers()), (AccessClass::Free, (Payer::Provider, None)));
        // Ten tokens in and seven out, which others pay for.
        let list = (10 * INPUT_NANO + 7 * OUTPUT_NANO) * 1_000;
        assert_eq!((row.cost, row.held, row.list_pico), (Money::ZERO, Money::ZERO, Some(list)));
    }
    assert_eq!(house.books().sequence, 52, "nothing but settlements, none of which moves money");
}

pub(super) fn programme(tokens_per_day: u64) -> Pools {
    let group = TokenGroup { name: "large".into(), models: vec!["m*".to_owned()], tokens_per_day };
    let programme = Programme {
        name: "shared".into(),
        groups: vec![group],
        zone: Zone::default(),
        starts: None,
        ends: Some("2027-01-16T08:00:00Z".parse().unwrap()),
    };
    let Pools { free, byok, .. } = Pools::default();
    Pools::new(free, vec![programme], byok)
}

pub(super) fn complimentary() -> Contract {
    let open = covering(DataClass::Public, true, Verified::Always);
    Contract { class: AccessClass::Complimentary, programme: Some("shared".to_owned()), ..open }
}

pub(super) fn join(house: &House, joins: bool) {
    // Far from the ids that the house was made with.
    house.clock.advance(Duration::from_secs(1));
    let mandate = Mandate::operator(&*house.clock, domain::Clock::now(&*house.clock));
    house.service.join_programme(house.organization, "shared", joins, &mandate).unwrap();
}

#[tokio::test]
async fn complimentary_tokens_burn_before_money_and_a_call_is_split_to_the_token() {
    // Each call is ten tokens in and sixty out: the second one finds thirty left.
    let credit = 10_000_000;
    let house = house(complimentary(), DataClass::Public, credit, programme(100), answer(60)).await;
    let (status, code, _) = refused(&house.call(1, BODY).await);
    assert_eq!((status, &*code), (403, "programme_not_joined"));
    join(&house, true);
    let mut costs = Vec::new();
    for number in 2..=4 {
        let got = house.call(number, BODY).await;
        assert_eq!(got.status, 200);
        costs.push(got.headers["x-tollkeeper-cost"].to_str().unwrap().parse::<Money>().unwrap().nano());
    }
    let whole = 10 * INPUT_NANO + 60 * OUTPUT_NANO;
    assert_eq!(costs, [0, 40 * OUTPUT_NANO, whole], "what the answer says");
    let rows = house.rows();
    let said: Vec<_> = rows
        .iter()
        .map(|row| (row.cost.nano(), row.cover.as_ref().unwrap().units, row.payers(), row.list_pico))
        .collect();
    let (list, given) = (Some(whole * 1_000), Payer::Provider);
    assert_eq!(
        said,
        [
            (0, 70, (given, None), list),
            (40 * OUTPUT_NANO, 30, (given, Some(Payer::Organization)), list),
            (whole, 0, (Payer::Organization, None), list),
        ]
    );
    let left = house.books().wallets[0].balance.nano();
    assert_eq!(left, credit - costs.iter().sum::<i64>());
    // It has left; or its programme has ended.
    join(&house, false);
    assert_eq!(refused(&house.call(5, BODY).await).1, "programme_not_joined");
    join(&house, true);
    house.clock.advance(Duration::from_secs(24 * 60 * 60));
    assert_eq!(refused(&house.call(6, BODY).await).1, "programme_over");
}

#[tokio::test]
async fn who_has_tokens_needs_no_money_and_a_sensitive_project_is_never_served() {
    let house = house(complimentary(), DataClass::Public, 0, programme(400), answer(60)).await;
    join(&house, true);
    assert_eq!(house.call(1, BODY).await.status, 200);
    assert_eq!(house.rows()[0].cover.as_ref().unwrap().units, 70);
    // What is left is less than the call may need, and there is no money for the rest.
    let long = BODY.replace("200", "400");
    let (status, reason, _) = refused(&house.call(2, &long).await);
    assert_eq!((status, &*reason), (429, "credit_balance_exhausted"));

    for data in [DataClass::Internal, DataClass::Sensitive] {
        let house = self::house(complimentary(), data, 1_000_000, programme(400), answer(60)).await;
        join(&house, true);
        assert_eq!(refused(&house.call(1, BODY).await).1, "route_contract_unfit", "{data}");
    }
}

#[tokio::test]
async fn who_has_tokens_needs_no_money_at_the_dearest_of_several_targets_either() {
    let mut house = house(complimentary(), DataClass::Public, 0, programme(1_000), answer(60)).await;
    join(&house, true);
    let dear = RoutePrice { input: "2".to_owned(), output: Some("20".to_owned()), ..RoutePrice::default() };
    let dear = Schedule::from(PriceVersion::from_route("p", "m", &dear, ModelKind::Chat).unwrap());
    let contract = Arc::new(complimentary());
    let target = |prices| Target::new(Arc::clone(&house.provider), "m", Arc::clone(&contract), Some(prices));
    let route = Route::new("m", vec![target(price()), target(Arc::new(dear))]);
    let (routes, pools) = (Routes::new([route]), programme(1_000));
    house.alter(|old| Shared { routes, pools, ..House::copy(old) });
    assert_eq!(house.call(1, BODY).await.status, 200);
}

/// A first target that a pool pays for fails, and money pays for the second. The first has all that the wallet has set
/// aside: it is enough for the second if it is enough for one call there.
#[tokio::test]
async fn who_falls_back_from_a_pool_to_money_needs_no_more_than_one_call() {
    let input = i64::try_from(BODY.len() + 16).unwrap() * INPUT_NANO;
    let (whole, least) = (input + 200 * OUTPUT_NANO, input + 16 * OUTPUT_NANO);
    for (contract, in_flight, credit, goes_on) in [
        (complimentary(), InFlight::Completes, whole, true),
        (complimentary(), InFlight::Completes, whole - 1, false),
        (complimentary(), InFlight::Stops, whole, true),
        (complimentary(), InFlight::Stops, least, true),
        (complimentary(), InFlight::Stops, least - 1, false),
        (free(), InFlight::Completes, whole, true),
        (free(), InFlight::Completes, whole - 1, false),
    ] {
        let case = format!("{}, {in_flight:?}, {credit} of {whole}", contract.class);
        let (cost, is_free) = (10 * INPUT_NANO + 7 * OUTPUT_NANO, contract.class == AccessClass::Free);
        let paid = Arc::new(covering(DataClass::Public, true, Verified::Always));
        let mut first = Actor { contract: Arc::new(contract), ..Actor::new([Play::Status(503)]) };
        if is_free {
            first.price = ("0", "0");
        }
        let actors = [first, Actor { contract: Arc::clone(&paid), ..Actor::new([Play::Answer(7)]) }];
        let targets = [(paid, Some(price()))];
        let house = House::with_targets(targets, DataClass::Public, in_flight, credit, answer(1)).await;
        join(&house, true);
        let mut stage = Stage::in_house(house, Strategy::Ordered, &actors, quick()).await;
        stage.house.alter(|old| {
            let routes = Routes::new(old.routes.all().map(|route| Route::clone(route)));
            Shared { routes, pools: programme(100_000), ..House::copy(old) }
        });
        let got = stage.house.call(1, BODY).await;
        let (books, rows) = (stage.house.books(), stage.house.rows());
        let wallet = &books.wallets[0];
        let (attempts, charged) = if goes_on { (2, cost) } else { (1, 0) };
        assert_eq!((rows.len(), credit - wallet.balance.nano()), (attempts, charged), "{case}: {}", got.body);
        assert_eq!((wallet.held, wallet.debt, books.holds.len()), (Money::ZERO, Money::ZERO, 0), "{case}");
        assert!(books.pools.values().all(|pool| pool.held == 0), "{case}: {:?}", books.pools);
        if goes_on {
            assert_eq!((got.status.as_u16(), rows[1].held.nano()), (200, credit), "{case}: {}", got.body);
        } else {
            // What failed is told, and whose it is.
            let (status, _, error) = refused(&got);
            assert_eq!((status, &error["owner"]), (503, &"provider".into()), "{case}: {error}");
        }
    }
}

/// Two targets of one pool run at once: what is held is money for one answer and for the prompt of the other, whatever
/// the pool would pay for, and the pool pays for both.
#[tokio::test]
async fn a_second_attempt_in_a_pool_holds_for_one_answer_and_a_prompt() {
    let input = i64::try_from(BODY.len() + 16).unwrap() * INPUT_NANO;
    let slow = TargetRules { first_byte: Some(Duration::from_secs(20)), ..TargetRules::default() };
    let actor = |play| Actor { contract: Arc::new(complimentary()), ..Actor::new([play]) };
    let actors = [Actor { rules: slow, ..actor(Play::Hang) }, actor(Play::Answer(7))];
    let targets = [(Arc::clone(&actors[0].contract), Some(price()))];
    let house =
        House::with_targets(targets, DataClass::Public, InFlight::Completes, 100_000_000, answer(1)).await;
    join(&house, true);
    let mut stage = Stage::in_house(house, Strategy::Ordered, &actors, quick()).await;
    stage.house.alter(|old| {
        let after = Some(Duration::from_millis(100));
        let routes = old.routes.all();
        let routes = routes.map(|route| Route { hedge_after: after, ..Route::clone(route) });
        Shared { routes: Routes::new(routes), pools: programme(100_000), ..House::copy(old) }
    });
    let got = stage.house.call(1, BODY).await;
    assert_eq!(got.status, 200, "{}", got.body);
    let rows = stage.house.rows();
    assert_eq!((rows.len(), &*rows[0].reason), (2, "outrun"));
    let units = |row: &CostRow| row.cover.as_ref().unwrap().units;
    assert_eq!((rows[0].cost, rows[1].cost, units(&rows[1])), (Money::ZERO, Money::ZERO, 17));
    assert_eq!(rows[1].held.nano(), input + 200 * OUTPUT_NANO + input);
    let pools = stage.house.books().pools;
    let used: Vec<_> = pools.values().map(|pool| (pool.used, pool.held)).collect();
    assert_eq!(used, [(units(&rows[0]) + 17, 0)]);
}

#[tokio::test]
async fn who_leaves_before_anything_is_sent_has_taken_no_free_request() {
    let mut house = house(free(), DataClass::Internal, 0, Pools::default(), answer(7)).await;
    // The provider's own cap of the credential is one a day.
    let rules = CapRules { requests_per_day: Some(1), ..CapRules::default() };
    let account = Arc::new(Account::new("mock", rules));
    house.alter(|old| {
        let capped = |target: &Target| target.clone().with_accounts([Arc::clone(&account)]);
        let routes = old.routes.all().map(|route| Route {
            targets: route.targets.iter().map(capped).collect(),
            ..Route::clone(route)
        });
        Shared { routes: Routes::new(routes), ..House::copy(old) }
    });
    let used = || house.books().pools.values().map(|pool| pool.used).sum::<u64>();
    house.gate.dawdles.store(true, Ordering::Relaxed);
    let call = tokio::time::timeout(Duration::from_millis(20), house.call(1, BODY));
    assert!(call.await.is_err(), "the client leaves while the hold is made");
    let settled = async {
        while house.rows().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), settled).await.unwrap();
    let row = &house.rows()[0];
    assert_eq!((&*row.reason, row.status), ("client_closed", AttemptStatus::Cancelled));
    assert_eq!((row.cover.as_ref().unwrap().units, used(), house.bodies().len()), (0, 0, 0));
    house.gate.dawdles.store(false, Ordering::Relaxed);
    assert_eq!(house.call(2, BODY).await.status, 200);
    assert_eq!(
        (house.rows()[1].cover.as_ref().unwrap().units, used()),
        (1, 1),
        "what was sent has taken one"
    );
}

/// A price list as the figures say it: 2.50 and 10.00 a million.
fn listed() -> PriceVersion {
    let price =
        RoutePrice { input: "2.50".to_owned(), output: Some("10.00".to_owned()), ..RoutePrice::default() };
    PriceVersion::from_route("p", "m", &price, ModelKind::Chat).unwrap()
}

#[test]
fn the_fee_on_ones_own_key_is_five_percent_of_list_to_the_nano() {
    let now = "2026-11-30T23:59:59Z".parse().unwrap();
    for (allowance, pool, cap) in [
        (ByokAllowance::Requests(1_000_000), "byok", 1_000_000),
        (ByokAllowance::Value("25000".parse().unwrap()), "byok/value", 25_000_000_000_000),
    ] {
        let free: FreeRules = Pools::default().free;
        let pools = Pools::new(free, Vec::new(), ByokRules { allowance, fee_permille: 50 });
        let funding = pools.fund_own_key(AccessClass::Byok, now);
        let share = funding.pool.clone().unwrap();
        assert_eq!((&*share.key.pool, share.cap), (pool, cap));
        assert_eq!(share.ends.to_string(), "2026-12-01T00:00:00.000000Z");
        // 1,000 in and 300 out are 2.5 + 3 thousandths: 5,500,000 nano-units, of which 5 % are 275,000.
        let usage = Usage { input: 1_000, output: 300, ..Usage::default() };
        let charge = funding.charge(&listed(), &usage, ServiceTier::Standard).unwrap();
        assert_eq!((charge.amount.nano(), charge.list_pico), (275_000, Some(5_500_000_000)));
        let whole: i64 =
            charge.parts.iter().map(|part| i64::try_from(part.units).unwrap() * part.unit_pico).sum();
        assert_eq!(whole, charge.pico, "a pool can spare all of it");
        assert_eq!(funding.charge(&listed(), &Usage::default(), ServiceTier::Standard).unwrap().parts, []);
    }
    let by_price = Funding::by_price(AccessClass::Direct);
    let usage = Usage { input: 1, ..Usage::default() };
    let charge = by_price.charge(&listed(), &usage, ServiceTier::Standard).unwrap();
    assert_eq!((charge.pico, charge.amount.nano(), charge.parts), (2_500_000, 2_500, Vec::new()));
}
