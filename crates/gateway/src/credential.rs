//! The key that came with a request, in whichever header its client puts it.
//!
//! It knows headers and how often they may stand; it must never know what a key is worth.

use domain::{Refusal, RefusalCode};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};

/// Where Anthropic's older clients put the key.
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// Where Google's clients put it. The front door puts the key of an address here, too.
const X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

/// The key that came with these headers, whatever it is worth. Clients of Anthropic's and Google's send it in any of
/// them, on any path, and some in two.
///
/// # Errors
/// When two keys came: nobody could say on whose account the call is.
pub(crate) fn presented(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let bearer = single(headers, &AUTHORIZATION).and_then(|text| {
        let (scheme, key) =
            if text.is_empty() { ("Bearer ", "") } else { text.split_at_checked("Bearer ".len())? };
        scheme.eq_ignore_ascii_case("Bearer ").then(|| key.trim())
    });
    let places = [
        ("authorization", bearer),
        ("x-api-key", single(headers, &X_API_KEY)),
        ("x-goog-api-key", single(headers, &X_GOOG_API_KEY)),
    ];
    let mut keys = places.into_iter().filter_map(|(place, key)| Some((place, key?)));
    let Some((place, key)) = keys.next() else { return Ok(None) };
    match keys.find(|(_, other)| *other != key) {
        None => Ok(Some(key)),
        Some((other, _)) => Err(two_keys(place, other)),
    }
}

fn two_keys(one: &str, other: &str) -> Refusal {
    Refusal::new(
        RefusalCode::InvalidKey,
        format!(
            "Two different API keys came with this request: one in the header `{one}`, the other in `{other}`."
        ),
        "send one key only: most clients that send two have both ANTHROPIC_AUTH_TOKEN and ANTHROPIC_API_KEY set; \
         unset the one that is not this gateway's",
    )
}

/// The text of a header. Of two headers a proxy in front of us may have looked at the other one: neither counts. One
/// that is no text holds no key of ours; an empty one is told so like any other wrong key.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    Some(if values.next().is_some() { "" } else { value.to_str().unwrap_or_default().trim() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_in_either_header() {
        for (pairs, expected) in [
            (vec![], Some(None)),
            (vec![("authorization", "Bearer k")], Some(Some("k"))),
            (vec![("authorization", "bearer  k ")], Some(Some("k"))),
            (vec![("authorization", "Basic k")], Some(None)),
            (vec![("authorization", "Bearer")], Some(None)),
            (vec![("x-api-key", " k ")], Some(Some("k"))),
            (vec![("authorization", "Basic z"), ("x-api-key", "k")], Some(Some("k"))),
            (vec![("authorization", "Bearer k"), ("x-api-key", "k")], Some(Some("k"))),
            (vec![("authorization", "Bearer k"), ("x-api-key", "other")], None),
            (vec![("authorization", "Bearer k"), ("x-api-key", "")], None),
            (vec![("x-goog-api-key", "k")], Some(Some("k"))),
            (vec![("authorization", "Bearer k"), ("x-goog-api-key", "k")], Some(Some("k"))),
            (vec![("x-api-key", "k"), ("x-goog-api-key", "other")], None),
            (vec![("authorization", "Bearer k"), ("x-api-key", "k"), ("x-goog-api-key", "other")], None),
            // Two of one name: neither counts.
            (vec![("authorization", "Bearer k"), ("authorization", "Bearer k")], Some(Some(""))),
            (vec![("x-api-key", "k"), ("x-api-key", "k")], Some(Some(""))),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in &pairs {
                headers.append(HeaderName::from_static(name), value.parse().unwrap());
            }
            assert_eq!(presented(&headers).ok(), expected, "{pairs:?}");
        }
    }
}
