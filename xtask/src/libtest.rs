//! Follows what libtest prints while tests run: how many there are, how many have ended, which failed.

use std::fmt;

use crate::summary::Counts;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_test_prints_may_come_before_its_outcome() {
        let mut tests = Tests::default();
        for line in [
            "running 4 tests",
            "test a::b ... ok",
            "test noisy ... seed 7",
            "a word",
            "ok",
            "ok",
            "test wrong ... ",
            "thread 'wrong' panicked at x.rs:1:2:",
            "FAILED",
            "test cut ...",
        ] {
            tests.line(line);
        }
        assert_eq!(tests.to_string(), "3 of 4");
        assert_eq!(tests.failed(), ["wrong"]);
        // Broken off: what ended counts all the same.
        assert_eq!(tests.counts().to_string(), "2 passed, 1 failed, 0 skipped");
    }

    #[test]
    fn without_a_total_only_what_ended_is_said() {
        let mut tests = Tests::default();
        tests.line("test a ... ok");
        assert_eq!(tests.to_string(), "1");
    }

    #[test]
    fn the_closing_line_has_the_last_word() {
        let mut tests = Tests::default();
        for line in [
            "running 2 tests",
            "test a ... [ 12.3] a message of the kernel",
            "test b ... ok",
            "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s",
        ] {
            tests.line(line);
        }
        assert_eq!(tests.counts().passed, 2);
    }
}
