//! A call that goes from one target to another one that is paid for in another way: never beside the first, and after it
//! only with what it costs there held.

use std::sync::Arc;
use std::time::Duration;

use directory::{DataClass, InFlight};
use domain::{AccessClass, Money};
use ledger::AttemptStatus;

use super::contract::contract;
use super::house::{House, answer, price};
use super::paying::{complimentary, free, join, programme};
use super::stage::{Actor, Play, Stage, quick};
use crate::{Contract, Route, Routes, Shared, Strategy};

const BODY: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":50}"#;
const CREDIT: i64 = 1_000_000_000;
/// What the most that the call can cost is made of, at a dollar a million in and ten a million out.
const MOST: i64 = (BODY.len() as i64 + 16) * 1_000 + 50 * 10_000;
/// Ten tokens in and five out.
const COST: i64 = 10 * 1_000 + 5 * 10_000;

/// Targets of these contracts that play these, for an organization that has joined the programme.
async fn stage(in_flight: InFlight, credit: i64, actors: [(Contract, Play); 2], hedges: bool) -> Stage {
    let actors = actors.map(|(contract, play)| {
        let price = if contract.class == AccessClass::Free { ("0", "0") } else { ("1", "10") };
        Actor { price, contract: Arc::new(contract), ..Actor::new([play]) }
    });
    let targets = [(contract(), Some(price()))];
    let house = House::with_targets(targets, DataClass::Public, in_flight, credit, answer(1)).await;
    let mut stage = Stage::in_house(house, Strategy::Ordered, &actors, quick()).await;
    stage.house.alter(|old| {
        let hedge_after = hedges.then_some(Duration::from_millis(200));
        let routes = old.routes.all().map(|route| Route { hedge_after, ..Route::clone(route) });
        Shared { routes: Routes::new(routes), pools: programme(1_000_000), ..House::copy(old) }
    });
    join(&stage.house, true);
    stage
}

fn direct() -> Contract {
    Contract::clone(&contract())
}

#[tokio::test]
async fn a_second_attempt_is_sent_beside_only_where_both_are_paid_for_alike() {
    let slow = Play::Late(900, 5);
    for (first, second, called) in [
        (direct(), direct(), &["p0", "p1"][..]),
        (complimentary(), complimentary(), &["p0", "p1"]),
        (direct(), complimentary(), &["p0"]),
        (complimentary(), direct(), &["p0"]),
        // A free request is not made twice, nor beside one that is paid for.
        (free(), free(), &["p0"]),
        (direct(), free(), &["p0"]),
        (free(), direct(), &["p0"]),
    ] {
        let what = format!("{} and {}", first.class, second.class);
        let stage =
            stage(InFlight::Completes, CREDIT, [(first, slow), (second, Play::Answer(5))], true).await;
        let got = stage.house.call(1, BODY).await;
        assert_eq!(got.status, 200, "{what}");
        assert_eq!(stage.called(), called, "{what}");
    }
}

#[tokio::test]
async fn what_a_pool_no_longer_pays_for_is_held_in_money_before_it_is_sent() {
    for in_flight in [InFlight::Completes, InFlight::Stops] {
        for first in [free(), complimentary()] {
            let what = format!("{} {in_flight:?}", first.class);
            let plays = [(first.clone(), Play::Status(500)), (direct(), Play::Answer(5))];
            let stage = stage(in_flight, CREDIT, plays, false).await;
            let got = stage.house.call(1, BODY).await;
            assert_eq!(got.status, 200, "{what}: {}", got.body);
            assert_eq!(stage.called(), ["p0", "p1"], "{what}");
            let rows = stage.house.rows();
            let [failed, paid] = &rows[..] else { panic!("{what}: {rows:?}") };
            assert_eq!((failed.class, failed.status), (first.class, AttemptStatus::Failed), "{what}");
            assert_eq!((failed.cost, paid.class), (Money::ZERO, AccessClass::Direct), "{what}");
            assert_eq!((paid.cost.nano(), paid.cover.as_ref()), (COST, None), "{what}");
            assert!(paid.held.nano() >= MOST, "{what}: {} was held, and {MOST} may be needed", paid.held);
            let books = stage.house.books();
            assert!(books.holds.is_empty(), "{what}");
            let wallet = &books.wallets[0];
            let expected = (CREDIT - COST, Money::ZERO, Money::ZERO);
            assert_eq!((wallet.balance.nano(), wallet.held, wallet.debt), expected, "{what}");
        }
    }
}

#[tokio::test]
async fn nothing_is_sent_where_no_pool_pays_and_there_is_no_money() {
    for in_flight in [InFlight::Completes, InFlight::Stops] {
        for first in [free(), complimentary()] {
            let what = format!("{} {in_flight:?}", first.class);
            let plays = [(first, Play::Status(500)), (direct(), Play::Answer(5))];
            let stage = stage(in_flight, 0, plays, false).await;
            let got = stage.house.call(1, BODY).await;
            assert_eq!((got.status.as_u16(), stage.called().len()), (502, 1), "{what}: {}", got.body);
            let rows = stage.house.rows();
            assert_eq!((rows.len(), rows[0].cost), (1, Money::ZERO), "{what}: {rows:?}");
            assert_eq!(stage.house.debt(), 0, "{what}");
        }
    }
}
