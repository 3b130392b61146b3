//! Settlement order does not matter: every order of ends gives the lots that one waterfall pass over the total gives.

mod harness;

use std::collections::BTreeMap;

use domain::{LotId, Money, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use tollkeeper_ledger::conformance::{lot_id, project_id, purpose, wallet_id};
use tollkeeper_ledger::{Act, LotKind, Reply};

use harness::{Bench, payer};

const NOW: Timestamp = Timestamp::from_micros(1_000);

/// A lot: whether it is promotional, how much, and how long after the first expiry it expires; nothing for never.
type Grant = (bool, i64, Option<i64>);

/// A hold: how much is held, and how much it costs in the end.
type Call = (i64, i64);

fn grants() -> impl Strategy<Value = Vec<Grant>> {
    vec((any::<bool>(), 1_i64..=60, proptest::option::of(0_i64..4)), 1..=6)
}

/// Calls that cost at most what was held, and some that cost more.
fn calls() -> impl Strategy<Value = Vec<Call>> {
    let call = (0_i64..=25, 0_i64..=100, prop_oneof![4 => Just(0_i64), 1 => 1_i64..=30]);
    vec(call.prop_map(|(held, percent, above)| (held, held * percent / 100 + above)), 1..=6)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_order_of_ends_is_one_waterfall(grants in grants(), calls in calls()) {
        let bench = funded(&grants);
        let (bench, live) = held(bench, &calls);
        let total = live.iter().map(|(_, cost)| cost).sum();
        let expected = waterfall(&grants, total);
        every_end(&bench, &live, &mut |bench| {
            let left = bench.lots.iter().map(|(id, lot)| (*id, lot.remaining.nano())).collect();
            assert_eq!((left, bench.books.wallets[0].debt.nano()), expected);
        });
    }
}

fn config() -> ProptestConfig {
    // One case is up to 720 orders.
    ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() }
}

fn expiry(after: Option<i64>) -> Timestamp {
    after.map_or(Timestamp::MAX, |after| Timestamp::from_micros(1_000_000 + after))
}

fn kind_of(promo: bool) -> LotKind {
    if promo { LotKind::Promo } else { LotKind::Prepaid }
}

fn funded(grants: &[Grant]) -> Bench {
    let mut bench = Bench::new();
    for (id, (promo, nano, after)) in (1..).zip(grants) {
        let answer = bench.apply(payer().grant(id, kind_of(*promo), *nano, expiry(*after)), NOW);
        assert!(matches!(answer, Ok(Reply::Granted(_))), "{answer:?}");
    }
    bench
}

/// Holds what is admitted of the calls: their numbers, and what they will cost.
fn held(mut bench: Bench, calls: &[Call]) -> (Bench, Vec<(u64, i64)>) {
    let mut live = Vec::new();
    for (request, (hold, cost)) in (1..).zip(calls) {
        if bench.apply(payer().hold(request, *hold), NOW).is_ok() {
            live.push((request, *cost));
        }
    }
    (bench, live)
}

/// What one pass over the lots in waterfall order leaves of each, and what it cannot pay.
fn waterfall(grants: &[Grant], mut total: i64) -> (BTreeMap<LotId, i64>, i64) {
    let mut lots: Vec<(bool, Timestamp, u64, i64)> =
        (1..).zip(grants).map(|(id, (promo, nano, after))| (!promo, expiry(*after), id, *nano)).collect();
    lots.sort_unstable();
    let mut left = BTreeMap::new();
    for (_, _, id, nano) in lots {
        let part = total.min(nano);
        total -= part;
        left.insert(lot_id(id), nano - part);
    }
    (left, total)
}

/// A wallet beside the own one: which calls it is for, and its lots.
type Aside = (u8, Vec<Grant>);

fn asides() -> impl Strategy<Value = Vec<Aside>> {
    vec((0_u8..4, grants()), 1..=3)
}

/// Calls within their holds, of two projects and for two models.
fn calls_within() -> impl Strategy<Value = Vec<(Call, bool, bool)>> {
    let call = (0_i64..=90, 0_i64..=100).prop_map(|(held, percent)| (held, held * percent / 100));
    vec((call, any::<bool>(), any::<bool>()), 1..=5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..config() })]

    /// Along a chain each wallet pays out of what it had set aside, so within holds no order matters there either.
    #[test]
    fn along_a_chain_every_order_of_ends_is_the_same(
        own in grants(),
        asides in asides(),
        calls in calls_within(),
    ) {
        let mut bench = funded(&own);
        for (n, (of, lots)) in (2..).zip(&asides) {
            let purpose = match of {
                0 => purpose(Some(1), &[], true),
                1 => purpose(Some(1), &["small"], false),
                2 => purpose(None, &["sm*"], false),
                _ => purpose(Some(2), &[], false),
            };
            // One of a kind.
            if bench.apply(payer().open_wallet(n, purpose), NOW).is_ok() {
                for (lot, (promo, nano, after)) in (n * 10..).zip(lots) {
                    let mut grant = payer().grant(lot, kind_of(*promo), *nano, expiry(*after));
                    if let Act::Grant(grant) = &mut grant.act {
                        grant.wallet = Some(wallet_id(n));
                    }
                    assert!(bench.apply(grant, NOW).is_ok());
                }
            }
        }
        let mut live = Vec::new();
        for (request, ((hold, cost), other_project, other_model)) in (1..).zip(calls) {
            let mut hold = payer().hold(request, hold);
            if other_project {
                hold.draft.project = project_id(2);
            }
            if other_model {
                hold.draft.model = "big".into();
            }
            if bench.apply(hold, NOW).is_ok() {
                live.push((request, cost));
            }
        }
        let mut expected = None;
        every_end(&bench, &live, &mut |bench| {
            let wallets: Vec<_> = bench.books.wallets.clone();
            let first = expected.get_or_insert_with(|| (wallets.clone(), bench.lots.clone()));
            assert_eq!(first, &(wallets, bench.lots.clone()));
        });
    }
}

/// Ends the live holds in every order.
fn every_end(bench: &Bench, live: &[(u64, i64)], ended: &mut impl FnMut(&Bench)) {
    if live.is_empty() {
        ended(bench);
        bench.check_replay();
    }
    for (place, (request, cost)) in live.iter().enumerate() {
        let mut bench = bench.clone();
        let answer = bench.apply(payer().settle_for(*request, *cost), NOW);
        assert!(matches!(answer, Ok(Reply::Settled(_))), "{answer:?}");
        let rest: Vec<_> = [&live[..place], &live[place + 1..]].concat();
        every_end(&bench, &rest, ended);
    }
}

/// The one exception, which the rules accept: grace goes with the first hold that does not need it, so a call that
/// ends later pays from another lot.
#[test]
fn grace_is_gone_with_the_first_hold_that_frees_it() {
    let due = Timestamp::from_micros(2_000);
    for (order, left_in_the_other_lot) in [([1, 2], 0), ([2, 1], 10)] {
        let mut bench = Bench::new();
        assert!(bench.apply(payer().grant(1, LotKind::Promo, 10, due), NOW).is_ok());
        assert!(bench.apply(payer().grant(2, LotKind::Promo, 10, Timestamp::MAX), NOW).is_ok());
        assert!(bench.apply(payer().hold(1, 10), NOW).is_ok());
        assert!(bench.apply(payer().hold(2, 10), NOW).is_ok());
        for request in order {
            // The first costs nothing, the second all it holds.
            let cost = if request == 1 { 0 } else { 10 };
            assert!(bench.apply(payer().settle_for(request, cost), due).is_ok());
        }
        assert_eq!(bench.books.wallets[0].balance, Money::from_nano(left_in_the_other_lot), "{order:?}");
    }
}
