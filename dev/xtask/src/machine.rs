//! What a chore needs of the machine, and how the missing parts are installed.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use crate::failure::Failure;
use crate::process::{must, succeeds};

/// A program, and the Debian packages that bring it.
pub(crate) struct Need {
    what: &'static str,
    probe: &'static [&'static str],
    packages: &'static [&'static str],
}

/// Links every crate, and compiles the C parts of SQLite, TLS and blake3 (none of which needs cmake here).
pub(crate) const COMPILER: Need =
    Need { what: "a C compiler", probe: &["cc", "--version"], packages: &["gcc", "libc6-dev"] };
/// Runs the end-to-end tests; Debian ships `ensurepip` apart.
pub(crate) const PYTHON: Need = Need {
    what: "Python with venv",
    probe: &["python3", "-c", "import venv, ensurepip"],
    packages: &["python3", "python3-venv"],
};
/// Runs the Node client in the end-to-end tests.
pub(crate) const NODE: Need = Need { what: "Node.js", probe: &["node", "--version"], packages: &["nodejs"] };
/// Installs the Node client.
pub(crate) const NPM: Need = Need { what: "npm", probe: &["npm", "--version"], packages: &["npm"] };
/// Calls the gateway in the README's own words.
pub(crate) const CURL: Need =
    Need { what: "curl", probe: &["curl", "--version"], packages: &["curl", "ca-certificates"] };
/// Sets the gateway's clock in the end-to-end tests of days and months.
pub(crate) const FAKETIME: Need =
    Need { what: "faketime", probe: &["faketime", "-m", "2030-01-01", "true"], packages: &["faketime"] };
/// The yardstick of the benchmark.
pub(crate) const NGINX: Need = Need { what: "nginx", probe: &["nginx", "-v"], packages: &["nginx"] };

impl Need {
    fn is_met(&self) -> bool {
        let Some((program, arguments)) = self.probe.split_first() else { return true };
        // Debian keeps servers where only root's PATH looks.
        succeeds(program, arguments) || succeeds(Path::new("/usr/sbin").join(program), arguments)
    }
}

/// Sees to it that every need is met.
///
/// # Errors
/// Says the one line to run where this process may not install packages.
pub(crate) fn provide(needs: &[&Need]) -> Result<(), Failure> {
    let missing: Vec<&Need> = needs.iter().copied().filter(|need| !need.is_met()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|need| need.what).collect();
    let packages: Vec<&str> = missing.iter().flat_map(|need| need.packages).copied().collect();
    if !is_root() || !succeeds("apt-get", &["--version"]) {
        return Err(Failure::new(advice(&names, &packages)));
    }
    eprintln!("installing {} for {}", packages.join(" "), names.join(", "));
    install(&packages)?;
    match missing.iter().find(|need| !need.is_met()) {
        None => Ok(()),
        Some(need) => Err(Failure::new(format!("{} still does not run after its installation", need.what))),
    }
}

fn advice(names: &[&str], packages: &[&str]) -> String {
    format!(
        "missing: {}; install it with:\nsudo apt-get update && sudo apt-get install -y {}",
        names.join(", "),
        packages.join(" ")
    )
}

fn install(packages: &[&str]) -> Result<(), Failure> {
    let _quiet = NoServices::begin();
    // A fresh machine has no package lists yet. One list of several that fails need not matter: the installation tells.
    if let Err(failure) = must(apt(&["update", "-qq"]), "apt-get update") {
        eprintln!("{failure}");
    }
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(packages);
    must(apt(&arguments), &format!("apt-get install -y {}", packages.join(" ")))
}

fn apt(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Keeps packages from starting their services: Debian's installers ask this file first.
struct NoServices {
    made: bool,
}

impl NoServices {
    const POLICY: &str = "/usr/sbin/policy-rc.d";

    fn begin() -> Self {
        let made = !Path::new(Self::POLICY).exists()
            && std::fs::write(Self::POLICY, "#!/bin/sh\nexit 101\n").is_ok()
            && succeeds("chmod", &["755", Self::POLICY]);
        Self { made }
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.made {
            let _ = std::fs::remove_file(Self::POLICY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_is_one_line_to_paste() {
        let text = advice(&["a C compiler", "npm"], &["gcc", "libc6-dev", "npm"]);
        assert_eq!(
            text,
            "missing: a C compiler, npm; install it with:\n\
             sudo apt-get update && sudo apt-get install -y gcc libc6-dev npm"
        );
    }

    #[test]
    fn a_need_is_probed() {
        let need = |probe| Need { what: "it", probe, packages: &[] };
        assert!(need(&["true"]).is_met());
        assert!(!need(&["false"]).is_met());
        assert!(!need(&["no-such-program-anywhere"]).is_met());
    }
}
