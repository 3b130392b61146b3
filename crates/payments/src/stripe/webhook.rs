//! The signature of Stripe's webhooks.
//!
//! `Stripe-Signature: t=1492774577,v1=5257a8…,v1=…,v0=…`: `v1` is the HMAC-SHA256, in hexadecimal digits, of the time,
//! a point and the raw body, under the endpoint's secret; there are several while a secret is being rolled, and other
//! schemes are to be ignored (docs.stripe.com/webhooks, "Verify manually"; stripe-python, `stripe/_webhook.py`). A
//! retry of Stripe's carries a new time and a new signature.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use domain::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::Mode;
use super::event::{self, Event};

/// How far the time of a signature may be from ours, unless configured.
pub const TOLERANCE_SECONDS: i64 = 300;
/// What endpoint secrets begin with.
const SECRET_PREFIX: &str = "whsec_";
/// Fewest characters after it: far fewer than Stripe's, and too many to guess.
const SECRET_CHARS_MIN: usize = 16;
/// Bytes of an HMAC-SHA256.
const TAG_BYTES: usize = 32;

/// Verifies webhooks. Nothing in a body is looked at before its signature has been found good.
pub struct Webhook {
    keys: Vec<hmac::Key>,
    mode: Mode,
    tolerance_seconds: i64,
}

/// Why webhooks cannot be verified as configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookConfigError {
    /// There is no secret at all.
    #[error("stripe webhook_secrets is empty; copy the signing secret of the webhook endpoint")]
    NoSecret,
    /// One of the secrets is empty, short, or something else. With an empty one, anybody could sign.
    #[error(
        "stripe webhook_secrets: number {number} is not a signing secret; copy the one of the webhook endpoint, \
         which begins with whsec_"
    )]
    BadSecret {
        /// Which one, from 1.
        number: usize,
    },
    /// A tolerance of nothing, or of so much that old signatures would do.
    #[error("stripe tolerance_seconds {0} must be from 1 to 3600")]
    Tolerance(i64),
}

/// Why a webhook is refused. Until [`WebhookError::is_authentic`], it may come from anybody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// The header is missing, or not of this form.
    #[error("the Stripe-Signature header is not of the form t=SECONDS,v1=SIGNATURE")]
    Header,
    /// No signature of a scheme that counts.
    #[error("the Stripe-Signature header has no v1 signature")]
    NoSignature,
    /// No signature matches any secret.
    #[error("no signature matches; check that webhook_secrets has the secret of this endpoint")]
    WrongSignature,
    /// A good signature from another time: a replay, or a clock that is wrong.
    #[error(
        "the signature is {seconds} seconds away from our clock (negative: from the future); check the clock"
    )]
    Stale {
        /// Our time less its own.
        seconds: i64,
    },
    /// Test money where real money is expected, or the other way round.
    #[error("the event is of {} mode, but the secret_key is not", if *live { "live" } else { "test" })]
    WrongMode {
        /// What the event is of.
        live: bool,
    },
    /// A payment that is not in dollars.
    #[error(
        "event {event}: currency `{currency}` is not accepted, only usd; refund the payment and ask for dollars"
    )]
    Currency {
        /// The event's id.
        event: String,
        /// What it was paid in.
        currency: String,
    },
    /// Stripe's, but not as expected.
    #[error("the event cannot be read: {0}")]
    Unreadable(String),
}

impl WebhookError {
    /// Whether the webhook is Stripe's all the same, and fresh: then it tells of money and a person should look.
    pub const fn is_authentic(&self) -> bool {
        match self {
            Self::Header | Self::NoSignature | Self::WrongSignature | Self::Stale { .. } => false,
            Self::WrongMode { .. } | Self::Currency { .. } | Self::Unreadable(_) => true,
        }
    }
}

impl Webhook {
    /// Takes the endpoint's secrets: one, or several while one replaces another. `mode` is the secret key's.
    ///
    /// # Errors
    /// When a secret is missing, empty or not a signing secret, or the tolerance is out of range.
    pub fn new(
        secrets: &[SecretString],
        mode: Mode,
        tolerance_seconds: i64,
    ) -> Result<Self, WebhookConfigError> {
        if secrets.is_empty() {
            return Err(WebhookConfigError::NoSecret);
        }
        if !(1..=3_600).contains(&tolerance_seconds) {
            return Err(WebhookConfigError::Tolerance(tolerance_seconds));
        }
        let read = |(secret, number): (&SecretString, usize)| {
            let text = secret.expose_secret();
            let rest = text.strip_prefix(SECRET_PREFIX).unwrap_or_default();
            let is_secret =
                rest.len() >= SECRET_CHARS_MIN && rest.bytes().all(|byte| byte.is_ascii_graphic());
            // The whole text is the key, prefix included.
            let key = || hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes());
            is_secret.then(key).ok_or(WebhookConfigError::BadSecret { number })
        };
        let keys = secrets.iter().zip(1..).map(read).collect::<Result<_, _>>()?;
        Ok(Self { keys, mode, tolerance_seconds })
    }

    /// Reads a webhook: the `Stripe-Signature` header (empty if there is none), the body as it came, our time. The
    /// same webhook within the tolerance is good again: who acts on it remembers [`Event::id`], and grants a payment
    /// once by [`super::Payment::payment`].
    ///
    /// # Errors
    /// Why it must not be acted on.
    pub fn verify(&self, header: &str, body: &[u8], now: Timestamp) -> Result<Event, WebhookError> {
        let Signatures { time, seconds, tags } = Signatures::read(header)?;
        if !self.keys.iter().any(|key| matches_any(&sign(key, time, body), &tags)) {
            return Err(WebhookError::WrongSignature);
        }
        let age = now.seconds().saturating_sub(seconds);
        if age.saturating_abs() > self.tolerance_seconds {
            return Err(WebhookError::Stale { seconds: age });
        }
        event::read(body, self.mode)
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Webhook({:?}, {} secrets)", self.mode, self.keys.len())
    }
}

/// What the header holds.
struct Signatures<'a> {
    /// The time as written, which is what is signed.
    time: &'a str,
    seconds: i64,
    tags: Vec<[u8; TAG_BYTES]>,
}

impl<'a> Signatures<'a> {
    fn read(header: &'a str) -> Result<Self, WebhookError> {
        let (mut times, mut signatures) = (Vec::new(), Vec::new());
        for part in header.split(',') {
            match part.trim().split_once('=') {
                Some(("t", time)) => times.push(time),
                Some(("v1", signature)) => signatures.push(signature),
                Some(_) => {}
                None => return Err(WebhookError::Header),
            }
        }
        // Two times would leave open which of them is meant.
        let [time] = times[..] else { return Err(WebhookError::Header) };
        let is_number = !time.is_empty() && time.bytes().all(|byte| byte.is_ascii_digit());
        let seconds = time.parse().ok().filter(|_| is_number).ok_or(WebhookError::Header)?;
        if signatures.is_empty() {
            return Err(WebhookError::NoSignature);
        }
        // What is no signature matches nothing; another one beside it still may.
        let tags = signatures.into_iter().filter_map(unhex).collect();
        Ok(Self { time, seconds, tags })
    }
}

fn sign(key: &hmac::Key, time: &str, body: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    for part in [time.as_bytes(), b".", body] {
        context.update(part);
    }
    context.sign()
}

/// Compares without telling by its duration how much was right.
fn matches_any(expected: &hmac::Tag, tags: &[[u8; TAG_BYTES]]) -> bool {
    tags.iter().any(|tag| verify_slices_are_equal(expected.as_ref(), tag).is_ok())
}

/// The bytes of 64 hexadecimal digits.
fn unhex(text: &str) -> Option<[u8; TAG_BYTES]> {
    let mut tag = [0; TAG_BYTES];
    let pairs = text.as_bytes().chunks(2);
    if text.len() != TAG_BYTES.saturating_mul(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, pair) in tag.iter_mut().zip(pairs) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(tag)
}
