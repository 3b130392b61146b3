//! Calls from pages of other origins (CORS, <https://fetch.spec.whatwg.org/#http-cors-protocol>): an app that runs in its
//! user's browser fetches its key and calls with it from there.
//!
//! It knows which origins may, as far as the operator lets apps ask for consent, and which paths. There are no cookies
//! here, so a page of another origin can do nothing that its own server could not: a call is paid by whoever's key it
//! brings. The administration and the pages of consent are never answered across origins.

use dialect::Endpoint;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};

use crate::openrouter;
use crate::user_pays::UserPaysSettings;
use crate::user_pays::callback::Callback;

/// What a page may read of an answer besides its body.
const EXPOSED: &str = "x-request-id, retry-after, retry-after-ms, x-should-retry, x-ratelimit-limit-requests, \
     x-ratelimit-remaining-requests, x-ratelimit-reset-requests, x-ratelimit-limit-tokens, \
     x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens";
/// Paths of OpenRouter's that are for an app.
const OF_APPS: [&str; 3] = ["/api/v1/auth/keys", "/api/v1/key", "/api/v1/generation"];

/// The origin of a page that may read the answer to this request.
pub(crate) fn allowed<B>(settings: &UserPaysSettings, request: &Request<B>) -> Option<HeaderValue> {
    let path = request.uri().path();
    let is_for_apps = Endpoint::at(path).is_some()
        || openrouter::endpoint(path).is_some()
        || OF_APPS.contains(&path)
        || path == "/v1/models"
        || path.starts_with("/v1/models/");
    if !settings.enabled || !is_for_apps {
        return None;
    }
    let origin = request.headers().get(ORIGIN)?;
    let known = Callback::read(origin.to_str().ok()?).ok()?;
    known.is_listed(&settings.origins).then(|| origin.clone())
}

/// Whether a browser asks if it may call, rather than calling.
pub(crate) fn is_question<B>(request: &Request<B>) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a browser that asks if it may call.
pub(crate) fn answer<B: Default>(question: &HeaderMap) -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    // Whatever SDKs say of themselves: there is none that gives a page more than its key does.
    if let Some(wanted) = question.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    response
}

/// Lets the page of this origin read an answer.
pub(crate) fn admit(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    headers.append(VARY, HeaderValue::from_static("origin"));
}

#[cfg(test)]
mod tests {
    use gateway::ConsentedCaps;

    use super::*;

    fn settings(enabled: bool, origins: &[&str]) -> UserPaysSettings {
        UserPaysSettings {
            enabled,
            origins: origins.iter().map(|origin| (*origin).to_owned()).collect(),
            requires_challenge: true,
            code_seconds: 600,
            limit_max: domain::Money::MAX,
            limit_default: domain::Money::MAX,
            expires_days_max: 1,
            caps: ConsentedCaps::default(),
            attempts_per_minute: 1,
        }
    }

    #[test]
    fn pages_of_apps_call_and_nothing_else() {
        let (any, some, off) =
            (settings(true, &[]), settings(true, &["https://app.example"]), settings(false, &[]));
        for (settings, path, origin, is_allowed) in [
            (&any, "/v1/chat/completions", "https://app.example", true),
            (&any, "/api/v1/chat/completions", "http://localhost:5173", true),
            (&any, "/v1/messages", "https://app.example:8443", true),
            (&any, "/v1/models", "https://app.example", true),
            (&any, "/v1/models/sim", "https://app.example", true),
            (&any, "/api/v1/auth/keys", "https://app.example", true),
            (&any, "/api/v1/key", "https://app.example", true),
            (&any, "/api/v1/auth/keys/code", "https://app.example", false),
            (&any, "/api/v1/keys", "https://app.example", false),
            (&any, "/auth", "https://app.example", false),
            (&any, "/auth/consents", "https://app.example", false),
            (&any, "/admin/v1/organizations", "https://app.example", false),
            (&any, "/v1/organization/projects", "https://app.example", false),
            (&any, "/metrics", "https://app.example", false),
            (&any, "/v1/chat/completions", "http://app.example", false),
            (&any, "/v1/chat/completions", "null", false),
            (&some, "/v1/chat/completions", "https://app.example", true),
            (&some, "/v1/chat/completions", "https://other.example", false),
            (&some, "/v1/chat/completions", "http://localhost:1", false),
            (&off, "/v1/chat/completions", "https://app.example", false),
        ] {
            let request = Request::builder().uri(path).header("origin", origin).body(()).unwrap();
            let found = allowed(settings, &request);
            assert_eq!(found.is_some(), is_allowed, "{path} {origin}");
            assert!(found.is_none_or(|found| found == origin));
        }
        let without = Request::builder().uri("/v1/models").body(()).unwrap();
        assert!(allowed(&any, &without).is_none());
    }

    #[test]
    fn a_browser_that_asks_hears_what_it_may_send() {
        let ask = |method: &str| {
            let request = Request::builder().method(method).uri("/v1/chat/completions");
            let request = request.header("access-control-request-method", "POST");
            request.header("access-control-request-headers", "authorization,x-stainless-os").body(()).unwrap()
        };
        assert!(is_question(&ask("OPTIONS")) && !is_question(&ask("POST")));
        let plain = Request::builder().method("OPTIONS").body(()).unwrap();
        assert!(!is_question(&plain));
        let answer: Response<String> = answer(ask("OPTIONS").headers());
        assert_eq!(answer.status(), 204);
        assert_eq!(answer.headers()["access-control-allow-headers"], "authorization,x-stainless-os");
        assert!(!answer.headers().contains_key("access-control-allow-credentials"));
    }
}
