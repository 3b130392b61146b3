//! The `tollkeeper` command: runs gateways and talks to them.
//!
//! [`args`] says what can be typed, [`commands`] what it does, [`output`] how it is shown. Commands answer with one
//! [`failure::Failure`] at most, and only `main` ends the process.

mod advice;
mod args;
mod client;
mod commands;
mod failure;
mod output;
mod table;
#[cfg(test)]
mod tests;
mod views;

use std::process::ExitCode;

use clap::Parser;
use server::config::Environment;

use crate::output::Output;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match args::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output with code 0, mistakes to standard error with code 2.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let environment = Environment::of_process();
    let mut output = Output::of_process(cli.json, environment.get("NO_COLOR").is_some());
    match commands::run(cli.command, &environment, &mut output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            failure.exit.into()
        }
    }
}
