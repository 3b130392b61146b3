//! What the tests share: a stand-in for Stripe, a client of it, and requests.

use std::time::Duration;

use domain::{Money, OrganizationId, TopUpId};
use fake_stripe::{FakeStripe, Options};
use secrecy::SecretString;
use tollkeeper_payments::stripe::{SecretKey, Stripe, StripeOptions};
use tollkeeper_payments::{Cents, ChargeRequest, CheckoutRequest};

/// The stand-in's secrets.
pub(crate) const KEY: &str = "sk_test_fake0123456789";
pub(crate) const WEBHOOK_SECRET: &str = "whsec_fake0123456789abcdef";

pub(crate) fn fake() -> FakeStripe {
    FakeStripe::start(Options::default()).unwrap()
}

pub(crate) fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

/// A client with the given key that waits `call_timeout` at most.
pub(crate) fn client_with(base_url: String, key: &str, call_timeout: Duration) -> Stripe {
    let key = SecretKey::new(secret(key)).unwrap();
    let page = |name: &str| format!("https://console.example/{name}");
    let options = StripeOptions::new(key, page("paid"), page("gave-up"));
    Stripe::new(StripeOptions { base_url, call_timeout, ..options }).unwrap()
}

pub(crate) fn client(fake: &FakeStripe) -> Stripe {
    client_with(fake.base_url(), KEY, Duration::from_secs(20))
}

pub(crate) fn topup(number: u8) -> TopUpId {
    TopUpId::from_bytes([number; 16])
}

pub(crate) fn organization() -> OrganizationId {
    OrganizationId::from_bytes([0xaa; 16])
}

pub(crate) fn dollars(text: &str) -> Cents {
    Cents::try_from(text.parse::<Money>().unwrap()).unwrap()
}

pub(crate) fn checkout(number: u8) -> CheckoutRequest {
    let (topup, organization, amount) = (topup(number), organization(), dollars("25.37"));
    CheckoutRequest { topup, organization, amount, customer: None, save_method: true }
}

pub(crate) fn charge(number: u8, customer: &str, payment_method: &str) -> ChargeRequest {
    ChargeRequest {
        topup: topup(number),
        organization: organization(),
        amount: dollars("25.37"),
        customer: customer.to_owned(),
        payment_method: payment_method.to_owned(),
    }
}
