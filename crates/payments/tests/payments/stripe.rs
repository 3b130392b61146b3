//! Checkouts and charges against the stand-in, over HTTP, with everything that can go wrong on the way.

use std::time::Duration;

use crate::harness::{KEY, charge, checkout, client, client_with, dollars, fake, organization, topup};
use domain::Timestamp;
use fake_stripe::Fault;
use tollkeeper_payments::{Charge, ChargeRequest, PaymentError, PaymentProvider};

#[tokio::test(flavor = "current_thread")]
async fn a_checkout_says_what_stripe_needs() {
    let fake = fake();
    let stripe = client(&fake);
    let started = stripe.begin_checkout(&checkout(1)).await.unwrap();
    assert!(started.provider_ref.starts_with("cs_test_"), "{started:?}");
    assert!(started.url.as_ref().is_some_and(|url| url.contains(&started.provider_ref)), "{started:?}");

    let (path, form) = fake.requests().remove(0);
    assert_eq!(path, "/checkout/sessions");
    let (topup, organization) = (topup(1).to_string(), organization().to_string());
    let pairs: Vec<_> = form.split('&').filter_map(|pair| pair.split_once('=')).collect();
    for (name, value) in [
        ("mode", "payment"),
        ("client_reference_id", &*topup),
        ("line_items%5B0%5D%5Bprice_data%5D%5Bcurrency%5D", "usd"),
        ("line_items%5B0%5D%5Bprice_data%5D%5Bunit_amount%5D", "2537"),
        ("line_items%5B0%5D%5Bprice_data%5D%5Bproduct_data%5D%5Bname%5D", "API+credit"),
        ("adaptive_pricing%5Benabled%5D", "false"),
        ("customer_creation", "always"),
        ("payment_intent_data%5Bsetup_future_usage%5D", "off_session"),
        ("metadata%5Btopup%5D", &topup),
        ("metadata%5Borganization%5D", &organization),
        ("metadata%5Bpurpose%5D", "manual"),
        ("payment_intent_data%5Bmetadata%5D%5Btopup%5D", &topup),
        ("payment_intent_data%5Bmetadata%5D%5Borganization%5D", &organization),
        ("payment_intent_data%5Bmetadata%5D%5Bpurpose%5D", "manual"),
        ("success_url", "https%3A%2F%2Fconsole.example%2Fpaid"),
    ] {
        assert!(pairs.contains(&(name, value)), "{name}={value} is not in {form}");
    }

    // A known customer is named instead of made, and nothing is kept unless asked.
    let customer = fake.customer("pm_card_visa");
    let mut known = checkout(2);
    (known.customer, known.save_method) = (Some(customer.clone()), false);
    stripe.begin_checkout(&known).await.unwrap();
    let (_, form) = fake.requests().remove(1);
    assert!(form.contains(&format!("customer={customer}")), "{form}");
    assert!(!form.contains("customer_creation") && !form.contains("setup_future_usage"), "{form}");
    assert!(fake.truth().is_empty(), "nobody has paid yet");
}

/// One card: what a charge comes to, and whether money moved.
async fn check_card(number: u8, payment_method: &str, expected: Result<&str, (&str, &str)>) {
    let fake = fake();
    let customer = fake.customer(payment_method);
    let request = charge(number, &customer, payment_method);
    let result = client(&fake).charge_off_session(&request).await.unwrap();
    let told = match &result {
        Charge::Succeeded { payment } if payment.starts_with("pi_") => Ok("succeeded"),
        Charge::Pending { payment } if payment.starts_with("pi_") => Ok("pending"),
        Charge::Declined { code, message } => Err((code.as_str(), message.as_str())),
        Charge::Succeeded { .. } | Charge::Pending { .. } => Ok("no payment's id"),
    };
    assert_eq!(told, expected, "{payment_method}");
    let moved: Vec<i64> = fake.truth().iter().map(|truth| truth.amount).collect();
    assert_eq!(moved, if expected == Ok("succeeded") { vec![2_537] } else { vec![] }, "{payment_method}");
}

#[tokio::test(flavor = "current_thread")]
async fn cards_pay_or_say_why_not() {
    for (number, (payment_method, expected)) in (1..).zip([
        ("pm_card_visa", Ok("succeeded")),
        ("pm_usBankAccount_processing", Ok("pending")),
        ("pm_card_chargeDeclined", Err(("generic_decline", "Your card was declined."))),
        (
            "pm_card_chargeDeclinedInsufficientFunds",
            Err(("insufficient_funds", "Your card has insufficient funds.")),
        ),
        ("pm_card_chargeCustomerFail", Err(("generic_decline", "Your card was declined."))),
        (
            "pm_card_authenticationRequired",
            Err((
                "authentication_required",
                "Your card was declined. This transaction requires authentication.",
            )),
        ),
    ]) {
        check_card(number, payment_method, expected).await;
    }
}

/// What an error says: its text, whether to try again, whether money may have moved.
struct Expected {
    text: &'static str,
    retryable: bool,
    may_have_charged: bool,
}

/// One fault: the error of the first try, and that a second try is right and charges once.
async fn check_fault(fault: Fault, expected: &Expected, second: Result<(), u16>) {
    let fake = fake();
    let customer = fake.customer("pm_card_visa");
    let request = charge(1, &customer, "pm_card_visa");
    let stripe = client_with(fake.base_url(), KEY, Duration::from_millis(300));
    fake.fail(fault, 1);
    let error = stripe.charge_off_session(&request).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(expected.text), "{fault:?}: {text}");
    assert_eq!(error.retryable(), expected.retryable, "{fault:?}: {text}");
    assert_eq!(error.may_have_charged(), expected.may_have_charged, "{fault:?}: {text}");
    let moved = !fake.truth().is_empty();
    assert!(!moved || error.may_have_charged(), "{fault:?}: money moved and nobody said it may have");

    let patient = client(&fake);
    for _ in 0..2 {
        match (patient.charge_off_session(&request).await, second) {
            (Ok(Charge::Succeeded { payment }), Ok(())) => {
                assert_eq!(fake.truth()[0].payment_intent, payment, "{fault:?}");
            }
            (Err(PaymentError::Rejected { status, retry, .. }), Err(expected)) => {
                assert_eq!(
                    (status, retry),
                    (expected, false),
                    "{fault:?}: a saved error is not worth a retry"
                );
            }
            (answer, _) => panic!("{fault:?}: {answer:?}"),
        }
    }
    assert_eq!(fake.truth().len(), usize::from(second.is_ok()), "{fault:?}: charged other than once");
}

#[tokio::test(flavor = "current_thread")]
async fn whatever_fails_a_retry_never_charges_twice() {
    let expected = |text, retryable, may_have_charged| Expected { text, retryable, may_have_charged };
    for (fault, expected, second) in [
        (Fault::Lost, expected("ended before the answer", true, true), Ok(())),
        (Fault::Hang, expected("no whole answer in time", true, true), Ok(())),
        (Fault::Garbage, expected("no payment intent", true, true), Ok(())),
        (Fault::RateLimited, expected("429 (rate_limit)", true, false), Ok(())),
        (Fault::InUse, expected("409 (idempotency_key_in_use)", true, true), Ok(())),
        (Fault::Unavailable, expected("503 (unknown): no reason given", true, true), Ok(())),
        (Fault::Broken, expected("500 (api_error)", true, true), Err(500)),
    ] {
        check_fault(fault, &expected, second).await;
    }
}

#[tokio::test(flavor = "current_thread")]
async fn nobody_there_is_known_to_have_taken_nothing() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let stripe = client_with(base_url, KEY, Duration::from_secs(20));
    let error = stripe.charge_off_session(&charge(1, "cus_1", "pm_card_visa")).await.unwrap_err();
    assert_eq!(error, PaymentError::Unreachable { reason: "no connection", sent: false });
    assert!(error.retryable() && !error.may_have_charged());
}

#[tokio::test(flavor = "current_thread")]
async fn a_top_up_is_one_request_for_ever() {
    let fake = fake();
    let stripe = client(&fake);
    let customer = fake.customer("pm_card_visa");
    let request = charge(1, &customer, "pm_card_visa");
    let first = stripe.charge_off_session(&request).await.unwrap();
    assert_eq!(stripe.charge_off_session(&request).await.unwrap(), first);
    // The same top-up for another amount is a mistake of ours, and is told as one.
    let other = ChargeRequest { amount: dollars("30"), ..request };
    let error = stripe.charge_off_session(&other).await.unwrap_err();
    assert!(error.to_string().contains("400 (idempotency_error)"), "{error}");
    assert!(!error.retryable() && !error.may_have_charged());
    assert_eq!(fake.truth().len(), 1);

    let page = stripe.begin_checkout(&checkout(2)).await.unwrap();
    assert_eq!(stripe.begin_checkout(&checkout(2)).await.unwrap(), page);

    // A declined card stays declined under its top-up; a new top-up asks anew.
    let customer = fake.customer("pm_card_chargeDeclined");
    let declined = charge(3, &customer, "pm_card_chargeDeclined");
    for _ in 0..2 {
        let answer = stripe.charge_off_session(&declined).await.unwrap();
        assert!(matches!(answer, Charge::Declined { .. }), "{answer:?}");
    }
    let refusals = |fake: &fake_stripe::FakeStripe| {
        fake.events().iter().filter(|event| event["type"] == "payment_intent.payment_failed").count()
    };
    assert_eq!(refusals(&fake), 1);
    let anew = ChargeRequest { topup: topup(4), ..declined };
    stripe.charge_off_session(&anew).await.unwrap();
    assert_eq!(refusals(&fake), 2);
}

#[tokio::test(flavor = "current_thread")]
async fn mistakes_are_told_without_the_key() {
    let fake = fake();
    let wrong = "sk_test_wrong0123456789";
    let stripe = client_with(fake.base_url(), wrong, Duration::from_secs(20));
    let error = stripe.begin_checkout(&checkout(1)).await.unwrap_err();
    assert_eq!(error.to_string().matches("check the stripe secret_key").count(), 1, "{error}");
    assert!(!format!("{error:?} {error} {stripe:?}").contains("wrong"), "{error:?}");
    assert!(!error.retryable() && !error.may_have_charged());

    let stripe = client(&fake);
    let mut unknown = checkout(2);
    // Stripe repeats what it was given; so may somebody who put a key where a customer belongs.
    unknown.customer = Some(format!("cus_unknown {KEY} rk_live_other"));
    let error = stripe.begin_checkout(&unknown).await.unwrap_err();
    assert!(matches!(error, PaymentError::UnknownPayer(_)), "{error:?}");
    assert!(
        error.to_string().contains("does not know whom to charge: No such customer: 'cus_unknown"),
        "{error}"
    );
    assert!(!error.retryable() && !error.may_have_charged());
    assert!(
        !format!("{error:?}").contains("_test_") && !format!("{error:?}").contains("rk_live"),
        "{error:?}"
    );

    let customer = fake.customer("pm_card_visa");
    let error = stripe.charge_off_session(&charge(3, "cus_unknown", "pm_card_visa")).await.unwrap_err();
    assert!(matches!(error, PaymentError::UnknownPayer(_)), "{error:?}");
    let error = stripe.charge_off_session(&charge(3, &customer, "pm_nonsense")).await.unwrap_err();
    assert_eq!(error, PaymentError::UnknownPayer("No such PaymentMethod: 'pm_nonsense'".to_owned()));
    let error = stripe.charge_off_session(&charge(3, &customer, "pm_card_chargeDeclined")).await.unwrap_err();
    assert!(error.to_string().contains("does not belong to the Customer"), "{error}");
    assert!(!error.retryable() && !error.may_have_charged(), "{error}");
    let cheap = ChargeRequest { amount: dollars("0.49"), ..charge(4, &customer, "pm_card_visa") };
    let error = stripe.charge_off_session(&cheap).await.unwrap_err();
    assert!(error.to_string().contains("400 (amount_too_small)"), "{error}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_lost_charge_is_found_when_it_is_too_late_to_repeat_it() {
    let fake = fake();
    let stripe = client(&fake);
    let (begin, later) = (Timestamp::from_micros(0), Timestamp::MAX);
    let customer = fake.customer("pm_card_visa");
    let request = charge(1, &customer, "pm_card_visa");
    assert_eq!(stripe.find_charge(&request, begin).await, Ok(None));
    // Never carried out: nothing to find, and another top-up may be begun.
    fake.fail(Fault::Broken, 1);
    stripe.charge_off_session(&request).await.unwrap_err();
    assert_eq!(stripe.find_charge(&request, begin).await, Ok(None));

    let lost = charge(2, &customer, "pm_card_visa");
    fake.fail(Fault::Lost, 1);
    stripe.charge_off_session(&lost).await.unwrap_err();
    // Behind more than one page of younger payments.
    for number in 3..=104 {
        stripe.charge_off_session(&charge(number, &customer, "pm_card_visa")).await.unwrap();
    }
    let found = stripe.find_charge(&lost, begin).await.unwrap();
    assert_eq!(found, Some(Charge::Succeeded { payment: fake.truth()[0].payment_intent.clone() }));
    assert_eq!(stripe.find_charge(&lost, later).await, Ok(None));
    assert_eq!(stripe.find_charge(&request, begin).await, Ok(None), "two pages without it");

    let customer = fake.customer("pm_card_chargeDeclined");
    let declined = charge(200, &customer, "pm_card_chargeDeclined");
    fake.fail(Fault::Lost, 1);
    stripe.charge_off_session(&declined).await.unwrap_err();
    let found = stripe.find_charge(&declined, begin).await.unwrap();
    assert!(matches!(found, Some(Charge::Declined { code, .. }) if code == "generic_decline"));
    fake.fail(Fault::RateLimited, 1);
    assert!(stripe.find_charge(&declined, begin).await.unwrap_err().retryable());
}
