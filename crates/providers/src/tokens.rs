//! Access tokens of Google Cloud: had for a proof of who we are, kept while they live, renewed beside the calls before they
//! end.
//!
//! One provider has one token at a time, whichever thread asks; one of them asks for a new one, and those that cannot call
//! without wait for it. It knows when a token is to be renewed and what came of the last try. It must never know the time
//! but as it is told, nor show a token.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use domain::Timestamp;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use secrecy::ExposeSecret;
use serde::Deserialize;

use crate::provider::secret;
use crate::service_account::ServiceAccount;
use crate::{PartsBody, TransportFailure};

/// How long a token is asked for, at most.
pub(crate) const ASK_MAX: Duration = Duration::from_secs(10);
/// More than any token has.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// How long before its end a token is renewed, in microseconds: as Google's own libraries do, since the metadata server
/// gives the old one until four minutes before (`REFRESH_THRESHOLD` in google-auth).
const RENEW_BEFORE_US: i64 = 225 * SECOND_US;
/// After a try that failed nobody asks again for so long.
const PAUSE_US: i64 = 5 * SECOND_US;
/// How long a call may have waited for somebody's try, and take that for its own.
const WAIT_US: i64 = 2 * 10 * SECOND_US;
/// A token that the provider refuses sooner than this after it was had would be no better if it were had once more.
const PROVEN_US: i64 = 60 * SECOND_US;
const SECOND_US: i64 = 1_000_000;
/// More would overflow no clock, and no token lives so long.
const LIFE_SECONDS_MAX: i64 = 7 * 24 * 60 * 60;
/// What Google says of a refusal, shortened.
const WORDS_MAX: usize = 200;

const FLAVOR: HeaderName = HeaderName::from_static("metadata-flavor");
const PATH: &str = "/computeMetadata/v1/instance/service-accounts/default/token";
const GRANT: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";

/// Who gives the tokens, and for what.
#[derive(Debug)]
pub enum TokenSource {
    /// Google's endpoint, for what a service account signs.
    ServiceAccount(Box<ServiceAccount>),
    /// The metadata server at this host and port, for running on a machine of Google's.
    Metadata(String),
}

/// Where Google's machines find their metadata server.
pub const METADATA_HOST: &str = "metadata.google.internal";

/// Why there is no token. Its text is for the log and the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFailure {
    /// Nobody answered in time, or what cannot be read.
    #[error("no access token could be had from {0}: {1}")]
    Way(String, TransportFailure),
    /// The endpoint said no.
    #[error("{at} gives no access token (status {status}): {words}")]
    Refused {
        /// The endpoint.
        at: String,
        /// Its answer's status.
        status: u16,
        /// What it said.
        words: String,
    },
    /// The answer has no token.
    #[error("{0} answers without an access token")]
    NoToken(String),
    /// The key cannot sign.
    #[error("the key of the service account cannot sign")]
    Key,
}

/// The tokens of one provider.
pub(crate) struct Tokens {
    provider: Arc<str>,
    source: TokenSource,
    kept: Mutex<Kept>,
    /// Whoever has it asks.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Kept {
    token: Option<Token>,
    failed: Option<(Timestamp, TokenFailure)>,
}

struct Token {
    bearer: HeaderValue,
    had_at: Timestamp,
    renew_at: Timestamp,
    ends_at: Timestamp,
}

/// What there is for a call at one moment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// A token that lives on.
    Fresh(HeaderValue),
    /// A token that ends soon.
    Ageing(HeaderValue),
    /// No token, and nobody to ask for a while.
    Failed,
    /// No token.
    Nothing,
}

/// An answer that tells a token.
#[derive(Deserialize)]
struct Told {
    access_token: String,
    expires_in: i64,
}

/// An answer that refuses one: `error` is a word (RFC 6749, section 5.2), or an object as in Google's other answers.
#[derive(Deserialize)]
struct No {
    error: serde_json::Value,
    error_description: Option<String>,
}

impl fmt::Debug for Tokens {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Tokens {
    pub(crate) fn new(provider: &Arc<str>, source: TokenSource) -> Self {
        let (kept, turn) = Default::default();
        Self { provider: Arc::clone(provider), source, kept, turn }
    }

    pub(crate) const fn source(&self) -> &TokenSource {
        &self.source
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // What a thread that panicked left here is whole.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What there is for a call at this moment.
    pub(crate) fn standing(&self, at: Timestamp) -> Standing {
        let kept = self.kept();
        // Who has waited while somebody else asked in vain does not ask again.
        let pauses = kept.failed.as_ref().is_some_and(|(failed_at, _)| {
            is_near(at, *failed_at, if at < *failed_at { WAIT_US } else { PAUSE_US })
        });
        match kept.token.as_ref().filter(|token| at < token.ends_at) {
            Some(token) if pauses || at < token.renew_at => Standing::Fresh(token.bearer.clone()),
            Some(token) => Standing::Ageing(token.bearer.clone()),
            None if pauses => Standing::Failed,
            None => Standing::Nothing,
        }
    }

    /// The right to ask, which one has at a time.
    pub(crate) const fn turn(&self) -> &tokio::sync::Mutex<()> {
        &self.turn
    }

    /// What asks for a token at this moment.
    pub(crate) fn request(&self, at: Timestamp) -> Result<Request<PartsBody>, TokenFailure> {
        let mut request = Request::new(PartsBody::default());
        let uri = match &self.source {
            TokenSource::ServiceAccount(account) => {
                let assertion = account.assertion(at).ok_or(TokenFailure::Key)?;
                let form = Bytes::from(format!("{GRANT}{}", assertion.expose_secret()));
                *request.body_mut() = PartsBody::new([form]);
                *request.method_mut() = Method::POST;
                let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
                request.headers_mut().insert(CONTENT_TYPE, kind);
                account.token_uri().parse::<Uri>()
            }
            TokenSource::Metadata(host) => {
                request.headers_mut().insert(FLAVOR, HeaderValue::from_static("Google"));
                format!("http://{host}{PATH}").parse()
            }
        };
        let closed = |_| TokenFailure::Way(self.source.origin(), TransportFailure::Connect);
        *request.uri_mut() = uri.map_err(closed)?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        Ok(request)
    }

    /// Takes what came of asking at one moment, for good or ill, at another.
    pub(crate) fn take(
        &self,
        (asked_at, at): (Timestamp, Timestamp),
        answer: Result<(StatusCode, Bytes), TransportFailure>,
    ) {
        let origin = || self.source.origin();
        let told = answer.map_err(|failure| TokenFailure::Way(origin(), failure));
        self.settle(at, told.and_then(|(status, body)| read(asked_at, status, &body, origin)));
    }

    /// The same, when it could not even be asked.
    pub(crate) fn fail(&self, at: Timestamp, failure: TokenFailure) {
        self.settle(at, Err(failure));
    }

    fn settle(&self, at: Timestamp, told: Result<Token, TokenFailure>) {
        let mut kept = self.kept();
        match told {
            Ok(token) => *kept = Kept { token: Some(token), failed: None },
            Err(failure) => {
                let lives = kept.token.as_ref().is_some_and(|token| at < token.ends_at);
                let then = if lives { "calls go on with the old one" } else { "calls cannot go there" };
                tracing::warn!(provider = %self.provider, %failure, then, "no new access token");
                kept.failed = Some((at, failure));
            }
        }
    }

    /// The provider refused this token at this moment: it is not used again, unless it is too new for another one to be
    /// any better.
    pub(crate) fn refused(&self, bearer: &HeaderValue, at: Timestamp) {
        let mut kept = self.kept();
        let is_new = |token: &Token| is_near(at, token.had_at, PROVEN_US);
        if kept.token.as_ref().is_some_and(|token| token.bearer == *bearer && !is_new(token)) {
            kept.token = None;
        }
    }

    /// Why the last try failed; nothing if it did not.
    pub(crate) fn failure(&self) -> Option<TokenFailure> {
        self.kept().failed.as_ref().map(|(_, failure)| failure.clone())
    }
}

impl TokenSource {
    /// Who is asked, without the path.
    fn origin(&self) -> String {
        match self {
            Self::ServiceAccount(account) => {
                let uri = account.token_uri();
                let after = uri.find("://").map_or(0, |at| at + 3);
                let end = uri.get(after..).and_then(|rest| rest.find(['/', '?', '#'])).map(|at| at + after);
                uri.get(..end.unwrap_or(uri.len())).unwrap_or_default().to_owned()
            }
            Self::Metadata(host) => format!("http://{host}"),
        }
    }
}

/// Whether less than this time lies between two moments, in whichever order: clocks are set back, too.
const fn is_near(one: Timestamp, other: Timestamp, less_than_us: i64) -> bool {
    one.micros().abs_diff(other.micros()) < less_than_us.unsigned_abs()
}

/// Reads an answer to whoever asked at this moment.
fn read(
    at: Timestamp,
    status: StatusCode,
    body: &[u8],
    origin: impl Fn() -> String,
) -> Result<Token, TokenFailure> {
    if !status.is_success() {
        return Err(TokenFailure::Refused { at: origin(), status: status.as_u16(), words: words(body) });
    }
    let told: Option<Told> = serde_json::from_slice(body).ok();
    let told = told.filter(|told| !told.access_token.is_empty() && told.expires_in > 0);
    let told = told.ok_or_else(|| TokenFailure::NoToken(origin()))?;
    let bearer = secret(&format!("Bearer {}", told.access_token));
    let bearer = bearer.map_err(|_| TokenFailure::NoToken(origin()))?;
    let life_us = told.expires_in.min(LIFE_SECONDS_MAX).saturating_mul(SECOND_US);
    let ends_at = at.plus_micros(life_us);
    // Of one that lives for minutes, a quarter is left to renew it.
    let renew_at = ends_at.plus_micros(-RENEW_BEFORE_US.min(life_us / 4));
    Ok(Token { bearer, had_at: at, renew_at, ends_at })
}

/// What a refusal says, as one short line.
fn words(body: &[u8]) -> String {
    let no: Option<No> = serde_json::from_slice(body).ok();
    let text = no.map_or_else(String::new, |no| {
        let error = no.error.get("message").unwrap_or(&no.error);
        let word = error.as_str().unwrap_or_default();
        match no.error_description {
            Some(description) => format!("{word}: {description}"),
            None => word.to_owned(),
        }
    });
    let line: String = text.chars().filter(|letter| !letter.is_control()).take(WORDS_MAX).collect();
    if line.is_empty() { "it does not say why".to_owned() } else { line }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::service_account::tests::{fresh_key, key_file};

    fn tokens() -> Tokens {
        Tokens::new(&Arc::from("p"), TokenSource::Metadata("127.0.0.1:9".to_owned()))
    }

    fn second(seconds: i64) -> Timestamp {
        Timestamp::from_micros(1_000_000_000_000_000).plus_seconds(seconds)
    }

    fn told(seconds: i64) -> Result<(StatusCode, Bytes), TransportFailure> {
        let body =
            format!(r#"{{"access_token":"ya29.secret","expires_in":{seconds},"token_type":"Bearer"}}"#);
        Ok((StatusCode::OK, Bytes::from(body)))
    }

    fn no(status: u16, body: &'static str) -> Result<(StatusCode, Bytes), TransportFailure> {
        Ok((StatusCode::from_u16(status).unwrap(), Bytes::from_static(body.as_bytes())))
    }

    fn name(standing: &Standing) -> &'static str {
        match standing {
            Standing::Fresh(_) => "fresh",
            Standing::Ageing(_) => "ageing",
            Standing::Failed => "failed",
            Standing::Nothing => "nothing",
        }
    }

    #[test]
    fn a_token_is_used_until_it_ends_and_renewed_before() {
        for (life, looks) in [
            (
                3_599,
                vec![
                    (0, "fresh"),
                    (3_373, "fresh"),
                    (3_374, "ageing"),
                    (3_598, "ageing"),
                    (3_599, "nothing"),
                ],
            ),
            (8, vec![(0, "fresh"), (5, "fresh"), (6, "ageing"), (7, "ageing"), (8, "nothing")]),
            // None lives so long, whatever it is said to.
            (i64::MAX, vec![(LIFE_SECONDS_MAX - 226, "fresh"), (LIFE_SECONDS_MAX, "nothing")]),
        ] {
            let tokens = tokens();
            assert_eq!(tokens.standing(second(0)), Standing::Nothing);
            tokens.take((second(0), second(0)), told(life));
            for (at, wanted) in looks {
                assert_eq!(name(&tokens.standing(second(at))), wanted, "{life} at {at}");
            }
        }
    }

    #[test]
    fn a_renewal_that_fails_leaves_the_old_token_and_is_not_tried_at_once() {
        let tokens = tokens();
        tokens.take((second(0), second(0)), told(1_000));
        let (renew_at, ends_at) = (775, 1_000);
        assert_eq!(name(&tokens.standing(second(renew_at))), "ageing");
        tokens.take((second(renew_at), second(renew_at)), no(503, "overloaded"));
        for (at, wanted) in [
            (renew_at, "fresh"),
            (renew_at + 4, "fresh"),
            (renew_at + 5, "ageing"),
            (ends_at - 1, "ageing"),
            (ends_at, "nothing"),
        ] {
            assert_eq!(name(&tokens.standing(second(at))), wanted, "{at}");
        }
        tokens.take((second(ends_at), second(ends_at)), Err(TransportFailure::Connect));
        for (at, wanted) in [(ends_at, "failed"), (ends_at + 4, "failed"), (ends_at + 5, "nothing")] {
            assert_eq!(name(&tokens.standing(second(at))), wanted, "{at}");
        }
        assert_eq!(name(&tokens.standing(second(-3_600))), "fresh", "a clock that was set back");
        assert!(tokens.failure().is_some());
        // A try that took ten seconds counts from its end, also for those who came while it was under way.
        tokens.take((second(2_000), second(2_010)), Err(TransportFailure::FirstByteTimeout));
        for (at, wanted) in [(2_001, "failed"), (2_009, "failed"), (2_014, "failed"), (2_015, "nothing")] {
            assert_eq!(name(&tokens.standing(second(at))), wanted, "{at}");
        }
        tokens.take((second(ends_at + 5), second(ends_at + 5)), told(100));
        assert_eq!(name(&tokens.standing(second(ends_at + 5))), "fresh");
        assert_eq!(tokens.failure(), None);
    }

    #[test]
    fn a_token_that_is_refused_goes_unless_it_is_new() {
        for (after, bearer, wanted) in [
            (59, "Bearer ya29.secret", "fresh"),
            (60, "Bearer ya29.secret", "nothing"),
            (60, "Bearer ya29.earlier", "fresh"),
            // The clock was set back since.
            (-3_600, "Bearer ya29.secret", "nothing"),
        ] {
            let tokens = tokens();
            tokens.take((second(0), second(0)), told(3_599));
            tokens.refused(&HeaderValue::from_static(bearer), second(after));
            assert_eq!(name(&tokens.standing(second(after))), wanted, "{after} {bearer}");
        }
    }

    #[test]
    fn answers_are_read_and_shown_without_a_secret() {
        let bad_grant = r#"{"error":"invalid_grant","error_description":"Invalid\u001b JWT Signature."}"#;
        let denied = r#"{"error":{"code":403,"message":"denied","status":"PERMISSION_DENIED"}}"#;
        let at = "http://127.0.0.1:9";
        for (answer, text) in [
            (told(0), format!("{at} answers without an access token")),
            (no(200, "{}"), format!("{at} answers without an access token")),
            (no(200, "<html>"), format!("{at} answers without an access token")),
            (
                no(200, r#"{"access_token":"a\nb","expires_in":9}"#),
                format!("{at} answers without an access token"),
            ),
            (
                no(400, bad_grant),
                format!("{at} gives no access token (status 400): invalid_grant: Invalid JWT Signature."),
            ),
            (no(403, denied), format!("{at} gives no access token (status 403): denied")),
            (no(404, "<html>"), format!("{at} gives no access token (status 404): it does not say why")),
            (
                Err(TransportFailure::Connect),
                format!("no access token could be had from {at}: the provider could not be reached"),
            ),
        ] {
            let tokens = tokens();
            tokens.take((second(0), second(0)), answer);
            assert_eq!(tokens.failure().unwrap().to_string(), text);
            assert_eq!(tokens.standing(second(0)), Standing::Failed);
        }
        let tokens = tokens();
        tokens.take((second(0), second(0)), told(9));
        let shown = format!("{tokens:?} {:?}", tokens.standing(second(0)));
        assert!(!shown.contains("secret"), "{shown}");
    }

    #[tokio::test]
    async fn both_sources_are_asked_in_their_own_way() {
        let request = tokens().request(second(0)).unwrap();
        assert_eq!(request.method(), Method::GET);
        assert_eq!(request.headers()["metadata-flavor"], "Google");
        assert_eq!(
            request.uri(),
            "http://127.0.0.1:9/computeMetadata/v1/instance/service-accounts/default/token"
        );
        let account = ServiceAccount::read(&key_file(&fresh_key().0, "https://x.example:8/t/o?k=e")).unwrap();
        let source = TokenSource::ServiceAccount(Box::new(account));
        assert_eq!(source.origin(), "https://x.example:8");
        let request = Tokens::new(&Arc::from("p"), source).request(second(0)).unwrap();
        assert_eq!(
            (request.method(), request.uri()),
            (&Method::POST, &"https://x.example:8/t/o?k=e".parse().unwrap())
        );
        assert_eq!(request.headers()["content-type"], "application/x-www-form-urlencoded");
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let form = std::str::from_utf8(&body).unwrap();
        let assertion = form.strip_prefix(GRANT).unwrap();
        assert_eq!(assertion.split('.').count(), 3);
        assert!(assertion.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)));
    }
}
