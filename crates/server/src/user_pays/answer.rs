//! Answers to browsers: pages that nothing runs in and nobody frames, and ways back to an app.

use std::sync::LazyLock;

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, LOCATION, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use bytes::Bytes;

use aws_lc_rs::digest::{SHA256, digest};

use super::callback::Callback;
use super::challenge::base64url;
use super::page::{self, STYLE};

/// The one style that the pages have, by its hash.
static STYLE_SOURCE: LazyLock<String> = LazyLock::new(|| {
    let hash = base64url(digest(&SHA256, STYLE.as_bytes()).as_ref());
    format!("'sha256-{}='", hash.replace('-', "+").replace('_', "/"))
});

/// What a browser gets.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// A page. Its form may lead back to the app at this origin, or by this scheme.
    Page { status: u16, html: String, leads_to: Option<String> },
    /// The way to an address of an app that was checked.
    Back(String),
}

impl Shown {
    /// A page that says what is wrong and leads nowhere.
    pub(super) fn problem(status: u16, text: &str) -> Self {
        Self::Page { status, html: page::problem(text), leads_to: None }
    }

    /// Back to the app with these members, and the state that it gave.
    pub(super) fn back(callback: &Callback, members: &[(&str, &str)], state: Option<&str>) -> Self {
        let mut members = members.to_vec();
        members.extend(state.map(|state| ("state", state)));
        Self::Back(callback.with(&members))
    }

    pub(super) fn into_response(self) -> Response<Bytes> {
        let (status, body, leads_to, location) = match self {
            Self::Page { status, html, leads_to } => (status, html, leads_to, None),
            Self::Back(location) => (303, String::new(), None, Some(location)),
        };
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        // Browsers apply form-action to the redirect that answers a form, too, so the app must be in it.
        let policy = format!(
            "default-src 'none'; style-src {}; form-action 'self' {}; base-uri 'none'; frame-ancestors 'none'",
            *STYLE_SOURCE,
            leads_to.unwrap_or_default()
        );
        // Both were read letter by letter: an origin and an address hold nothing that a header cannot.
        if let Ok(policy) = HeaderValue::from_str(&policy) {
            headers.insert(CONTENT_SECURITY_POLICY, policy);
        }
        if let Some(location) = location.and_then(|location| HeaderValue::from_str(&location).ok()) {
            headers.insert(LOCATION, location);
        }
        response
    }
}

/// Whether a form may have come from one of our own pages. What browsers say of it is taken; who sends none of these
/// headers is no browser that somebody else could misuse, and every form asks for the key anyway.
pub(super) fn is_from_here(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("?"));
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    // A page without a referrer says `null` (https://fetch.spec.whatwg.org/#append-a-request-origin-header), and ours
    // have none.
    match (text(ORIGIN.as_str()), text(HOST.as_str())) {
        (None | Some("null"), _) => true,
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, from)| from == host),
        (Some(_), None) => false,
    }
}
