//! `cargo xtask bench`: optimised builds, the yardstick, then the measurement.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::failure::Failure;
use crate::machine::{COMPILER, NGINX, provide};
use crate::process::{Workspace, must};

/// Builds what is measured and what measures, and becomes the latter; the arguments are its own.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    let only_help = arguments.iter().any(|argument| matches!(argument.as_str(), "--help" | "-h"));
    provide(if only_help { &[&COMPILER] } else { &[&COMPILER, &NGINX] })?;
    let packages = ["build", "--release", "--package", "tollkeeper-bench", "--package", "tollkeeper"];
    let packages = if only_help { &packages[..4] } else { &packages[..] };
    must(workspace.cargo(packages), &format!("cargo {}", packages.join(" ")))?;
    become_release(workspace, "tollkeeper-bench", arguments)
}

/// Builds a measure of one part and becomes it: of the ledger's writer, of the limiter or of the directory.
pub(crate) fn run_part(workspace: &Workspace, binary: &str, arguments: &[String]) -> Result<(), Failure> {
    provide(&[&COMPILER])?;
    let packages = ["build", "--release", "--package", "tollkeeper-bench", "--bin", binary];
    must(workspace.cargo(&packages), &format!("cargo {}", packages.join(" ")))?;
    become_release(workspace, binary, arguments)
}

fn become_release(workspace: &Workspace, name: &str, arguments: &[String]) -> Result<(), Failure> {
    let binary = workspace.target.join("release").join(name);
    let error = Command::new(&binary).args(arguments).exec();
    Err(Failure::new(format!("{} did not start: {error}", binary.display())))
}
