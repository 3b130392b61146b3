//! `verify`: every rule of the ledger, checked on the stored data.

use domain::Money;
use serde::Serialize;

use crate::args::VerifyArgs;
use crate::failure::{Exit, Failure};
use crate::output::{Output, View};
use crate::table::fields;

/// What was looked at and what is broken.
#[derive(Debug, Serialize)]
struct Verified {
    object: &'static str,
    ok: bool,
    organizations: u64,
    wallets: u64,
    entries: u64,
    rows: u64,
    holds: u64,
    revenue: Money,
    balance: Money,
    breaches: Vec<String>,
}

impl View for Verified {
    fn human(&self) -> String {
        let head = fields(&[
            ("organizations", self.organizations.to_string()),
            ("wallets", self.wallets.to_string()),
            ("journal entries", self.entries.to_string()),
            ("cost rows", self.rows.to_string()),
            ("live holds", self.holds.to_string()),
            ("revenue", self.revenue.to_string()),
            ("balance", self.balance.to_string()),
            ("broken rules", self.breaches.len().to_string()),
        ]);
        std::iter::once(head).chain(self.breaches.iter().cloned()).collect::<Vec<_>>().join("\n")
    }
}

/// Checks the data in the folder.
pub(crate) fn run(args: &VerifyArgs, output: &mut Output) -> Result<(), Failure> {
    let report = server::verify(&args.data).map_err(|error| {
        Failure::new(Exit::Failure, format!("cannot verify {}: {error}", args.data.display()))
            .next("give the folder that `tollkeeper serve --data DIR` runs on")
    })?;
    show(report, output)
}

/// Shows a report; fails with [`Exit::Findings`] when a rule is broken.
pub(crate) fn show(report: server::Report, output: &mut Output) -> Result<(), Failure> {
    let found = report.breaches.len();
    output.own(&Verified {
        object: "verification",
        ok: found == 0,
        organizations: report.organizations,
        wallets: report.wallets,
        entries: report.entries,
        rows: report.rows,
        holds: report.holds,
        revenue: report.revenue,
        balance: report.balance,
        breaches: report.breaches,
    })?;
    if found == 0 {
        return Ok(());
    }
    Err(Failure::new(Exit::Findings, format!("rules of the ledger are broken: {found}"))
        .next("keep a copy of the folder, stop granting credit, and restore a backup that verifies"))
}
