//! Access tokens as Google gives them: for an assertion that a service account signed, and by the metadata server of its
//! machines.
//!
//! There is no console where a key could be made known, so the address of the endpoint tells the account's public key. A
//! token tells its own end, so that no thread has to remember it. Nothing is shared with the code that signs.

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use http::StatusCode;
use http::header::HOST;
use http::request::Parts;
use serde::Deserialize;
use serde_json::json;

/// What a token is sealed with.
const SEAL: &[u8] = b"simulated";
const PREFIX: &str = "ya29.simulated-";
/// The seconds that a token lives where nothing else is said.
const LIFE_SECONDS: i64 = 3_599;
/// How much faster than ours the clock of one who asks may be, and the longest that an assertion may be good for.
const SKEW_SECONDS: i64 = 60;
const ASSERTION_SECONDS_MAX: i64 = 3_600;
const GRANT: &str = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Why there is no token: Google's word, and its sentence.
type Refusal = (&'static str, &'static str);

#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    scope: String,
    aud: String,
    iat: i64,
    exp: i64,
}

/// The answer to a form that asks for a token with an assertion. The query tells the account's public key in base 64
/// (`key`), and how many seconds the token is to live (`expires_in`).
pub(crate) fn grant(head: &Parts, form: &[u8], now_us: i64) -> (StatusCode, String) {
    match check(head, form, now_us / 1_000_000) {
        Ok(()) => {
            let life = query(head, "expires_in").and_then(|text| text.parse().ok()).unwrap_or(LIFE_SECONDS);
            (StatusCode::OK, answer(now_us, life))
        }
        Err((word, why)) => {
            (StatusCode::BAD_REQUEST, json!({"error": word, "error_description": why}).to_string())
        }
    }
}

/// The metadata server's answer, for whoever says that it means it.
pub(crate) fn metadata(head: &Parts, now_us: i64) -> (StatusCode, String) {
    let flavor = head.headers.get("metadata-flavor");
    if flavor.is_none_or(|value| value != "Google") {
        return (StatusCode::FORBIDDEN, "Missing required header \"Metadata-Flavor\": \"Google\"".to_owned());
    }
    (StatusCode::OK, answer(now_us, LIFE_SECONDS))
}

fn answer(now_us: i64, life: i64) -> String {
    let ends = now_us.saturating_add(life.saturating_mul(1_000_000));
    json!({"access_token": format!("{PREFIX}{ends}-{}", seal(ends)), "expires_in": life, "token_type": "Bearer"})
        .to_string()
}

/// Whether this is a token of ours that lives.
pub(crate) fn is_good(token: &str, now_us: i64) -> bool {
    let parts = token.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-'));
    parts.is_some_and(|(ends, sealed)| {
        ends.parse().is_ok_and(|ends: i64| now_us < ends && seal(ends) == sealed)
    })
}

fn seal(ends: i64) -> String {
    let tag = sign(&Key::new(HMAC_SHA256, SEAL), ends.to_string().as_bytes());
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn check(head: &Parts, form: &[u8], now: i64) -> Result<(), Refusal> {
    const FORM: Refusal = ("invalid_request", "Bad Request");
    const SHAPE: Refusal = ("invalid_grant", "Invalid JWT: the assertion is not what it should be.");
    const TIMES: Refusal = (
        "invalid_grant",
        "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp \
         values in the JWT claim.",
    );
    let form = std::str::from_utf8(form).map_err(|_| FORM)?;
    let field = |name: &str| form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    if field("grant_type") != Some(GRANT) {
        return Err(("unsupported_grant_type", "Invalid grant_type"));
    }
    let assertion = field("assertion").ok_or(FORM)?;
    let (signed, signature) = assertion.rsplit_once('.').ok_or(SHAPE)?;
    let (header, claims) = signed.split_once('.').ok_or(SHAPE)?;
    let header: Header = serde_json::from_slice(&decoded(header).ok_or(SHAPE)?).map_err(|_| SHAPE)?;
    let claims: Claims = serde_json::from_slice(&decoded(claims).ok_or(SHAPE)?).map_err(|_| SHAPE)?;
    if (header.alg.as_str(), header.typ.as_str()) != ("RS256", "JWT") || claims.iss.is_empty() {
        return Err(SHAPE);
    }
    let key = query(head, "key").and_then(decoded).ok_or(FORM)?;
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key);
    let signature = decoded(signature).ok_or(SHAPE)?;
    key.verify(signed.as_bytes(), &signature).map_err(|_| ("invalid_grant", "Invalid JWT Signature."))?;
    if claims.aud != own_address(head) {
        return Err(("invalid_grant", "Invalid JWT: Failed audience check."));
    }
    if claims.scope != SCOPE {
        return Err(("invalid_scope", "Invalid OAuth scope or ID token audience provided."));
    }
    let life = claims.exp.saturating_sub(claims.iat);
    if claims.iat > now + SKEW_SECONDS || claims.exp <= now || !(1..=ASSERTION_SECONDS_MAX).contains(&life) {
        return Err(TIMES);
    }
    Ok(())
}

fn own_address(head: &Parts) -> String {
    let authority = head.uri.authority().map(ToString::to_string);
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let path = head.uri.path_and_query().map_or("", |path| path.as_str());
    format!("http://{}{path}", authority.as_deref().unwrap_or(host))
}

fn query<'a>(head: &'a Parts, name: &str) -> Option<&'a str> {
    head.uri.query()?.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// The bytes of base 64 as addresses have it (RFC 4648, section 5), without padding.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0_u32, 0);
    for letter in text.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
    use http::Request;
    use serde_json::Value;

    use super::*;

    const NOW: i64 = 1_795_316_645;

    fn base64url(bytes: &[u8]) -> String {
        let letter = |value: u32| match value {
            0..26 => char::from(b'A' + value as u8),
            26..52 => char::from(b'a' + (value - 26) as u8),
            52..62 => char::from(b'0' + (value - 52) as u8),
            62 => '-',
            _ => '_',
        };
        let groups = bytes.chunks(3).flat_map(|group| {
            let bits = (0..3).fold(0, |bits, at| bits << 8 | u32::from(*group.get(at).unwrap_or(&0)));
            (0..=group.len()).map(move |place| letter(bits >> (18 - 6 * place) & 63))
        });
        groups.collect()
    }

    #[test]
    fn base64_is_that_of_the_standard() {
        for (text, bytes) in [
            ("", Some(&b""[..])),
            ("Zg", Some(b"f")),
            ("Zm9vYmE", Some(b"fooba")),
            ("Zm9vYmFy", Some(b"foobar")),
            ("-__-", Some(&[0xfb, 0xff, 0xfe])),
            ("Zg==", None),
            ("+//+", None),
        ] {
            assert_eq!(decoded(text).as_deref(), bytes, "{text}");
        }
    }

    #[test]
    fn a_token_is_given_for_what_the_account_signed_and_for_nothing_else() {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let path = format!("/token?key={}&expires_in=9", base64url(public.as_ref()));
        let head = |path: &str| {
            let request = Request::builder().method("POST").uri(path).header("host", "127.0.0.1:9");
            request.body(()).unwrap().into_parts().0
        };
        let ask = |head: &Parts, change: (&str, Value), form: &str| {
            let mut claims = json!({
                "iss": "a@p.iam.gserviceaccount.com", "scope": SCOPE, "aud": format!("http://127.0.0.1:9{path}"),
                "iat": NOW, "exp": NOW + 3_600,
            });
            if !change.0.is_empty() {
                claims[change.0] = change.1;
            }
            let header = base64url(br#"{"alg":"RS256","typ":"JWT","kid":"k"}"#);
            let signed = format!("{header}.{}", base64url(claims.to_string().as_bytes()));
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
            let form = form.replace("ASSERTION", &format!("{signed}.{}", base64url(&signature)));
            let (status, text) = grant(head, form.as_bytes(), NOW * 1_000_000);
            (status.as_u16(), serde_json::from_str::<Value>(&text).unwrap())
        };
        let form = format!("grant_type={GRANT}&assertion=ASSERTION");
        let (status, told) = ask(&head(&path), ("", Value::Null), &form);
        assert_eq!((status, &told["expires_in"], &told["token_type"]), (200, &json!(9), &json!("Bearer")));
        let token = told["access_token"].as_str().unwrap();
        for (token, at, good) in [
            (token, NOW, true),
            (token, NOW + 8, true),
            (token, NOW + 9, false),
            (&token.replace('9', "8"), NOW, false),
            ("any", NOW, false),
        ] {
            assert_eq!(is_good(token, at * 1_000_000), good, "{token}");
        }
        let other = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let other: PublicKeyX509Der<'_> = other.public_key().as_der().unwrap();
        let elsewhere = format!("/token?key={}", base64url(other.as_ref()));
        let plain = ("", Value::Null);
        for (path, change, form, word, why) in [
            (
                &path,
                plain.clone(),
                "grant_type=x&assertion=ASSERTION",
                "unsupported_grant_type",
                "grant_type",
            ),
            (&path, plain.clone(), &*format!("grant_type={GRANT}"), "invalid_request", "Bad"),
            (
                &path,
                plain.clone(),
                &format!("grant_type={GRANT}&assertion=a.b"),
                "invalid_grant",
                "assertion",
            ),
            (&path, plain.clone(), &form.replace("ASSERTION", "ASSERTIONA"), "invalid_grant", "Signature"),
            (&elsewhere, plain.clone(), &form, "invalid_grant", "Signature"),
            (&"/token".to_owned(), plain.clone(), &form, "invalid_request", "Bad"),
            (
                &path,
                ("aud", json!("https://oauth2.googleapis.com/token")),
                &form,
                "invalid_grant",
                "audience",
            ),
            (&path, ("scope", json!("email")), &form, "invalid_scope", "scope"),
            (&path, ("iss", json!("")), &form, "invalid_grant", "assertion"),
            (&path, ("iat", json!(NOW + 61)), &form, "invalid_grant", "iat"),
            (&path, ("exp", json!(NOW)), &form, "invalid_grant", "exp"),
            (&path, ("exp", json!(NOW + 3_601)), &form, "invalid_grant", "60 minutes"),
        ] {
            let (status, told) = ask(&head(path), change, form);
            assert_eq!((status, told["error"].as_str().unwrap()), (400, word), "{told}");
            assert!(told["error_description"].as_str().unwrap().contains(why), "{told}");
        }
    }

    #[test]
    fn the_metadata_server_wants_to_be_meant() {
        let ask = |flavor: &str| {
            let head = Request::builder().header("metadata-flavor", flavor).body(()).unwrap().into_parts().0;
            metadata(&head, NOW)
        };
        assert_eq!(ask("x").0, StatusCode::FORBIDDEN);
        let (status, text) = ask("Google");
        let told: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, &told["expires_in"]), (StatusCode::OK, &json!(LIFE_SECONDS)));
    }
}
