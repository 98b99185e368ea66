//! The package in a guest that systemd has booted from a Debian root.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
    sync::atomic::AtomicBool,
};

use anyhow::{Context as _, Result};

use super::{harness::HARNESS, root::Root};
use crate::{
    debian::kernel::{Kernel, Series},
    dist::Dist,
    exec::progress,
    guest::{
        cpio::Archive,
        qemu::{Accel, Boot, Vm},
        run,
    },
    report::Report,
};

const CHECKS: &str = include_str!("boot.sh");
const NAME: &str = "systemd";

/// The guest boots into this, and from there nowhere else: no login, no timers of Debian's.
const TARGET: &str = "\
[Unit]
Requires=basic.target
After=basic.target
Wants=package-test.service
";
const SERVICE: &str = "\
[Unit]
After=basic.target

[Service]
Type=oneshot
ExecStart=/bin/bash /checks
StandardOutput=file:/dev/ttyS0
StandardError=inherit
";

pub(crate) fn check(root: &Root, dist: &Dist, interrupted: &AtomicBool) -> Result<Report> {
    let kernel = match Kernel::get(Series::V6_12) {
        Ok(kernel) => kernel,
        Err(error) => return Ok(Report::broken(NAME, &error)),
    };
    let dir = tempfile::TempDir::with_prefix("ipvs-sampler-systemd-")?;
    let initrd = dir.path().join("initrd");
    write(root, &kernel, dist, &initrd)?;
    let accel = Accel::choose(&kernel)?;
    progress(format!("booting systemd on {} ({accel:?})", kernel.release));
    let vm = Vm::boot(&Boot {
        image: &kernel.image(),
        initrd: Some(&initrd),
        disk: None,
        accel,
    })?;
    let ended = run::follow(NAME, &vm, interrupted, &mut |_| ())?;
    drop(vm);
    Ok(ended.report(NAME, false))
}

/// The root, the kernel's modules, the package and its checks, one archive after the other.
fn write(root: &Root, kernel: &Kernel, dist: &Dist, out: &Path) -> Result<()> {
    let mut file = File::create(out)?;
    let base = root.archive();
    let mut from = File::open(&base).with_context(|| format!("cannot read {}", base.display()))?;
    io::copy(&mut from, &mut file)?;
    let mut archive = Archive::new(Vec::new());
    // Debian 12 has /lib as a link to /usr/lib, which an entry `lib` would replace.
    archive.tree(&kernel.modules(), Path::new("usr"))?;
    archive.symlink("init", "usr/lib/systemd/systemd")?;
    // With an identity it is not a first boot, at which systemd would ask questions.
    archive.file(
        "etc/machine-id",
        0o444,
        b"0123456789abcdef0123456789abcdef\n",
    )?;
    archive.file(
        "etc/systemd/system/default.target",
        0o644,
        TARGET.as_bytes(),
    )?;
    archive.file(
        "etc/systemd/system/package-test.service",
        0o644,
        SERVICE.as_bytes(),
    )?;
    archive.file("package.deb", 0o644, &fs::read(&dist.package)?)?;
    archive.file("checks", 0o644, format!("{HARNESS}{CHECKS}").as_bytes())?;
    file.write_all(&archive.finish()?)?;
    Ok(())
}
