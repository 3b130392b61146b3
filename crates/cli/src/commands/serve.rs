//! `serve`: the gateway itself.

use serde::Serialize;
use server::config::Environment;

use super::gateway::{self, Process};
use crate::args::ServeArgs;
use crate::failure::Failure;
use crate::output::{Output, View};
use crate::table::fields;

/// What is printed once the gateway answers.
#[derive(Debug, Serialize)]
struct Ready {
    object: &'static str,
    base_url: String,
    data: String,
    /// Only on the start that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    operator_key: Option<String>,
    pid: u32,
}

impl View for Ready {
    fn human(&self) -> String {
        let mut lines = vec![("base URL", self.base_url.clone()), ("data", self.data.clone())];
        lines.extend(self.operator_key.clone().map(|key| ("operator key", key)));
        fields(&lines)
    }

    fn note(&self) -> Option<String> {
        self.operator_key.as_ref().map(|_| {
            format!(
                "the operator key is shown this once and kept in {}/operator.key; client commands read it from \
                 TOLLKEEPER_OPERATOR_KEY",
                self.data
            )
        })
    }
}

/// Runs the gateway until the process is told to stop and all calls have ended.
pub(crate) fn run(args: &ServeArgs, environment: &Environment, output: &mut Output) -> Result<(), Failure> {
    let config = gateway::load(args.config.as_deref(), environment)?;
    server::start_logging(config.log);
    let process = Process::start(&args.data, args.listen, config, environment)?;
    output.own(&Ready {
        object: "gateway",
        base_url: format!("http://{}/v1", process.running.address()),
        data: args.data.display().to_string(),
        operator_key: process.running.operator_key_created().map(str::to_owned),
        pid: std::process::id(),
    })?;
    process.run(output)
}
