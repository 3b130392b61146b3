//! Tests of the command line, by subject: what can be typed, what is shown, how it fails. `tests/commands` runs the
//! binary itself.

mod administering;
mod failing;
mod limits;
mod parsing;
mod showing;
