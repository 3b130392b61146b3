//! `mock`: a simulated provider in a process of its own.

use serde::Serialize;

use super::stop::Stop;
use crate::args::MockArgs;
use crate::failure::{Exit, Failure};
use crate::output::{Output, View};
use crate::table::fields;

/// What is printed once the provider answers.
#[derive(Debug, Serialize)]
struct Ready {
    object: &'static str,
    base_url: String,
    truth_log: Option<String>,
    pid: u32,
}

impl View for Ready {
    fn human(&self) -> String {
        let mut lines = vec![("base URL", self.base_url.clone())];
        lines.extend(self.truth_log.clone().map(|file| ("truth log", file)));
        fields(&lines)
    }

    fn note(&self) -> Option<String> {
        Some("Ctrl-C stops it".to_owned())
    }
}

/// Runs the provider until the process is told to stop.
pub(crate) fn run(args: MockArgs, output: &mut Output) -> Result<(), Failure> {
    let truth_log = args.truth_log.as_ref().map(|file| file.display().to_string());
    let options = mock::Options {
        listen: args.listen,
        truth_log: args.truth_log,
        defaults: args.behaviour,
        threads: args.threads.into(),
    };
    // Listening for signals begins first, so that one sent as soon as the line below is read is not lost.
    let stop = Stop::listen()?;
    let mut shown = Ok(());
    let ready = |provider: &mock::Mock| {
        shown = output.own(&Ready {
            object: "mock",
            base_url: format!("http://{}/v1", provider.addr()),
            truth_log,
            pid: std::process::id(),
        });
    };
    mock::run(options, ready, &stop.signals).map_err(|error| {
        Failure::new(Exit::Failure, format!("cannot run a provider on {}: {error}", args.listen))
            .next("choose a free port with --listen, and a file that can be written with --truth-log")
    })?;
    shown
}
