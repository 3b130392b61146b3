//! Decisions in the store: kept, found, forgotten, and never in the ledger's way.
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use directory::{InFlight, Organization};
use domain::{OrganizationId, RequestId, Timestamp, Zone};
use ledger::conformance::{ManualClock, Payer, START, request_id};
use tollkeeper_store::{
    DecisionRecord, Durability, FORGET_AT_ONCE, Store, StoreError, backup, restore, verify,
};

fn open(folder: &Path) -> Store {
    Store::open(folder, Durability::Process, Arc::new(ManualClock::new(START))).unwrap()
}

fn sign_up(store: &Store, payer: Payer) {
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
    store.directory().commit(directory::Commit::of([organization.into()])).unwrap();
}

fn decision(organization: Option<OrganizationId>, request: RequestId, word: &str) -> DecisionRecord {
    DecisionRecord { organization, request, at: START, body: format!("{{\"word\":\"{word}\"}}") }
}

/// The request of a moment: ids begin with their millisecond.
fn at(seconds: i64, n: u8) -> RequestId {
    let ms = u128::from((START.plus_seconds(seconds).micros() / 1_000).unsigned_abs());
    RequestId::from_bytes(((ms << 80) | u128::from(n)).to_be_bytes())
}

/// What is on record of a request, once everything that came before has been written.
fn found(store: &Store, request: RequestId) -> Option<DecisionRecord> {
    for _ in 0..200 {
        if let Some(found) = store.reader().decision(request).unwrap() {
            return Some(found);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

/// Waits for an answer on this thread.
fn wait<T>(answer: impl Future<Output = Result<T, StoreError>>) -> T {
    let mut answer = std::pin::pin!(answer);
    loop {
        if let Poll::Ready(done) = answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return done.unwrap();
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_decision_is_kept_by_itself_once_and_through_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let payer = Payer::number(7);
    let (known, unknown) =
        (decision(Some(payer.organization), request_id(1), "first"), decision(None, request_id(2), "nobody"));
    {
        let store = open(folder.path());
        sign_up(&store, payer);
        store.decisions().keep(known.clone());
        assert_eq!(found(&store, known.request), Some(known.clone()), "no command came to go with");
        // The first word about a request stays, and a second one harms nothing that is written with it.
        store.decisions().keep(decision(Some(payer.organization), request_id(1), "second"));
        store.decisions().keep(unknown.clone());
        assert_eq!(found(&store, unknown.request), Some(unknown.clone()));
        assert_eq!(store.reader().decision(known.request).unwrap(), Some(known.clone()));
        // What waits at the end is written still.
        store.decisions().keep(decision(Some(payer.organization), request_id(3), "last"));
    }
    let store = open(folder.path());
    for record in [known, unknown, decision(Some(payer.organization), request_id(3), "last")] {
        assert_eq!(store.reader().decision(record.request).unwrap(), Some(record));
    }
    assert_eq!(store.reader().decision(request_id(4)).unwrap(), None);
    assert_eq!((store.decisions().dropped(), store.figures().failures), (0, 0));
    drop(store);
    assert!(verify(folder.path()).unwrap().breaches.is_empty());
    let elsewhere = tempfile::tempdir().unwrap();
    let (file, other) = (elsewhere.path().join("a.backup"), elsewhere.path().join("other"));
    backup(folder.path(), &file, false).unwrap();
    restore(&file, &other, false).unwrap();
    assert!(open(&other).reader().decision(request_id(3)).unwrap().is_some(), "a backup has them, too");
}

#[test]
fn old_ones_are_forgotten_in_chunks_each_owners_apart() {
    let folder = tempfile::tempdir().unwrap();
    let (store, payer) = (open(folder.path()), Payer::number(7));
    sign_up(&store, payer);
    let owner = Some(payer.organization);
    let many = u8::MAX;
    for n in 0..many {
        store.decisions().keep(decision(owner, at(-20, n), "old"));
        store.decisions().keep(decision(owner, at(-10, n), "old"));
    }
    store.decisions().keep(decision(None, at(-20, 0), "old"));
    store.decisions().keep(decision(owner, at(5, 0), "young"));
    assert!(found(&store, at(5, 0)).is_some());
    let reader = store.reader();
    assert_eq!(reader.decisions_before(START.plus_seconds(-30)).unwrap(), []);
    let mut owners = reader.decisions_before(START).unwrap();
    owners.sort_unstable();
    assert_eq!(owners, [None, owner]);
    let forget = |owner, before| wait(store.decisions().forget(owner, before));
    assert_eq!(forget(owner, START), usize::try_from(FORGET_AT_ONCE).unwrap());
    assert_eq!(forget(owner, START), usize::from(many) * 2 - usize::try_from(FORGET_AT_ONCE).unwrap());
    assert_eq!(forget(owner, START), 0);
    assert_eq!(reader.decisions_before(START).unwrap(), [None], "nobody's are apart");
    assert_eq!((forget(None, START), forget(None, START)), (1, 0));
    assert!(reader.decision(at(5, 0)).unwrap().is_some());
    assert_eq!(reader.decision(at(-20, 0)).unwrap(), None);
}

#[test]
fn a_flood_is_dropped_and_counted_and_the_ledger_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (store, payer) = (open(folder.path()), Payer::number(7));
    sign_up(&store, payer);
    let ledger = store.ledger();
    ledger.submit(payer.grant(1, ledger::LotKind::Prepaid, 1_000, Timestamp::MAX).into()).wait().unwrap();
    let mut kept = 0_u64;
    for n in 0..20_000_u64 {
        store.decisions().keep(decision(None, request_id(10_000 + n), "flood"));
        kept += 1;
    }
    // The queue is full of them, and the ledger answers as ever.
    for n in 1..=20 {
        ledger.submit(ledger::Command::Hold(payer.hold(n, 10))).wait().unwrap();
    }
    let dropped = store.decisions().dropped();
    assert!(dropped > 0 && dropped < kept, "{dropped} of {kept}");
    assert_eq!(store.figures().failures, 0);
    drop((ledger, store));
    let store = open(folder.path());
    let written = (0..20_000_u64)
        .filter(|n| store.reader().decision(request_id(10_000 + n)).unwrap().is_some())
        .count();
    assert_eq!(u64::try_from(written).unwrap() + dropped, kept, "each is written or counted");
}
