//! Sixty commands, every kind of command and of booking among them, in transactions of several sizes.

use domain::Timestamp;
use ledger::conformance::{Payer, START, budget, cost_cap, cover, named, parts, promo, purpose, strict};
use ledger::{Budget, Command, CostRow, Cover, HoldRequest, LotKind, Period, Subject, Tag};

/// One transaction: when it runs, in seconds from the start, and what it does.
pub(crate) type Transaction = (i64, Vec<Command>);

/// Who the script is about.
pub(crate) fn payers() -> [Payer; 2] {
    [Payer::number(1), Payer::number(2)]
}

/// The script.
pub(crate) fn transactions() -> Vec<Transaction> {
    let [one, two] = payers();
    let mut all = beginnings(one, two);
    all.extend(calls(one, two));
    all.extend(corrections(one, two));
    all
}

/// Books, credit of every source, wallets, budgets.
fn beginnings(one: Payer, two: Payer) -> Vec<Transaction> {
    let for_small = || ledger::PromoCode { models: vec!["small".into()], ..promo("SMALL-1", 700, 1) };
    let thrifty = Budget {
        thresholds: vec![50, 80],
        hard: false,
        ..budget(2, Subject::Tag(Tag::Feature, None), Period::Daily, cost_cap(600))
    };
    vec![
        (0, vec![one.open()]),
        (1, vec![two.open(), promo("WELCOME", 1_000, 2).into(), for_small().into()]),
        (
            2,
            vec![
                one.grant(1, LotKind::Prepaid, 50_000, Timestamp::MAX).into(),
                one.grant(2, LotKind::Promo, 400, START.plus_seconds(3_600)).into(),
                named(one.grant(3, LotKind::Prepaid, 2_000, Timestamp::MAX), "grant-3", 3).into(),
                named(one.grant(3, LotKind::Prepaid, 2_000, Timestamp::MAX), "grant-3", 3).into(),
            ],
        ),
        (
            3,
            vec![
                one.top_up(4, 3_000, "stripe:pi_1").into(),
                one.top_up(4, 3_000, "stripe:pi_1").into(),
                two.top_up(5, 800, "stripe:pi_1").into(),
                two.top_up(5, 800, "stripe:pi_2").into(),
                one.redeem("WELCOME", 6, 206).into(),
                two.redeem("WELCOME", 7, 207).into(),
                one.redeem("SMALL-1", 8, 208).into(),
            ],
        ),
        (
            4,
            vec![
                one.open_wallet(210, purpose(Some(1), &[], true)).into(),
                one.open_wallet(211, purpose(None, &["large*"], false)).into(),
                one.grant_to(210, 9, 900).into(),
                one.transfer(1, 211, 1_500, 20).into(),
            ],
        ),
        (
            5,
            vec![
                one.set_budget(budget(1, Subject::Organization, Period::Monthly, cost_cap(20_000))).into(),
                one.set_budget(thrifty).into(),
            ],
        ),
    ]
}

/// Calls: held, extended, settled within and beyond their holds, refused, left alone.
fn calls(one: Payer, two: Payer) -> Vec<Transaction> {
    vec![
        (10, vec![pooled(one.hold(1, 300), cover("tokens", 90, &[]))]),
        (11, vec![one.extend(1, 100).into(), one.hold(2, 500).into(), two.hold(3, 600).into()]),
        (
            12,
            vec![
                one.settle(1, vec![covered(one.row(1, 1, 380_000))]),
                one.hold(2, 500).into(),
                Command::Probe(one.hold(4, 90_000)),
            ],
        ),
        (
            13,
            vec![
                two.settle_for(3, 2_500),
                two.hold(5, 10).into(),
                one.hold(6, 200).into(),
                one.hold(7, 0).into(),
                one.settle(2, vec![one.row(2, 1, 0), one.row(2, 2, 123_456)]),
                one.settle_for(2, 1),
            ],
        ),
        (14, vec![two.top_up(30, 5_000, "stripe:pi_3").into(), one.settle_for(7, 0)]),
        (
            15,
            vec![
                pooled(one.hold(8, 250), strict("free", 3, 1)),
                one.hold(9, 250).into(),
                two.hold(10, 400).into(),
            ],
        ),
    ]
}

/// A hold that draws on a pool.
fn pooled(mut hold: HoldRequest, cover: Cover) -> Command {
    hold.draft.cover = Some(Box::new(cover));
    HoldRequest { ceiling: parts(&[(70, 1_000)]), ..hold }.into()
}

/// A row of which a pool pays for thirty units.
fn covered(row: CostRow) -> CostRow {
    CostRow { cover: Some(Box::new(cover("tokens", 90, &[(30, 1_000)]))), ..row }
}

/// What people put right, and what falls due.
fn corrections(one: Payer, two: Payer) -> Vec<Transaction> {
    let long_ago = START.plus_seconds(14);
    vec![
        (20, vec![one.refund(1, 100, 31).into(), one.refund(1, 300, 32).into()]),
        (
            21,
            vec![one.pay_out(1, 700, 33).into(), one.adjust(1, 60, 34).into(), one.adjust(1, -45, 35).into()],
        ),
        (
            22,
            vec![
                named(one.grant(3, LotKind::Prepaid, 2_001, Timestamp::MAX), "grant-3", 4).into(),
                one.remove_budget(2).into(),
                one.sweep(7_200, Timestamp::from_micros(0)),
                two.sweep(60, long_ago),
            ],
        ),
        (4_000, vec![one.sweep(60, long_ago), one.extend(8, 50).into()]),
        (4_001, vec![one.settle_for(6, 10), one.settle_for(9, 260), two.extend(10, 30).into()]),
        (
            4_002,
            vec![
                pooled(one.hold(11, 120), cover("tokens", 90, &[])),
                two.hold(12, 130).into(),
                one.hold(13, 140).into(),
            ],
        ),
        (4_003, vec![two.settle_for(12, 125), one.transfer(1, 210, 40, 50).into(), one.hold(14, 1).into()]),
        (4_004, vec![one.extend(13, 7).into()]),
    ]
}
