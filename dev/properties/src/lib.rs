//! What must hold of every parser and converter, whatever bytes it gets: functions from bytes to nothing or a panic.
//!
//! The fuzz targets in `fuzz/` call them with bytes that a fuzzer makes up, and the tests of this crate with seeds, with
//! what was once found, and with small changes of both ([docs/fuzzing.md]). Nothing here ships.
//!
//! [docs/fuzzing.md]: https://github.com/tollkeeper/tollkeeper/blob/main/docs/fuzzing.md

mod answers;
mod config;
mod decimal;
mod forms;
mod frame;
mod input;
mod mutate;
mod prices;
mod records;
mod requests;
mod seeds;
mod streams;
mod usage;

use std::io;
use std::path::PathBuf;

pub use answers::answers;
pub use config::config;
pub use forms::forms;
pub use input::Dice;
pub use mutate::mutate;
pub use prices::prices;
pub use records::records;
pub use requests::requests;
pub use seeds::Seed;
pub use streams::{frames, streams};

/// A family of parsers with one property function.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of the fuzz target, and of its folders.
    pub name: &'static str,
    /// Panics where the property does not hold.
    pub check: fn(&[u8]),
    /// Where fuzzing begins.
    seeds: fn() -> io::Result<Vec<Seed>>,
}

/// Every target. Each has a file of its name in `fuzz/fuzz_targets/`, which a test makes sure of.
pub const TARGETS: [Target; 8] = [
    Target { name: "requests", check: requests, seeds: seeds::requests },
    Target { name: "forms", check: forms, seeds: seeds::forms },
    Target { name: "answers", check: answers, seeds: seeds::answers },
    Target { name: "streams", check: streams, seeds: seeds::streams },
    Target { name: "frames", check: frames, seeds: seeds::frames },
    Target { name: "prices", check: prices, seeds: seeds::prices },
    Target { name: "config", check: config, seeds: seeds::config },
    Target { name: "records", check: records, seeds: seeds::records },
];

impl Target {
    /// The target of this name.
    pub fn named(name: &str) -> Option<Self> {
        TARGETS.into_iter().find(|target| target.name == name)
    }

    /// The inputs that are made of golden files and samples.
    ///
    /// # Errors
    /// When one of those files cannot be read.
    pub fn seeds(&self) -> io::Result<Vec<Seed>> {
        (self.seeds)()
    }

    /// Where the inputs lie that once broke the property.
    pub fn regressions_folder(&self) -> PathBuf {
        seeds::root().join("fuzz/regressions").join(self.name)
    }

    /// The inputs that once broke the property.
    ///
    /// # Errors
    /// When one of their files cannot be read.
    pub fn regressions(&self) -> io::Result<Vec<Seed>> {
        let folder = self.regressions_folder();
        if !folder.exists() {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            found.push((name, std::fs::read(&path)?));
        }
        found.sort();
        Ok(found)
    }
}
