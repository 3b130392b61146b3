//! Payments against a stand-in for Stripe, on a real store and with a clock that moves when told to.

mod meddling;

use std::sync::Mutex;

use directory::{Directory, DirectoryService, KeyHasher, Mandate, NewOrganization};
use domain::Money;
use fake_stripe::{FakeStripe, Fault, Options, Signing};
use ledger::{EventKind as Told, Period};
use payments::Limits;
use payments::stripe::{SecretKey, Stripe, StripeOptions, TOLERANCE_SECONDS};
use secrecy::SecretString;
use serde_json::Value;
use store::{Durability, Store};

use self::meddling::{Meddling, Read};
use super::*;
use crate::clock::{SystemClock, SystemIds};

/// A clock that begins now, as the stand-in's does, and then stands still.
struct HeldClock(Mutex<Timestamp>);

impl Clock for HeldClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
    fn monotonic_micros(&self) -> u64 {
        1
    }
}

struct Fixture {
    payments: Arc<Payments>,
    recharger: Recharger,
    stripe: FakeStripe,
    store: Store,
    clock: Arc<HeldClock>,
    organization: OrganizationId,
    runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let stripe = FakeStripe::start(Options::default()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(HeldClock(Mutex::new(SystemClock::start().now())));
        let store =
            Store::open(folder.path(), Durability::Process, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        let service = DirectoryService::open(store.directory(), KeyHasher::new([7; 32])).unwrap();
        let new = NewOrganization { name: "Tests".to_owned(), ..NewOrganization::default() };
        let organization =
            service.create_organization(new, &Mandate::operator(&SystemIds, clock.now())).unwrap().id;
        let settings = settings(options(&stripe));
        let held = Arc::clone(&clock) as Arc<dyn Clock>;
        let payments = Arc::new(Payments::new(settings, store.payments(), held, Arc::new(SystemIds)));
        let directory: Arc<Directory> = Arc::clone(service.directory());
        let recharger = Recharger::new(Arc::clone(&payments), store.reader(), directory);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { payments, recharger, stripe, store, clock, organization, runtime, _folder: folder }
    }

    /// The gateway starts again, with these options and this store.
    fn restart(&mut self, options: StripeOptions, store: Arc<dyn PaymentStore>) {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        self.payments = Arc::new(Payments::new(settings(options), store, clock, Arc::new(SystemIds)));
        self.recharger = self.recharger.reborn(&self.payments);
    }

    fn end_of<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    fn wait(&self, seconds: i64) {
        let mut now = self.clock.0.lock().unwrap();
        *now = now.plus_seconds(seconds);
    }

    fn begin(&self) -> TopUp {
        let amount = Cents::try_from(money("25")).unwrap();
        self.end_of(self.payments.begin(self.organization, amount, true, None)).unwrap()
    }

    /// A customer pays a top-up on the page, which brings two events.
    fn pay(&self, card: &str) -> TopUp {
        let topup = self.begin();
        self.stripe.pay(&topup.started.as_ref().unwrap().provider_ref, card).unwrap();
        topup
    }

    fn deliver(&self, event: &Value, signing: Signing, age_seconds: i64) -> Delivered {
        let seconds = self.clock.now().seconds() - age_seconds;
        let (header, body) = self.stripe.signed(event, seconds, signing);
        self.end_of(self.payments.deliver(&header, body.as_bytes()))
    }

    fn deliver_all(&self) {
        for event in self.stripe.events() {
            assert_eq!(self.deliver(&event, Signing::Good, 0), Delivered::Done, "{event}");
        }
    }

    /// One look of the recharger, and the end of what it began.
    fn look(&mut self) {
        self.runtime.block_on(self.recharger.look_once());
    }

    fn balance(&self) -> String {
        let balance = self.store.reader().balance(self.organization, self.clock.now()).unwrap().unwrap();
        balance.net.to_string()
    }

    /// What was told of payments, oldest first.
    fn told(&self) -> Vec<String> {
        let events = self.store.reader().events(self.organization, i64::MAX, 100).unwrap();
        let words = events.into_iter().rev().filter_map(|(_, event)| match event.kind {
            Told::Payment { what, .. } => Some(what.into_string()),
            Told::BudgetThreshold { .. }
            | Told::CreditExpiring { .. }
            | Told::WentIntoDebt { .. }
            | Told::HoldTimedOut { .. }
            | Told::TierReached { .. } => None,
        });
        words.collect()
    }

    /// The recharges' status, oldest first.
    fn recharges(&self) -> Vec<TopUpStatus> {
        let mut topups = self.store.payments().topups(self.organization, None, 100).unwrap();
        topups.reverse();
        topups.retain(|topup| topup.purpose == Purpose::Recharge);
        topups.into_iter().map(|topup| topup.status).collect()
    }

    /// Movements of money, as the provider knows them.
    fn moved(&self) -> usize {
        self.stripe.truth().len()
    }

    /// A wallet of 25 whose customer left this card, recharged below `threshold`.
    fn recharging(card: &str, threshold: &str, monthly_max: &str) -> Self {
        let fixture = Self::new();
        fixture.pay(card);
        fixture.deliver_all();
        fixture.set(threshold, monthly_max);
        fixture
    }

    fn set(&self, threshold: &str, monthly_max: &str) {
        let limits =
            Limits { threshold: money(threshold), amount: money("25"), monthly_max: money(monthly_max) };
        let settings = self.payments.settings_of(&limits).unwrap();
        self.store.payments().set_recharge(self.organization, Some(&settings)).unwrap();
    }
}

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn settings(options: StripeOptions) -> PaymentSettings {
    PaymentSettings {
        provider: Arc::new(Stripe::new(options).unwrap()),
        webhook: Some(webhook()),
        bounds: Bounds::default(),
        look_every: std::time::Duration::from_secs(1),
    }
}

fn options(stripe: &FakeStripe) -> StripeOptions {
    options_with(stripe, &Options::default().secret_key)
}

fn options_with(stripe: &FakeStripe, key: &str) -> StripeOptions {
    let key = SecretKey::new(SecretString::from(key)).unwrap();
    let page = || "https://console.example/".to_owned();
    StripeOptions { base_url: stripe.base_url(), ..StripeOptions::new(key, page(), page()) }
}

fn webhook() -> Webhook {
    let secret = SecretString::from(Options::default().webhook_secret);
    Webhook::new(&[secret], payments::stripe::Mode::Test, TOLERANCE_SECONDS).unwrap()
}

#[test]
fn only_a_good_signature_brings_credit() {
    let fixture = Fixture::new();
    fixture.pay("pm_card_visa");
    let event = fixture.stripe.events().pop().unwrap();
    for (signing, age) in [
        (Signing::Forged, 0),
        (Signing::Empty, 0),
        (Signing::Tampered, 0),
        (Signing::Unsigned, 0),
        (Signing::Good, 301),
        (Signing::Good, -301),
    ] {
        let delivered = fixture.deliver(&event, signing, age);
        assert!(matches!(delivered, Delivered::Forged(_)), "{signing:?}, {age}: {delivered:?}");
        assert_eq!(fixture.balance(), "0.00", "{signing:?}, {age}");
    }
    assert_eq!(fixture.deliver(&event, Signing::Rolled, 299), Delivered::Done);
    assert_eq!(fixture.balance(), "25.00");
}

#[test]
fn events_bring_one_credit_in_any_order_and_number() {
    for order in [&[0, 1][..], &[1, 0], &[1, 1, 0, 0], &[0, 1, 0, 1]] {
        let fixture = Fixture::new();
        let topup = fixture.pay("pm_card_visa");
        let events = fixture.stripe.events();
        assert_eq!(events.len(), 2);
        for index in order {
            assert_eq!(fixture.deliver(&events[*index], Signing::Good, 0), Delivered::Done);
            assert_eq!(fixture.balance(), "25.00", "{order:?}");
        }
        let kept = fixture.store.payments().topup(topup.id).unwrap().unwrap();
        assert_eq!(kept.status, TopUpStatus::Paid);
        let recharge = fixture.store.payments().recharge(fixture.organization).unwrap().unwrap();
        assert_eq!(recharge.payment_method.as_deref(), Some("pm_card_visa"), "{order:?}");
        assert!(recharge.customer.is_some() && !recharge.enabled);
    }
}

#[test]
fn what_cannot_be_used_is_answered_once_and_told() {
    let (fixture, other) = (Fixture::new(), Fixture::new());
    let topup = other.pay("pm_card_visa");
    // Of another gateway on the same account.
    for event in other.stripe.events() {
        assert_eq!(fixture.deliver(&event, Signing::Good, 0), Delivered::Done);
    }
    assert_eq!((fixture.balance(), fixture.told()), ("0.00".to_owned(), vec![]));
    // Ours, but of another amount, another organization, another currency, real money.
    let event = other.stripe.events().pop().unwrap();
    let edit = |from: &str, to: &str, id: &str| {
        let text = event.to_string().replace(from, to).replace(event["id"].as_str().unwrap(), id);
        let edited: Value = serde_json::from_str(&text).unwrap();
        assert_ne!(
            edited["data"].to_string() + &edited["livemode"].to_string(),
            event["data"].to_string() + "false"
        );
        edited
    };
    let stranger = OrganizationId::from_bytes([9; 16]).to_string();
    for (from, to, id, told) in [
        ("\"amount_total\":2500", "\"amount_total\":2400", "evt_a", 1),
        (other.organization.to_string().as_str(), stranger.as_str(), "evt_b", 2),
        ("\"usd\"", "\"eur\"", "evt_c", 2),
        ("\"livemode\":false", "\"livemode\":true", "evt_d", 2),
    ] {
        for _ in 0..2 {
            let delivered = other.deliver(&edit(from, to, id), Signing::Good, 0);
            assert_eq!(delivered, Delivered::Done, "{to}");
            assert_eq!((other.balance(), other.told().len()), ("0.00".to_owned(), told), "{to}");
        }
    }
    // Money that goes back is told once, and booked by the operator.
    other.deliver_all();
    let payment = other.store.payments().topup(topup.id).unwrap().unwrap().payment.unwrap();
    let refund = serde_json::json!({
        "id": "evt_r", "object": "event", "created": 1, "livemode": false, "type": "charge.refunded",
        "data": { "object": { "payment_intent": payment, "amount_refunded": 500, "currency": "usd", "metadata": {} } },
    });
    for _ in 0..2 {
        assert_eq!(other.deliver(&refund, Signing::Good, 0), Delivered::Done);
    }
    assert_eq!(other.told(), ["payment_mismatch", "payment_mismatch", "payment_refunded"]);
    assert_eq!(other.balance(), "25.00");
}

#[test]
fn a_checkout_that_was_not_answered_is_begun_again_as_the_same() {
    let fixture = Fixture::new();
    let name = || Some(CallName { key: "a".to_owned(), digest: [1; 32] });
    let amount = Cents::try_from(money("25")).unwrap();
    let begin = || fixture.end_of(fixture.payments.begin(fixture.organization, amount, true, name()));
    fixture.stripe.fail(Fault::Lost, 1);
    assert!(matches!(begin(), Err(PaymentProblem::Provider(_))));
    // What becomes known of the customer meanwhile must not change the request.
    fixture.pay("pm_card_visa");
    fixture.deliver_all();
    let first = begin().unwrap();
    assert_eq!(begin().unwrap(), first, "known by its key");
    fixture.stripe.pay(&first.started.unwrap().provider_ref, "pm_card_visa").unwrap();
    fixture.deliver_all();
    assert_eq!((fixture.balance().as_str(), fixture.moved()), ("50.00", 2));

    // Too late to be sure that Stripe still knows the key.
    fixture.stripe.fail(Fault::Lost, 1);
    let late = || Some(CallName { key: "b".to_owned(), digest: [1; 32] });
    let begin_late = || fixture.end_of(fixture.payments.begin(fixture.organization, amount, true, late()));
    assert!(begin_late().is_err());
    fixture.wait(RETRY_WINDOW_SECONDS + 1);
    let again = begin_late();
    assert!(matches!(again, Err(PaymentProblem::TooOld(_))), "{again:?}");
}

#[test]
fn a_recharge_is_charged_once_whatever_becomes_of_the_answer() {
    for fault in [None, Some(Fault::Lost), Some(Fault::Garbage), Some(Fault::RateLimited), Some(Fault::InUse)]
    {
        let mut fixture = Fixture::recharging("pm_card_visa", "30", "100");
        fixture.stripe.fail(fault.unwrap_or(Fault::Lost), usize::from(fault.is_some()));
        for _ in 0..5 {
            fixture.look();
            assert_eq!(fixture.recharges(), [TopUpStatus::Pending], "{fault:?}");
            fixture.wait(2);
        }
        assert_eq!(fixture.moved(), 2, "{fault:?}: one by the customer, one by us");
        // Whoever dies now knows nothing but what is stored, and asks again all the same.
        fixture.recharger = fixture.recharger.reborn(&fixture.payments);
        fixture.look();
        assert_eq!((fixture.moved(), fixture.balance().as_str()), (2, "25.00"), "{fault:?}");
        fixture.deliver_all();
        fixture.look();
        assert_eq!((fixture.moved(), fixture.balance().as_str()), (2, "50.00"), "{fault:?}");
        assert_eq!((fixture.recharges(), fixture.told()), (vec![TopUpStatus::Paid], vec![]), "{fault:?}");
    }
}

#[test]
fn declines_hold_the_next_try_back_and_end_in_silence() {
    let mut fixture = Fixture::recharging("pm_card_chargeCustomerFail", "30", "100");
    for (wait, declines) in
        [(0, 1), (0, 1), (3_599, 1), (1, 2), (6 * 3_600 - 1, 2), (1, 3), (24 * 3_600, 4), (999_999, 4)]
    {
        fixture.wait(wait);
        fixture.look();
        // The webhook tells of it, too.
        fixture.deliver_all();
        assert_eq!(fixture.recharges(), vec![TopUpStatus::Declined; declines], "after {wait} more seconds");
    }
    fixture.look();
    let told = fixture.told();
    assert_eq!(told.iter().filter(|what| *what == "recharge_declined").count(), 4);
    assert_eq!(told.iter().filter(|what| *what == "recharge_switched_off").count(), 1);
    assert_eq!(fixture.moved(), 1);

    // Another card begins anew.
    fixture.wait(10);
    fixture.pay("pm_card_visa");
    fixture.deliver_all();
    fixture.set("60", "100");
    fixture.look();
    fixture.deliver_all();
    assert_eq!(fixture.balance(), "75.00");
}

#[test]
fn the_month_has_a_maximum_which_is_told_once() {
    let mut fixture = Fixture::recharging("pm_card_visa", "1000", "60");
    let month = |fixture: &Fixture| Period::Monthly.around(fixture.clock.now(), &domain::Zone::default());
    for recharges in [1, 2, 2, 2] {
        fixture.look();
        fixture.deliver_all();
        assert_eq!(fixture.recharges(), vec![TopUpStatus::Paid; recharges]);
    }
    assert_eq!(fixture.told(), ["recharge_monthly_maximum"]);
    let rest = month(&fixture).end.seconds() - fixture.clock.now().seconds();
    fixture.wait(rest + 1);
    fixture.look();
    assert_eq!(fixture.recharges().len(), 3, "a new month");
}

#[test]
fn a_charge_of_long_ago_is_looked_up_and_never_sent_again() {
    // Carried out, and neither its answer nor its webhook came.
    let mut fixture = Fixture::recharging("pm_card_visa", "30", "100");
    fixture.stripe.fail(Fault::Lost, 1);
    fixture.look();
    let asked = fixture.stripe.requests().len();
    for _ in 0..3 {
        fixture.wait(RETRY_WINDOW_SECONDS + 1);
        fixture.look();
    }
    let posts = |fixture: &Fixture, from: usize| {
        fixture.stripe.requests()[from..].iter().filter(|(_, form)| form.contains("confirm=true")).count()
    };
    assert_eq!((posts(&fixture, asked), fixture.moved()), (0, 2));
    assert_eq!(
        (fixture.recharges(), fixture.told()),
        (vec![TopUpStatus::Pending], vec!["webhook_missing".to_owned()])
    );
    fixture.deliver_all();
    assert_eq!((fixture.balance().as_str(), fixture.recharges()), ("50.00", vec![TopUpStatus::Paid]));

    // Never carried out: another one takes its place.
    let mut fixture = Fixture::recharging("pm_card_visa", "30", "100");
    fixture.stripe.fail(Fault::RateLimited, 1);
    fixture.look();
    fixture.wait(RETRY_WINDOW_SECONDS + 1);
    fixture.look();
    fixture.look();
    assert_eq!(fixture.recharges(), [TopUpStatus::Expired, TopUpStatus::Pending]);
    assert_eq!(fixture.moved(), 2);
}

#[test]
fn a_transfer_is_credited_once_on_the_operators_word() {
    let mut fixture = Fixture::new();
    let manual = PaymentSettings {
        provider: Arc::new(payments::Manual::new(Some("IBAN XX00".to_owned()))),
        webhook: None,
        bounds: Bounds::default(),
        look_every: std::time::Duration::from_secs(1),
    };
    let at_stripe = fixture.begin();
    let clock = Arc::clone(&fixture.clock) as Arc<dyn Clock>;
    fixture.payments = Arc::new(Payments::new(manual, fixture.store.payments(), clock, Arc::new(SystemIds)));
    let topup = fixture.begin();
    let started = topup.started.clone().unwrap();
    assert!(started.url.is_none() && started.instructions.contains("IBAN XX00"), "{started:?}");
    assert_eq!(fixture.balance(), "0.00");
    for _ in 0..2 {
        let confirm = fixture.payments.confirm(topup.clone(), "seen on the account".to_owned(), None);
        let paid = fixture.end_of(confirm).unwrap();
        assert_eq!((paid.status, fixture.balance().as_str()), (TopUpStatus::Paid, "25.00"));
    }
    let refused = fixture.end_of(fixture.payments.confirm(at_stripe, "I say so".to_owned(), None));
    assert!(matches!(refused, Err(PaymentProblem::NotManual { .. })));
    let entry = fixture.store.reader().journal(fixture.organization, u64::MAX, 1).unwrap().pop().unwrap();
    let note = entry.note.unwrap();
    assert_eq!((&*note.actor, note.reason.as_deref()), ("operator", Some("seen on the account")));
}

#[test]
fn a_payment_in_the_middle_of_a_look_is_seen() {
    for moment in [Read::State, Read::Settings] {
        let mut fixture = Fixture::recharging("pm_card_visa", "30", "100");
        fixture.look();
        let pending = fixture.store.payments().pending_recharges().unwrap().pop().unwrap();
        let (till, receipt) =
            (fixture.store.payments(), fixture.payments.receipt(pending.id, "pi_1".to_owned()));
        let mut due = Some(Receipt { actor: "stripe".to_owned(), ..receipt });
        let store = Meddling::between(fixture.store.payments(), move |read, _| {
            if let Some(receipt) = due.take_if(|_| read == moment) {
                till.credit(&receipt)?;
            }
            Ok(())
        });
        fixture.restart(options(&fixture.stripe), store);
        fixture.look();
        assert_eq!((fixture.balance().as_str(), fixture.moved()), ("50.00", 2), "{moment:?}");
        assert_eq!(fixture.recharges(), [TopUpStatus::Paid], "{moment:?}: one need, one charge");
    }
}

#[test]
fn one_organization_that_cannot_be_looked_at_holds_nobody_up() {
    let mut fixture = Fixture::recharging("pm_card_visa", "30", "100");
    let second = OrganizationId::from_bytes([0xee; 16]);
    let organization = directory::Organization {
        id: second,
        name: "Others".to_owned(),
        wallet: domain::WalletId::from_bytes([0xee; 16]),
        time_zone: domain::Zone::default(),
        in_flight: directory::InFlight::default(),
        country: None,
        verified_at: None,
        tier: None,
        programmes: Vec::new(),
        created_at: fixture.clock.now(),
    };
    fixture.store.directory().commit(directory::Commit::of([organization.into()])).unwrap();
    let first = std::mem::replace(&mut fixture.organization, second);
    fixture.pay("pm_card_visa");
    fixture.deliver_all();
    fixture.set("30", "100");
    for (broken, charged) in [(first, second), (second, first)] {
        let store = Meddling::between(fixture.store.payments(), move |_, organization| {
            let failed = || PaymentStoreError::Failed("its books cannot be read".to_owned());
            if organization == broken { Err(failed()) } else { Ok(()) }
        });
        fixture.restart(options(&fixture.stripe), store);
        fixture.look();
        fixture.organization = charged;
        assert_eq!(fixture.recharges().len(), 1, "{charged}, while {broken} cannot be read");
    }
}

#[test]
fn money_that_goes_back_before_its_payment_is_told() {
    let fixture = Fixture::new();
    let topup = fixture.pay("pm_card_visa");
    let payment = fixture.stripe.truth()[0].payment_intent.clone();
    let metadata = serde_json::json!({
        "topup": topup.id.to_string(), "organization": fixture.organization.to_string(), "purpose": "manual",
    });
    let event = |id: &str, kind: &str, object: Value| {
        serde_json::json!({
            "id": id, "object": "event", "created": 1, "livemode": false, "type": kind, "data": { "object": object },
        })
    };
    let refund = serde_json::json!({
        "payment_intent": payment, "amount_refunded": 500, "currency": "usd", "metadata": metadata,
    });
    // A dispute does not say which top-up it is about.
    let dispute = serde_json::json!({
        "payment_intent": payment, "amount": 2500, "currency": "usd", "reason": "fraudulent", "metadata": {},
    });
    let (refund, dispute) =
        (event("evt_r", "charge.refunded", refund), event("evt_d", "charge.dispute.created", dispute));
    for early in [&refund, &dispute, &refund] {
        assert_eq!(fixture.deliver(early, Signing::Good, 0), Delivered::Done);
        assert_eq!(fixture.told(), ["payment_refunded"]);
    }
    fixture.deliver_all();
    assert_eq!(fixture.balance(), "25.00");
    for late in [&dispute, &refund] {
        assert_eq!(fixture.deliver(late, Signing::Good, 0), Delivered::Done);
        assert_eq!(fixture.told(), ["payment_refunded", "payment_disputed"]);
    }
    let events = fixture.store.reader().events(fixture.organization, i64::MAX, 100).unwrap();
    for (_, event) in events {
        assert!(matches!(event.kind, Told::Payment { topup: Some(id), .. } if id == topup.id), "{event:?}");
    }
}

#[test]
fn a_refused_key_says_nothing_of_an_earlier_try() {
    // Whether the first try was carried out before its answer was lost, or the key was wrong from the beginning.
    for lost in [true, false] {
        let mut fixture = Fixture::recharging("pm_card_visa", "30", "100");
        let right = || (options(&fixture.stripe), fixture.store.payments());
        let (options, till) = right();
        let wrong = options_with(&fixture.stripe, "sk_test_of_another_account");
        if lost {
            fixture.stripe.fail(Fault::Lost, 1);
            fixture.look();
        }
        let moved = fixture.moved();
        fixture.restart(wrong, fixture.store.payments());
        for wait in [0, 1, 300, 3_600, 12 * 3_600] {
            fixture.wait(wait);
            fixture.look();
            assert_eq!(fixture.recharges(), [TopUpStatus::Pending], "{lost} {wait}");
            assert_eq!((fixture.told(), fixture.moved()), (vec!["recharge_refused".to_owned()], moved));
        }
        let recharge = till.recharge(fixture.organization).unwrap().unwrap();
        assert_eq!(recharge.declines, 0, "nobody declined");
        fixture.restart(options, till);
        fixture.look();
        fixture.deliver_all();
        fixture.look();
        assert_eq!((fixture.moved(), fixture.balance().as_str()), (2, "50.00"), "{lost}: charged once");
        assert_eq!(fixture.recharges(), [TopUpStatus::Paid], "{lost}");
    }
    // As long as nobody can look it up, it stays pending, however long that is.
    let mut fixture = Fixture::recharging("pm_card_visa", "30", "100");
    fixture.stripe.fail(Fault::Lost, 1);
    fixture.look();
    let wrong = options_with(&fixture.stripe, "sk_test_of_another_account");
    fixture.restart(wrong, fixture.store.payments());
    for _ in 0..3 {
        fixture.wait(RETRY_WINDOW_SECONDS + 1);
        fixture.look();
        assert_eq!((fixture.recharges(), fixture.moved()), (vec![TopUpStatus::Pending], 2));
    }
}

#[test]
fn a_late_recharge_brings_no_old_payment_method_back() {
    let mut fixture = Fixture::recharging("pm_card_visa", "30", "100");
    let before = fixture.stripe.events().len();
    fixture.look();
    let mut late = fixture.stripe.events().split_off(before);
    // A newer method is left, and only then the recharge by the older one is told, with a later time.
    let topup = fixture.begin();
    fixture.stripe.pay(&topup.started.unwrap().provider_ref, "pm_card_chargeCustomerFail").unwrap();
    for event in &fixture.stripe.events()[before + late.len()..] {
        assert_eq!(fixture.deliver(event, Signing::Good, 0), Delivered::Done);
    }
    for event in &mut late {
        event["created"] = (fixture.clock.now().seconds() + 60).into();
        assert_eq!(fixture.deliver(event, Signing::Good, 0), Delivered::Done);
    }
    assert_eq!((fixture.recharges(), fixture.balance().as_str()), (vec![TopUpStatus::Paid], "75.00"));
    let kept = fixture.store.payments().recharge(fixture.organization).unwrap().unwrap();
    assert_eq!(kept.payment_method.as_deref(), Some("pm_card_chargeCustomerFail"));
}

#[test]
fn a_customer_whom_the_provider_does_not_know_is_forgotten() {
    // A person's top-up.
    let mut fixture = Fixture::recharging("pm_card_visa", "10", "100");
    let other = Fixture::new();
    // Two that were started in the same second count alike: the other one is ahead, so that no id is in both.
    (0..10).for_each(|_| drop(other.begin()));
    let other = other.stripe;
    fixture.restart(options(&other), fixture.store.payments());
    let amount = Cents::try_from(money("25")).unwrap();
    let begin = |key: &str| {
        let name = Some(CallName { key: key.to_owned(), digest: [1; 32] });
        fixture.end_of(fixture.payments.begin(fixture.organization, amount, true, name))
    };
    let refused = begin("a");
    assert!(matches!(refused, Err(PaymentProblem::Provider(PaymentError::UnknownPayer(_)))), "{refused:?}");
    assert_eq!(begin("a").unwrap().status, TopUpStatus::Declined, "the same call is the same top-up");
    let kept = || fixture.store.payments().recharge(fixture.organization).unwrap().unwrap();
    assert_eq!((kept().customer, kept().payment_method), (None, None));
    let again = begin("b").unwrap();
    other.pay(&again.started.unwrap().provider_ref, "pm_card_visa").unwrap();
    for event in other.events() {
        assert_eq!(fixture.deliver(&event, Signing::Good, 0), Delivered::Done);
    }
    assert!(kept().customer.is_some() && kept().payment_method.is_some());
    assert_eq!(
        (fixture.balance().as_str(), fixture.told()),
        ("50.00", vec!["customer_forgotten".to_owned()])
    );

    // A recharge: it ends, is no decline, and no other begins.
    let mut fixture = Fixture::recharging("pm_card_visa", "30", "100");
    fixture.restart(options(&other), fixture.store.payments());
    for _ in 0..3 {
        fixture.look();
        fixture.wait(3_600);
    }
    assert_eq!(
        (fixture.recharges(), fixture.told()),
        (vec![TopUpStatus::Expired], vec!["customer_forgotten".to_owned()])
    );
    let kept = fixture.store.payments().recharge(fixture.organization).unwrap().unwrap();
    assert_eq!((kept.customer, kept.payment_method, kept.declines), (None, None, 0));
}
