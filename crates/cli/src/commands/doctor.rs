//! `doctor`: what is wrong with an installation or with a key's calls, and how to mend it.

mod answers;
mod walk;
mod words;

use serde::Serialize;
use server::OPERATOR_KEY;
use server::config::Environment;

use crate::args::DoctorArgs;
use crate::failure::{Exit, Failure};
use crate::output::{Output, View};
use crate::table::{Column, rows};
use walk::Walk;

/// The checks in the order in which they were made.
#[derive(Debug, Serialize)]
struct Diagnosis {
    object: &'static str,
    ok: bool,
    checks: Vec<server::Finding>,
}

impl View for Diagnosis {
    fn human(&self) -> String {
        const COLUMNS: &[Column] = &[Column::Text("CHECK"), Column::Text("RESULT"), Column::Text("WHAT")];
        let cells = self.checks.iter().map(|finding| {
            let next_step = finding.next_step.as_deref().map(|step| format!("; {step}")).unwrap_or_default();
            let result = if finding.ok { "ok" } else { "FOUND" };
            vec![finding.check.clone(), result.to_owned(), format!("{}{next_step}", finding.message)]
        });
        rows(COLUMNS, cells)
    }
}

/// Looks at everything.
pub(crate) fn run(args: DoctorArgs, environment: &Environment, output: &mut Output) -> Result<(), Failure> {
    let key = presented(&args)?;
    let mut checks = Vec::new();
    if let Some(data) = args.data {
        checks = server::doctor(&server::DoctorOptions {
            data,
            config: args.config,
            live: args.live,
            environment: environment.clone(),
        });
    }
    if let Some(key) = key {
        let walk = Walk {
            url: &args.gateway.url,
            key: &key,
            operator: environment.get(OPERATOR_KEY).map(str::trim).filter(|key| !key.is_empty()),
            model: args.model.as_deref(),
            live: args.live,
            findings: Vec::new(),
        };
        checks.extend(walk.run());
    }
    show(checks, output)
}

/// The key to walk with, if there is one: a file's goes before one that was typed or is in the environment.
fn presented(args: &DoctorArgs) -> Result<Option<String>, Failure> {
    let Some(file) = &args.key_file else {
        return Ok(args.key.as_ref().map(|key| key.0.trim().to_owned()));
    };
    let text = std::fs::read_to_string(file).map_err(|error| {
        Failure::new(Exit::Failure, format!("cannot read {}: {error}", file.display()))
            .next("give a file with the key and nothing else as --key-file")
    })?;
    Ok(Some(text.trim().to_owned()))
}

/// Shows what was seen; fails with [`Exit::Findings`] when something is wrong.
pub(crate) fn show(checks: Vec<server::Finding>, output: &mut Output) -> Result<(), Failure> {
    let found = checks.iter().filter(|finding| !finding.ok).count();
    output.own(&Diagnosis { object: "diagnosis", ok: found == 0, checks })?;
    if found == 0 {
        return Ok(());
    }
    Err(Failure::new(Exit::Findings, format!("checks that found something: {found}")))
}
