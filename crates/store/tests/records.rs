//! What the books leave on paper: statements that add up, backups that hold what was answered, restores that check.
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use directory::{Commit, DataClass, Environment, InFlight, Organization, Project};
use domain::{AccessClass, Clock, Money, Timestamp, Zone};
use ledger::conformance::{ManualClock, Payer, START, project_id, promo, purpose, request_id};
use ledger::{
    Booking, Command, CostRow, Cover, Entry, EntryKind, LedgerError, LotKind, Part, Period, PoolKey, Reply,
    Span,
};
use proptest::prelude::*;
use tollkeeper_store::{
    BackupError, Durability, Statement, StatementError, StatementItem, Store, StoreError, backup, restore,
    verify,
};

const DAY: i64 = 24 * 60 * 60;

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(START))
}

fn open(folder: &Path, clock: Arc<dyn Clock>) -> Store {
    Store::open(folder, Durability::Process, clock).unwrap()
}

fn sign_up(store: &Store, payer: Payer) {
    let organization = Organization {
        id: payer.organization,
        name: "Acme".to_owned(),
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
    let project = Project {
        id: project_id(payer.organization.as_bytes()[15].into()),
        organization: payer.organization,
        name: "web".to_owned(),
        environment: Environment::default(),
        data_class: DataClass::default(),
        after_grant: directory::AfterGrant::default(),
        models: None,
        byok: directory::Byok::Off,
        byok_fallback: false,
        created_at: START,
        archived_at: None,
    };
    store.directory().commit(Commit::of([project.into()])).unwrap();
}

fn ask(store: &Store, command: impl Into<Command>) -> Result<Reply, LedgerError> {
    store.ledger().submit(command.into()).wait()
}

fn month(day: &str) -> Span {
    Period::Monthly.around(day.parse().unwrap(), &Zone::default())
}

fn nano(nano: i64) -> Money {
    Money::from_nano(nano)
}

/// A line in short: what, how much, and what a person would look for.
fn short(statement: &Statement) -> Vec<(String, i64)> {
    let name = |item: &StatementItem| match item {
        StatementItem::Usage(usage) => {
            let project = usage.project_name.as_deref().unwrap_or("?");
            format!(
                "{project} {} {}x {}/{}/{}",
                usage.model, usage.calls, usage.input_tokens, usage.cached_tokens, usage.output_tokens
            )
        }
        StatementItem::Booking(line) => {
            let moved = line.moved.as_ref().map(|(amount, from)| format!(" {}<'{from}'", amount.nano()));
            let promotional = if line.promotional { " promo" } else { "" };
            let payment = line.payment.as_deref().unwrap_or_default();
            let reason = line.note.as_ref().and_then(|note| note.reason.as_deref()).unwrap_or("-");
            format!(
                "{:?}{promotional} '{}'{} {payment} {reason}",
                line.kind,
                line.wallet,
                moved.unwrap_or_default()
            )
        }
    };
    statement.lines.iter().map(|line| (name(&line.item), line.amount.nano())).collect()
}

#[test]
fn a_statement_has_a_line_for_everything() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, payer) = (clock(), Payer::number(1));
    let store = open(folder.path(), Arc::clone(&clock) as Arc<dyn Clock>);
    sign_up(&store, payer);
    let told = |command: Command| ask(&store, command).unwrap();
    told(payer.grant(1, LotKind::Promo, 1_000, START.plus_seconds(DAY)).into());
    told(payer.top_up(2, 9_000, "stripe:pi_1").into());
    told(promo("WELCOME", 500, 9).into());
    told(payer.redeem("WELCOME", 3, 40).into());
    told(payer.open_wallet(50, purpose(None, &["big"], false)).into());
    told(payer.transfer(1, 50, 600, 4).into());
    for (request, model, pico) in [(1, "small", 20_500), (2, "small", 0), (3, "tiny", 7_000)] {
        let row = |attempt, pico| CostRow { model: model.into(), ..payer.row(request, attempt, pico) };
        told(payer.hold(request, 300).into());
        // A first attempt that failed, and cost nothing, belongs to the same call.
        told(payer.settle(request, vec![row(1, 0), row(2, pico)]));
    }
    // Dispatched in September, settled in October: it counts where it was booked.
    told(payer.hold(4, 300).into());
    clock.advance_seconds(u32::try_from(12 * DAY).unwrap());
    told(payer.settle_for(4, 100));
    told(payer.refund(1, 21, 6).into());
    told(payer.pay_out(1, 250, 7).into());
    told(payer.adjust(1, -9, 8).into());
    told(payer.adjust(50, 5, 9).into());

    let reader = store.reader();
    let statement = |day| reader.statement(payer.organization, month(day)).unwrap().unwrap();
    let september = statement("2026-09-30");
    assert_eq!((september.name.as_str(), september.currency.as_str()), ("Acme", "USD"));
    assert_eq!((september.opening, september.closing), (nano(0), nano(10_472)));
    let expected = [
        ("Grant promo ''  on request", 1_000),
        ("TopUp '' stripe:pi_1 on request", 9_000),
        ("Redeem promo ''  WELCOME", 500),
        ("Transfer 'aside' 600<''  on request", 0),
        ("web small 2x 6000/1200/1000", -21),
        ("web tiny 1x 3000/600/500", -7),
    ];
    assert_eq!(short(&september), expected.map(|(line, amount)| (line.to_owned(), amount)));

    let october = statement("2026-10-01");
    assert_eq!((october.opening, october.closing), (nano(10_472), nano(9_167)));
    let expected = [
        ("Expire ''  -", -972),
        ("Refund ''  on request", 21),
        ("PayOut ''  on request", -250),
        ("Adjust ''  on request", -9),
        ("Adjust 'aside'  on request", 5),
        ("web small 1x 1500/300/250", -100),
    ];
    assert_eq!(short(&october), expected.map(|(line, amount)| (line.to_owned(), amount)));
    let empty = statement("2027-05-01");
    assert_eq!((empty.opening, empty.closing, empty.lines.len()), (october.closing, october.closing, 0));
    assert!(reader.statement(Payer::number(2).organization, month("2026-09-01")).unwrap().is_none());
}

#[test]
fn a_statement_says_who_bore_what() {
    let folder = tempfile::tempdir().unwrap();
    let payer = Payer::number(1);
    let store = open(folder.path(), clock());
    sign_up(&store, payer);
    let told = |command: Command| ask(&store, command).unwrap();
    told(payer.grant(1, LotKind::Prepaid, 10_000, Timestamp::MAX).into());
    let key = PoolKey { pool: "complimentary".into(), start: START };
    let parts = vec![Part { units: 10, unit_pico: 5_000 }];
    let cover = Cover { key, cap: 4, strict: false, parts, units: 0 };
    // Calls by a key of one's own: what has no fee, and what has one.
    let own = |cap, unit_pico| {
        let key = PoolKey { pool: "byok".into(), start: START };
        let parts = vec![Part { units: 1, unit_pico }];
        Some(Box::new(Cover { key, cap, strict: false, parts, units: 0 }))
    };
    // Class, list price and cost in pico-units, and what a pool may pay for.
    let rows = [
        (AccessClass::Direct, Some(7_001), 7_001, None),
        (AccessClass::Direct, None, 3_000, None),
        // Four of ten units at 5 nano are the pool's.
        (AccessClass::Complimentary, Some(50_000), 50_000, Some(Box::new(cover))),
        (AccessClass::Free, Some(11_000), 0, None),
        (AccessClass::Byok, Some(100_000), 5_000, own(0, 5_000)),
        (AccessClass::UserPays, Some(2_500), 0, own(1, 0)),
        // By the gateway's key, at the expense of the end user's wallet, which is this one.
        (AccessClass::UserPays, Some(2_000), 2_000, None),
        (AccessClass::SelfHosted, Some(9_000), 4_000, None),
        // Dearer than its list price, of which nobody bears less than nothing.
        (AccessClass::SelfHosted, Some(1_000), 4_000, None),
    ];
    for (request, (class, list_pico, pico, cover)) in (1..).zip(rows) {
        let row = CostRow { class, list_pico, cover, model: "m".into(), ..payer.row(request, 1, pico) };
        told(payer.hold(request, 300).into());
        told(payer.settle(request, vec![row]));
    }
    let statement = store.reader().statement(payer.organization, month("2026-09-30")).unwrap().unwrap();
    let borne = [
        (domain::Payer::Organization, nano(8 + 3 + 30 + 5 + 2 + 4 + 4)),
        (domain::Payer::Provider, nano(20 + 11)),
        (domain::Payer::Caller, nano(100)),
        (domain::Payer::EndUser, nano(3)),
        (domain::Payer::Operator, nano(5)),
    ];
    assert_eq!(statement.payers, borne);
    let line = statement.lines.last().unwrap();
    let StatementItem::Usage(usage) = &line.item else { panic!("{line:?}") };
    assert_eq!(
        (line.amount, usage.listed, usage.unlisted),
        (nano(-56), nano(8 + 50 + 11 + 100 + 3 + 2 + 9 + 1), 1)
    );
}

#[test]
fn a_statement_that_does_not_add_up_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let (store, payer) = busy(folder.path());
    drop(store);
    for change in [
        "UPDATE cost_row SET cost = cost + 1, cost_pico = cost_pico + 1000 WHERE cost = 30",
        "DELETE FROM cost_row WHERE cost = 30",
        "UPDATE journal SET balance = balance + 1 WHERE sequence = (SELECT max(sequence) FROM journal)",
        "UPDATE journal SET reference = zeroblob(16) WHERE sequence = 3",
    ] {
        let copy = tempfile::tempdir().unwrap();
        let file = copy.path().join("tollkeeper.db");
        fs::copy(folder.path().join("tollkeeper.db"), &file).unwrap();
        assert_eq!(rusqlite::Connection::open(&file).unwrap().execute(change, []).unwrap(), 1, "{change}");
        let reader = tollkeeper_store::Reader::of_folder(copy.path()).unwrap();
        let found = reader.statement(payer.organization, month("2026-09-21"));
        assert!(matches!(found, Err(StatementError::DoesNotAddUp { .. })), "{change}: {found:?}");
    }
}

/// One step of a random history.
#[derive(Clone, Debug)]
enum Step {
    Wait(i64),
    Grant(bool, i64, Option<i64>),
    TopUp(i64),
    Call { held: i64, charged: i64, model: bool },
    Refund(u64, i64),
    PayOut(i64),
    Adjust(i64),
    Transfer(bool, i64),
}

fn step() -> impl Strategy<Value = Step> {
    let amount = 1..5_000_i64;
    prop_oneof![
        3 => (0..15_i64).prop_map(Step::Wait),
        2 => (any::<bool>(), amount.clone(), prop::option::of(1..40_i64)).prop_map(|(p, n, e)| Step::Grant(p, n, e)),
        1 => amount.clone().prop_map(Step::TopUp),
        5 => (0..900_i64, 0..1_200_i64, any::<bool>())
            .prop_map(|(held, charged, model)| Step::Call { held, charged, model }),
        1 => (0..40_u64, 1..300_i64).prop_map(|(call, n)| Step::Refund(call, n)),
        1 => amount.clone().prop_map(Step::PayOut),
        1 => (-900..900_i64).prop_map(Step::Adjust),
        1 => (any::<bool>(), amount).prop_map(|(out, n)| Step::Transfer(out, n)),
    ]
}

/// Does a step as well as the books allow.
fn take(store: &Store, clock: &ManualClock, payer: Payer, number: u64, step: &Step) {
    let lot = 1_000 + number * 50;
    let book = |booking: Booking| drop(ask(store, booking));
    match *step {
        Step::Wait(days) => clock.set(clock.now().plus_seconds(days * DAY + 1)),
        Step::Grant(promo, nano, days) => {
            let kind = if promo { LotKind::Promo } else { LotKind::Prepaid };
            let ends = days.map_or(Timestamp::MAX, |days| clock.now().plus_seconds(days * DAY));
            book(payer.grant(lot, kind, nano, ends));
        }
        Step::TopUp(nano) => book(payer.top_up(lot, nano, &format!("manual:{number}"))),
        Step::Call { held, charged, model } => {
            let model = if model { "small" } else { "big" };
            let row = CostRow { model: model.into(), ..payer.row(number, 1, charged * 1_000 - charged % 2) };
            if ask(store, payer.hold(number, held)).is_ok() {
                ask(store, payer.settle(number, vec![row])).unwrap();
            }
        }
        Step::Refund(call, nano) => book(payer.refund(call, nano, lot)),
        Step::PayOut(nano) => book(payer.pay_out(1, nano, lot)),
        Step::Adjust(nano) => book(payer.adjust(1, nano, lot)),
        Step::Transfer(true, nano) => book(payer.transfer(1, 50, nano, lot)),
        Step::Transfer(false, nano) => book(payer.transfer(50, 1, nano, lot)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn statements_chain_and_sum_up(steps in prop::collection::vec(step(), 1..60)) {
        let folder = tempfile::tempdir().unwrap();
        let (clock, payer) = (clock(), Payer::number(1));
        let store = open(folder.path(), Arc::clone(&clock) as Arc<dyn Clock>);
        sign_up(&store, payer);
        ask(&store, payer.open_wallet(50, purpose(None, &["big"], false))).unwrap();
        for (number, step) in (1..).zip(&steps) {
            take(&store, &clock, payer, number, step);
        }
        let reader = store.reader();
        let journal = reader.journal(payer.organization, u64::MAX, 10_000).unwrap();
        let (mut at, mut balance, mut lines, mut calls) = (START, Money::ZERO, 0, 0);
        while at <= clock.now() {
            let span = Period::Monthly.around(at, &Zone::default());
            let statement = reader.statement(payer.organization, span).unwrap().unwrap();
            prop_assert_eq!(statement.opening, balance);
            let sum = Money::sum(statement.lines.iter().map(|line| line.amount)).unwrap();
            prop_assert_eq!(statement.closing, balance.checked_add(sum).unwrap());
            let entries: Vec<&Entry> = journal.iter().filter(|entry| span.contains(entry.at)).collect();
            let last = entries.first().map_or(balance, |newest| newest.balance);
            prop_assert_eq!(statement.closing, last);
            for line in &statement.lines {
                match &line.item {
                    StatementItem::Usage(usage) => calls += usage.calls,
                    StatementItem::Booking(booking) => {
                        lines += 1;
                        prop_assert!(span.contains(booking.at));
                    }
                }
            }
            (at, balance) = (span.end, statement.closing);
        }
        let of = |kinds: &[EntryKind]| journal.iter().filter(|entry| kinds.contains(&entry.kind)).count();
        prop_assert_eq!(calls, of(&[EntryKind::Settle]) as u64);
        prop_assert_eq!(lines, journal.len() - of(&[EntryKind::Settle, EntryKind::PayDebt]));
        prop_assert_eq!(balance, journal.first().map_or(Money::ZERO, |newest| newest.balance));
    }
}

/// An organization with a wallet of 1000 nano, three settled calls and one that is still held.
fn busy(folder: &Path) -> (Store, Payer) {
    let (store, payer) = (open(folder, clock()), Payer::number(7));
    sign_up(&store, payer);
    ask(&store, payer.grant(1, LotKind::Prepaid, 600, Timestamp::MAX)).unwrap();
    ask(&store, payer.grant(2, LotKind::Promo, 400, Timestamp::MAX)).unwrap();
    for (request, cost) in [(1, 30), (2, 420), (3, 0)] {
        ask(&store, payer.hold(request, 500)).unwrap();
        ask(&store, payer.settle_for(request, cost)).unwrap();
    }
    ask(&store, payer.hold(4, 100)).unwrap();
    (store, payer)
}

/// Every file in a folder with what is in it.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| (path.clone(), fs::read(&path).unwrap_or_default())).collect()
}

#[test]
fn a_backup_under_load_is_a_moment_of_the_history() {
    const THREADS: u64 = 4;
    let (folder, away) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(folder.path(), clock());
    let payers: Vec<Payer> = (1..=THREADS).map(Payer::number).collect();
    for payer in &payers {
        sign_up(&store, *payer);
        let lot = payer.organization.as_bytes()[15].into();
        ask(&store, payer.grant(lot, LotKind::Prepaid, 1_000_000_000, Timestamp::MAX)).unwrap();
    }
    let (ended, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let file = away.path().join("copy.db");
    let (before, held) = std::thread::scope(|scope| {
        for payer in &payers {
            let (store, ended, stop) = (&store, &ended, &stop);
            scope.spawn(move || {
                let first = u64::from(payer.organization.as_bytes()[15]) * 1_000_000;
                for request in first.. {
                    ask(store, payer.hold(request, 50)).unwrap();
                    ask(store, payer.settle_for(request, 7)).unwrap();
                    ended.fetch_add(1, Ordering::SeqCst);
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                }
            });
        }
        while ended.load(Ordering::SeqCst) < 200 {
            std::thread::yield_now();
        }
        let before = ended.load(Ordering::SeqCst);
        let held = backup(folder.path(), &file, false).unwrap();
        stop.store(true, Ordering::SeqCst);
        (before, held)
    });
    let after = ended.load(Ordering::SeqCst);
    let settled = held.report.entries - THREADS;
    assert!(before <= settled && settled <= after, "{before} <= {settled} <= {after}");
    assert_eq!(held.heads.len(), payers.len());
    for head in &held.heads {
        let entries = store.reader().journal(head.organization, head.sequence + 1, 1).unwrap();
        assert_eq!(entries.first().map(|entry| entry.hash), Some(head.hash), "{head:?}");
    }
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(&file).unwrap().len(), held.bytes);
    assert_eq!(contents(away.path()).len(), 1);

    let other = away.path().join("data");
    let restored = restore(&file, &other, false).unwrap();
    assert_eq!((restored.backup.head, restored.aside), (held.head, None));
    assert_eq!(verify(&other).unwrap().breaches, Vec::<String>::new());
    let again = open(&other, clock());
    assert_eq!(u64::try_from(again.recovered()).unwrap(), held.report.holds);
    ask(&again, payers[0].hold(99_000_000, 50)).unwrap();
    ask(&again, payers[0].settle_for(99_000_000, 7)).unwrap();
    drop(again);
    assert_eq!(verify(&other).unwrap().breaches, Vec::<String>::new());
}

#[test]
fn a_restore_goes_on_where_the_backup_was_made() {
    let (folder, away) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = away.path().join("copy.db");
    let (store, payer) = busy(folder.path());
    let held = backup(folder.path(), &file, false).unwrap();
    assert_eq!((held.report.holds, held.report.revenue, held.report.balance), (1, nano(450), nano(550)));
    ask(&store, payer.settle_for(4, 60)).unwrap();
    drop(store);
    // Over the database that went on: it is kept, and still is what it was.
    let restored = restore(&file, folder.path(), true).unwrap();
    let aside = restored.aside.unwrap();
    assert_eq!(aside, folder.path().join("tollkeeper.db.before-restore-1"));
    let store = open(folder.path(), clock());
    assert_eq!(store.recovered(), 1);
    let reader = store.reader();
    assert_eq!(
        reader.request(request_id(4)).unwrap().unwrap().entry.unwrap().amount,
        nano(0),
        "by its draft"
    );
    ask(&store, payer.hold(5, 100)).unwrap();
    drop((store, reader));
    assert_eq!(verify(folder.path()).unwrap().breaches, Vec::<String>::new());
    let old = tempfile::tempdir().unwrap();
    fs::rename(aside, old.path().join("tollkeeper.db")).unwrap();
    let report = verify(old.path()).unwrap();
    assert_eq!((report.breaches, report.revenue, report.holds), (Vec::new(), nano(510), 0));
}

#[test]
fn the_log_of_a_killed_gateway_is_kept_with_its_database() {
    let (folder, away) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (killed, file) = (away.path().join("killed"), away.path().join("copy.db"));
    let (store, payer) = busy(folder.path());
    backup(folder.path(), &file, false).unwrap();
    ask(&store, payer.settle_for(4, 60)).unwrap();
    // What a dead process leaves: nobody has copied the log back.
    fs::create_dir(&killed).unwrap();
    for name in ["tollkeeper.db", "tollkeeper.db-wal"] {
        fs::copy(folder.path().join(name), killed.join(name)).unwrap();
    }
    let restored = restore(&file, &killed, true).unwrap();
    assert_eq!(verify(&killed).unwrap().revenue, nano(450));
    assert!(!killed.join("tollkeeper.db-wal").exists());
    let old = away.path().join("old");
    fs::create_dir(&old).unwrap();
    fs::rename(restored.aside.unwrap(), old.join("tollkeeper.db")).unwrap();
    assert_eq!(verify(&old).unwrap().revenue, nano(510), "what only the log had");

    // A log without its database, and one that cannot be merged, are not ours to throw away.
    for database in [None, Some(b"garbage".as_slice())] {
        let stray = tempfile::tempdir().unwrap();
        fs::write(stray.path().join("tollkeeper.db-wal"), b"log".repeat(2_000)).unwrap();
        if let Some(bytes) = database {
            fs::write(stray.path().join("tollkeeper.db"), bytes.repeat(1_000)).unwrap();
        }
        fs::write(stray.path().join("lock"), "").unwrap();
        let before = contents(stray.path());
        let refused = restore(&file, stray.path(), true);
        assert!(matches!(refused, Err(BackupError::StrayLog(_))), "{refused:?}");
        assert_eq!(contents(stray.path()), before);
    }
}

#[test]
fn frozen_books_are_in_the_backup_and_stay_frozen() {
    let (folder, away) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (store, payer) = busy(folder.path());
    drop(store);
    let change = |sql: &str| {
        let connection = rusqlite::Connection::open(folder.path().join("tollkeeper.db")).unwrap();
        assert!(connection.execute(sql, []).unwrap() > 0, "{sql}");
    };
    change("UPDATE books SET frozen = 1");
    let file = away.path().join("copy.db");
    assert_eq!(backup(folder.path(), &file, false).unwrap().report.frozen, [payer.organization]);
    let other = away.path().join("data");
    restore(&file, &other, false).unwrap();
    let denied = ask(&open(&other, clock()), payer.hold(5, 1));
    assert_eq!(denied, Err(ledger::Denial::Frozen.into()));

    change("UPDATE lot SET remaining = remaining + 1, used = used - 1 WHERE used > 0 AND remaining > 0");
    let before = contents(away.path());
    let refused = backup(folder.path(), &file, true).unwrap_err();
    assert!(matches!(&refused, BackupError::Broken { first, .. } if !first.contains("frozen")), "{refused}");
    assert_eq!(contents(away.path()), before);
}

#[test]
fn a_backup_that_cannot_be_made_says_why_and_leaves_nothing() {
    let (folder, away) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(busy(folder.path()));
    let there = away.path().join("there.db");
    fs::write(&there, "precious").unwrap();
    let (data, away_before) = (contents(folder.path()), contents(away.path()));
    let empty = tempfile::tempdir().unwrap();
    let no_folder = away.path().join("missing/copy.db");
    for (from, to, force, expected) in [
        (empty.path(), away.path().join("copy.db"), false, "there is no tollkeeper.db in"),
        (folder.path(), there.clone(), false, "there.db exists; give another name, or --force"),
        (folder.path(), no_folder, false, "missing: No such file or directory"),
        (folder.path(), away.path().to_owned(), true, "it is a folder; name a file in it"),
        (folder.path(), PathBuf::from("/"), true, "it names no file"),
        (folder.path(), folder.path().join("tollkeeper.db"), true, "it lies in the data folder"),
        (folder.path(), folder.path().join("copy.db"), false, "it lies in the data folder"),
        // Where nobody may write, not even root.
        (folder.path(), PathBuf::from("/proc/self/copy.db"), false, "/proc/"),
    ] {
        let refused = backup(from, &to, force).unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}\n{expected}");
        assert_eq!((contents(folder.path()), contents(away.path())), (data.clone(), away_before.clone()));
    }
    assert_eq!(contents(empty.path()).len(), 0);
    backup(folder.path(), &there, true).unwrap();
    restore(&there, &away.path().join("data"), false).unwrap();
}

#[test]
fn a_restore_that_is_refused_leaves_the_folder_as_it_was() {
    let (folder, away) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (store, _) = busy(folder.path());
    let file = away.path().join("copy.db");
    backup(folder.path(), &file, false).unwrap();
    let running = restore(&file, folder.path(), true);
    assert!(matches!(running, Err(BackupError::Store(StoreError::InUse(_)))), "{running:?}");
    drop(store);
    let taken = restore(&file, folder.path(), false);
    assert!(matches!(taken, Err(BackupError::HasDatabase(_))), "{taken:?}");

    let other = away.path().join("data");
    let raw = fs::read(folder.path().join("tollkeeper.db")).unwrap();
    let good = fs::read(&file).unwrap();
    let sealed = |change: &str| {
        let copy = tempfile::tempdir().unwrap();
        let database = copy.path().join("tollkeeper.db");
        fs::write(&database, &raw).unwrap();
        rusqlite::Connection::open(&database).unwrap().execute_batch(change).unwrap();
        seal(fs::read(&database).unwrap())
    };
    for (bytes, expected) in [
        (Vec::new(), "does not end with the seal"),
        (
            b"not a database at all, but long enough to have a seal in it".to_vec(),
            "does not end with the seal",
        ),
        (raw.clone(), "does not end with the seal"),
        (good[..good.len() - 1].to_vec(), "does not end with the seal"),
        ([&good[..4096], &good[8192..]].concat(), "is damaged"),
        (seal(b"sealed, but no database".repeat(100)), "not a database"),
        (sealed("PRAGMA user_version = 99"), "schema 99, this program knows 1; use a newer tollkeeper"),
        (sealed("UPDATE wallet SET balance = balance + 1"), "BalanceIsLots"),
        (
            sealed("DELETE FROM journal WHERE sequence = 4"),
            "rules of the ledger are broken in it; the first: ",
        ),
        (sealed("DROP TABLE journal"), "no such table: journal"),
        (
            sealed("PRAGMA journal_mode = DELETE; PRAGMA user_version = 0"),
            "table organization already exists",
        ),
    ] {
        let bad = away.path().join("bad.db");
        fs::write(&bad, bytes).unwrap();
        let refused = restore(&bad, &other, false).unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}\n{expected}");
        assert!(!other.exists(), "{expected}: the folder was made and is gone again");
        let before = contents(folder.path());
        restore(&bad, folder.path(), true).unwrap_err();
        assert_eq!(contents(folder.path()), before, "{expected}");
    }
    let missing = restore(&away.path().join("nothing.db"), &other, false).unwrap_err().to_string();
    assert!(missing.contains("nothing.db: No such file or directory"), "{missing}");
}

/// What `backup` puts behind a copy.
fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    let hash = blake3::hash(&bytes);
    bytes.extend_from_slice(b"tollkeeper-seal1");
    bytes.extend_from_slice(hash.as_bytes());
    bytes
}

#[test]
fn no_byte_of_a_backup_can_change_unseen() {
    let (folder, away) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(busy(folder.path()));
    let (file, other) = (away.path().join("copy.db"), away.path().join("data"));
    backup(folder.path(), &file, false).unwrap();
    let good = fs::read(&file).unwrap();
    let last = good.len() - 1;
    let everywhere = (0..good.len()).step_by(good.len() / 97);
    for place in everywhere.chain([0, 60, 99, last, last - 31, last - 32, last - 47, last - 48]) {
        let mut bad = good.clone();
        bad[place] ^= 1;
        fs::write(&file, bad).unwrap();
        let refused = restore(&file, &other, false);
        assert!(
            matches!(refused, Err(BackupError::Damaged(_) | BackupError::NotABackup(_))),
            "byte {place}: {refused:?}"
        );
        assert!(!other.exists());
    }
    fs::write(&file, good).unwrap();
    restore(&file, &other, false).unwrap();
}
