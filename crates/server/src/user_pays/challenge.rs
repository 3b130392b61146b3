//! PKCE (RFC 7636): whoever fetches a key proves that they began the flow.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};

/// Verifiers and plain challenges have so many characters at least and at most (RFC 7636, 4.1).
const CHARS: std::ops::RangeInclusive<usize> = 43..=128;
/// 32 bytes in base64url.
const DIGEST_CHARS: usize = 43;

/// How a challenge is made of its verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// It is the verifier's SHA-256.
    S256,
    /// It is the verifier.
    Plain,
}

/// What the one who began the flow can show the verifier of.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Challenge {
    method: Method,
    text: String,
}

impl Method {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::S256 => "S256",
            Self::Plain => "plain",
        }
    }
}

impl FromStr for Method {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "S256" => Ok(Self::S256),
            "plain" => Ok(Self::Plain),
            _ => Err("must be S256 or plain"),
        }
    }
}

impl Challenge {
    /// A challenge; without a method it is plain (RFC 7636, 4.3).
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(text: &str, method: Option<Method>) -> Result<Self, &'static str> {
        let method = method.unwrap_or(Method::Plain);
        // Some encode with padding, which carries nothing.
        let text = if method == Method::S256 { text.trim_end_matches('=') } else { text };
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
        match method {
            Method::S256 if text.len() != DIGEST_CHARS || !is_plain => {
                Err("is not the base64url of a SHA-256, which has 43 characters")
            }
            Method::Plain if !CHARS.contains(&text.len()) || !is_plain => Err(
                "must have 43 to 128 letters, digits and -._~ (with code_challenge_method=S256 it is the verifier's \
                     SHA-256)",
            ),
            Method::S256 | Method::Plain => Ok(Self { method, text: text.to_owned() }),
        }
    }

    pub(crate) const fn method(&self) -> Method {
        self.method
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether it was made of this verifier. How long that takes tells nothing of the challenge.
    pub(super) fn is_of(&self, verifier: &str) -> bool {
        let made = match self.method {
            Method::S256 => base64url(digest(&SHA256, verifier.as_bytes()).as_ref()),
            Method::Plain => verifier.to_owned(),
        };
        verify_slices_are_equal(made.as_bytes(), self.text.as_bytes()).is_ok()
    }
}

impl fmt::Debug for Challenge {
    /// A plain one is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Challenge({})", self.method.as_str())
    }
}

/// Base64 for addresses, without padding (RFC 4648, 5).
pub(super) fn base64url(bytes: &[u8]) -> String {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for part in bytes.chunks(3) {
        let byte = |at: usize| u32::from(part.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..=part.len() {
            let sign = usize::try_from(bits >> (18 - 6 * place) & 63).unwrap_or(0);
            text.extend(SIGNS.get(sign).map(|sign| char::from(*sign)));
        }
    }
    text
}
