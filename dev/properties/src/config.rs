//! What must hold of every text that an operator, an administrator or a header gives: it is a value or a refusal that
//! says something, a value is written so that it is read again, and nothing that is told makes a number overflow.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use aws_lc_rs::hmac;
use dialect::{Addressed, Endpoint, percent_decode};
use directory::{KeyKind, Secret, mask, scan};
use domain::{Country, Money, ServiceTier, Timestamp, Zone};
use gateway::{BreakerRules, Health};
use http::{HeaderMap, HeaderName, HeaderValue};
use payments::stripe::{Mode, Webhook};
use secrecy::SecretString;
use server::config::{Config, Environment};
use server::statement::Month;

use crate::input::Input;

/// The moment at which all of this happens.
const NOW: Timestamp = Timestamp::from_micros(1_763_000_000_000_000);
/// The secret of a webhook, which is signed with it.
const WEBHOOK_SECRET: &str = "whsec_0123456789abcdef0123456789abcdef";
/// No provider is believed to want no call for longer, in milliseconds.
const CLOSED_MS_MAX: u64 = 600_000;

/// Bytes as a text, with one byte that chooses what: a configuration, a word, a key of ours, an address, headers of a
/// provider's, or a webhook.
pub fn config(data: &[u8]) {
    let mut input = Input(data);
    let kind = input.byte();
    let Some(text) = input.text() else { return };
    match kind {
        0 => check_config(text),
        1 => check_words(text),
        2 => check_keys(text),
        3 => check_address(text),
        4 => check_headers(text),
        5 => check_webhook(text),
        _ => {}
    }
}

fn check_config(text: &str) {
    let environment =
        Environment::from([("OPENAI_API_KEY", "sk-test"), ("STRIPE_KEY", "sk_test_0123456789")]);
    match Config::parse(text, &environment, NOW) {
        Ok(config) => assert!(!format!("{config:?}").contains("sk-test"), "a secret is shown"),
        Err(mistakes) => {
            assert!(!mistakes.0.is_empty() && mistakes.0.iter().all(|mistake| !mistake.is_empty()));
            assert!(!mistakes.to_string().contains("sk-test"), "a secret is shown: {mistakes}");
        }
    }
}

/// What is read is written so that it is read again as the same.
fn check<T>(text: &str)
where
    T: FromStr<Err: Display> + Display + PartialEq + Debug,
{
    match text.parse::<T>() {
        Ok(value) => {
            let written = value.to_string();
            let again = written.parse::<T>();
            assert!(again.is_ok_and(|again| again == value), "{text:?} is written {written:?}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn check_words(text: &str) {
    check::<Money>(text);
    check::<Timestamp>(text);
    check::<Zone>(text);
    check::<Country>(text);
    check::<ServiceTier>(text);
    check::<Month>(text);
    check::<limits::Measure>(text);
    check::<domain::OrganizationId>(text);
    check::<domain::KeyId>(text);
    check::<domain::TopUpId>(text);
    check::<directory::Environment>(text);
    check::<directory::DataClass>(text);
    check::<directory::Scope>(text);
    let _ = ServiceTier::of_wire(text);
    let (pattern, name) = text.split_once('\n').unwrap_or((text, text));
    let fits = domain::name_fits(pattern, name);
    assert!(fits || pattern != name, "{pattern:?} does not fit itself");
}

/// A key of ours is never shown whole, and nothing else is one.
fn check_keys(text: &str) {
    let masked = mask(text);
    assert!(masked.chars().all(|sign| sign.is_ascii_graphic()), "{masked:?}");
    assert!(masked.len() <= 32 && (text.len() < 16 || masked != text), "{masked:?}");
    if let Ok(secret) = Secret::parse(text) {
        assert_eq!(KeyKind::of(text), Ok(secret.kind()));
        assert!(secret.redacted() != text && !format!("{secret:?}").contains(text));
    }
    for found in scan(text) {
        let own = text.get(found.range.clone());
        assert_eq!(own.and_then(|own| KeyKind::of(own).ok()), Some(found.kind), "{found:?}");
        assert!(own != Some(&found.redacted), "{found:?}");
    }
    let finding = format!("{:?}", server::key_text(text));
    assert!(text.len() < 16 || !finding.contains(text), "the key is shown in {finding}");
}

fn check_address(text: &str) {
    let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
    let decoded = percent_decode(text);
    assert!(decoded.len() <= text.len() * 3, "{text:?} becomes {decoded:?}");
    assert!(text.contains('%') || decoded == text, "{text:?} becomes {decoded:?}");
    let addressed = Addressed::of(path, query);
    let endpoint = Endpoint::at(path);
    let is_addressed = matches!(endpoint, Some(Endpoint::GenerateContent | Endpoint::CountContent));
    assert_eq!(addressed.is_some(), is_addressed, "{path:?}");
}

/// Headers, a line each, as a provider's answer of any status has them.
fn check_headers(text: &str) {
    let mut headers = HeaderMap::new();
    for (name, value) in text.lines().filter_map(|line| line.split_once(": ")).take(32) {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            headers.append(name, value);
        }
    }
    for status in [200, 429, 503] {
        for now_us in [0, u64::MAX] {
            let health = Health::default();
            let wait = health.told(&headers, status, now_us, NOW);
            let look = health.look(&BreakerRules::default(), now_us, u64::MAX);
            assert!(look.closed_ms <= CLOSED_MS_MAX, "{look:?}");
            assert!(status != 200 || look.closed_ms == 0, "{wait:?} after an answer: {look:?}");
        }
    }
}

/// The first line is the signature's header and the rest the body; the body once more, signed as it must be.
fn check_webhook(text: &str) {
    let secret = SecretString::from(WEBHOOK_SECRET);
    let webhook = Webhook::new(&[secret], Mode::Test, 300).expect("a secret of ours");
    let (header, body) = text.split_once('\n').unwrap_or(("", text));
    let answer = webhook.verify(header, body.as_bytes(), NOW);
    assert!(!answer.is_err_and(|error| error.to_string().is_empty()));
    let time = NOW.seconds();
    let key = hmac::Key::new(hmac::HMAC_SHA256, WEBHOOK_SECRET.as_bytes());
    let tag = hmac::sign(&key, format!("{time}.{body}").as_bytes());
    let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    match webhook.verify(&format!("t={time},v1={digits}"), body.as_bytes(), NOW) {
        Ok(event) => assert!(!format!("{event:?}").is_empty()),
        Err(error) => assert!(error.is_authentic() && !error.to_string().is_empty(), "{error}"),
    }
}
