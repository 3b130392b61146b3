//! Stripe: checkout by a person, charges for auto-recharge, and the webhooks that tell what was paid.
//!
//! Only dollars, only whole cents. Shapes and rules come from Stripe's API reference (docs.stripe.com/api, sections
//! "Checkout Sessions", "PaymentIntents", "Errors", "Idempotent requests", "Events"; docs.stripe.com/checkout/fulfillment)
//! and from stripe-python, which is generated from its OpenAPI description (github.com/stripe/stripe-python:
//! `stripe/params`, `stripe/_error_object.py`, `stripe/_http_client.py`, `stripe/_webhook.py`).

mod answer;
mod event;
mod transport;
mod webhook;

use std::fmt;
use std::time::Duration;

use domain::{OrganizationId, Timestamp, TopUpId};
use secrecy::{ExposeSecret, SecretString};

pub use event::{Event, EventKind, Payment, PaymentMismatch};
pub use webhook::{TOLERANCE_SECONDS, Webhook, WebhookConfigError, WebhookError};

use crate::{
    Answer, Charge, ChargeRequest, CheckoutRequest, CheckoutStarted, PaymentError, PaymentProvider, Purpose,
};
use answer::Search;
use transport::Transport;

/// The version of Stripe's API that requests ask for, so that a newer one cannot change their meaning. Webhooks come in
/// the version of the endpoint or the account instead, and are read for what versions share.
pub const API_VERSION: &str = "2025-09-30.clover";
/// Stripe's own address.
pub const BASE_URL: &str = "https://api.stripe.com";
/// How long a repeated request is sure to be known by its key: Stripe forgets keys after 24 hours ("Idempotent
/// requests"), an hour of which is kept for clocks that disagree. A charge of unknown outcome that is older than this
/// must not be sent again, since it would charge again: see [`PaymentProvider::find_charge`].
pub const RETRY_WINDOW_SECONDS: i64 = 23 * 3_600;

/// How far Stripe's clock may be behind ours when payments are looked up.
const CLOCK_SLACK_SECONDS: i64 = 3_600;
/// Payments that Stripe lists at once, at most.
const PAGE: u32 = 100;
/// Far more payments than one customer makes between a lost answer and its look-up.
const PAGES_MAX: u32 = 20;

/// Names in the metadata of checkouts and payments, by which events are known as ours.
const META_TOPUP: &str = "topup";
const META_ORGANIZATION: &str = "organization";
const META_PURPOSE: &str = "purpose";

/// Whether money is real.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Cards are charged.
    Live,
    /// Stripe's test mode.
    Test,
}

/// A secret key, and the mode it belongs to.
#[derive(Clone)]
pub struct SecretKey {
    key: SecretString,
    mode: Mode,
}

/// What a [`Stripe`] is made of.
#[derive(Clone, Debug)]
pub struct StripeOptions {
    /// The secret key, or a restricted key that may write checkout sessions and payment intents.
    pub key: SecretKey,
    /// Where the API is: [`BASE_URL`], or a stand-in for tests.
    pub base_url: String,
    /// Where the customer lands after paying.
    pub success_url: String,
    /// Where the customer lands after giving up.
    pub cancel_url: String,
    /// What the customer reads as the name of the goods.
    pub product_name: String,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long a whole call may take. Banks answer slowly: Stripe's own libraries wait 80 s.
    pub call_timeout: Duration,
}

/// Why Stripe cannot be used as configured. Each text names the setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StripeConfigError {
    /// Not a secret key.
    #[error(
        "stripe secret_key is not a secret key; copy one that begins with sk_live_, sk_test_, rk_live_ or rk_test_"
    )]
    Key,
    /// Not an address, or one that would send the key unencrypted.
    #[error("stripe base_url `{0}` must be https://HOST[:PORT] (http:// only for loopback), without a path")]
    BaseUrl(String),
    /// Not an address that a customer can be sent to.
    #[error("stripe {field} `{value}` must be a whole address that begins with https:// or http://")]
    ReturnUrl {
        /// The setting.
        field: &'static str,
        /// As given.
        value: String,
    },
    /// The system's TLS cannot be used.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

impl SecretKey {
    /// Reads a key and its mode.
    ///
    /// # Errors
    /// When it is not one, such as a publishable key.
    pub fn new(key: SecretString) -> Result<Self, StripeConfigError> {
        let text = key.expose_secret();
        let has = |prefixes: [&str; 2]| {
            prefixes.iter().any(|prefix| {
                let rest = text.strip_prefix(prefix).unwrap_or_default();
                rest.len() >= 8 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            })
        };
        let mode = if has(["sk_live_", "rk_live_"]) {
            Mode::Live
        } else if has(["sk_test_", "rk_test_"]) {
            Mode::Test
        } else {
            return Err(StripeConfigError::Key);
        };
        Ok(Self { key, mode })
    }

    /// The mode it belongs to, which webhooks must share.
    pub const fn mode(&self) -> Mode {
        self.mode
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({:?})", self.mode)
    }
}

impl StripeOptions {
    /// Stripe itself, with the usual time-outs.
    pub fn new(key: SecretKey, success_url: String, cancel_url: String) -> Self {
        Self {
            key,
            base_url: BASE_URL.to_owned(),
            success_url,
            cancel_url,
            product_name: "API credit".to_owned(),
            connect_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(80),
        }
    }
}

/// Stripe as a payment provider.
pub struct Stripe {
    transport: Transport,
    mode: Mode,
    success_url: String,
    cancel_url: String,
    product_name: String,
}

impl Stripe {
    /// Checks the options. Nothing is sent.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn new(options: StripeOptions) -> Result<Self, StripeConfigError> {
        for (field, value) in [("success_url", &options.success_url), ("cancel_url", &options.cancel_url)] {
            let rest = value.strip_prefix("https://").or_else(|| value.strip_prefix("http://"));
            if rest.is_none_or(str::is_empty) || value.contains(char::is_whitespace) {
                return Err(StripeConfigError::ReturnUrl { field, value: value.clone() });
            }
        }
        let transport = Transport::new(&options)?;
        let StripeOptions { key, success_url, cancel_url, product_name, .. } = options;
        Ok(Self { transport, mode: key.mode, success_url, cancel_url, product_name })
    }

    /// Whether money is real.
    pub const fn mode(&self) -> Mode {
        self.mode
    }
}

impl fmt::Debug for Stripe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stripe").field("mode", &self.mode).finish_non_exhaustive()
    }
}

impl PaymentProvider for Stripe {
    fn name(&self) -> &'static str {
        "stripe"
    }

    fn can_recharge(&self) -> bool {
        true
    }

    fn begin_checkout<'a>(&'a self, request: &'a CheckoutRequest) -> Answer<'a, CheckoutStarted> {
        Box::pin(async move {
            let form = self.checkout_form(request);
            let answer = self.transport.post("/v1/checkout/sessions", &request.topup, &form).await?;
            answer::checkout(&answer)
        })
    }

    fn charge_off_session<'a>(&'a self, request: &'a ChargeRequest) -> Answer<'a, Charge> {
        Box::pin(async move {
            let form = charge_form(request);
            let answer = self.transport.post("/v1/payment_intents", &request.topup, &form).await?;
            answer::charge(&answer)
        })
    }

    fn find_charge<'a>(&'a self, request: &'a ChargeRequest, since: Timestamp) -> Answer<'a, Option<Charge>> {
        Box::pin(async move {
            // Not by Stripe's search, which may be an hour behind ("Search PaymentIntents").
            let from = since.seconds().saturating_sub(CLOCK_SLACK_SECONDS);
            let mut after = None;
            for _ in 0..PAGES_MAX {
                let mut query = vec![
                    field("customer", &request.customer),
                    field("created[gte]", from),
                    field("limit", PAGE),
                ];
                query.extend(after.map(|last: String| field("starting_after", last)));
                let answer = self.transport.get("/v1/payment_intents", &query).await?;
                match answer::search(&answer, &request.topup)? {
                    Search::Found(charge) => return Ok(Some(charge)),
                    Search::Nothing => return Ok(None),
                    Search::More(last) => after = Some(last),
                }
            }
            Err(PaymentError::Garbage("the list of payment intents does not end"))
        })
    }
}

/// The fields of a form, in order.
type Form = Vec<(String, String)>;

impl Stripe {
    /// The body of "Create a Checkout Session".
    fn checkout_form(&self, request: &CheckoutRequest) -> Form {
        let item = "line_items[0]";
        let mut form = vec![
            field("mode", "payment"),
            field("client_reference_id", request.topup),
            field(&format!("{item}[quantity]"), 1),
            field(&format!("{item}[price_data][currency]"), "usd"),
            field(&format!("{item}[price_data][unit_amount]"), request.amount.count()),
            field(&format!("{item}[price_data][product_data][name]"), &self.product_name),
            // The customer is to pay what was asked for, in the currency it was asked for; without this, a setting in
            // Stripe's dashboard decides.
            field("adaptive_pricing[enabled]", "false"),
            field("success_url", &self.success_url),
            field("cancel_url", &self.cancel_url),
        ];
        match &request.customer {
            Some(customer) => form.push(field("customer", customer)),
            // Without it, a customer is made only when something else needs one, and a saved card is lost.
            None => form.push(field("customer_creation", "always")),
        }
        if request.save_method {
            form.push(field("payment_intent_data[setup_future_usage]", "off_session"));
        }
        // Twice, since a session's metadata is not handed to its payment, and events of both arrive.
        for holder in ["metadata", "payment_intent_data[metadata]"] {
            form.extend(metadata(holder, request.topup, request.organization, Purpose::Manual));
        }
        form
    }
}

/// The body of "Create a PaymentIntent", paid at once. It depends on nothing but the request: a repeated request with
/// another body would be refused.
fn charge_form(request: &ChargeRequest) -> Form {
    let mut form = vec![
        field("amount", request.amount.count()),
        field("currency", "usd"),
        field("customer", &request.customer),
        field("payment_method", &request.payment_method),
        field("off_session", "true"),
        field("confirm", "true"),
        // Nobody is there to be redirected; without this, Stripe demands a `return_url`.
        field("automatic_payment_methods[enabled]", "true"),
        field("automatic_payment_methods[allow_redirects]", "never"),
    ];
    form.extend(metadata("metadata", request.topup, request.organization, Purpose::Recharge));
    form
}

fn metadata(holder: &str, topup: TopUpId, organization: OrganizationId, purpose: Purpose) -> Form {
    vec![
        field(&format!("{holder}[{META_TOPUP}]"), topup),
        field(&format!("{holder}[{META_ORGANIZATION}]"), organization),
        field(&format!("{holder}[{META_PURPOSE}]"), purpose),
    ]
}

fn field(name: &str, value: impl fmt::Display) -> (String, String) {
    (name.to_owned(), value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Result<SecretKey, StripeConfigError> {
        SecretKey::new(SecretString::from(text))
    }

    #[test]
    fn keys_tell_their_mode_and_never_themselves() {
        for (text, mode) in [
            ("sk_live_abcdefgh12345678", Some(Mode::Live)),
            ("rk_live_abcdefgh12345678", Some(Mode::Live)),
            ("sk_test_abcdefgh12345678", Some(Mode::Test)),
            ("rk_test_abcdefgh12345678", Some(Mode::Test)),
            ("", None),
            ("sk_test_", None),
            ("pk_live_abcdefgh12345678", None),
            ("whsec_abcdefgh12345678", None),
            ("sk_test_abcdefgh\r\nX-Header: 1", None),
            (" sk_test_abcdefgh12345678", None),
        ] {
            let read = key(text);
            assert_eq!(read.as_ref().ok().map(SecretKey::mode), mode, "{text:?}");
            assert!(!format!("{read:?}").contains("abcdefgh"), "{text:?}");
        }
    }

    #[test]
    fn options_are_refused_by_name() {
        let options = || {
            let key = key("sk_test_abcdefgh12345678").unwrap();
            let page = "https://console.example/paid?session={CHECKOUT_SESSION_ID}".to_owned();
            StripeOptions::new(key, page, "https://console.example/".to_owned())
        };
        let stripe = Stripe::new(options()).unwrap();
        assert_eq!(stripe.mode(), Mode::Test);
        assert!(!format!("{stripe:?} {:?}", options()).contains("abcdefgh"));
        for base_url in
            ["http://127.0.0.1:1234", "http://[::1]:80", "http://localhost:1/", "https://stripe.example"]
        {
            let options = StripeOptions { base_url: base_url.to_owned(), ..options() };
            assert!(Stripe::new(options).is_ok(), "{base_url}");
        }
        for base_url in [
            "",
            "api.stripe.com",
            "http://api.stripe.com",
            "ftp://localhost",
            "https://h/v1",
            "https://user@h",
            "https://",
        ] {
            let options = StripeOptions { base_url: base_url.to_owned(), ..options() };
            let error = Stripe::new(options).unwrap_err();
            assert_eq!(error, StripeConfigError::BaseUrl(base_url.to_owned()));
        }
        for url in ["", "console.example", "https://", "https://a b", "javascript:alert(1)"] {
            let error = Stripe::new(StripeOptions { cancel_url: url.to_owned(), ..options() }).unwrap_err();
            assert!(error.to_string().contains("stripe cancel_url"), "{error}");
        }
    }
}
