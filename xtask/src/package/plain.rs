//! The package in a Debian root in which nothing runs: installed, looked at, removed, purged.

use std::{
    fs,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use super::{harness::HARNESS, root::Root};
use crate::{dist::Dist, exec, libtest::Counts};

const CHECKS: &str = include_str!("plain.sh");

pub(crate) fn check(root: &Root, dist: &Dist) -> Result<Counts> {
    let dir = tempfile::TempDir::with_prefix("ipvs-sampler-root-")?;
    let place = dir.path().join("root");
    root.copy(&place)?;
    fs::copy(&dist.package, place.join("package.deb"))?;
    fs::write(place.join("checks"), format!("{HARNESS}{CHECKS}"))?;
    // Processes of its own, so that none outlives it, and mounts of its own.
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--pid", "--fork", "--kill-child"])
        .arg(format!("--mount-proc={}", place.join("proc").display()))
        .arg("chroot")
        .arg(&place)
        .args(["/bin/bash", "/checks"])
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null());
    let mut counts = Counts::default();
    let status = exec::each_line(&mut command, |line| {
        println!("[package] {line}");
        counts.line(line);
    })
    .context("unshare is of the package util-linux")?;
    if counts == Counts::default() || (!status.success() && counts.failed == 0) {
        bail!("the checks in the Debian root broke off ({status})");
    }
    Ok(counts)
}
