//! The thread, the socket, the clock, and the requests that steer.

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::account::{Account, Truth};
use crate::api;
use crate::deliver::{self, Signing};
use crate::idempotency::Keys;
use crate::reply::Reply;

/// What goes wrong with a call of `/v1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// 500 with nothing done; the key remembers it.
    Broken,
    /// 429, and nothing done.
    RateLimited,
    /// 409, as while another request with the same key is at work.
    InUse,
    /// 503 from a proxy in front, with a page instead of JSON.
    Unavailable,
    /// Carried out, but the connection ends before the answer.
    Lost,
    /// Carried out, but never answered.
    Hang,
    /// Carried out, but what is answered is no JSON.
    Garbage,
}

/// What a [`FakeStripe`] is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The secret key that callers must have.
    pub secret_key: String,
    /// The secret that webhooks are signed with.
    pub webhook_secret: String,
    /// Where every event is sent as it happens, if anywhere.
    pub webhook_url: Option<String>,
    /// The file to append the truth log to, a line of JSON for each movement of money.
    pub truth_log: Option<PathBuf>,
}

impl Default for Options {
    /// Loopback on a free port; events are sent on request only.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            secret_key: "sk_test_fake0123456789".to_owned(),
            webhook_secret: "whsec_fake0123456789abcdef".to_owned(),
            webhook_url: None,
            truth_log: None,
        }
    }
}

/// A running stand-in. It stops when dropped.
pub struct FakeStripe {
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    addr: SocketAddr,
    options: Options,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    account: Account,
    keys: Keys,
    faults: VecDeque<Fault>,
    requests: Vec<(String, String)>,
    /// Events that were already sent by themselves.
    sent: usize,
}

impl FakeStripe {
    /// Binds and serves on a thread of its own.
    ///
    /// # Errors
    /// When the address cannot be bound, the truth log not opened, or the thread not started.
    pub fn start(options: Options) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(options.listen)?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let open = |path: &PathBuf| OpenOptions::new().create(true).append(true).open(path);
        let truth_log = options.truth_log.as_ref().map(open).transpose()?;
        let account = Account { epoch: now_seconds(), truth_log, ..Account::default() };
        let state = Mutex::new(State { account, ..State::default() });
        let shared = Arc::new(Shared { addr, options, state });
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let serving = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("fake-stripe".to_owned()).spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    _ = stopped => {}
                    () = serve(serving, listener) => {}
                }
            });
        })?;
        Ok(Self { shared, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens, as the `base_url` of a client.
    pub fn base_url(&self) -> String {
        self.shared.base_url()
    }

    /// The next `times` calls of `/v1` fail like this.
    pub fn fail(&self, fault: Fault, times: usize) {
        self.shared.lock().faults.extend(std::iter::repeat_n(fault, times));
    }

    /// The customer pays a checkout on its page; the checkout session afterwards, or Stripe's error.
    ///
    /// # Errors
    /// The error object.
    pub fn pay(&self, checkout: &str, payment_method: &str) -> Result<Value, Value> {
        result(api::pay(&mut self.shared.lock().account, checkout, payment_method))
    }

    /// A payment that takes its time ends.
    ///
    /// # Errors
    /// The error object.
    pub fn settle(&self, payment_intent: &str, succeeds: bool) -> Result<Value, Value> {
        result(api::settle(&mut self.shared.lock().account, payment_intent, succeeds))
    }

    /// A customer who left a payment method.
    pub fn customer(&self, payment_method: &str) -> String {
        let account = &mut self.shared.lock().account;
        let customer = account.new_customer();
        account.customers.entry(customer.clone()).or_default().insert(payment_method.to_owned());
        customer
    }

    /// All events so far, oldest first.
    pub fn events(&self) -> Vec<Value> {
        self.shared.lock().account.events.clone()
    }

    /// The money that moved.
    pub fn truth(&self) -> Vec<Truth> {
        self.shared.lock().account.truth.clone()
    }

    /// Every request of `/v1`: its path, and its form.
    pub fn requests(&self) -> Vec<(String, String)> {
        self.shared.lock().requests.clone()
    }

    /// The `Stripe-Signature` header and the body of an event, signed at `seconds`.
    pub fn signed(&self, event: &Value, seconds: i64, signing: Signing) -> (String, String) {
        deliver::sign(&self.shared.options.webhook_secret, &event.to_string(), seconds, signing)
    }
}

impl Drop for FakeStripe {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so on its own.
            let _ = thread.join();
        }
    }
}

fn result(answer: Result<Reply, Reply>) -> Result<Value, Value> {
    answer.map(|reply| reply.body).map_err(|reply| reply.body)
}

impl Shared {
    fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.account.now = now_seconds();
        state
    }
}

async fn serve(shared: Arc<Shared>, listener: std::net::TcpListener) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            connection(Arc::clone(&shared), stream);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the stand-in's runtime ends every task when it stops")]
fn connection(shared: Arc<Shared>, stream: TcpStream) {
    let service = service_fn(move |request| answer(Arc::clone(&shared), request));
    tokio::spawn(async move {
        // A caller that leaves and a fault that hangs up both end here.
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    });
}

/// A connection that ends without an answer.
#[derive(Debug)]
struct HangUp;

impl std::fmt::Display for HangUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("hung up on purpose")
    }
}

impl std::error::Error for HangUp {}

type Served = Result<Response<Full<Bytes>>, HangUp>;

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Served {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| HangUp)?.to_bytes();
    let body = String::from_utf8_lossy(&body).into_owned();
    let (method, path) = (head.method.as_str(), head.uri.path());
    let served = match path.strip_prefix("/v1") {
        Some(rest) => {
            // What a GET asks for stands in its query, in the form of a form.
            let form = if method == "GET" { head.uri.query().unwrap_or_default().to_owned() } else { body };
            stripe(&shared, method, rest, &head.headers, form).await
        }
        None => Ok(respond(&steer(&shared, method, path, &body).await)),
    };
    send_news(&shared);
    served
}

/// A request of Stripe's API.
async fn stripe(shared: &Shared, method: &str, path: &str, headers: &HeaderMap, form: String) -> Served {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if header("authorization") != Some(&format!("Bearer {}", shared.options.secret_key)) {
        let key = header("authorization").unwrap_or_default();
        let message = format!("Invalid API Key provided: {key}");
        return Ok(respond(&Reply::refused(401, "invalid_request_error", None, &message)));
    }
    let (reply, fault) = {
        let state = &mut *shared.lock();
        state.requests.push((path.to_owned(), form.clone()));
        let fault = state.faults.pop_front();
        let earlier = header("idempotency-key").and_then(|key| state.keys.earlier(key, path, &form));
        let reply = match (fault, earlier) {
            (Some(Fault::RateLimited), _) => {
                Reply::refused(429, "invalid_request_error", Some("rate_limit"), "Too many requests.")
            }
            (Some(Fault::InUse), _) => {
                let message = "Another request with this key is at work.";
                Reply::refused(409, "idempotency_error", Some("idempotency_key_in_use"), message)
            }
            (Some(Fault::Unavailable), _) => Reply::refused(503, "", None, ""),
            (_, Some(earlier)) => earlier,
            (Some(Fault::Broken), None) => Reply::broken(),
            (_, None) => api::call(&mut state.account, method, path, &form, &shared.base_url()),
        };
        if let Some(key) = header("idempotency-key").filter(|_| !reply.replayed) {
            state.keys.remember(key, path, &form, &reply);
        }
        (reply, fault)
    };
    match fault {
        Some(Fault::Lost) => Err(HangUp),
        Some(Fault::Hang) => pending().await,
        Some(Fault::Garbage) => Ok(Response::new(Full::from("<html>not what was asked for</html>"))),
        Some(Fault::Unavailable) => {
            let mut response = Response::new(Full::from("<html>busy</html>"));
            *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
            Ok(response)
        }
        Some(Fault::Broken | Fault::RateLimited | Fault::InUse) | None => Ok(respond(&reply)),
    }
}

fn respond(reply: &Reply) -> Response<Full<Bytes>> {
    let mut builder = Response::builder().status(reply.status).header("content-type", "application/json");
    if reply.replayed {
        builder = builder.header("idempotent-replayed", "true").header("stripe-should-retry", "false");
    }
    builder.body(Full::from(reply.body.to_string())).unwrap_or_default()
}

#[derive(Deserialize)]
struct FailOrder {
    fault: Fault,
    #[serde(default = "one")]
    times: usize,
}

#[derive(Deserialize)]
struct PayOrder {
    payment_method: String,
}

#[derive(Deserialize)]
struct SettleOrder {
    succeeds: bool,
}

#[derive(Deserialize)]
struct AmountOrder {
    amount: i64,
}

#[derive(Deserialize)]
struct DeliverOrder {
    url: String,
    #[serde(default)]
    events: Vec<String>,
    #[serde(default = "one")]
    times: usize,
    #[serde(default)]
    signing: Signing,
    #[serde(default)]
    age_seconds: i64,
}

fn one() -> usize {
    1
}

fn read<'a, T: Deserialize<'a>>(body: &'a str) -> Result<T, Reply> {
    serde_json::from_str(body).map_err(|error| Reply::invalid(&error.to_string()))
}

/// A request of the test's.
async fn steer(shared: &Shared, method: &str, path: &str, body: &str) -> Reply {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let done = if let ("POST", ["fake", "deliver"]) = (method, parts.as_slice()) {
        deliver_order(shared, body).await
    } else {
        steer_state(&mut shared.lock(), method, &parts, body)
    };
    done.unwrap_or_else(|refusal| refusal)
}

fn steer_state(state: &mut State, method: &str, parts: &[&str], body: &str) -> Result<Reply, Reply> {
    let account = &mut state.account;
    match (method, parts) {
        ("GET", ["fake", "events"]) => Ok(Reply::ok(Value::Array(account.events.clone()))),
        ("GET", ["fake", "truth"]) => Ok(Reply::ok(json!(account.truth))),
        ("GET", ["fake", "page", id]) => {
            let text = format!("POST /fake/checkout/{id}/pay with a payment_method pays");
            Ok(Reply::ok(Value::String(text)))
        }
        ("POST", ["fake", "faults"]) => {
            let FailOrder { fault, times } = read(body)?;
            state.faults.extend(std::iter::repeat_n(fault, times));
            Ok(Reply::ok(json!({ "faults": state.faults })))
        }
        ("POST", ["fake", "checkout", id, "pay"]) => {
            api::pay(account, id, &read::<PayOrder>(body)?.payment_method)
        }
        ("POST", ["fake", "payments", id, "settle"]) => {
            api::settle(account, id, read::<SettleOrder>(body)?.succeeds)
        }
        ("POST", ["fake", "payments", id, what @ ("refund" | "dispute")]) => {
            api::give_back(account, id, read::<AmountOrder>(body)?.amount, *what == "dispute")
        }
        _ => Err(Reply::missing("steering", &parts.join("/"))),
    }
}

/// Sends events as told and answers with what each was answered with.
async fn deliver_order(shared: &Shared, body: &str) -> Result<Reply, Reply> {
    let order: DeliverOrder = read(body)?;
    let all = shared.lock().account.events.clone();
    let id = |event: &Value| event.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let find = |wanted: &String| {
        all.iter().find(|event| id(event) == *wanted).ok_or_else(|| Reply::missing("event", wanted))
    };
    let events: Vec<&Value> = match order.events.is_empty() {
        true => all.iter().collect(),
        false => order.events.iter().map(find).collect::<Result<_, _>>()?,
    };
    let mut answers = Vec::new();
    for event in events {
        for _ in 0..order.times {
            let seconds = now_seconds() - order.age_seconds;
            let secret = &shared.options.webhook_secret;
            let (header, body) = deliver::sign(secret, &event.to_string(), seconds, order.signing);
            let status = deliver::send(&order.url, &header, body).await;
            answers.push(json!({ "event": id(event), "type": event.get("type"), "status": status }));
        }
    }
    Ok(Reply::ok(json!({ "answers": answers })))
}

/// Sends what has happened since the last time, in the background, if a webhook was configured.
#[expect(clippy::disallowed_methods, reason = "the stand-in's runtime ends every task when it stops")]
fn send_news(shared: &Arc<Shared>) {
    let Some(url) = shared.options.webhook_url.clone() else { return };
    let news: Vec<Value> = {
        let state = &mut *shared.lock();
        let sent = std::mem::replace(&mut state.sent, state.account.events.len());
        state.account.events.iter().skip(sent).cloned().collect()
    };
    if news.is_empty() {
        return;
    }
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        for event in news {
            let secret = &shared.options.webhook_secret;
            let (header, body) = deliver::sign(secret, &event.to_string(), now_seconds(), Signing::Good);
            // Stripe tries for days; who wants to see a retry asks for one.
            let _ = deliver::send(&url, &header, body).await;
        }
    });
}

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the stand-in has a clock of its own, as Stripe has")]
fn now_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
