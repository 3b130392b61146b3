//! `cargo xtask test`: everything that CI runs, in the order in which a mistake costs least to find.

use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::machine::{COMPILER, CURL, FAKETIME, NODE, NPM, Need, PYTHON, provide};
use crate::process::{Workspace, follow, must};
use crate::tally::Tally;
use crate::{e2e, samples, sim, tidy};

/// One part of the suite.
struct Step {
    name: &'static str,
    /// What a person types to repeat it.
    line: &'static str,
    needs: &'static [&'static Need],
    run: fn(&Workspace, &'static str) -> Result<Tally, Broken>,
}

/// A step that failed, and the tests it had counted.
pub(crate) struct Broken {
    pub(crate) tally: Tally,
    pub(crate) failure: Failure,
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self { tally: Tally::default(), failure }
    }
}

const STEPS: &[Step] = &[
    Step { name: "fmt", line: "cargo fmt --all --check", needs: &[], run: cargo },
    Step {
        name: "clippy",
        line: "cargo clippy --workspace --all-targets -- -D warnings",
        needs: &[&COMPILER],
        run: cargo,
    },
    Step { name: "tidy", line: "cargo xtask tidy", needs: &[], run: tidy_step },
    // All the tests run even if one fails, so that one run tells everything.
    Step { name: "unit", line: "cargo test --workspace --no-fail-fast", needs: &[&COMPILER], run: unit_step },
    Step { name: "sim", line: "cargo xtask sim", needs: &[&COMPILER], run: sim_step },
    Step { name: "samples", line: "cargo xtask test --only samples", needs: &[&COMPILER], run: samples_step },
    Step {
        name: "e2e",
        line: "cargo xtask test --only e2e",
        needs: &[&COMPILER, &PYTHON, &NODE, &NPM, &CURL, &FAKETIME],
        run: e2e_step,
    },
];

const HELP: &str = "\
usage: cargo xtask test [--only STEP | --from STEP]

Runs every step in order, or one, or all from one on, and stops at the first that fails. Missing Debian packages are
installed when run as root; otherwise the line that installs them is printed. The steps:
";

/// Runs the steps that the arguments name: all of them without any.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if matches!(arguments[..], ["--help" | "-h"]) {
        println!("{}", help());
        return Ok(());
    }
    let steps = select(&arguments)?;
    let mut needs: Vec<&Need> = Vec::new();
    for need in steps.iter().flat_map(|step| step.needs).copied() {
        if !needs.iter().any(|known| std::ptr::eq(*known, need)) {
            needs.push(need);
        }
    }
    provide(&needs)?;
    play(workspace, steps)
}

fn help() -> String {
    let mut text = HELP.to_owned();
    for step in STEPS {
        text.push_str(&format!("\n  {:8} {}", step.name, step.line));
    }
    text
}

fn select(arguments: &[&str]) -> Result<&'static [Step], Failure> {
    let place = |name: &str| {
        STEPS.iter().position(|step| step.name == name).ok_or_else(|| {
            let names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
            Failure::usage(format!("no step is called `{name}`; the steps are {}", names.join(", ")))
        })
    };
    match arguments {
        [] => Ok(STEPS),
        ["--only", name] => place(name).map(|at| &STEPS[at..=at]),
        ["--from", name] => place(name).map(|at| &STEPS[at..]),
        _ => Err(Failure::usage(help())),
    }
}

fn play(workspace: &Workspace, steps: &[Step]) -> Result<(), Failure> {
    let begun = Instant::now();
    let mut total = Tally::default();
    let mut lines = Vec::new();
    let mut outcome = Ok(());
    for step in steps {
        println!("\n==> {}: {}", step.name, step.line);
        let start = Instant::now();
        let result = (step.run)(workspace, step.line);
        let verdict = if result.is_ok() { "ok" } else { "failed" };
        lines.push(format!("{:8} {verdict:6} {:>9}", step.name, seconds(start.elapsed())));
        println!("<== {} {verdict} in {}", step.name, seconds(start.elapsed()));
        match result {
            Ok(tally) => total.add(tally),
            Err(Broken { tally, failure }) => {
                total.add(tally);
                // A step that failed without a failed test (lints, a build) still is a failure.
                total.failed += u64::from(tally.failed == 0);
                outcome = Err(Failure::new(format!("{failure}\nto repeat it: {}", step.line)));
                break;
            }
        }
    }
    println!("\n{}\nall in {}\n{total}", lines.join("\n"), seconds(begun.elapsed()));
    outcome
}

fn seconds(span: Duration) -> String {
    format!("{}.{} s", span.as_secs(), span.subsec_millis() / 100)
}

/// A step that is a cargo command and counts nothing.
fn cargo(workspace: &Workspace, line: &'static str) -> Result<Tally, Broken> {
    let arguments: Vec<&str> = line.split(' ').skip(1).collect();
    must(workspace.cargo(&arguments), line)?;
    Ok(Tally::default())
}

fn tidy_step(workspace: &Workspace, _line: &'static str) -> Result<Tally, Broken> {
    tidy::run(&workspace.root)?;
    Ok(Tally::default())
}

fn unit_step(workspace: &Workspace, line: &'static str) -> Result<Tally, Broken> {
    let arguments: Vec<&str> = line.split(' ').skip(1).collect();
    let mut tally = Tally::default();
    match follow(workspace.cargo(&arguments), line, |text| tally.read_cargo(text)) {
        Ok(()) => Ok(tally),
        Err(failure) => Err(Broken { tally, failure }),
    }
}

fn sim_step(workspace: &Workspace, _line: &'static str) -> Result<Tally, Broken> {
    Ok(sim::run(workspace, &[])?)
}

fn samples_step(workspace: &Workspace, _line: &'static str) -> Result<Tally, Broken> {
    samples::run(workspace)?;
    Ok(Tally::default())
}

fn e2e_step(workspace: &Workspace, _line: &'static str) -> Result<Tally, Broken> {
    let mut tally = Tally::default();
    match e2e::run(workspace, |text| tally.read_pytest(text)) {
        Ok(()) => Ok(tally),
        Err(failure) => Err(Broken { tally, failure }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_selected_by_name() {
        type Row = (&'static [&'static str], Result<&'static [&'static str], u8>);
        let table: &[Row] = &[
            (&[], Ok(&["fmt", "clippy", "tidy", "unit", "sim", "samples", "e2e"])),
            (&["--only", "tidy"], Ok(&["tidy"])),
            (&["--from", "samples"], Ok(&["samples", "e2e"])),
            (&["--only", "lint"], Err(2)),
            (&["--only"], Err(2)),
            (&["tidy"], Err(2)),
        ];
        for (arguments, expected) in table {
            let got = select(arguments)
                .map(|steps| steps.iter().map(|step| step.name).collect::<Vec<_>>())
                .map_err(|failure| failure.code);
            assert_eq!(got.as_deref().map_err(|code| *code), *expected, "{arguments:?}");
        }
        let help = help();
        assert!(STEPS.iter().all(|step| help.contains(step.line)), "{help}");
    }

    #[test]
    fn durations_are_short() {
        assert_eq!(seconds(Duration::from_millis(61_280)), "61.2 s");
    }
}
