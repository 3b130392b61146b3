//! `unfreeze`: frozen books go on, once every rule of the ledger holds.

use serde::Serialize;

use crate::args::UnfreezeArgs;
use crate::failure::{Exit, Failure};
use crate::output::{Output, View};

/// Books that go on.
#[derive(Debug, Serialize)]
struct Unfrozen {
    object: &'static str,
    organization: String,
    /// Whether they were frozen before.
    was_frozen: bool,
}

impl View for Unfrozen {
    fn human(&self) -> String {
        let Self { organization, was_frozen, .. } = self;
        match was_frozen {
            true => format!("the books of {organization} go on"),
            false => format!("the books of {organization} were not frozen"),
        }
    }
}

/// Lets the books go on.
pub(crate) fn run(args: &UnfreezeArgs, output: &mut Output) -> Result<(), Failure> {
    let organization = args.org;
    let was_frozen = server::unfreeze(&args.data, organization).map_err(|error| {
        let broken = matches!(error, server::UnfreezeError::Broken(..));
        let exit = if broken { Exit::Findings } else { Exit::Failure };
        let next = match broken {
            true => "see docs/operations.md, When books are frozen: unfreezing mends nothing",
            false => "stop the gateway first, and give its data folder and the organization's id",
        };
        Failure::new(exit, format!("the books of {organization} stay as they are: {error}")).next(next)
    })?;
    output.own(&Unfrozen { object: "unfreeze", organization: organization.to_string(), was_frozen })
}
