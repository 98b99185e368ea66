//! `cargo xtask package-test`: what `dist` made is installed, run and removed in Debian roots: once in a
//! plain one, once in a guest that systemd has booted.
//!
//! The checks themselves are shell scripts beside this file: they call what an operator would.

mod boot;
mod dashboards;
mod files;
mod plain;
mod root;

use std::sync::atomic::AtomicBool;

use anyhow::Result;

use crate::{
    dist,
    exec::progress,
    guest::Outcome,
    paths::Workspace,
    setup,
    summary::Counts,
    terminal,
    test::{Report, conclude},
};

/// Prints each check in libtest's form, which `Counts` reads.
const HARNESS: &str = include_str!("harness.sh");

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    setup: setup::Args,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    setup::ensure(&args.setup)?;
    let interrupted = terminal::interruption()?;
    conclude(&reports(&Workspace::find()?, &interrupted)?)
}

/// Makes packages and tests them.
pub(crate) fn reports(workspace: &Workspace, interrupted: &AtomicBool) -> Result<Vec<Report>> {
    let dist = dist::make(workspace)?;
    progress("testing packages");
    let files = Report {
        place: "dist".into(),
        outcome: Outcome::Ran(files::check(workspace, &dist)?),
    };
    if !rustix::process::geteuid().is_root() {
        let reason = "a Debian root is made by root only: run `cargo xtask package-test` as root";
        let package = Report {
            place: "package".into(),
            outcome: Outcome::NotAvailable(reason.into()),
        };
        return Ok(vec![files, package]);
    }
    let root = root::get()?;
    let package = Report {
        place: "package".into(),
        outcome: ran(plain::check(&root, &dist)),
    };
    let systemd = Report {
        place: "systemd".into(),
        outcome: boot::check(&root, &dist, interrupted)?,
    };
    Ok(vec![files, package, systemd])
}

fn ran(counts: Result<Counts>) -> Outcome {
    match counts {
        Ok(counts) => Outcome::Ran(counts),
        Err(error) => Outcome::Broke(Counts::default(), format!("{error:#}")),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::HARNESS;
    use crate::summary::Counts;

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
