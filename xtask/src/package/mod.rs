//! Tests of the packages: what `dist` made is installed, run and removed in Debian roots: once in a
//! plain one, once in a guest that systemd has booted.
//!
//! The checks themselves are shell scripts beside this file: they call what an operator would.

mod additions;
mod boot;
mod dashboards;
mod files;
mod harness;
mod plain;
mod root;

use std::sync::atomic::AtomicBool;

use anyhow::Result;

use crate::{
    dist,
    exec::progress,
    paths::Workspace,
    report::{Outcome, Report},
};

/// Makes packages and tests them. What cannot be made is a report, too: others have theirs already.
pub(crate) fn reports(workspace: &Workspace, interrupted: &AtomicBool) -> Result<Vec<Report>> {
    let dist = match dist::make(workspace) {
        Ok(dist) => dist,
        Err(error) => return Ok(vec![Report::broken("dist", &error)]),
    };
    progress("testing packages");
    let files = Report::of("dist", Outcome::Ran(files::check(workspace, &dist)));
    if !rustix::process::geteuid().is_root() {
        let reason = "a Debian root is made by root only: run `cargo xtask package-test` as root";
        let skipped = Report::of("package", Outcome::NotAvailable(reason.into()));
        return Ok(vec![files, skipped]);
    }
    let root = match root::get() {
        Ok(root) => root,
        Err(error) => return Ok(vec![files, Report::broken("package", &error)]),
    };
    let plain = match plain::check(&root, &dist) {
        Ok(counts) => Report::of("package", Outcome::Ran(counts)),
        Err(error) => Report::broken("package", &error),
    };
    let setup = Report::of("setup", Outcome::Ran(additions::check(&root)));
    let booted = boot::check(&root, &dist, interrupted)?;
    Ok(vec![files, plain, setup, booted])
}
