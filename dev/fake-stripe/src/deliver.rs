//! Webhooks: signing them, rightly and wrongly, and sending them.

use std::fmt::Write as _;
use std::time::Duration;

use aws_lc_rs::hmac;
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;

/// How a webhook is signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signing {
    /// As Stripe does.
    #[default]
    Good,
    /// While a secret is being rolled: one signature by an unknown secret, one by ours, and one of another scheme.
    Rolled,
    /// By somebody who does not know the secret.
    Forged,
    /// By an empty secret.
    Empty,
    /// Rightly, but then the amount was changed.
    Tampered,
    /// Not at all.
    Unsigned,
}

const UNKNOWN_SECRET: &str = "whsec_of_somebody_else_0123456789";

/// The `Stripe-Signature` header and the body of a webhook.
pub(crate) fn sign(secret: &str, body: &str, seconds: i64, signing: Signing) -> (String, String) {
    let mac = |secret: &str| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let tag = hmac::sign(&key, format!("{seconds}.{body}").as_bytes());
        tag.as_ref().iter().fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    };
    let header = match signing {
        Signing::Good | Signing::Tampered => format!("t={seconds},v1={}", mac(secret)),
        Signing::Rolled => {
            format!("t={seconds},v1={},v1={},v0={}", mac(UNKNOWN_SECRET), mac(secret), mac("old"))
        }
        Signing::Forged => format!("t={seconds},v1={}", mac(UNKNOWN_SECRET)),
        Signing::Empty => format!("t={seconds},v1={}", mac("")),
        Signing::Unsigned => String::new(),
    };
    let tampered = signing == Signing::Tampered;
    (
        header,
        if tampered { body.replace("\"amount", "\"amount_total\":99999999,\"x") } else { body.to_owned() },
    )
}

/// Sends a webhook; the status of its answer, or 0 without one.
pub(crate) async fn send(url: &str, header: &str, body: String) -> u16 {
    let request = Request::post(url)
        .header("content-type", "application/json; charset=utf-8")
        .header("user-agent", "Stripe/1.0 (fake)");
    let request = if header.is_empty() { request } else { request.header("stripe-signature", header) };
    let Ok(request) = request.body(Full::new(Bytes::from(body))) else { return 0 };
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let answer = tokio::time::timeout(Duration::from_secs(20), client.request(request)).await;
    answer.ok().and_then(Result::ok).map_or(0, |response| response.status().as_u16())
}
