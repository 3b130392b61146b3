//! Webhooks: which signatures are good, what each event means, and what a whole payment looks like from outside.

use crate::harness::{WEBHOOK_SECRET, charge, checkout, client, dollars, fake, organization, secret, topup};
use domain::{Money, Timestamp};
use fake_stripe::{FakeStripe, Signing};
use tollkeeper_payments::stripe::{
    EventKind, Mode, Payment, PaymentMismatch, TOLERANCE_SECONDS, Webhook, WebhookConfigError, WebhookError,
};
use tollkeeper_payments::{PaymentProvider, Purpose};

const NOW: i64 = 1_800_000_000;
const OLD_SECRET: &str = "whsec_before_it_was_rolled_0123";

fn now() -> Timestamp {
    Timestamp::from_micros(NOW * 1_000_000 + 999_999)
}

fn webhook() -> Webhook {
    Webhook::new(&[secret(OLD_SECRET), secret(WEBHOOK_SECRET)], Mode::Test, TOLERANCE_SECONDS).unwrap()
}

#[test]
fn without_a_real_secret_there_is_no_webhook() {
    let make = |secrets: &[&str], tolerance| {
        let secrets: Vec<_> = secrets.iter().map(|text| secret(text)).collect();
        Webhook::new(&secrets, Mode::Live, tolerance)
    };
    let good = "whsec_0123456789abcdef";
    assert!(make(&[good], 300).is_ok());
    assert!(!format!("{:?}", make(&[good], 300)).contains("0123"));
    for (secrets, tolerance, error) in [
        (&[][..], 300, WebhookConfigError::NoSecret),
        (&[""], 300, WebhookConfigError::BadSecret { number: 1 }),
        (&[good, ""], 300, WebhookConfigError::BadSecret { number: 2 }),
        (&["whsec_"], 300, WebhookConfigError::BadSecret { number: 1 }),
        (&["whsec_                "], 300, WebhookConfigError::BadSecret { number: 1 }),
        (&["whsec_0123456789abcde"], 300, WebhookConfigError::BadSecret { number: 1 }),
        (&["sk_test_0123456789abcdef"], 300, WebhookConfigError::BadSecret { number: 1 }),
        (&["whsec_0123456789abcdef\n"], 300, WebhookConfigError::BadSecret { number: 1 }),
        (&[good], 0, WebhookConfigError::Tolerance(0)),
        (&[good], -300, WebhookConfigError::Tolerance(-300)),
        (&[good], 3_601, WebhookConfigError::Tolerance(3_601)),
    ] {
        assert_eq!(make(secrets, tolerance).unwrap_err(), error, "{secrets:?} {tolerance}");
    }
}

/// A small event of ours with a type that nobody acts on.
fn ping() -> serde_json::Value {
    serde_json::from_str(&event("ping", "{}")).unwrap()
}

#[test]
fn signatures() {
    use Signing::{Empty, Forged, Good, Rolled, Tampered, Unsigned};
    let fake = fake();
    let stale = |seconds| Some(WebhookError::Stale { seconds });
    let wrong = Some(WebhookError::WrongSignature);
    let amount = serde_json::from_str(&event("ping", r#"{"amount": 1}"#)).unwrap();
    for (name, event, signing, age, expected) in [
        ("as Stripe does", ping(), Good, 0, None),
        ("while a secret is rolled", ping(), Rolled, 0, None),
        ("as old as may be", ping(), Good, 300, None),
        ("too old", ping(), Good, 301, stale(301)),
        ("far too old", ping(), Good, NOW, stale(NOW)),
        ("as new as may be", ping(), Good, -300, None),
        ("from the future", ping(), Good, -301, stale(-301)),
        ("another secret", ping(), Forged, 0, wrong.clone()),
        // Tells nobody without the secret what our clock thinks.
        ("another secret, and old", ping(), Forged, 9_999, wrong.clone()),
        ("the empty secret", ping(), Empty, 0, wrong.clone()),
        ("changed on the way", amount, Tampered, 0, wrong.clone()),
        ("not signed", ping(), Unsigned, 0, Some(WebhookError::Header)),
    ] {
        let (header, body) = fake.signed(&event, NOW - age, signing);
        let result = webhook().verify(&header, body.as_bytes(), now());
        assert_eq!(result.err(), expected, "{name}");
    }
}

#[test]
fn headers() {
    let fake = fake();
    let (good, body) = fake.signed(&ping(), NOW, Signing::Good);
    let tag = good.split_once("v1=").unwrap().1;
    let upper = tag.to_uppercase();
    let (wrong, none, form) =
        (Some(WebhookError::WrongSignature), Some(WebhookError::NoSignature), Some(WebhookError::Header));
    for (header, expected) in [
        (good.clone(), None),
        (format!("v1={tag},t={NOW}"), None),
        (format!("t={NOW}, v1={tag}"), None),
        (format!("t={NOW},v1={upper}"), None),
        (format!("t={NOW},v0=ff,v1=,v1=zz,v1={},v1={tag},v2={tag}", &tag[2..]), None),
        (format!("t={NOW}"), none.clone()),
        (format!("t={NOW},v0={tag}"), none.clone()),
        (format!("t={NOW},v2={tag}"), none),
        (format!("t={NOW},v1="), wrong.clone()),
        (format!("t={NOW},v1={}", &tag[..62]), wrong.clone()),
        (format!("t={NOW},v1={tag}00"), wrong.clone()),
        (format!("t={NOW},v1=+{}", &tag[1..]), wrong.clone()),
        (format!("t={NOW},v1={}", "0".repeat(64)), wrong.clone()),
        // The time is what was signed, letter by letter.
        (format!("t={},v1={tag}", NOW + 1), wrong.clone()),
        (format!("t=0{NOW},v1={tag}"), wrong),
        (format!("t=+{NOW},v1={tag}"), form.clone()),
        (format!("t=-1,v1={tag}"), form.clone()),
        (format!("t=,v1={tag}"), form.clone()),
        (format!("t=99999999999999999999,v1={tag}"), form.clone()),
        (format!("t={NOW},t={NOW},v1={tag}"), form.clone()),
        (format!("v1={tag}"), form.clone()),
        (format!("t={NOW},v1={tag},"), form.clone()),
        (String::new(), form.clone()),
        ("nonsense".to_owned(), form),
    ] {
        assert_eq!(webhook().verify(&header, body.as_bytes(), now()).err(), expected, "{header:?}");
    }
    // A body of another's under this header.
    let other = body.replace("ping", "pong");
    assert_eq!(webhook().verify(&good, other.as_bytes(), now()).err(), Some(WebhookError::WrongSignature));
}

/// An event in Stripe's shape around an object.
fn event(kind: &str, object: &str) -> String {
    format!(
        r#"{{"id": "evt_1Q", "object": "event", "api_version": "2024-06-20", "created": {NOW}, "livemode": false,
            "data": {{"object": {object}}}, "pending_webhooks": 2, "request": {{"id": null, "idempotency_key": null}},
            "type": "{kind}"}}"#
    )
}

/// What a signed body means in test mode.
fn read(fake: &FakeStripe, body: &str, mode: Mode) -> Result<EventKind, WebhookError> {
    let event = serde_json::from_str(body).unwrap();
    let (header, body) = fake.signed(&event, NOW, Signing::Good);
    let webhook = Webhook::new(&[secret(WEBHOOK_SECRET)], mode, TOLERANCE_SECONDS).unwrap();
    let event = webhook.verify(&header, body.as_bytes(), now())?;
    assert_eq!((event.id.as_str(), event.created.seconds()), ("evt_1Q", NOW));
    Ok(event.kind)
}

fn metadata(purpose: &str) -> String {
    let (topup, organization) = (topup(7), organization());
    format!(
        r#"{{"topup": "{topup}", "organization": "{organization}", "purpose": "{purpose}", "note": "x"}}"#
    )
}

/// A checkout session; `change` replaces parts of it.
fn session(change: &[(&str, &str)]) -> String {
    let metadata = metadata("manual");
    let session = format!(
        r#"{{"id": "cs_test_a1", "object": "checkout.session", "amount_subtotal": 2537, "amount_total": 2537,
            "client_reference_id": null, "currency": "usd", "customer": "cus_1", "metadata": {metadata},
            "mode": "payment", "payment_intent": "pi_1", "payment_status": "paid", "status": "complete",
            "total_details": {{"amount_discount": 0, "amount_tax": 0}}, "url": null}}"#
    );
    changed(session, change)
}

fn intent(purpose: &str, change: &[(&str, &str)]) -> String {
    let metadata = metadata(purpose);
    let intent = format!(
        r#"{{"id": "pi_1", "object": "payment_intent", "amount": 2537, "amount_received": 2537, "currency": "usd",
            "customer": "cus_1", "last_payment_error": null, "latest_charge": "ch_1", "metadata": {metadata},
            "next_action": null, "payment_method": "pm_1", "setup_future_usage": null, "status": "succeeded"}}"#
    );
    changed(intent, change)
}

fn changed(mut text: String, change: &[(&str, &str)]) -> String {
    for (from, to) in change {
        assert!(text.contains(from), "{from} is not in {text}");
        text = text.replace(from, to);
    }
    text
}

fn paid(purpose: Purpose, payment_method: Option<&str>) -> EventKind {
    EventKind::PaymentSucceeded(Payment {
        payment: "pi_1".to_owned(),
        topup: topup(7),
        organization: organization(),
        purpose,
        amount: "25.37".parse().unwrap(),
        customer: Some("cus_1".to_owned()),
        payment_method: payment_method.map(str::to_owned),
    })
}

fn failed(purpose: Purpose, code: &str, message: &str) -> EventKind {
    EventKind::PaymentFailed {
        payment: Some("pi_1".to_owned()),
        topup: topup(7),
        organization: organization(),
        purpose,
        code: code.to_owned(),
        message: message.to_owned(),
    }
}

#[test]
fn events() {
    let ignored = |kind: &str| EventKind::Ignored(kind.to_owned());
    let no_funds = r#""last_payment_error": {"type": "card_error", "code": "card_declined",
        "decline_code": "insufficient_funds", "message": "Your card has insufficient funds."}"#;
    let no_error = r#""last_payment_error": null"#;
    let left = (r#""setup_future_usage": null"#, r#""setup_future_usage": "off_session""#);
    let charge = format!(
        r#"{{"id": "ch_1", "object": "charge", "amount": 2537, "amount_refunded": 500, "currency": "usd",
            "metadata": {}, "payment_intent": "pi_1"}}"#,
        metadata("manual")
    );
    let dispute = r#"{"id": "du_1", "object": "dispute", "amount": 2537, "currency": "usd", "charge": "ch_1",
        "payment_intent": "pi_1", "reason": "fraudulent", "metadata": {}}"#;
    let five: Money = "5".parse().unwrap();
    let all: Money = "25.37".parse().unwrap();
    let completed = "checkout.session.completed";
    let unpaid = (r#""paid""#, r#""unpaid""#);
    let bare = (r#""topup""#, r#""order""#);
    let expired = (r#""pi_1""#, "null");
    let whole = (r#""pi_1""#, r#"{"id": "pi_1", "object": "payment_intent"}"#);
    let (manual, recharge) = (Purpose::Manual, Purpose::Recharge);
    let refunded = |topup| EventKind::Refunded { payment: "pi_1".to_owned(), topup, amount: five };
    let disputed =
        EventKind::Disputed { payment: "pi_1".to_owned(), amount: all, reason: "fraudulent".to_owned() };
    let out_of_time = EventKind::CheckoutExpired {
        checkout: "cs_test_a1".to_owned(),
        topup: topup(7),
        organization: organization(),
    };
    let fake = fake();
    for (kind, object, expected) in [
        // Whichever comes first, the payment has the same key.
        (completed, session(&[]), paid(manual, None)),
        (completed, session(&[whole]), paid(manual, None)),
        ("checkout.session.async_payment_succeeded", session(&[]), paid(manual, None)),
        ("payment_intent.succeeded", intent("manual", &[]), paid(manual, None)),
        ("payment_intent.succeeded", intent("manual", &[left]), paid(manual, Some("pm_1"))),
        // A recharge leaves no method, whatever it was paid with.
        ("payment_intent.succeeded", intent("recharge", &[]), paid(recharge, None)),
        ("payment_intent.succeeded", intent("recharge", &[left]), paid(recharge, None)),
        // Complete is not paid.
        (completed, session(&[unpaid]), ignored(completed)),
        (completed, session(&[(r#""paid""#, r#""no_payment_required""#)]), ignored(completed)),
        // Others use the account, too.
        (completed, session(&[bare]), ignored(completed)),
        (completed, session(&[("top_", "")]), ignored(completed)),
        (completed, session(&[bare, (r#""usd""#, r#""eur""#)]), ignored(completed)),
        ("payment_intent.succeeded", intent("recharge", &[bare]), ignored("payment_intent.succeeded")),
        ("charge.dispute.created", dispute.replace("usd", "eur"), ignored("charge.dispute.created")),
        ("charge.dispute.created", dispute.replace("\"pi_1\"", "null"), ignored("charge.dispute.created")),
        ("charge.succeeded", "[1, 2]".to_owned(), ignored("charge.succeeded")),
        // No money.
        (
            "checkout.session.async_payment_failed",
            session(&[unpaid]),
            failed(manual, "payment_failed", "the payment was declined"),
        ),
        (
            "payment_intent.payment_failed",
            intent("recharge", &[(no_error, no_funds)]),
            failed(recharge, "insufficient_funds", "Your card has insufficient funds."),
        ),
        (
            "payment_intent.payment_failed",
            intent("recharge", &[]),
            failed(recharge, "payment_failed", "the payment was declined"),
        ),
        (
            "payment_intent.payment_failed",
            intent("manual", &[(no_error, no_funds)]),
            ignored("payment_intent.payment_failed"),
        ),
        ("checkout.session.expired", session(&[unpaid, expired]), out_of_time),
        // Money goes back.
        ("charge.refunded", charge.clone(), refunded(Some(topup(7)))),
        ("charge.refunded", charge.replace(r#""topup""#, r#""x""#), refunded(None)),
        ("charge.dispute.created", dispute.to_owned(), disputed),
    ] {
        assert_eq!(read(&fake, &event(kind, &object), Mode::Test).as_ref(), Ok(&expected), "{kind} {object}");
    }
}

#[test]
fn what_is_genuine_and_unusable_is_told_to_a_person() {
    let fake = fake();
    let completed = "checkout.session.completed";
    let usd = r#""usd""#;
    for (kind, object, text) in [
        (completed, session(&[(usd, r#""eur""#)]), "event evt_1Q: currency `eur` is not accepted, only usd"),
        (completed, session(&[(usd, r#""jpy""#)]), "currency `jpy`"),
        (completed, session(&[(usd, r#""USD""#)]), "currency `USD`"),
        (completed, session(&[(usd, "null")]), "currency is missing"),
        ("payment_intent.succeeded", intent("recharge", &[(usd, r#""krw""#)]), "currency `krw`"),
        (completed, session(&[(r#""pi_1""#, "null")]), "payment_intent is missing"),
        (completed, session(&[("amount_total\": 2537", "amount_total\": null")]), "amount_total is missing"),
        (completed, session(&[("amount_total\": 2537", "amount_total\": 0")]), "amount_total is missing"),
        (completed, session(&[("amount_total\": 2537", "amount_total\": -5")]), "amount_total is missing"),
        (completed, session(&[("amount_total\": 2537", "amount_total\": 25.37")]), "invalid type: floating"),
        (completed, session(&[("amount_total\": 2537", "amount_total\": 9e99")]), "invalid type"),
        (
            completed,
            session(&[("2537,\n", "9223372036854775807,\n")]),
            "amount_total is missing or cannot be",
        ),
        (completed, session(&[("top_0", "top_x")]), "metadata.topup"),
        (completed, session(&[("org_", "proj_")]), "metadata.organization"),
        (completed, session(&[(r#""purpose": "manual""#, r#""purpose": """#)]), "metadata.purpose"),
        (completed, "{}".to_owned(), "evt_1Q checkout.session.completed: missing field"),
        (completed, "[]".to_owned(), "evt_1Q checkout.session.completed"),
    ] {
        let error = read(&fake, &event(kind, &object), Mode::Test).unwrap_err();
        assert!(error.to_string().contains(text), "{error} lacks {text:?}");
        assert!(error.is_authentic(), "{error}");
    }
    for (body, mode, text) in [
        (event("ping", "{}"), Mode::Live, "the event is of test mode"),
        (event("ping", "{}").replace("false", "true"), Mode::Test, "the event is of live mode"),
        (event("ping", "{}").replace(r#""event""#, r#""v2.core.event""#), Mode::Test, "a `v2.core.event`"),
        (
            event("ping", "{}").replace("\"data\"", "\"date\""),
            Mode::Test,
            "give the endpoint snapshot events",
        ),
        (event("ping", "{}").replace("\"livemode\"", "\"mode\""), Mode::Test, "missing field `livemode`"),
        ("{}".to_owned(), Mode::Test, "missing field"),
    ] {
        let error = read(&fake, &body, mode).unwrap_err();
        assert!(error.to_string().contains(text) && error.is_authentic(), "{error} lacks {text:?}");
    }
    assert_eq!(
        read(&fake, &event("ping", "{}").replace("false", "true"), Mode::Live),
        Ok(EventKind::Ignored("ping".to_owned()))
    );
}

#[test]
fn a_payment_is_held_against_its_top_up() {
    let EventKind::PaymentSucceeded(payment) = paid(Purpose::Manual, None) else { panic!("not a payment") };
    assert_eq!(payment.check(organization(), dollars("25.37")), Ok(()));
    let other = domain::OrganizationId::from_bytes([1; 16]);
    let error = payment.check(other, dollars("25.37")).unwrap_err();
    assert!(matches!(error, PaymentMismatch::Organization { .. }), "{error}");
    let error = payment.check(organization(), dollars("25.38")).unwrap_err();
    assert_eq!(error.to_string(), "payment pi_1 is of 25.37, but its top-up is of 25.38");
}

/// The verified meaning of everything the stand-in told, in order.
fn told(fake: &FakeStripe) -> Vec<EventKind> {
    let read = |event: &serde_json::Value| {
        let (header, body) = fake.signed(event, NOW, Signing::Good);
        webhook().verify(&header, body.as_bytes(), now()).unwrap().kind
    };
    fake.events().iter().map(read).collect()
}

fn payments(kinds: &[EventKind]) -> Vec<Payment> {
    let payment = |kind: &EventKind| {
        if let EventKind::PaymentSucceeded(payment) = kind { Some(payment.clone()) } else { None }
    };
    kinds.iter().filter_map(payment).collect()
}

#[tokio::test(flavor = "current_thread")]
async fn a_checkout_is_paid_and_its_card_recharges() {
    let fake = fake();
    let stripe = client(&fake);
    let page = stripe.begin_checkout(&checkout(1)).await.unwrap();
    // A first card is declined: the top-up goes on waiting.
    fake.pay(&page.provider_ref, "pm_card_chargeDeclined").unwrap();
    assert!(matches!(told(&fake)[..], [EventKind::Ignored(_)]), "{:?}", told(&fake));
    fake.pay(&page.provider_ref, "pm_card_visa").unwrap();
    let paid = payments(&told(&fake));
    let [first, second] = &paid[..] else { panic!("{paid:?}") };
    assert_eq!(first.payment, second.payment, "two events, one payment");
    for payment in [first, second] {
        assert_eq!(payment.check(organization(), dollars("25.37")), Ok(()));
        assert_eq!((payment.topup, payment.purpose), (topup(1), Purpose::Manual));
    }
    let customer = first.customer.clone().unwrap();
    let card = paid.iter().find_map(|payment| payment.payment_method.clone()).unwrap();

    stripe.charge_off_session(&charge(2, &customer, &card)).await.unwrap();
    let paid = payments(&told(&fake));
    let last = paid.last().unwrap();
    assert_eq!((last.topup, last.purpose), (topup(2), Purpose::Recharge));
    assert_ne!(last.payment, first.payment);
    let truth: Vec<_> = fake.truth().into_iter().map(|truth| (truth.topup, truth.amount)).collect();
    assert_eq!(truth, [(topup(1).to_string(), 2_537), (topup(2).to_string(), 2_537)]);
}

#[tokio::test(flavor = "current_thread")]
async fn a_payment_that_takes_its_time_counts_at_its_end() {
    for succeeds in [true, false] {
        let fake = fake();
        let page = client(&fake).begin_checkout(&checkout(1)).await.unwrap();
        let session = fake.pay(&page.provider_ref, "pm_usBankAccount_processing").unwrap();
        assert!(told(&fake).iter().all(|kind| matches!(kind, EventKind::Ignored(_))), "{:?}", told(&fake));
        fake.settle(session["payment_intent"].as_str().unwrap(), succeeds).unwrap();
        let kinds = told(&fake);
        let failures = kinds.iter().filter(|kind| matches!(kind, EventKind::PaymentFailed { .. })).count();
        assert_eq!((payments(&kinds).len(), failures), if succeeds { (2, 0) } else { (0, 1) }, "{kinds:?}");
    }
}
