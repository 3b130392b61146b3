//! Whatever is asked in whatever order: the promises hold after every command, denials leave no trace, and what changed
//! is told so completely that tables made of it are the books. What is right to answer, other tests say.

mod harness;

use domain::{RequestId, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use tollkeeper_ledger::conformance::{
    budget, cost_cap, lot_id, named, promo, purpose, request_id, wallet_id,
};
use tollkeeper_ledger::{
    Act, Budget, Caps, Command, CostRow, Extension, HoldRequest, LotKind, Period, Subject,
};

use harness::{Bench, payer};

/// One command, and how far the clock turns before it: mostly forward, at times back.
type Step = (i64, Command);

const DAY: i64 = 86_400_000_000;
const USERS: [Option<&str>; 3] = [None, Some("a"), Some("b")];
const MODELS: [&str; 2] = ["small", "big"];

fn number() -> impl Strategy<Value = u64> {
    1_u64..40
}

fn money() -> impl Strategy<Value = i64> {
    prop_oneof![8 => 0_i64..40, 1 => -3_i64..0, 1 => 40_i64..400]
}

/// Never, or at some moment of the first days.
fn expiry() -> impl Strategy<Value = Timestamp> {
    prop_oneof![Just(Timestamp::MAX), (0..5 * DAY).prop_map(Timestamp::from_micros)]
}

fn calls() -> impl Strategy<Value = Command> {
    let hold = (number(), money(), money(), 0_u64..30, 0_usize..3, 0_usize..2).prop_map(
        |(request, nano, least, tokens, user, model)| {
            let mut hold = payer().hold(request, nano);
            hold.draft.attribution.user = USERS[user].map(Box::from);
            hold.draft.model = MODELS[model].into();
            let least = domain::Money::from_nano(least.min(nano));
            HoldRequest { least, tokens, ..hold }.into()
        },
    );
    let extend =
        (number(), money(), 0_u64..30, 0_i64..30_000).prop_map(|(request, nano, tokens, cost_pico)| {
            Extension { tokens, cost_pico, ..payer().extend(request, nano) }.into()
        });
    let settle = (number(), vec(0_i64..30_000, 1..3), 0..5 * DAY).prop_map(|(request, costs, at)| {
        let at = Timestamp::from_micros(at);
        let row = |(attempt, cost)| CostRow { at, ..payer().row(request, attempt, cost) };
        payer().settle(request, (1..).zip(costs).map(row).collect())
    });
    let sweep = (-10_i64..200_000, 0..5 * DAY)
        .prop_map(|(warn, stale)| payer().sweep(warn, Timestamp::from_micros(stale)));
    prop_oneof![6 => hold, 2 => extend, 5 => settle, 1 => sweep]
}

fn bookings() -> impl Strategy<Value = Command> {
    let wallet = || 1_u64..5;
    let lot = || 1_u64..40;
    let grant =
        (wallet(), lot(), any::<bool>(), money(), expiry()).prop_map(|(wallet, lot, promo, nano, expiry)| {
            let kind = if promo { LotKind::Promo } else { LotKind::Prepaid };
            let mut booking = payer().grant(lot, kind, nano, expiry);
            if let Act::Grant(grant) = &mut booking.act {
                grant.wallet = Some(wallet_id(wallet));
            }
            booking
        });
    let open = (2_u64..5).prop_map(|wallet| {
        let purpose = match wallet {
            2 => purpose(Some(1), &[], true),
            3 => purpose(None, &["sm*"], false),
            _ => purpose(Some(2), &["big"], false),
        };
        payer().open_wallet(wallet, purpose)
    });
    let refund = (number(), money(), lot(), expiry()).prop_map(|(request, nano, lot, expires_at)| {
        let (request, amount, lot) = (request_id(request), domain::Money::from_nano(nano), lot_id(lot));
        payer().booking(Act::Refund { request, amount, lot, expires_at })
    });
    let booking = prop_oneof![
        6 => grant,
        1 => open,
        1 => (lot(), money(), 0_u8..4).prop_map(|(lot, nano, n)| payer().top_up(lot, nano, &format!("bank:{n}"))),
        1 => (lot(), 5_u64..8, 0_u8..3)
            .prop_map(|(lot, wallet, n)| payer().redeem(&format!("CODE-{n}"), lot, wallet)),
        2 => (wallet(), wallet(), money(), lot())
            .prop_map(|(from, to, nano, lot)| payer().transfer(from, to, nano, lot)),
        1 => refund,
        1 => (wallet(), money(), lot()).prop_map(|(wallet, nano, lot)| payer().pay_out(wallet, nano, lot)),
        1 => (wallet(), -40_i64..40, lot()).prop_map(|(wallet, nano, lot)| payer().adjust(wallet, nano, lot)),
        2 => budgets().prop_map(|budget| payer().set_budget(budget)),
        1 => (1_u64..5).prop_map(|budget| payer().remove_budget(budget)),
    ];
    (booking, proptest::option::weighted(0.2, (0_u8..3, 0_u8..2))).prop_map(|(booking, name)| match name {
        Some((key, digest)) => named(booking, &key.to_string(), digest).into(),
        None => booking.into(),
    })
}

fn budgets() -> impl Strategy<Value = Budget> {
    (1_u64..5, any::<bool>(), any::<bool>(), 0_i64..200, proptest::option::of(0_u64..10)).prop_map(
        |(n, hard, daily, nano, steps)| {
            let subject = if n % 2 == 0 { Subject::User(None) } else { Subject::Organization };
            let period = if daily { Period::Daily } else { Period::Total };
            let caps = Caps { steps, ..cost_cap(nano) };
            Budget { hard, thresholds: vec![50, 80], ..budget(n, subject, period, caps) }
        },
    )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let turn = prop_oneof![6 => 0_i64..1_000, 2 => 0..DAY, 1 => -DAY..0];
    vec((turn, prop_oneof![3 => calls(), 2 => bookings()]), 1..60)
}

/// Books with something in them, so that less is refused.
fn stocked() -> Bench {
    let mut bench = Bench::new();
    for (code, models) in
        [("CODE-0", vec![]), ("CODE-1", vec!["small".into()]), ("CODE-2", vec!["sm*".into()])]
    {
        bench.promos.insert(code.into(), tollkeeper_ledger::PromoCode { models, ..promo(code, 20, 1) });
    }
    let soon = Timestamp::from_micros(2 * DAY);
    for command in [
        payer().grant(50, LotKind::Prepaid, 60, Timestamp::MAX),
        payer().grant(51, LotKind::Promo, 30, soon),
        payer().open_wallet(2, purpose(Some(1), &[], true)),
        payer().grant_to(2, 52, 25),
    ] {
        assert!(bench.apply(command, Timestamp::from_micros(DAY)).is_ok());
    }
    bench
}

/// Mostly what is asked about a call is asked about one that is there.
fn aimed(bench: &Bench, mut command: Command) -> Command {
    let mut live: Vec<RequestId> = bench.books.holds.keys().copied().collect();
    live.sort();
    let settled: Vec<RequestId> = bench.rows.keys().map(|(request, _)| *request).collect();
    let aim = |request: &mut RequestId, known: &[RequestId]| {
        let place = usize::from(request.as_bytes()[15]);
        if let Some(there) = place.checked_rem(known.len()).filter(|_| place % 5 != 0) {
            *request = known[there];
        }
    };
    match &mut command {
        Command::Extend(extension) => aim(&mut extension.request, &live),
        Command::Settle { request, rows, .. } => {
            aim(request, &live);
            rows.iter_mut().for_each(|row| row.request = *request);
        }
        Command::Book(booking) => {
            if let Act::Refund { request, .. } = &mut booking.act {
                aim(request, &settled);
            }
        }
        Command::Open { .. }
        | Command::Hold(_)
        | Command::Probe(_)
        | Command::Sweep { .. }
        | Command::Issue(_) => {}
    }
    command
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changes_are_all_that_a_store_needs(steps in steps()) {
        let mut bench = stocked();
        let mut clock = DAY;
        for (turn, command) in steps {
            clock += turn;
            // What it answers does not matter: the bench checks the rest.
            let command = aimed(&bench, command);
            let _ = bench.apply(command, Timestamp::from_micros(clock));
        }
        bench.check_replay();
    }
}
