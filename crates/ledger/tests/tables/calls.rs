//! Calls in one wallet: the waterfall, holds, grace, debt, rounding, stamps.

use domain::{Money, Timestamp};
use tollkeeper_ledger::conformance::{lot_id, request_id};
use tollkeeper_ledger::{CostRow, Denial, Draw, Extension, HoldRequest, LotKind, Reply, Settled};

use crate::harness::{Bench, payer};
use crate::play::{check, moment};

#[test]
fn lots_burn_promotional_first_then_by_expiry_then_by_age() {
    check(
        "waterfall",
        "100 | grant 1 prepaid 10 until never | granted | 10 0 0 | 1:10/0/0 | grant 1 to 1:10
         100 | adjust 1 10 2 until 900 | granted | 20 0 0 | 1:10/0/0 2:10/0/0 | adjust 2 to 2:10
         100 | grant 3 promo 10 until never | granted | 30 0 0 | 1:10/0/0 2:10/0/0 3:10/0/0 | grant 3 to 3:10
         100 | grant 5 promo 10 until 900 | granted | 40 0 0 | 1:10/0/0 2:10/0/0 3:10/0/0 5:10/0/0 | grant 5 to 5:10
         100 | grant 4 promo 10 until 900 | granted | 50 0 0 | 1:10/0/0 2:10/0/0 3:10/0/0 4:10/0/0 5:10/0/0 | grant 4 to 4:10
         100 | grant 6 prepaid 10 until 800 | granted | 60 0 0 | 1:10/0/0 2:10/0/0 3:10/0/0 4:10/0/0 5:10/0/0 6:10/0/0 | grant 6 to 6:10
         100 | hold 1 60 | held 60 | 60 60 0 | 1:10/0/0 2:10/0/0 3:10/0/0 4:10/0/0 5:10/0/0 6:10/0/0 |
         100 | settle 1 57 | paid 4:10 5:10 3:10 6:10 2:10 1:7 | 3 0 0 | 1:3/7/0 2:0/10/0 3:0/10/0 4:0/10/0 5:0/10/0 6:0/10/0 | settle 1 4:10 5:10 3:10 6:10 2:10 1:7",
    );
}

#[test]
fn a_hold_that_settles_low_leaves_promotional_credit_to_its_neighbour() {
    check(
        "neighbours",
        "100 | grant 1 promo 10 until never | granted | 10 0 0 | 1:10/0/0 | grant 1 to 1:10
         100 | grant 2 prepaid 10 until never | granted | 20 0 0 | 1:10/0/0 2:10/0/0 | grant 2 to 2:10
         100 | hold 1 10 | held 10 | 20 10 0 | 1:10/0/0 2:10/0/0 |
         100 | hold 2 10 | held 10 | 20 20 0 | 1:10/0/0 2:10/0/0 |
         100 | settle 2 9 | paid 1:9 | 11 10 0 | 1:1/9/0 2:10/0/0 | settle 2 1:9
         100 | settle 1 2 | paid 1:1 2:1 | 9 0 0 | 1:0/10/0 2:9/1/0 | settle 1 1:1 2:1",
    );
}

#[test]
fn a_hold_needs_free_credit_and_not_a_nano_more() {
    check(
        "admission",
        "100 | hold 1 1 | short 0 of 1
         100 | grant 1 prepaid 10 until never | granted | 10 0 0 | 1:10/0/0 | grant 1 to 1:10
         100 | hold 1 7 | held 7 | 10 7 0 | 1:10/0/0 |
         100 | hold 2 4 | short 3 of 4
         100 | hold 2 max | short 3 of 9223372036854775807
         100 | hold 2 -1 | invalid amount
         100 | extend 1 11 | short 3 of 4
         100 | extend 1 -1 | invalid amount
         100 | extend 1 11 least -1 | invalid amount
         100 | extend 1 11 least 12 | invalid amount
         100 | extend 1 10 | extended 10 | 10 10 0 | 1:10/0/0 |
         100 | extend 1 10 | extended 10 | 10 10 0 | 1:10/0/0 |
         100 | extend 1 99 least 10 | extended 10 | 10 10 0 | 1:10/0/0 |
         100 | extend 1 5 | extended 10 | 10 10 0 | 1:10/0/0 |
         100 | hold 2 1 | short 0 of 1
         100 | hold 1 1 | this id exists already
         100 | hold 2 0 | held 0
         100 | extend 3 1 | the hold has ended or never was
         100 | settle 3 1 | the hold has ended or never was
         100 | settle 1 10 | paid 1:10 | 0 0 0 | 1:0/10/0 | settle 1 1:10
         100 | settle 1 10 | the hold has ended or never was
         100 | settle 2 0 | paid | 0 0 0 | 1:0/10/0 | settle 2",
    );
}

#[test]
fn a_hold_shrinks_to_what_there_is_and_not_below_its_least() {
    check(
        "shrink",
        "100 | grant 1 prepaid 100 | granted | 100 0 0 | 1:100/0/0 | grant 1 to 1:100
         100 | hold 1 60 least 10 | held 60 | 100 60 0 | 1:100/0/0 |
         100 | hold 2 60 least 41 | short 40 of 41
         100 | hold 2 60 least 40 | held 40 | 100 100 0 | 1:100/0/0 |
         100 | hold 3 5 least 1 | short 0 of 1
         100 | hold 3 5 least 0 | held 0
         100 | hold 4 5 least 6 | invalid amount
         100 | hold 4 5 least -1 | invalid amount
         100 | hold 4 -1 least -1 | invalid amount
         100 | hold 4 0 least 0 | held 0
         100 | settle 1 59 | paid 1:59 | 41 40 0 | 1:41/59/0 | settle 1 1:59
         100 | settle 2 50 | paid 1:41 owes 9 | 0 0 9 | 1:0/100/0 | settle 2 1:41 owes 9; told 2 owes 9",
    );
}

#[test]
fn nothing_can_be_held_for_nothing_and_its_end_is_booked() {
    check(
        "zero",
        "100 | hold 1 0 | held 0
         100 | extend 1 0 | extended 0
         100 | settle 1 0 0 | paid | 0 0 0 |  | settle 1
         100 | hold 2 0 | held 0
         100 | settle 2 3 | paid owes 3 | 0 0 3 |  | settle 2 owes 3; told 2 owes 3
         100 | hold 3 1 | in debt 3",
    );
}

#[test]
fn what_expires_is_lost_only_when_no_hold_needs_it() {
    check(
        "grace",
        "100 | grant 1 promo 10 until 200 | granted | 10 0 0 | 1:10/0/0 | grant 1 to 1:10
         100 | grant 2 prepaid 10 until never | granted | 20 0 0 | 1:10/0/0 2:10/0/0 | grant 2 to 2:10
         100 | hold 1 12 | held 12 | 20 12 0 | 1:10/0/0 2:10/0/0 |
         100 | hold 2 3 | held 3 | 20 15 0 | 1:10/0/0 2:10/0/0 |
         198 | hold 3 99 | short 5 of 99
         200 | hold 3 99 | short 0 of 99 | 15 15 0 | 1:5/0/5 2:10/0/0 | expire 1:5
         201 | settle 2 2 | paid 1:2 | 12 12 0 | 1:2/2/6 2:10/0/0 | settle 2 1:2; expire 1:1
         202 | settle 1 1 | paid 1:1 | 10 0 0 | 1:0/3/7 2:10/0/0 | settle 1 1:1; expire 1:1
         150 | hold 4 10 | held 10 | 10 10 0 | 1:0/3/7 2:10/0/0 |",
    );
}

#[test]
fn a_lot_expires_at_its_moment_and_in_waterfall_order() {
    check(
        "expiry",
        "100 | grant 1 prepaid 10 until 200 | granted | 10 0 0 | 1:10/0/0 | grant 1 to 1:10
         100 | grant 2 promo 10 until 300 | granted | 20 0 0 | 1:10/0/0 2:10/0/0 | grant 2 to 2:10
         100 | grant 3 prepaid 10 until 300 | granted | 30 0 0 | 1:10/0/0 2:10/0/0 3:10/0/0 | grant 3 to 3:10
         100 | grant 4 promo 10 until 100 | invalid expires_at
         199 | hold 1 30 | held 30 | 30 30 0 | 1:10/0/0 2:10/0/0 3:10/0/0 |
         250 | hold 2 1 | short 0 of 1
         300 | settle 1 7 | paid 2:7 | 0 0 0 | 1:0/0/10 2:0/7/3 3:0/0/10 | settle 1 2:7; expire 2:3; expire 1:10; expire 3:10
         300 | grant 5 promo 10 until 300 | invalid expires_at
         300 | grant 5 promo 1 until 304 | granted | 1 0 0 | 1:0/0/10 2:0/7/3 3:0/0/10 5:1/0/0 | grant 5 to 5:1
         300 | hold 2 1 | held 1 | 1 1 0 | 1:0/0/10 2:0/7/3 3:0/0/10 5:1/0/0 |",
    );
}

#[test]
fn what_is_due_expires_also_when_the_command_is_refused() {
    check(
        "due",
        "100 | grant 1 promo 10 until 200 | granted | 10 0 0 | 1:10/0/0 | grant 1 to 1:10
         200 | grant 2 promo 0 until never | invalid amount | 0 0 0 | 1:0/0/10 | expire 1:10
         200 | hold 1 5 | short 0 of 5",
    );
}

#[test]
fn a_charge_above_its_hold_takes_what_is_free_and_never_what_others_need() {
    check(
        "above",
        "100 | grant 1 prepaid 100 until never | granted | 100 0 0 | 1:100/0/0 | grant 1 to 1:100
         100 | hold 1 10 | held 10 | 100 10 0 | 1:100/0/0 |
         100 | hold 2 60 | held 60 | 100 70 0 | 1:100/0/0 |
         100 | settle 1 15 | paid 1:15 | 85 60 0 | 1:85/15/0 | settle 1 1:15
         100 | hold 3 10 | held 10 | 85 70 0 | 1:85/15/0 |
         100 | settle 3 26 | paid 1:25 owes 1 | 60 60 1 | 1:60/40/0 | settle 3 1:25 owes 1; told 3 owes 1
         100 | settle 2 60 | paid 1:60 | 0 0 1 | 1:0/100/0 | settle 2 1:60",
    );
}

#[test]
fn debt_refuses_holds_until_the_next_grant_has_paid_it() {
    check(
        "debt",
        "100 | grant 1 prepaid 10 until never | granted | 10 0 0 | 1:10/0/0 | grant 1 to 1:10
         100 | hold 1 4 | held 4 | 10 4 0 | 1:10/0/0 |
         100 | hold 2 6 | held 6 | 10 10 0 | 1:10/0/0 |
         100 | settle 1 9 | paid 1:4 owes 5 | 6 6 5 | 1:6/4/0 | settle 1 1:4 owes 5; told 1 owes 5
         100 | hold 3 1 | in debt 5
         100 | extend 2 7 | in debt 5
         100 | extend 2 6 | extended 6
         100 | hold 2 1 | this id exists already
         100 | grant 2 promo 3 until never | granted | 6 6 2 | 1:6/4/0 2:0/3/0 | grant 2 to 2:3; pay 2:3
         100 | hold 3 1 | in debt 2
         100 | grant 3 promo 9 until 900 | granted | 13 6 0 | 1:6/4/0 2:0/3/0 3:7/2/0 | grant 3 to 3:9; pay 3:2
         100 | hold 3 7 | held 7 | 13 13 0 | 1:6/4/0 2:0/3/0 3:7/2/0 |",
    );
}

#[test]
fn credit_that_a_hold_gives_back_pays_debt_before_it_expires() {
    check(
        "given back",
        "100 | grant 1 promo 10 until 200 | granted | 10 0 0 | 1:10/0/0 | grant 1 to 1:10
         100 | hold 1 8 | held 8 | 10 8 0 | 1:10/0/0 |
         100 | hold 2 2 | held 2 | 10 10 0 | 1:10/0/0 |
         100 | settle 2 5 | paid 1:2 owes 3 | 8 8 3 | 1:8/2/0 | settle 2 1:2 owes 3; told 2 owes 3
         250 | extend 1 0 | extended 8
         250 | settle 1 4 | paid 1:4 | 0 0 0 | 1:0/9/1 | settle 1 1:4; pay 1:3; expire 1:1",
    );
}

#[test]
fn new_credit_pays_debt_first_then_lets_grace_go() {
    check(
        "debt and grace",
        "100 | grant 1 prepaid 10 until 200 | granted | 10 0 0 | 1:10/0/0 | grant 1 to 1:10
         100 | hold 1 6 | held 6 | 10 6 0 | 1:10/0/0 |
         100 | hold 2 4 | held 4 | 10 10 0 | 1:10/0/0 |
         100 | settle 2 9 | paid 1:4 owes 5 | 6 6 5 | 1:6/4/0 | settle 2 1:4 owes 5; told 2 owes 5
         300 | grant 2 promo 3 | granted | 6 6 2 | 1:6/4/0 2:0/3/0 | grant 2 to 2:3; pay 2:3
         300 | grant 3 promo 8 | granted | 6 6 0 | 1:0/4/6 2:0/3/0 3:6/2/0 | grant 3 to 3:8; pay 3:2; expire 1:6
         300 | settle 1 2 | paid 3:2 | 4 0 0 | 1:0/4/6 2:0/3/0 3:4/4/0 | settle 1 3:2",
    );
}

#[test]
fn the_attempts_of_a_request_are_one_charge() {
    check(
        "retry",
        "100 | grant 1 prepaid 100 until never | granted | 100 0 0 | 1:100/0/0 | grant 1 to 1:100
         100 | hold 1 20 | held 20 | 100 20 0 | 1:100/0/0 |
         100 | settle 1 6 0 7 | paid 1:13 | 87 0 0 | 1:87/13/0 | settle 1 1:13
         100 | hold 2 20 | held 20 | 87 20 0 | 1:87/13/0 |
         100 | settle 2 1p=1 1001p=2 999p=1 1000p=1 | paid 1:5 | 82 0 0 | 1:82/18/0 | settle 2 1:5",
    );
}

#[test]
fn a_cost_is_its_exact_cost_rounded_up_once_or_it_is_refused() {
    check(
        "rounding",
        "100 | grant 1 prepaid 100 until never | granted | 100 0 0 | 1:100/0/0 | grant 1 to 1:100
         100 | hold 1 20 | held 20 | 100 20 0 | 1:100/0/0 |
         100 | settle 1 1000p=2 | invalid cost
         100 | settle 1 1001p=1 | invalid cost
         100 | settle 1 1p=0 | invalid cost
         100 | settle 1 0p=1 | invalid cost
         100 | settle 1 -1000p=-1 | invalid cost
         100 | settle 1 5 -1p=0 | invalid cost
         100 | settle 1 | invalid rows
         100 | settle 1 999p=1 | paid 1:1 | 99 0 0 | 1:99/1/0 | settle 1 1:1",
    );
}

#[test]
fn frozen_books_say_no_to_everything_and_nothing_in_them_moves() {
    check(
        "frozen",
        "100 | grant 1 promo 10 until 200 | granted | 10 0 0 | 1:10/0/0 | grant 1 to 1:10
         100 | hold 1 5 | held 5 | 10 5 0 | 1:10/0/0 |
         100 | freeze | -
         300 | grant 2 promo 10 until never | the books are frozen
         300 | hold 2 1 | the books are frozen
         300 | extend 1 1 | the books are frozen
         300 | settle 1 5 | the books are frozen
         300 | thaw | -
         300 | settle 1 2 | paid 1:2 | 0 0 0 | 1:0/2/8 | expire 1:5; settle 1 1:2; expire 1:3",
    );
}

#[test]
fn sums_that_do_not_fit_are_refused() {
    check(
        "a full purse",
        "100 | grant 1 prepaid max | granted | 9223372036854775807 0 0 | 1:9223372036854775807/0/0 | grant 1 to 1:9223372036854775807
         100 | grant 2 prepaid 1 | amount out of range
         100 | hold 1 max | held 9223372036854775807 | 9223372036854775807 9223372036854775807 0 | 1:9223372036854775807/0/0 |
         100 | extend 1 max | extended 9223372036854775807
         100 | settle 1 9223372036854775807p=9223372036854776 | paid 1:9223372036854776 | 9214148664817921031 0 0 | 1:9214148664817921031/9223372036854776/0 | settle 1 1:9223372036854776
         100 | adjust 1 9223372036854776 2 | granted | 9223372036854775807 0 0 | 1:9214148664817921031/9223372036854776/0 2:9223372036854776/0/0 | adjust 2 to 2:9223372036854776
         100 | adjust 1 9223372036854777 3 | amount out of range",
    );
}

#[test]
fn an_id_is_taken_while_its_lot_has_something() {
    check(
        "duplicates",
        "100 | grant 1 promo 10 until never | granted | 10 0 0 | 1:10/0/0 | grant 1 to 1:10
         100 | grant 1 prepaid 5 until never | this id exists already
         100 | hold 1 10 | held 10 | 10 10 0 | 1:10/0/0 |
         100 | hold 1 0 | this id exists already",
    );
}

#[test]
fn a_sweep_warns_once_and_ends_what_nobody_ends() {
    check(
        "sweep",
        "100 | grant 1 promo 10 until 1000100 | granted | 10 0 0 | 1:10/0/0 | grant 1 to 1:10
         100 | grant 2 prepaid 10 until 1000101 | granted | 20 0 0 | 1:10/0/0 2:10/0/0 | grant 2 to 2:10
         100 | grant 3 prepaid 20 | granted | 40 0 0 | 1:10/0/0 2:10/0/0 3:20/0/0 | grant 3 to 3:20
         100 | wallet 2 project 1 | opened
         100 | grant 4 prepaid 7 until 1000100 in 2 | granted | 40 0 0, 2: 7 0 0 | 1:10/0/0 2:10/0/0 3:20/0/0 4@2:7/0/0 | grant 4@2 to 4:7
         100 | sweep 0 0 | swept 0
         100 | sweep 1 0 | swept 0 | 40 0 0, 2: 7 0 0 | 1:10/0/0! 2:10/0/0 3:20/0/0 4@2:7/0/0! | told 1:10 until 1000100; told 4@2:7 until 1000100
         101 | sweep 1 0 | swept 0 | 40 0 0, 2: 7 0 0 | 1:10/0/0! 2:10/0/0! 3:20/0/0 4@2:7/0/0! | told 2:10 until 1000101
         101 | sweep 1 0 | swept 0
         200 | hold 2 5 draft 3 project 2 | held 5 | 40 5 0, 2: 7 0 0 | 1:10/0/0! 2:10/0/0! 3:20/0/0 4@2:7/0/0! |
         200 | hold 1 10 draft 4 project 2 | held 10 | 40 15 0, 2: 7 0 0 | 1:10/0/0! 2:10/0/0! 3:20/0/0 4@2:7/0/0! |
         201 | hold 3 5 project 2 | held 5 | 40 20 0, 2: 7 0 0 | 1:10/0/0! 2:10/0/0! 3:20/0/0 4@2:7/0/0! |
         201 | extend 3 7 pico 2001 usage 5 | extended 7 | 40 22 0, 2: 7 0 0 | 1:10/0/0! 2:10/0/0! 3:20/0/0 4@2:7/0/0! |
         201 | sweep 0 200 | swept 0
         201 | sweep 0 201 | swept 2 | 33 7 0, 2: 7 0 0 | 1:3/7/0! 2:10/0/0! 3:20/0/0 4@2:7/0/0! | settle 1 1:4; settle 2 1:3; told 1 timed out 4; told 2 timed out 3
         201 | settle 1 4 | the hold has ended or never was
         201 | hold 1 4 project 2 | this id exists already
         201 | sweep 0 202 | swept 1 | 30 0 0, 2: 7 0 0 | 1:0/10/0! 2:10/0/0! 3:20/0/0 4@2:7/0/0! | settle 3 1:3; told 3 timed out 3
         202 | hold 4 6 draft 9 | held 6 | 30 0 0, 2: 7 6 0 | 1:0/10/0! 2:10/0/0! 3:20/0/0 4@2:7/0/0! |
         1000100 | sweep -9 0 | swept 0 | 30 0 0, 2: 6 6 0 | 1:0/10/0! 2:10/0/0! 3:20/0/0 4@2:6/0/1! | expire@2 4:1
         1000100 | sweep 0 never | swept 1 | 30 0 0, 2: 0 0 3 | 1:0/10/0! 2:10/0/0! 3:20/0/0 4@2:0/6/1! | settle 4@2 4:6 owes 3; told 4@2 owes 3; told 4 timed out 9
         1000100 | sweep 100 never | swept 0",
    );
}

#[test]
fn grace_is_warned_of_and_swept_like_the_rest() {
    check(
        "sweep grace",
        "100 | grant 1 promo 10 until 200 | granted | 10 0 0 | 1:10/0/0 | grant 1 to 1:10
         100 | hold 1 10 draft 12 | held 10 | 10 10 0 | 1:10/0/0 |
         300 | sweep 0 0 | swept 0 | 10 10 0 | 1:10/0/0! | told 1:10 until 200
         300 | sweep 0 0 | swept 0
         300 | sweep 0 never | swept 1 | 0 0 2 | 1:0/10/0! | settle 1 1:10 owes 2; told 1 owes 2; told 1 timed out 12
         300 | hold 2 1 | in debt 2",
    );
}

/// 1000 of the dearest rows are more than an amount can say; 999 are not, and twice 999 are more debt than one can.
#[test]
fn charges_and_debts_that_do_not_fit_are_refused() {
    let mut bench = Bench::new();
    let rows = |request, count| (1..=count).map(|attempt| payer().row(request, attempt, i64::MAX)).collect();
    assert!(bench.apply(payer().grant(1, LotKind::Promo, 10, Timestamp::MAX), moment("100")).is_ok());
    let dearest = Box::new(payer().row(2, 1, i64::MAX));
    for hold in [payer().hold(1, 4), HoldRequest { draft: dearest, ..payer().hold(2, 4) }, payer().hold(3, 2)]
    {
        assert!(bench.apply(hold, moment("100")).is_ok());
    }
    for (request, count, expected) in [
        (1, 1_000, Err(Denial::Overflow)),
        (1, 999, Ok(9_214_148_664_817_921_220)),
        (2, 999, Err(Denial::Overflow)),
        (2, 0, Err(Denial::Invalid { field: "rows" })),
    ] {
        let before = bench.books.wallets[0].debt;
        let answer = bench.apply(payer().settle(request, rows(request, count)), moment("100"));
        let owed = bench.books.wallets[0].debt.nano() - before.nano();
        assert_eq!(answer.map(|_| owed), expected, "{request} {count}");
    }
    // A hold whose charge no longer fits stays; it does not keep the others from ending.
    for swept in [1, 0] {
        assert_eq!(bench.apply(payer().sweep(0, Timestamp::MAX), moment("100")), Ok(Reply::Swept(swept)));
        assert_eq!(bench.books.holds.keys().collect::<Vec<_>>(), [&request_id(2)]);
    }
    bench.check_replay();
}

/// A clock that stands still or runs backwards is a microsecond later with each command, also with a denied one.
#[test]
fn stamps_only_rise() {
    let mut bench = Bench::new();
    let mut stamps = Vec::new();
    for (lot, clock) in (1..).zip([100, 100, 50, i64::MIN, 200, 200, 199, i64::MAX - 1, 0, 0]) {
        let clock = Timestamp::from_micros(clock);
        // The third is denied.
        let lot = if lot == 3 { 1 } else { lot };
        let answer = bench.apply(payer().grant(lot, LotKind::Promo, 1, Timestamp::MAX), clock);
        assert_eq!(answer.is_ok(), stamps.len() != 2, "{answer:?}");
        assert_eq!(bench.books.seen_at, clock);
        stamps.push(bench.books.last_at.micros());
    }
    // At the end of time nothing can rise, and never is still not over.
    let end = i64::MAX;
    assert_eq!(stamps, [100, 101, 102, 103, 200, 201, 202, end - 1, end, end]);
    stamps.remove(2);
    let booked: Vec<i64> = bench.entries.iter().map(|entry| entry.at.micros()).collect();
    assert_eq!(booked, stamps);
    assert_eq!(bench.books.wallets[0].balance, Money::from_nano(9));
}

/// The draft says what a restart would book: each extension brings it up to date, a refused one leaves it.
#[test]
fn an_extension_moves_the_checkpoint() {
    let mut bench = Bench::new();
    assert!(bench.apply(payer().grant(1, LotKind::Promo, 100, Timestamp::MAX), moment("100")).is_ok());
    assert!(bench.apply(payer().hold(1, 10), moment("100")).is_ok());
    // By the clock, not by the stamp.
    assert_eq!(bench.books.holds[&request_id(1)].created_at, moment("100"));
    let mut usage = payer().row(1, 1, 0).usage;
    let mut draft = bench.books.holds[&request_id(1)].draft.clone();
    for (nano, cost_pico, expected) in [
        (15, 2_001, Ok(3)),
        (0, 3_000, Ok(3)),
        (0, 0, Ok(0)),
        (0, 1, Ok(1)),
        (0, 999, Ok(1)),
        (0, 1_000, Ok(1)),
        (0, 1_001, Ok(2)),
        (0, i64::MAX, Ok(9_223_372_036_854_776)),
        (5, -1, Err(Denial::Invalid { field: "cost_pico" })),
        (
            101,
            9_000,
            Err(Denial::InsufficientCredit { available: Money::from_nano(85), needed: Money::from_nano(86) }),
        ),
    ] {
        usage.output += 1;
        let extension = Extension { usage, cost_pico, ..payer().extend(1, nano) };
        let answer = bench.apply(extension, moment("100"));
        assert_eq!(answer.clone().map(|_| ()), expected.clone().map(|_: i64| ()));
        if let Ok(cost) = expected {
            (draft.usage, draft.cost_pico, draft.cost) = (usage, cost_pico, Money::from_nano(cost));
            draft.held = Money::from_nano(15);
        }
        assert_eq!(bench.books.holds[&request_id(1)].draft, draft);
    }
    (draft.cost_pico, draft.cost) = (2_001, Money::from_nano(3));
    let paid =
        Settled { draws: vec![Draw { lot: lot_id(1), amount: Money::from_nano(3) }], debt: Money::ZERO };
    assert_eq!(bench.apply(payer().settle(1, vec![*draft]), moment("100")), Ok(Reply::Settled(paid)));
}

/// What a sweep books is the last checkpoint, and says so.
#[test]
fn a_swept_call_is_its_draft() {
    let mut bench = Bench::new();
    assert!(bench.apply(payer().grant(1, LotKind::Promo, 100, Timestamp::MAX), moment("100")).is_ok());
    assert!(bench.apply(payer().hold(1, 10), moment("100")).is_ok());
    let usage = payer().row(1, 1, 0).usage;
    let checkpoint = Extension { usage, cost_pico: 7_001, ..payer().extend(1, 15) };
    assert!(bench.apply(checkpoint, moment("100")).is_ok());
    let draft = CostRow::clone(&bench.books.holds[&request_id(1)].draft);
    assert_eq!(bench.apply(payer().sweep(0, Timestamp::MAX), moment("100")), Ok(Reply::Swept(1)));
    let (cost, held) = (Money::from_nano(8), Money::from_nano(15));
    let booked = CostRow { reason: "hold_timed_out".into(), usage, cost_pico: 7_001, cost, held, ..draft };
    assert_eq!(bench.rows[&(request_id(1), 1)], booked);
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
    assert_eq!(bench.apply(good, moment("100")), Ok(Reply::Held(Money::ZERO)));
    let nothing = Settled { draws: Vec::new(), debt: Money::ZERO };
    assert_eq!(bench.apply(payer().settle(1, vec![*draft]), moment("100")), Ok(Reply::Settled(nothing)));
}
