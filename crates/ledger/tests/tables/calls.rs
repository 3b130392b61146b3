//! The rules by example, worked out by hand. Each line of a table is one command and all it brings about:
//!
//! `clock | command | answer | balance held debt | lot:remaining/used/expired … | bookings`
//!
//! Requests and lots are numbers, amounts nano-units, times microseconds. A settlement lists what each attempt cost,
//! where `1001p=2` is an exact cost of 1001 pico booked as 2 nano.

mod harness;

use std::fmt::Write;

use domain::{Money, Timestamp};
use tollkeeper_ledger::conformance::{lot_id, request_id};
use tollkeeper_ledger::{Account, CostRow, Denial, Draw, Entry, EntryKind, LotKind, Reply};

use harness::{Bench, payer};

/// Plays a table and compares every line.
fn check(name: &str, table: &str) {
    let mut bench = Bench::new();
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let booked = bench.entries.len();
        let answer = play(&mut bench, cells[1], moment(cells[0]));
        let wallet = &bench.wallet;
        let sums = [wallet.balance, wallet.held, wallet.debt].map(|sum| sum.nano().to_string()).join(" ");
        let bookings: Vec<String> = bench.entries[booked..].iter().map(booking).collect();
        let found = [cells[0], cells[1], &answer, &sums, &lots(&bench), &bookings.join("; ")];
        assert_eq!(cells, found, "{name}: {line}");
    }
    bench.check_replay();
}

fn play(bench: &mut Bench, command: &str, now: Timestamp) -> String {
    let words: Vec<&str> = command.split(' ').collect();
    let answer = match words[..] {
        ["freeze" | "thaw"] => {
            bench.wallet.frozen = command == "freeze";
            return "-".to_owned();
        }
        ["grant", lot, kind, nano, "until", until] => {
            bench.apply(payer().grant(count(lot), kind_of(kind), amount(nano), moment(until)), now)
        }
        ["hold", request, nano] => bench.apply(payer().hold(count(request), amount(nano)), now),
        ["extend", request, nano] => bench.apply(payer().extend(count(request), amount(nano)), now),
        ["settle", request, ref costs @ ..] => {
            let rows = (1..).zip(costs).map(|(attempt, cost)| row(count(request), attempt, cost));
            bench.apply(payer().settle(count(request), rows.collect()), now)
        }
        _ => Err(Denial::Invalid { field: "command of this table" }),
    };
    told(answer)
}

fn row(request: u64, attempt: u32, cost: &str) -> CostRow {
    match cost.split_once("p=") {
        Some((pico, nano)) => {
            let cost = Money::from_nano(amount(nano));
            CostRow { cost, ..payer().row(request, attempt, amount(pico)) }
        }
        None => payer().row(request, attempt, amount(cost) * 1_000),
    }
}

fn told(answer: Result<Reply, Denial>) -> String {
    match answer {
        Ok(Reply::Granted(_)) => "granted".to_owned(),
        Ok(Reply::Held) => "held".to_owned(),
        Ok(Reply::Extended) => "extended".to_owned(),
        Ok(Reply::Settled(settled)) => {
            let mut text = "paid".to_owned();
            write_draws(&mut text, settled.draws.into_iter(), settled.debt);
            text
        }
        Err(Denial::InsufficientCredit { available, needed }) => {
            format!("short {} of {}", available.nano(), needed.nano())
        }
        Err(Denial::InDebt { debt }) => format!("in debt {}", debt.nano()),
        other => other.map_or_else(|denial| denial.to_string(), |reply| format!("{reply:?}")),
    }
}

fn lots(bench: &Bench) -> String {
    let text = bench.lots.values().map(|lot| {
        let parts = [lot.remaining, lot.used, lot.expired].map(|part| part.nano().to_string()).join("/");
        format!("{}:{parts}", number(lot.id.as_bytes()))
    });
    text.collect::<Vec<_>>().join(" ")
}

fn booking(entry: &Entry) -> String {
    let reference = number(&entry.reference);
    let mut text = match entry.kind {
        EntryKind::Grant => format!("grant {reference}"),
        EntryKind::Settle => format!("settle {reference}"),
        EntryKind::Expire => "expire".to_owned(),
        EntryKind::PayDebt => "pay".to_owned(),
    };
    let owed = entry.amount_on(Account::Receivable).filter(|owed| !owed.is_negative());
    write_draws(&mut text, entry.draws(), owed.unwrap_or_default());
    text
}

fn write_draws(text: &mut String, draws: impl Iterator<Item = Draw>, debt: Money) {
    for draw in draws {
        write!(text, " {}:{}", number(draw.lot.as_bytes()), draw.amount.nano()).expect("a text takes all");
    }
    if !debt.is_zero() {
        write!(text, " owes {}", debt.nano()).expect("a text takes all");
    }
}

fn number(id: &[u8; 16]) -> u128 {
    u128::from_be_bytes(*id)
}

fn count(word: &str) -> u64 {
    word.parse().expect("a number")
}

fn amount(word: &str) -> i64 {
    if word == "max" { i64::MAX } else { word.parse().expect("an amount") }
}

fn moment(word: &str) -> Timestamp {
    if word == "never" { Timestamp::MAX } else { Timestamp::from_micros(amount(word)) }
}

fn kind_of(word: &str) -> LotKind {
    match word {
        "promo" => LotKind::Promo,
        "prepaid" => LotKind::Prepaid,
        "refund" => LotKind::Refund,
        _ => LotKind::Adjustment,
    }
}

#[test]
fn lots_burn_promotional_first_then_by_expiry_then_by_age() {
    check(
        "waterfall",
        "100 | grant 1 prepaid 10 until never | granted | 10 0 0 | 1:10/0/0 | grant 1
         100 | grant 2 adjustment 10 until 900 | granted | 20 0 0 | 1:10/0/0 2:10/0/0 | grant 2
         100 | grant 3 promo 10 until never | granted | 30 0 0 | 1:10/0/0 2:10/0/0 3:10/0/0 | grant 3
         100 | grant 5 promo 10 until 900 | granted | 40 0 0 | 1:10/0/0 2:10/0/0 3:10/0/0 5:10/0/0 | grant 5
         100 | grant 4 promo 10 until 900 | granted | 50 0 0 | 1:10/0/0 2:10/0/0 3:10/0/0 4:10/0/0 5:10/0/0 | grant 4
         100 | grant 6 refund 10 until 800 | granted | 60 0 0 | 1:10/0/0 2:10/0/0 3:10/0/0 4:10/0/0 5:10/0/0 6:10/0/0 | grant 6
         100 | hold 1 60 | held | 60 60 0 | 1:10/0/0 2:10/0/0 3:10/0/0 4:10/0/0 5:10/0/0 6:10/0/0 |
         100 | settle 1 57 | paid 4:10 5:10 3:10 6:10 2:10 1:7 | 3 0 0 | 1:3/7/0 2:0/10/0 3:0/10/0 4:0/10/0 5:0/10/0 6:0/10/0 | settle 1 4:10 5:10 3:10 6:10 2:10 1:7",
    );
}

#[test]
fn a_hold_that_settles_low_leaves_promotional_credit_to_its_neighbour() {
    check(
        "neighbours",
        "100 | grant 1 promo 10 until never | granted | 10 0 0 | 1:10/0/0 | grant 1
         100 | grant 2 prepaid 10 until never | granted | 20 0 0 | 1:10/0/0 2:10/0/0 | grant 2
         100 | hold 1 10 | held | 20 10 0 | 1:10/0/0 2:10/0/0 |
         100 | hold 2 10 | held | 20 20 0 | 1:10/0/0 2:10/0/0 |
         100 | settle 2 9 | paid 1:9 | 11 10 0 | 1:1/9/0 2:10/0/0 | settle 2 1:9
         100 | settle 1 2 | paid 1:1 2:1 | 9 0 0 | 1:0/10/0 2:9/1/0 | settle 1 1:1 2:1",
    );
}

#[test]
fn a_hold_needs_free_credit_and_not_a_nano_more() {
    check(
        "admission",
        "100 | hold 1 1 | short 0 of 1 | 0 0 0 | |
         100 | grant 1 prepaid 10 until never | granted | 10 0 0 | 1:10/0/0 | grant 1
         100 | hold 1 7 | held | 10 7 0 | 1:10/0/0 |
         100 | hold 2 4 | short 3 of 4 | 10 7 0 | 1:10/0/0 |
         100 | hold 2 max | short 3 of 9223372036854775807 | 10 7 0 | 1:10/0/0 |
         100 | hold 2 -1 | invalid amount | 10 7 0 | 1:10/0/0 |
         100 | extend 1 4 | short 3 of 4 | 10 7 0 | 1:10/0/0 |
         100 | extend 1 -1 | invalid amount | 10 7 0 | 1:10/0/0 |
         100 | extend 1 3 | extended | 10 10 0 | 1:10/0/0 |
         100 | hold 2 1 | short 0 of 1 | 10 10 0 | 1:10/0/0 |
         100 | hold 1 1 | this id exists already | 10 10 0 | 1:10/0/0 |
         100 | hold 2 0 | held | 10 10 0 | 1:10/0/0 |
         100 | extend 3 1 | the hold has ended or never was | 10 10 0 | 1:10/0/0 |
         100 | settle 3 1 | the hold has ended or never was | 10 10 0 | 1:10/0/0 |
         100 | settle 1 10 | paid 1:10 | 0 0 0 | 1:0/10/0 | settle 1 1:10
         100 | settle 1 10 | the hold has ended or never was | 0 0 0 | 1:0/10/0 |
         100 | settle 2 0 | paid | 0 0 0 | 1:0/10/0 | settle 2",
    );
}

#[test]
fn nothing_can_be_held_for_nothing_and_its_end_is_booked() {
    check(
        "zero",
        "100 | hold 1 0 | held | 0 0 0 | |
         100 | extend 1 0 | extended | 0 0 0 | |
         100 | settle 1 0 0 | paid | 0 0 0 | | settle 1
         100 | hold 2 0 | held | 0 0 0 | |
         100 | settle 2 3 | paid owes 3 | 0 0 3 | | settle 2 owes 3
         100 | hold 3 0 | in debt 3 | 0 0 3 | |",
    );
}

#[test]
fn what_expires_is_lost_only_when_no_hold_needs_it() {
    check(
        "grace",
        "100 | grant 1 promo 10 until 200 | granted | 10 0 0 | 1:10/0/0 | grant 1
         100 | grant 2 prepaid 10 until never | granted | 20 0 0 | 1:10/0/0 2:10/0/0 | grant 2
         100 | hold 1 12 | held | 20 12 0 | 1:10/0/0 2:10/0/0 |
         100 | hold 2 3 | held | 20 15 0 | 1:10/0/0 2:10/0/0 |
         198 | hold 3 99 | short 5 of 99 | 20 15 0 | 1:10/0/0 2:10/0/0 |
         200 | hold 3 99 | short 0 of 99 | 15 15 0 | 1:5/0/5 2:10/0/0 | expire 1:5
         201 | settle 2 2 | paid 1:2 | 12 12 0 | 1:2/2/6 2:10/0/0 | settle 2 1:2; expire 1:1
         202 | settle 1 1 | paid 1:1 | 10 0 0 | 1:0/3/7 2:10/0/0 | settle 1 1:1; expire 1:1
         150 | hold 4 10 | held | 10 10 0 | 1:0/3/7 2:10/0/0 |",
    );
}

#[test]
fn a_lot_expires_at_its_moment_and_in_waterfall_order() {
    check(
        "expiry",
        "100 | grant 1 prepaid 10 until 200 | granted | 10 0 0 | 1:10/0/0 | grant 1
         100 | grant 2 promo 10 until 300 | granted | 20 0 0 | 1:10/0/0 2:10/0/0 | grant 2
         100 | grant 3 prepaid 10 until 300 | granted | 30 0 0 | 1:10/0/0 2:10/0/0 3:10/0/0 | grant 3
         100 | grant 4 promo 10 until 100 | invalid expires_at | 30 0 0 | 1:10/0/0 2:10/0/0 3:10/0/0 |
         199 | hold 1 30 | held | 30 30 0 | 1:10/0/0 2:10/0/0 3:10/0/0 |
         250 | hold 2 1 | short 0 of 1 | 30 30 0 | 1:10/0/0 2:10/0/0 3:10/0/0 |
         300 | settle 1 7 | paid 2:7 | 0 0 0 | 1:0/0/10 2:0/7/3 3:0/0/10 | settle 1 2:7; expire 2:3; expire 1:10; expire 3:10
         300 | grant 5 promo 10 until 300 | invalid expires_at | 0 0 0 | 1:0/0/10 2:0/7/3 3:0/0/10 |
         300 | grant 5 promo 1 until 304 | granted | 1 0 0 | 1:0/0/10 2:0/7/3 3:0/0/10 5:1/0/0 | grant 5
         300 | hold 2 1 | held | 1 1 0 | 1:0/0/10 2:0/7/3 3:0/0/10 5:1/0/0 |",
    );
}

#[test]
fn what_is_due_expires_also_when_the_command_is_refused() {
    check(
        "due",
        "100 | grant 1 promo 10 until 200 | granted | 10 0 0 | 1:10/0/0 | grant 1
         200 | grant 2 promo 0 until never | invalid amount | 0 0 0 | 1:0/0/10 | expire 1:10
         200 | hold 1 5 | short 0 of 5 | 0 0 0 | 1:0/0/10 |",
    );
}

#[test]
fn a_charge_above_its_hold_takes_what_is_free_and_never_what_others_need() {
    check(
        "above",
        "100 | grant 1 prepaid 100 until never | granted | 100 0 0 | 1:100/0/0 | grant 1
         100 | hold 1 10 | held | 100 10 0 | 1:100/0/0 |
         100 | hold 2 60 | held | 100 70 0 | 1:100/0/0 |
         100 | settle 1 15 | paid 1:15 | 85 60 0 | 1:85/15/0 | settle 1 1:15
         100 | hold 3 10 | held | 85 70 0 | 1:85/15/0 |
         100 | settle 3 26 | paid 1:25 owes 1 | 60 60 1 | 1:60/40/0 | settle 3 1:25 owes 1
         100 | settle 2 60 | paid 1:60 | 0 0 1 | 1:0/100/0 | settle 2 1:60",
    );
}

#[test]
fn debt_refuses_holds_until_the_next_grant_has_paid_it() {
    check(
        "debt",
        "100 | grant 1 prepaid 10 until never | granted | 10 0 0 | 1:10/0/0 | grant 1
         100 | hold 1 4 | held | 10 4 0 | 1:10/0/0 |
         100 | hold 2 6 | held | 10 10 0 | 1:10/0/0 |
         100 | settle 1 9 | paid 1:4 owes 5 | 6 6 5 | 1:6/4/0 | settle 1 1:4 owes 5
         100 | hold 3 0 | in debt 5 | 6 6 5 | 1:6/4/0 |
         100 | extend 2 1 | in debt 5 | 6 6 5 | 1:6/4/0 |
         100 | extend 2 0 | extended | 6 6 5 | 1:6/4/0 |
         100 | hold 2 1 | this id exists already | 6 6 5 | 1:6/4/0 |
         100 | grant 2 promo 3 until never | granted | 6 6 2 | 1:6/4/0 2:0/3/0 | grant 2; pay 2:3
         100 | hold 3 1 | in debt 2 | 6 6 2 | 1:6/4/0 2:0/3/0 |
         100 | grant 3 promo 9 until 900 | granted | 13 6 0 | 1:6/4/0 2:0/3/0 3:7/2/0 | grant 3; pay 3:2
         100 | hold 3 7 | held | 13 13 0 | 1:6/4/0 2:0/3/0 3:7/2/0 |",
    );
}

#[test]
fn credit_that_a_hold_gives_back_pays_debt_before_it_expires() {
    check(
        "given back",
        "100 | grant 1 promo 10 until 200 | granted | 10 0 0 | 1:10/0/0 | grant 1
         100 | hold 1 8 | held | 10 8 0 | 1:10/0/0 |
         100 | hold 2 2 | held | 10 10 0 | 1:10/0/0 |
         100 | settle 2 5 | paid 1:2 owes 3 | 8 8 3 | 1:8/2/0 | settle 2 1:2 owes 3
         250 | extend 1 0 | extended | 8 8 3 | 1:8/2/0 |
         250 | settle 1 4 | paid 1:4 | 0 0 0 | 1:0/9/1 | settle 1 1:4; pay 1:3; expire 1:1",
    );
}

#[test]
fn the_attempts_of_a_request_are_one_charge() {
    check(
        "retry",
        "100 | grant 1 prepaid 100 until never | granted | 100 0 0 | 1:100/0/0 | grant 1
         100 | hold 1 20 | held | 100 20 0 | 1:100/0/0 |
         100 | settle 1 6 0 7 | paid 1:13 | 87 0 0 | 1:87/13/0 | settle 1 1:13
         100 | hold 2 20 | held | 87 20 0 | 1:87/13/0 |
         100 | settle 2 1p=1 1001p=2 999p=1 1000p=1 | paid 1:5 | 82 0 0 | 1:82/18/0 | settle 2 1:5",
    );
}

#[test]
fn a_cost_is_its_exact_cost_rounded_up_once_or_it_is_refused() {
    check(
        "rounding",
        "100 | grant 1 prepaid 100 until never | granted | 100 0 0 | 1:100/0/0 | grant 1
         100 | hold 1 20 | held | 100 20 0 | 1:100/0/0 |
         100 | settle 1 1000p=2 | invalid cost | 100 20 0 | 1:100/0/0 |
         100 | settle 1 1001p=1 | invalid cost | 100 20 0 | 1:100/0/0 |
         100 | settle 1 1p=0 | invalid cost | 100 20 0 | 1:100/0/0 |
         100 | settle 1 0p=1 | invalid cost | 100 20 0 | 1:100/0/0 |
         100 | settle 1 -1000p=-1 | invalid cost | 100 20 0 | 1:100/0/0 |
         100 | settle 1 5 -1p=0 | invalid cost | 100 20 0 | 1:100/0/0 |
         100 | settle 1 | invalid rows | 100 20 0 | 1:100/0/0 |
         100 | settle 1 999p=1 | paid 1:1 | 99 0 0 | 1:99/1/0 | settle 1 1:1",
    );
}

#[test]
fn a_frozen_wallet_says_no_to_everything_and_nothing_in_it_moves() {
    check(
        "frozen",
        "100 | grant 1 promo 10 until 200 | granted | 10 0 0 | 1:10/0/0 | grant 1
         100 | hold 1 5 | held | 10 5 0 | 1:10/0/0 |
         100 | freeze | - | 10 5 0 | 1:10/0/0 |
         300 | grant 2 promo 10 until never | the wallet is frozen | 10 5 0 | 1:10/0/0 |
         300 | hold 2 1 | the wallet is frozen | 10 5 0 | 1:10/0/0 |
         300 | extend 1 1 | the wallet is frozen | 10 5 0 | 1:10/0/0 |
         300 | settle 1 5 | the wallet is frozen | 10 5 0 | 1:10/0/0 |
         300 | thaw | - | 10 5 0 | 1:10/0/0 |
         300 | settle 1 2 | paid 1:2 | 0 0 0 | 1:0/2/8 | expire 1:5; settle 1 1:2; expire 1:3",
    );
}

#[test]
fn sums_that_do_not_fit_are_refused() {
    check(
        "overflow",
        "100 | grant 1 prepaid max until never | granted | 9223372036854775807 0 0 | 1:9223372036854775807/0/0 | grant 1
         100 | grant 2 prepaid 1 until never | amount out of range | 9223372036854775807 0 0 | 1:9223372036854775807/0/0 |
         100 | hold 1 max | held | 9223372036854775807 9223372036854775807 0 | 1:9223372036854775807/0/0 |
         100 | extend 1 1 | short 0 of 1 | 9223372036854775807 9223372036854775807 0 | 1:9223372036854775807/0/0 |
         100 | settle 1 9223372036854775807p=9223372036854776 | paid 1:9223372036854776 | 9214148664817921031 0 0 | 1:9214148664817921031/9223372036854776/0 | settle 1 1:9223372036854776",
    );
    // 1000 of the dearest rows are more than an amount can say; 999 are not, and twice 999 are more debt than one can.
    let mut bench = Bench::new();
    let rows = |request, count| (1..=count).map(|attempt| payer().row(request, attempt, i64::MAX)).collect();
    assert!(bench.apply(payer().grant(1, LotKind::Promo, 10, Timestamp::MAX), moment("100")).is_ok());
    for request in [1, 2] {
        assert_eq!(bench.apply(payer().hold(request, 5), moment("100")), Ok(Reply::Held));
    }
    for (request, count, expected) in [
        (1, 1_000, Err(Denial::Overflow)),
        (1, 999, Ok(9_214_148_664_817_921_219)),
        (2, 999, Err(Denial::Overflow)),
        (2, 0, Err(Denial::Invalid { field: "rows" })),
    ] {
        let before = bench.wallet.debt;
        let answer = bench.apply(payer().settle(request, rows(request, count)), moment("100"));
        let owed = bench.wallet.debt.nano() - before.nano();
        assert_eq!(answer.map(|_| owed), expected, "{request} {count}");
    }
    bench.check_replay();
}

#[test]
fn an_id_is_taken_while_its_lot_has_something() {
    check(
        "duplicates",
        "100 | grant 1 promo 10 until never | granted | 10 0 0 | 1:10/0/0 | grant 1
         100 | grant 1 prepaid 5 until never | this id exists already | 10 0 0 | 1:10/0/0 |
         100 | hold 1 10 | held | 10 10 0 | 1:10/0/0 |
         100 | hold 1 0 | this id exists already | 10 10 0 | 1:10/0/0 |",
    );
}

/// A clock that stands still or runs backwards is a microsecond later with each command.
#[test]
fn the_wallets_time_only_rises() {
    let mut bench = Bench::new();
    let mut stamps = Vec::new();
    for (lot, clock) in (1..).zip([100, 100, 50, i64::MIN, 200, 200, 199, i64::MAX - 1, 0, 0]) {
        let answer =
            bench.apply(payer().grant(lot, LotKind::Promo, 1, Timestamp::MAX), Timestamp::from_micros(clock));
        assert!(matches!(answer, Ok(Reply::Granted(_))), "{answer:?}");
        stamps.push(bench.wallet.last_at.micros());
    }
    // At the end of time nothing can rise, and never is still not over.
    let end = i64::MAX;
    assert_eq!(stamps, [100, 101, 102, 103, 200, 201, 202, end - 1, end, end]);
    let booked: Vec<i64> = bench.entries.iter().map(|entry| entry.at.micros()).collect();
    assert_eq!(booked, stamps);
    assert_eq!(bench.wallet.balance, Money::from_nano(10));
}

#[test]
fn each_kind_of_lot_comes_out_of_its_account() {
    for (kind, source) in [
        (LotKind::Promo, Account::PromoExpense),
        (LotKind::Prepaid, Account::Cash),
        (LotKind::Refund, Account::Revenue),
        (LotKind::Adjustment, Account::Revenue),
    ] {
        let mut bench = Bench::new();
        let answer = bench.apply(payer().grant(7, kind, 5, moment("900")), moment("100"));
        assert!(answer.is_ok(), "{answer:?}");
        let entry = &bench.entries[0];
        assert_eq!(entry.amount_on(source), Some(Money::from_nano(5)), "{kind:?}");
        assert_eq!(entry.amount_on(Account::Lot(lot_id(7))), Some(Money::from_nano(-5)), "{kind:?}");
        assert_eq!(entry.legs.len(), 2, "{kind:?}");
        assert_eq!((entry.reference, entry.at), (*lot_id(7).as_bytes(), moment("100")), "{kind:?}");
    }
}

/// The draft says what a restart would book: each extension brings it up to date, a refused one leaves it.
#[test]
fn an_extension_moves_the_checkpoint() {
    let mut bench = Bench::new();
    assert!(bench.apply(payer().grant(1, LotKind::Promo, 100, Timestamp::MAX), moment("100")).is_ok());
    assert!(bench.apply(payer().hold(1, 10), moment("100")).is_ok());
    // The second command of a clock that stands still.
    assert_eq!(bench.wallet.holds[&request_id(1)].created_at, moment("101"));
    let usage = payer().row(1, 1, 0).usage;
    let mut draft = bench.wallet.holds[&request_id(1)].draft.clone();
    for (nano, cost_pico, expected) in [
        (5, 2_001, Ok(Reply::Extended)),
        (0, 3_000, Ok(Reply::Extended)),
        (5, -1, Err(Denial::Invalid { field: "cost_pico" })),
        (
            86,
            9_000,
            Err(Denial::InsufficientCredit { available: Money::from_nano(85), needed: Money::from_nano(86) }),
        ),
    ] {
        let extend = tollkeeper_ledger::Command::Extend {
            wallet: payer().wallet,
            request: request_id(1),
            amount: Money::from_nano(nano),
            usage,
            cost_pico,
        };
        let answer = bench.apply(extend, moment("100"));
        assert_eq!(answer, expected);
        if answer.is_ok() {
            let cost = Money::from_nano((cost_pico + 999) / 1_000);
            (draft.usage, draft.cost_pico, draft.cost) = (usage, cost_pico, cost);
            draft.held = Money::from_nano(15);
        }
        assert_eq!(bench.wallet.holds[&request_id(1)].draft, draft);
    }
    assert_eq!(told(bench.apply(payer().settle(1, vec![*draft]), moment("100"))), "paid 1:3");
}

/// Makes a draft one that cannot be settled.
type Spoil = fn(&mut CostRow);

/// A restart settles the draft, so a hold whose draft cannot be settled is refused.
#[test]
fn a_draft_must_be_one_that_can_be_settled() {
    let mut bench = Bench::new();
    let good = payer().hold(1, 0);
    let flaws: [(Spoil, &str); 7] = [
        (|row| row.request = request_id(2), "rows"),
        (|row| row.organization = domain::OrganizationId::from_bytes([9; 16]), "rows"),
        (|row| row.attempt = 0, "rows"),
        (|row| row.cost = Money::from_nano(1), "cost"),
        (|row| row.cost_pico = 1, "cost"),
        (|row| row.cost_pico = -1, "cost"),
        (|row| (row.cost_pico, row.cost) = (-1_000, Money::from_nano(-1)), "cost"),
    ];
    for (spoil, field) in flaws {
        let mut hold = good.clone();
        spoil(&mut hold.draft);
        assert_eq!(bench.apply(hold, moment("100")), Err(Denial::Invalid { field }));
    }
    let draft = good.draft.clone();
    assert_eq!(bench.apply(good, moment("100")), Ok(Reply::Held));
    assert_eq!(told(bench.apply(payer().settle(1, vec![*draft]), moment("100"))), "paid");
}
