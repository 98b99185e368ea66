//! Reads what libtest prints: how many tests there are, how many have ended, which failed, and the closing counts.

use std::{fmt, ops::AddAssign};

/// The tests of one place, as far as they have come.
#[derive(Debug, Default)]
pub(crate) struct Tests {
    total: u32,
    ended: Counts,
    /// What the closing lines say.
    closed: Counts,
    /// One that has begun. What it prints may come before its outcome.
    running: Option<String>,
    failed: Vec<String>,
}

impl Tests {
    /// Takes the next line.
    pub(crate) fn line(&mut self, line: &str) {
        self.closed.line(line);
        let announced = line
            .strip_prefix("running ")
            .and_then(|rest| rest.split_once(" test"))
            .and_then(|(count, _)| count.parse::<u32>().ok());
        if let Some(count) = announced {
            self.total += count;
        } else if let Some((name, rest)) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.split_once(" ..."))
        {
            self.running = Some(name.to_owned());
            self.outcome(rest);
        } else {
            self.outcome(line);
        }
    }

    fn outcome(&mut self, text: &str) {
        let ended = match text.trim() {
            "ok" => &mut self.ended.passed,
            "FAILED" => &mut self.ended.failed,
            word if word.starts_with("ignored") => &mut self.ended.skipped,
            _ => return,
        };
        let Some(name) = self.running.take() else {
            return;
        };
        *ended += 1;
        if text.trim() == "FAILED" {
            self.failed.push(name);
        }
    }

    /// What has ended; the closing lines' word, once they have come.
    pub(crate) fn counts(&self) -> Counts {
        if self.closed == Counts::default() {
            self.ended
        } else {
            self.closed
        }
    }

    /// The names of those that failed.
    pub(crate) fn failed(&self) -> &[String] {
        &self.failed
    }
}

/// How far it is: `7 of 113`.
impl fmt::Display for Tests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts {
            passed,
            failed,
            skipped,
        } = self.ended;
        let ended = passed + failed + skipped;
        match self.total {
            // The shell scripts do not say how many there will be.
            0 => write!(f, "{ended}"),
            total => write!(f, "{ended} of {total}"),
        }
    }
}

/// Tests by their outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
    pub(crate) skipped: u32,
}

impl Counts {
    /// Takes a line of a test binary's output; only its closing line counts.
    pub(crate) fn line(&mut self, line: &str) {
        // "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished
        // in 0.01s": what is filtered out was not asked for, so it is not skipped either.
        let Some((_, result)) = line.split_once("test result: ") else {
            return;
        };
        let Some((_, counts)) = result.split_once(". ") else {
            return;
        };
        for part in counts.split(';') {
            let mut words = part.split_whitespace();
            let (Some(Ok(count)), Some(what)) = (words.next().map(str::parse::<u32>), words.next())
            else {
                continue;
            };
            match what {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.skipped += count,
                _ => {}
            }
        }
    }

    /// A run that broke off names no failed test, yet it did fail.
    pub(crate) fn at_least_one_failed(mut self) -> Self {
        self.failed = self.failed.max(1);
        self
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is known after these lines.
    fn after(text: &str) -> Tests {
        let mut tests = Tests::default();
        text.lines().for_each(|line| tests.line(line));
        tests
    }

    #[test]
    fn what_a_test_prints_may_come_before_its_outcome() {
        let tests = after(
            "running 4 tests\n\
             test a::b ... ok\n\
             test noisy ... seed 7\n\
             a word\n\
             ok\n\
             ok\n\
             test wrong ... \n\
             thread 'wrong' panicked at x.rs:1:2:\n\
             FAILED\n\
             test cut ...",
        );
        assert_eq!(tests.to_string(), "3 of 4");
        assert_eq!(tests.failed(), ["wrong"]);
        // Broken off: what ended counts all the same.
        assert_eq!(tests.counts().to_string(), "2 passed, 1 failed, 0 skipped");
    }

    #[test]
    fn without_a_total_only_what_ended_is_said() {
        assert_eq!(after("test a ... ok").to_string(), "1");
    }

    #[test]
    fn the_closing_line_has_the_last_word() {
        let tests = after(
            "running 2 tests\n\
             test a ... [ 12.3] a message of the kernel\n\
             test b ... ok\n\
             test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s",
        );
        assert_eq!(tests.counts().passed, 2);
    }

    #[test]
    fn closing_lines_add_up() {
        let tests = after(
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
             test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
        );
        assert_eq!(tests.counts().to_string(), "5 passed, 1 failed, 1 skipped");
    }

    #[test]
    fn a_run_that_broke_off_counts_as_failed() {
        let mut counts = after("test result: ok. 2 passed; 0 failed").counts();
        counts += Counts::default().at_least_one_failed();
        assert_eq!(counts.to_string(), "2 passed, 1 failed, 0 skipped");
    }
}
