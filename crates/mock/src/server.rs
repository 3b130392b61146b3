//! The mock's own threads, sockets, clock and numbers.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc as queue, watch};

use crate::behaviour::Behaviour;
use crate::call::Call;
use crate::service;
use crate::truth::TruthLog;
use crate::wire::{Tap, Wire};

/// Streams that one HTTP/2 connection may have open: more than a load generator has.
const STREAMS: u32 = 4_096;
/// Threads beyond which more are of no use, and which ids have room for.
const MOST_THREADS: usize = 64;
/// The wait before the next try when a connection could not be taken, most often for want of descriptors.
const RETRY_ACCEPT: Duration = Duration::from_millis(10);

/// What a mock is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 takes a free one, see [`Mock::addr`].
    pub listen: SocketAddr,
    /// The file to append the truth log to; without one nothing is written.
    pub truth_log: Option<PathBuf>,
    /// How to answer requests that do not say otherwise.
    pub defaults: Behaviour,
    /// Threads that serve connections, from 1 to 64.
    pub threads: usize,
}

impl Default for Options {
    /// Loopback on a free port, no truth log, one thread.
    fn default() -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { listen, truth_log: None, defaults: Behaviour::default(), threads: 1 }
    }
}

/// A running mock. It stops when dropped.
pub struct Mock {
    addr: SocketAddr,
    workers: Vec<Arc<Worker>>,
    threads: Vec<JoinHandle<()>>,
    stop: Option<watch::Sender<()>>,
}

impl Mock {
    /// Binds and serves on threads of its own; returns once they serve.
    ///
    /// # Errors
    /// When the address cannot be bound, the truth log not opened, or a thread not started.
    pub fn start(options: Options) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(options.listen)?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let log = options.truth_log.as_deref().map(TruthLog::open).transpose()?.map(Arc::new);
        let (stop, stopped) = watch::channel(());
        let epoch = now_us();
        let count = options.threads.clamp(1, MOST_THREADS);
        let workers: Vec<_> = (0..count)
            .map(|index| Arc::new(Worker::new(epoch, addr.port(), index, options.defaults, log.clone())))
            .collect();
        let (queues, arrivals): (Vec<_>, Vec<_>) = workers.iter().map(|_| queue::unbounded_channel()).unzip();
        let mut mock = Self { addr, workers, threads: Vec::new(), stop: Some(stop) };
        let mut door = Some(Door { listener, queues });
        let (ready, started) = mpsc::channel();
        for (worker, arrivals) in mock.workers.iter().zip(arrivals) {
            let (worker, door, stopped, ready) =
                (Arc::clone(worker), door.take(), stopped.clone(), ready.clone());
            let shift = Shift { worker, arrivals, door, stopped, ready };
            let thread = std::thread::Builder::new().name("mock".to_owned());
            mock.threads.push(thread.spawn(|| shift.run())?);
        }
        for _ in 0..count {
            started.recv().map_err(io::Error::other)??;
        }
        Ok(mock)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Requests taken so far, on every path.
    pub fn requests(&self) -> u64 {
        self.workers.iter().map(|worker| worker.requests.load(Ordering::Relaxed)).sum()
    }

    /// Connections taken so far.
    pub fn connections(&self) -> u64 {
        self.workers.iter().map(|worker| worker.connections.load(Ordering::Relaxed)).sum()
    }

    /// Closes every connection and frees the port; calls under way are logged as not finished.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.stop = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so on its own.
            let _ = thread.join();
        }
    }
}

/// Runs a mock until something arrives on `stop` or its senders are gone. `ready` is called with the mock once it
/// serves.
///
/// # Errors
/// As [`Mock::start`].
pub fn run(options: Options, ready: impl FnOnce(&Mock), stop: &mpsc::Receiver<()>) -> io::Result<()> {
    let mock = Mock::start(options)?;
    ready(&mock);
    // A message and the end of all senders mean the same.
    let _ = stop.recv();
    mock.stop();
    Ok(())
}

/// What one thread knows. Each has its own, so that threads write to no memory in common while they serve.
pub(crate) struct Worker {
    /// The high half of its ids: when the mock started, in microseconds since 1970.
    epoch: i64,
    /// Bits 40 to 63 of its ids: the port and the thread, which no two have in common at one time.
    place: u64,
    defaults: Behaviour,
    log: Option<Arc<TruthLog>>,
    requests: AtomicU64,
    connections: AtomicU64,
}

impl Worker {
    fn new(epoch: i64, port: u16, index: usize, defaults: Behaviour, log: Option<Arc<TruthLog>>) -> Self {
        let place = (u64::from(port) << 48) | ((index as u64) << 40);
        let (requests, connections) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { epoch, place, defaults, log, requests, connections }
    }

    /// A call for a request that just arrived.
    pub(crate) fn call(&self, tap: Arc<Tap>) -> Call {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let id = (u128::from(self.epoch.unsigned_abs()) << 64) | u128::from(self.place | number);
        Call::new(id, now_us(), tap, self.defaults)
    }

    /// The truth log, if one is kept.
    pub(crate) fn log(&self) -> Option<&Arc<TruthLog>> {
        self.log.as_ref()
    }
}

/// The listener, in the hands of one thread, which passes connections to all in turn.
struct Door {
    listener: std::net::TcpListener,
    queues: Vec<queue::UnboundedSender<std::net::TcpStream>>,
}

/// The work of one thread.
struct Shift {
    worker: Arc<Worker>,
    arrivals: queue::UnboundedReceiver<std::net::TcpStream>,
    door: Option<Door>,
    stopped: watch::Receiver<()>,
    ready: mpsc::Sender<io::Result<()>>,
}

impl Shift {
    fn run(self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
        let ready = self.ready.clone();
        let result = runtime.and_then(|runtime| runtime.block_on(self.serve()));
        if let Err(error) = result {
            // Nobody listens any more once the mock runs, and then nothing fails.
            let _ = ready.send(Err(error));
        }
    }

    async fn serve(mut self) -> io::Result<()> {
        let door = match self.door.take() {
            Some(Door { listener, queues }) => Some((TcpListener::from_std(listener)?, queues)),
            None => None,
        };
        // The receiver waits for exactly this.
        let _ = self.ready.send(Ok(()));
        tokio::select! {
            _ = self.stopped.changed() => {}
            () = admit(door) => {}
            () = welcome(&self.worker, &mut self.arrivals) => {}
        }
        Ok(())
    }
}

/// Passes new connections to the threads in turn, for ever.
async fn admit(door: Option<(TcpListener, Vec<queue::UnboundedSender<std::net::TcpStream>>)>) {
    let Some((listener, queues)) = door else { return std::future::pending().await };
    for queue in queues.iter().cycle() {
        let stream = loop {
            match listener.accept().await.and_then(|(stream, _)| stream.into_std()) {
                Ok(stream) => break stream,
                Err(_) => tokio::time::sleep(RETRY_ACCEPT).await,
            }
        };
        // A thread is gone only when all are about to be.
        let _ = queue.send(stream);
    }
}

/// Serves the connections that are passed to this thread.
async fn welcome(worker: &Arc<Worker>, arrivals: &mut queue::UnboundedReceiver<std::net::TcpStream>) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http2().max_concurrent_streams(STREAMS);
    while let Some(stream) = arrivals.recv().await {
        // Without TCP_NODELAY, events would wait for acknowledgements of those before.
        let ready = stream.set_nodelay(true).and_then(|()| TcpStream::from_std(stream));
        if let Ok(stream) = ready {
            worker.connections.fetch_add(1, Ordering::Relaxed);
            connection(builder.clone(), Arc::clone(worker), stream);
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the simulated provider owns its threads; their runtimes end every task when the mock stops"
)]
fn connection(builder: auto::Builder<TokioExecutor>, worker: Arc<Worker>, stream: TcpStream) {
    let tap = Arc::new(Tap::default());
    let io = TokioIo::new(Wire::new(stream, Arc::clone(&tap)));
    let service = service_fn(move |request| service::serve(Arc::clone(&worker), Arc::clone(&tap), request));
    tokio::spawn(async move {
        // A caller that leaves and a connection that a fault closes both end here; the truth log has its line.
        let _ = builder.serve_connection(io, service).await;
    });
}

/// Microseconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "the simulated provider has a clock of its own, as a provider has"
)]
fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}
