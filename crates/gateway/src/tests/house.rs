//! A gateway with everything around it: books and directory in memory, a provider that plays a script.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use bytes::Bytes;
use dialect::Endpoint;
use directory::{
    Bounds, DataClass, Directory, DirectoryService, InFlight, KeyChanges, KeyHasher, Mandate,
    MemoryDirectory, NewKey, NewOrganization, NewProject,
};
use domain::{Clock, Ids, LotId, Money, OrganizationId, ProjectId, RequestId, Timestamp};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use ledger::{
    Act, Booking, Books, Command, CostRow, Denial, Extension, Grant, LedgerError, LedgerStore, LotKind,
    MemoryLedger, Note, Reply, ReplySender, Ticket,
};
use pricing::{ModelKind, PriceVersion, RoutePrice, Schedule};
use providers::{Client, Provider, Timeouts};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::contract;
use crate::pools::Pools;
use crate::{
    Answer, Contract, Decision, Finished, Gateway, Observer, Rates, Recorder, RetryBudget, RetryRules, Route,
    Routes, Settings, Shared, Target, Task, Tasks, Tiers,
};

/// Output tokens in a step.
pub(super) const SLICE: u64 = 512;
/// What an input and an output token cost, in nano-units.
pub(super) const INPUT_NANO: i64 = 1_000;
pub(super) const OUTPUT_NANO: i64 = 10_000;

/// What keys are hashed with.
pub(super) const PEPPER: [u8; 32] = [7; 32];

/// Reading the machine's certificates takes longer than all else that a house needs.
static CLIENTS: LazyLock<Box<dyn Fn() -> Client + Send + Sync>> = LazyLock::new(|| {
    let tls = Client::tls().unwrap();
    Box::new(move || Client::new(Timeouts::default(), &tls))
});

/// What the provider answers.
#[derive(Clone, Debug)]
pub(super) enum Script {
    /// This body at once.
    Whole(String),
    /// So many tokens as events, and what it says it counted.
    Stream { tokens: u64, counts: u64 },
    /// Tokens without end, many in each piece.
    Endless,
    /// The same, each of them after so many tokens of thought, which are told in its event.
    Thinking(u64),
    /// So many bytes of sound, and then its end or a break.
    Sound { bytes: usize, breaks: bool },
}

/// An answer, whole.
pub(super) fn answer(tokens: u64) -> Script {
    let text = " word".repeat(usize::try_from(tokens).unwrap());
    Script::Whole(format!(
        r#"{{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":10,"completion_tokens":{tokens},"total_tokens":{}}}}}"#,
        tokens + 10
    ))
}

/// The same as an answer to Anthropic's messages.
pub(super) fn message(tokens: u64) -> Script {
    let text = " word".repeat(usize::try_from(tokens).unwrap());
    Script::Whole(format!(
        r#"{{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{{"type":"text","text":"{text}"}}],"stop_reason":"end_turn","stop_sequence":null,"usage":{{"input_tokens":10,"output_tokens":{tokens}}}}}"#
    ))
}

/// The same as an answer to Gemini's requests for content.
pub(super) fn content(tokens: u64) -> Script {
    let text = " word".repeat(usize::try_from(tokens).unwrap());
    Script::Whole(format!(
        r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{text}"}}],"role":"model"}},"finishReason":"STOP"}}],"usageMetadata":{{"promptTokenCount":10,"candidatesTokenCount":{tokens},"totalTokenCount":{}}},"modelVersion":"m"}}"#,
        tokens + 10
    ))
}

/// A clock that stands still until it is moved, but for a microsecond at each look at the one that never steps.
#[derive(Default)]
pub(super) struct Steady {
    looks: AtomicU64,
    moved: AtomicU64,
}

impl Steady {
    pub(super) fn advance(&self, time: Duration) {
        self.moved.fetch_add(u64::try_from(time.as_micros()).unwrap(), Ordering::Relaxed);
    }

    fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }
}

impl Clock for Steady {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000).plus_micros(i64::try_from(self.moved()).unwrap())
    }

    fn monotonic_micros(&self) -> u64 {
        self.looks.fetch_add(1, Ordering::Relaxed) + 1 + self.moved()
    }
}

/// The house's clock, for the books.
pub(super) struct Wall(Arc<Steady>);

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn monotonic_micros(&self) -> u64 {
        self.0.monotonic_micros()
    }
}

impl Ids for Steady {
    fn uuid(&self) -> [u8; 16] {
        u128::from(self.monotonic_micros()).to_be_bytes()
    }

    fn secret(&self) -> [u8; 32] {
        [self.uuid()[15]; 32]
    }
}

/// Books in memory whose answers to extensions can be kept back, or be that it is busy.
pub(super) struct Gate {
    books: MemoryLedger<Wall>,
    pub(super) closed: AtomicBool,
    /// Whether everything is answered as frozen books answer.
    pub(super) frozen: AtomicBool,
    pub(super) busy: AtomicBool,
    /// Whether the answer to a hold keeps its call waiting for a moment.
    pub(super) dawdles: AtomicBool,
    /// What the next hold is answered with, if not what the books say.
    pub(super) denies: Mutex<Option<LedgerError>>,
    waiting: Mutex<Vec<(Extension, ReplySender)>>,
    extensions: AtomicU64,
}

impl LedgerStore for Gate {
    fn submit(&self, command: Command) -> Ticket {
        if self.frozen.load(Ordering::Relaxed) {
            return Ticket::answered(Err(Denial::Frozen.into()));
        }
        if let Command::Extend(extension) = &command {
            self.extensions.fetch_add(1, Ordering::Relaxed);
            if self.busy.load(Ordering::Relaxed) {
                return Ticket::answered(Err(LedgerError::Busy));
            }
            if self.closed.load(Ordering::Relaxed) {
                let (sender, ticket) = Ticket::open();
                self.waiting.lock().unwrap().push((extension.clone(), sender));
                return ticket;
            }
        }
        if let Command::Hold(_) = &command
            && let Some(denial) = self.denies.lock().unwrap().take()
        {
            return Ticket::answered(Err(denial));
        }
        if matches!(command, Command::Hold(_)) && self.dawdles.load(Ordering::Relaxed) {
            return later(self.books.submit(command));
        }
        self.books.submit(command)
    }
}

/// The same answer, after the caller has had to wait for it.
#[expect(clippy::disallowed_methods, reason = "the ledger's side of a test")]
fn later(answer: Ticket) -> Ticket {
    let (sender, ticket) = Ticket::open();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut outbox = ledger::Outbox::default();
        outbox.add(sender, answer.await);
        outbox.send();
    });
    ticket
}

impl Gate {
    /// Answers what waits, and everything from now on.
    pub(super) async fn open(&self) {
        self.closed.store(false, Ordering::Relaxed);
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap());
        let mut outbox = ledger::Outbox::default();
        for (extension, sender) in waiting {
            outbox.add(sender, self.books.submit(Command::Extend(extension)).await);
        }
        outbox.send();
    }

    /// How far the streams were that wait for an answer, in output tokens.
    pub(super) fn asked_at(&self) -> Vec<u64> {
        let waiting = self.waiting.lock().unwrap();
        waiting.iter().map(|(extension, _)| extension.usage.output).collect()
    }

    pub(super) fn extensions(&self) -> u64 {
        self.extensions.load(Ordering::Relaxed)
    }
}

struct Spawner;

impl Tasks for Spawner {
    #[expect(clippy::disallowed_methods, reason = "a test has no shutdown to wait for")]
    fn spawn(&self, task: Task) {
        tokio::spawn(task);
    }

    fn offload(&self, work: Box<dyn FnOnce() + Send>) {
        work();
    }
}

/// Every decision, in the order in which they were made.
#[derive(Default)]
pub(super) struct Record(Mutex<Vec<Decision>>);

impl Recorder for Record {
    fn record(&self, decision: Decision) {
        self.0.lock().unwrap().push(decision);
    }
}

struct Silent;

impl Observer for Silent {
    fn finished(&self, _: &Finished) {}
}

/// What the provider saw.
#[derive(Default)]
pub(super) struct Seen {
    bodies: Mutex<Vec<Value>>,
    /// The gateway has left an endless stream.
    pub(super) dropped: Notify,
}

pub(super) struct House {
    pub(super) gate: Arc<Gate>,
    pub(super) seen: Arc<Seen>,
    pub(super) organization: OrganizationId,
    pub(super) gateway: Gateway,
    /// The keys by name; `laptop` is the one that works.
    pub(super) keys: BTreeMap<&'static str, String>,
    pub(super) clock: Arc<Steady>,
    /// What changes the directory that the gateway reads.
    pub(super) service: DirectoryService,
    pub(super) store: Arc<MemoryDirectory>,
    pub(super) project: ProjectId,
    pub(super) provider: Arc<Provider>,
    client: Client,
    record: Arc<Record>,
    calls: AtomicU64,
}

/// How a call is made, beside its body.
#[derive(Clone, Copy, Default)]
pub(super) struct Manner<'a> {
    /// The key's text.
    pub(super) key: Option<&'a str>,
    pub(super) address: Option<IpAddr>,
    pub(super) headers: &'a [(&'a str, &'a str)],
    /// Where it comes in; a chat, if that is not said.
    pub(super) endpoint: Option<Endpoint>,
    /// The path, where it tells a part of the call.
    pub(super) path: &'a str,
}

/// What a caller got.
pub(super) struct Got {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Got {
    /// The data of a stream's events.
    pub(super) fn events(&self) -> Vec<&str> {
        self.body.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).collect()
    }

    /// The tokens that a stream brought.
    pub(super) fn words(&self) -> u64 {
        words(&self.body)
    }
}

/// The tokens in a stream: each is one of these words.
pub(super) fn words(stream: &str) -> u64 {
    u64::try_from(stream.matches("\" word\"").count()).unwrap()
}

/// The price of the house's model.
pub(super) fn price() -> Arc<Schedule> {
    let price = RoutePrice { input: "1".to_owned(), output: Some("10".to_owned()), ..RoutePrice::default() };
    Arc::new(Schedule::from(PriceVersion::from_route("p", "m", &price, ModelKind::Chat).unwrap()))
}

impl House {
    /// A house whose organization has this much credit, in nano-units.
    pub(super) async fn new(in_flight: InFlight, credit: i64, script: Script) -> Self {
        let targets = [(contract(), Some(price()))];
        Self::with_targets(targets, DataClass::default(), in_flight, credit, script).await
    }

    /// A house whose model has targets with these contracts and prices, all at one provider, and whose project carries
    /// such data.
    pub(super) async fn with_targets(
        targets: impl IntoIterator<Item = (Arc<Contract>, Option<Arc<Schedule>>)>,
        data_class: DataClass,
        in_flight: InFlight,
        credit: i64,
        script: Script,
    ) -> Self {
        let seen = Arc::new(Seen::default());
        let base_url = provide(script, Arc::clone(&seen)).await;
        let provider =
            Arc::new(Provider::new("p", providers::Kind::simulated(), Some(&base_url), None).unwrap());
        let targets: Vec<Target> = targets
            .into_iter()
            .map(|(contract, prices)| Target::new(Arc::clone(&provider), "m", contract, prices))
            .collect();
        let unpriced = targets.iter().map(|target| Target { prices: None, ..target.clone() }).collect();
        let routes = Routes::new([
            Route::new("many/*", targets.clone()),
            Route::new("m", targets),
            Route::new("unpriced", unpriced),
        ]);

        let (ids, clock) = (Steady::default(), Arc::new(Steady::default()));
        let store = Arc::new(MemoryDirectory::default());
        let service = DirectoryService::open(Arc::clone(&store) as _, KeyHasher::new(PEPPER)).unwrap();
        let new = NewOrganization { name: "Acme".to_owned(), in_flight, ..NewOrganization::default() };
        let now = ids.now();
        let organization = service.create_organization(new, &Mandate::operator(&ids, now)).unwrap();
        let project = NewProject {
            organization: organization.id,
            name: "chat".to_owned(),
            environment: directory::Environment::default(),
            data_class,
            after_grant: directory::AfterGrant::default(),
        };
        let closed = NewProject { name: "closed".to_owned(), ..project.clone() };
        let mandate = Mandate::operator(&ids, now);
        let project = service.create_project(project, &mandate).unwrap().id;
        let closed = service.create_project(closed, &mandate).unwrap().id;
        let keys = make_keys(&service, &ids, project, closed);

        let gate = Arc::new(Gate {
            books: MemoryLedger::new(Wall(Arc::clone(&clock))),
            closed: AtomicBool::default(),
            frozen: AtomicBool::default(),
            busy: AtomicBool::default(),
            dawdles: AtomicBool::default(),
            denies: Mutex::default(),
            waiting: Mutex::default(),
            extensions: AtomicU64::default(),
        });
        let record = Arc::new(Record::default());
        let shared = Shared {
            directory: Arc::clone(service.directory()),
            routes,
            brought: Arc::default(),
            operator_keys: Arc::default(),
            tiers: Tiers::default(),
            pools: Pools::default(),
            retries: RetryBudget::new(RetryRules::default()),
            rates: Arc::new(Rates::default()),
            clock: Arc::clone(&clock) as _,
            ids: Arc::new(Steady::default()),
            tasks: Arc::new(Spawner),
            observer: Arc::new(Silent),
            recorder: Arc::clone(&record) as _,
            settings: Settings { output_slice: SLICE, ..Settings::default() },
        };
        let client = CLIENTS();
        let gateway = Gateway::new(Arc::new(shared), Arc::clone(&gate) as _, client.clone());
        let house = Self {
            gate,
            seen,
            organization: organization.id,
            gateway,
            keys,
            clock,
            service,
            store,
            project,
            provider,
            client,
            record,
            calls: AtomicU64::default(),
        };
        let open = Command::Open { organization: organization.id, wallet: organization.wallet };
        house.gate.submit(open).await.unwrap();
        if credit > 0 {
            house.grant(credit, 1).await;
        }
        house
    }

    /// Changes what is configured; what was counted and learned stays.
    pub(super) fn configure(&mut self, directory: Arc<Directory>, routes: Routes, tiers: Tiers) {
        self.alter(|old| Shared { directory, routes, tiers, ..Self::copy(old) });
    }

    /// Makes another gateway of the one there is.
    pub(super) fn alter(&mut self, change: impl FnOnce(&Shared) -> Shared) {
        let shared = change(self.gateway.shared());
        self.gateway = Gateway::new(Arc::new(shared), Arc::clone(&self.gate) as _, self.client.clone());
    }

    /// What a gateway shares, but for its routes and tiers, of which this has none, and its budget of retries, which is
    /// full.
    pub(super) fn copy(old: &Shared) -> Shared {
        Shared {
            directory: Arc::clone(&old.directory),
            routes: Routes::default(),
            brought: Arc::clone(&old.brought),
            operator_keys: Arc::clone(&old.operator_keys),
            tiers: Tiers::default(),
            pools: Pools::default(),
            retries: RetryBudget::new(old.settings.retry),
            rates: Arc::clone(&old.rates),
            clock: Arc::clone(&old.clock),
            ids: Arc::clone(&old.ids),
            tasks: Arc::clone(&old.tasks),
            observer: Arc::clone(&old.observer),
            recorder: Arc::clone(&old.recorder),
            settings: old.settings,
        }
    }

    pub(super) async fn grant(&self, nano: i64, lot: u8) {
        let grant = Grant {
            wallet: None,
            lot: LotId::from_bytes([lot; 16]),
            kind: LotKind::Prepaid,
            amount: Money::from_nano(nano),
            expires_at: Timestamp::MAX,
        };
        self.book(Act::Grant(grant)).await;
    }

    pub(super) async fn book(&self, act: Act) {
        let note = Note { actor: "test".into(), reason: Some("a test".into()) };
        let booking = Booking { organization: self.organization, idempotency: None, note, act };
        self.gate.submit(Command::Book(Box::new(booking))).await.unwrap();
    }

    /// Ends every hold there is, as the sweeper does with old ones.
    pub(super) async fn time_out(&self) {
        let (organization, stale_before) = (self.organization, Timestamp::MAX);
        let sweep = Command::Sweep { organization, warn_seconds: 0, stale_before };
        assert_eq!(self.gate.submit(sweep).await.unwrap(), Reply::Swept(1));
    }

    /// Makes a call and takes its whole answer.
    pub(super) async fn call(&self, number: u8, body: &str) -> Got {
        self.call_with(number, body, &[]).await
    }

    pub(super) async fn call_with(&self, number: u8, body: &str, headers: &[(&str, &str)]) -> Got {
        let manner = Manner { key: Some(&self.keys["laptop"]), headers, ..Manner::default() };
        got(self.send(RequestId::from_bytes([number; 16]), manner, body).await).await
    }

    /// Makes a call with a number of its own, and takes its whole answer.
    pub(super) async fn ask(&self, manner: Manner<'_>, body: &str) -> Got {
        got(self.open(manner, body).await).await
    }

    /// Makes a call with a number of its own, and takes the head of its answer.
    pub(super) async fn open(&self, manner: Manner<'_>, body: &str) -> Response<Answer> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        self.send(RequestId::from_bytes(u128::from(number).to_be_bytes()), manner, body).await
    }

    /// Makes a call and takes the head of its answer.
    pub(super) async fn begin(&self, number: u8, body: &str) -> Response<Answer> {
        let manner = Manner { key: Some(&self.keys["laptop"]), ..Manner::default() };
        self.send(RequestId::from_bytes([number; 16]), manner, body).await
    }

    async fn send(&self, id: RequestId, manner: Manner<'_>, body: &str) -> Response<Answer> {
        let Manner { key, address, headers, endpoint, path } = manner;
        let mut request = Request::builder().method("POST").uri(if path.is_empty() { "/" } else { path });
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap();
        self.gateway.serve(endpoint.unwrap_or(Endpoint::Chat), id, address, request).await
    }

    /// The decisions so far, which were not asked for before.
    pub(super) fn decisions(&self) -> Vec<Decision> {
        std::mem::take(&mut *self.record.0.lock().unwrap())
    }

    pub(super) fn books(&self) -> Books {
        self.gate.books.books(self.organization).unwrap()
    }

    pub(super) fn rows(&self) -> Vec<CostRow> {
        self.gate.books.rows()
    }

    /// The bodies that the provider got.
    pub(super) fn bodies(&self) -> Vec<Value> {
        self.seen.bodies.lock().unwrap().clone()
    }

    /// The debt, after everything has ended.
    pub(super) fn debt(&self) -> i64 {
        let books = self.books();
        assert!(books.holds.is_empty(), "every hold has ended");
        assert_eq!(books.wallets[0].held, Money::ZERO);
        books.wallets[0].debt.nano()
    }
}

/// Takes a whole answer.
async fn got(response: Response<Answer>) -> Got {
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Got { status: head.status, headers: head.headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

/// A key for each way in which one is good or not, by its name.
fn make_keys(
    service: &DirectoryService,
    ids: &Steady,
    project: ProjectId,
    closed: ProjectId,
) -> BTreeMap<&'static str, String> {
    let now = ids.now();
    let earlier = Mandate::operator(ids, now.plus_seconds(-10));
    let mut keys = BTreeMap::new();
    for (name, project) in
        [("laptop", project), ("expired", project), ("disabled", project), ("of a closed one", closed)]
    {
        let new = NewKey {
            project,
            owner: None,
            name: Some(name.to_owned()),
            bounds: Bounds::default(),
            expires_at: (name == "expired").then_some(now),
        };
        let made = service.create_key(new, &earlier).unwrap();
        if name == "disabled" {
            let changes = KeyChanges { disabled: Some(true), ..KeyChanges::default() };
            service.update_key(made.key.id, changes, &earlier).unwrap();
        }
        keys.insert(name, made.secret.expose().to_owned());
    }
    service.archive_project(closed, &earlier).unwrap();
    keys
}

/// Serves the script, and answers where.
#[expect(clippy::disallowed_methods, reason = "the provider's side of a test")]
async fn provide(script: Script, seen: Arc<Seen>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, script.clone(), Arc::clone(&seen)));
        }
    });
    format!("http://{address}/v1")
}

/// One connection: requests, and the script's answer to each.
async fn converse(mut stream: TcpStream, script: Script, seen: Arc<Seen>) {
    let mut input = Vec::new();
    while let Some(body) = read_request(&mut stream, &mut input).await {
        seen.bodies.lock().unwrap().push(as_json(&body));
        if play(&mut stream, &script).await.is_err() {
            return seen.dropped.notify_one();
        }
    }
}

/// A body as it is, or as a text.
fn as_json(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(body)))
}

pub(super) async fn read_request(stream: &mut TcpStream, input: &mut Vec<u8>) -> Option<Vec<u8>> {
    loop {
        let text = String::from_utf8_lossy(input).into_owned();
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            let (start, length): (usize, usize) = (head.len() + 4, length.parse().unwrap());
            if input.len() >= start + length {
                let body = input[start..start + length].to_vec();
                input.drain(..start + length);
                return Some(body);
            }
        }
        if stream.read_buf(input).await.ok()? == 0 {
            return None;
        }
    }
}

/// An event of a stream with these choices, and what follows them.
fn event(choices: &str, usage: &str) -> String {
    format!(
        "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{choices}]{usage}}}\n\n"
    )
}

fn usage(tokens: u64) -> String {
    let total = tokens + 10;
    format!(r#","usage":{{"prompt_tokens":10,"completion_tokens":{tokens},"total_tokens":{total}}}"#)
}

const WORD: &str = r#"{"index":0,"delta":{"content":" word"},"finish_reason":null}"#;
const FINISH: &str = r#"{"index":0,"delta":{},"finish_reason":"stop"}"#;
const STREAM_HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

async fn play(stream: &mut TcpStream, script: &Script) -> std::io::Result<()> {
    let piece = |data: String| format!("{:x}\r\n{data}\r\n", data.len()).into_bytes();
    match script {
        Script::Whole(body) => {
            let length = body.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
            );
            stream.write_all((head + body).as_bytes()).await
        }
        Script::Stream { tokens, counts } => {
            stream.write_all(STREAM_HEAD).await?;
            for _ in 0..*tokens {
                stream.write_all(&piece(event(WORD, ""))).await?;
            }
            let end = event(FINISH, "") + &event("", &usage(*counts)) + "data: [DONE]\n\n";
            stream.write_all(&piece(end)).await?;
            stream.write_all(b"0\r\n\r\n").await
        }
        Script::Endless => {
            stream.write_all(STREAM_HEAD).await?;
            loop {
                stream.write_all(&piece(event(WORD, "").repeat(50))).await?;
            }
        }
        Script::Sound { bytes, breaks } => {
            let length = bytes + usize::from(*breaks);
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-type: audio/pcm\r\ncontent-length: {length}\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&vec![0; *bytes]).await?;
            if *breaks { Err(std::io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
        }
        Script::Thinking(step) => {
            stream.write_all(STREAM_HEAD).await?;
            let mut told = 0;
            loop {
                told += step;
                stream.write_all(&piece(event(WORD, &usage(told)))).await?;
            }
        }
    }
}
