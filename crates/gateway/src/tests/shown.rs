//! What callers are shown of the access that a call was made by, where they ask for it.

use directory::{DataClass, InFlight};
use domain::Timestamp;
use http::{HeaderMap, HeaderValue};

use super::contract::{checked, covering};
use super::house::{House, Script, answer};
use crate::shown::{asks_for_access, words};
use crate::{Contract, Verified};

#[test]
fn what_is_asked_for() {
    for (values, expected) in [
        (&[][..], Ok(false)),
        (&[""], Ok(false)),
        (&["access"], Ok(true)),
        (&[" Access , "], Ok(true)),
        (&["access", "access"], Ok(true)),
        (&["access,price"], Err("`price` cannot be shown; write `access`")),
        (&["access", "\u{e9}"], Err("`?` cannot be shown")),
    ] {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("x-tollkeeper-show", HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        match (asks_for_access(&headers), expected) {
            (Ok(asks), Ok(expected)) => assert_eq!(asks, expected, "{values:?}"),
            (Err(error), Err(expected)) => assert!(error.message.contains(expected), "{error}"),
            (found, expected) => panic!("{values:?}: {found:?}, not {expected:?}"),
        }
    }
}

#[test]
fn a_contract_in_a_header_is_ascii_short_and_says_how_old_it_is() {
    let now: Timestamp = "2026-11-22".parse().unwrap();
    let shown = |owner: &str, verified| {
        let contract = covering(DataClass::Internal, false, verified);
        words(&Contract { owner: owner.to_owned(), ..contract }, now)
    };
    let fresh =
        |owner: &str| shown(owner, Verified::On { day: "2026-11-01".parse().unwrap(), days_max: 180 });
    assert_eq!(fresh("Example Ltd"), "Example Ltd; verified 2026-11-01");
    assert_eq!(fresh("Gr\u{fc}n; stale\r\nx: y"), "Gr?n, stale??x: y; verified 2026-11-01");
    assert_eq!(fresh(&"o".repeat(500)), format!("{}; verified 2026-11-01", "o".repeat(80)));
    assert!(HeaderValue::try_from(fresh("\u{0}\u{7f}")).is_ok());
    assert_eq!(shown("us", Verified::Always), "us; nothing to verify");
    assert!(shown("us", checked(1_000)).ends_with("; stale"));
}

#[tokio::test]
async fn answers_tell_it_to_whoever_asks_whole_and_streamed_and_to_nobody_else() {
    for (stream, script) in [(false, answer(5)), (true, Script::Stream { tokens: 5, counts: 5 })] {
        let house = House::new(InFlight::Completes, 1_000_000_000, script).await;
        let body =
            format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}],"stream":{stream}}}"#);
        let asking: &[(&str, &str)] = &[("x-tollkeeper-show", "access")];
        for (number, headers, shown) in [(1, &[][..], false), (2, asking, true)] {
            let got = house.call_with(number, &body, headers).await;
            assert_eq!(got.status, 200, "{}", got.body);
            let told = |name| got.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
            let expected = |value: &str| shown.then(|| value.to_owned());
            assert_eq!(told("x-tollkeeper-access-class"), expected("direct"), "{stream}");
            assert_eq!(told("x-tollkeeper-payer"), expected("organization"), "{stream}");
            assert_eq!(told("x-tollkeeper-contract").is_some(), shown, "{stream}");
        }
        let wrong: &[(&str, &str)] = &[("x-tollkeeper-show", "everything")];
        let got = house.call_with(3, &body, wrong).await;
        assert_eq!(got.status, 400, "{}", got.body);
        assert!(got.body.contains("x-tollkeeper-show") && house.bodies().len() == 2, "{}", got.body);
    }
}
