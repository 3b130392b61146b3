//! Programs that run beside the load, each with a log of its own, stopped when they go out of scope.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::failure::Failure;

/// How long a program may take to listen.
const START: Duration = Duration::from_secs(30);
/// How long it may take to stop when asked, before it is killed.
const STOP: Duration = Duration::from_secs(10);

/// A program that runs.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    name: String,
    log: PathBuf,
}

/// An address on this machine that nobody listens on.
pub(crate) fn free_address() -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    listener.map_err(|error| Failure::new(format!("no port is free: {error}")))
}

impl Running {
    /// Starts a program; what it says goes to `NAME.log`.
    pub(crate) fn start(mut command: Command, name: &str, dir: &Path) -> Result<Self, Failure> {
        let log = dir.join(format!("{name}.log"));
        let broken = |error| Failure::new(format!("{name} did not start: {error}"));
        let file = File::create(&log).map_err(broken)?;
        let copy = file.try_clone().map_err(broken)?;
        let child = command.stdin(Stdio::null()).stdout(file).stderr(copy).spawn().map_err(broken)?;
        Ok(Self { child, name: name.to_owned(), log })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it listens.
    pub(crate) async fn wait_for(&mut self, address: SocketAddr) -> Result<(), Failure> {
        let begun = Instant::now();
        while tokio::net::TcpStream::connect(address).await.is_err() {
            let ended = self.child.try_wait().ok().flatten();
            if ended.is_some() || begun.elapsed() > START {
                let how = ended.map_or("does not listen".to_owned(), |status| format!("ended with {status}"));
                let said = std::fs::read_to_string(&self.log).unwrap_or_default();
                return Err(Failure::new(format!("{} {how}: {}", self.name, said.trim())));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // nginx's master takes its workers with it only when it is asked to end.
        let asked = Command::new("sh").args(["-c", "kill -TERM \"$0\"", &self.pid().to_string()]).status();
        let begun = Instant::now();
        while asked.as_ref().is_ok_and(|status| status.success()) && begun.elapsed() < STOP {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
