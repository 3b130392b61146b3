//! The way to Stripe's API: one POST of a form, with the key, the idempotency key and a time-out on everything.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::TopUpId;
use http::request::Builder;
use http::uri::{Authority, Scheme};
use http::{HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use secrecy::ExposeSecret;

use super::{API_VERSION, StripeConfigError, StripeOptions};
use crate::PaymentError;

/// More than any answer we ask for has.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const STRIPE_VERSION: HeaderName = HeaderName::from_static("stripe-version");
const SHOULD_RETRY: HeaderName = HeaderName::from_static("stripe-should-retry");

/// Connections to Stripe.
pub(super) struct Transport {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    scheme: Scheme,
    authority: Authority,
    authorization: HeaderValue,
    call_timeout: Duration,
}

/// A whole answer.
pub(super) struct Reply {
    pub(super) status: u16,
    /// What Stripe itself says about trying again, which it does not always.
    pub(super) should_retry: Option<bool>,
    pub(super) body: Bytes,
}

impl Transport {
    pub(super) fn new(options: &StripeOptions) -> Result<Self, StripeConfigError> {
        let (scheme, authority) = read_base_url(&options.base_url)?;
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", options.key.key.expose_secret()))
            .map_err(|_| StripeConfigError::Key)?;
        authorization.set_sensitive(true);
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(options.connect_timeout));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls().map_err(|error| StripeConfigError::Tls(error.to_string()))?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_timer(TokioTimer::new())
            .build(connector);
        let call_timeout = options.call_timeout;
        Ok(Self { client, scheme, authority, authorization, call_timeout })
    }

    /// Sends a form and reads the whole answer. Stripe answers a repeated key with the first answer, so that a retry
    /// never charges twice (docs.stripe.com/api/idempotent_requests).
    pub(super) async fn post(
        &self,
        path: &'static str,
        topup: &TopUpId,
        form: &[(String, String)],
    ) -> Result<Reply, PaymentError> {
        let request = self.request(path.to_owned())?.method(Method::POST);
        let request = request
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(IDEMPOTENCY_KEY, topup.to_string());
        self.send(request, encode(form)).await
    }

    /// Asks for something that is there, by a query.
    pub(super) async fn get(
        &self,
        path: &'static str,
        query: &[(String, String)],
    ) -> Result<Reply, PaymentError> {
        let request = self.request(format!("{path}?{}", encode(query)))?;
        self.send(request, String::new()).await
    }

    async fn send(&self, request: Builder, body: String) -> Result<Reply, PaymentError> {
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|_| PaymentError::Impossible("the request to the payment provider cannot be written"))?;
        // Nobody can tell whether a request that was not answered in time had arrived.
        let late = PaymentError::Unreachable { reason: "no whole answer in time", sent: true };
        tokio::time::timeout(self.call_timeout, self.exchange(request)).await.unwrap_or(Err(late))
    }

    fn request(&self, path_and_query: String) -> Result<Builder, PaymentError> {
        let uri = Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path_and_query)
            .build()
            .map_err(|_| PaymentError::Impossible("the address of the payment provider cannot be used"))?;
        let request = Request::builder()
            .uri(uri)
            .header(header::AUTHORIZATION, self.authorization.clone())
            .header(header::USER_AGENT, "tollkeeper")
            .header(STRIPE_VERSION, API_VERSION);
        Ok(request)
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Reply, PaymentError> {
        let response = self.client.request(request).await.map_err(|error| match error.is_connect() {
            true => PaymentError::Unreachable { reason: "no connection", sent: false },
            false => {
                PaymentError::Unreachable { reason: "the connection ended before the answer", sent: true }
            }
        })?;
        let status = response.status().as_u16();
        let should_retry =
            response.headers().get(SHOULD_RETRY).and_then(|value| value.to_str().ok()?.parse().ok());
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let cut = PaymentError::Unreachable { reason: "the answer broke off or was too long", sent: true };
        let body = body.map_err(|_| cut)?.to_bytes();
        Ok(Reply { status, should_retry, body })
    }
}

fn encode(pairs: &[(String, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// `https://HOST[:PORT]`; without TLS only on this machine, because the key travels along.
fn read_base_url(text: &str) -> Result<(Scheme, Authority), StripeConfigError> {
    let error = || StripeConfigError::BaseUrl(text.to_owned());
    let parts = text.parse::<Uri>().map_err(|_| error())?.into_parts();
    let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else { return Err(error()) };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let address = host.parse::<std::net::IpAddr>();
    let is_loopback = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    let is_bare = parts.path_and_query.is_none_or(|path| path == "/") && !authority.as_str().contains('@');
    let is_safe = scheme == Scheme::HTTPS || (scheme == Scheme::HTTP && is_loopback);
    if is_bare && is_safe && !host.is_empty() { Ok((scheme, authority)) } else { Err(error()) }
}

fn tls() -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    // Without certificates no connection succeeds, which its error tells then.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}
