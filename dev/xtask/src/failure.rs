//! Why a chore ended badly.

use std::fmt;

/// A message for a person, and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    /// 1 for a failure, 2 for a wrong command line.
    pub(crate) code: u8,
    message: String,
}

impl Failure {
    /// Something went wrong.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { code: 1, message: message.into() }
    }

    /// The command line was wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: 2, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
