//! What tests did, read from the line that ends the output of every test program.

use std::ops::AddAssign;
use std::time::Duration;

/// The counts of one test program, or of all of a crate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) took: Duration,
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
    /// A program that crashed, hung or did not compile, which no count shows.
    pub(crate) broken: bool,
}

impl Tally {
    pub(crate) fn ok(&self) -> bool {
        self.failed == 0 && !self.broken
    }

    /// Takes the counts of a line like `test result: ok. 3 passed; 0 failed; 1 ignored; …`. False for other lines.
    pub(crate) fn read(&mut self, line: &str) -> bool {
        let closing = line.trim().strip_prefix("test result: ").and_then(|rest| rest.split_once(". "));
        let Some((_, counts)) = closing else { return false };
        for count in counts.split(';') {
            match count.trim().split_once(' ') {
                Some((number, "passed")) => self.passed += number.parse().unwrap_or(0),
                Some((number, "failed")) => self.failed += number.parse().unwrap_or(0),
                Some((number, "ignored")) => self.ignored += number.parse().unwrap_or(0),
                _ => {}
            }
        }
        true
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.took += other.took;
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
        self.broken |= other.broken;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Option<(u64, u64, u64)>) {
        let mut tally = Tally::default();
        let closing = tally.read(line);
        assert_eq!(closing.then_some((tally.passed, tally.failed, tally.ignored)), expected);
    }

    #[test]
    fn counts_come_from_the_closing_line() {
        check("running 7 tests", None);
        check("test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out", Some((3, 0, 0)));
        check("test result: FAILED. 4 passed; 2 failed; 1 ignored; 0 measured", Some((4, 2, 1)));
    }
}
