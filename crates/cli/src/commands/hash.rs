//! `keys hash`: the line by which a list of published keys knows a key.

use std::io::Read;

use server::published_line;

use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Reads a key from standard input, where no list of processes and no history of a shell shows it, and prints its line
/// as it stands in the list, also where others would print JSON: `>> FILE` puts it there.
pub(crate) fn run(output: &mut Output) -> Result<(), Failure> {
    let mut text = String::new();
    let failed = |what: String| Failure::new(Exit::Failure, what).next("give one key on standard input");
    let read = std::io::stdin().read_to_string(&mut text);
    read.map_err(|error| failed(format!("standard input: {error}")))?;
    let key = text.trim();
    if key.is_empty() || key.contains(char::is_whitespace) {
        return Err(failed("standard input holds no key: a key is one word".to_owned()));
    }
    output.data(&published_line(key))
}
