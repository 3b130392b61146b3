//! `cargo xtask tidy`: the rules of STYLE.md that neither rustc nor clippy checks. It reads every file, reports all
//! findings at once, and says for each how to mend it.

mod exceptions;
mod house;
mod rules;
mod rust;
#[cfg(test)]
mod tests;
mod tree;

use std::fmt;
use std::path::Path;

use crate::failure::Failure;
use exceptions::Exceptions;
use tree::Tree;

/// One breach of one rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    file: String,
    /// From 1; 0 speaks of the whole file.
    line: usize,
    rule: &'static str,
    message: String,
    /// For lengths: what is too long (a function's name, or nothing for a file), and how long it is.
    length: Option<(String, usize)>,
}

impl Finding {
    fn new(file: &str, line: usize, rule: &'static str, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, rule, message: message.into(), length: None }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {} [{}]", self.file, self.line.max(1), self.message, self.rule)
    }
}

/// Checks the tree under `root`.
pub(crate) fn run(root: &Path) -> Result<(), Failure> {
    let tree = Tree::read(root).map_err(|error| Failure::new(format!("the tree cannot be read: {error}")))?;
    let findings = inspect(&tree);
    if findings.is_empty() {
        println!("tidy: {} files, nothing found", tree.files.len());
        return Ok(());
    }
    for finding in &findings {
        println!("{finding}");
    }
    Err(Failure::new(format!("tidy: {} findings in {} files", findings.len(), tree.files.len())))
}

/// Every finding that no exception covers, and every exception that covers nothing.
fn inspect(tree: &Tree) -> Vec<Finding> {
    let mut findings = house::check(tree);
    findings.extend(rules::check(tree));
    let mut findings = match Exceptions::read(tree) {
        Ok(exceptions) => exceptions.apply(findings),
        Err(finding) => {
            findings.push(finding);
            findings
        }
    };
    findings.sort();
    findings
}
