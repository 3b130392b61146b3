//! Amazon's signatures (AWS Signature Version 4): a call is proved to be ours without its secret being sent.
//!
//! It knows how a request is written down to be signed, by
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>. It must never know the
//! time but as it is told, and nothing here shows a secret.

use std::fmt;

use aws_lc_rs::digest::{self, SHA256};
use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};
use domain::Timestamp;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header};
use secrecy::{ExposeSecret, SecretString};

use crate::PartsBody;
use crate::provider::{ProviderError, in_path, secret};

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// An access key of AWS, long-lived or temporary.
#[derive(Debug)]
pub struct AccessKey {
    /// Its id, which is no secret, but nobody else's business.
    pub id: SecretString,
    /// What signs.
    pub secret: SecretString,
    /// What comes with temporary ones.
    pub session_token: Option<SecretString>,
}

/// Signs the calls to one service in one region.
pub(crate) struct Signer {
    access_key_id: String,
    secret: SecretString,
    session_token: Option<HeaderValue>,
    region: String,
    service: &'static str,
}

impl fmt::Debug for Signer {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("region", &self.region).finish_non_exhaustive()
    }
}

impl Signer {
    /// A signer with this key.
    ///
    /// # Errors
    /// [`ProviderError`] that names the part of the key which has characters that no header may have.
    pub(crate) fn new(key: &AccessKey, region: &str, service: &'static str) -> Result<Self, ProviderError> {
        let id = key.id.expose_secret().trim();
        // It stands between commas and slashes.
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(ProviderError::AccessKeyId);
        }
        let token = key.session_token.as_ref().map(|token| secret(token.expose_secret().trim()));
        Ok(Self {
            access_key_id: id.to_owned(),
            secret: SecretString::from(key.secret.expose_secret().trim()),
            session_token: token.transpose().map_err(|_| ProviderError::SessionToken)?,
            region: region.to_owned(),
            service,
        })
    }

    /// Adds the headers that prove the request to be ours at this moment. Nothing that is signed may change after it.
    pub(crate) fn sign(&self, request: &mut Request<PartsBody>, at: Timestamp) {
        let moment = moment(at);
        let headers = request.headers_mut();
        // Digits and two letters.
        headers.insert(DATE, HeaderValue::try_from(&moment).unwrap_or(HeaderValue::from_static("")));
        if let Some(token) = &self.session_token {
            headers.insert(SECURITY_TOKEN, token.clone());
        }
        let (signed, canonical) = canonical_headers(&host(request.uri()), request.headers());
        let path = request.uri().path();
        let asked = Asked { method: request.method().as_str(), path, headers: &canonical, signed: &signed };
        let authorization = self.authorization(&asked, &payload_hash(request.body()), &moment);
        // The id's own characters were looked at, and all others are ours.
        if let Ok(mut value) = HeaderValue::try_from(authorization) {
            value.set_sensitive(true);
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
    }

    fn authorization(&self, asked: &Asked<'_>, payload_hash: &str, moment: &str) -> String {
        let day = moment.get(..8).unwrap_or_default();
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let request = hex(digest::digest(&SHA256, asked.canonical(payload_hash).as_bytes()).as_ref());
        let text = format!("{ALGORITHM}\n{moment}\n{scope}\n{request}");
        let mut key = format!("AWS4{}", self.secret.expose_secret()).into_bytes();
        for step in [day, &self.region, self.service, "aws4_request"] {
            key = hmac(&key, step);
        }
        format!(
            "{ALGORITHM} Credential={}/{scope}, SignedHeaders={}, Signature={}",
            self.access_key_id,
            asked.signed,
            hex(&hmac(&key, &text))
        )
    }
}

/// What is signed of a request beside its body.
struct Asked<'a> {
    method: &'a str,
    path: &'a str,
    headers: &'a str,
    signed: &'a str,
}

impl Asked<'_> {
    /// The request as both sides write it down. No call of ours has a query.
    fn canonical(&self, payload_hash: &str) -> String {
        let Self { method, path, headers, signed } = self;
        format!("{method}\n{}\n\n{headers}\n{signed}\n{payload_hash}", canonical_path(path))
    }
}

/// The path as it is signed: each piece of it escaped, those that are escaped already once more.
fn canonical_path(path: &str) -> String {
    let pieces: Vec<String> = path.split('/').map(in_path).collect();
    if path.is_empty() { "/".to_owned() } else { pieces.join("/") }
}

/// The names and the lines of the headers that are signed: what the body is, where it goes, and what is Amazon's.
fn canonical_headers(host: &str, headers: &HeaderMap) -> (String, String) {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    // In the order of their names, as they must stand.
    let lines = [
        ("content-type", text(&header::CONTENT_TYPE)),
        ("host", Some(host)),
        ("x-amz-date", text(&DATE)),
        ("x-amz-security-token", text(&SECURITY_TOKEN)),
    ];
    let lines: Vec<(&str, &str)> =
        lines.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let names: Vec<&str> = lines.iter().map(|(name, _)| *name).collect();
    (names.join(";"), lines.iter().map(|(name, value)| format!("{name}:{value}\n")).collect())
}

/// The host as the client's HTTP library names it.
fn host(uri: &Uri) -> String {
    let host = uri.host().unwrap_or_default();
    let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    match uri.port_u16().filter(|port| *port != usual) {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn payload_hash(body: &PartsBody) -> String {
    let mut context = digest::Context::new(&SHA256);
    body.parts().for_each(|part| context.update(part));
    hex(context.finish().as_ref())
}

/// The moment as Amazon writes it: `20150830T123600Z`.
fn moment(at: Timestamp) -> String {
    // In RFC 3339 with microseconds, of which the seconds are enough.
    let text = at.to_string();
    let seconds = text.split('.').next().unwrap_or_default();
    seconds.chars().filter(|letter| !matches!(letter, '-' | ':')).chain(['Z']).collect()
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&Key::new(HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Method;

    use super::*;

    fn key(session_token: Option<&str>) -> AccessKey {
        AccessKey {
            id: SecretString::from("AKIDEXAMPLE"),
            secret: SecretString::from("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session_token: session_token.map(SecretString::from),
        }
    }

    const TOKEN: &str = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";

    fn at() -> Timestamp {
        "2015-08-30T12:36:00Z".parse().unwrap()
    }

    /// Amazon's own table of signatures (aws-sig-v4-test-suite), as far as its requests are such as ours.
    #[test]
    fn signatures_are_those_of_amazons_table() {
        let form = "application/x-www-form-urlencoded";
        for (method, path, content_type, body, token, signature) in [
            (
                Method::GET,
                "/",
                None,
                "",
                None,
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                Method::POST,
                "/",
                None,
                "",
                None,
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                Method::GET,
                "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
                None,
                "",
                None,
                "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
            ),
            (
                Method::GET,
                "/\u{1234}",
                None,
                "",
                None,
                "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
            ),
            (
                Method::POST,
                "/",
                Some(form),
                "Param1=value1",
                None,
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
            (
                Method::POST,
                "/",
                None,
                "",
                Some(TOKEN),
                "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
            ),
        ] {
            let signer = Signer::new(&key(token), "us-east-1", "service").unwrap();
            let mut headers = HeaderMap::new();
            headers.insert(DATE, HeaderValue::from_static("20150830T123600Z"));
            content_type.map(|text| headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(text)));
            token.map(|text| headers.insert(SECURITY_TOKEN, HeaderValue::from_static(text)));
            let (signed, lines) = canonical_headers("example.amazonaws.com", &headers);
            let asked = Asked { method: method.as_str(), path, headers: &lines, signed: &signed };
            let hash = payload_hash(&PartsBody::new([Bytes::from_static(body.as_bytes())]));
            let authorization = signer.authorization(&asked, &hash, &moment(at()));
            let wanted = format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders={signed}, Signature={signature}"
            );
            assert_eq!(authorization, wanted, "{method} {path}");
        }
    }

    #[test]
    fn a_call_is_signed_with_what_it_says() {
        let call = |body: &[&'static str]| {
            let parts = body.iter().map(|part| Bytes::from_static(part.as_bytes()));
            let mut request = Request::new(PartsBody::new(parts));
            *request.method_mut() = Method::POST;
            let uri = "https://bedrock-runtime.eu-west-1.amazonaws.com:443/model/a.b-v1%3A0/converse";
            *request.uri_mut() = uri.parse().unwrap();
            request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            request.headers_mut().insert(header::USER_AGENT, HeaderValue::from_static("x"));
            let signer = Signer::new(&key(Some("token")), "eu-west-1", "bedrock").unwrap();
            signer.sign(&mut request, at());
            request
        };
        let request = call(&["{}"]);
        let header = |name: HeaderName| request.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(
            (header(DATE), header(SECURITY_TOKEN)),
            ("20150830T123600Z".to_owned(), "token".to_owned())
        );
        // As botocore 1.44.5 signs the same request.
        assert_eq!(
            header(header::AUTHORIZATION),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-west-1/bedrock/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, \
             Signature=3d2abfaff95119559c481fc9476fc1fc24e493167dccc2713356e267987409cb"
        );
        // A body in pieces is the same body.
        let of = |body: &[&'static str]| call(body).headers()[header::AUTHORIZATION].clone();
        assert_eq!(of(&["{", "}"]), of(&["{}"]));
        assert_ne!(of(&["{ }"]), of(&["{}"]));
        assert!(request.headers().values().filter(|value| value.is_sensitive()).count() == 2);
    }

    #[test]
    fn paths_are_escaped_once_more() {
        for (path, canonical) in [
            ("", "/"),
            ("/", "/"),
            ("/model/a%3A0/converse", "/model/a%253A0/converse"),
            ("/model/arn%3Aaws%3Abedrock%2Fx/converse", "/model/arn%253Aaws%253Abedrock%252Fx/converse"),
        ] {
            assert_eq!(canonical_path(path), canonical);
        }
    }

    #[test]
    fn the_key_never_shows() {
        let shown = format!("{:?} {:?}", key(Some(TOKEN)), Signer::new(&key(Some(TOKEN)), "r", "s").unwrap());
        assert!(!shown.contains("wJalr") && !shown.contains("AQoD") && !shown.contains("AKID"), "{shown}");
        let with = |id: &str, token: &str| {
            let (id, session_token) = (SecretString::from(id), Some(SecretString::from(token)));
            Signer::new(&AccessKey { id, session_token, ..key(None) }, "r", "s").map(|_| ())
        };
        assert_eq!(with("AKID\n", "t\n"), Ok(()));
        for wrong in ["", "AK ID", "AK/ID", "AK,ID", "AKÍD"] {
            assert_eq!(with(wrong, "t"), Err(ProviderError::AccessKeyId), "{wrong}");
        }
        assert_eq!(with("AKID", "a\nb"), Err(ProviderError::SessionToken));
    }
}
