//! Where the figures come from: they mean little without it.

use std::process::Command;

use serde::Serialize;

use crate::nginx;

/// Facts of this machine and this build.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    cores: usize,
    cpu: String,
    kernel: String,
    nginx: Option<String>,
    /// Processes that ran or wanted to in the last minute: figures from a busy machine are no figures.
    load: String,
    /// The commit that is checked out, with `-dirty` when files differ from it.
    commit: Option<String>,
}

impl Machine {
    pub(crate) fn look() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let info = read("/proc/cpuinfo");
        let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Self {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            cpu: model.map_or("unknown".to_owned(), |(_, name)| name.to_owned()),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            nginx: nginx::version(),
            load: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
            commit: commit(),
        }
    }

    /// One line for people.
    pub(crate) fn line(&self) -> String {
        let Self { cores, cpu, kernel, load, .. } = self;
        let nginx = self.nginx.as_deref().unwrap_or("none");
        let commit = self.commit.as_deref().unwrap_or("unknown");
        format!("{cores} cores ({cpu}), Linux {kernel}, nginx {nginx}, commit {commit}, load before {load}")
    }
}

fn commit() -> Option<String> {
    let output =
        Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=12"]).output().ok()?;
    let name = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !name.is_empty()).then_some(name)
}
