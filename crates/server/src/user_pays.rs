//! User pays (2.8): an app sends its user to a page of ours, the user agrees, and the app gets a key that spends from
//! the user's own wallet, within the limit and until the day that the user set. As OpenRouter does it: OAuth 2's
//! authorization code with PKCE, `/auth` for the page and `POST /api/v1/auth/keys` for the key.
//!
//! It knows pages, forms, codes and who may agree to what. It must never know an app's secret (there is none), and it
//! keeps no key: the app's is made when it is fetched. What was agreed to the directory keeps, the limit the ledger.

mod agreement;
mod answer;
pub(crate) mod callback;
pub(crate) mod challenge;
mod codes;
mod exchange;
mod form;
mod manage;
mod page;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use axum::http::request::Parts;
use axum::http::{Method, Response};
use bytes::Bytes;
use domain::{Clock, Money, Timestamp};
use gateway::{ConsentedCaps, day_of};
use limits::{Bucket, Cap, Limiter, Measure, Need, When};

pub(crate) use agreement::{NotAgreed, Person, Terms};
pub(crate) use exchange::{Exchanged, NotExchanged};
pub(crate) use form::{days_proposed, read_challenge};

use self::answer::Shown;
use self::codes::Codes;
use crate::admin::{Admin, ClientAddress};

/// The page where a user agrees.
pub(crate) const PAGE: &str = "/auth";
/// The page where a user sees and ends what they agreed to.
pub(crate) const CONSENTS: &str = "/auth/consents";
/// A form is a few fields.
pub(crate) const BODY_BYTES_MAX: usize = 16 * 1024;
/// How much of an IPv6 address is one subscriber's.
const SUBSCRIBER_SEGMENTS: usize = 4;

/// What the operator says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserPaysSettings {
    /// Whether anybody may agree to anything. What was agreed to goes on either way.
    pub enabled: bool,
    /// Origins of the apps that may ask; empty for all.
    pub origins: Vec<String>,
    /// Whether an app must bring a challenge.
    pub requires_challenge: bool,
    /// How long an app has to fetch its key, in seconds.
    pub code_seconds: i64,
    /// The highest limit that a user may set.
    pub limit_max: Money,
    /// The limit that the page proposes.
    pub limit_default: Money,
    /// The longest time that a user may agree to, in days.
    pub expires_days_max: i64,
    /// Caps on the calls of apps.
    pub caps: ConsentedCaps,
    /// How many wrong keys and codes one address may try in a minute, and how often one person may agree.
    pub attempts_per_minute: u64,
}

/// What of it lives in memory.
#[derive(Debug)]
pub(crate) struct UserPays {
    pub(crate) settings: UserPaysSettings,
    codes: Codes,
    attempts: Limiter,
}

/// Somebody has tried too often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany {
    /// How many are allowed in a minute.
    pub(crate) most: u64,
    /// In how many seconds another one is.
    pub(crate) seconds: u64,
}

/// Whose attempts are counted.
#[derive(Clone, Copy, Debug)]
enum Trying<'a> {
    /// Of whoever comes from an address; all whose address is not known are one.
    Address(Option<IpAddr>),
    /// Of a person, by the bytes of their id.
    Person(&'a [u8; 16]),
}

impl UserPays {
    pub(crate) fn new(settings: UserPaysSettings) -> Self {
        Self { settings, codes: Codes::default(), attempts: Limiter::new() }
    }

    /// Counts an attempt.
    ///
    /// # Errors
    /// When there were too many, which does not count as another one.
    fn count(&self, who: Trying<'_>, clock: &dyn Clock) -> Result<(), TooMany> {
        let (cap, need) = (self.cap(who), Need::default());
        // What it counts stands when the slot is dropped: it was an attempt.
        let admitted = self.attempts.admit(clock.monotonic_micros(), day_of(clock.now()), &[cap], &need);
        admitted.map(drop).map_err(|bound| TooMany { most: bound.most, seconds: seconds(bound.fits) })
    }

    /// Whether another attempt would be allowed. It counts only when it fails.
    fn may_try(&self, who: Trying<'_>, clock: &dyn Clock) -> Result<(), TooMany> {
        let cap = self.cap(who);
        let standing = self.attempts.standings(clock.monotonic_micros(), day_of(clock.now()), &[cap]);
        match standing.first() {
            Some(standing) if standing.remaining == 0 => {
                Err(TooMany { most: standing.most, seconds: seconds(standing.full) })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn cap(&self, who: Trying<'_>) -> Cap {
        let mut hasher = blake3::Hasher::new();
        match who {
            Trying::Address(address) => hasher.update(b"address").update(&subscriber(address)),
            Trying::Person(id) => hasher.update(b"person").update(id),
        };
        let [bucket @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = *hasher.finalize().as_bytes();
        let bucket = Bucket::from_bytes(bucket);
        Cap { bucket, measure: Measure::RequestsPerMinute, most: self.settings.attempts_per_minute }
    }
}

/// An address as far as it tells subscribers apart: of IPv6 everybody has as many addresses as they like.
fn subscriber(address: Option<IpAddr>) -> [u8; 16] {
    match address.map(|address| address.to_canonical()) {
        None => [0; 16],
        Some(IpAddr::V4(address)) => address.to_ipv6_mapped().octets(),
        Some(IpAddr::V6(address)) => {
            let mut segments = address.segments();
            segments.iter_mut().skip(SUBSCRIBER_SEGMENTS).for_each(|segment| *segment = 0);
            Ipv6Addr::from(segments).octets()
        }
    }
}

const fn seconds(when: When) -> u64 {
    match when {
        When::In(micros) => micros.div_ceil(1_000_000),
        When::NextDay | When::CallEnds | When::Never => 60,
    }
}

/// Answers a request for one of the pages.
pub(crate) async fn answer(admin: &Arc<Admin>, head: Parts, body: Bytes) -> Response<Bytes> {
    let admin = Arc::clone(admin);
    // A decision is written to the store, which blocks.
    let answered = tokio::task::spawn_blocking(move || dispatch(&admin, &head, &body)).await;
    answered
        .unwrap_or_else(|error| {
            tracing::error!(%error, "a page of consent failed");
            Shown::problem(500, "The gateway could not do this; its log says why.")
        })
        .into_response()
}

fn dispatch(admin: &Admin, head: &Parts, body: &[u8]) -> Shown {
    let is_management = head.uri.path() == CONSENTS;
    // Who agreed to something can end it, whatever has been set since.
    if !admin.user_pays.settings.enabled && !is_management {
        return Shown::problem(
            404,
            "Apps cannot ask for consent here: whoever operates this gateway has not allowed it.",
        );
    }
    let address = head.extensions.get().and_then(|ClientAddress(address)| *address);
    match head.method {
        Method::GET | Method::HEAD if is_management => manage::show(),
        Method::GET | Method::HEAD => form::show(admin, head.uri.query().unwrap_or_default()),
        Method::POST if !answer::is_from_here(&head.headers) => Shown::problem(
            403,
            "This form was sent from another site, so nothing was done. Go back to the app and begin again.",
        ),
        Method::POST if is_management => manage::decide(admin, body, address),
        Method::POST => form::decide(admin, body, address),
        _ => Shown::problem(405, "This page takes GET and POST."),
    }
}

/// So many days later.
pub(crate) fn after(now: Timestamp, days: i64) -> Timestamp {
    now.plus_seconds(days.saturating_mul(24 * 60 * 60))
}
