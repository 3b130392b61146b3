//! The key of a service account of Google Cloud, and what it signs: whoever asks for an access token proves by it that
//! the account is theirs.
//!
//! By <https://developers.google.com/identity/protocols/oauth2/service-account>: the claims are a JWT (RFC 7519) signed
//! with RSA and SHA-256 (RS256, RFC 7518). It must never know the time but as it is told, and nothing here shows the key.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use domain::Timestamp;
use http::Uri;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

/// What the token may be used for: all that the account may do, which is settled there.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// How long the claims are good for, in seconds: the longest that Google takes. A slow clock needs some of it.
const ASSERTION_SECONDS: i64 = 3_600;
/// Where Google gives tokens, which every key says itself.
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";

/// Why the text is no key of a service account. None of them shows any of it but what kind of key it says it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceAccountError {
    /// It is no JSON object.
    #[error(
        "the text is no JSON; give the key file of a service account, as the console of Google Cloud writes it"
    )]
    Json,
    /// It is another kind of credential.
    #[error(
        "the key is of type `{0}`, and must be of type `service_account`; make a key of a service account"
    )]
    Type(String),
    /// A member is not there.
    #[error("the key has no `{0}`; give the key file as the console of Google Cloud writes it")]
    Missing(&'static str),
    /// What signs is not what it should be.
    #[error(
        "the key's `private_key` is no RSA key in PEM (PKCS #8) that can sign; make another key of the account"
    )]
    PrivateKey,
    /// Where the tokens are is no address.
    #[error("the key's `token_uri` is not an https:// address such as {TOKEN_URI}")]
    TokenUri,
}

/// A service account that can prove itself.
pub struct ServiceAccount {
    email: String,
    key_id: Option<String>,
    key: RsaKeyPair,
    token_uri: String,
}

impl fmt::Debug for ServiceAccount {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceAccount").field("email", &self.email).finish_non_exhaustive()
    }
}

/// The key file, as far as it matters.
#[derive(Deserialize)]
struct KeyFile {
    r#type: Option<String>,
    client_email: Option<String>,
    private_key: Option<String>,
    private_key_id: Option<String>,
    token_uri: Option<String>,
}

impl ServiceAccount {
    /// Reads the text of a key file.
    ///
    /// # Errors
    /// [`ServiceAccountError`].
    pub fn read(text: &SecretString) -> Result<Self, ServiceAccountError> {
        // What the parser says of a mistake shows where it is, and could show a part of the key.
        let file: KeyFile =
            serde_json::from_str(text.expose_secret()).map_err(|_| ServiceAccountError::Json)?;
        if let Some(other) = file.r#type.filter(|kind| kind != "service_account") {
            let shown = other.chars().filter(|letter| letter.is_ascii_lowercase() || *letter == '_');
            return Err(ServiceAccountError::Type(shown.take(40).collect()));
        }
        let there = |text: Option<String>, name| {
            text.filter(|text| !text.trim().is_empty()).ok_or(ServiceAccountError::Missing(name))
        };
        let email = there(file.client_email, "client_email")?;
        let pem = SecretString::from(there(file.private_key, "private_key")?);
        let key = PrivatePkcs8KeyDer::from_pem_slice(pem.expose_secret().as_bytes());
        let key = key.map_err(|_| ServiceAccountError::PrivateKey)?;
        let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der());
        let key = key.map_err(|_| ServiceAccountError::PrivateKey)?;
        let token_uri = file.token_uri.unwrap_or_else(|| TOKEN_URI.to_owned());
        let uri: Uri = token_uri.parse().map_err(|_| ServiceAccountError::TokenUri)?;
        let is_plain = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        // What proves who we are does not go over a wire in clear.
        let is_here = matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]"));
        let is_safe = uri.scheme_str() == Some("https") || (is_here && uri.scheme_str() == Some("http"));
        if !is_plain || !is_safe {
            return Err(ServiceAccountError::TokenUri);
        }
        Ok(Self { email, key_id: file.private_key_id, key, token_uri })
    }

    /// Where its tokens are to be had.
    pub(crate) fn token_uri(&self) -> &str {
        &self.token_uri
    }

    /// What proves at this moment that the account is ours; nothing if the key cannot sign.
    pub(crate) fn assertion(&self, at: Timestamp) -> Option<SecretString> {
        let iat = at.seconds();
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": self.key_id});
        let claims = json!({
            "iss": self.email, "scope": SCOPE, "aud": self.token_uri, "iat": iat, "exp": iat + ASSERTION_SECONDS,
        });
        let text = format!(
            "{}.{}",
            base64url(header.to_string().as_bytes()),
            base64url(claims.to_string().as_bytes())
        );
        let mut signature = vec![0; self.key.public_modulus_len()];
        // This signature has nothing random in it; the library asks for a source all the same.
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).ok()?;
        Some(SecretString::from(format!("{text}.{}", base64url(&signature))))
    }
}

/// Base 64 with the alphabet for addresses and without padding (RFC 4648, section 5).
fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |place: usize| u32::from(group.get(place).copied().unwrap_or(0));
        let bits = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        for place in 0..=group.len() {
            let index = (bits >> (18 - 6 * place)) & 63;
            text.extend(ALPHABET.get(index as usize).copied().map(char::from));
        }
    }
    text
}

#[cfg(test)]
pub(crate) mod tests {
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use serde_json::Value;

    use super::*;

    /// A new key in PEM, and its public half.
    pub(crate) fn fresh_key() -> (String, Vec<u8>) {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let private: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        (pem(private.as_ref()), public.as_ref().to_vec())
    }

    fn pem(der: &[u8]) -> String {
        let text = base64url(der).replace('-', "+").replace('_', "/");
        let padded = format!("{text}{}", "=".repeat((4 - text.len() % 4) % 4));
        let lines: Vec<&str> =
            padded.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
    }

    pub(crate) fn key_file(private_key: &str, token_uri: &str) -> SecretString {
        let file = json!({
            "type": "service_account", "project_id": "p", "private_key_id": "key-1", "private_key": private_key,
            "client_email": "gate@p.iam.gserviceaccount.com", "token_uri": token_uri,
        });
        SecretString::from(file.to_string())
    }

    fn decoded(text: &str) -> Vec<u8> {
        let place = |letter: u8| {
            let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
            u32::try_from(alphabet.iter().position(|other| *other == letter).unwrap()).unwrap()
        };
        let groups = text.as_bytes().chunks(4);
        groups
            .flat_map(|group| {
                let bits = (0..4).fold(0, |bits, at| (bits << 6) | group.get(at).map_or(0, |it| place(*it)));
                bits.to_be_bytes()[1..group.len()].to_vec()
            })
            .collect()
    }

    #[test]
    fn base64_is_that_of_the_standard() {
        // RFC 4648, section 10, and the two letters that differ.
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "Zg"),
            (b"fo", "Zm8"),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg"),
            (b"fooba", "Zm9vYmE"),
            (b"foobar", "Zm9vYmFy"),
            (&[0xfb, 0xff, 0xfe], "-__-"),
        ] {
            assert_eq!(base64url(bytes), text);
            assert_eq!(decoded(text), bytes);
        }
    }

    #[test]
    fn an_assertion_says_who_asks_where_and_when_and_is_signed() {
        let (private_key, public_key) = fresh_key();
        let account = ServiceAccount::read(&key_file(&private_key, "https://oauth2.googleapis.com/token"));
        let account = account.unwrap();
        let at: Timestamp = "2026-11-22T03:04:05.678Z".parse().unwrap();
        let assertion = account.assertion(at).unwrap();
        let text = assertion.expose_secret();
        let (signed, signature) = text.rsplit_once('.').unwrap();
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &public_key);
        key.verify(signed.as_bytes(), &decoded(signature)).unwrap();
        assert!(key.verify(b"other", &decoded(signature)).is_err());
        let parts: Vec<Value> =
            signed.split('.').map(|part| serde_json::from_slice(&decoded(part)).unwrap()).collect();
        assert_eq!(parts[0], json!({"alg": "RS256", "typ": "JWT", "kid": "key-1"}));
        assert_eq!(
            parts[1],
            json!({
                "iss": "gate@p.iam.gserviceaccount.com", "scope": "https://www.googleapis.com/auth/cloud-platform",
                "aud": "https://oauth2.googleapis.com/token", "iat": 1_795_316_645, "exp": 1_795_320_245,
            })
        );
        let shown = format!("{account:?} {assertion:?}");
        assert!(!shown.contains("PRIVATE") && !shown.contains(signature), "{shown}");
    }

    #[test]
    fn what_is_no_key_of_an_account_is_refused_with_what_to_do() {
        let (private_key, _) = fresh_key();
        let uri = "https://oauth2.googleapis.com/token";
        let good: Value = serde_json::from_str(key_file(&private_key, uri).expose_secret()).unwrap();
        let with = |name: &str, value: Value| {
            let mut file = good.clone();
            file[name] = value;
            ServiceAccount::read(&SecretString::from(file.to_string())).map(|_| ())
        };
        let read = |text: &str| ServiceAccount::read(&SecretString::from(text)).map(|_| ());
        let der = private_key.lines().nth(1).unwrap();
        for (read, error) in [
            (read(""), ServiceAccountError::Json),
            (read("/path/to/key.json"), ServiceAccountError::Json),
            (read(&private_key), ServiceAccountError::Json),
            (read("{}"), ServiceAccountError::Missing("client_email")),
            (with("type", json!("authorized_user")), ServiceAccountError::Type("authorized_user".into())),
            (with("type", json!("a\u{1b}B1")), ServiceAccountError::Type("a".into())),
            (with("client_email", json!(" ")), ServiceAccountError::Missing("client_email")),
            (with("private_key", Value::Null), ServiceAccountError::Missing("private_key")),
            (with("private_key", json!(der)), ServiceAccountError::PrivateKey),
            (with("private_key", json!(pem(b"no key"))), ServiceAccountError::PrivateKey),
            (
                with("private_key", json!(private_key.replace("PRIVATE", "RSA PRIVATE"))),
                ServiceAccountError::PrivateKey,
            ),
            (with("token_uri", json!("oauth2.googleapis.com")), ServiceAccountError::TokenUri),
            (with("token_uri", json!("ftp://oauth2.googleapis.com/token")), ServiceAccountError::TokenUri),
            (with("token_uri", json!("https://a@b/token")), ServiceAccountError::TokenUri),
        ] {
            let refused = read.unwrap_err();
            assert_eq!(refused, error);
            assert!(!refused.to_string().contains(der));
        }
        assert_eq!(with("token_uri", Value::Null), Ok(()));
        assert_eq!(with("private_key_id", Value::Null), Ok(()));
    }
}
