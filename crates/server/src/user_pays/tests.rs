//! Addresses, challenges and codes, by tables. The flow itself is tested with the administration's house.

use std::sync::atomic::{AtomicU64, Ordering};

use domain::{ConsentId, Ids, OrganizationId, Timestamp};

use super::callback::Callback;
use super::challenge::{Challenge, Method, base64url};
use super::codes::{Codes, Waiting};
use super::subscriber;

#[test]
fn addresses_lead_where_they_seem_to() {
    for (url, origin, app) in [
        ("https://app.example", "https://app.example", "https://app.example"),
        ("HTTPS://App.Example:443/a?b=c", "https://app.example", "https://app.example"),
        ("https://app.example:8443/", "https://app.example:8443", "https://app.example:8443"),
        ("http://localhost:5173/callback", "http://localhost:5173", "http://localhost"),
        ("http://127.0.0.1:80/", "http://127.0.0.1", "http://127.0.0.1"),
        ("http://[::1]:51004/back", "http://[::1]:51004", "http://[::1]"),
        ("http://[::1]/", "http://[::1]", "http://[::1]"),
        ("https://[::1]:443?a=b", "https://[::1]", "https://[::1]"),
        ("https://localhost:3000/", "https://localhost:3000", "https://localhost"),
        ("https://203.0.113.9/", "https://203.0.113.9", "https://203.0.113.9"),
        ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ] {
        let read = Callback::read(url).unwrap();
        assert_eq!((read.url.as_str(), read.origin.as_str(), read.app.as_str()), (url, origin, app));
    }
}

#[test]
fn addresses_that_mislead_are_refused() {
    let long = format!("https://app.example/{}", "x".repeat(2_048));
    let long_host = format!("https://{}.example/", "x".repeat(130));
    for url in [
        "",
        "app.example",
        "//app.example",
        "/back",
        "javascript:alert(1)//https://",
        "data:text/html,x",
        "myapp://back",
        "http://app.example/",
        "http://localhost.example/",
        "http://127.0.0.1.example/",
        "http://0x7f.1/",
        "http://2130706433/",
        "http://127.1/",
        "http://[::1",
        "http://[::1]x/",
        "http://[::1]:/",
        "http://[::1]:0/",
        "http://[::1]:80:80/",
        "http://[::1].example/",
        "http://user@[::1]/",
        "http://::1/",
        "http://[::2]/",
        "http://[0:0:0:0:0:0:0:1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::1%25lo]/",
        "https://[2001:db8::1]/",
        "https://",
        "https:///path",
        "https://user@app.example/",
        "https://user:pass@app.example/",
        "https://app.example@evil.example/",
        "https://app.example\\@evil.example/",
        "https://app.example\\.evil.example/",
        "https://app.example/#fragment",
        "https://app.example/a b",
        "https://app.example/\r\nset-cookie: x",
        "https://app.example/\"onload=x",
        "https://app.example/<b>",
        "https://bücher.example/",
        "https://app.example:/",
        "https://app.example:0/",
        "https://app.example:65536/",
        "https://app.example:80:80/",
        "https://app.example:+80/",
        "https://-app.example/",
        "https://app..example/",
        "https://app.example./",
        "https://app_example/",
        "https://app.example;x/",
        "https://*.example/",
        "https://a.example,b.example/",
        &long,
        &long_host,
    ] {
        assert!(Callback::read(url).is_err(), "{url} was taken");
    }
}

#[test]
fn a_policy_names_the_origin_where_it_can() {
    for (url, source) in [
        ("https://app.example:8443/back", "https://app.example:8443"),
        ("http://localhost:1/", "http://localhost:1"),
        ("http://127.0.0.1:1/", "http://127.0.0.1:1"),
        ("http://127.0.0.2:1/", "http:"),
        ("http://[::1]:1/", "http:"),
        ("https://[::1]/", "https:"),
        ("https://203.0.113.9/", "https:"),
    ] {
        assert_eq!(Callback::read(url).unwrap().source(), source, "{url}");
    }
}

#[test]
fn members_are_added_to_what_is_there() {
    for (url, with) in [
        ("https://a.example", "https://a.example?code=a%26b"),
        ("https://a.example/?", "https://a.example/?code=a%26b"),
        ("https://a.example/?x=1", "https://a.example/?x=1&code=a%26b"),
        ("https://a.example/?x=1&", "https://a.example/?x=1&code=a%26b"),
    ] {
        assert_eq!(Callback::read(url).unwrap().with(&[("code", "a&b")]), with);
    }
}

#[test]
fn an_operators_list_is_of_origins() {
    for (list, url, listed) in [
        (&[][..], "https://any.example/", true),
        (&["https://app.example"], "https://app.example/back", true),
        (&["https://app.example"], "https://app.example:8443/back", false),
        (&["https://app.example"], "https://app.example.evil.example/", false),
        (&["https://app.example"], "https://sub.app.example/", false),
        (&["https://app.example"], "http://localhost:1/", false),
        (&["http://localhost"], "http://localhost:1/", true),
        (&["http://localhost:1"], "http://localhost:1/", true),
        (&["http://localhost:1"], "http://localhost:2/", false),
        (&["http://[::1]"], "http://[::1]:1/", true),
        (&["http://[::1]:1"], "http://[::1]:2/", false),
        (&["http://127.0.0.1"], "http://[::1]:1/", false),
    ] {
        let list: Vec<String> = list.iter().map(|text| Callback::read_origin(text).unwrap()).collect();
        assert_eq!(Callback::read(url).unwrap().is_listed(&list), listed, "{list:?} {url}");
    }
    for wrong in ["app.example", "https://app.example/", "https://app.example:443", "https://*.example"] {
        assert!(Callback::read_origin(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn base64_as_in_rfc_4648() {
    for (bytes, text) in [
        (&b""[..], ""),
        (b"f", "Zg"),
        (b"fo", "Zm8"),
        (b"foo", "Zm9v"),
        (b"foobar", "Zm9vYmFy"),
        (&[0xfb, 0xff, 0xfe], "-__-"),
    ] {
        assert_eq!(base64url(bytes), text);
    }
}

#[test]
fn challenges_are_met_by_their_verifiers_alone() {
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let hashed = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    for (text, method, met_by) in [
        (hashed, Some(Method::S256), verifier),
        ("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM=", Some(Method::S256), verifier),
        (verifier, Some(Method::Plain), verifier),
        (verifier, None, verifier),
    ] {
        let challenge = Challenge::read(text, method).unwrap();
        assert!(challenge.is_of(met_by), "{text}");
        for other in ["", hashed, &verifier[1..], &verifier.to_lowercase()] {
            assert_eq!(challenge.is_of(other), other == met_by, "{text} {other}");
        }
    }
    for (text, method) in [
        ("", Some(Method::S256)),
        ("short", Some(Method::S256)),
        (&"x".repeat(44), Some(Method::S256)),
        ("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM", Some(Method::S256)),
        (&"x".repeat(42), Some(Method::Plain)),
        (&"x".repeat(129), Some(Method::Plain)),
        ("too short to be guessed", None),
    ] {
        assert!(Challenge::read(text, method).is_err(), "{text} {method:?}");
    }
}

/// Numbers in place of chance.
#[derive(Default)]
struct Counting(AtomicU64);

impl Ids for Counting {
    fn uuid(&self) -> [u8; 16] {
        u128::from(self.0.fetch_add(1, Ordering::Relaxed)).to_be_bytes()
    }

    fn secret(&self) -> [u8; 32] {
        *blake3::hash(&self.uuid()).as_bytes()
    }
}

#[test]
fn a_code_is_good_once_and_until_its_time() {
    let (codes, ids) = (Codes::default(), Counting::default());
    let at = Timestamp::from_micros;
    let waiting = Waiting {
        organization: OrganizationId::from_bytes([1; 16]),
        consent: ConsentId::from_bytes([2; 16]),
        origin: "https://app.example".to_owned(),
        challenge: None,
        until: at(10),
    };
    let [first, second] = [(); 2].map(|()| codes.issue(waiting.clone(), &ids));
    assert_ne!(first, second);
    assert!(codes.take("nonsense", at(0)).is_none());
    assert_eq!(codes.take(&first, at(9)).unwrap().consent, waiting.consent);
    assert!(codes.take(&first, at(9)).is_none());
    assert!(codes.take(&second, at(10)).is_none());
    // There is room for so many, and again when their time is over.
    assert!(codes.has_room(at(0)));
    (0..10_000).for_each(|_| drop(codes.issue(waiting.clone(), &ids)));
    assert!(!codes.has_room(at(9)));
    assert!(codes.has_room(at(10)));
}

#[test]
fn subscribers_are_told_apart() {
    let of = |text: &str| subscriber(text.parse().ok());
    assert_ne!(of("203.0.113.1"), of("203.0.113.2"));
    assert_eq!(of("::ffff:203.0.113.1"), of("203.0.113.1"));
    assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
    assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    assert_eq!(subscriber(None), of("unknown"));
}
