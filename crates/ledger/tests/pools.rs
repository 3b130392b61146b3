//! Properties of pools that are not strict, over random calls that overlap: each unit has one payer, none is left where
//! money was paid, and the price is that of exactly the units that no pool paid for.

mod harness;

use std::collections::BTreeMap;

use domain::{Money, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use tollkeeper_ledger::conformance::{cover, parts, pool_key, request_id};
use tollkeeper_ledger::{CostRow, HoldRequest, LotKind, PoolKey, Reply};

use harness::{Bench, payer};

const NOW: Timestamp = Timestamp::from_micros(1_000);
const BEHIND: i64 = 1_000_000_000;

/// Units, each with its price in pico-units.
type Parts = Vec<(u64, i64)>;

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// A call begins: what it counts on, and in which period.
    Begin(Parts, u8),
    /// Of the calls that run this one goes on, counting on so many.
    Extend(usize, Parts),
    /// This one ends: what it consumed, and what it cost beyond that, in pico-units.
    End(usize, Parts, i64),
    /// From now on a period has so many units.
    Cap(u64),
}

fn parts_of_a_call() -> impl Strategy<Value = Parts> {
    let price = prop_oneof![1 => Just(0_i64), 4 => 1_i64..3_000];
    vec((0_u64..12, price), 0..=3)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (parts_of_a_call(), 0_u8..2).prop_map(|(parts, period)| Step::Begin(parts, period)),
        1 => (any::<usize>(), parts_of_a_call()).prop_map(|(call, parts)| Step::Extend(call, parts)),
        4 => (any::<usize>(), parts_of_a_call(), 0_i64..2_500)
            .prop_map(|(call, parts, beyond)| Step::End(call, parts, beyond)),
        1 => (0_u64..60).prop_map(Step::Cap),
    ];
    vec(step, 1..60)
}

fn funded() -> Bench {
    let mut bench = Bench::new();
    assert!(bench.apply(payer().grant(1, LotKind::Prepaid, BEHIND, Timestamp::MAX), NOW).is_ok());
    bench
}

fn key(period: u8) -> PoolKey {
    let mut key = pool_key("tokens");
    key.start = key.start.plus_seconds(86_400 * i64::from(period));
    key
}

fn used(bench: &Bench, key: &PoolKey) -> u64 {
    bench.books.pools.get(key).map_or(0, |pool| pool.used)
}

/// Ends a call with one row, and answers it as it was booked and what was charged.
fn settle(bench: &mut Bench, request: u64, row: CostRow) -> (CostRow, Money) {
    let answer = bench.apply(payer().settle(request, vec![row]), NOW);
    let charge = match &answer {
        Ok(Reply::Settled(settled)) if settled.debt.is_zero() => Some(settled.charge()),
        _ => None,
    };
    (bench.rows[&(request_id(request), 1)].clone(), charge.expect("there is money behind"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_unit_has_one_payer(steps in steps(), mut cap in 0_u64..60) {
        let mut bench = funded();
        let mut live: Vec<(u64, u8)> = Vec::new();
        let mut covered: BTreeMap<PoolKey, u64> = BTreeMap::new();
        let (mut next, mut charged) = (0, 0);
        for step in steps {
            match step {
                Step::Cap(new) => cap = new,
                Step::Begin(ceiling, period) => {
                    next += 1;
                    let mut hold = HoldRequest { ceiling: parts(&ceiling), ..payer().hold(next, 40) };
                    hold.draft.cover = Some(Box::new(cover("tokens", cap, &[])));
                    hold.draft.cover.as_mut().unwrap().key = key(period);
                    prop_assert!(bench.apply(hold, NOW).is_ok());
                    live.push((next, period));
                }
                Step::Extend(call, ceiling) if !live.is_empty() => {
                    let (request, _) = live[call % live.len()];
                    let mut extension = payer().extend(request, 45);
                    extension.ceiling = parts(&ceiling);
                    prop_assert!(bench.apply(extension, NOW).is_ok());
                }
                Step::End(call, consumed, beyond) if !live.is_empty() => {
                    let (request, period) = live.swap_remove(call % live.len());
                    let key = key(period);
                    // One price for each unit, in the order in which the pool pays.
                    let prices: Vec<i64> =
                        consumed.iter().flat_map(|(units, pico)| vec![*pico; usize::try_from(*units).unwrap()]).collect();
                    let cost = beyond + prices.iter().sum::<i64>();
                    let mut row = payer().row(request, 1, cost);
                    row.cover = Some(Box::new(cover("tokens", cap, &consumed)));
                    row.cover.as_mut().unwrap().key = key.clone();
                    let before = used(&bench, &key);
                    let (booked, charge) = settle(&mut bench, request, row);
                    let after = used(&bench, &key);
                    let paid = booked.cover.as_ref().unwrap().units;
                    let paid_units = usize::try_from(paid).unwrap();
                    prop_assert!(paid_units <= prices.len());
                    prop_assert_eq!(after, before + paid);
                    prop_assert!(paid == 0 || after <= cap, "{} of {} are used", after, cap);
                    prop_assert!(paid_units == prices.len() || after >= cap, "money paid, {} of {} used", after, cap);
                    let uncovered = beyond + prices[paid_units..].iter().sum::<i64>();
                    prop_assert_eq!(booked.cost_pico, uncovered);
                    let nano = (uncovered + 999) / 1_000;
                    prop_assert_eq!((booked.cost.nano(), charge.nano()), (nano, nano));
                    *covered.entry(key).or_default() += paid;
                    charged += nano;
                }
                Step::Extend(..) | Step::End(..) => {}
            }
        }
        // Whoever ends at last without a word lets go of what was counted on.
        for (request, _) in live {
            prop_assert!(bench.apply(payer().settle_for(request, 0), NOW).is_ok());
        }
        for (key, pool) in &bench.books.pools {
            prop_assert_eq!((pool.held, pool.used), (0, covered.get(key).copied().unwrap_or(0)));
        }
        prop_assert_eq!(bench.books.wallets[0].balance.nano(), BEHIND - charged);
        bench.check_replay();
    }

    /// A fee of 5 % of the list price, which is not paid for so many calls of a month.
    #[test]
    fn the_first_calls_of_a_month_carry_no_fee(
        free in 0_u64..12,
        calls in vec((prop_oneof![1 => Just(0_i64), 5 => 1_i64..2_000], any::<usize>(), 0_u8..2), 1..40),
    ) {
        let mut bench = funded();
        // All of them run at once, and end in some order: the first are those that end first.
        let fee = |list_nano: i64| list_nano * 1_000 * 5 / 100;
        let mut live = Vec::new();
        for (request, (list_nano, place, month)) in (1..).zip(calls) {
            // What costs nothing carries no fee that could be spared.
            let of: Parts = (list_nano > 0).then(|| (1, fee(list_nano))).into_iter().collect();
            let mut covered = cover("fees", free, &of);
            covered.key.start = key(month).start;
            let row = CostRow { cover: Some(Box::new(covered.clone())), ..payer().row(request, 1, fee(list_nano)) };
            let (ceiling, least) = (covered.parts.clone(), Money::ZERO);
            covered.parts.clear();
            let mut hold = HoldRequest { ceiling, least, ..payer().hold(request, 0) };
            hold.draft.cover = Some(Box::new(covered));
            prop_assert!(bench.apply(hold, NOW).is_ok());
            live.insert(place % (live.len() + 1), (request, row, list_nano, month));
        }
        let mut so_far = [0_u64; 2];
        for (request, row, list_nano, month) in live {
            let count = &mut so_far[usize::from(month)];
            *count += u64::from(list_nano > 0);
            let carries = list_nano > 0 && *count > free;
            let expected = if carries { (list_nano * 5 + 99) / 100 } else { 0 };
            let (booked, charge) = settle(&mut bench, request, row);
            prop_assert_eq!(charge.nano(), expected);
            prop_assert_eq!(booked.cover.unwrap().units, u64::from(list_nano > 0 && !carries));
        }
    }
}
