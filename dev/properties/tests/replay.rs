//! The short form of fuzzing, which needs no fuzzer: every seed, everything that was once found, and some changes of
//! each, always the same ones.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use tollkeeper_properties::{Dice, TARGETS, Target, mutate};

/// Changed inputs for each target: a few seconds without optimisation.
const CHANGED: usize = 600;

fn replay(name: &str) {
    let target = Target::named(name).expect("a target of this name");
    let seeds = target.seeds().expect("the golden files");
    let regressions = target.regressions().expect("what was found");
    assert!(!seeds.is_empty(), "{name} has no seeds");
    let inputs: Vec<_> = seeds.into_iter().chain(regressions).collect();
    for (input, bytes) in &inputs {
        check(&target, input, bytes);
    }
    let mut dice = Dice::new(2_026);
    for at in 0..CHANGED {
        let (input, bytes) = &inputs[at % inputs.len()];
        let other = &inputs[dice.below(inputs.len())].1;
        check(&target, &format!("{input}, change {at}"), &mutate(bytes, other, &mut dice));
    }
}

/// A panic that says which input it was: a changed one stands in no file.
fn check(target: &Target, input: &str, bytes: &[u8]) {
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.check)(bytes)));
    assert!(
        outcome.is_ok(),
        "{} does not hold for {input}: {:?}",
        target.name,
        String::from_utf8_lossy(bytes)
    );
}

#[test]
fn requests() {
    replay("requests");
}

#[test]
fn answers() {
    replay("answers");
}

#[test]
fn streams() {
    replay("streams");
}

#[test]
fn frames() {
    replay("frames");
}

#[test]
fn prices() {
    replay("prices");
}

#[test]
fn config() {
    replay("config");
}

#[test]
fn forms() {
    replay("forms");
}

#[test]
fn records() {
    replay("records");
}

/// The fuzz targets, the folders of what they found and the table of them name the same.
#[test]
fn every_target_has_its_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let names = |folder: &str, extension: &str| -> BTreeSet<String> {
        let entries = std::fs::read_dir(root.join(folder)).unwrap();
        let name = |path: std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        entries.map(|entry| name(entry.unwrap().path()).replace(extension, "")).collect()
    };
    let listed: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(names("fuzz_targets", ".rs"), listed);
    let mut found = names("regressions", "");
    assert!(found.remove("README.md") && found.is_subset(&listed), "{found:?}");
}
