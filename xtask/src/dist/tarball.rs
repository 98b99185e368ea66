//! The archive for systems without dpkg: the same files in one folder.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use super::{inputs::Inputs, tree::Tree};
use crate::arch::ARCH;

/// Files of the workspace that come along as they are.
const DOCUMENTS: [&str; 6] = [
    "README.md",
    "CHANGELOG.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
];

/// Writes `ipvs-sampler-VERSION-MACHINE-linux.tar.gz` into `dir`.
pub(crate) fn write(inputs: &Inputs, dir: &Path) -> Result<PathBuf> {
    let name = format!("ipvs-sampler-{}-{}-linux", inputs.version, ARCH.machine);
    let work = tempfile::TempDir::with_prefix("ipvs-sampler-tar-")?;
    let tree = Tree::new(&work.path().join(&name))?;
    tree.copy(&inputs.binary, "ipvs-sampler", 0o755)?;
    tree.copy(
        &inputs.workspace.join("packaging/ipvs-sampler.service"),
        "ipvs-sampler.service",
        0o644,
    )?;
    tree.copy(
        &inputs.workspace.join("packaging/config.toml"),
        "config.toml",
        0o644,
    )?;
    tree.manual(inputs, "man")?;
    for (shell, path) in [
        ("bash", "completions/ipvs-sampler.bash"),
        ("zsh", "completions/_ipvs-sampler"),
        ("fish", "completions/ipvs-sampler.fish"),
    ] {
        tree.completions(inputs, shell, path)?;
    }
    tree.samples(inputs, "examples")?;
    for document in DOCUMENTS {
        tree.copy(&inputs.workspace.join(document), document, 0o644)?;
    }
    tree.copy_all(&inputs.workspace.join("docs"), "docs")?;
    tree.write("THIRD-PARTY-LICENSES", 0o644, &inputs.notices)?;
    tree.copy(&inputs.bill, "ipvs-sampler.cdx.json", 0o644)?;
    let archive = dir.join(format!("{name}.tar.gz"));
    pack(work.path(), &name, inputs.epoch, &archive)?;
    Ok(archive)
}

/// `tar | gzip`, everything that differs between two runs pinned.
fn pack(dir: &Path, name: &str, epoch: u64, to: &Path) -> Result<()> {
    let mut tar = Command::new("tar")
        .args(["--create", "--format=gnu", "--sort=name", "--numeric-owner"])
        .args(["--owner=0", "--group=0", &format!("--mtime=@{epoch}")])
        .arg("--directory")
        .arg(dir)
        .arg(name)
        .env("LC_ALL", "C")
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start tar")?;
    let stream = tar.stdout.take().context("tar has no standard output")?;
    let gzip = Command::new("gzip")
        .args(["-9", "-n"])
        .stdin(stream)
        .stdout(File::create(to)?)
        .status()
        .context("cannot start gzip")?;
    if !tar.wait()?.success() || !gzip.success() {
        bail!("cannot pack {}", to.display());
    }
    Ok(())
}
