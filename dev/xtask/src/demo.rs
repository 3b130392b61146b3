//! `cargo xtask demo`: from a fresh clone to a gateway that answers.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::failure::Failure;
use crate::machine::{COMPILER, provide};
use crate::process::Workspace;

/// Builds the binary and becomes it, so that signals and the process id are the demo's own.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    provide(&[&COMPILER])?;
    // Unoptimised, because that is the shortest way to a first answer.
    let binary = workspace.build_binary()?;
    let error = Command::new(&binary).arg("demo").args(arguments).exec();
    Err(Failure::new(format!("{} did not start: {error}", binary.display())))
}
