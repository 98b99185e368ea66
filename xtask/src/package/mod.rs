//! `cargo xtask package-test`: what `dist` made is installed, run and removed in Debian roots: once in a
//! plain one, once in a guest that systemd has booted.
//!
//! The checks themselves are shell scripts beside this file: they call what an operator would.

mod additions;
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
    guest::{Outcome, Report},
    paths::Workspace,
    setup,
    summary::Counts,
    terminal,
    test::conclude,
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

/// Makes packages and tests them. What cannot be made is a report, too: others have theirs already.
pub(crate) fn reports(workspace: &Workspace, interrupted: &AtomicBool) -> Result<Vec<Report>> {
    let dist = match dist::make(workspace) {
        Ok(dist) => dist,
        Err(error) => return Ok(vec![report("dist", broke(&error))]),
    };
    progress("testing packages");
    let files = report("dist", Outcome::Ran(files::check(workspace, &dist)));
    if !rustix::process::geteuid().is_root() {
        let reason = "a Debian root is made by root only: run `cargo xtask package-test` as root";
        let skipped = report("package", Outcome::NotAvailable(reason.into()));
        return Ok(vec![files, skipped]);
    }
    let root = match root::get() {
        Ok(root) => root,
        Err(error) => return Ok(vec![files, report("package", broke(&error))]),
    };
    let plain = match plain::check(&root, &dist) {
        Ok(counts) => Outcome::Ran(counts),
        Err(error) => broke(&error),
    };
    let setup = Outcome::Ran(additions::check(&root));
    let booted = boot::check(&root, &dist, interrupted)?;
    Ok(vec![
        files,
        report("package", plain),
        report("setup", setup),
        booted,
    ])
}

fn report(place: &str, outcome: Outcome) -> Report {
    Report {
        place: place.into(),
        outcome,
        failed: Vec::new(),
    }
}

fn broke(error: &anyhow::Error) -> Outcome {
    Outcome::Broke(Counts::default(), format!("{error:#}"))
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
