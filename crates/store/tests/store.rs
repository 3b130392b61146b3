//! The store against the ports' suites, and what only a store can do: come back after a death, and find what is broken.
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::path::Path;
use std::sync::Arc;

use directory::{Commit, DirectoryStore, InFlight, Organization};
use domain::{Clock, Money, Timestamp, Zone};
use ledger::conformance::{
    ManualClock, Payer, START, budget, cost_cap, cover, parts, pool_key, promo, request_id, strict,
};
use ledger::{
    AttemptStatus, Command, CostRow, Cover, Denial, EventKind, Extension, HoldRequest, LedgerStore, LotKind,
    NextAttempt, Period, Reply, Subject, Ticket,
};
use tempfile::TempDir;
use tollkeeper_store::{self as store, Durability, Store, verify};

/// A store in a folder of its own.
struct Fresh {
    store: Store,
    _folder: TempDir,
}

impl Fresh {
    fn open(clock: Arc<dyn Clock>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { store: open(folder.path(), clock), _folder: folder }
    }
}

impl LedgerStore for Fresh {
    fn submit(&self, command: Command) -> Ticket {
        self.store.ledger().submit(command)
    }
}

impl DirectoryStore for Fresh {
    fn load(&self) -> Result<directory::Contents, directory::StoreError> {
        self.store.directory().load()
    }
    fn commit(&self, commit: directory::Commit) -> Result<(), directory::StoreError> {
        self.store.directory().commit(commit)
    }
    fn save_uses(&self, uses: Vec<([u8; 16], Timestamp)>) -> Result<(), directory::StoreError> {
        self.store.directory().save_uses(uses)
    }
}

fn open(folder: &Path, clock: Arc<dyn Clock>) -> Store {
    // No power is lost here, and syncing the disk thousands of times is not what is tested.
    Store::open(folder, Durability::Process, clock).unwrap()
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(START))
}

#[test]
fn the_ledger_suite() {
    ledger::conformance::check("sqlite", &|clock| Box::new(Fresh::open(clock)));
}

#[test]
fn the_directory_suite() {
    directory::conformance::check(|| Arc::new(Fresh::open(clock())));
}

/// An organization with a wallet of 1000 nano, two settled calls, one failed call and one that is still held.
fn busy(folder: &Path) -> (Store, Payer) {
    let store = open(folder, clock());
    let payer = Payer::number(7);
    let organization = Organization {
        id: payer.organization,
        name: "busy".to_owned(),
        wallet: payer.wallet,
        time_zone: Zone::default(),
        in_flight: InFlight::default(),
        country: None,
        verified_at: None,
        tier: None,
        programmes: Vec::new(),
        created_at: START,
    };
    store.directory().commit(Commit::of([organization.into()])).unwrap();
    let ledger = store.ledger();
    let ask = |command| ledger.submit(command).wait().unwrap();
    ask(payer.grant(1, LotKind::Prepaid, 600, Timestamp::MAX).into());
    ask(payer.grant(2, LotKind::Promo, 400, Timestamp::MAX).into());
    for (request, cost) in [(1, 30), (2, 420), (3, 0)] {
        ask(Command::Hold(payer.hold(request, 500)));
        ask(payer.settle_for(request, cost));
    }
    assert_eq!(ask(Command::Hold(payer.hold(4, 100))), Reply::Held(Money::from_nano(100)));
    (store, payer)
}

#[test]
fn what_was_answered_is_there_after_a_restart_and_what_was_held_is_settled() {
    let folder = tempfile::tempdir().unwrap();
    let (store, payer) = busy(folder.path());
    let balance = store.reader().balance(payer.organization, START).unwrap().unwrap();
    assert_eq!(balance.total(|wallet| wallet.balance), Money::from_nano(550));
    assert_eq!(balance.total(|wallet| wallet.held), Money::from_nano(100));
    let live = store.reader().request(request_id(4)).unwrap().unwrap();
    assert_eq!(live.hold.unwrap().amount, Money::from_nano(100));
    assert!(live.rows.is_empty());
    drop(store);

    let store = open(folder.path(), clock());
    assert_eq!(store.recovered(), 1);
    let reader = store.reader();
    let draft = payer.hold(4, 100).draft;
    let recovered = reader.request(request_id(4)).unwrap().unwrap();
    assert!(recovered.hold.is_none());
    assert_eq!(recovered.rows, [*draft.clone()]);
    assert_eq!(recovered.entry.unwrap().amount, draft.cost);
    let balance = reader.balance(payer.organization, START).unwrap().unwrap();
    assert_eq!(balance.total(|wallet| wallet.held), Money::ZERO);
    assert_eq!(balance.net, Money::from_nano(550).checked_sub(draft.cost).unwrap());
    let rows = reader.usage(payer.organization, 10).unwrap();
    assert_eq!(rows.len(), 4);
    assert!(rows.is_sorted_by(|newer, older| newer.request > older.request));
    assert_eq!(reader.usage(payer.organization, 2).unwrap(), rows[..2]);
    let paid = reader.request(request_id(2)).unwrap().unwrap().entry.unwrap();
    assert_eq!(paid.draws.len(), 2, "370 of the promo lot, then 50 that was paid for: {paid:?}");
    drop((store, reader));

    let report = verify(folder.path()).unwrap();
    assert_eq!(report.breaches, Vec::<String>::new());
    assert_eq!((report.wallets, report.rows, report.holds), (1, 4, 0));
    assert_eq!(open(folder.path(), clock()).recovered(), 0);
}

/// Each attempt that was sent has its row after a restart, also those before the one in which the gateway died.
#[test]
fn a_dead_gateways_attempts_are_all_booked() {
    let folder = tempfile::tempdir().unwrap();
    let (store, payer) = busy(folder.path());
    let row = |attempt, status, cost_pico| CostRow { status, ..payer.row(4, attempt, cost_pico) };
    let rows = [
        row(1, AttemptStatus::Failed, 0),
        row(2, AttemptStatus::Cancelled, 3_001),
        CostRow { model: "big".into(), target: "other/big".into(), ..row(3, AttemptStatus::Failed, 0) },
    ];
    let turn = |earlier: &[CostRow], model, target| {
        let attempt = u32::try_from(earlier.len() + 1).unwrap();
        let next = NextAttempt { earlier: earlier.to_vec(), ..payer.next(attempt, model, target) };
        let extension = Extension { cost_pico: 5_000, next: Some(Box::new(next)), ..payer.extend(4, 0) };
        store.ledger().submit(Command::Extend(extension)).wait().unwrap()
    };
    turn(&rows[..1], "small", "simulated/sim-small");
    turn(&rows[..2], "big", "other/big");
    turn(&rows, "big", "third/big");
    let live = store.reader().request(request_id(4)).unwrap().unwrap().hold.unwrap();
    assert_eq!(live.earlier, rows);
    drop(store);

    let store = open(folder.path(), clock());
    assert_eq!(store.recovered(), 1);
    let booked = store.reader().request(request_id(4)).unwrap().unwrap().rows;
    let held = Money::from_nano(100);
    assert_eq!(booked[..3], rows.map(|row| CostRow { held, ..row }));
    assert_eq!((booked.len(), booked[3].attempt, &*booked[3].target), (4, 4, "third/big"));
    // 3.001 and 5 nano, each rounded up.
    let charged = Money::sum(booked.iter().map(|row| row.cost)).unwrap();
    assert_eq!(charged, Money::from_nano(9));
    drop(store);
    assert_eq!(verify(folder.path()).unwrap().breaches, Vec::<String>::new());
}

/// A call that two pools paid for, one that counts on units of the first, and one that took of the second.
fn pooled(store: &Store, payer: Payer) {
    let ask = |command| store.ledger().submit(command).wait().unwrap();
    let hold = |request, cover: Cover, ceiling: &[(u64, i64)]| {
        let mut hold = HoldRequest { ceiling: parts(ceiling), ..payer.hold(request, 20) };
        hold.draft.cover = Some(Box::new(cover));
        ask(Command::Hold(hold))
    };
    let row = |attempt, cover| CostRow { cover: Some(Box::new(cover)), ..payer.row(11, attempt, 9_000) };
    let held = |nano| Reply::Held(Money::from_nano(nano));
    assert_eq!(hold(11, cover("tokens", 10, &[]), &[(10, 1_000)]), held(30));
    ask(payer.settle(11, vec![row(1, strict("free", 5, 1)), row(2, cover("tokens", 10, &[(4, 1_000)]))]));
    assert_eq!(hold(12, cover("tokens", 10, &[]), &[(7, 2_000)]), held(32));
    assert_eq!(hold(13, strict("free", 5, 2), &[]), held(20));
    let (consumed, ceiling) = (parts(&[(5, 1_000)]), parts(&[(7, 2_000)]));
    ask(Command::Extend(Extension { cost_pico: 5_500, consumed, ceiling, ..payer.extend(12, 0) }));
}

/// What was used of the pools, and what is held.
fn pools(folder: &Path) -> Vec<(String, i64, i64)> {
    let connection = rusqlite::Connection::open(folder.join("tollkeeper.db")).unwrap();
    let mut statement = connection.prepare("SELECT pool, used, held FROM pool_use ORDER BY pool").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn pools_are_as_they_were_after_a_restart_and_pay_for_what_was_held() {
    let folder = tempfile::tempdir().unwrap();
    let (store, payer) = busy(folder.path());
    pooled(&store, payer);
    drop(store);
    let pool = |name: &str, used, held| (name.to_owned(), used, held);
    assert_eq!(pools(folder.path()), [pool("free", 3, 0), pool("tokens", 4, 6)]);
    assert_eq!(verify(folder.path()).unwrap().breaches, Vec::<String>::new());

    let store = open(folder.path(), clock());
    assert_eq!(store.recovered(), 3);
    let rows = store.reader().request(request_id(12)).unwrap().unwrap().rows;
    assert_eq!((rows[0].cost_pico, rows[0].cover.as_ref().unwrap().units), (500, 5));
    // One is left, and two of what is strict.
    let ask = |request, cover: Cover, units| {
        let (ceiling, least) = (parts(&[(units, 1_000)]), Money::ZERO);
        let mut hold = HoldRequest { ceiling, least, ..payer.hold(request, 0) };
        hold.draft.cover = Some(Box::new(cover));
        store.ledger().submit(Command::Hold(hold)).wait()
    };
    assert_eq!(ask(21, cover("tokens", 10, &[]), 5), Ok(Reply::Held(Money::from_nano(1))));
    assert_eq!(ask(22, strict("free", 5, 2), 0), Ok(Reply::Held(Money::ZERO)));
    let used_up = Denial::PoolUsedUp { key: pool_key("free"), cap: 5, used: 5 };
    assert_eq!(ask(23, strict("free", 5, 1), 0), Err(used_up.into()));
    drop(store);
    assert_eq!(pools(folder.path()), [pool("free", 5, 0), pool("tokens", 9, 1)]);
    assert_eq!(verify(folder.path()).unwrap().breaches, Vec::<String>::new());
}

#[test]
fn books_whose_holds_cannot_be_settled_are_frozen_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = busy(folder.path());
    let other = Payer::number(8);
    let ask = |command| store.ledger().submit(command).wait().unwrap();
    ask(other.open());
    ask(other.grant(9, LotKind::Promo, 50, Timestamp::MAX).into());
    ask(Command::Hold(other.hold(99, 50)));
    drop(store);
    for change in [
        // Unreadable, so that the books cannot even be loaded.
        "UPDATE hold SET draft = x'00' WHERE organization = ?1",
        // Of a request that is on the books already: it cannot be settled a second time.
        "UPDATE hold SET request = (SELECT max(request) FROM cost_row) WHERE organization = ?1",
    ] {
        let copy = tempfile::tempdir().unwrap();
        let database = copy.path().join("tollkeeper.db");
        std::fs::copy(folder.path().join("tollkeeper.db"), &database).unwrap();
        let connection = rusqlite::Connection::open(database).unwrap();
        assert_eq!(connection.execute(change, [Payer::number(7).organization.as_bytes()]).unwrap(), 1);
        drop(connection);
        let store = open(copy.path(), clock());
        assert_eq!(store.recovered(), 1, "the other organization's");
        let of_both =
            [&Payer::number(7), &other].map(|payer| store.ledger().submit(Command::Hold(payer.hold(5, 1))));
        let answers = of_both.map(ledger::Ticket::wait);
        assert_eq!(answers, [Err(ledger::Denial::Frozen.into()), Ok(Reply::Held(Money::from_nano(1)))]);
    }
}

/// Books that are at fault disturb others once, and then no more.
#[test]
fn books_that_are_found_broken_later_are_frozen_then() {
    for change in [
        "UPDATE lot SET kind = 'gold' WHERE remaining > 0 AND organization = ?1",
        "UPDATE wallet SET models = 'none' WHERE organization = ?1",
        "UPDATE wallet SET balance = balance + 1 WHERE organization = ?1",
        "UPDATE wallet SET project = x'00' WHERE organization = ?1",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (store, payer) = busy(folder.path());
        let other = Payer::number(8);
        let ask = |store: &Store, command| store.ledger().submit(command).wait();
        ask(&store, other.open()).unwrap();
        ask(&store, other.grant(9, LotKind::Promo, 50, Timestamp::MAX).into()).unwrap();
        ask(&store, payer.settle_for(4, 1)).unwrap();
        drop(store);
        let connection = rusqlite::Connection::open(folder.path().join("tollkeeper.db")).unwrap();
        assert!(connection.execute(change, [payer.organization.as_bytes()]).unwrap() > 0);
        drop(connection);
        let store = open(folder.path(), clock());
        let first = ask(&store, Command::Hold(payer.hold(10, 1)));
        assert!(matches!(first, Err(ledger::LedgerError::Store(_))), "{change}: {first:?}");
        assert_eq!(
            ask(&store, Command::Hold(payer.hold(11, 1))),
            Err(ledger::Denial::Frozen.into()),
            "{change}"
        );
        assert_eq!(
            ask(&store, Command::Hold(other.hold(5, 1))),
            Ok(Reply::Held(Money::from_nano(1))),
            "{change}"
        );
        assert_eq!((store.figures().failures, store.figures().breaches), (1, 1), "{change}");
        assert_eq!(verify(folder.path()).unwrap().frozen, [payer.organization], "{change}");
    }
}

#[test]
fn frozen_books_go_on_when_nothing_is_broken_and_no_gateway_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (store, payer) = busy(folder.path());
    let thaw = || store::unfreeze(folder.path(), payer.organization).map_err(|error| error.to_string());
    assert!(thaw().unwrap_err().contains("in use"), "a gateway runs on it");
    drop(store);
    assert_eq!(thaw(), Ok(false));
    let change = |sql: &str| {
        let connection = rusqlite::Connection::open(folder.path().join("tollkeeper.db")).unwrap();
        assert_eq!(connection.execute(sql, []).unwrap(), 1, "{sql}");
    };
    change("UPDATE books SET frozen = 1");
    change("UPDATE journal SET at = at + 1 WHERE sequence = 2");
    assert!(thaw().unwrap_err().contains("1 rules of the ledger are broken"), "{:?}", thaw());
    change("UPDATE journal SET at = at - 1 WHERE sequence = 2");
    let nobody = Payer::number(99).organization;
    assert!(store::unfreeze(folder.path(), nobody).unwrap_err().to_string().contains("no books"));
    assert_eq!(thaw(), Ok(true));
    let ledger = open(folder.path(), clock());
    assert_eq!(ledger.ledger().submit(payer.hold(50, 1).into()).wait(), Ok(Reply::Held(Money::from_nano(1))));
}

#[test]
fn what_came_of_a_dead_gateways_holds_is_after_what_was_told() {
    let folder = tempfile::tempdir().unwrap();
    let (store, payer) = busy(folder.path());
    let ask = |command| store.ledger().submit(command).wait().unwrap();
    // A call that cost more than there is, before and after the death.
    for request in [5, 6] {
        let mut dear = payer.hold(request, 10);
        (dear.draft.cost, dear.draft.cost_pico) = (Money::from_nano(2_000), 2_000_000);
        ask(Command::Hold(dear));
    }
    ask(payer.settle_for(5, 2_000));
    let told = store.reader().events_after(0, 10).unwrap();
    drop(store);
    let store = open(folder.path(), clock());
    assert_eq!((told.len(), told[0].0), (1, store.events_before()));
    let since = store.reader().events_after(store.events_before(), 10).unwrap();
    assert!(since.iter().any(|(_, event)| matches!(event.kind, EventKind::WentIntoDebt { .. })), "{since:?}");
}

#[test]
fn one_folder_has_one_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path(), clock());
    let second = Store::open(folder.path(), Durability::Process, clock());
    assert!(matches!(second, Err(store::StoreError::InUse(_))));
    drop(first);
    open(folder.path(), clock());
}

#[test]
fn verification_finds_every_kind_of_tampering() {
    let folder = tempfile::tempdir().unwrap();
    let (store, payer) = busy(folder.path());
    let ask = |command| store.ledger().submit(command).wait().unwrap();
    ask(payer.top_up(90, 5, "paid").into());
    ask(Command::Issue(promo("CODE", 70, 3)));
    ask(payer.redeem("CODE", 91, 9).into());
    ask(payer.set_budget(budget(1, Subject::Organization, Period::Total, cost_cap(900))).into());
    pooled(&store, payer);
    drop(store);
    assert_eq!(verify(folder.path()).unwrap().breaches, Vec::<String>::new());
    for (change, expected) in [
        ("UPDATE wallet SET balance = balance + 1", "BalanceIsLots"),
        (
            "UPDATE lot SET remaining = remaining + 1, used = used - 1 WHERE used > 0 AND remaining > 0",
            "ReplayMatches",
        ),
        ("UPDATE wallet SET held = held + 1", "HeldIsHolds"),
        ("DELETE FROM hold", "HeldIsHolds"),
        ("UPDATE cost_row SET cost = cost + 1, cost_pico = cost_pico + 1000 WHERE cost = 30", "ChargeIsCost"),
        ("DELETE FROM cost_row WHERE cost = 30", "ChargeIsCost"),
        ("UPDATE journal SET at = at + 1 WHERE sequence = 3", "ChainIntact"),
        ("DELETE FROM journal WHERE sequence = 4", "ChainIntact"),
        ("DELETE FROM journal WHERE sequence = (SELECT max(sequence) FROM journal)", "ReplayMatches"),
        ("DELETE FROM journal WHERE sequence > 4", "OneEndPerHold"),
        (
            "UPDATE journal SET reference = (SELECT reference FROM journal WHERE sequence = 3) WHERE sequence = 4",
            "ChainIntact",
        ),
        ("UPDATE books SET frozen = 1", "are frozen"),
        ("UPDATE lot SET wallet = zeroblob(16) WHERE remaining = 0", "ReplayMatches"),
        ("UPDATE journal SET balance = balance + 1 WHERE sequence = 3", "NetIsWallets"),
        ("UPDATE journal SET actor = 'nobody' WHERE sequence = 1", "ChainIntact"),
        ("DELETE FROM books", "no books"),
        ("UPDATE hold SET draft = x'00'", "cannot be read"),
        ("UPDATE promo_code SET uses = uses + 1", "promo codes count other uses"),
        ("UPDATE payment SET entry = 1", "payments have no entry"),
        ("DELETE FROM payment", "1 more top-ups are booked"),
        ("DELETE FROM budget_use", "ReservedIsHolds"),
        ("UPDATE hold SET tokens = tokens + 1", "ReservedIsHolds"),
        ("UPDATE hold SET units = units + 1 WHERE units > 0", "PooledIsHolds"),
        ("UPDATE pool_use SET held = held + 1 WHERE held > 0", "PooledIsHolds"),
        ("UPDATE pool_use SET held = held + 1 WHERE held = 0", "PooledIs"),
        ("UPDATE pool_use SET used = used + 1", "PooledIsRows"),
        ("UPDATE pool_use SET used = used - 1 WHERE pool = 'free'", "PooledIsRows"),
        ("UPDATE pool_use SET start = start + 1 WHERE pool = 'free'", "PooledIsRows"),
        ("DELETE FROM pool_use WHERE pool = 'free'", "PooledIsRows"),
        ("DELETE FROM pool_use WHERE pool = 'tokens'", "PooledIsHolds"),
        ("UPDATE cost_row SET pool_units = pool_units + 1 WHERE pool_units > 0", "PooledIsRows"),
        ("UPDATE cost_row SET pool = NULL WHERE pool_units > 0", "PooledIsRows"),
    ] {
        let copy = tempfile::tempdir().unwrap();
        std::fs::copy(folder.path().join("tollkeeper.db"), copy.path().join("tollkeeper.db")).unwrap();
        let connection = rusqlite::Connection::open(copy.path().join("tollkeeper.db")).unwrap();
        connection.pragma_update(None, "foreign_keys", false).unwrap();
        let changed = connection.execute(change, []).unwrap();
        assert!(changed > 0, "{change} changed nothing");
        drop(connection);
        let breaches = verify(copy.path()).unwrap().breaches;
        assert!(breaches.iter().any(|breach| breach.contains(expected)), "{change}: {breaches:?}");
    }
}

#[test]
fn the_engine_refuses_what_the_rules_would_never_ask() {
    let folder = tempfile::tempdir().unwrap();
    drop(busy(folder.path()));
    let connection = rusqlite::Connection::open(folder.path().join("tollkeeper.db")).unwrap();
    for change in [
        "UPDATE wallet SET held = balance + 1",
        "UPDATE wallet SET held = -1",
        "UPDATE wallet SET debt = 1",
        "UPDATE lot SET remaining = remaining - 1",
        "UPDATE lot SET granted = 0, remaining = 0, used = 0",
        "UPDATE cost_row SET cost = cost + 1",
        "UPDATE cost_row SET status = 'maybe'",
        "INSERT INTO hold SELECT * FROM hold",
    ] {
        let refused = connection.execute(change, []).unwrap_err();
        assert!(refused.to_string().contains("constraint failed"), "{change}: {refused}");
    }
}

#[test]
fn a_folder_without_database_and_a_newer_database_are_named() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(verify(folder.path()), Err(store::StoreError::NoDatabase(_))));
    drop(open(folder.path(), clock()));
    let connection = rusqlite::Connection::open(folder.path().join("tollkeeper.db")).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let newer = Store::open(folder.path(), Durability::Process, clock());
    assert!(matches!(newer, Err(store::StoreError::TooNew { found: 99, .. })));
}
