//! The chores of this repository as one command: `cargo xtask demo`, `test`, `tidy`, `sim`, `fuzz` and `bench`.
//!
//! Nothing here ships. Every chore does its own set-up, needs no input and works from any folder of the tree.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a tool for people talks to a terminal, reads its environment and says how long things took"
)]

mod bench;
mod demo;
mod e2e;
mod failure;
mod fuzz;
mod machine;
mod process;
mod samples;
mod sim;
mod suite;
mod tally;
mod tidy;

use std::process::ExitCode;

use failure::Failure;
use process::Workspace;

const HELP: &str = "\
usage: cargo xtask CHORE [arguments]

  demo [arguments]   build Tollkeeper and start its demo: a gateway with a simulated provider, a key and 5.00 of
                     credit; the arguments go to `tollkeeper demo` (--json, --data DIR, --listen ADDR)
  test [options]     run everything that CI runs (`cargo xtask test --help`)
  tidy               check what compilers do not: who may depend on whom, sizes, banned words, file headers
  sim [arguments]    run the ledger against its model on disks that fail (`cargo xtask sim --help`); without
                     arguments the short form that CI runs
  fuzz [TARGET]      run the fuzz targets, or one of them (`cargo xtask fuzz --help`)
  bench [options]    measure the gateway beside nginx (`cargo xtask bench --help`)
  bench-ledger       measure the ledger's writer beside SQLite alone (`cargo xtask bench-ledger --help`)
  bench-limits       measure one question to the limiter (`cargo xtask bench-limits --help`)
  bench-directory    measure look-ups and changes among a million keys (`cargo xtask bench-directory --help`)";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let chore = arguments.next();
    let rest: Vec<String> = arguments.collect();
    match run(chore.as_deref(), &rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(failure.code)
        }
    }
}

fn run(chore: Option<&str>, rest: &[String]) -> Result<(), Failure> {
    let Some(chore) = chore else { return Err(Failure::usage(HELP)) };
    if matches!(chore, "help" | "--help" | "-h") {
        println!("{HELP}");
        return Ok(());
    }
    let workspace = Workspace::find()?;
    match chore {
        "demo" => demo::run(&workspace, rest),
        "test" => suite::run(&workspace, rest),
        "tidy" => tidy::run(&workspace.root),
        "sim" => sim::run(&workspace, rest).map(drop),
        "fuzz" => fuzz::run(&workspace, rest),
        "bench" => bench::run(&workspace, rest),
        "bench-ledger" => bench::run_part(&workspace, "tollkeeper-bench-ledger", rest),
        "bench-limits" => bench::run_part(&workspace, "tollkeeper-bench-limits", rest),
        "bench-directory" => bench::run_part(&workspace, "tollkeeper-bench-directory", rest),
        _ => Err(Failure::usage(format!("no chore is called `{chore}`\n\n{HELP}"))),
    }
}
