//! How a command that runs until it is told to stop learns of it: Ctrl-C or SIGTERM.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::{Exit, Failure};

/// From its making on, neither signal kills the process.
pub(crate) struct Stop {
    /// One message a signal; an end of all messages means that no more can come.
    pub(crate) signals: Receiver<()>,
    times: Arc<AtomicUsize>,
}

impl Stop {
    /// Begins to listen.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let (sender, signals) = channel();
        let times = Arc::new(AtomicUsize::new(0));
        Listener::new()
            .and_then(|listener| {
                let times = Arc::clone(&times);
                thread::Builder::new().name("signals".to_owned()).spawn(move || listener.run(&sender, &times))
            })
            .map_err(|error| Failure::new(Exit::Failure, format!("cannot listen for signals: {error}")))?;
        Ok(Self { signals, times })
    }

    /// How often the process was told to stop.
    pub(crate) fn times(&self) -> usize {
        self.times.load(Ordering::Acquire)
    }
}

struct Listener {
    runtime: Runtime,
    interrupt: Signal,
    terminate: Signal,
}

impl Listener {
    fn new() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let inside = runtime.enter();
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        drop(inside);
        Ok(Self { runtime, interrupt, terminate })
    }

    fn run(mut self, sender: &Sender<()>, times: &AtomicUsize) {
        self.runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = self.interrupt.recv() => {}
                    _ = self.terminate.recv() => {}
                }
                times.fetch_add(1, Ordering::AcqRel);
                if sender.send(()).is_err() {
                    return;
                }
            }
        });
    }
}
