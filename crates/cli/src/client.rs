//! The client of a gateway's operator API: one request, one JSON answer, every failure with its fix.

mod exchange;

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::client::legacy::{self, Client as HttpClient};
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use server::OPERATOR_KEY;

use crate::failure::{Exit, Failure};

pub(crate) use exchange::{Heard, ask};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For the whole exchange; the operator API does nothing slow.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
const ANSWER_BYTES_MAX: usize = 16 << 20;

const SET_THE_KEY: &str = "set TOLLKEEPER_OPERATOR_KEY to the operator's key: `tollkeeper serve --data DIR` keeps it in DIR/operator.key";

/// The address of a gateway, without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GatewayUrl(String);

impl FromStr for GatewayUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim().trim_end_matches('/');
        let uri: Uri = text.parse().map_err(|_| "write it like http://127.0.0.1:4400".to_owned())?;
        match (uri.scheme_str(), uri.authority(), uri.query()) {
            (Some("http" | "https"), Some(_), None) if uri.path().ends_with("/v1") => {
                Err(format!("leave out /v1, which is for OpenAI clients: {}", text.trim_end_matches("/v1")))
            }
            (Some("http" | "https"), Some(authority), None) if !authority.as_str().contains('@') => {
                Ok(Self(text.to_owned()))
            }
            _ => Err("write it like http://127.0.0.1:4400".to_owned()),
        }
    }
}

impl fmt::Display for GatewayUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One request of the operator API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// GET, POST, PUT, PATCH or DELETE.
    pub(crate) method: Method,
    /// Path and query, from `/admin` on.
    pub(crate) path: String,
    /// What is sent, as JSON.
    pub(crate) body: Option<Value>,
    /// The header that makes a repeated request count once.
    pub(crate) idempotency_key: Option<String>,
}

impl Call {
    /// A reading request.
    pub(crate) const fn get(path: String) -> Self {
        Self { method: Method::GET, path, body: None, idempotency_key: None }
    }

    /// A making request.
    pub(crate) fn post(path: &str, body: Value) -> Self {
        Self { method: Method::POST, path: path.to_owned(), body: Some(body), idempotency_key: None }
    }

    /// A changing request.
    pub(crate) fn patch(path: String, body: Value) -> Self {
        Self { method: Method::PATCH, path, body: Some(body), idempotency_key: None }
    }

    /// A setting request.
    pub(crate) const fn put(path: String, body: Value) -> Self {
        Self { method: Method::PUT, path, body: Some(body), idempotency_key: None }
    }

    /// A removing request.
    pub(crate) const fn delete(path: String) -> Self {
        Self { method: Method::DELETE, path, body: None, idempotency_key: None }
    }

    /// The same request, which counts once however often it is sent under this name.
    pub(crate) fn once(self, idempotency_key: String) -> Self {
        Self { idempotency_key: Some(idempotency_key), ..self }
    }
}

/// Sends one request to the gateway at `url` and waits for its answer.
pub(crate) fn send(
    url: &GatewayUrl,
    operator_key: Option<&str>,
    call: Call,
) -> Result<Box<RawValue>, Failure> {
    let again = call.idempotency_key.as_ref().map(|key| {
        format!("whether it was done is unknown; this is safe to repeat with --idempotency-key {key}")
    });
    let request = request(url, operator_key, call)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failure, format!("cannot start: {error}")))?;
    runtime
        .block_on(async {
            let exchange = async {
                let response = if url.0.starts_with("https:") {
                    respond(url, https_client()?, request).await?
                } else {
                    let client = HttpClient::builder(TokioExecutor::new()).build(http_connector());
                    respond(url, client, request).await?
                };
                read(url, response).await
            };
            tokio::time::timeout(ANSWER_TIMEOUT, exchange).await.unwrap_or_else(|_| {
                let message = format!("{url} did not answer within {} seconds", ANSWER_TIMEOUT.as_secs());
                Err(Unanswered::Perhaps(
                    Failure::new(Exit::Failure, message)
                        .next("look at the log of `tollkeeper serve`, then try again"),
                ))
            })
        })
        .map_err(|unanswered| unanswered.into_failure(again))
}

/// Why there is no answer, and whether the gateway may have done what was asked all the same.
#[derive(Debug)]
enum Unanswered {
    /// It has not.
    Never(Failure),
    /// Nobody here can know.
    Perhaps(Failure),
}

impl Unanswered {
    /// The failure, which says how to go on safely where that is known.
    fn into_failure(self, again: Option<String>) -> Failure {
        match (self, again) {
            (Self::Perhaps(failure), Some(again)) => failure.next(again),
            (Self::Never(failure) | Self::Perhaps(failure), _) => failure,
        }
    }
}

impl From<Failure> for Unanswered {
    fn from(failure: Failure) -> Self {
        Self::Never(failure)
    }
}

fn request(url: &GatewayUrl, key: Option<&str>, call: Call) -> Result<Request<Full<Bytes>>, Failure> {
    let Some(key) = key.map(str::trim).filter(|key| !key.is_empty()) else {
        return Err(Failure::new(Exit::Auth, format!("{OPERATOR_KEY} is not set")).next(SET_THE_KEY));
    };
    let unusable = |what: &str| {
        let message = format!("{what} contains a character that cannot be sent");
        Failure::new(Exit::Usage, message).next(format!("check {what} for line breaks and typing errors"))
    };
    let mut authorization =
        HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| unusable(OPERATOR_KEY))?;
    authorization.set_sensitive(true);
    let mut request = Request::builder()
        .method(call.method)
        .uri(format!("{url}{}", call.path))
        .header(AUTHORIZATION, authorization)
        .header(ACCEPT, "application/json");
    if let Some(text) = call.idempotency_key {
        let value = HeaderValue::from_str(&text).map_err(|_| unusable("--idempotency-key"))?;
        request = request.header("idempotency-key", value);
    }
    let body = match call.body {
        Some(body) => {
            request = request.header(CONTENT_TYPE, "application/json");
            Full::from(body.to_string())
        }
        None => Full::default(),
    };
    request
        .body(body)
        .map_err(|error| Failure::new(Exit::Failure, format!("cannot form the request: {error}")))
}

fn http_connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    connector.set_nodelay(true);
    connector.enforce_http(false);
    connector
}

fn https_client() -> Result<HttpClient<impl Connect + Clone + Send + Sync + 'static, Full<Bytes>>, Failure> {
    let builder = HttpsConnectorBuilder::new().with_native_roots().map_err(|error| {
        Failure::new(Exit::Failure, format!("cannot check certificates: {error}"))
            .next("install the system's root certificates, such as the Debian package ca-certificates")
    })?;
    let connector = builder.https_only().enable_http1().wrap_connector(http_connector());
    Ok(HttpClient::builder(TokioExecutor::new()).build(connector))
}

async fn respond<C>(
    url: &GatewayUrl,
    client: HttpClient<C, Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, Unanswered>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    client.request(request).await.map_err(|error: legacy::Error| {
        let reason = root_cause(&error);
        if error.is_connect() {
            Unanswered::Never(Failure::new(Exit::Failure, format!("cannot connect to {url}: {reason}")).next(
                format!("is `tollkeeper serve` running at {url}? set TOLLKEEPER_URL if it is elsewhere"),
            ))
        } else {
            Unanswered::Perhaps(Failure::new(Exit::Failure, format!("no answer from {url}: {reason}")).next(
                format!("is it a gateway that listens at {url}? set TOLLKEEPER_URL if it is elsewhere"),
            ))
        }
    })
}

async fn read(url: &GatewayUrl, response: Response<Incoming>) -> Result<Box<RawValue>, Unanswered> {
    let status = response.status();
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await.map_err(|error| {
        Unanswered::Perhaps(
            Failure::new(Exit::Failure, format!("the answer of {url} broke off: {error}"))
                .next("whether the gateway did it is unknown: look before you repeat it"),
        )
    })?;
    let body = body.to_bytes();
    if status.is_success() {
        if let Ok(answer) = serde_json::from_slice::<Box<RawValue>>(&body)
            && answer.get().starts_with('{')
        {
            return Ok(answer);
        }
    } else if let Ok(refused) = serde_json::from_slice::<Refused>(&body) {
        let failure = failure(status, refused.error);
        // What failed inside may have failed after it was booked.
        let unknown = status.is_server_error();
        return Err(if unknown { Unanswered::Perhaps(failure) } else { Unanswered::Never(failure) });
    }
    let redirect = location.map(|to| format!(" (a redirect to {to})")).unwrap_or_default();
    let message = format!("{url} answered {}{redirect}, but not as a gateway", status.as_u16());
    Err(Unanswered::Perhaps(
        Failure::new(Exit::Failure, message)
            .next("is another service listening there? set TOLLKEEPER_URL to the gateway's address"),
    ))
}

/// An error as the operator API writes it, which is OpenAI's shape with a next step.
#[derive(Debug, Deserialize)]
struct Refused {
    error: ApiError,
}

/// What stands in such an error.
#[derive(Debug, Deserialize)]
pub(crate) struct ApiError {
    /// The sentence to show.
    pub(crate) message: String,
    /// The machine's word for it.
    pub(crate) code: Option<String>,
    /// What helps.
    pub(crate) next_step: Option<String>,
}

/// How a command fails that the gateway refused.
pub(crate) fn failure(status: StatusCode, error: ApiError) -> Failure {
    let exit = match (status, error.code.as_deref()) {
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => Exit::Auth,
        (StatusCode::NOT_FOUND, _) => Exit::NotFound,
        (StatusCode::PAYMENT_REQUIRED, _) | (StatusCode::TOO_MANY_REQUESTS, Some("insufficient_quota")) => {
            Exit::NoCredit
        }
        (StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY, _) => Exit::Usage,
        _ => Exit::Failure,
    };
    let next_step = error.next_step.or_else(|| (exit == Exit::Auth).then(|| SET_THE_KEY.to_owned()));
    Failure { exit, message: error.message, next_step }
}

/// The innermost reason, which is the one that says something: "Connection refused".
fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
