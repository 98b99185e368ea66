//! The guest's root: a large base per kernel, kept in the cache, and a small part per run. The
//! kernel unpacks concatenated archives one after the other.

use std::{
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    debian::{kernel::Kernel, userland},
    exec::progress,
    guest::{
        cpio::Archive,
        plan::{self, Plan},
    },
};

/// What a run adds to the base.
pub(crate) struct Run<'a> {
    pub(crate) init: &'a Path,
    pub(crate) sampler: &'a Path,
    /// Test binaries, each with its name in the guest.
    pub(crate) tests: &'a [(String, PathBuf)],
    pub(crate) plan: &'a Plan,
}

/// Writes the initramfs for `kernel` and `run` to `out`.
pub(crate) fn write(kernel: &Kernel, run: &Run<'_>, out: &Path) -> Result<()> {
    fs::copy(base(kernel)?, out).with_context(|| format!("cannot write {}", out.display()))?;
    let file = File::options().append(true).open(out)?;
    let mut archive = Archive::new(Vec::new());
    let program =
        |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    archive.file("init", 0o755, &program(run.init)?)?;
    archive.file("bin/ipvs-sampler", 0o755, &program(run.sampler)?)?;
    for (name, path) in run.tests {
        archive.file(&format!("tests/{name}"), 0o755, &program(path)?)?;
    }
    archive.file(plan::PATH, 0o644, run.plan.text().as_bytes())?;
    gzip(file, |out| Ok(out.write_all(&archive.finish()?)?))
}

/// The kernel's modules with the guest's programs, packed at the first use.
fn base(kernel: &Kernel) -> Result<PathBuf> {
    let userland = userland::get()?;
    let name = userland.file_name().unwrap_or_default().to_string_lossy();
    let base = kernel.dir.join(format!("base-{name}.cpio.gz"));
    if base.is_file() {
        return Ok(base);
    }
    progress(format!("packing the initramfs of {}", kernel.release));
    let part = tempfile::NamedTempFile::new_in(&kernel.dir)?;
    gzip(part.reopen()?, |out| {
        let mut archive = Archive::new(BufWriter::new(out));
        for dir in [
            "artifacts",
            "dev",
            "proc",
            "root",
            "run",
            "sys",
            "tests",
            "tmp",
            "etc",
        ] {
            archive.directory(dir)?;
        }
        archive.file("etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/bash\n")?;
        archive.file("etc/group", 0o644, b"root:x:0:\n")?;
        archive.file("etc/hosts", 0o644, b"127.0.0.1 localhost\n::1 localhost\n")?;
        archive.tree(&userland, Path::new(""))?;
        archive.tree(&kernel.modules(), Path::new(""))?;
        archive.finish()?;
        Ok(())
    })?;
    part.persist(&base)?;
    Ok(base)
}

/// Compresses what `write` writes, with the `gzip` that Debian always has: quicker than a
/// library in an unoptimised build of ours.
fn gzip(out: File, write: impl FnOnce(&mut std::process::ChildStdin) -> Result<()>) -> Result<()> {
    let mut child = Command::new("gzip")
        .args(["-1", "-n"])
        .stdin(Stdio::piped())
        .stdout(out)
        .spawn()
        .context("cannot start gzip: install it")?;
    let mut stdin = child.stdin.take().context("gzip has no standard input")?;
    let written = write(&mut stdin);
    drop(stdin);
    let status = child.wait()?;
    written?;
    if !status.success() {
        bail!("gzip failed ({status})");
    }
    Ok(())
}
