//! What the addresses of calls tell.

use crate::{Addressed, Endpoint, Framing, percent_decode};

#[test]
fn an_address_tells_geminis_model_and_framing() {
    for (path, query, endpoint, told) in [
        ("/v1beta/models/m:generateContent", None, Endpoint::GenerateContent, ("m", Framing::Whole)),
        ("/v1/models/m:generateContent", Some("alt=sse"), Endpoint::GenerateContent, ("m", Framing::Whole)),
        ("/v1beta/models/m:streamGenerateContent", None, Endpoint::GenerateContent, ("m", Framing::Array)),
        (
            "/v1beta/models/m:streamGenerateContent",
            Some("alt=json"),
            Endpoint::GenerateContent,
            ("m", Framing::Array),
        ),
        (
            "/v1/models/a/b:free:streamGenerateContent",
            Some("x=1&alt=sse"),
            Endpoint::GenerateContent,
            ("a/b:free", Framing::Events),
        ),
        (
            "/v1beta/models/a%2Fb%3Ffault=429:countTokens",
            None,
            Endpoint::CountContent,
            ("a/b?fault=429", Framing::Whole),
        ),
        ("/v1beta/models/:generateContent", None, Endpoint::GenerateContent, ("", Framing::Whole)),
    ] {
        assert_eq!(Endpoint::at(path), Some(endpoint), "{path}");
        let (model, framing) = told;
        assert_eq!(
            Addressed::of(path, query),
            Some(Addressed { model: model.to_owned(), framing }),
            "{path}"
        );
    }
    for path in [
        "/v1beta/models/m",
        "/v1beta/models/m:embedContent",
        "/v2/models/m:generateContent",
        "/v1/models/a:free",
        "/v1/chat/completions",
    ] {
        assert_eq!(Addressed::of(path, None), None, "{path}");
    }
}

#[test]
fn names_in_paths_are_decoded() {
    for (path, name) in [
        ("gpt-4o", "gpt-4o"),
        ("a%2Fb", "a/b"),
        ("a/b:free", "a/b:free"),
        ("100%", "100%"),
        ("%zz%4", "%zz%4"),
        ("%ff", "\u{fffd}"),
    ] {
        assert_eq!(percent_decode(path), name);
    }
}
