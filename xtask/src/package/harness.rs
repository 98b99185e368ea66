//! How a script of checks says how each of them went.

/// Comes before a script: prints each check in libtest's form, which `Counts` reads.
pub(super) const HARNESS: &str = include_str!("harness.sh");

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::HARNESS;
    use crate::libtest::Counts;

    #[test]
    fn a_check_fails_with_its_first_failing_command() {
        let script = format!(
            "{HARNESS}\nright() {{ true; }}\nwrong() {{ echo seen; false; true; }}\n\
             check right\ncheck wrong\nconclude\n"
        );
        let output = Command::new("bash").arg("-c").arg(script).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut counts = Counts::default();
        text.lines().for_each(|line| counts.line(line));
        assert_eq!((counts.passed, counts.failed), (1, 1), "{text}");
        assert!(text.contains("test wrong ... FAILED\n  seen\n"), "{text}");
        assert_eq!(output.status.code(), Some(1));
    }
}
