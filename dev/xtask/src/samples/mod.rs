//! What only this tool can try: the README's first command as it is typed, and the settings that the configuration
//! samples show commented out. The rest of the README and the samples as they stand are tried by `tests/e2e`.

mod config;
mod demo;

use crate::failure::Failure;
use crate::process::Workspace;

/// Tries both, and reports everything that fails.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Failure> {
    let scratch = workspace.target.join("samples");
    let unusable = |error| Failure::new(format!("{} cannot be made: {error}", scratch.display()));
    if scratch.exists() {
        std::fs::remove_dir_all(&scratch).map_err(unusable)?;
    }
    std::fs::create_dir_all(&scratch).map_err(unusable)?;
    let binary = workspace.build_binary()?;
    let mut failures = config::check(&binary, &workspace.root.join("config"), &scratch)?;
    failures.extend(demo::check(workspace, &scratch).err());
    if failures.is_empty() { Ok(()) } else { Err(Failure::new(failures.join("\n"))) }
}
