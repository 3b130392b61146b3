//! The scanner on small inputs, and the rules on the repository itself.

use super::rust::{Source, words};
use super::tree::{TextFile, Tree};
use super::{exceptions::Exceptions, inspect, rules};

const MANIFEST: &str = "[package]\nname = \"tollkeeper-NAME\"\n[lints]\nworkspace = true\n";

/// The findings of a tree of these files, as `path:line [rule]`.
fn found(files: &[(&str, &str)]) -> Vec<String> {
    let mut files: Vec<TextFile> = files
        .iter()
        .map(|(path, text)| TextFile { path: (*path).to_owned(), text: (*text).to_owned() })
        .collect();
    if !files.iter().any(|file| file.path == "LICENSE") {
        let text = "Apache License\nVersion 2.0\n".to_owned();
        files.push(TextFile { path: "LICENSE".to_owned(), text });
    }
    let findings = inspect(&Tree { files });
    findings.iter().map(|finding| format!("{}:{} [{}]", finding.file, finding.line, finding.rule)).collect()
}

/// What one source file of a crate earns, without its path.
fn earned(path: &str, text: &str) -> Vec<String> {
    found(&[(path, text)]).into_iter().map(|line| line.trim_start_matches(path).to_owned()).collect()
}

#[test]
fn the_repository_is_tidy() {
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let tree = Tree::read(&std::path::Path::new(&root).join("../..")).unwrap();
    assert!(tree.files.iter().any(|file| file.path == "crates/domain/src/lib.rs"), "the tree was not found");
    let findings: Vec<String> = inspect(&tree).iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

#[test]
fn rules_of_single_files() {
    let here = "crates/store/src/a.rs";
    let ledger = "crates/ledger/src/a.rs";
    let table: &[(&str, &str, &[&str])] = &[
        (here, "//! A.\nfn f() {}\n", &[]),
        (here, "// c\n#![expect(x)]\n//! A.\n", &[]),
        (here, "use a;\n//! A.\n", &[":1 [header]"]),
        (here, "/// A.\nfn f() {}\n", &[":1 [header]"]),
        (here, "//! A. \nfn f() {}", &[":1 [whitespace]", ":2 [whitespace]"]),
        (here, "//! A.\n// TODO: later\n", &[":2 [note-to-self]"]),
        (here, "//! A.\nconst A: &str = \"TODO\";\nlet TODOS = 1;\n", &[]),
        ("dev/a/b.toml", "a = 1 # FIXME\n", &[":1 [note-to-self]"]),
        ("STYLE.md", "No TODO.\n", &[]),
        (here, "//! A.\nfn f() { dbg!(1); }\n", &[":2 [debug-print]"]),
        (here, "//! A.\n#[allow(dead_code)]\nfn f() {}\n", &[":2 [allow]"]),
        (here, "//! A.\n#[cfg_attr(test, allow(dead_code))]\nfn f() {}\n", &[":2 [allow]"]),
        (here, "//! A.\n#[expect(dead_code, reason = \"#[allow(x)]\")]\nfn f() {}\n", &[]),
        (here, "//! A.\npub mod utils;\nmod common_case;\n", &[":2 [empty-name]"]),
        ("crates/store/tests/a.rs", "//! A.\nmod common;\n", &[":2 [empty-name]"]),
        (ledger, "//! A.\nfn f(x: f64) {}\n", &[":2 [float]"]),
        (
            ledger,
            "//! A.\nconst A: u8 = 1f32 as u8;\nconst B: &str = \"f64\"; // f64\nfn to_f64() {}\n",
            &[":2 [float]"],
        ),
        (here, "//! A.\nfn f(x: f64) {}\n", &[]),
        (here, "//! A.\nuse rusqlite::Connection;\nuse axum::Router;\n", &[":3 [owner]"]),
        (ledger, "//! A.\n/// As rusqlite does.\nuse rusqlite::Connection;\n", &[":3 [owner]"]),
        (ledger, "//! A.\n#[cfg(test)]\nmod tests {\n    use rusqlite::Connection;\n}\n", &[]),
        (ledger, "//! A.\n#[expect(clippy::disallowed_methods)]\n", &[":2 [port]"]),
        ("crates/server/src/a.rs", "//! A.\n#[expect(clippy::disallowed_methods)]\n", &[]),
        ("crates/ledger/src/tests.rs", "//! A.\n#[expect(clippy::disallowed_methods)]\n", &[]),
        (here, concat!("//! A.\n// See ", "/home", "/me/a.\n"), &[":2 [machine-path]"]),
        (here, "//! A.\n// See https://example.com/home/a and ./work/b.\n", &[]),
    ];
    for (path, text, expected) in table {
        assert_eq!(earned(path, text), *expected, "{text}");
    }
}

#[test]
fn lengths_are_counted_where_code_ships() {
    let body = |lines: usize| "    a();\n".repeat(lines);
    let function = |lines: usize| format!("fn long(\n    a: u8,\n) {{\n{}}}\n", body(lines - 4));
    let here = "crates/store/src/a.rs";
    let fits = format!("//! A.\n{}", function(70));
    assert_eq!(earned(here, &fits), [""; 0]);
    let long = format!("//! A.\n\n{}", function(71));
    assert_eq!(earned(here, &long), [":3 [function-length]"]);
    let in_tests = format!("//! A.\n#[cfg(test)]\nmod tests {{\n{}}}\n", function(90));
    assert_eq!(earned(here, &in_tests), [""; 0]);
    let elsewhere = format!("//! A.\n#[cfg(test)]\nmod tests;\n{}", function(90));
    assert_eq!(earned(here, &elsewhere), [":4 [function-length]"]);
    let file = format!("//! A.\n{}", "const A: u8 = 1;\n".repeat(800));
    assert_eq!(earned(here, &file), [":0 [file-length]"]);
}

#[test]
fn functions_are_told_from_what_looks_like_one() {
    let text = "//! A.\nfn one() {}\ntrait T { fn two(&self); }\nlet a = \"fn three() {\"; // fn four() {\n\
                fn five(a: fn(u8) -> u8, b: [u8; { 2 }]) -> char {\n    '{'\n}\nlet r = r#\"} fn six() {\"#;\n\
                fn seven<'a>(x: &'a str) where 'a: 'static {\n    '\\''; b'\"'; /* { /* } */ */\n}\n";
    let functions = Source::parse(text, false).functions();
    let functions: Vec<(&str, usize, usize)> =
        functions.iter().map(|function| (&*function.name, function.line, function.length)).collect();
    assert_eq!(functions, [("one", 2, 1), ("five", 5, 3), ("seven", 9, 3)]);
    assert_eq!(words("fn fns xfn fn", "fn").collect::<Vec<_>>(), [0, 11]);
}

#[test]
fn manifests_keep_the_house() {
    let workspace = "[workspace.dependencies]\nledger = { package = \"tollkeeper-ledger\", path = \"x\" }\n\
                     gateway = { package = \"tollkeeper-gateway\", path = \"x\" }\n";
    let manifest = |name: &str, rest: &str| format!("{}{rest}", MANIFEST.replace("NAME", name));
    let table: &[(&str, String, &[&str])] = &[
        ("gateway", manifest("gateway", "[dependencies]\nledger.workspace = true\n"), &[]),
        ("ledger", manifest("ledger", "[dependencies]\ngateway.workspace = true\n"), &[":6 [edge]"]),
        ("ledger", manifest("ledger", "[dev-dependencies]\ngateway.workspace = true\n"), &[]),
        (
            "ledger",
            manifest("ledger", "[target.'cfg(unix)'.dependencies]\ngateway = { workspace = true }\n"),
            &[":6 [edge]"],
        ),
        (
            "ledger",
            manifest("ledger", "[build-dependencies]\ng = { package = \"tollkeeper-gateway\" }\n"),
            &[":6 [edge]"],
        ),
        ("ledger", manifest("ledger", "[dependencies]\nrusqlite.workspace = true\n"), &[":6 [owner]"]),
        ("store", manifest("store", "[dependencies]\nrusqlite = \"1\"\n"), &[]),
        ("attic", manifest("attic", ""), &[":2 [edge]"]),
        ("ledger", manifest("books", ""), &[":2 [manifest]"]),
        ("ledger", "[package]\nname = \"tollkeeper-ledger\"\n".to_owned(), &[":0 [lints]"]),
        ("ledger", "[package\n".to_owned(), &[":0 [manifest]"]),
    ];
    for (folder, text, expected) in table {
        let path = format!("crates/{folder}/Cargo.toml");
        let got = found(&[(&path, text), ("Cargo.toml", workspace)]);
        let expected: Vec<String> = expected.iter().map(|finding| format!("{path}{finding}")).collect();
        assert_eq!(got, expected, "{text}");
    }
}

#[test]
fn data_is_loaded_and_the_licence_is_there() {
    let code =
        ("crates/pricing/src/a.rs", "//! A.\nconst A: &str = include_str!(\"../../../prices/a.toml\");\n");
    let list = ("prices/a.toml", "a = 1\n");
    assert_eq!(found(&[code, list]), [""; 0]);
    assert_eq!(found(&[code, list, ("config/b.toml", "b = 1\n")]), ["config/b.toml:0 [listed]"]);
    assert_eq!(found(&[("LICENSE", "Mine.\n")]), ["LICENSE:0 [licence]"]);
}

#[test]
fn exceptions_are_a_ratchet() {
    let long = format!("//! A.\nfn long() {{\n{}}}\n", "    a();\n".repeat(78));
    let here = "crates/store/src/a.rs";
    let list = "dev/xtask/tidy_exceptions.toml";
    let entry = |limit: usize, reason: &str| {
        format!(
            "[[exception]]\nrule = \"function-length\"\nfile = \"{here}\"\nname = \"long\"\nlimit = {limit}\n\
             reason = \"{reason}\"\n"
        )
    };
    let unused = "[[exception]]\nrule = \"allow\"\nfile = \"a.rs\"\nreason = \"because\"\n";
    let wrong = format!("{list}:0 [exceptions]");
    let too_long = format!("{here}:2 [function-length]");
    let table: &[(String, &[&str])] = &[
        (entry(80, "one match"), &[]),
        (entry(90, "one match"), &[&wrong]),
        (entry(79, "one match"), &[&too_long, &wrong]),
        (entry(80, " "), &[&wrong]),
        (unused.to_owned(), &[&too_long, &wrong]),
        ("[[exception]]\nrule = \"allow\"\n".to_owned(), &[&too_long, &wrong]),
    ];
    for (text, expected) in table {
        assert_eq!(found(&[(here, &long), (list, text)]), *expected, "{text}");
    }
    assert!(Exceptions::read(&Tree::default()).is_ok(), "no file is no exception");
    assert_eq!(rules::check(&Tree::default()), []);
}
