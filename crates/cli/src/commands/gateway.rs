//! A gateway in this process, from its configuration to its end: what `serve` and `demo` share.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use server::Running;
use server::config::{Config, Environment, simulated_models};

use super::stop::Stop;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// How often a running gateway is asked whether it still can.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A running gateway, with the simulated provider if that is offered.
pub(super) struct Process {
    pub(super) running: Running,
    provider: Option<mock::Mock>,
    stop: Stop,
}

/// The configuration in this file, or the one without a file; fails with every mistake at once.
pub(super) fn load(file: Option<&Path>, environment: &Environment) -> Result<Config, Failure> {
    Config::load(file, environment).map_err(|errors| {
        Failure::new(Exit::Failure, format!("the configuration has mistakes:\n{errors}"))
            .next("mend them; `tollkeeper config check` reads it without starting")
    })
}

impl Process {
    /// Starts to serve. Where the configuration offers the simulated provider, it runs in the same process.
    pub(super) fn start(
        data: &Path,
        listen: Option<SocketAddr>,
        config: Config,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        // Listening for signals begins first, so that one sent as soon as the gateway answers is not lost.
        let stop = Stop::listen()?;
        let failed =
            |error: &dyn std::fmt::Display| Failure::new(Exit::Failure, format!("cannot start: {error}"));
        let provider = config.offers.simulated.then(|| mock::Mock::start(mock::Options::default()));
        let provider = provider.transpose().map_err(|error| failed(&error))?;
        let extra_routes = match &provider {
            Some(provider) => {
                simulated_models(&format!("http://{}/v1", provider.addr())).map_err(|error| failed(&error))?
            }
            None => Vec::new(),
        };
        let options = server::Options {
            data: data.to_owned(),
            listen,
            config,
            environment: environment.clone(),
            extra_routes,
        };
        let running = server::start(options).map_err(|error| failed(&error))?;
        Ok(Self { running, provider, stop })
    }

    /// Waits until the process is told to stop, then drains: running calls end and are settled. A second signal ends
    /// the wait.
    pub(super) fn run(self, output: &mut Output) -> Result<(), Failure> {
        let Self { running, provider, stop } = self;
        let healthy = loop {
            match stop.signals.recv_timeout(LOOK_EVERY) {
                Ok(()) | Err(RecvTimeoutError::Disconnected) => break true,
                Err(RecvTimeoutError::Timeout) if running.is_healthy() => {}
                Err(RecvTimeoutError::Timeout) => break false,
            }
        };
        if healthy {
            output.say("stopping when running calls have ended; once more stops at once");
        }
        let ended = running.shutdown(|| stop.times() > 1);
        if let Some(provider) = provider {
            provider.stop();
        }
        match (healthy, ended) {
            (true, true) => Ok(()),
            (true, false) => Err(Failure::new(Exit::Failure, "some calls had not ended")
                .next("start again on the same folder: that settles them")),
            (false, _) => Err(Failure::new(Exit::Failure, "the ledger could not store any more and stopped")
                .next("look at the log and at the disk, then start again on the same folder")),
        }
    }
}
