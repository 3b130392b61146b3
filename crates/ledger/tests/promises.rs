//! The checks themselves: each broken promise is found, and named.

mod harness;

use domain::{Money, Timestamp};
use tollkeeper_ledger::conformance::request_id;
use tollkeeper_ledger::{
    Account, Breach, Changes, Denial, Entry, EntryKind, Invariant, Leg, LotKind, Reply, Wallet, apply, replay,
};

use harness::{Bench, payer};

const NOW: Timestamp = Timestamp::from_micros(1_000);
const DUE: Timestamp = Timestamp::from_micros(2_000);

/// A wallet with three lots, two ended holds and a live one: 1:0/10/0 2:92/8/0 3:5/0/0, balance 97, held 20.
fn busy() -> Bench {
    let mut bench = Bench::new();
    assert!(bench.apply(payer().grant(1, LotKind::Promo, 10, Timestamp::MAX), NOW).is_ok());
    assert!(bench.apply(payer().grant(2, LotKind::Prepaid, 100, DUE), NOW).is_ok());
    assert!(bench.apply(payer().grant(3, LotKind::Prepaid, 5, Timestamp::MAX), NOW).is_ok());
    for request in [1, 2, 3] {
        assert_eq!(bench.apply(payer().hold(request, 20), NOW), Ok(Reply::Held));
    }
    for request in [1, 2] {
        assert!(bench.apply(payer().settle_for(request, 9), NOW).is_ok());
    }
    bench
}

fn nano(amount: i64) -> Money {
    Money::from_nano(amount)
}

fn named(checked: Result<(), Breach>) -> Option<Invariant> {
    checked.err().map(|breach| breach.invariant)
}

/// What is done to a wallet, and whether the holds must be summed to find it.
type Tampered = (fn(&mut Wallet), bool, Invariant);

#[test]
fn a_wallet_that_breaks_a_promise_is_found_out_and_frozen() {
    let tampered: [Tampered; 12] = [
        (|wallet| wallet.lots[0].used = nano(7), false, Invariant::LotArithmetic),
        (
            |wallet| (wallet.lots[0].used, wallet.lots[0].expired) = (nano(9), nano(-1)),
            false,
            Invariant::LotArithmetic,
        ),
        (
            |wallet| (wallet.lots[1].remaining, wallet.lots[1].used) = (nano(-1), nano(6)),
            false,
            Invariant::LotArithmetic,
        ),
        (|wallet| wallet.lots[0].used = Money::MAX, false, Invariant::LotArithmetic),
        (|wallet| wallet.balance = nano(98), false, Invariant::BalanceIsLots),
        (|wallet| wallet.lots.truncate(1), false, Invariant::BalanceIsLots),
        (|wallet| wallet.held = nano(98), false, Invariant::HeldWithinBalance),
        (|wallet| wallet.held = nano(-1), false, Invariant::HeldWithinBalance),
        (|wallet| wallet.debt = nano(1), false, Invariant::NoDebtBesideCredit),
        (|wallet| wallet.debt = nano(-1), false, Invariant::NoDebtBesideCredit),
        (|wallet| wallet.last_at = DUE, false, Invariant::NoGraceBesideCredit),
        (|wallet| drop(wallet.holds.remove(&request_id(3))), true, Invariant::HeldIsHolds),
    ];
    for (number, (tamper, whole, expected)) in tampered.into_iter().enumerate() {
        let mut bench = busy();
        assert_eq!(bench.wallet.check_or_freeze(true), Ok(()));
        tamper(&mut bench.wallet);
        assert_eq!(named(bench.wallet.check(whole)), Some(expected), "case {number}");
        assert_eq!(named(bench.wallet.check_or_freeze(whole)), Some(expected), "case {number}");
        assert!(bench.wallet.frozen);
        let answer = apply(&mut bench.wallet, payer().hold(9, 0).into(), NOW, &mut Changes::default());
        assert_eq!(answer, Err(Denial::Frozen));
    }
}

#[test]
fn debt_and_grace_may_stand_while_holds_need_everything() {
    let mut wallet = busy().wallet;
    (wallet.held, wallet.debt, wallet.last_at) = (wallet.balance, nano(5), DUE);
    assert_eq!(wallet.check(false), Ok(()));
}

/// Forges the chain again from the first entry on, as somebody would who can write but must not.
fn rehash(entries: &mut [Entry]) {
    let mut head = [0; 32];
    for entry in entries {
        entry.hash = entry.compute_hash(&head);
        head = entry.hash;
    }
}

/// What is done to a journal, and whether its chain is forged afterwards.
type Forged = (fn(&mut Vec<Entry>), bool, Invariant);

#[test]
fn a_journal_that_breaks_a_promise_is_found_out() {
    // The journal is grant 1, grant 2, grant 3, settle 1:9, settle 1:1 2:8.
    let forged: [Forged; 11] = [
        (|entries| entries[3].legs[0].amount = nano(8), true, Invariant::EntryBalances),
        (|entries| entries[3].reference = [9; 16], false, Invariant::ChainIntact),
        (|entries| drop(entries.remove(1)), false, Invariant::ChainIntact),
        (|entries| drop(entries.remove(0)), true, Invariant::ChainIntact),
        (|entries| entries.swap(1, 2), true, Invariant::ChainIntact),
        (|entries| entries[4].at = NOW, true, Invariant::ChainIntact),
        (|entries| entries[4].hash[31] ^= 1, false, Invariant::ChainIntact),
        (|entries| entries[4].reference = entries[3].reference, true, Invariant::OneEndPerHold),
        (|entries| draw_more(&mut entries[4], -11), true, Invariant::LotArithmetic),
        (|entries| entries[1].kind = EntryKind::Expire, true, Invariant::LotArithmetic),
        (|entries| draw_more(&mut entries[4], 1), true, Invariant::LotArithmetic),
    ];
    assert!(replay(busy().entries).is_ok());
    for (number, (forge, again, expected)) in forged.into_iter().enumerate() {
        let mut entries = busy().entries;
        forge(&mut entries);
        if again {
            rehash(&mut entries);
        }
        let replayed = replay(entries);
        assert_eq!(named(replayed.map(|_| ())), Some(expected), "case {number}");
    }
}

/// Takes this much more from the lot that paid 1, still in balance.
fn draw_more(entry: &mut Entry, more: i64) {
    for leg in &mut entry.legs {
        match leg.account {
            Account::Lot(_) if leg.amount == nano(1) => leg.amount = nano(1 + more),
            Account::Revenue => leg.amount = nano(leg.amount.nano() - more),
            Account::Lot(_)
            | Account::Cash
            | Account::PromoExpense
            | Account::Breakage
            | Account::Receivable => {}
        }
    }
}

/// A life may earn more than one amount can say; that breaks no promise.
#[test]
fn a_journal_of_a_long_life_is_still_whole() {
    let mut bench = Bench::new();
    for (lot, expiry) in [(1, 2_000), (2, 3_000), (3, 4_000)] {
        let grant = payer().grant(lot, LotKind::Adjustment, i64::MAX, Timestamp::from_micros(expiry));
        let answer = bench.apply(grant, Timestamp::from_micros(expiry - 1_000));
        assert!(answer.is_ok(), "{answer:?}");
    }
    bench.check_replay();
    let entry = bench.entries.last();
    assert_eq!(
        entry.and_then(|entry| entry.legs.first()),
        Some(&Leg { account: Account::Revenue, amount: Money::MAX })
    );
}
