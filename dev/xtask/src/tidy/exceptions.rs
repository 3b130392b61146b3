//! What tidy lets pass, from `tidy_exceptions.toml`: each with a reason, each still needed.

use serde::Deserialize;

use super::Finding;
use super::tree::Tree;

/// Where the exceptions are written.
const FILE: &str = "dev/xtask/tidy_exceptions.toml";
/// The rule that exceptions themselves must keep.
const RULE: &str = "exceptions";

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exceptions {
    #[serde(default, rename = "exception")]
    entries: Vec<Exception>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    rule: String,
    file: String,
    #[serde(default)]
    name: String,
    limit: Option<usize>,
    reason: String,
}

impl Exceptions {
    /// Reads the tree's exceptions; a file that is missing holds none.
    pub(super) fn read(tree: &Tree) -> Result<Self, Finding> {
        let Some(file) = tree.file(FILE) else { return Ok(Self::default()) };
        toml::from_str(&file.text).map_err(|error| Finding::new(FILE, 0, RULE, error.to_string()))
    }

    /// Takes out what is excepted, and adds what is wrong with the exceptions.
    pub(super) fn apply(self, findings: Vec<Finding>) -> Vec<Finding> {
        let mut used = vec![false; self.entries.len()];
        let mut left = Vec::new();
        for finding in findings {
            let covered = self.entries.iter().position(|entry| entry.covers(&finding));
            match covered {
                Some(at) => {
                    used[at] = true;
                    left.extend(self.entries[at].slack(&finding));
                }
                None => left.push(finding),
            }
        }
        for (entry, used) in self.entries.iter().zip(used) {
            if entry.reason.trim().is_empty() {
                left.push(Finding::new(
                    FILE,
                    0,
                    RULE,
                    format!("the exception for {} has no reason", entry.file),
                ));
            }
            if !used {
                let message =
                    format!("the exception of {} from {} covers nothing; remove it", entry.file, entry.rule);
                left.push(Finding::new(FILE, 0, RULE, message));
            }
        }
        left
    }
}

impl Exception {
    fn covers(&self, finding: &Finding) -> bool {
        let within = match &finding.length {
            Some((name, length)) => *name == self.name && self.limit.is_some_and(|limit| *length <= limit),
            None => true,
        };
        self.rule == finding.rule && self.file == finding.file && within
    }

    /// The ratchet: a limit above today's number must come down to it.
    fn slack(&self, finding: &Finding) -> Option<Finding> {
        let (_, length) = finding.length.as_ref()?;
        let message = format!("{} {} is down to {length} lines; lower its limit", self.file, self.name);
        self.limit.is_some_and(|limit| *length < limit).then(|| Finding::new(FILE, 0, RULE, message))
    }
}
