//! The end-to-end tests: official clients of two languages against the built binary. Their packages are pinned, are
//! installed under the target folder and in `tests/e2e/node`, and stay there until their lists change.

use std::path::Path;
use std::process::Command;

use crate::failure::Failure;
use crate::process::{Workspace, follow, must};

/// Builds the binary, prepares both languages and runs the tests, handing every line they print to `each`.
pub(crate) fn run(workspace: &Workspace, each: impl FnMut(&str)) -> Result<(), Failure> {
    let binary = workspace.build_binary()?;
    // It stands beside the binary, where the tests of payments look for it.
    let line = "cargo build -p tollkeeper-fake-stripe";
    must(workspace.cargo(&["build", "--package", "tollkeeper-fake-stripe"]), line)?;
    let tests = workspace.root.join("tests/e2e");
    let home = workspace.target.join("e2e");
    std::fs::create_dir_all(&home)
        .map_err(|error| Failure::new(format!("{} cannot be made: {error}", home.display())))?;
    let python = prepare_python(&tests, &home, "venv", "requirements.installed")?;
    // LiteLLM holds other versions of what the other clients need, so it has an environment of its own.
    let litellm = prepare_python(&tests.join("litellm"), &home, "litellm", "litellm.installed")?;
    prepare_node(&tests.join("node"), &home)?;
    let mut pytest = Command::new(python);
    pytest.args(["-m", "pytest", "tests/e2e", "-q"]).current_dir(&workspace.root);
    // Which binary to drive; the tests have no other way to know a moved target folder.
    pytest.env("TOLLKEEPER_BIN", binary).env("TOLLKEEPER_LITELLM", litellm);
    // It was installed with the rest, so that a test that needs it may not be skipped.
    pytest.env("TOLLKEEPER_TESTS_REQUIRE_FAKETIME", "1");
    follow(pytest, "python -m pytest tests/e2e -q", each)
}

/// An environment with what the folder's `requirements.txt` lists; its interpreter.
fn prepare_python(
    folder: &Path,
    home: &Path,
    name: &str,
    stamp: &str,
) -> Result<std::path::PathBuf, Failure> {
    let venv = home.join(name);
    let python = venv.join("bin/python");
    let list = folder.join("requirements.txt");
    let stamp = Stamp::new(&list, home.join(stamp))?;
    if stamp.is_current() && python.exists() {
        return Ok(python);
    }
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(&venv);
    must(make, &format!("python3 -m venv --clear target/e2e/{name}"))?;
    let mut install = Command::new(&python);
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--require-hashes",
        "-r",
    ]);
    install.arg(&list);
    let line = format!("target/e2e/{name}/bin/python -m pip install --require-hashes -r {}", list.display());
    must(install, &line)?;
    stamp.write()?;
    Ok(python)
}

fn prepare_node(folder: &Path, home: &Path) -> Result<(), Failure> {
    let stamp = Stamp::new(&folder.join("package-lock.json"), home.join("package-lock.installed"))?;
    if stamp.is_current() && folder.join("node_modules").exists() {
        return Ok(());
    }
    let mut install = Command::new("npm");
    install.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(folder);
    must(install, "npm ci (in tests/e2e/node)")?;
    stamp.write()
}

/// Remembers which list of packages is installed, by a copy of it.
struct Stamp {
    wanted: Vec<u8>,
    copy: std::path::PathBuf,
}

impl Stamp {
    fn new(list: &Path, copy: std::path::PathBuf) -> Result<Self, Failure> {
        let wanted = std::fs::read(list)
            .map_err(|error| Failure::new(format!("{} cannot be read: {error}", list.display())))?;
        Ok(Self { wanted, copy })
    }

    fn is_current(&self) -> bool {
        std::fs::read(&self.copy).is_ok_and(|installed| installed == self.wanted)
    }

    fn write(&self) -> Result<(), Failure> {
        std::fs::write(&self.copy, &self.wanted)
            .map_err(|error| Failure::new(format!("{} cannot be written: {error}", self.copy.display())))
    }
}
