//! Starting and stopping: the threads that serve, the one that accepts, and the order in which they end.

use std::net::{SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use directory::DirectoryService;
use domain::{Clock, Ids};
use gateway::{Gateway, Rates, Route, Routes, Shared};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use hyper_util::server::graceful::GracefulShutdown;
use ledger::Postbox;
use providers::{Client, Timeouts};
use secrecy::ExposeSecret;
use serde_json::json;
use store::Store;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::admin::{self, Admin};
use crate::clock::{SystemClock, SystemIds};
use crate::config::{Config, Environment};
use crate::contracts;
use crate::decisions::{Forgetter, Keeper};
use crate::front::{Front, Lobby};
use crate::housekeeper::Housekeeper;
use crate::inventory;
use crate::keyring::{Clients, Keyring};
use crate::metrics::Metrics;
use crate::patience::Patient;
use crate::payments::{Payments, Recharger};
use crate::published::PublishedFile;
use crate::secrets::{ANOTHER_OPERATOR_KEY, OPERATOR_KEY, OPERATOR_PUBLISHED, Secrets, SecretsError};
use crate::sweeper::{SweepSettings, Sweeper};
use crate::tasks::{InFlight, RuntimeTasks};
use crate::user_pays::UserPays;
use crate::vault::Vault;

/// How long the settlements of calls that were cut off may take.
const LAST_SETTLEMENTS: Duration = Duration::from_secs(5);
/// A head that takes longer than this to arrive is given up.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// What to serve, and where.
pub struct Options {
    /// The data folder, made when missing.
    pub data: PathBuf,
    /// An address in place of the configuration's.
    pub listen: Option<SocketAddr>,
    /// The checked configuration.
    pub config: Config,
    /// The environment.
    pub environment: Environment,
    /// Routes besides the configuration's: those of the simulated provider.
    pub extra_routes: Vec<Route>,
}

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder or the database.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// The operator's key or the pepper.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// Organizations, projects, keys.
    #[error(transparent)]
    Directory(#[from] directory::OpenError),
    /// The address.
    #[error(
        "cannot listen on {address}: {source}; is another gateway running there? --listen names another address"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system gave no thread.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// The master keys of the vault.
    #[error("vault.master_keys: {0}")]
    Vault(String),
    /// TLS could not be set up.
    #[error("TLS: {0}")]
    Tls(String),
}

/// A running gateway.
pub struct Running {
    address: SocketAddr,
    operator_key_created: Option<String>,
    lobby: Arc<Lobby>,
    drain: Duration,
    shutdown: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
    /// Those that end after all others, since they look at what the others leave: the sweeper and the housekeeper.
    last: (watch::Sender<bool>, Vec<JoinHandle<()>>),
}

/// Starts a gateway and returns when it takes calls.
///
/// # Errors
/// When anything it needs is unusable; nothing is left running.
pub fn start(options: Options) -> Result<Running, StartError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let ids: Arc<dyn Ids> = Arc::new(SystemIds);
    let Options { data, listen, mut config, environment, extra_routes } = options;
    // First, so that a start on a taken address leaves nothing behind, the operator's key above all.
    let (listener, address) = bind(listen.unwrap_or(config.listen))?;
    let (store, secrets, directory) = open_data(&data, &mut config, &environment, (&clock, ids.as_ref()))?;
    let (in_flight, status) = (InFlight::default(), status_of(&config));
    let routes = Routes::new(config.routes.into_iter().chain(extra_routes))
        .with_free_router(&config.pools.free.router);
    contracts::warn(&routes, clock.now());
    let metrics = Arc::new(Metrics::new(routes.providers()));
    let keeper = Arc::new(Keeper::new(store.decisions(), Arc::clone(&clock), config.explain));
    let shared = Arc::new(Shared {
        directory: Arc::clone(directory.directory()),
        routes,
        brought: Arc::default(),
        operator_keys: Arc::new(config.operator_keys),
        tiers: config.tiers,
        pools: config.pools,
        retries: gateway::RetryBudget::new(config.settings.retry),
        rates: Arc::new(Rates::new(config.user_pays.caps)),
        clock: Arc::clone(&clock),
        ids: Arc::clone(&ids),
        tasks: Arc::new(RuntimeTasks::new(in_flight.clone())),
        observer: Arc::clone(&metrics) as Arc<dyn gateway::Observer>,
        recorder: Arc::clone(&keeper) as Arc<dyn gateway::Recorder>,
        settings: config.settings,
    });
    let vault = Vault::open(config.vault, environment, Arc::clone(&ids)).map_err(StartError::Vault)?;
    let clients = clients(config.timeouts)?;
    let keyring = Keyring::opened(vault, &shared, &clients, &directory);
    let admin = Arc::new(Admin {
        operator: secrets.operator,
        hasher: secrets.hasher(),
        directory,
        gateway: Arc::clone(&shared),
        ledger: store.ledger(),
        reader: store.reader(),
        payments: Arc::new(Payments::new(config.payments, store.payments(), clock.clone(), ids.clone())),
        keyring,
        clock: Arc::clone(&clock),
        ids,
        user_pays: UserPays::new(config.user_pays),
        decisions: store.decisions(),
        explain: config.explain,
        status: status(Arc::clone(&shared), Arc::clone(&store)),
    });
    let lobby = Arc::new(Lobby {
        router: admin::router(Arc::clone(&admin)),
        admin,
        metrics,
        store: Arc::clone(&store),
        keeper,
        in_flight,
        draining: AtomicBool::new(false),
        started_at: clock.now().seconds(),
        trusted_proxies: config.trusted_proxies,
    });
    let (shutdown, ending) = watch::channel(false);
    let serving = Serving { shared: &shared, lobby: &lobby, clients: &clients, ending: &ending };
    let (workers, mut threads) = serving.start(worker_count(config.workers))?;
    let (end_last, after) = watch::channel(false);
    let sweeper = sweep(&lobby, &clock, config.sweep, config.explain.keep_days, after.clone())?;
    let last = (end_last, vec![sweeper, keep_house(&lobby, shared, config.published, after)?]);
    threads.extend(beside_calls(&lobby, clients, config.model_lists_every, &ending)?);
    threads.push(spawn("accept", move || accept(listener, &workers, ending))?);
    let operator_key_created = secrets.created.map(|key| key.expose_secret().to_owned());
    Ok(Running { address, operator_key_created, lobby, drain: config.drain, shutdown, threads, last })
}

/// Opens what is kept in the data folder: the books, the gateway's own secrets, the directory.
fn open_data(
    data: &Path,
    config: &mut Config,
    environment: &Environment,
    (clock, ids): (&Arc<dyn Clock>, &dyn Ids),
) -> Result<(Arc<Store>, Secrets, DirectoryService), StartError> {
    let store = Arc::new(Store::open(data, config.durability, Arc::clone(clock))?);
    if store.recovered() > 0 {
        tracing::warn!(holds = store.recovered(), "settled what the last run left held");
    }
    let published = config.published.as_ref().map(|file| file.keys().clone()).unwrap_or_default();
    let secrets = Secrets::open(data, environment.get(OPERATOR_KEY), &published, ids)?;
    if let Some(file) = &mut config.published {
        file.look_for(&secrets.operator_line);
    }
    if published.has_line(&secrets.operator_line) {
        tracing::error!("{OPERATOR_PUBLISHED}; {ANOTHER_OPERATOR_KEY}");
    }
    let directory = DirectoryService::open(store.directory(), secrets.hasher())?;
    directory.directory().replace_published(published);
    Ok((store, secrets, directory))
}

/// What makes clients that call providers: each thread has one of its own.
fn clients(timeouts: Timeouts) -> Result<Clients, StartError> {
    let tls = Client::tls().map_err(|error| StartError::Tls(error.to_string()))?;
    Ok(Arc::new(move || Client::new(timeouts, &tls)))
}

/// The way to hand a serving thread its connections.
type Handover = mpsc::UnboundedSender<StdStream>;

/// What every serving thread is given.
struct Serving<'a> {
    shared: &'a Arc<Shared>,
    lobby: &'a Arc<Lobby>,
    clients: &'a Clients,
    ending: &'a watch::Receiver<bool>,
}

impl Serving<'_> {
    /// Starts so many threads, each with a way to hand it connections.
    fn start(&self, count: usize) -> Result<(Vec<Handover>, Vec<JoinHandle<()>>), StartError> {
        let (mut workers, mut threads) = (Vec::new(), Vec::new());
        for number in 0..count {
            let (sender, streams) = mpsc::unbounded_channel();
            let (shared, lobby) = (Arc::clone(self.shared), Arc::clone(self.lobby));
            let (clients, ending) = (Arc::clone(self.clients), self.ending.clone());
            let postbox = Arc::new(Postbox::default());
            let ledger = lobby.store.ledger_at(Arc::clone(&postbox));
            let front = move || Front { gateway: Gateway::new(shared, ledger, clients()), lobby };
            let body = move || serve_connections(front, postbox, streams, ending);
            threads.push(spawn(&format!("worker-{number}"), body)?);
            workers.push(sender);
        }
        Ok((workers, threads))
    }
}

impl Running {
    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The operator's key, if it was made just now: to be shown once.
    pub fn operator_key_created(&self) -> Option<&str> {
        self.operator_key_created.as_deref()
    }

    /// Drains and stops: new calls are refused and readiness fails at once, running calls end and are settled, then
    /// the listener and the threads end. A call that outlasts the drain time is cut off and settled. Answers
    /// whether everything ended in time; `give_up` ends the wait early.
    pub fn shutdown(mut self, give_up: impl Fn() -> bool) -> bool {
        const LOOK_EVERY: Duration = Duration::from_millis(20);
        self.lobby.draining.store(true, Ordering::Release);
        let looks = self.drain.as_millis() / LOOK_EVERY.as_millis();
        for _ in 0..looks {
            if self.lobby.in_flight.count() == 0 || give_up() {
                break;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        let ended = self.lobby.in_flight.count() == 0;
        end(&self.shutdown, self.threads.drain(..));
        let (end_last, last) = self.last;
        end(&end_last, last);
        ended
    }

    /// Whether the ledger still takes commands. When it does not, only a restart helps.
    pub fn is_healthy(&self) -> bool {
        !self.lobby.store.figures().stopped
    }
}

fn bind(address: SocketAddr) -> Result<(StdListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { address, source };
    let listener = StdListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

fn worker_count(configured: usize) -> usize {
    if configured > 0 { configured } else { std::thread::available_parallelism().map_or(1, usize::from) }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(body).map_err(StartError::Thread)
}

/// Tells threads to end, and waits until they have.
fn end(shutdown: &watch::Sender<bool>, threads: impl IntoIterator<Item = JoinHandle<()>>) {
    // The threads may be gone already, which is as good.
    let _ = shutdown.send(true);
    for thread in threads {
        if thread.join().is_err() {
            tracing::error!("a thread ended in a panic");
        }
    }
}

/// The thread that does what time alone makes due, until the end.
fn sweep(
    lobby: &Lobby,
    clock: &Arc<dyn Clock>,
    settings: SweepSettings,
    keep_days: i64,
    ending: watch::Receiver<bool>,
) -> Result<JoinHandle<()>, StartError> {
    let metrics = Arc::clone(&lobby.metrics);
    let tell = move |event: &ledger::Event| {
        crate::log::event(event);
        metrics.told(event);
    };
    let store = &lobby.store;
    let (reader, ledger) = (store.reader(), store.ledger());
    let told = store.events_before();
    let forgetter = Forgetter { decisions: store.decisions(), reader: store.reader(), keep_days };
    let sweeper = Sweeper::new(reader, ledger, Arc::clone(clock), settings, told, Box::new(tell));
    let sweeper = sweeper.forgetting(forgetter);
    spawn("sweeper", move || run_on_this_thread(sweeper.run(ending)))
}

/// The thread that looks after what nobody asks for, until the end. What today's limits have counted before this start
/// counts on before the first call.
fn keep_house(
    lobby: &Lobby,
    shared: Arc<Shared>,
    published: Option<PublishedFile>,
    ending: watch::Receiver<bool>,
) -> Result<JoinHandle<()>, StartError> {
    let published = published.map(|file| Arc::new(Mutex::new(file)));
    let housekeeper = Housekeeper::new(Arc::clone(&lobby.admin), shared, Arc::clone(&lobby.store), published);
    housekeeper.restore()?;
    spawn("housekeeper", move || run_on_this_thread(housekeeper.run(ending)))
}

/// The threads of what is done beside the calls, and may end with them.
fn beside_calls(
    lobby: &Lobby,
    clients: Clients,
    model_lists_every: Option<Duration>,
    ending: &watch::Receiver<bool>,
) -> Result<Vec<JoinHandle<()>>, StartError> {
    let recharger = recharge(lobby, ending.clone())?;
    let watcher = watch_servers(lobby, clients, model_lists_every, ending.clone())?;
    Ok(std::iter::once(recharger).chain(watcher).collect())
}

/// The thread that recharges wallets, until the end.
fn recharge(lobby: &Lobby, ending: watch::Receiver<bool>) -> Result<JoinHandle<()>, StartError> {
    let admin = &lobby.admin;
    let (payments, directory) = (Arc::clone(&admin.payments), Arc::clone(admin.directory.directory()));
    let recharger = Recharger::new(payments, lobby.store.reader(), directory);
    spawn("recharger", move || run_on_this_thread(recharger.run(ending)))
}

/// The thread that asks servers of the operator's own which models they have, if there are any and they are to be asked.
fn watch_servers(
    lobby: &Lobby,
    clients: Clients,
    every: Option<Duration>,
    ending: watch::Receiver<bool>,
) -> Result<Option<JoinHandle<()>>, StartError> {
    let shared = Arc::clone(&lobby.admin.gateway);
    let Some(every) = every.filter(|_| shared.routes.inventories().next().is_some()) else { return Ok(None) };
    let watch = move || run_on_this_thread(inventory::watch(shared, clients, every, ending));
    spawn("inventory", watch).map(Some)
}

/// Accepts connections and deals them out in turn, so that every thread has its share.
fn accept(listener: StdListener, workers: &[Handover], mut ending: watch::Receiver<bool>) {
    run_on_this_thread(async move {
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, "the listener cannot be used"),
        };
        for worker in workers.iter().cycle() {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = ending.changed() => return,
            };
            match accepted.and_then(|(stream, _)| stream.into_std()) {
                Ok(stream) => drop(worker.send(stream)),
                Err(error) => {
                    // Out of descriptors, or a client that left at once: both pass.
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    });
}

/// One serving thread: its own runtime, its own upstream connections, no work shared with the others.
fn serve_connections(
    front: impl FnOnce() -> Front,
    postbox: Arc<Postbox>,
    mut streams: mpsc::UnboundedReceiver<StdStream>,
    mut ending: watch::Receiver<bool>,
) {
    run_on_this_thread(async move {
        let front = front();
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the owner of spawning; it ends with the thread's runtime"
        )]
        let delivery = tokio::task::spawn(async move { postbox.deliver().await });
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the owner of spawning; it ends with the thread's runtime"
        )]
        let metronome = tokio::task::spawn(keep_a_timer_due());
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        loop {
            let stream = tokio::select! {
                stream = streams.recv() => stream,
                _ = ending.changed() => None,
            };
            let Some(stream) = stream else { break };
            match TcpStream::from_std(stream).and_then(|stream| stream.set_nodelay(true).map(|()| stream)) {
                Ok(stream) => serve_connection(&front, stream, &graceful, &mut connections),
                Err(error) => tracing::warn!(%error, "a connection could not be set up"),
            }
        }
        // What is still open is idle, or has outlasted the drain. A call that is cut off here is settled by what was
        // seen of it, as when its client leaves.
        let _ = tokio::time::timeout(Duration::from_millis(500), graceful.shutdown()).await;
        connections.shutdown().await;
        front.lobby.in_flight.wait(LAST_SETTLEMENTS).await;
        delivery.abort();
        metronome.abort();
    });
}

/// Keeps a timer due within half a second, for ever.
///
/// A timer that is due before all others makes the runtime wake itself with a system call. Every call has such timers
/// (its head's, its answer's) if nothing else is due, which was measured as one such wake for each call.
async fn keep_a_timer_due() {
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn serve_connection(
    front: &Front,
    stream: TcpStream,
    graceful: &GracefulShutdown,
    connections: &mut JoinSet<()>,
) {
    let peer = stream.peer_addr().ok().map(|address| address.ip());
    let stream = Patient::new(stream, front.gateway.shared().settings.client_idle);
    let front = front.clone();
    let service = service_fn(move |request| {
        let front = front.clone();
        async move { front.serve(peer, request).await }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(stream, service);
    let connection = graceful.watch(connection);
    while connections.try_join_next().is_some() {}
    connections.spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended early");
        }
    });
}

fn run_on_this_thread(work: impl Future<Output = ()>) {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => tracing::error!(%error, "a thread has no runtime"),
    }
}

type Status = Box<dyn Fn() -> serde_json::Value + Send + Sync>;

/// The answer to `/admin/v1/status`: what was configured, and what can be seen of it now.
fn status_of(config: &Config) -> impl FnOnce(Arc<Shared>, Arc<Store>) -> Status + use<> {
    let durability = match config.durability {
        store::Durability::Power => "power",
        store::Durability::Process => "process",
    };
    move |shared, store| {
        Box::new(move || {
            let mut providers = std::collections::BTreeMap::new();
            let mut unpriced = Vec::new();
            for route in shared.routes.iter() {
                for target in &route.targets {
                    providers.insert(target.provider.name.to_string(), target.provider.origin());
                    if target.prices.is_none() {
                        unpriced.push(format!("{} at {}", route.model, target.label));
                    }
                }
            }
            let providers: Vec<_> = providers
                .into_iter()
                .map(|(id, origin)| json!({ "id": id, "base_url": origin, "configured": true }))
                .collect();
            json!({
                "object": "status",
                "version": env!("CARGO_PKG_VERSION"),
                "ready": !store.figures().stopped,
                "durability": durability,
                "providers": providers,
                "routes": shared.routes.len(),
                "unpriced": unpriced,
                "contracts": contracts::view(shared.routes.all().map(AsRef::as_ref), shared.clock.now()),
            })
        })
    }
}
