//! The first thing that a newcomer types. What the demo then can do is tried by `tests/e2e`; here it matters that the
//! command as typed becomes the demo itself, says so, and stops when asked.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::process::{Workspace, succeeds};

/// How long the demo may take to stop when asked.
const STOP: Duration = Duration::from_secs(20);

/// The line that says that a demo is ready.
#[derive(Debug, Deserialize)]
struct Ready {
    base_url: String,
    key: String,
    pid: u32,
}

/// Starts and stops it; what is wrong with it.
pub(super) fn check(workspace: &Workspace, scratch: &Path) -> Result<(), String> {
    let result = play(workspace, scratch);
    println!("cargo xtask demo: {}", if result.is_ok() { "ok" } else { "failed" });
    result.map_err(|said| format!("cargo xtask demo: {said}"))
}

fn play(workspace: &Workspace, scratch: &Path) -> Result<(), String> {
    let mut command = workspace.cargo(&["xtask", "demo", "--json", "--listen", "127.0.0.1:0", "--data"]);
    command.arg(scratch.join("demo-data"));
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut demo = Demo(command.spawn().map_err(|error| error.to_string())?);
    let mut line = String::new();
    if let Some(output) = demo.0.stdout.take() {
        BufReader::new(output).read_line(&mut line).map_err(|error| error.to_string())?;
    }
    if line.is_empty() {
        return Err("it ended before it was ready".to_owned());
    }
    let ready: Ready = serde_json::from_str(&line).map_err(|error| format!("it said `{line}`: {error}"))?;
    if !ready.base_url.starts_with("http://127.0.0.1:") || !ready.key.starts_with("tk-") {
        return Err(format!("its base URL or key is none: {line}"));
    }
    // A script that starts it wants to stop it by the process that it started.
    if ready.pid != demo.0.id() {
        return Err(format!("it says that it is process {}, and is {}", ready.pid, demo.0.id()));
    }
    demo.stop()
}

/// A demo that runs, killed when dropped.
struct Demo(Child);

impl Demo {
    fn stop(mut self) -> Result<(), String> {
        if !succeeds("sh", &["-c", "kill -TERM \"$0\"", &self.0.id().to_string()]) {
            return Err("it ended by itself".to_owned());
        }
        let begun = Instant::now();
        loop {
            match self.0.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(format!("asked to stop, it ended with {status}")),
                Ok(None) if begun.elapsed() < STOP => std::thread::sleep(Duration::from_millis(20)),
                Ok(None) => return Err(format!("it does not stop within {} s", STOP.as_secs())),
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
