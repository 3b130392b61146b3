//! `cargo xtask sim`: the ledger's simulator, optimised. Without arguments the short form that CI runs.

use crate::failure::Failure;
use crate::machine::{COMPILER, provide};
use crate::process::{Workspace, must};
use crate::tally::Tally;

/// What CI runs: more than 10^7 commands against the model, the store through some thousand crashes, and the log of
/// sixty commands cut. Each line is what a person types after `cargo xtask sim`.
const SHORT: [&str; 3] = [
    "rules --seeds 0..10500 --commands 1000 --threads 2",
    "store --seeds 0..200 --commands 2000 --threads 2",
    "wal-cut --threads 2",
];

/// Builds the simulator and runs it with these arguments; without any, in its short form.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<Tally, Failure> {
    provide(&[&COMPILER])?;
    let build = ["build", "--release", "--package", "tollkeeper-sim"];
    must(workspace.cargo(&build), "cargo build --release -p tollkeeper-sim")?;
    let mut passed = 0;
    let short = || SHORT.iter().map(|line| line.split(' ').map(str::to_owned).collect());
    let runs: Vec<Vec<String>> =
        if arguments.is_empty() { short().collect() } else { vec![arguments.to_vec()] };
    for arguments in runs {
        let mut command = std::process::Command::new(workspace.target.join("release/sim"));
        command.args(&arguments).current_dir(&workspace.root);
        must(command, &format!("cargo xtask sim {}", arguments.join(" ")))?;
        passed += 1;
    }
    Ok(Tally { passed, failed: 0 })
}
