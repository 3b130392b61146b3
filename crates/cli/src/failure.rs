//! How a command fails: one sentence, one next step, one exit code.

use std::process::ExitCode;

/// The exit codes that scripts may rely on; 0 is success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Anything without a code of its own.
    Failure,
    /// What was typed, or sent on the caller's behalf, cannot be meant.
    Usage,
    /// The key is missing, wrong or not allowed to.
    Auth,
    /// The thing named does not exist.
    NotFound,
    /// The command worked and found something wrong.
    Findings,
    /// There is no credit for it.
    NoCredit,
}

impl Exit {
    /// The number.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Auth => 4,
            Self::NotFound => 5,
            Self::Findings => 6,
            Self::NoCredit => 7,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What the process ends with.
    pub(crate) exit: Exit,
    /// What happened; lower case, no final stop; may span lines.
    pub(crate) message: String,
    /// The one thing to do about it, where it is known.
    pub(crate) next_step: Option<String>,
}

impl Failure {
    /// A failure without a next step.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), next_step: None }
    }

    /// The same failure with what to do about it.
    pub(crate) fn next(self, next_step: impl Into<String>) -> Self {
        Self { next_step: Some(next_step.into()), ..self }
    }
}
