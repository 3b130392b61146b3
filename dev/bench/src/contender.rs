//! Who is measured, and how each of them is brought up.

use std::net::SocketAddr;
use std::path::Path;

use crate::failure::Failure;
use crate::options::Options;
use crate::process::Running;
use crate::{gateway, nginx};

/// The ways of a request to the simulated provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Straight to it.
    Direct,
    /// Through nginx.
    Nginx,
    /// Through Tollkeeper, whose books survive `kill -9`.
    Process,
    /// Through Tollkeeper, whose books survive a loss of power.
    Power,
    /// As `Process`, but the provider is asked in Anthropic's Messages, and its answers are said in the caller's form.
    Converted,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Direct, Self::Nginx, Self::Process, Self::Power, Self::Converted];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Nginx => "nginx",
            Self::Process => "process",
            Self::Power => "power",
            Self::Converted => "converted",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A contender that answers.
#[derive(Debug)]
pub(crate) struct Contender {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    /// The model to ask it for.
    pub(crate) model: &'static str,
    pub(crate) key: String,
    /// The process whose CPU and memory are its own, with its children; for `direct` the simulated provider's.
    pub(crate) pid: u32,
    /// Keeps it running.
    _process: Option<Running>,
}

/// The simulated provider's own model.
pub(crate) const MODEL: &str = "sim-small";
/// The key that the simulated provider takes, as any other.
const KEY: &str = "bench";

/// How the provider behaves: fixed counts, so that it does not count tokens while others are measured.
pub(crate) fn behaviour(tokens: u64, pace: Option<u64>) -> String {
    let pace = pace.map_or(String::new(), |pace| format!(";tps={pace}"));
    format!("in=50;out={tokens}{pace}")
}

/// Starts the provider that everybody calls.
pub(crate) async fn start_mock(options: &Options, dir: &Path) -> Result<(Running, SocketAddr), Failure> {
    let listen = crate::process::free_address()?;
    let mut command = std::process::Command::new(&options.binary);
    let behaviour = behaviour(options.tokens, options.pace);
    command.args(["mock", "--listen", &listen.to_string(), "--behaviour", &behaviour]);
    let mut running = Running::start(command, "mock", dir)?;
    running.wait_for(listen).await?;
    Ok((running, listen))
}

impl Contender {
    /// The provider itself, which runs already.
    pub(crate) fn direct(address: SocketAddr, model: &'static str, pid: u32) -> Self {
        Self { kind: Kind::Direct, address, model, key: KEY.to_owned(), pid, _process: None }
    }

    /// Starts one, in front of the provider.
    pub(crate) async fn start(
        kind: Kind,
        options: &Options,
        dir: &Path,
        mock: SocketAddr,
        mock_pid: u32,
    ) -> Result<Self, Failure> {
        let (durability, provider) = match kind {
            Kind::Direct => {
                return Ok(Self::direct(mock, MODEL, mock_pid));
            }
            Kind::Nginx => {
                let (process, address) = nginx::start(dir, mock).await?;
                let pid = process.pid();
                let key = KEY.to_owned();
                return Ok(Self { kind, address, model: MODEL, key, pid, _process: Some(process) });
            }
            Kind::Process => ("process", "openai"),
            Kind::Power => ("power", "openai"),
            Kind::Converted => ("process", "anthropic"),
        };
        let dir = dir.join(kind.name());
        let upstream = gateway::Upstream { kind: provider, address: mock, model: MODEL };
        let (process, address, key) = gateway::start(&options.binary, &dir, durability, upstream).await?;
        let pid = process.pid();
        Ok(Self { kind, address, model: gateway::MODEL, key, pid, _process: Some(process) })
    }
}
