//! `cargo xtask fuzz`: every parser and converter against bytes that a fuzzer makes up, from seeds made of the golden
//! files. What must hold is in `dev/properties`, whose tests are the short form that CI runs.

use std::path::Path;
use std::process::Command;

use crate::failure::Failure;
use crate::machine::{COMPILER, provide};
use crate::process::{Workspace, must, succeeds};

const HELP: &str = "\
usage: cargo xtask fuzz [TARGET] [--seconds N]

Runs one target, or each in turn, for so many seconds (600 if not told), from seeds made of the golden files and from
what earlier runs left in fuzz/target/corpus. An input that breaks a property, takes longer than 10 seconds or more than
2 GiB is written to fuzz/target/found; docs/fuzzing.md says what to do with it. The targets:
";

/// What cargo-fuzz is asked for by, and how it comes.
const INSTALL: &str =
    "cargo-fuzz is missing; install it with:\ncargo install cargo-fuzz --locked --version 0.13.2";

/// Limits of one input: bytes, seconds, and MiB of memory.
const LIMITS: [&str; 3] = ["-max_len=8192", "-timeout=10", "-rss_limit_mb=2048"];

/// Which targets, and for how long each.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    target: Option<String>,
    seconds: u32,
}

/// Fuzzes the target that the arguments name: all of them without one.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    let known = targets(&workspace.root.join("fuzz/fuzz_targets"))?;
    let help = format!("{HELP}\n  {}", known.join("\n  "));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if matches!(arguments[..], ["--help" | "-h"]) {
        println!("{help}");
        return Ok(());
    }
    let plan = read(&arguments).ok_or_else(|| Failure::usage(help.as_str()))?;
    let chosen: Vec<&String> =
        known.iter().filter(|name| plan.target.as_ref().is_none_or(|target| target == *name)).collect();
    if chosen.is_empty() {
        return Err(Failure::usage(help));
    }
    provide(&[&COMPILER])?;
    if !succeeds("cargo", &["fuzz", "--version"]) {
        return Err(Failure::new(INSTALL));
    }
    chosen.into_iter().try_for_each(|target| fuzz(workspace, target, plan.seconds))
}

/// The names of the targets, each a file of its own.
fn targets(folder: &Path) -> Result<Vec<String>, Failure> {
    let unreadable = |error: std::io::Error| Failure::new(format!("{}: {error}", folder.display()));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

fn read(arguments: &[&str]) -> Option<Plan> {
    let seconds = |text: &str| text.parse().ok().filter(|seconds| *seconds > 0);
    let (target, seconds) = match *arguments {
        [] => (None, 600),
        ["--seconds", text] => (None, seconds(text)?),
        [target] => (Some(target), 600),
        [target, "--seconds", text] | ["--seconds", text, target] => (Some(target), seconds(text)?),
        _ => return None,
    };
    let is_option = |target: &str| target.starts_with('-');
    (!target.is_some_and(is_option)).then(|| Plan { target: target.map(str::to_owned), seconds })
}

fn fuzz(workspace: &Workspace, target: &str, seconds: u32) -> Result<(), Failure> {
    let [corpus, words, found] =
        ["corpus", "words", "found"].map(|folder| format!("fuzz/target/{folder}/{target}"));
    for folder in [&words, &found] {
        let folder = workspace.root.join(folder);
        let folder = folder.parent().unwrap_or(&folder);
        std::fs::create_dir_all(folder)
            .map_err(|error| Failure::new(format!("{}: {error}", folder.display())))?;
    }
    for (chore, path) in [("seeds", &corpus), ("words", &words)] {
        let arguments = ["run", "--quiet", "--package", "tollkeeper-properties", "--", chore, target, path];
        must(workspace.cargo(&arguments), &format!("cargo {}", arguments.join(" ")))?;
    }
    let (dictionary, prefix) = (format!("-dict={words}"), format!("-artifact_prefix={found}-"));
    let total = format!("-max_total_time={seconds}");
    let run = ["fuzz", "run", "--fuzz-dir", "fuzz", target, &corpus, "--", &total, &dictionary, &prefix];
    let arguments = [&run[..], &LIMITS, &["-print_final_stats=1"]].concat();
    let mut command = Command::new("cargo");
    // Instrumentation is a flag of nightly compilers; with this the pinned one takes it, too.
    command.args(&arguments).current_dir(&workspace.root).env("RUSTC_BOOTSTRAP", "1");
    must(command, &format!("cargo {}", arguments.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_read() {
        let plan = |target: Option<&str>, seconds| Some(Plan { target: target.map(str::to_owned), seconds });
        for (arguments, expected) in [
            (&[][..], plan(None, 600)),
            (&["--seconds", "5"], plan(None, 5)),
            (&["streams"], plan(Some("streams"), 600)),
            (&["streams", "--seconds", "5"], plan(Some("streams"), 5)),
            (&["--seconds", "5", "streams"], plan(Some("streams"), 5)),
            (&["--seconds"], None),
            (&["--seconds", "0"], None),
            (&["--seconds", "x"], None),
            (&["--minutes", "5"], None),
            (&["a", "b"], None),
        ] {
            assert_eq!(read(arguments), expected, "{arguments:?}");
        }
    }
}
