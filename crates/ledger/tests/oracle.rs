//! The rules against the model: the same commands to both, and each answer, booking and amount the same.
//!
//! `PROPTEST_CASES` sets how many histories are tried.

mod harness;
mod history;
mod model;

use std::collections::BTreeMap;

use domain::{Money, Timestamp, Usage};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tollkeeper_ledger::conformance::{Payer, lot_id, request_id};
use tollkeeper_ledger::{
    Account, Command, CostRow, Denial, Draw, Entry, EntryKind, HoldRequest, LotKind, Reply,
};

use harness::{Bench, payer};
use history::{History, Move};
use model::{Answer, Ask, Booking, Charge, Model};

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_rules_do_what_the_model_says(moves in history::moves()) {
        let _ = drive(&moves);
    }
}

fn config() -> ProptestConfig {
    // A failure is kept as a case in a table, not as a seed in a file.
    ProptestConfig { cases: 2_048, failure_persistence: None, ..ProptestConfig::default() }
}

/// The histories above are worth something only if they get everywhere. These are the same in each run.
#[test]
fn the_histories_reach_every_answer_and_every_booking() {
    let mut runner = TestRunner::deterministic();
    let mut seen: BTreeMap<&'static str, u32> = BTreeMap::new();
    for _ in 0..200 {
        let moves = history::moves().new_tree(&mut runner);
        for (what, times) in drive(&moves.expect("no history is filtered away").current()) {
            *seen.entry(what).or_default() += times;
        }
    }
    let wanted = [
        "granted",
        "held",
        "extended",
        "settled",
        "insufficient",
        "in debt",
        "duplicate",
        "hold gone",
        "invalid",
        "overflow",
        "frozen",
        "grant booked",
        "settle booked",
        "expire booked",
        "pay debt booked",
        "grace",
        "debt beside a hold",
        "drawn from several lots",
        "debt paid by several lots",
        "expired by a denial",
        "grace drawn",
        "half paid",
        "the end of time",
    ];
    for what in wanted {
        assert!(seen.get(what).is_some_and(|times| *times >= 10), "{what}: {seen:?}");
    }
}

/// Gives rules and model the same history. Answers what happened, and how often.
fn drive(moves: &[Move]) -> BTreeMap<&'static str, u32> {
    let mut bench = Bench::new();
    let mut history = History::default();
    let mut seen = BTreeMap::new();
    for step in moves {
        let ask = history.resolve(step);
        history.model.frozen = step.frozen;
        bench.wallet.frozen = step.frozen;
        both(&mut bench, &mut history, &ask, &mut seen);
    }
    bench.check_replay();
    check_accounts(&bench.entries, &history.model);
    seen
}

/// One command to rules and model.
fn both(bench: &mut Bench, history: &mut History, ask: &Ask, seen: &mut BTreeMap<&'static str, u32>) {
    let booked_before = bench.entries.len();
    let (expected, bookings) = history.model.ask(ask, i128::from(history.clock));
    history.note(ask, &expected);
    let answer = bench.apply(command(ask), Timestamp::from_micros(history.clock));
    assert_eq!(told(&answer), expected, "{ask:?} at {}", history.clock);
    let entries: Vec<Booking> = bench.entries[booked_before..].iter().map(booking).collect();
    let bookings = &history.model.journal[bookings];
    assert_eq!(entries, bookings, "{ask:?} at {}", history.clock);
    check_state(bench, &history.model);
    for what in history::marks(&expected, bookings, &history.model) {
        *seen.entry(what).or_default() += 1;
    }
}

/// Every amount of the wallet is the model's.
fn check_state(bench: &Bench, model: &Model) {
    let wallet = &bench.wallet;
    let sums = [wallet.balance, wallet.held, wallet.debt, wallet.available()].map(wide);
    assert_eq!(sums, [model.balance(), model.held(), model.debt, model.free()]);
    assert_eq!(i128::from(wallet.last_at.micros()), model.now);
    let holds: BTreeMap<u64, i128> =
        wallet.holds.iter().map(|(id, hold)| (number(id.as_bytes()), wide(hold.amount))).collect();
    assert_eq!(holds, model.holds.iter().copied().collect());
    let lots: BTreeMap<u64, model::Lot> =
        bench.lots.iter().map(|(id, lot)| (number(id.as_bytes()), plain(lot))).collect();
    assert_eq!(lots, model.lots.iter().map(|lot| (lot.id, lot.clone())).collect());
}

/// Double entry: what each account has come to, from the legs alone.
fn check_accounts(entries: &[Entry], model: &Model) {
    let on = |account: Account| -> i128 {
        let legs = entries.iter().flat_map(|entry| &entry.legs);
        legs.filter(|leg| leg.account == account).map(|leg| wide(leg.amount)).sum()
    };
    let granted = |kinds: &[LotKind]| -> i128 {
        model.lots.iter().filter(|lot| kinds.contains(&lot.kind)).map(|lot| lot.granted).sum()
    };
    for lot in &model.lots {
        assert_eq!(on(Account::Lot(lot_id(lot.id))), -lot.remaining);
    }
    assert_eq!(on(Account::Receivable), model.debt);
    assert_eq!(on(Account::Breakage), -model.lots.iter().map(|lot| lot.expired).sum::<i128>());
    assert_eq!(on(Account::Cash), granted(&[LotKind::Prepaid]));
    assert_eq!(on(Account::PromoExpense), granted(&[LotKind::Promo]));
    assert_eq!(on(Account::Revenue), granted(&[LotKind::Refund, LotKind::Adjustment]) - model.charged);
    let used: i128 = model.lots.iter().map(|lot| lot.used).sum();
    assert_eq!(used + model.debt, model.charged, "what was charged is paid or owed");
}

fn command(ask: &Ask) -> Command {
    match ask {
        Ask::Grant { lot, kind, amount, expires_at } => {
            let expires_at = expires_at.map_or(Timestamp::MAX, |at| Timestamp::from_micros(narrow(at)));
            payer().grant(*lot, *kind, narrow(*amount), expires_at).into()
        }
        Ask::Hold { request, amount, draft } => {
            let draft = Box::new(row(*request, draft));
            HoldRequest { draft, ..payer().hold(*request, narrow(*amount)) }.into()
        }
        Ask::Extend { request, amount, cost_pico } => Command::Extend {
            wallet: payer().wallet,
            request: request_id(*request),
            amount: Money::from_nano(narrow(*amount)),
            usage: Usage::default(),
            cost_pico: narrow(*cost_pico),
        },
        Ask::Settle { request, rows } => {
            payer().settle(*request, rows.iter().map(|charge| row(*request, charge)).collect())
        }
    }
}

fn row(request: u64, charge: &Charge) -> CostRow {
    // A row that does not belong names another organization, or another request.
    let (whose, request) = match (charge.belongs, charge.attempt % 2) {
        (true, _) => (payer(), request),
        (false, 0) => (Payer::number(2), request),
        (false, _) => (payer(), request + 1),
    };
    let cost = Money::from_nano(narrow(charge.cost));
    CostRow { cost, ..whose.row(request, charge.attempt, narrow(charge.cost_pico)) }
}

/// The rules' answer in the model's words.
fn told(answer: &Result<Reply, Denial>) -> Answer {
    match answer {
        Ok(Reply::Granted(lot)) => Answer::Granted(plain(lot)),
        Ok(Reply::Held) => Answer::Held,
        Ok(Reply::Extended) => Answer::Extended,
        Ok(Reply::Settled(settled)) => {
            Answer::Settled { draws: settled.draws.iter().map(drawn).collect(), debt: wide(settled.debt) }
        }
        Err(Denial::InsufficientCredit { available, needed }) => {
            Answer::Insufficient { available: wide(*available), needed: wide(*needed) }
        }
        Err(Denial::InDebt { debt }) => Answer::InDebt { debt: wide(*debt) },
        Err(Denial::Duplicate) => Answer::Duplicate,
        Err(Denial::HoldGone) => Answer::HoldGone,
        Err(Denial::Invalid { .. }) => Answer::Invalid,
        Err(Denial::Overflow) => Answer::Overflow,
        Err(Denial::Frozen) => Answer::Frozen,
        Ok(Reply::Opened) | Err(Denial::UnknownWallet | Denial::IdempotencyConflict) => Answer::Unexpected,
    }
}

/// A journal entry in the model's words.
fn booking(entry: &Entry) -> Booking {
    let about = (entry.kind != EntryKind::PayDebt).then(|| number(&entry.reference));
    let lots = entry.legs.iter().filter_map(|leg| match leg.account {
        Account::Lot(lot) => Some((number(lot.as_bytes()), wide(leg.amount))),
        Account::Cash
        | Account::PromoExpense
        | Account::Revenue
        | Account::Breakage
        | Account::Receivable => None,
    });
    // A grant credits its lot, everything else debits the lots it takes from.
    let sign = if entry.kind == EntryKind::Grant { -1 } else { 1 };
    let debt = entry.amount_on(Account::Receivable).map_or(0, wide);
    Booking { kind: entry.kind, about, lots: lots.map(|(lot, amount)| (lot, sign * amount)).collect(), debt }
}

fn plain(lot: &tollkeeper_ledger::Lot) -> model::Lot {
    model::Lot {
        id: number(lot.id.as_bytes()),
        kind: lot.kind,
        granted: wide(lot.granted),
        remaining: wide(lot.remaining),
        used: wide(lot.used),
        expired: wide(lot.expired),
        expires_at: (lot.expires_at != Timestamp::MAX).then(|| i128::from(lot.expires_at.micros())),
    }
}

fn drawn(draw: &Draw) -> (u64, i128) {
    (number(draw.lot.as_bytes()), wide(draw.amount))
}

fn number(id: &[u8; 16]) -> u64 {
    u64::try_from(u128::from_be_bytes(*id)).unwrap_or(u64::MAX)
}

fn wide(amount: Money) -> i128 {
    i128::from(amount.nano())
}

fn narrow(amount: i128) -> i64 {
    i64::try_from(amount).expect("the histories keep to what an amount can hold")
}
