//! The checks themselves: each broken promise is found, and named.

mod harness;

use domain::{Money, Timestamp};
use tollkeeper_ledger::conformance::{
    budget, cost_cap, cover, lot_id, parts, promo, purpose, request_id, wallet_id,
};
use tollkeeper_ledger::{
    Account, Books, Breach, Changes, Denial, Entry, EntryKind, HoldRequest, Invariant, Leg, LotKind, Past,
    Period, Reply, Subject, apply, expire, replay,
};

use harness::{Bench, payer};

const NOW: Timestamp = Timestamp::from_micros(1_000);
const DUE: Timestamp = Timestamp::from_micros(2_000);

/// Books with three lots in the own wallet, two ended holds and a live one: 1:0/10/0 2:92/8/0 3:5/0/0, balance 97,
/// held 17 and 3 in wallet 2, which has 3; a budget that reserves 20; a pool of which 5 units are counted on.
fn busy() -> Bench {
    let mut bench = Bench::new();
    assert!(bench.apply(payer().grant(1, LotKind::Promo, 10, Timestamp::MAX), NOW).is_ok());
    assert!(bench.apply(payer().grant(2, LotKind::Prepaid, 100, DUE), NOW).is_ok());
    assert!(bench.apply(payer().grant(3, LotKind::Prepaid, 5, Timestamp::MAX), NOW).is_ok());
    for request in [1, 2] {
        assert_eq!(bench.apply(payer().hold(request, 20), NOW), Ok(Reply::Held(nano(20))));
        assert!(bench.apply(payer().settle_for(request, 9), NOW).is_ok());
    }
    assert!(bench.apply(payer().open_wallet(2, purpose(Some(1), &[], true)), NOW).is_ok());
    assert!(bench.apply(payer().grant_to(2, 4, 3), NOW).is_ok());
    let all = budget(1, Subject::Organization, Period::Total, cost_cap(100));
    assert!(bench.apply(payer().set_budget(all), NOW).is_ok());
    let mut hold = HoldRequest { ceiling: parts(&[(5, 0)]), ..payer().hold(3, 20) };
    hold.draft.cover = Some(Box::new(cover("tokens", 9, &[])));
    assert_eq!(bench.apply(hold, NOW), Ok(Reply::Held(nano(20))));
    bench
}

fn nano(amount: i64) -> Money {
    Money::from_nano(amount)
}

fn named(checked: Result<(), Breach>) -> Option<Invariant> {
    checked.err().map(|breach| breach.invariant)
}

/// What is done to books, and whether all of them must be summed to find it.
type Tampered = (fn(&mut Books), bool, Invariant);

#[test]
fn books_that_break_a_promise_are_found_out_and_frozen() {
    let tampered: [Tampered; 35] = [
        (|books| books.wallets[0].lots[0].used = nano(7), false, Invariant::LotArithmetic),
        (|books| books.wallets[1].lots[0].withdrawn = nano(1), false, Invariant::LotArithmetic),
        (
            |books| {
                let lot = &mut books.wallets[0].lots[0];
                (lot.used, lot.expired) = (nano(9), nano(-1));
            },
            false,
            Invariant::LotArithmetic,
        ),
        (
            |books| {
                let lot = &mut books.wallets[0].lots[0];
                (lot.used, lot.withdrawn) = (nano(9), nano(-1));
            },
            false,
            Invariant::LotArithmetic,
        ),
        (
            |books| {
                let lot = &mut books.wallets[0].lots[1];
                (lot.used, lot.expired) = (nano(-1), nano(1));
            },
            false,
            Invariant::LotArithmetic,
        ),
        (
            |books| {
                let lot = &mut books.wallets[0].lots[1];
                (lot.remaining, lot.used) = (nano(-1), nano(6));
            },
            false,
            Invariant::LotArithmetic,
        ),
        (|books| books.wallets[0].lots[0].used = Money::MAX, false, Invariant::LotArithmetic),
        (|books| books.wallets[0].lots.swap(0, 1), false, Invariant::WaterfallOrder),
        (|books| books.wallets[0].lots[1].kind = LotKind::Promo, false, Invariant::WaterfallOrder),
        (|books| books.wallets[0].lots[1].wallet = wallet_id(2), false, Invariant::WaterfallOrder),
        (|books| books.wallets[0].balance = nano(98), false, Invariant::BalanceIsLots),
        (|books| books.wallets[1].balance = nano(4), false, Invariant::BalanceIsLots),
        (|books| books.wallets[0].lots.truncate(1), false, Invariant::BalanceIsLots),
        (|books| books.wallets[0].held = nano(98), false, Invariant::HeldWithinBalance),
        (|books| books.wallets[0].held = nano(-1), false, Invariant::HeldWithinBalance),
        (|books| books.wallets[0].debt = nano(1), false, Invariant::NoDebtBesideCredit),
        (|books| books.wallets[0].debt = nano(-1), false, Invariant::NoDebtBesideCredit),
        (|books| books.seen_at = DUE, false, Invariant::NoGraceBesideCredit),
        (|books| drop(books.holds.remove(&request_id(3))), true, Invariant::HeldIsHolds),
        (|books| books.wallets[0].held = nano(16), true, Invariant::HeldIsHolds),
        (|books| hold(books).amount = nano(19), true, Invariant::HeldIsHolds),
        (|books| hold(books).shares[0].amount = nano(4), true, Invariant::HeldIsHolds),
        (
            |books| {
                let shares = &mut hold(books).shares;
                (shares[0].amount, shares[1].amount) = (nano(4), nano(16));
            },
            true,
            Invariant::HeldIsHolds,
        ),
        (
            |books| {
                let none = tollkeeper_ledger::Share { wallet: wallet_id(9), amount: nano(0) };
                hold(books).shares.push(none);
            },
            true,
            Invariant::HeldIsHolds,
        ),
        (|books| hold(books).uses.clear(), true, Invariant::ReservedIsHolds),
        (
            |books| books.uses.values_mut().for_each(|used| used.held = nano(21)),
            true,
            Invariant::ReservedIsHolds,
        ),
        (|books| books.uses.clear(), true, Invariant::ReservedIsHolds),
        (|books| hold(books).tokens = 1, true, Invariant::ReservedIsHolds),
        (|books| books.pools.values_mut().for_each(|pool| pool.held = 4), true, Invariant::PooledIsHolds),
        (|books| books.pools.values_mut().for_each(|pool| pool.held = 0), true, Invariant::PooledIsHolds),
        (|books| books.pools.clear(), true, Invariant::PooledIsHolds),
        (|books| hold(books).units = 6, true, Invariant::PooledIsHolds),
        (|books| hold(books).draft.cover = None, true, Invariant::PooledIsHolds),
        (
            |books| hold(books).draft.cover.iter_mut().for_each(|cover| cover.strict = true),
            true,
            Invariant::PooledIsHolds,
        ),
        (|books| books.net = nano(99), true, Invariant::NetIsWallets),
    ];
    for (number, (tamper, whole, expected)) in tampered.into_iter().enumerate() {
        let mut bench = busy();
        let touched = [payer().wallet, wallet_id(2)];
        assert_eq!(bench.books.check_or_freeze(&touched, whole), Ok(()));
        assert!(!bench.books.frozen);
        tamper(&mut bench.books);
        // What is quick to find is found in what was touched; the rest when all is summed.
        assert_eq!(named(bench.books.check_wallets(&touched)), (!whole).then_some(expected), "case {number}");
        assert_eq!(named(bench.books.check_wallets(&[])), None, "case {number}");
        assert_eq!(named(bench.books.check()), Some(expected), "case {number}");
        assert_eq!(named(bench.books.check_or_freeze(&touched, whole)), Some(expected), "case {number}");
        assert!(bench.books.frozen);
        let hold = payer().hold(9, 0).into();
        let answer = apply(&mut bench.books, hold, Past::default(), NOW, &mut Changes::default());
        assert_eq!(answer, Err(Denial::Frozen));
        // Once frozen, frozen, whatever is found now.
        let _ = bench.books.check_or_freeze(&[], false);
        assert!(bench.books.frozen);
    }
}

/// The sum over all wallets is looked at after every command.
#[test]
fn a_sum_that_is_not_the_journals_is_found_at_once() {
    let mut books = busy().books;
    books.net = nano(99);
    assert_eq!(named(books.check_or_freeze(&[], false)), Some(Invariant::NetIsWallets));
    assert!(books.frozen);
}

#[test]
fn what_was_lost_of_a_budget_is_never_below_nothing() {
    let mut books = busy().books;
    books.uses.clear();
    let settle = payer().settle_for(3, 7);
    assert!(apply(&mut books, settle, Past::default(), NOW, &mut Changes::default()).is_ok());
    let used: Vec<_> = books.uses.values().map(|used| (used.held, used.spent)).collect();
    assert_eq!(used, [(Money::ZERO, nano(7))]);
}

/// A journal's sum that cannot be said is refused before anything changes.
#[test]
fn a_sum_that_does_not_fit_is_refused() {
    for (now, command) in [(NOW, payer().adjust(1, -10, 9)), (DUE, payer().adjust(1, 1, 9))] {
        let mut books = busy().books;
        books.net = Money::from_nano(i64::MIN + 9);
        let before = books.clone();
        let mut changes = Changes::default();
        let answer = apply(&mut books, command.into(), Past::default(), now, &mut changes);
        assert_eq!(answer, Err(Denial::Overflow), "{now}");
        assert_eq!(
            (&books.wallets, books.net, books.sequence),
            (&before.wallets, before.net, before.sequence)
        );
        assert!(changes.entries.is_empty());
    }
}

fn hold(books: &mut Books) -> &mut tollkeeper_ledger::Hold {
    books.holds.get_mut(&request_id(3)).expect("the live hold")
}

#[test]
fn a_breach_says_where_and_what() {
    let mut books = busy().books;
    books.wallets[0].balance = nano(98);
    let text = books.check().unwrap_err().to_string();
    for part in
        ["BalanceIsLots", &books.organization.to_string(), &payer().wallet.to_string(), "balance 0.000000098"]
    {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn debt_and_grace_may_stand_while_holds_need_everything() {
    let mut books = busy().books;
    let wallet = &mut books.wallets[0];
    (wallet.held, wallet.debt, books.seen_at) = (wallet.balance, nano(5), DUE);
    assert_eq!(books.check_wallets(&[payer().wallet]), Ok(()));
}

/// A store that reads books between two commands sees what the next command will find.
#[test]
fn what_is_due_expires_for_readers_too() {
    for (now, left) in [(DUE.plus_micros(-1), 97), (DUE, 17), (Timestamp::MAX, 17)] {
        let mut books = busy().books;
        let (last_at, mut changes) = (books.last_at, Changes::default());
        assert_eq!(expire(&mut books, now, &mut changes), Ok(()));
        assert_eq!(books.wallets[0].balance, nano(left));
        assert_eq!(changes.entries.len(), usize::from(left == 17));
        assert!(changes.entries.iter().all(|entry| entry.at == now.max(last_at)));
        assert_eq!(books.check(), Ok(()));
    }
    // A clock that is behind stamps nothing earlier than what was.
    let mut books = busy().books;
    books.last_at = Timestamp::MAX;
    let mut changes = Changes::default();
    assert_eq!(expire(&mut books, DUE, &mut changes), Ok(()));
    assert_eq!(changes.entries.first().map(|entry| entry.at), Some(Timestamp::MAX));
}

/// Which periods a store must load for a call, and what it may forget.
#[test]
fn uses_are_loaded_when_needed_and_forgotten_when_idle() {
    let mut bench = busy();
    let users = budget(2, Subject::User(None), Period::Daily, cost_cap(100));
    assert!(bench.apply(payer().set_budget(users), NOW).is_ok());
    assert!(bench.apply(payer().hold(4, 0), NOW).is_ok());
    let call = |books: &Books, user: &str, at| {
        let mut row = payer().row(9, 1, 0);
        row.attribution.user = Some(user.into());
        (books.uses_of(&row, at).len(), books.absent_uses(&row, at).len())
    };
    let books = &mut bench.books;
    let tomorrow = NOW.plus_seconds(86_400);
    assert_eq!(call(books, "u-17", NOW), (2, 0));
    assert_eq!(call(books, "u-1", NOW), (2, 1));
    assert_eq!(call(books, "u-17", tomorrow), (2, 1));
    // Both are needed by live holds.
    let before = books.uses.clone();
    books.forget_idle_uses();
    assert_eq!(books.uses, before);
    books.holds.clear();
    books.forget_idle_uses();
    assert_eq!(call(books, "u-17", NOW), (2, 2));
    assert!(books.uses.is_empty());
}

/// Books of every kind of entry: grant, settle with debt, pay debt, top up, redeem, transfer, refund, pay out, adjust both
/// ways, expire. The entries' places are [`SETTLE`] and so on.
fn of_every_kind() -> Bench {
    let mut bench = Bench::new();
    bench.promos.insert("CODE-1".into(), promo("CODE-1", 5, 1));
    let mut play = |command: tollkeeper_ledger::Command, now| {
        let answer = bench.apply(command, now);
        assert!(answer.is_ok(), "{answer:?}");
    };
    play(payer().grant(1, LotKind::Promo, 10, Timestamp::MAX).into(), NOW);
    play(payer().hold(1, 4).into(), NOW);
    play(payer().settle_for(1, 13), NOW);
    play(payer().top_up(2, 100, "bank:1").into(), NOW);
    play(payer().redeem("CODE-1", 3, 9).into(), NOW);
    play(payer().open_wallet(2, purpose(Some(2), &[], true)).into(), NOW);
    play(payer().transfer(1, 2, 20, 4).into(), NOW);
    play(payer().refund(1, 6, 5).into(), NOW);
    play(payer().pay_out(1, 7, 6).into(), NOW);
    play(payer().adjust(1, 8, 7).into(), NOW);
    play(payer().adjust(1, -9, 8).into(), NOW);
    play(payer().grant(9, LotKind::Prepaid, 2, DUE).into(), NOW);
    play(payer().hold(2, 0).into(), DUE);
    play(payer().settle_for(2, 0), DUE);
    let kinds: Vec<EntryKind> = bench.entries.iter().map(|entry| entry.kind).collect();
    use EntryKind::{Adjust, Expire, Grant, PayDebt, PayOut, Redeem, Refund, Settle, TopUp, Transfer};
    assert_eq!(
        kinds,
        [
            Grant, Settle, TopUp, PayDebt, Redeem, Transfer, Refund, PayOut, Adjust, Adjust, Grant, Expire,
            Settle
        ]
    );
    bench
}

const GRANT: usize = 0;
const SETTLE: usize = 1;
const TOP_UP: usize = 2;
const PAY_DEBT: usize = 3;
const REDEEM: usize = 4;
const TRANSFER: usize = 5;
const REFUND: usize = 6;
const PAY_OUT: usize = 7;
const ADJUST_DOWN: usize = 9;
const EXPIRE: usize = 11;
const NOTHING: usize = 12;

/// Forges the sums and the chain again from the first entry on, as somebody would who can write but must not.
fn rehash(entries: &mut [Entry]) {
    let (mut head, mut balance) = ([0; 32], Money::ZERO);
    for entry in entries {
        balance = entry.net_change().and_then(|change| balance.checked_add(change)).unwrap_or(balance);
        entry.balance = balance;
        entry.hash = entry.compute_hash(&head);
        head = entry.hash;
    }
}

/// Adds this to the first leg and takes it from the last.
fn shift(entry: &mut Entry, more: i64) {
    let last = entry.legs.len() - 1;
    entry.legs[0].amount = nano(entry.legs[0].amount.nano() + more);
    entry.legs[last].amount = nano(entry.legs[last].amount.nano() - more);
}

fn turn(entry: &mut Entry) {
    for leg in &mut entry.legs {
        leg.amount = nano(-leg.amount.nano());
    }
}

/// What is done to a journal, and whether its chain is forged afterwards.
type Forged = (fn(&mut Vec<Entry>), bool, Invariant);

#[test]
fn a_journal_that_breaks_a_promise_is_found_out() {
    let forged: [Forged; 29] = [
        (|entries| entries[SETTLE].legs[0].amount = nano(8), true, Invariant::EntryBalances),
        (|entries| entries[SETTLE].reference = [9; 16], false, Invariant::ChainIntact),
        (|entries| entries[SETTLE].note = entries[GRANT].note.clone(), false, Invariant::ChainIntact),
        (|entries| drop(entries.remove(NOTHING - 1)), false, Invariant::ChainIntact),
        (|entries| drop(entries.remove(GRANT)), true, Invariant::ChainIntact),
        (|entries| entries.swap(TOP_UP, REDEEM), true, Invariant::ChainIntact),
        (|entries| entries[SETTLE].at = entries[GRANT].at.plus_micros(-1), true, Invariant::ChainIntact),
        (|entries| entries[SETTLE].hash[31] ^= 1, false, Invariant::ChainIntact),
        (|entries| entries[NOTHING].balance = nano(1), false, Invariant::NetIsWallets),
        (|entries| entries[GRANT].balance = nano(9), false, Invariant::NetIsWallets),
        (|entries| entries[NOTHING].reference = entries[SETTLE].reference, true, Invariant::OneEndPerHold),
        // More is drawn than there is, in each column.
        (|entries| shift(&mut entries[SETTLE], 1), true, Invariant::LotArithmetic),
        (|entries| shift(&mut entries[PAY_DEBT], 200), true, Invariant::LotArithmetic),
        (|entries| shift(&mut entries[PAY_OUT], 200), true, Invariant::LotArithmetic),
        (|entries| shift(&mut entries[TRANSFER], 200), true, Invariant::LotArithmetic),
        (|entries| shift(&mut entries[ADJUST_DOWN], 200), true, Invariant::LotArithmetic),
        (|entries| shift(&mut entries[EXPIRE], 1), true, Invariant::LotArithmetic),
        // More debt is paid than there is.
        (|entries| shift(&mut entries[PAY_DEBT], 1), true, Invariant::LotArithmetic),
        // A lot is put in for the second time, or taken out by what puts in.
        (|entries| entries[TOP_UP].legs[1].account = Account::Lot(lot_id(1)), true, Invariant::LotArithmetic),
        (|entries| turn(&mut entries[GRANT]), true, Invariant::LotArithmetic),
        (|entries| turn(&mut entries[TOP_UP]), true, Invariant::LotArithmetic),
        (|entries| turn(&mut entries[REDEEM]), true, Invariant::LotArithmetic),
        (|entries| turn(&mut entries[REFUND]), true, Invariant::LotArithmetic),
        (|entries| turn(&mut entries[SETTLE]), true, Invariant::LotArithmetic),
        (|entries| entries[EXPIRE].kind = EntryKind::Grant, true, Invariant::LotArithmetic),
        // More is given back than was charged, or for a call that was not charged.
        (|entries| shift(&mut entries[REFUND], 8), true, Invariant::ChargeIsCost),
        (|entries| entries[REFUND].reference = [9; 16], true, Invariant::ChargeIsCost),
        (|entries| entries[REFUND].reference = entries[NOTHING].reference, true, Invariant::ChargeIsCost),
        (
            |entries| entries[NOTHING].organization = domain::OrganizationId::from_bytes([9; 16]),
            false,
            Invariant::ChainIntact,
        ),
    ];
    assert!(replay(of_every_kind().entries).is_ok());
    let mut unchanged = of_every_kind().entries;
    rehash(&mut unchanged);
    assert_eq!(unchanged, of_every_kind().entries);
    for (number, (forge, again, expected)) in forged.into_iter().enumerate() {
        let mut entries = of_every_kind().entries;
        forge(&mut entries);
        if again {
            rehash(&mut entries);
        }
        let replayed = replay(entries);
        assert_eq!(named(replayed.map(|_| ())), Some(expected), "case {number}");
    }
}

/// What may be forged without breaking a promise: the whole charge is given back.
#[test]
fn a_charge_may_be_given_back_to_the_last_nano() {
    let mut entries = of_every_kind().entries;
    shift(&mut entries[REFUND], 7);
    rehash(&mut entries);
    let replayed = replay(entries).unwrap();
    assert_eq!(replayed.refunds.get(request_id(1).as_bytes()), Some(&nano(13)));
    assert_eq!(replayed.revenue, Money::ZERO);
}

#[test]
fn a_replay_tells_what_the_tables_say() {
    let bench = of_every_kind();
    bench.check_replay();
    let replayed = replay(bench.entries).unwrap();
    assert_eq!(replayed.charges[request_id(1).as_bytes()], nano(13));
    assert_eq!(replayed.charges[request_id(2).as_bytes()], Money::ZERO);
    assert_eq!(replayed.refunds[request_id(1).as_bytes()], nano(6));
    assert_eq!(replayed.revenue, nano(7));
    assert_eq!(replayed.debts[&payer().wallet], Money::ZERO);
    let balances = replayed.balances().unwrap();
    assert_eq!((balances[&payer().wallet], balances[&wallet_id(2)]), (nano(80), nano(20)));
    assert_eq!(replayed.net, nano(100));
}

/// What is left of a lot, from what was put in, used, expired and withdrawn.
#[test]
fn what_remains_of_a_lot_is_never_below_nothing() {
    for (parts, left) in [
        ([10, 2, 3, 4], Some(1)),
        ([10, 3, 3, 4], Some(0)),
        ([10, 4, 3, 4], None),
        ([10, 3, 4, 4], None),
        ([10, 3, 3, 5], None),
        ([10, -1, 3, 4], None),
        ([10, 3, -1, 4], None),
        ([10, 3, 4, -1], None),
        ([-1, 0, 0, 0], None),
        ([0, 0, 0, 0], Some(0)),
        ([i64::MIN, 1, 0, 0], None),
    ] {
        let [granted, used, expired, withdrawn] = parts.map(nano);
        let lot = tollkeeper_ledger::ReplayedLot { granted, used, expired, withdrawn, wallet: None };
        assert_eq!(lot.remaining(), left.map(nano), "{parts:?}");
    }
}

/// A life may earn more than one amount can say; that breaks no promise.
#[test]
fn a_journal_of_a_long_life_is_still_whole() {
    let mut bench = Bench::new();
    for request in 1..=3 {
        let at = NOW.plus_seconds(i64::try_from(request).unwrap());
        assert!(bench.apply(payer().grant(request, LotKind::Prepaid, i64::MAX, Timestamp::MAX), at).is_ok());
        assert!(bench.apply(payer().hold(request, 1), at).is_ok());
        let rows = (1..=999).map(|attempt| payer().row(request, attempt, i64::MAX)).collect();
        assert!(bench.apply(payer().settle(request, rows), at).is_ok());
        let left = bench.books.wallets[0].balance.nano();
        assert!(bench.apply(payer().adjust(1, -left, 100 + request), at).is_ok());
    }
    bench.check_replay();
    assert_eq!(replay(bench.entries).unwrap().revenue, Money::MAX);
}

/// The numbers are stored, and are in every hash: they never change.
#[test]
fn kinds_of_entries_keep_their_numbers() {
    use EntryKind::{Adjust, Expire, Grant, PayDebt, PayOut, Redeem, Refund, Settle, TopUp, Transfer};
    let numbered = [
        (1, Settle),
        (2, Expire),
        (3, PayDebt),
        (4, Grant),
        (5, TopUp),
        (6, Redeem),
        (7, Transfer),
        (8, Refund),
        (9, PayOut),
        (10, Adjust),
    ];
    for (number, kind) in numbered {
        assert_eq!((kind.code(), EntryKind::from_code(number)), (number, Some(kind)));
    }
    assert_eq!((EntryKind::from_code(0), EntryKind::from_code(11)), (None, None));
}

/// Legs that do not fit into any amount are no balance.
#[test]
fn sums_of_an_entry_that_do_not_fit_are_none() {
    let mut entry = of_every_kind().entries[GRANT].clone();
    let leg = |amount| Leg { account: Account::Lot(lot_id(1)), amount: nano(amount) };
    entry.legs = vec![leg(i64::MAX), leg(1), leg(i64::MIN)];
    assert!(!entry.is_balanced());
    assert_eq!((entry.net_change(), entry.amount_on(Account::Lot(lot_id(1)))), (None, None));
    entry.legs = vec![leg(i64::MIN)];
    assert_eq!(entry.net_change(), None);
    assert_eq!(entry.amount_on(Account::Cash), Some(Money::ZERO));
}
