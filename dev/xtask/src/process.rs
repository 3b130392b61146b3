//! Running other programs: without input, from the root of the workspace, with their output shown as it comes.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::Failure;

/// Where the sources and the built programs are.
pub(crate) struct Workspace {
    /// The folder of the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Cargo's target folder.
    pub(crate) target: PathBuf,
    cargo: OsString,
}

impl Workspace {
    /// Finds both from what cargo tells the programs it runs.
    pub(crate) fn find() -> Result<Self, Failure> {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let root = manifest.as_deref().and_then(|folder| folder.ancestors().nth(2)).map(Path::to_path_buf);
        let root =
            root.ok_or_else(|| Failure::new("run this as `cargo xtask …`: cargo says where the tree is"))?;
        // This program is TARGET/debug/tollkeeper-xtask, whatever moved the target folder.
        let own = std::env::current_exe().ok();
        let target = own.as_deref().and_then(|exe| exe.ancestors().nth(2)).map(Path::to_path_buf);
        let target = target.unwrap_or_else(|| root.join("target"));
        Ok(Self { root, target, cargo: std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()) })
    }

    /// A cargo command on this workspace.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.cargo);
        command.args(arguments).current_dir(&self.root);
        command
    }

    /// Builds the shipped binary without optimisation, and says where it is.
    pub(crate) fn build_binary(&self) -> Result<PathBuf, Failure> {
        must(self.cargo(&["build", "--package", "tollkeeper"]), "cargo build -p tollkeeper")?;
        Ok(self.target.join("debug/tollkeeper"))
    }
}

/// Runs a command to its end; `line` is what a person would type for it.
pub(crate) fn must(mut command: Command, line: &str) -> Result<(), Failure> {
    // What these commands say is not a chore's own data, so it goes where messages go.
    let status = command.stdin(Stdio::null()).stdout(std::io::stderr()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::new(format!("`{line}` ended with {status}"))),
        Err(error) => Err(Failure::new(format!("`{line}` did not start: {error}"))),
    }
}

/// As [`must`], but shows the command's lines on standard output and hands each of them to `each`.
pub(crate) fn follow(mut command: Command, line: &str, mut each: impl FnMut(&str)) -> Result<(), Failure> {
    let broken = |error: std::io::Error| Failure::new(format!("`{line}` did not run: {error}"));
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(broken)?;
    if let Some(output) = child.stdout.take() {
        let mut output = BufReader::new(output);
        let mut bytes = Vec::new();
        while output.read_until(b'\n', &mut bytes).map_err(broken)? > 0 {
            // A reader that went away (`| head`) must not end the run.
            let _ = std::io::stdout().write_all(&bytes);
            each(String::from_utf8_lossy(&bytes).trim_end());
            bytes.clear();
        }
    }
    let status = child.wait().map_err(broken)?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("`{line}` ended with {status}"))) }
}

/// Whether a command runs and succeeds, in silence.
pub(crate) fn succeeds(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
