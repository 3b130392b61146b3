//! `config`: questions about the configuration file.

use std::path::PathBuf;

use serde::Serialize;
use server::config::{Config, Environment};

use crate::args::{ConfigCheckArgs, ConfigCommand};
use crate::failure::{Exit, Failure};
use crate::output::{Output, View};

/// What a check found.
#[derive(Debug, Serialize)]
struct Checked {
    object: &'static str,
    file: Option<PathBuf>,
    ok: bool,
    errors: Vec<String>,
}

impl View for Checked {
    fn human(&self) -> String {
        if self.ok { "no mistakes".to_owned() } else { self.errors.join("\n") }
    }
}

/// Does what was asked.
pub(crate) fn run(
    command: ConfigCommand,
    environment: &Environment,
    output: &mut Output,
) -> Result<(), Failure> {
    match command {
        ConfigCommand::Check(args) => check(args, environment, output),
    }
}

fn check(args: ConfigCheckArgs, environment: &Environment, output: &mut Output) -> Result<(), Failure> {
    let loaded = Config::load(args.config.as_deref(), environment);
    let errors = loaded.err().map(|errors| errors.0).unwrap_or_default();
    let found = errors.len();
    output.own(&Checked { object: "config_check", file: args.config, ok: found == 0, errors })?;
    if found == 0 {
        return Ok(());
    }
    Err(Failure::new(Exit::Findings, format!("the configuration has mistakes: {found}")))
}
