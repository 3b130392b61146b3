//! How many tests passed and failed, read from what the test runners print.

use std::fmt;

/// Tests that passed and that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Tally {
    /// Adds what another step counted.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// Counts a line of `cargo test`, if it is a summary: `test result: ok. 3 passed; 0 failed; …`.
    pub(crate) fn read_cargo(&mut self, line: &str) {
        if let Some(summary) = line.strip_prefix("test result: ") {
            self.read(summary);
        }
    }

    /// Counts a line of pytest, if it is a summary: `3 passed, 1 failed, 1 error in 2.10s`.
    pub(crate) fn read_pytest(&mut self, line: &str) {
        let summary = line.trim_matches(|c: char| c == '=' || c.is_whitespace());
        if summary.starts_with(|c: char| c.is_ascii_digit()) && summary.contains(" in ") {
            self.read(summary);
        }
    }

    /// Adds every number that stands before a verdict.
    fn read(&mut self, summary: &str) {
        let words: Vec<&str> = summary.split_whitespace().collect();
        for pair in words.windows(2) {
            let [number, word] = pair else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match word.trim_end_matches([',', ';']) {
                "passed" => self.passed += number,
                "failed" | "error" | "errors" => self.failed += number,
                _ => {}
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runners_are_understood() {
        let cargo = |line| {
            let mut tally = Tally::default();
            tally.read_cargo(line);
            (tally.passed, tally.failed)
        };
        let pytest = |line| {
            let mut tally = Tally::default();
            tally.read_pytest(line);
            (tally.passed, tally.failed)
        };
        let table = [
            (
                cargo(
                    "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.10s",
                ),
                (12, 0),
            ),
            (cargo("test result: FAILED. 2 passed; 3 failed; 0 ignored; finished in 1.00s"), (2, 3)),
            (cargo("test reads ... ok"), (0, 0)),
            (cargo("5 passed in 1.2s"), (0, 0)),
            (pytest("5 passed in 1.20s"), (5, 0)),
            (pytest("1 failed, 5 passed, 2 skipped, 1 error in 61.20s (0:01:01)"), (5, 2)),
            (pytest("==== 4 passed, 1 warning in 0.10s ===="), (4, 0)),
            (pytest("FAILED tests/e2e/test_chat.py::test_stream - assert 3 failed"), (0, 0)),
            (pytest("........ [100%]"), (0, 0)),
        ];
        for (number, (got, expected)) in table.into_iter().enumerate() {
            assert_eq!(got, expected, "row {number}");
        }
        assert_eq!(Tally { passed: 3, failed: 1 }.to_string(), "3 passed, 1 failed");
    }
}
