//! The rules that look at one file at a time.

use super::Finding;
use super::house::OWNED;
use super::rust::{Source, words};
use super::tree::{TextFile, Tree};

/// The longest file, in lines.
const FILE_LINES: usize = 800;
/// The longest function, in lines, from its `fn` to its closing brace.
const FUNCTION_LINES: usize = 70;
/// Names of modules and crates that say nothing, and what to do instead.
const EMPTY_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "common", "misc"];
/// Notes that belong into an issue.
const NOTES: &[&str] = &["TODO", "FIXME", "XXX"];
/// Crates in which not even a test may use floats.
const EXACT: &[&str] = &["domain", "pricing", "ledger"];
/// Crates that answer for their own use of what clippy.toml bans: time, chance, environment, spawning.
const PORTED: &[&str] = &["server", "cli", "mock"];
/// Extensions of files that are read as text.
const TEXT: &[&str] =
    &["rs", "toml", "md", "py", "js", "mjs", "ts", "json", "sql", "yml", "yaml", "sh", "txt", "html", "css"];
/// Folders of this or that machine, without their last slash so that this line does not find itself.
const MACHINES: &[&str] = &["/work", "/root", "/home"];

/// What the rules of single files find.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        if TEXT.contains(&file.extension()) || file.path.starts_with(".ci/") {
            text(file, &mut findings);
        }
        if file.extension() == "rs" {
            let source = Source::parse(&file.text, is_test(&file.path));
            layout(file, &source, &mut findings);
            vocabulary(file, &source, &mut findings);
            ownership(file, &source, &mut findings);
        }
    }
    findings
}

fn is_test(path: &str) -> bool {
    let mut parts = path.split('/').rev();
    let name = parts.next().unwrap_or_default().trim_end_matches(".rs");
    name == "tests"
        || name.ends_with("_tests")
        || name.ends_with("_test")
        || parts.any(|folder| matches!(folder, "tests" | "benches" | "examples" | "fuzz"))
}

fn text(file: &TextFile, findings: &mut Vec<Finding>) {
    let mut find = |line, rule, message: String| findings.push(Finding::new(&file.path, line, rule, message));
    for (number, line) in (1..).zip(file.text.lines()) {
        if line.ends_with([' ', '\t']) {
            find(number, "whitespace", "a line ends in white space; remove it".to_owned());
        }
        if let Some(path) = MACHINES.iter().find(|path| names_machine(line, path)) {
            let message =
                format!("`{path}/…` is a path of one machine; write it from the root of the repository");
            find(number, "machine-path", message);
        }
        let is_code = !matches!(file.extension(), "rs" | "md");
        if let Some(note) = NOTES.iter().find(|note| is_code && words(line, note).next().is_some()) {
            find(number, "note-to-self", note_advice(note));
        }
    }
    if !file.text.is_empty() && (!file.text.ends_with('\n') || file.text.ends_with("\n\n")) {
        let message = "a file ends in one line break, not in none and not in several".to_owned();
        find(file.text.lines().count(), "whitespace", message);
    }
}

fn names_machine(line: &str, folder: &str) -> bool {
    let is_path =
        |before: Option<char>| !before.is_some_and(|c| c.is_alphanumeric() || "_-.~)}$".contains(c));
    line.match_indices(folder)
        .any(|(at, _)| line[at + folder.len()..].starts_with('/') && is_path(line[..at].chars().next_back()))
}

fn note_advice(note: &str) -> String {
    format!("`{note}` is a note to self; do it now, or say in an issue that it is to be done")
}

/// Header, size of the file, sizes of its functions.
fn layout(file: &TextFile, source: &Source, findings: &mut Vec<Finding>) {
    if !has_header(&file.text) {
        let message = "no `//!` header; begin by saying what the file is for";
        findings.push(Finding::new(&file.path, 1, "header", message));
    }
    let lines = file.text.lines().count();
    if lines > FILE_LINES {
        let message = format!("{lines} lines, {FILE_LINES} allowed; cut the file where its subject changes");
        let finding = Finding::new(&file.path, 0, "file-length", message);
        findings.push(Finding { length: Some((String::new(), lines)), ..finding });
    }
    for function in source.functions().into_iter().filter(|function| function.length > FUNCTION_LINES) {
        let message = format!(
            "`{}` has {} lines, {FUNCTION_LINES} allowed; branch in the parent, compute in the leaves",
            function.name, function.length
        );
        let finding = Finding::new(&file.path, function.line, "function-length", message);
        findings.push(Finding { length: Some((function.name, function.length)), ..finding });
    }
}

/// Whether the first thing after attributes and plain comments is the file's own documentation.
fn has_header(text: &str) -> bool {
    let lines = text.lines().map(str::trim);
    let mut meant = lines.filter(|line| {
        let is_plain = line.starts_with("//") && !line.starts_with("//!");
        !line.is_empty() && !line.starts_with("#![") && !is_plain
    });
    meant.next().is_some_and(|line| line.starts_with("//!") || line.starts_with("/*!"))
}

/// Words that may not stand in code, and some not in comments either.
fn vocabulary(file: &TextFile, source: &Source, findings: &mut Vec<Finding>) {
    let mut find = |line, rule, message: String| findings.push(Finding::new(&file.path, line, rule, message));
    for (number, (code, comment)) in (1..).zip(source.code.iter().zip(&source.comments)) {
        for note in NOTES {
            if words(code, note).chain(words(comment, note)).next().is_some() {
                find(number, "note-to-self", note_advice(note));
            }
        }
        if words(code, "dbg").any(|at| code[at..].starts_with("dbg!")) {
            find(number, "debug-print", "`dbg!` is for the moment of debugging; remove it".to_owned());
        }
        let dense: String = code.split_whitespace().collect();
        if ["#[allow(", "#![allow(", ",allow("].iter().any(|attribute| dense.contains(attribute)) {
            let message = "`allow` outlives its cause; write `#[expect(lint, reason = \"…\")]`".to_owned();
            find(number, "allow", message);
        }
        if let Some(name) = EMPTY_NAMES.iter().find(|name| declares_module(code, name)) {
            find(
                number,
                "empty-name",
                format!("a module `{name}` says nothing; name it after what it holds"),
            );
        }
    }
}

fn declares_module(code: &str, name: &str) -> bool {
    words(code, "mod").any(|at| {
        let declared = code[at + 3..].trim_start();
        words(declared, name).next() == Some(0)
    })
}

/// Who may use what.
fn ownership(file: &TextFile, source: &Source, findings: &mut Vec<Finding>) {
    let Some(folder) = file.shipped_crate() else { return };
    let mut find = |line, rule, message: String| findings.push(Finding::new(&file.path, line, rule, message));
    for (number, code) in (1..).zip(&source.code) {
        let floats =
            ["f32", "f64"].into_iter().find(|float| EXACT.contains(&folder) && mentions_type(code, float));
        if let Some(float) = floats {
            find(number, "float", format!("`{float}` rounds; {folder} computes in integers (domain::Money)"));
        }
    }
    for (number, code) in (1..).zip(&source.code[..source.production]) {
        for (library, owner) in OWNED.iter().filter(|(_, owner)| *owner != folder) {
            if words(code, library).next().is_some() {
                find(
                    number,
                    "owner",
                    format!("only crates/{owner} knows `{library}`; ask it through its interface"),
                );
            }
        }
        // Clippy finds the calls; this only keeps the crates honest that have no business excusing one.
        if !PORTED.contains(&folder) && words(code, "disallowed_methods").next().is_some() {
            let message = format!(
                "{folder} owns none of this; take a port (domain::Clock, domain::Ids, gateway's Tasks)"
            );
            find(number, "port", message);
        }
    }
}

/// As a type, or as the suffix of a number.
fn mentions_type(code: &str, float: &str) -> bool {
    code.match_indices(float).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + float.len()..].chars().next();
        let is_name = |c: char| c.is_alphabetic() || c == '_';
        !before.is_some_and(is_name) && !after.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}
