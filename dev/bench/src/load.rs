//! The load: every connection sends its next call when it has the whole answer to the last (closed loop).

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};

use crate::answer::Expected;
use crate::contender::Contender;
use crate::disk::nanos;
use crate::failure::Failure;
use crate::proc::{Family, Memory};
use crate::request::{self, Case};
use crate::response::Response;

/// The longest an answer may take; far beyond what the provider needs.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection that is kept between calls.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    response: Response,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, Failure> {
        let broken = |error| Failure::new(format!("no connection to {address}: {error}"));
        let stream = TcpStream::connect(address).await.map_err(broken)?;
        stream.set_nodelay(true).map_err(broken)?;
        Ok(Self { stream, response: Response::new(), buffer: vec![0; 65_536] })
    }

    /// Sends a request and reads the whole answer: its status and body.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<(u16, &[u8]), Failure> {
        let broken = |error: std::io::Error| Failure::new(format!("the connection broke: {error}"));
        self.response.clear();
        self.stream.write_all(request).await.map_err(broken)?;
        loop {
            let read = self.stream.read(&mut self.buffer).await.map_err(broken)?;
            if read == 0 {
                return Err(Failure::new("the connection closed inside the answer"));
            }
            if self.response.feed(&self.buffer[..read])? {
                return Ok((self.response.status, &self.response.body));
            }
        }
    }
}

/// What one window of load showed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Window {
    /// Nanoseconds between its ends.
    pub(crate) span: u64,
    /// Nanoseconds of each whole answer, in order of size.
    pub(crate) latencies: Vec<u64>,
    pub(crate) failures: u64,
    pub(crate) first_failure: Option<Failure>,
    /// Nanoseconds of CPU that the contender used.
    pub(crate) cpu: u64,
    pub(crate) memory: Memory,
}

/// What the connections share. Failures count from the first call on; times only while the window is open.
#[derive(Default)]
struct Board {
    open: bool,
    closing: bool,
    latencies: Vec<u64>,
    failures: u64,
    first_failure: Option<Failure>,
}

impl Board {
    fn fail(&mut self, failure: Failure) {
        self.failures += 1;
        self.first_failure.get_or_insert(failure);
    }
}

/// Loads a contender, and looks at a window of it.
pub(crate) async fn window(
    contender: &Contender,
    case: Case,
    expected: &Rc<Expected>,
    warm_up: Duration,
    span: Duration,
) -> Window {
    let board = Rc::new(RefCell::new(Board::default()));
    LocalSet::new()
        .run_until(async {
            let mut callers = JoinSet::new();
            for number in 0..case.connections {
                let caller = Caller::new(contender, case, number, expected, &board);
                callers.spawn_local(caller.run());
            }
            tokio::time::sleep(warm_up).await;
            // Found anew each time: nginx listens before it has workers, and replaces those that die.
            let family = Family::of(contender.pid);
            let cpu = family.cpu();
            let start = Instant::now();
            board.borrow_mut().open = true;
            tokio::time::sleep(span).await;
            board.borrow_mut().open = false;
            let span = nanos(start.elapsed());
            let cpu = family.cpu().since(&cpu);
            let memory = family.memory();
            // Running calls may end: an answer that is cut by us would be a failure of ours.
            board.borrow_mut().closing = true;
            while callers.join_next().await.is_some() {}
            let mut board = board.borrow_mut();
            let mut latencies = std::mem::take(&mut board.latencies);
            latencies.sort_unstable();
            let first_failure = board.first_failure.take();
            Window { span, latencies, failures: board.failures, first_failure, cpu, memory }
        })
        .await
}

/// One connection's caller.
struct Caller {
    address: SocketAddr,
    case: Case,
    /// One that asks for token counts and one that does not; streams take turns, because both must be right.
    requests: [Vec<u8>; 2],
    turn: usize,
    expected: Rc<Expected>,
    board: Rc<RefCell<Board>>,
}

impl Caller {
    fn new(
        contender: &Contender,
        case: Case,
        number: usize,
        expected: &Rc<Expected>,
        board: &Rc<RefCell<Board>>,
    ) -> Self {
        let request = |ask| request::chat(case, ask, contender.address, &contender.key, contender.model);
        Self {
            address: contender.address,
            case,
            requests: [request(false), request(true)],
            turn: number,
            expected: Rc::clone(expected),
            board: Rc::clone(board),
        }
    }

    async fn run(mut self) {
        while !self.board.borrow().closing {
            if let Err(failure) = self.call_until_broken().await {
                self.board.borrow_mut().fail(failure);
                // A contender that is down must not be hammered.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }

    /// Calls on one connection until the window closes; an answer that is not whole ends it.
    async fn call_until_broken(&mut self) -> Result<(), Failure> {
        let mut connection = Connection::open(self.address).await?;
        while !self.board.borrow().closing {
            self.turn += 1;
            let ask_usage = self.turn % 2 == 1;
            let start = Instant::now();
            let exchange = connection.exchange(&self.requests[usize::from(ask_usage)]);
            let answer = tokio::time::timeout(PATIENCE, exchange).await;
            let taken = nanos(start.elapsed());
            let (status, body) = answer.map_err(|_| Failure::new("no answer in time"))??;
            self.expected.check(self.case, ask_usage, status, body)?;
            let mut board = self.board.borrow_mut();
            if board.open {
                board.latencies.push(taken);
            }
        }
        Ok(())
    }
}
