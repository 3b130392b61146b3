//! What Stripe's answers mean.
//!
//! Errors are `{"error": {"type", "code", "decline_code", "message", "payment_intent", …}}`, absent where they would be
//! null; `type` is one of `api_error`, `card_error`, `idempotency_error`, `invalid_request_error`
//! (docs.stripe.com/api/errors). A refused card is 402 with `card_error`; a key that is at work right now is 409; a key
//! with another body is 400 with `idempotency_error`; too many requests are 429.

use std::collections::BTreeMap;

use domain::TopUpId;
use serde::Deserialize;

use super::META_TOPUP;
use super::transport::Reply;
use crate::{Charge, CheckoutStarted, PaymentError};

/// Longest text of Stripe's that an error of ours repeats, in characters.
const TEXT_MAX: usize = 300;

#[derive(Deserialize)]
struct Session {
    id: String,
    url: Option<String>,
}

#[derive(Deserialize)]
struct Intent {
    id: String,
    status: String,
    last_payment_error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Listed>,
    has_more: bool,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(flatten)]
    intent: Intent,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Failure {
    error: Refusal,
}

/// An error object, as an answer and inside a payment intent.
#[derive(Default, Deserialize)]
pub(super) struct Refusal {
    #[serde(rename = "type", default)]
    kind: String,
    code: Option<String>,
    decline_code: Option<String>,
    message: Option<String>,
    param: Option<String>,
}

impl Refusal {
    /// Whether Stripe does not know what this parameter names. It says so by the parameter or by the noun, not always
    /// by both.
    fn is_missing(&self, parameter: &str, noun: &str) -> bool {
        let named = self.param.as_deref() == Some(parameter);
        let told =
            self.message.as_deref().and_then(|message| message.strip_prefix("No such ")?.strip_prefix(noun));
        self.code.as_deref() == Some("resource_missing")
            && (named || told.is_some_and(|rest| rest.starts_with(':')))
    }

    /// The most telling word: the bank's reason, or else Stripe's.
    pub(super) fn word(&self, otherwise: &str) -> String {
        let word = self.decline_code.as_deref().or(self.code.as_deref()).filter(|word| !word.is_empty());
        shorten(word.unwrap_or(otherwise))
    }

    /// A sentence for people.
    pub(super) fn sentence(&self) -> String {
        shorten(self.message.as_deref().unwrap_or("the payment was declined"))
    }
}

/// The answer to "Create a Checkout Session".
pub(super) fn checkout(reply: &Reply) -> Result<CheckoutStarted, PaymentError> {
    if !is_success(reply) {
        return Err(rejection(reply));
    }
    let session: Session = serde_json::from_slice(&reply.body)
        .map_err(|_| PaymentError::Garbage("it is no checkout session"))?;
    let url = session.url.filter(|url| url.starts_with("https://") || url.starts_with("http://"));
    let url = url.ok_or(PaymentError::Garbage("the checkout session has no page to pay on"))?;
    let instructions = "open the page and pay; credit arrives when Stripe confirms the payment".to_owned();
    Ok(CheckoutStarted { provider_ref: session.id, url: Some(url), instructions })
}

/// The answer to "Create a PaymentIntent" with `confirm`.
pub(super) fn charge(reply: &Reply) -> Result<Charge, PaymentError> {
    if reply.status == 402 {
        let refusal = refusal(reply).ok_or_else(|| rejection(reply))?;
        let (code, message) = (refusal.word("card_declined"), clean(&refusal.sentence()));
        return Ok(Charge::Declined { code, message });
    }
    if !is_success(reply) {
        return Err(rejection(reply));
    }
    let intent: Intent =
        serde_json::from_slice(&reply.body).map_err(|_| PaymentError::Garbage("it is no payment intent"))?;
    Ok(outcome(intent))
}

/// What a list of payments says of one top-up.
pub(super) enum Search {
    /// The payment is in it.
    Found(Charge),
    /// It is not, but there are more after this one.
    More(String),
    /// It is nowhere.
    Nothing,
}

/// The answer to "List all PaymentIntents".
pub(super) fn search(reply: &Reply, topup: &TopUpId) -> Result<Search, PaymentError> {
    if !is_success(reply) {
        return Err(rejection(reply));
    }
    let page: Page = serde_json::from_slice(&reply.body)
        .map_err(|_| PaymentError::Garbage("it is no list of payment intents"))?;
    let last = page.data.last().map(|listed| listed.intent.id.clone());
    let topup = topup.to_string();
    let ours = page.data.into_iter().find(|listed| listed.metadata.get(META_TOPUP) == Some(&topup));
    Ok(match (ours, last) {
        (Some(listed), _) => Search::Found(outcome(listed.intent)),
        (None, Some(last)) if page.has_more => Search::More(last),
        (None, _) => Search::Nothing,
    })
}

fn outcome(intent: Intent) -> Charge {
    match intent.status.as_str() {
        "succeeded" => Charge::Succeeded { payment: intent.id },
        "processing" => Charge::Pending { payment: intent.id },
        // Everything else waits for somebody who is not there: to authenticate, to give another card, to capture.
        status => {
            let refusal = intent.last_payment_error.unwrap_or_default();
            Charge::Declined { code: refusal.word(status), message: refusal.sentence() }
        }
    }
}

const fn is_success(reply: &Reply) -> bool {
    reply.status >= 200 && reply.status < 300
}

fn refusal(reply: &Reply) -> Option<Refusal> {
    serde_json::from_slice::<Failure>(&reply.body).ok().map(|failure| failure.error)
}

/// An error answer that is not about the customer's money.
fn rejection(reply: &Reply) -> PaymentError {
    let status = reply.status;
    // A repeated request is answered with the saved 500, which Stripe tells with `Stripe-Should-Retry: false`.
    let retry = reply.should_retry.unwrap_or(matches!(status, 409 | 429) || status >= 500);
    let refusal = refusal(reply).unwrap_or_default();
    let code = match refusal.word(&refusal.kind) {
        code if code.is_empty() => "unknown".to_owned(),
        code => code,
    };
    let message = match status {
        // Stripe repeats parts of the key in this one.
        401 => "the secret key is refused; check the stripe secret_key".to_owned(),
        _ => refusal.message.as_deref().map_or_else(|| "no reason given".to_owned(), clean),
    };
    // A key of another account, or of the other mode, is told by either: it depends on what Stripe looks at first.
    let is_unknown =
        refusal.is_missing("customer", "customer") || refusal.is_missing("payment_method", "PaymentMethod");
    if is_unknown && matches!(status, 400 | 404) {
        return PaymentError::UnknownPayer(message);
    }
    PaymentError::Rejected { status, code, message, retry }
}

/// A text of Stripe's without our key or any other: all begin alike, see [`super::SecretKey::new`].
fn clean(text: &str) -> String {
    let is_secret = |word: &str| ["sk_", "rk_", "whsec_"].iter().any(|prefix| word.contains(prefix));
    let words: Vec<&str> =
        text.split_whitespace().map(|word| if is_secret(word) { "[key]" } else { word }).collect();
    shorten(&words.join(" "))
}

/// A text of a provider's that may stand in a log: of bounded length, on one line.
pub(super) fn shorten(text: &str) -> String {
    text.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).take(TEXT_MAX).collect()
}
