//! The front door: which path goes where, and the few things every answer has.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use bytes::Bytes;
use dialect::openai::{ModelCard, ModelPricing, model_json, models_json};
use dialect::{Dialect, Endpoint, ErrorBody, anthropic, percent_decode};
use directory::{Scope, Visit};
use domain::{RequestId, Timestamp};
use gateway::{Answer, Caller, Failure, Gateway, discard, explain_route};
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, UPGRADE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use ipnet::IpNet;
use serde_json::Value;
use store::Store;
use tower::ServiceExt;

use crate::address;
use crate::admin::openapi::DESCRIPTION;
use crate::admin::{Admin, ClientAddress, Reception};
use crate::contracts;
use crate::decisions::Keeper;
use crate::gemini;
use crate::metrics::Metrics;
use crate::openrouter;
use crate::payments::{Delivered, WEBHOOK_BYTES_MAX};
use crate::tasks::{InFlight, InFlightGuard};

/// What the front door needs besides the gateway.
pub(crate) struct Lobby {
    pub(crate) admin: Arc<Admin>,
    pub(crate) router: Router,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) store: Arc<Store>,
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) in_flight: InFlight,
    /// Set when a shutdown has begun: no new calls.
    pub(crate) draining: AtomicBool,
    /// When the gateway started, in seconds since 1970; the models' `created`.
    pub(crate) started_at: i64,
    /// The proxies whose word on a client's address is taken.
    pub(crate) trusted_proxies: Vec<IpNet>,
}

/// One serving thread's front door.
#[derive(Clone)]
pub(crate) struct Front {
    pub(crate) gateway: Gateway,
    pub(crate) lobby: Arc<Lobby>,
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The same where Anthropic's clients look for it.
const ANTHROPIC_REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// Prometheus asks for this type by name and reads the text accordingly.
const OPENMETRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// A call of the administration is a few fields.
const ADMINISTRATION_BODY_BYTES_MAX: usize = 1024 * 1024;
/// The token of an invitation and a name: more is not read of somebody who has shown no key.
const STRANGER_BODY_BYTES_MAX: usize = 4 * 1024;
/// Where OpenAI's administration API is.
const ORGANIZATION: &str = "/v1/organization";

/// Paths that we serve, as people call them when they forget `/v1`.
const WITHOUT_V1: [&str; 11] = [
    "/chat/completions",
    "/responses",
    "/embeddings",
    "/moderations",
    "/images/generations",
    "/images/edits",
    "/audio/speech",
    "/audio/transcriptions",
    "/audio/translations",
    "/messages",
    "/models",
];

impl Front {
    /// Answers one request. Never fails: what goes wrong has an answer too.
    pub(crate) async fn serve(
        &self,
        peer: Option<IpAddr>,
        mut request: Request<Incoming>,
    ) -> Result<Response<FrontBody>, Infallible> {
        let address = address::client(peer, &self.lobby.trusted_proxies, request.headers());
        request.extensions_mut().insert(ClientAddress(address));
        // First of all, so that no key is in an address that anybody else sees.
        gemini::take_key(&mut request);
        let id = RequestId::fresh(self.gateway.shared().ids.as_ref());
        let dialect = dialect_of(&request);
        let mut response = self.dispatch(id, request).await;
        if !response.headers().contains_key(REQUEST_ID)
            && let Ok(value) = HeaderValue::try_from(id.to_string())
        {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        if dialect == Dialect::Anthropic
            && let Some(value) = response.headers().get(REQUEST_ID).cloned()
        {
            response.headers_mut().insert(ANTHROPIC_REQUEST_ID, value);
        }
        Ok(response)
    }

    async fn dispatch(&self, id: RequestId, request: Request<Incoming>) -> Response<FrontBody> {
        let path = request.uri().path();
        if let Some(endpoint) = Endpoint::at(path) {
            return self.call(endpoint, id, request).await;
        }
        if let Some(endpoint) = openrouter::endpoint(path) {
            let response = self.call(endpoint, id, request).await;
            return openrouter::told(endpoint, response, |body| FrontBody::Plain(body.into()));
        }
        if path == "/webhooks/stripe" {
            return self.webhook(id, request).await;
        }
        if path.starts_with(openrouter::PATH) {
            return self.openrouter(request).await;
        }
        let of_organization =
            path.strip_prefix(ORGANIZATION).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if of_organization || path.starts_with("/admin/") {
            return self.administer(id, request).await;
        }
        let response = self.look_up(id, &request);
        // What is not a call has no use for a body; a client that sends one shall still read the answer.
        discard(pin!(request.into_body())).await;
        response
    }

    /// What costs nothing and needs no body.
    fn look_up(&self, id: RequestId, request: &Request<Incoming>) -> Response<FrontBody> {
        let path = request.uri().path();
        // HEAD is GET without the body, which the connection leaves out by itself.
        let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
        match (method, path) {
            (&Method::GET, "/livez") => text(StatusCode::OK, "ok\n", TEXT),
            (&Method::GET, "/readyz") => self.readiness(),
            (&Method::GET, "/metrics") => text(StatusCode::OK, self.metrics(), OPENMETRICS),
            (&Method::GET, "/openapi.json") => text(StatusCode::OK, DESCRIPTION.clone(), JSON),
            (&Method::GET, _) if gemini::MODELS.contains(&path) => self.models(request, None, id),
            (&Method::GET, _) if below_models(path).is_some() => {
                let model = below_models(path).map(percent_decode);
                self.models(request, model, id)
            }
            (_, "/livez" | "/readyz" | "/metrics" | "/openapi.json") => wrong_method(request, id),
            _ if gemini::MODELS.contains(&path) => wrong_method(request, id),
            _ if path.starts_with("/v1/responses/") => not_kept(request, id),
            _ => unknown(request, id),
        }
    }

    /// One of the calls that cost money.
    async fn call(
        &self,
        endpoint: Endpoint,
        id: RequestId,
        request: Request<Incoming>,
    ) -> Response<FrontBody> {
        let refusal = match *request.method() {
            Method::POST if !self.is_draining() => None,
            Method::POST => {
                self.gateway.turned_away(endpoint, id, &Failure::Draining);
                Some(failed(Failure::Draining, endpoint.dialect(), id))
            }
            Method::GET if endpoint == Endpoint::Responses => Some(no_web_socket(id)),
            _ => Some(wrong_method(&request, id)),
        };
        if let Some(refusal) = refusal {
            discard(pin!(request.into_body())).await;
            return refusal;
        }
        let guard = self.lobby.in_flight.enter();
        let response = self.gateway.serve(endpoint, id, client_address(&request), request).await;
        response.map(|answer| FrontBody::Answer { answer, _guard: guard })
    }

    /// The administration. Who asks is known before anything of the body is read.
    async fn administer(&self, id: RequestId, request: Request<Incoming>) -> Response<FrontBody> {
        let (mut head, body) = request.into_parts();
        let bytes_max = match self.lobby.admin.receive(&head) {
            Ok(Reception::Known(_)) => ADMINISTRATION_BODY_BYTES_MAX,
            Ok(Reception::Open) => STRANGER_BODY_BYTES_MAX,
            Err(refusal) => {
                // A stranger's body is not read beyond what politeness asks for.
                discard(pin!(body)).await;
                return failed(refusal.into(), Dialect::OpenAi, id);
            }
        };
        // Read here and not where it is needed, so that a refusal does not cut its sender off.
        let idle = self.gateway.shared().settings.client_idle;
        let body = Limited::new(body, bytes_max).collect();
        let Ok(Ok(body)) = tokio::time::timeout(idle, body).await else {
            let message = format!("The body broke off or is larger than {bytes_max} bytes");
            return problem(413, message, Some("request_too_large"), id);
        };
        // Asked again, because a body may take its time, and a key that ended meanwhile has ended.
        match self.lobby.admin.receive(&head) {
            Ok(Reception::Known(hand)) => drop(head.extensions.insert(*hand)),
            Ok(Reception::Open) => {}
            Err(refusal) => return failed(refusal.into(), Dialect::OpenAi, id),
        }
        head.extensions.insert(id);
        let _guard = self.lobby.in_flight.enter();
        let request = Request::from_parts(head, axum::body::Body::from(body.to_bytes()));
        match self.lobby.router.clone().oneshot(request).await {
            Ok(response) => response.map(FrontBody::Admin),
            Err(never) => match never {},
        }
    }

    /// OpenRouter's API. Who asks is known before anything of the body is read.
    async fn openrouter(&self, request: Request<Incoming>) -> Response<FrontBody> {
        let (head, body) = request.into_parts();
        let admin = &self.lobby.admin;
        let (status, answer) = match openrouter::receive(admin, &head) {
            Err(fault) => {
                discard(pin!(body)).await;
                fault.into_answer()
            }
            Ok(_) => {
                let idle = self.gateway.shared().settings.client_idle;
                let body = Limited::new(body, openrouter::BODY_BYTES_MAX).collect();
                match tokio::time::timeout(idle, body).await {
                    Ok(Ok(body)) => {
                        let _guard = self.lobby.in_flight.enter();
                        // Asked again, because a body may take its time, and a key that ended meanwhile has ended.
                        match openrouter::receive(admin, &head) {
                            Ok(asked) => openrouter::answer(admin, asked, body.to_bytes()).await,
                            Err(fault) => fault.into_answer(),
                        }
                    }
                    Ok(Err(_)) | Err(_) => openrouter::Fault::body().into_answer(),
                }
            }
        };
        text(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), answer, JSON)
    }

    /// A payment provider's webhook. Its signature is its credential, so no key is asked for. It is taken while a
    /// shutdown drains, too: money that came is credited at once rather than at Stripe's next try.
    async fn webhook(&self, id: RequestId, request: Request<Incoming>) -> Response<FrontBody> {
        if request.method() != Method::POST {
            let refusal = wrong_method(&request, id);
            discard(pin!(request.into_body())).await;
            return refusal;
        }
        let (head, mut body) = request.into_parts();
        let idle = self.gateway.shared().settings.client_idle;
        let whole = Limited::new(&mut body, WEBHOOK_BYTES_MAX).collect();
        let Ok(Ok(whole)) = tokio::time::timeout(idle, whole).await else {
            discard(pin!(body)).await;
            let message = format!("The body broke off or is larger than {WEBHOOK_BYTES_MAX} bytes");
            return problem(413, message, Some("request_too_large"), id);
        };
        // Only now: who sends slowly must not hold a shutdown up.
        let _guard = self.lobby.in_flight.enter();
        let signature = head.headers.get("stripe-signature").and_then(|value| value.to_str().ok());
        match self.lobby.admin.payments.deliver(signature.unwrap_or_default(), &whole.to_bytes()).await {
            Delivered::Done => text(StatusCode::OK, r#"{"received":true}"#, JSON),
            Delivered::Forged(why) => problem(400, why, Some("invalid_signature"), id),
            Delivered::Nowhere => {
                let message = "No webhooks are expected: payments.provider is not \"stripe\".".to_owned();
                problem(404, message, Some("unknown_url"), id)
            }
            Delivered::Again => {
                let message = "The gateway could not act on this; its log says why.".to_owned();
                problem(503, message, Some("store_unavailable"), id)
            }
        }
    }

    fn models(
        &self,
        request: &Request<Incoming>,
        model: Option<String>,
        id: RequestId,
    ) -> Response<FrontBody> {
        let (now, dialect) = (self.gateway.shared().clock.now(), dialect_of(request));
        let visit = Visit { address: client_address(request), endpoint: Scope::Models, now };
        let caller = match self.gateway.identify(request.headers(), &visit) {
            Ok(caller) => caller,
            Err(refusal) => return failed(refusal.into(), dialect, id),
        };
        let created = self.lobby.started_at;
        let card = |route: &gateway::Route| ModelCard {
            id: route.model.to_string(),
            created,
            owned_by: route
                .targets
                .first()
                .map_or_else(String::new, |target| target.provider.name.to_string()),
            pricing: pricing_of(route, now),
            // The cards of the other dialects have no room for it.
            tollkeeper: (dialect == Dialect::OpenAi).then(|| self.access_of(route, &caller, now)).flatten(),
        };
        match model {
            None => {
                let cards: Vec<ModelCard> = self.gateway.models(&caller).map(|route| card(route)).collect();
                text(
                    StatusCode::OK,
                    match dialect {
                        Dialect::OpenAi => models_json(&cards),
                        Dialect::Anthropic => anthropic::models_json(&cards),
                        Dialect::Gemini => dialect::gemini::models_json(&cards),
                    },
                    JSON,
                )
            }
            Some(model) => match self.gateway.model(&caller, &model) {
                Ok(route) => text(
                    StatusCode::OK,
                    match dialect {
                        Dialect::OpenAi => model_json(&card(&route)),
                        Dialect::Anthropic => anthropic::model_json(&card(&route)),
                        Dialect::Gemini => dialect::gemini::model_json(&card(&route)),
                    },
                    JSON,
                ),
                Err(refusal) => failed(refusal.into(), dialect, id),
            },
        }
    }

    /// On whose account a call of this model would be made, if this caller made it now.
    fn access_of(&self, route: &gateway::Route, caller: &Caller, now: Timestamp) -> Option<Value> {
        let explained = explain_route(self.gateway.shared(), &route.model, Some(caller.principal())).ok()?;
        Some(contracts::of_model(&explained, now))
    }

    fn readiness(&self) -> Response<FrontBody> {
        if self.is_draining() {
            return text(StatusCode::SERVICE_UNAVAILABLE, "draining\n", TEXT);
        }
        if self.lobby.store.figures().stopped {
            return text(StatusCode::SERVICE_UNAVAILABLE, "the ledger has stopped\n", TEXT);
        }
        text(StatusCode::OK, "ready\n", TEXT)
    }

    fn metrics(&self) -> String {
        let writer = self.lobby.store.figures();
        let ready = !self.is_draining() && !writer.stopped;
        self.lobby.metrics.dropped(self.lobby.keeper.dropped());
        self.lobby.metrics.encode(self.lobby.in_flight.count(), ready, writer)
    }

    fn is_draining(&self) -> bool {
        self.lobby.draining.load(Ordering::Acquire)
    }
}

/// The model of a path below a list of models, as it stands there.
fn below_models(path: &str) -> Option<&str> {
    gemini::MODELS.iter().find_map(|models| path.strip_prefix(models)?.strip_prefix('/'))
}

/// What a call of a route's model costs now: at the first of its targets that has a price, which is where it goes.
/// `None` also for a model that is not sold by the token.
fn pricing_of(route: &gateway::Route, now: Timestamp) -> Option<ModelPricing> {
    let price = route.targets.iter().find_map(|target| target.prices.as_ref()?.at(now))?;
    let prices = price.prices(0);
    let of_one = |field| prices.get(field).map(domain::Price::to_per_unit);
    let kind = price.kind.as_str();
    Some(ModelPricing { prompt: of_one("input")?, completion: of_one("output")?, kind })
}

fn client_address(request: &Request<Incoming>) -> Option<IpAddr> {
    request.extensions().get().and_then(|ClientAddress(address)| *address)
}

fn text(status: StatusCode, body: impl Into<Bytes>, content_type: HeaderValue) -> Response<FrontBody> {
    let mut response = Response::new(FrontBody::Plain(Answer::from(body.into())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

fn failed(failure: Failure, dialect: Dialect, id: RequestId) -> Response<FrontBody> {
    failure.into_response(dialect, id).map(FrontBody::Plain)
}

fn wrong_method(request: &Request<Incoming>, id: RequestId) -> Response<FrontBody> {
    let message = format!("{} is not a method of {}", request.method(), request.uri().path());
    let mut response = problem_in(dialect_of(request), 405, message, Some("method_not_allowed"), id);
    let path = request.uri().path();
    let calls =
        Endpoint::at(path).or_else(|| openrouter::endpoint(path)).is_some() || path == "/webhooks/stripe";
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(if calls { "POST" } else { "GET, HEAD" }));
    response
}

/// The official SDKs can talk to this path over a WebSocket, which this gateway does not speak: told before anybody is
/// asked for a key, so that nothing is counted.
fn no_web_socket(id: RequestId) -> Response<FrontBody> {
    let message =
        "This gateway answers over HTTP/1.1, not over WebSockets: send POST /v1/responses, with \"stream\": \
                   true for a stream."
            .to_owned();
    let mut response = problem(426, message, Some("upgrade_required"), id);
    // RFC 9110, 15.5.22: what to upgrade to must be said. It is hop by hop, so the connection names it, too.
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static("HTTP/1.1"));
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
    response
}

/// What can be done with a response that the provider keeps: nothing here, for the gateway does not know whose it is. A
/// 404, which is what clients expect of a response that is not there, and do not try again.
fn not_kept(request: &Request<Incoming>, id: RequestId) -> Response<FrontBody> {
    let (method, path) = (request.method(), request.uri().path());
    let message = format!(
        "Invalid URL ({method} {path}): this gateway passes responses on and keeps none, so it cannot look one up, \
         cancel, compact or delete it, or count its tokens. Keep what POST /v1/responses answers."
    );
    problem(404, message, Some("response_not_kept"), id)
}

fn unknown(request: &Request<Incoming>, id: RequestId) -> Response<FrontBody> {
    let (method, path, dialect) = (request.method(), request.uri().path(), dialect_of(request));
    if path.starts_with("/v1/v1/") {
        let message = format!(
            "Invalid URL ({method} {path}). This client adds /v1 itself: leave it out of the base URL."
        );
        return problem_in(dialect, 404, message, None, id);
    }
    if path.starts_with("/v1/") {
        return problem_in(dialect, 404, format!("Invalid URL ({method} {path})"), None, id);
    }
    if dialect == Dialect::Gemini {
        let message = format!(
            "Invalid URL ({method} {path}): of Gemini's API this gateway serves /v1beta/models, and below it \
             MODEL:generateContent, MODEL:streamGenerateContent and MODEL:countTokens."
        );
        return problem_in(dialect, 404, message, Some("unknown_url"), id);
    }
    let hint = if WITHOUT_V1.contains(&path) {
        format!(" The base URL ends in /v1: did you mean {method} /v1{path}?")
    } else {
        " This is a Tollkeeper gateway: its API is under /v1, as OpenAI's is.".to_owned()
    };
    let message = format!("Unknown request URL: {method} {path}.{hint}");
    problem_in(dialect, 404, message, Some("unknown_url"), id)
}

/// The dialect that whoever sent this understands. Anthropic's clients name its version wherever they go.
fn dialect_of<B>(request: &Request<B>) -> Dialect {
    let path = request.uri().path();
    match Endpoint::at(path).or_else(|| openrouter::endpoint(path)) {
        Some(endpoint) => endpoint.dialect(),
        None if request.headers().contains_key(ANTHROPIC_VERSION) => Dialect::Anthropic,
        None if gemini::is_sender(request) => Dialect::Gemini,
        None => Dialect::of_path(path),
    }
}

fn problem(status: u16, message: String, code: Option<&'static str>, id: RequestId) -> Response<FrontBody> {
    problem_in(Dialect::OpenAi, status, message, code, id)
}

fn problem_in(
    dialect: Dialect,
    status: u16,
    message: String,
    code: Option<&'static str>,
    id: RequestId,
) -> Response<FrontBody> {
    let body = ErrorBody::new(status, "invalid_request_error", message);
    let body = ErrorBody { code: code.map(Into::into), request_id: Some(id.to_string()), ..body };
    let body = body.told_in(dialect);
    text(StatusCode::from_u16(body.status).unwrap_or(StatusCode::BAD_REQUEST), body.to_json(), JSON)
}

/// The body of any answer.
pub(crate) enum FrontBody {
    /// A call's answer, counted as in flight until it has gone out.
    Answer { answer: Answer, _guard: InFlightGuard },
    /// An answer that costs nothing.
    Plain(Answer),
    /// The administration.
    Admin(axum::body::Body),
}

impl Body for FrontBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match self.get_mut() {
            Self::Answer { answer, .. } | Self::Plain(answer) => {
                Pin::new(answer).poll_frame(context).map_err(axum::Error::new)
            }
            Self::Admin(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Answer { answer, .. } | Self::Plain(answer) => answer.is_end_stream(),
            Self::Admin(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Answer { answer, .. } | Self::Plain(answer) => answer.size_hint(),
            Self::Admin(body) => body.size_hint(),
        }
    }
}
