//! `init`: a configuration to start from.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};

use serde::Serialize;

use crate::args::InitArgs;
use crate::failure::{Exit, Failure};
use crate::output::{Output, View};
use crate::table::fields;

#[derive(Debug, Serialize)]
struct Written {
    object: &'static str,
    file: String,
}

impl View for Written {
    fn human(&self) -> String {
        fields(&[("written", self.file.clone())])
    }

    fn note(&self) -> Option<String> {
        Some(format!("next: edit it, then tollkeeper serve --data DIR --config {}", self.file))
    }
}

/// Writes the commented configuration into a file that does not exist yet.
pub(crate) fn run(args: &InitArgs, output: &mut Output) -> Result<(), Failure> {
    let file = args.file.display().to_string();
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&args.file)
        .and_then(|mut opened| opened.write_all(server::config::DEFAULT.as_bytes()));
    match written {
        Ok(()) => output.own(&Written { object: "config", file }),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(Failure::new(Exit::Failure, format!("{file} exists already and was left as it is"))
                .next("name another file: tollkeeper init FILE"))
        }
        Err(error) => Err(Failure::new(Exit::Failure, format!("cannot write {file}: {error}"))
            .next("name a file in a folder that exists and can be written")),
    }
}
