//! Reading the request: its body whole, within its limits, and the few fields that matter to us.

use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dialect::{Addressed, BadRequest, Call, Endpoint};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http_body::Body;
use http_body_util::BodyExt;
use ledger::Attribution;
use tokio::time::Instant;

use crate::failure::{BodyFailure, Failure};

/// The most bytes an attribution text may have; longer ones are cut.
const ATTRIBUTION_BYTES_MAX: usize = 128;

/// Headers by which a caller says for whom and for what it calls.
const USER_HEADER: &str = "x-tollkeeper-user";
const FEATURE_HEADER: &str = "x-tollkeeper-feature";
const RUN_HEADER: &str = "x-tollkeeper-run";
/// Claude Code's name for one run of itself.
const SESSION_HEADER: &str = "x-claude-code-session-id";

/// What a body may be.
#[derive(Clone, Copy)]
pub(crate) struct BodyLimits {
    /// The most bytes of JSON.
    pub(crate) json: Limit,
    /// The most bytes of a form with files.
    pub(crate) form: Limit,
    /// How long it may pause.
    pub(crate) idle: Duration,
}

/// A number of bytes, and the setting that says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Bytes.
    pub bytes: u64,
    /// The setting's name.
    pub setting: &'static str,
}

/// Reads and parses the body, once.
pub(crate) async fn decode<B>(
    endpoint: Endpoint,
    Parts { uri, headers, .. }: &Parts,
    body: Pin<&mut B>,
    limits: BodyLimits,
) -> Result<(Call, Attribution), Failure>
where
    B: Body<Data = Bytes>,
{
    let form = check_media_type(endpoint, headers)?;
    let limit = if form.is_some() { limits.form } else { limits.json };
    let bytes = read_whole(headers, body, limit, limits.idle).await?;
    let addressed = Addressed::of(uri.path(), uri.query());
    let call = match form {
        Some(content_type) => Call::read_form(endpoint, content_type, bytes)?,
        None => Call::read_at(endpoint, addressed.as_ref(), bytes)?,
    };
    let call = call.with_head(head(endpoint, headers)?);
    let attribution = Attribution {
        user: header_text(headers, USER_HEADER).or_else(|| call.user().map(shorten)),
        feature: header_text(headers, FEATURE_HEADER).or_else(|| call.feature().map(shorten)),
        run: header_text(headers, RUN_HEADER)
            .or_else(|| call.run().map(shorten))
            .or_else(|| header_text(headers, SESSION_HEADER)),
        // What nobody can say of themselves: it is known by the key.
        app: None,
    };
    Ok((call, attribution))
}

/// The headers that belong to the call and go upstream with it.
fn head(endpoint: Endpoint, headers: &HeaderMap) -> Result<Vec<(&'static str, String)>, BadRequest> {
    let mut head = Vec::new();
    for name in endpoint.head() {
        let values: Result<Vec<_>, _> = headers.get_all(*name).iter().map(|value| value.to_str()).collect();
        let values = values.map_err(|_| BadRequest::header(name, "it holds what is no text"))?;
        if !values.is_empty() {
            head.push((*name, values.join(",")));
        } else if endpoint.requires(name) {
            return Err(BadRequest::header(name, "header is required"));
        }
    }
    Ok(head)
}

/// Refuses what an endpoint does not take; answers the whole type of a form.
fn check_media_type(endpoint: Endpoint, headers: &HeaderMap) -> Result<Option<&str>, BodyFailure> {
    let told = headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    let essence = told.and_then(|told| told.split(';').next()).unwrap_or_default().trim();
    let is_form = essence.eq_ignore_ascii_case("multipart/form-data");
    let is_json = told.is_none()
        || essence.eq_ignore_ascii_case("application/json")
        || essence.len() > 5 && essence[essence.len() - 5..].eq_ignore_ascii_case("+json");
    if !(is_form && endpoint.takes_form() || is_json && endpoint.takes_json()) {
        let found = if told.is_none() { "none".to_owned() } else { essence.chars().take(64).collect() };
        return Err(BodyFailure::MediaType { found, endpoint });
    }
    let form = told.filter(|_| is_form);
    match headers.get(CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?")) {
        None => Ok(form),
        Some(encoding) if encoding.eq_ignore_ascii_case("identity") => Ok(form),
        Some(encoding) => Err(BodyFailure::Encoding(encoding.chars().take(64).collect())),
    }
}

/// How long a whole body may take: at 45 KB a second the largest one comes in time, and nobody can hold a place open for
/// ever by sending a byte now and then.
const BODY_TIME_MAX: Duration = Duration::from_secs(600);

/// Collects the body. A body that arrives in one piece is taken as it is; only several pieces are joined.
async fn read_whole<B>(
    headers: &HeaderMap,
    mut body: Pin<&mut B>,
    limit: Limit,
    idle: Duration,
) -> Result<Bytes, BodyFailure>
where
    B: Body<Data = Bytes>,
{
    let declared = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > limit.bytes) {
        return Err(BodyFailure::TooLarge(limit));
    }
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    let deadline = Instant::now() + BODY_TIME_MAX;
    loop {
        let wait = idle.min(deadline.saturating_duration_since(Instant::now()));
        let frame =
            tokio::time::timeout(wait, body.frame()).await.map_err(|_| BodyFailure::Slow { idle: wait })?;
        let Some(frame) = frame else { break };
        let Ok(data) = frame.map_err(|_| BodyFailure::Broken)?.into_data() else { continue };
        let so_far = first.len() + joined.len();
        if (so_far + data.len()) as u64 > limit.bytes {
            return Err(BodyFailure::TooLarge(limit));
        }
        if so_far == 0 {
            first = data;
        } else {
            if joined.is_empty() {
                // The declared length is at most the limit; a body without one grows as it comes.
                joined.reserve(
                    declared
                        .map_or(0, |length| usize::try_from(length).unwrap_or(0))
                        .max(so_far + data.len()),
                );
                joined.extend_from_slice(&std::mem::take(&mut first));
            }
            joined.extend_from_slice(&data);
        }
        if body.is_end_stream() {
            break;
        }
    }
    Ok(if joined.is_empty() { first } else { joined.freeze() })
}

/// A refused request's body is read and forgotten up to here, so that its sender comes to read the answer.
const DISCARD_BYTES_MAX: u64 = 64 * 1024 * 1024;
const DISCARD_TIME_MAX: Duration = Duration::from_secs(5);

/// Reads what is left of a body and forgets it; answers whether it ended within bounds of size and time.
pub async fn discard<B: Body<Data = Bytes>>(mut body: Pin<&mut B>) -> bool {
    let rest = async {
        let mut discarded = 0;
        while !body.is_end_stream() && discarded < DISCARD_BYTES_MAX {
            match body.frame().await {
                Some(Ok(frame)) => discarded += frame.data_ref().map_or(0, |data| data.len() as u64),
                Some(Err(_)) => return false,
                None => return true,
            }
        }
        body.is_end_stream()
    };
    tokio::time::timeout(DISCARD_TIME_MAX, rest).await.unwrap_or(false)
}

fn header_text(headers: &HeaderMap, name: &str) -> Option<Box<str>> {
    let text = headers.get(name)?.to_str().ok()?.trim();
    (!text.is_empty()).then(|| shorten(text))
}

/// The text, cut at a character boundary so that no caller can fill the books.
fn shorten(text: &str) -> Box<str> {
    let mut end = text.len().min(ATTRIBUTION_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Box::from(&text[..end])
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use http_body_util::{Full, StreamBody};
    use hyper::body::Frame;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn media_types() {
        const CHAT: Endpoint = Endpoint::Chat;
        const FORM: &str = "multipart/form-data; boundary=x";
        for (endpoint, pairs, accepted) in [
            (CHAT, vec![], Some(None)),
            (CHAT, vec![("content-type", "application/json")], Some(None)),
            (CHAT, vec![("content-type", "Application/JSON; charset=utf-8")], Some(None)),
            (CHAT, vec![("content-type", "application/vnd.api+json")], Some(None)),
            (CHAT, vec![("content-type", "text/plain")], None),
            (CHAT, vec![("content-type", FORM)], None),
            (CHAT, vec![("content-encoding", "gzip")], None),
            (CHAT, vec![("content-encoding", "identity")], Some(None)),
            (Endpoint::Transcriptions, vec![("content-type", FORM)], Some(Some(FORM))),
            (Endpoint::Transcriptions, vec![("content-type", "application/json")], None),
            (Endpoint::Transcriptions, vec![], None),
            (Endpoint::ImageEdits, vec![("content-type", FORM)], Some(Some(FORM))),
            (Endpoint::ImageEdits, vec![("content-type", "application/json")], Some(None)),
        ] {
            let headers = headers(&pairs);
            assert_eq!(check_media_type(endpoint, &headers).ok(), accepted, "{endpoint:?} {pairs:?}");
        }
    }

    #[tokio::test]
    async fn bodies_are_joined_and_bounded() {
        let idle = Duration::from_secs(5);
        let limit = |bytes| Limit { bytes, setting: "it" };
        let one = Full::new(Bytes::from_static(b"0123456789"));
        assert_eq!(
            read_whole(&HeaderMap::new(), pin!(one.clone()), limit(10), idle).await.unwrap(),
            "0123456789"
        );
        assert!(matches!(
            read_whole(&HeaderMap::new(), pin!(one.clone()), limit(9), idle).await,
            Err(BodyFailure::TooLarge(_))
        ));
        let declared = headers(&[("content-length", "11")]);
        assert!(matches!(
            read_whole(&declared, pin!(one), limit(10), idle).await,
            Err(BodyFailure::TooLarge(_))
        ));
        let pieces = ["ab", "", "cd", "e"]
            .map(|piece| Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(piece.as_bytes()))));
        let body = StreamBody::new(Pieces(pieces.into_iter().collect()));
        assert_eq!(read_whole(&HeaderMap::new(), pin!(body), limit(5), idle).await.unwrap(), "abcde");
    }

    struct Pieces(std::collections::VecDeque<Result<Frame<Bytes>, std::io::Error>>);

    impl futures_core::Stream for Pieces {
        type Item = Result<Frame<Bytes>, std::io::Error>;
        fn poll_next(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Self::Item>> {
            std::task::Poll::Ready(self.0.pop_front())
        }
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        assert_eq!(shorten("short").as_ref(), "short");
        let long = "é".repeat(100);
        assert_eq!(shorten(&long).len(), 128);
        let odd = format!("x{long}");
        assert_eq!(shorten(&odd).len(), 127);
    }
}
