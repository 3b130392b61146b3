//! What is said of covers that are not fit, and when: after the rows, before the rest.

use domain::Money;
use tollkeeper_ledger::conformance::{cover, parts, pool_key, request_id, strict};
use tollkeeper_ledger::{Command, Cover, Denial, Extension, NextAttempt};

use super::{Case, DEBT, Flaw, NOTHING, TAKEN, check, full, invalid, short};
use crate::harness::payer;

/// What no cover may be.
const UNFIT: [Flaw; 8] = [
    (|case| case.covered(cover("", 1, &[])), invalid("cover")),
    (|case| case.covered(cover(" \t", 1, &[])), invalid("cover")),
    (|case| case.covered(cover(&"p".repeat(129), 1, &[])), invalid("cover")),
    (|case| case.covered(Cover { units: 1, ..cover("p", 1, &[]) }), invalid("cover")),
    (|case| case.covered(cover("p", 1, &[(0, -1)])), invalid("cover")),
    (|case| case.covered(cover("p", 1, &[(0, 0); 101])), invalid("cover")),
    (|case| case.covered(cover("p", 1, &[(2_000, 1), (1, 1)])), invalid("cover")),
    (|case| case.covered(cover("p", 1, &[(u64::MAX, i64::MAX), (u64::MAX, i64::MAX)])), invalid("cover")),
];

impl Case {
    /// The draft, the next attempt or the first row has this cover.
    fn covered(&mut self, cover: Cover) {
        let cover = Some(Box::new(cover));
        match &mut self.command {
            Command::Hold(hold) => hold.draft.cover = cover,
            Command::Settle { rows, .. } => rows[0].cover = cover,
            Command::Extend(extension) => extension.next.as_mut().unwrap().cover = cover,
            other => panic!("no cover in {other:?}"),
        }
    }

    fn next(&mut self) -> &mut NextAttempt {
        self.extension().next.as_mut().unwrap()
    }
}

/// What is said after all that concerns the rows, by an attempt that needs two nano-units.
fn what_is_not_there() -> [Flaw; 4] {
    let used_up = Denial::PoolUsedUp { key: pool_key("p"), cap: 1, used: 0 };
    [
        (|case| case.exhaust(3, NOTHING), full(3, tollkeeper_ledger::Measure::Cost, "0.000000002")),
        (|case| case.covered(strict("p", 1, 2)), used_up),
        (Case::owe, DEBT()),
        (|case| case.leave(1), short(1, 2)),
    ]
}

#[test]
fn holds() {
    let mut hold = payer().hold(5, 2);
    (hold.draft.cost_pico, hold.draft.cost) = (2_000, Money::from_nano(2));
    let of_rows: [Flaw; 2] = [
        (|case| case.hold().draft.attempt = 0, invalid("rows")),
        (|case| case.hold().draft.cost = Money::from_nano(1), invalid("cost")),
    ];
    let flaws: Vec<Flaw> =
        of_rows.into_iter().chain(UNFIT).chain([TAKEN]).chain(what_is_not_there()).collect();
    check("hold", hold.clone(), &flaws);
    // One that is fit, of a pool without units.
    hold.draft.cover = Some(Box::new(cover(&"p".repeat(128), 0, &[(10, 2); 100])));
    check("hold on a pool", hold, &flaws);
}

#[test]
fn next_attempts() {
    let next = NextAttempt { earlier: vec![payer().row(1, 1, 0)], ..payer().next(2, "small", "other/model") };
    let next = Extension { cost_pico: 1_000, next: Some(Box::new(next)), ..payer().extend(1, 7) };
    let of_rows: [Flaw; 5] = [
        (|case| case.books.holds.clear(), Denial::HoldGone),
        (|case| case.next().attempt = 3, invalid("attempt")),
        (|case| case.next().earlier.clear(), invalid("rows")),
        (|case| case.next().earlier.iter_mut().for_each(|row| row.request = request_id(2)), invalid("rows")),
        (|case| case.next().earlier.iter_mut().for_each(|row| row.cost_pico = -1), invalid("cost")),
    ];
    let flaws: Vec<Flaw> = of_rows.into_iter().chain(UNFIT).chain(what_is_not_there()).collect();
    check("next attempt", next, &flaws);
}

#[test]
fn what_was_consumed() {
    let too_much: Flaw = (
        |case| {
            case.extension().consumed = parts(&[(1, 1_001)]);
            let hold = case.books.holds.get_mut(&request_id(1));
            hold.into_iter().for_each(|hold| hold.draft.cover = Some(Box::new(cover("p", 1, &[]))));
        },
        invalid("cover"),
    );
    let flaws: [Flaw; 5] = [
        (|case| case.extension().ceiling = parts(&[(1, -1)]), invalid("ceiling")),
        (|case| case.books.holds.clear(), Denial::HoldGone),
        too_much,
        (Case::owe, DEBT()),
        (|case| case.leave(1), short(1, 2)),
    ];
    check("extend", Extension { cost_pico: 1_000, ..payer().extend(1, 7) }, &flaws);
}

#[test]
fn settlements() {
    let of_rows: [Flaw; 3] = [
        (|case| case.books.holds.clear(), Denial::HoldGone),
        (|case| case.rows()[1].attempt = 0, invalid("rows")),
        (|case| case.rows()[1].cost_pico = -1, invalid("cost")),
    ];
    let full: Flaw = (|case| case.books.net = Money::from_nano(i64::MIN), Denial::Overflow);
    let flaws: Vec<Flaw> = of_rows.into_iter().chain(UNFIT).chain([full]).collect();
    let rows = vec![payer().row(1, 1, 1_000), payer().row(1, 2, 1_000)];
    check("settle", payer().settle(1, rows), &flaws);
}
