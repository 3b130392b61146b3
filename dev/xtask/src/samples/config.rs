//! The configuration samples with everything switched on that they show commented out: an example that nobody reads
//! by machine is wrong within a year.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::failure::Failure;

/// Checks every sample in `folder`; the failures.
pub(super) fn check(binary: &Path, folder: &Path, scratch: &Path) -> Result<Vec<String>, Failure> {
    let unreadable = |error| Failure::new(format!("{} cannot be read: {error}", folder.display()));
    let mut failures = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let text = std::fs::read_to_string(&path).map_err(unreadable)?;
            let file = scratch.join(path.file_name().unwrap_or_default());
            std::fs::write(&file, switch_on(&text)).map_err(unreadable)?;
            let name = format!("config/{}", file.file_name().unwrap_or_default().to_string_lossy());
            let result = check_one(binary, &file, &text);
            println!("{name}, all switched on: {}", if result.is_ok() { "ok" } else { "failed" });
            failures.extend(result.err().map(|said| format!("{name}, all switched on: {said}")));
        }
    }
    Ok(failures)
}

fn check_one(binary: &Path, file: &Path, text: &str) -> Result<(), String> {
    let mut command = Command::new(binary);
    command.args(["config", "check", "--config"]).arg(file).stdin(Stdio::null());
    command.envs(secrets(text).into_iter().map(|variable| (variable, "sample-secret")));
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The sample with every comment that holds a setting turned into the setting.
fn switch_on(text: &str) -> String {
    let lines = text.lines().map(|line| match line.strip_prefix('#') {
        Some(rest) if is_setting(rest.trim_start()) => rest,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether a comment's text is TOML: a table's name, `key = …`, a line of an array or a comment inside such lines.
fn is_setting(text: &str) -> bool {
    let is_key = |key: &str| {
        !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
    };
    text.starts_with(['[', ']', '{', '}', '#']) || text.split_once(" = ").is_some_and(|(key, _)| is_key(key))
}

/// The names in `env:NAME` references.
fn secrets(text: &str) -> Vec<&str> {
    let name_end =
        |rest: &str| rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    text.split("\"env:").skip(1).map(|rest| &rest[..name_end(rest)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commented_settings_are_switched_on() {
        let text = "# Prose stays, whatever = it says.\n[a]\n# x = 1\nx = 2\n# [[b]]\n# # said of y\n# y = \"env:KEY_1\"\n\
                    # targets = [\n#   { z = 1 },\n# ]\n#\n";
        assert_eq!(
            switch_on(text),
            "# Prose stays, whatever = it says.\n[a]\n x = 1\nx = 2\n [[b]]\n # said of y\n y = \"env:KEY_1\"\n \
             targets = [\n   { z = 1 },\n ]\n#"
        );
        assert_eq!(secrets("a = \"env:KEY_1\"\nb = \"env:B\"\n# write env:NAME"), ["KEY_1", "B"]);
    }
}
