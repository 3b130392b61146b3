//! The benchmark: Tollkeeper, nginx as a plain reverse proxy and nothing in between, side by side in one run, on the
//! same simulated provider and under the same load.
//!
//! The contenders take turns in short windows (A, B, C, D, A, B, …) and every figure is the median over the rounds, so
//! that a noisy neighbour meets all of them alike. An answer counts only if it is whole; one that is not is a failure,
//! and one failure fails the run.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a measuring tool talks to a terminal and reads the real clock and environment"
)]

mod answer;
mod contender;
mod disk;
mod failure;
mod gateway;
mod load;
mod machine;
mod marks;
mod measure;
mod nginx;
mod options;
mod placement;
mod proc;
mod process;
mod report;
mod request;
mod response;
mod statistics;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use failure::Failure;
use options::Options;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match Options::parse(&arguments) {
        Ok(Some(options)) => match run(&options) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(failure) => {
                eprintln!("{failure}");
                ExitCode::FAILURE
            }
        },
        Ok(None) => {
            println!("{}", options::HELP);
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{failure}\n\n{}", options::HELP);
            ExitCode::from(2)
        }
    }
}

/// Measures and reports; whether every mark that could be measured is met.
fn run(options: &Options) -> Result<bool, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(format!("the load cannot run: {error}")))?;
    let report = runtime.block_on(measure::run(options))?;
    println!("{}", report.table());
    if let Some(path) = &options.json {
        let json = report.json()?;
        std::fs::write(path, json)
            .map_err(|error| Failure::new(format!("{} cannot be written: {error}", path.display())))?;
    }
    Ok(report.passes())
}
