//! One call of any kind with any key, and the answer as it came: for whoever looks at what a gateway says.

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;

use super::{
    ANSWER_BYTES_MAX, ANSWER_TIMEOUT, GatewayUrl, Unanswered, http_connector, https_client, respond,
};
use crate::failure::{Exit, Failure};

/// What came back.
#[derive(Debug)]
pub(crate) struct Heard {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The gateway's name for the call; only a gateway gives one.
    pub(crate) request_id: Option<String>,
    /// What is left of the rate limits, as the headers say.
    pub(crate) remaining: Vec<(&'static str, String)>,
    /// The body.
    pub(crate) body: Bytes,
}

impl Heard {
    /// The body as JSON of this shape, if it is that.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// Sends a call and waits for its answer, whatever its status.
///
/// # Errors
/// When no answer comes.
pub(crate) fn ask(url: &GatewayUrl, key: &str, path: &str, body: Option<String>) -> Result<Heard, Failure> {
    let request = build(url, key, path, body)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Exit::Failure, format!("cannot start: {error}")))?;
    let exchange = async {
        let response = if url.0.starts_with("https:") {
            respond(url, https_client()?, request).await?
        } else {
            respond(url, HttpClient::builder(TokioExecutor::new()).build(http_connector()), request).await?
        };
        let (head, body) = response.into_parts();
        let header = |name: &str| head.headers.get(name)?.to_str().ok().map(str::to_owned);
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|error| {
            Unanswered::Perhaps(Failure::new(
                Exit::Failure,
                format!("the answer of {url} broke off: {error}"),
            ))
        })?;
        let remaining = ["requests", "tokens"].into_iter();
        let remaining = remaining.filter_map(|what| {
            let left = header(&format!("x-ratelimit-remaining-{what}"))?;
            let limit = header(&format!("x-ratelimit-limit-{what}"))?;
            Some((what, format!("{left} of {limit}")))
        });
        Ok(Heard {
            status: head.status.as_u16(),
            request_id: header("x-request-id").filter(|id| id.starts_with("req_")),
            remaining: remaining.collect(),
            body: body.to_bytes(),
        })
    };
    let answer = runtime.block_on(async { tokio::time::timeout(ANSWER_TIMEOUT, exchange).await });
    match answer {
        Ok(heard) => heard.map_err(|unanswered: Unanswered| unanswered.into_failure(None)),
        Err(_) => {
            let message = format!("{url} did not answer within {} seconds", ANSWER_TIMEOUT.as_secs());
            Err(Failure::new(Exit::Failure, message).next("look at the log of `tollkeeper serve`"))
        }
    }
}

fn build(
    url: &GatewayUrl,
    key: &str,
    path: &str,
    body: Option<String>,
) -> Result<Request<Full<Bytes>>, Failure> {
    let unusable = || Failure::new(Exit::Usage, "the key contains a character that cannot be sent");
    let mut authorization = HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| unusable())?;
    authorization.set_sensitive(true);
    Request::builder()
        .method(if body.is_some() { Method::POST } else { Method::GET })
        .uri(format!("{url}{path}"))
        .header(AUTHORIZATION, authorization)
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/json")
        .body(body.map_or_else(Full::default, Full::from))
        .map_err(|error| Failure::new(Exit::Failure, format!("cannot form the request: {error}")))
}
