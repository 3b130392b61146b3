//! What a simulation does, step by step: commands with their times, and what befalls the process in between. A script
//! can be done again as it is, which is how a failure is made small.

use domain::{OrganizationId, Timestamp};
use ledger::Command;

/// One step of a script.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all steps are commands, and few are kept")]
pub enum Step {
    /// A command, at the time that the clock shows.
    Do(Command, Timestamp),
    /// The process dies and starts again: the books are loaded from what was saved.
    Crash,
    /// The consumption that no live hold counts in is dropped from memory.
    Forget(OrganizationId),
    /// The books are frozen, as after a breach.
    Freeze(OrganizationId),
    /// An operator has looked.
    Thaw(OrganizationId),
}

/// What a script found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The step, from 0.
    pub step: usize,
    /// What differs, or which promise is broken.
    pub what: String,
}
