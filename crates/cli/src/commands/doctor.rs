//! `doctor`: what is wrong with an installation, and how to mend it.

use serde::Serialize;
use server::config::Environment;

use crate::args::DoctorArgs;
use crate::failure::{Exit, Failure};
use crate::output::{Output, View};
use crate::table::{Column, rows};

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
    let checks = server::doctor(&server::DoctorOptions {
        data: args.data,
        config: args.config,
        live: args.live,
        environment: environment.clone(),
    });
    show(checks, output)
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
