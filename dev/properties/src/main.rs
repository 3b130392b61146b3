//! `cargo run -p tollkeeper-properties`: writes the seeds of a fuzz target, and repeats what it found.
#![expect(clippy::print_stderr, clippy::print_stdout, reason = "a tool for people talks to a terminal")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use tollkeeper_properties::{TARGETS, Target};

const HELP: &str = "\
usage: properties seeds TARGET FOLDER     write the target's seeds, and what it once found, into the folder
       properties words TARGET FILE       write the words of its seeds as a fuzzer's dictionary
       properties check TARGET FILE...    check inputs: a panic tells what does not hold";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), String> {
    let [chore, name, paths @ ..] = arguments else { return Err(HELP.to_owned()) };
    let target = Target::named(name).ok_or_else(|| {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        format!("no target is called `{name}`; the targets are {}", names.join(", "))
    })?;
    let wrong = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    match (chore.as_str(), paths) {
        ("seeds", [folder]) => {
            let folder = Path::new(folder);
            fs::create_dir_all(folder).map_err(|error| wrong(folder, error))?;
            for (name, bytes) in inputs(target)? {
                let path = folder.join(name);
                fs::write(&path, bytes).map_err(|error| wrong(&path, error))?;
            }
            Ok(())
        }
        ("words", [file]) => {
            let file = Path::new(file);
            fs::write(file, words(&inputs(target)?)).map_err(|error| wrong(file, error))
        }
        ("check", [_, ..]) => {
            for path in paths {
                let bytes = fs::read(path).map_err(|error| wrong(Path::new(path), error))?;
                println!("{path}: {} bytes", bytes.len());
                (target.check)(&bytes);
            }
            Ok(())
        }
        _ => Err(HELP.to_owned()),
    }
}

fn inputs(target: Target) -> Result<Vec<tollkeeper_properties::Seed>, String> {
    let read = || Ok([target.seeds()?, target.regressions()?].concat());
    read().map_err(|error: std::io::Error| format!("the seeds of {} cannot be read: {error}", target.name))
}

/// The words of the inputs, as libFuzzer's dictionaries have them: a line each, in quotes.
fn words(inputs: &[tollkeeper_properties::Seed]) -> String {
    let is_word = |word: &&str| (2..=40).contains(&word.len());
    let texts = inputs.iter().map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned());
    let words: BTreeSet<String> = texts
        .flat_map(|text| {
            let split = text.split(|sign: char| !sign.is_ascii_alphanumeric() && !"_-.".contains(sign));
            split.filter(is_word).map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    words.iter().map(|word| format!("\"{word}\"\n")).collect()
}
