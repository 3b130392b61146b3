//! The house: which crate may know which, and that everything in it is in its place.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::Finding;
use super::tree::{TextFile, Tree};

/// Who may know whom, downward only: cli > server > gateway, store > pricing, directory, ledger, payments, providers
/// > dialect > domain. A new edge is a decision: add it here together with a note in `docs/adr/`.
const EDGES: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("dialect", &["domain"]),
    ("pricing", &["domain"]),
    ("directory", &["domain"]),
    ("ledger", &["domain"]),
    // Counts and moments: it does not even know who is limited.
    ("limits", &[]),
    ("providers", &["domain", "dialect"]),
    // It says that money came in; the store books it with the ledger's rules, the server calls and is called.
    ("payments", &["domain"]),
    ("gateway", &["domain", "dialect", "pricing", "directory", "ledger", "limits", "providers"]),
    ("store", &["domain", "directory", "ledger", "payments"]),
    (
        "server",
        &[
            "domain",
            "dialect",
            "pricing",
            "directory",
            "ledger",
            "limits",
            "providers",
            "payments",
            "gateway",
            "store",
        ],
    ),
    // It stands for a provider, so it may know nothing that spends.
    ("mock", &["domain", "dialect"]),
    ("cli", &["domain", "dialect", "pricing", "server", "mock"]),
];
/// Libraries with one owner: the package (and the word in code), and the crate.
pub(super) const OWNED: &[(&str, &str)] = &[("rusqlite", "store"), ("axum", "server")];
/// Crates with lints of their own: the simulator's disk stands behind a C interface, which takes unsafe code.
const OWN_LINTS: &[&str] = &["disk"];
/// The tables that name dependencies of what ships.
const SHIPPED: &[&str] = &["dependencies", "build-dependencies"];

/// What is out of place.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let workspace = parse(tree.file("Cargo.toml"), &mut findings);
    let packages = workspace.as_ref().map(workspace_packages).unwrap_or_default();
    for file in tree.files.iter().filter(|file| is_manifest(&file.path)) {
        if let Some(manifest) = parse(Some(file), &mut findings) {
            Member { file, manifest: &manifest, packages: &packages }.check(&mut findings);
        }
    }
    listed(tree, &mut findings);
    licence(tree, &mut findings);
    findings
}

/// `crates/x/Cargo.toml` and `dev/x/Cargo.toml`.
fn is_manifest(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    matches!(parts[..], ["crates" | "dev", _, "Cargo.toml"])
}

fn parse(file: Option<&TextFile>, findings: &mut Vec<Finding>) -> Option<Table> {
    let file = file?;
    let table = file.text.parse::<Table>();
    table.map_err(|error| findings.push(Finding::new(&file.path, 0, "manifest", error.to_string()))).ok()
}

/// Dependency names of the workspace that stand for another package.
fn workspace_packages(workspace: &Table) -> BTreeMap<String, String> {
    let table =
        workspace.get("workspace").and_then(|table| table.get("dependencies")).and_then(Value::as_table);
    let named = table.into_iter().flatten().filter_map(|(name, value)| {
        let package = value.get("package")?.as_str()?;
        Some((name.clone(), package.to_owned()))
    });
    named.collect()
}

/// The folder of one of our packages: `domain` of `tollkeeper-domain`.
fn folder_of(package: &str) -> Option<&str> {
    if package == "tollkeeper" { Some("cli") } else { package.strip_prefix("tollkeeper-") }
}

/// One crate's manifest.
struct Member<'a> {
    file: &'a TextFile,
    manifest: &'a Table,
    packages: &'a BTreeMap<String, String>,
}

impl Member<'_> {
    fn check(&self, findings: &mut Vec<Finding>) {
        let folder = self.file.path.split('/').nth(1).unwrap_or_default();
        let package =
            self.manifest.get("package").and_then(|table| table.get("name")).and_then(Value::as_str);
        if package.and_then(folder_of) != Some(folder) {
            self.find(
                findings,
                "name",
                "manifest",
                format!("the package of this folder is `tollkeeper-{folder}`"),
            );
        }
        let inherits = self.manifest.get("lints").and_then(|lints| lints.get("workspace"));
        if inherits.and_then(Value::as_bool) != Some(true) && !OWN_LINTS.contains(&folder) {
            let message = "the crate has lints of its own; write `[lints]` and `workspace = true`";
            self.find(findings, "[lints]", "lints", message.to_owned());
        }
        if self.file.path.starts_with("crates/") {
            self.edges(folder, findings);
        }
    }

    fn edges(&self, folder: &str, findings: &mut Vec<Finding>) {
        let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == folder) else {
            let message =
                format!("crates/{folder} has no place in the house; add it to dev/xtask/src/tidy/house.rs");
            self.find(findings, "name", "edge", message);
            return;
        };
        for (name, package) in self.dependencies() {
            if let Some(other) = folder_of(&package).filter(|other| !allowed.contains(other)) {
                let message = format!(
                    "{folder} may not know {other}, only {}; move the code, or decide the edge in docs/adr and list it",
                    if allowed.is_empty() { "itself".to_owned() } else { allowed.join(", ") }
                );
                self.find(findings, &name, "edge", message);
            }
            for (library, owner) in OWNED.iter().filter(|(library, _)| *library == package) {
                if *owner != folder {
                    let message =
                        format!("only crates/{owner} knows `{library}`; ask it through its interface");
                    self.find(findings, &name, "owner", message);
                }
            }
        }
    }

    /// What the shipped code depends on: the name used here, and the package it stands for. Tests may use anything.
    fn dependencies(&self) -> Vec<(String, String)> {
        let targets = self.manifest.get("target").and_then(Value::as_table);
        let targets = targets.into_iter().flat_map(|table| table.values()).filter_map(Value::as_table);
        let tables = std::iter::once(self.manifest).chain(targets);
        let sections =
            tables.flat_map(|table| SHIPPED.iter().filter_map(|name| table.get(*name)?.as_table()));
        let entries = sections.flat_map(|section| section.iter());
        let resolve = |(name, value): (&String, &Value)| {
            let own = value.get("package").and_then(Value::as_str);
            let package = own.or(self.packages.get(name).map(String::as_str)).unwrap_or(name);
            (name.clone(), package.to_owned())
        };
        entries.map(resolve).collect()
    }

    fn find(&self, findings: &mut Vec<Finding>, key: &str, rule: &'static str, message: String) {
        let lines = self.file.text.lines();
        let line = lines.zip(1..).find(|(line, _)| {
            line.strip_prefix(key).is_some_and(|rest| rest.starts_with(['.', ' ', '=']) || rest.is_empty())
        });
        findings.push(Finding::new(&self.file.path, line.map_or(0, |(_, number)| number), rule, message));
    }
}

/// Every price list and every configuration sample is named by code that loads it.
fn listed(tree: &Tree, findings: &mut Vec<Finding>) {
    let is_data = |path: &str| {
        let parts: Vec<&str> = path.split('/').collect();
        matches!(parts[..], ["prices" | "config", name] if name.ends_with(".toml"))
    };
    for file in tree.files.iter().filter(|file| is_data(&file.path)) {
        let mut code =
            tree.files.iter().filter(|code| code.extension() == "rs" && code.shipped_crate().is_some());
        if !code.any(|code| code.text.contains(&format!("{}\"", file.path))) {
            let message = "no crate loads this file; compile it in with `include_str!`, or remove it";
            findings.push(Finding::new(&file.path, 0, "listed", message));
        }
    }
}

fn licence(tree: &Tree, findings: &mut Vec<Finding>) {
    let is_apache =
        |file: &TextFile| file.text.contains("Apache License") && file.text.contains("Version 2.0");
    if !tree.file("LICENSE").is_some_and(is_apache) {
        let message = "the Apache License 2.0 is missing; put its full text here";
        findings.push(Finding::new("LICENSE", 0, "licence", message));
    }
}
