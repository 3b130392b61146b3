//! What payments keep: a top-up's status and its credit move together, whatever is repeated and in whatever order.
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::sync::Arc;

use directory::{InFlight, Organization};
use domain::{LotId, Money, OrganizationId, Timestamp, TopUpId, WalletId, Zone};
use ledger::EventKind;
use ledger::conformance::{ManualClock, START};
use payments::recharge::{Bounds, Settings};
use payments::{
    Alert, Begun, CallName, Cents, Credited, Ending, EventName, Limits, Notice, PaymentStore,
    PaymentStoreError, Purpose, Receipt, ReturnKind, Returned, Started, TopUp, TopUpStatus,
};
use tempfile::TempDir;
use tollkeeper_store::{Durability, Store, verify};

const ORGANIZATION: OrganizationId = OrganizationId::from_bytes([1; 16]);

/// A store with one organization, and payments on it.
struct Fixture {
    till: Arc<dyn PaymentStore>,
    store: Option<Store>,
    folder: TempDir,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder);
        for n in [1, 2] {
            let organization = Organization {
                id: OrganizationId::from_bytes([n; 16]),
                name: format!("organization {n}"),
                wallet: WalletId::from_bytes([n; 16]),
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
        Self { till: store.payments(), store: Some(store), folder }
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    fn balance(&self) -> String {
        self.store().reader().balance(ORGANIZATION, START).unwrap().unwrap().net.to_string()
    }

    fn status(&self, topup: &TopUp) -> TopUpStatus {
        self.till.topup(topup.id).unwrap().unwrap().status
    }

    /// The words of all events of payments, oldest first.
    fn told(&self) -> Vec<String> {
        let events = self.store().reader().events(ORGANIZATION, i64::MAX, 100).unwrap();
        let words = events.into_iter().rev().filter_map(|(_, event)| match event.kind {
            EventKind::Payment { what, .. } => Some(what.into_string()),
            EventKind::BudgetThreshold { .. }
            | EventKind::CreditExpiring { .. }
            | EventKind::WentIntoDebt { .. }
            | EventKind::HoldTimedOut { .. }
            | EventKind::TierReached { .. } => None,
        });
        words.collect()
    }

    fn begun(&self, topup: &TopUp) {
        assert_eq!(self.till.begin(topup, None), Ok(Begun::New));
    }

    fn recharges(&self) {
        self.till.set_recharge(ORGANIZATION, Some(&settings("10", "25", "100"))).unwrap();
    }

    /// Begins a recharge by the settings of [`Fixture::recharges`].
    fn begin_recharge(&self, topup: &TopUp) -> Begun {
        self.till.begin_recharge(topup, &Limits::from(&settings("10", "25", "100")), START).unwrap()
    }

    /// Changes the database behind everybody's back.
    fn tamper(&self, sql: &str) {
        let connection = rusqlite::Connection::open(self.folder.path().join("tollkeeper.db")).unwrap();
        connection.execute(sql, []).unwrap();
    }

    /// The books still add up, and nothing was forgotten, after a restart.
    fn end(mut self) {
        let before = (self.balance(), self.till.topups(ORGANIZATION, None, 100).unwrap(), self.told());
        (self.till, self.store) = (Arc::clone(&self.till), None);
        let store = open(&self.folder);
        (self.till, self.store) = (store.payments(), Some(store));
        let after = (self.balance(), self.till.topups(ORGANIZATION, None, 100).unwrap(), self.told());
        assert_eq!(before, after);
        assert_eq!(verify(self.folder.path()).unwrap().breaches, Vec::<String>::new());
    }
}

fn open(folder: &TempDir) -> Store {
    Store::open(folder.path(), Durability::Process, Arc::new(ManualClock::new(START))).unwrap()
}

fn settings(threshold: &str, amount: &str, monthly_max: &str) -> Settings {
    let money = |text: &str| text.parse::<Money>().unwrap();
    Settings::new(money(threshold), money(amount), money(monthly_max), &Bounds::default()).unwrap()
}

fn topup(n: u8, purpose: Purpose) -> TopUp {
    TopUp {
        id: TopUpId::from_bytes([n; 16]),
        organization: ORGANIZATION,
        amount: Cents::try_from("25".parse::<Money>().unwrap()).unwrap(),
        purpose,
        provider: "stripe".to_owned(),
        status: TopUpStatus::Pending,
        save_method: purpose == Purpose::Manual,
        customer: None,
        payment_method: None,
        started: None,
        payment: None,
        detail: None,
        created_at: START,
        updated_at: START,
    }
}

fn event(id: &str) -> Option<EventName> {
    Some(EventName { provider: "stripe".to_owned(), id: id.to_owned(), created: START })
}

/// A receipt for top-up `n` by this payment, told by this event. Every receipt has a lot of its own.
fn receipt(n: u8, payment: &str, event_id: &str) -> Receipt {
    let mut lot = [0; 16];
    for (byte, value) in lot.iter_mut().zip(event_id.bytes().rev()) {
        *byte = value;
    }
    Receipt {
        topup: TopUpId::from_bytes([n; 16]),
        payment: payment.to_owned(),
        lot: LotId::from_bytes(lot),
        expires_at: START.plus_seconds(1_000),
        actor: "stripe".to_owned(),
        reason: None,
        name: None,
        event: event(event_id),
        customer: None,
        payment_method: None,
        at: START.plus_seconds(1),
    }
}

fn ending(n: u8, status: TopUpStatus, event: Option<EventName>) -> Ending {
    let at = START.plus_seconds(2);
    Ending { topup: TopUpId::from_bytes([n; 16]), status, detail: "No funds.".to_owned(), event, at }
}

#[test]
fn a_payment_is_credited_once_whatever_tells_of_it() {
    let fixture = Fixture::new();
    let manual = topup(1, Purpose::Manual);
    fixture.begun(&manual);
    for (payment, event, credited, balance) in [
        ("pi_1", "evt_1", Credited::Booked, "25.00"),
        ("pi_1", "evt_1", Credited::Replayed, "25.00"),
        ("pi_1", "evt_2", Credited::Before, "25.00"),
        // Another payment of the same top-up is other money.
        ("pi_2", "evt_3", Credited::Twice, "50.00"),
        ("pi_2", "evt_4", Credited::Before, "50.00"),
        ("pi_1", "evt_5", Credited::Before, "50.00"),
    ] {
        assert_eq!(fixture.till.credit(&receipt(1, payment, event)), Ok(credited), "{payment} {event}");
        assert_eq!(fixture.balance(), balance, "{payment} {event}");
    }
    let kept = fixture.till.topup(manual.id).unwrap().unwrap();
    assert_eq!((kept.status, kept.payment.as_deref()), (TopUpStatus::Paid, Some("pi_1")));
    assert_eq!(fixture.told(), ["paid_twice"]);
    let paid_by = |payment| fixture.till.topup_of_payment("stripe", payment).unwrap().map(|topup| topup.id);
    assert_eq!((paid_by("pi_1"), paid_by("pi_2")), (Some(manual.id), None));
    assert_eq!(
        fixture.till.credit(&receipt(9, "pi_9", "evt_9")),
        Err(PaymentStoreError::Unknown(TopUpId::from_bytes([9; 16])))
    );
    fixture.end();
}

#[test]
fn news_come_in_any_order() {
    use TopUpStatus::{Declined, Expired, Paid, Pending};
    // The steps (with what each answers), and the end.
    let cases: [(&[(TopUpStatus, bool)], TopUpStatus); 5] = [
        (&[(Declined, true), (Declined, false), (Expired, false)], Declined),
        (&[(Expired, true), (Paid, true), (Expired, false)], Paid),
        (&[(Declined, true), (Paid, true), (Declined, false)], Paid),
        (&[(Paid, true), (Declined, false)], Paid),
        (&[], Pending),
    ];
    for (steps, expected) in cases {
        let fixture = Fixture::new();
        let manual = topup(1, Purpose::Manual);
        fixture.begun(&manual);
        for (number, (status, changes)) in steps.iter().enumerate() {
            let changed = match status {
                Paid => {
                    let credited = fixture.till.credit(&receipt(1, "pi_1", &format!("evt_{number}")));
                    credited == Ok(Credited::Booked)
                }
                status @ (Pending | Declined | Expired) => {
                    fixture.till.end(&ending(1, *status, None)).unwrap()
                }
            };
            assert_eq!(changed, *changes, "{steps:?} at {number}");
        }
        assert_eq!(fixture.status(&manual), expected, "{steps:?}");
        assert_eq!(fixture.balance(), if expected == Paid { "25.00" } else { "0.00" }, "{steps:?}");
        fixture.end();
    }
}

#[test]
fn a_call_that_comes_again_finds_its_topup() {
    let fixture = Fixture::new();
    let name = |key: &str, byte| CallName { key: key.to_owned(), digest: [byte; 32] };
    let first = topup(1, Purpose::Manual);
    assert_eq!(fixture.till.begin(&first, Some(&name("a", 1))), Ok(Begun::New));
    let started = Started {
        provider_ref: "cs_1".to_owned(),
        url: Some("https://pay".to_owned()),
        instructions: "pay there".to_owned(),
    };
    let later = Started { provider_ref: "cs_2".to_owned(), ..started.clone() };
    for answer in [&started, &later] {
        fixture.till.started(first.id, answer, START).unwrap();
    }
    let known = TopUp { started: Some(started), ..first.clone() };
    for n in [1, 2] {
        let again = fixture.till.begin(&topup(n, Purpose::Manual), Some(&name("a", 1)));
        assert_eq!(again, Ok(Begun::Known(Box::new(known.clone()))));
    }
    let other = topup(2, Purpose::Manual);
    assert_eq!(fixture.till.begin(&other, Some(&name("a", 2))), Err(PaymentStoreError::NameTaken));
    assert_eq!(fixture.till.begin(&other, Some(&name("b", 2))), Ok(Begun::New));
    // Another organization's keys are its own.
    let elsewhere = TopUp { organization: OrganizationId::from_bytes([2; 16]), ..topup(3, Purpose::Manual) };
    assert_eq!(fixture.till.begin(&elsewhere, Some(&name("a", 2))), Ok(Begun::New));
    let ids =
        |before| fixture.till.topups(ORGANIZATION, before, 10).unwrap().into_iter().map(|topup| topup.id);
    assert_eq!(ids(None).collect::<Vec<_>>(), [other.id, first.id]);
    assert_eq!(ids(Some(other.id)).collect::<Vec<_>>(), [first.id]);
    fixture.end();
}

#[test]
fn a_confirmation_is_named_like_every_booking() {
    let fixture = Fixture::new();
    fixture.begun(&topup(1, Purpose::Manual));
    let named = |byte| Receipt {
        name: Some(CallName { key: "confirm".to_owned(), digest: [byte; 32] }),
        event: None,
        ..receipt(1, "top_1", "lot")
    };
    assert_eq!(fixture.till.credit(&named(1)), Ok(Credited::Booked));
    let again = Receipt { lot: LotId::from_bytes([9; 16]), ..named(1) };
    assert_eq!(fixture.till.credit(&again), Ok(Credited::Before));
    assert_eq!(fixture.till.credit(&named(2)), Err(PaymentStoreError::NameTaken));
    assert_eq!(fixture.balance(), "25.00");
    fixture.end();
}

#[test]
fn one_recharge_is_pending_at_most_and_only_while_it_is_on() {
    let fixture = Fixture::new();
    let begin = |n| fixture.begin_recharge(&topup(n, Purpose::Recharge));
    assert_eq!(begin(1), Begun::NotNow, "nothing was ever set");
    fixture.recharges();
    assert_eq!((begin(1), begin(2)), (Begun::New, Begun::NotNow));
    assert_eq!(fixture.till.begin(&topup(3, Purpose::Recharge), None), Ok(Begun::NotNow), "no person's");
    let pending: Vec<_> = fixture.till.pending_recharges().unwrap().iter().map(|topup| topup.id).collect();
    assert_eq!(pending, [TopUpId::from_bytes([1; 16])]);
    let state = |month| fixture.till.recharge_state(ORGANIZATION, month).unwrap();
    assert_eq!(state(START).pending, Some(pending[0]));
    assert_eq!(state(START).charged_this_month.to_string(), "25.00", "a pending one counts");
    assert_eq!(state(START.plus_seconds(1)).charged_this_month, Money::ZERO, "of another month");

    // The answer and the webhook both tell of one decline, in any order.
    assert!(fixture.till.end(&ending(1, TopUpStatus::Declined, None)).unwrap());
    assert!(!fixture.till.end(&ending(1, TopUpStatus::Declined, event("evt_1"))).unwrap());
    assert_eq!((state(START).declines, state(START).last_decline_at), (1, START.plus_seconds(2)));
    assert_eq!((state(START).pending, state(START).charged_this_month), (None, Money::ZERO));
    assert_eq!(fixture.told(), ["recharge_declined"]);

    // The same top-up was paid after all, and that ends the row of declines.
    assert_eq!(fixture.till.credit(&receipt(1, "pi_1", "evt_2")), Ok(Credited::Booked));
    assert_eq!((state(START).declines, state(START).charged_this_month.to_string()), (0, "25.00".to_owned()));
    fixture.till.set_recharge(ORGANIZATION, None).unwrap();
    assert_eq!(begin(2), Begun::NotNow, "it was switched off");
    let kept = fixture.till.recharge(ORGANIZATION).unwrap().unwrap();
    assert!(!kept.enabled && kept.limits.unwrap().threshold.to_string() == "10.00", "settings are kept");
    fixture.end();
}

#[test]
fn candidates_are_those_below_their_threshold() {
    let fixture = Fixture::new();
    let candidates = || fixture.till.recharge_candidates().unwrap();
    assert_eq!(candidates(), []);
    fixture.recharges();
    assert_eq!(candidates(), [ORGANIZATION]);
    fixture.begun(&topup(1, Purpose::Manual));
    fixture.till.credit(&receipt(1, "pi_1", "evt_1")).unwrap();
    assert_eq!(candidates(), [], "25 are not below 10");
    fixture.till.set_recharge(ORGANIZATION, Some(&settings("25", "25", "100"))).unwrap();
    assert_eq!(candidates(), [], "the threshold itself is enough");
    fixture.till.set_recharge(ORGANIZATION, Some(&settings("25.01", "25", "100"))).unwrap();
    assert_eq!(candidates(), [ORGANIZATION]);
    fixture.tamper("UPDATE books SET frozen = 1");
    assert_eq!(candidates(), [], "nothing could be credited to frozen books");
    fixture.tamper("UPDATE books SET frozen = 0");
    fixture.till.set_recharge(ORGANIZATION, None).unwrap();
    assert_eq!(candidates(), []);
    fixture.end();
}

#[test]
fn the_newest_payment_method_is_kept() {
    let fixture = Fixture::new();
    fixture.begun(&topup(1, Purpose::Manual));
    let tell = |id: &str, seconds, customer: Option<&str>, method: Option<&str>| {
        let mut receipt = receipt(1, "pi_1", id);
        receipt.event.as_mut().unwrap().created = START.plus_seconds(seconds);
        receipt.customer = customer.map(str::to_owned);
        receipt.payment_method = method.map(str::to_owned);
        fixture.till.credit(&receipt).unwrap();
        let kept = fixture.till.recharge(ORGANIZATION).unwrap();
        kept.map(|kept| (kept.customer.unwrap_or_default(), kept.payment_method.unwrap_or_default()))
    };
    let kept = |customer: &str, method: &str| Some((customer.to_owned(), method.to_owned()));
    for (id, seconds, customer, method, expected) in [
        ("evt_0", 0, None, None, None),
        // The checkout tells the customer, its payment the method as well, after the credit was granted.
        ("evt_1", 0, Some("cus_1"), None, kept("cus_1", "")),
        ("evt_2", 10, Some("cus_1"), Some("pm_1"), kept("cus_1", "pm_1")),
        ("evt_3", 20, Some("cus_2"), Some("pm_2"), kept("cus_2", "pm_2")),
        // Late news of an older payment, and news without a method.
        ("evt_4", 15, Some("cus_1"), Some("pm_1"), kept("cus_2", "pm_2")),
        ("evt_5", 30, Some("cus_3"), None, kept("cus_2", "pm_2")),
        ("evt_5", 40, Some("cus_9"), Some("pm_9"), kept("cus_2", "pm_2")),
    ] {
        assert_eq!(tell(id, seconds, customer, method), expected, "{id}");
    }
    assert!(
        !fixture.till.recharge(ORGANIZATION).unwrap().unwrap().enabled,
        "leaving a method switches nothing on"
    );

    // Declines are of a method: another one begins anew.
    fixture.recharges();
    let method = || (Some("cus_2".to_owned()), Some("pm_2".to_owned()));
    let (customer, payment_method) = method();
    let recharge = TopUp { customer, payment_method, ..topup(2, Purpose::Recharge) };
    let older = TopUp { payment_method: Some("pm_1".to_owned()), ..recharge.clone() };
    assert_eq!(fixture.begin_recharge(&older), Begun::NotNow, "another one was left meanwhile");
    assert_eq!(fixture.begin_recharge(&recharge), Begun::New);
    fixture.till.end(&ending(2, TopUpStatus::Declined, None)).unwrap();
    let declines = || fixture.till.recharge(ORGANIZATION).unwrap().unwrap().declines;
    tell("evt_6", 50, Some("cus_2"), Some("pm_2"));
    assert_eq!(declines(), 1);
    tell("evt_7", 60, Some("cus_2"), Some("pm_3"));
    assert_eq!(declines(), 0);

    // A customer whom the provider does not know goes, and takes the method along; nobody else does.
    let forget =
        |customer, method| fixture.till.forget_customer(ORGANIZATION, customer, method, START).unwrap();
    assert!(!forget("cus_9", None), "another one");
    assert!(!forget("cus_2", Some("pm_2")), "a newer method was left");
    assert_eq!((forget("cus_2", Some("pm_3")), forget("cus_2", None)), (true, false));
    assert_eq!(fixture.told(), ["recharge_declined", "customer_forgotten"]);
    assert_eq!(tell("evt_8", 55, Some("cus_2"), Some("pm_2")), kept("", ""), "late news of the old one");
    assert_eq!(tell("evt_10", 65, Some("cus_2"), None), kept("cus_2", ""), "as a checkout tells it");
    assert!(forget("cus_2", None), "one without a method");
    assert_eq!(tell("evt_9", 70, Some("cus_4"), Some("pm_4")), kept("cus_4", "pm_4"));
    fixture.end();
}

#[test]
fn alerts_are_told_once() {
    let fixture = Fixture::new();
    let month = |month: Timestamp| Alert::MonthlyMaximumReached { month, monthly_max: Money::ZERO };
    let off = Alert::SwitchedOff { declines: 4 };
    let alert = |alert: &Alert| fixture.till.alert(ORGANIZATION, alert, START).unwrap();
    assert!(!alert(&off), "nothing was ever set");
    fixture.recharges();
    assert_eq!((alert(&off), alert(&off)), (true, false));
    assert_eq!((alert(&month(START)), alert(&month(START))), (true, false));
    let next = START.plus_seconds(31 * 86_400);
    assert_eq!((alert(&month(next)), alert(&month(next))), (true, false));
    fixture.recharges();
    assert_eq!((alert(&off), alert(&month(next))), (false, false), "the same settings again");
    fixture.till.set_recharge(ORGANIZATION, Some(&settings("11", "25", "100"))).unwrap();
    assert_eq!((alert(&off), alert(&month(next))), (true, true), "the owner has changed something");
    let notice = |event| Notice {
        organization: ORGANIZATION,
        what: "payment_refunded",
        topup: None,
        detail: "refunded".to_owned(),
        event,
        at: START,
    };
    let told = |event| fixture.till.notice(&notice(event)).unwrap();
    assert_eq!((told(event("evt_1")), told(event("evt_1")), told(None)), (true, false, true));
    assert_eq!(fixture.told().len(), 7, "{:?}", fixture.told());
    fixture.end();
}

#[test]
fn a_stranger_disturbs_nobody_and_a_lie_is_found() {
    let fixture = Fixture::new();
    let nobody = OrganizationId::from_bytes([9; 16]);
    let stranger = TopUp { organization: nobody, ..topup(9, Purpose::Manual) };
    assert!(matches!(fixture.till.begin(&stranger, None), Err(PaymentStoreError::Failed(_))));
    let settings = settings("10", "25", "100");
    assert!(matches!(fixture.till.set_recharge(nobody, Some(&settings)), Err(PaymentStoreError::Failed(_))));
    let same = topup(1, Purpose::Manual);
    fixture.begun(&same);
    assert!(matches!(fixture.till.begin(&same, None), Err(PaymentStoreError::Failed(_))));
    fixture.tamper("UPDATE top_up SET status = 'paid', payment = 'pi_1'");
    let breaches = verify(fixture.folder.path()).unwrap().breaches;
    assert_eq!(breaches, [format!("{} is paid, but its payment is not booked", same.id)]);
}

#[test]
fn what_the_ledger_refuses_changes_nothing_and_can_be_told_again() {
    let fixture = Fixture::new();
    let manual = topup(1, Purpose::Manual);
    fixture.begun(&manual);
    // Credit that would be due at once stands for whatever the ledger may have against it.
    let refused = Receipt { expires_at: Timestamp::from_micros(1), ..receipt(1, "pi_1", "evt_1") };
    assert!(matches!(fixture.till.credit(&refused), Err(PaymentStoreError::Refused(_))));
    assert_eq!((fixture.status(&manual), fixture.balance()), (TopUpStatus::Pending, "0.00".to_owned()));
    assert_eq!(fixture.till.credit(&receipt(1, "pi_1", "evt_1")), Ok(Credited::Booked));
    fixture.end();
}

#[test]
fn a_recharge_keeps_to_the_limits_of_this_moment() {
    let limits = |threshold: &str, amount: &str, monthly_max: &str| {
        let money = |text: &str| text.parse::<Money>().unwrap();
        Limits { threshold: money(threshold), amount: money(amount), monthly_max: money(monthly_max) }
    };
    // What is set when it is stored, what it was decided by, the month that it counts in, and whether it may.
    for (set, decided, month, may) in [
        (("10", "25", "50"), ("10", "25", "50"), START, true),
        // 25 of this month are charged already.
        (("10", "25", "49"), ("10", "25", "49"), START, false),
        (("10", "25", "49"), ("10", "25", "49"), START.plus_seconds(1), true),
        // Lowered, or changed at all, since the decision.
        (("10", "25", "49"), ("10", "25", "100"), START.plus_seconds(1), false),
        (("10", "25", "49"), ("10", "25", "100"), START, false),
        (("10", "20", "100"), ("10", "25", "100"), START, false),
        (("5", "25", "100"), ("10", "25", "100"), START, false),
    ] {
        let fixture = Fixture::new();
        fixture.recharges();
        assert_eq!(fixture.begin_recharge(&topup(1, Purpose::Recharge)), Begun::New);
        fixture.till.credit(&receipt(1, "pi_1", "evt_1")).unwrap();
        fixture.till.set_recharge(ORGANIZATION, Some(&settings(set.0, set.1, set.2))).unwrap();
        let decided = limits(decided.0, decided.1, decided.2);
        let begun = fixture.till.begin_recharge(&topup(2, Purpose::Recharge), &decided, month).unwrap();
        assert_eq!(begun, if may { Begun::New } else { Begun::NotNow }, "{set:?} {decided:?}");
        fixture.end();
    }
}

#[test]
fn the_same_settings_again_forget_no_decline() {
    let fixture = Fixture::new();
    let declines = || fixture.till.recharge(ORGANIZATION).unwrap().unwrap().declines;
    let set = |limits: Option<(&str, &str, &str)>| {
        let settings =
            limits.map(|(threshold, amount, monthly_max)| settings(threshold, amount, monthly_max));
        fixture.till.set_recharge(ORGANIZATION, settings.as_ref()).unwrap();
    };
    fixture.recharges();
    for (n, limits, kept) in [
        (1, &[Some(("10", "25", "100"))][..], 1),
        (2, &[Some(("10", "25", "101"))], 0),
        (3, &[Some(("10", "26", "100"))], 0),
        (4, &[Some(("11", "25", "100"))], 0),
        (5, &[None, Some(("10", "25", "100"))], 0),
    ] {
        set(Some(("10", "25", "100")));
        assert_eq!(fixture.begin_recharge(&topup(n, Purpose::Recharge)), Begun::New);
        fixture.till.end(&ending(n, TopUpStatus::Declined, None)).unwrap();
        assert_eq!(declines(), 1, "{limits:?}");
        limits.iter().for_each(|limits| set(*limits));
        assert_eq!(declines(), kept, "{limits:?}");
        // To begin the next row anew.
        set(None);
        set(Some(("10", "25", "100")));
    }
    fixture.end();
}

/// The payments credited before, what comes back of which payment, with the top-up that the provider names, whether it is
/// told at once, the payments credited afterwards, and the words of all events.
type GoesBack<'a> = (&'a [&'a str], &'a str, Option<TopUpId>, ReturnKind, bool, &'a [&'a str], &'a [&'a str]);

#[test]
fn money_that_goes_back_is_told_once_in_any_order() {
    use ReturnKind::{Disputed, Refunded};
    let (mine, other) = (Some(TopUpId::from_bytes([1; 16])), Some(TopUpId::from_bytes([9; 16])));
    let cases: [GoesBack<'_>; 8] = [
        (&["pi_1"], "pi_1", None, Refunded, true, &[], &["payment_refunded"]),
        (&["pi_1"], "pi_1", mine, Disputed, true, &[], &["payment_disputed"]),
        // The second payment of a top-up, which a refund names and a dispute does not.
        (&["pi_1", "pi_2"], "pi_2", mine, Refunded, true, &[], &["paid_twice", "payment_refunded"]),
        (&["pi_1", "pi_2"], "pi_2", None, Disputed, true, &[], &["paid_twice", "payment_disputed"]),
        // Before its payment.
        (&[], "pi_1", mine, Refunded, true, &["pi_1"], &["payment_refunded"]),
        (&[], "pi_1", None, Disputed, false, &["pi_1"], &["payment_disputed"]),
        (&["pi_1"], "pi_2", None, Disputed, false, &["pi_2"], &["paid_twice", "payment_disputed"]),
        // Of another gateway on the same account.
        (&["pi_1"], "pi_8", other, Refunded, false, &[], &[]),
    ];
    for (before, payment, topup_id, kind, at_once, after, words) in cases {
        let fixture = Fixture::new();
        fixture.begun(&topup(1, Purpose::Manual));
        let credit = |payments: &[&str], round: &str| {
            for payment in payments {
                fixture.till.credit(&receipt(1, payment, &format!("evt_{round}_{payment}"))).unwrap();
            }
        };
        credit(before, "a");
        let returned = |id: &str| Returned {
            payment: payment.to_owned(),
            topup: topup_id,
            kind,
            detail: "it went back".to_owned(),
            event: event(id).unwrap(),
            at: START,
        };
        assert_eq!(fixture.till.returned(&returned("evt_r")), Ok(at_once), "{words:?}");
        assert_eq!(fixture.till.returned(&returned("evt_r")), Ok(false), "the same event, {words:?}");
        credit(after, "b");
        credit(after, "c");
        assert_eq!(fixture.told(), words);
        fixture.end();
    }
}
