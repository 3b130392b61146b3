//! The HTTP client: pooled connections, and a time limit on every wait.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dialect::Dialect;
use domain::Timestamp;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client as Pool;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};

use crate::connect::Connector;
use crate::tokens::{ANSWER_BYTES_MAX, ASK_MAX, Standing, Tokens};
use crate::{PartsBody, Provider, TransportFailure};

/// How long a call may wait, step by step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For name, connection and TLS handshake together.
    pub connect: Duration,
    /// From the request to the first byte of the answer.
    pub first_byte: Duration,
    /// Between two pieces of an answer.
    pub idle: Duration,
}

impl Default for Timeouts {
    /// Reasoning models think for minutes before their first byte; SDKs wait 600 s.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(600),
            idle: Duration::from_secs(120),
        }
    }
}

/// A client with a pool of connections of its own. Cheap to clone; make one for each thread that serves, so that
/// connections stay with their thread.
#[derive(Clone)]
pub struct Client {
    negotiated: Pool<Connector, PartsBody>,
    http2: Pool<Connector, PartsBody>,
    timeouts: Timeouts,
}

/// An answer that has begun.
pub type Upstream = Response<Incoming>;

const HTTP2_STREAM_WINDOW: u32 = 128 * 1024;
const HTTP2_CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;

impl Client {
    /// A client that trusts the system's certificate authorities (or those of `SSL_CERT_FILE`).
    pub fn new(timeouts: Timeouts, tls: &Arc<ClientConfig>) -> Self {
        let connector = Connector::new(ClientConfig::clone(tls), timeouts.connect);
        let mut builder = Pool::builder(TokioExecutor::new());
        builder
            .pool_idle_timeout(Duration::from_secs(60))
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            // h2 ends a connection whose unread frames are small for its window: a slow reader must not end the calls of
            // others, so the connection's window is far larger than a stream's.
            .http2_initial_stream_window_size(HTTP2_STREAM_WINDOW)
            .http2_initial_connection_window_size(HTTP2_CONNECTION_WINDOW)
            .http2_keep_alive_interval(Duration::from_secs(20));
        let negotiated = builder.build(connector.clone());
        let http2 = builder.http2_only(true).build(connector);
        Self { negotiated, http2, timeouts }
    }

    /// The TLS settings shared by all clients. Fails when the system's certificates cannot be read.
    ///
    /// # Errors
    /// What rustls says.
    pub fn tls() -> Result<Arc<ClientConfig>, rustls::Error> {
        let mut roots = RootCertStore::empty();
        // A machine without certificates can still call providers without TLS; the others fail at their first call.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }

    /// The waits of this client.
    pub const fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// Sends a request in this dialect to a provider and waits for the head of its answer, for so long if the client's own
    /// wait is not meant. The credential is added here, and only here; a signature is one of this moment, and an access
    /// token is waited for where there is none.
    ///
    /// # Errors
    /// When no answer begins.
    pub async fn send(
        &self,
        provider: &Provider,
        dialect: Dialect,
        mut request: Request<PartsBody>,
        at: Timestamp,
        first_byte: Option<Duration>,
    ) -> Result<Upstream, TransportFailure> {
        let Some(tokens) = provider.tokens() else {
            provider.authorize(dialect, &mut request, at);
            return self.exchange(provider, request, first_byte).await;
        };
        let bearer = self.token(tokens, at).await?;
        request.headers_mut().insert(AUTHORIZATION, bearer.clone());
        let answered = self.exchange(provider, request, first_byte).await;
        if answered.as_ref().is_ok_and(|answer| answer.status() == StatusCode::UNAUTHORIZED) {
            tokens.refused(&bearer, at);
        }
        answered
    }

    async fn exchange(
        &self,
        provider: &Provider,
        request: Request<PartsBody>,
        first_byte: Option<Duration>,
    ) -> Result<Upstream, TransportFailure> {
        debug_assert!(request.body().size_hint().exact().is_some(), "the length goes into a header");
        let pool = if provider.http2_prior_knowledge { &self.http2 } else { &self.negotiated };
        let wait = first_byte.unwrap_or(self.timeouts.first_byte);
        match tokio::time::timeout(wait, pool.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(TransportFailure::of_request(&error)),
            Err(_) => Err(TransportFailure::FirstByteTimeout),
        }
    }

    /// The access token for a call at this moment. Who finds none waits for whoever asks for one.
    async fn token(&self, tokens: &Tokens, at: Timestamp) -> Result<HeaderValue, TransportFailure> {
        if let Some(bearer) = found(tokens.standing(at))? {
            return Ok(bearer);
        }
        let _turn = tokens.turn().lock().await;
        // Whoever had the turn before has asked for all who waited.
        if let Some(bearer) = found(tokens.standing(at))? {
            return Ok(bearer);
        }
        self.ask(tokens, at).await;
        found(tokens.standing(at))?.ok_or(TransportFailure::NoToken)
    }

    /// What gets the provider another access token in place of one that ends soon; nothing if none does. It is work of its
    /// own, so that no call waits for it and none that ends early ends it.
    pub fn renewal(
        &self,
        provider: &Arc<Provider>,
        at: Timestamp,
    ) -> Option<impl Future<Output = ()> + Send + use<>> {
        let is_ageing = move |tokens: &Tokens| matches!(tokens.standing(at), Standing::Ageing(_));
        provider.tokens().filter(|tokens| is_ageing(tokens))?;
        let (client, provider) = (self.clone(), Arc::clone(provider));
        Some(async move {
            let Some(tokens) = provider.tokens() else { return };
            // Somebody may be about it, or have been.
            let Ok(_turn) = tokens.turn().try_lock() else { return };
            if is_ageing(tokens) {
                client.ask(tokens, at).await;
            }
        })
    }

    /// Asks for a token; what comes of it is kept with the others.
    async fn ask(&self, tokens: &Tokens, at: Timestamp) {
        match tokens.request(at) {
            Ok(request) => {
                let began = tokio::time::Instant::now();
                let answered = tokio::time::timeout(ASK_MAX, self.whole(request)).await;
                let took = i64::try_from(began.elapsed().as_micros()).unwrap_or(0);
                let answer = answered.unwrap_or(Err(TransportFailure::FirstByteTimeout));
                tokens.take((at, at.plus_micros(took)), answer);
            }
            Err(failure) => tokens.fail(at, failure),
        }
    }

    /// An answer in one piece.
    async fn whole(&self, request: Request<PartsBody>) -> Result<(StatusCode, Bytes), TransportFailure> {
        let answer = self.negotiated.request(request).await;
        let (head, body) = answer.map_err(|error| TransportFailure::of_request(&error))?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        Ok((head.status, body.map_err(|_| TransportFailure::Garbage)?.to_bytes()))
    }
}

/// The token that there is; nothing where one is to be asked for.
fn found(standing: Standing) -> Result<Option<HeaderValue>, TransportFailure> {
    match standing {
        Standing::Fresh(bearer) | Standing::Ageing(bearer) => Ok(Some(bearer)),
        Standing::Nothing => Ok(None),
        Standing::Failed => Err(TransportFailure::NoToken),
    }
}
