//! What Gemini's clients do otherwise at the front door: they may put their key into the address, and their models have
//! a path of their own.
//!
//! It must never let a key stay in an address, which others log.

use dialect::percent_decode;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Request, Uri};

/// Where Google's clients put the key.
const X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");
/// What Google's clients say of themselves.
const X_GOOG_API_CLIENT: HeaderName = HeaderName::from_static("x-goog-api-client");

/// Where models are listed, below which each has its own path.
pub(crate) const MODELS: [&str; 2] = ["/v1beta/models", "/v1/models"];

/// Whether whoever sent this is a client of Google's.
pub(crate) fn is_sender<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    headers.contains_key(X_GOOG_API_KEY) || headers.contains_key(X_GOOG_API_CLIENT)
}

/// Takes the keys out of the address of a call to a model and puts them into the header: two that differ are told as
/// such later. `key=` is Google's alone, so that no other client's parameter is touched.
pub(crate) fn take_key<B>(request: &mut Request<B>) {
    let uri = request.uri();
    let query = uri.query().unwrap_or_default();
    let is_key = |pair: &&str| pair.starts_with("key=");
    if !MODELS.iter().any(|models| uri.path().starts_with(models))
        || !query.split('&').any(|pair| is_key(&pair))
    {
        return;
    }
    let keys: Vec<String> = query
        .split('&')
        .filter(is_key)
        .filter_map(|pair| pair.split_once('='))
        .map(|(_, key)| percent_decode(key))
        .collect();
    let others: Vec<&str> = query.split('&').filter(|pair| !is_key(pair)).collect();
    let path = if others.is_empty() {
        uri.path().to_owned()
    } else {
        format!("{}?{}", uri.path(), others.join("&"))
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(path).ok();
    // Parts of an address make one again, less its key.
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    let headers = request.headers_mut();
    for key in keys {
        // What no header can carry is no key of ours.
        let mut value = HeaderValue::try_from(key).unwrap_or(HeaderValue::from_static("-"));
        value.set_sensitive(true);
        if headers.get(X_GOOG_API_KEY) != Some(&value) {
            headers.append(X_GOOG_API_KEY, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_the_address_becomes_a_header() {
        for (uri, header, left, keys) in [
            ("/v1beta/models/m:generateContent?key=k", None, "/v1beta/models/m:generateContent", vec!["k"]),
            ("/v1beta/models?a=b&key=k%2D1&alt=sse", None, "/v1beta/models?a=b&alt=sse", vec!["k-1"]),
            ("/v1/models/m:countTokens?key=k", Some("k"), "/v1/models/m:countTokens", vec!["k"]),
            ("/v1/models?key=k", Some("other"), "/v1/models", vec!["other", "k"]),
            ("/v1/models?key=k&key=l", None, "/v1/models", vec!["k", "l"]),
            ("/v1/models?key=%0A", None, "/v1/models", vec!["-"]),
            ("/v1beta/models?monkey=k", None, "/v1beta/models?monkey=k", vec![]),
            ("/admin/v1/keys?key=k", None, "/admin/v1/keys?key=k", vec![]),
        ] {
            let mut request = Request::get(uri).body(()).unwrap();
            if let Some(header) = header {
                request.headers_mut().insert(X_GOOG_API_KEY, HeaderValue::from_static(header));
            }
            take_key(&mut request);
            assert_eq!(request.uri().to_string(), left);
            let got: Vec<_> =
                request.headers().get_all(X_GOOG_API_KEY).iter().map(|key| key.to_str().unwrap()).collect();
            assert_eq!(got, keys, "{uri}");
        }
    }
}
