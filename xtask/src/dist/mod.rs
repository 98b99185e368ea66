//! Everything that is handed out, in target/dist: the static binary and its debug
//! information, a Debian package, an archive for other systems, a bill of materials, checksums.
//!
//! The same sources and compiler give the same bytes: times are `SOURCE_DATE_EPOCH`, owners root,
//! orders fixed.

mod components;
mod deb;
mod epoch;
mod inputs;
mod lockfile;
mod notices;
mod sbom;
mod tarball;
mod tree;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use inputs::Inputs;

use crate::{
    build::{Built, PROGRAM},
    exec,
    exec::progress,
    paths::Workspace,
};

/// What `dist` made, for those who test it.
pub(crate) struct Dist {
    pub(crate) dir: PathBuf,
    pub(crate) package: PathBuf,
    pub(crate) archive: PathBuf,
    inputs: Inputs,
}

/// Makes everything, in place of what was there.
pub(crate) fn make(workspace: &Workspace) -> Result<Dist> {
    let built = Built::program(workspace)?;
    let dir = workspace.target.join("dist");
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot empty {}", dir.display()))?;
    }
    fs::create_dir_all(&dir)?;
    progress("packing");
    let binary = dir.join(PROGRAM);
    strip(built.find(PROGRAM)?, &binary)?;
    let components = components::find(&workspace.root)?;
    let version = components::version(&components)?.to_owned();
    let epoch = epoch::find(&workspace.root)?;
    let bill = dir.join(format!("ipvs-sampler-{version}.cdx.json"));
    fs::write(&bill, sbom::write(&components, epoch)?)?;
    let inputs = Inputs {
        workspace: workspace.root.clone(),
        binary,
        bill,
        notices: notices::write(&components)?,
        version,
        epoch,
    };
    let package = deb::write(&inputs, &dir)?;
    let archive = tarball::write(&inputs, &dir)?;
    checksums(&dir)?;
    Ok(Dist {
        dir,
        package,
        archive,
        inputs,
    })
}

impl Dist {
    /// The bill of materials.
    pub(crate) fn bill(&self) -> &Path {
        &self.inputs.bill
    }

    /// Makes package and archive once more into `dir`, to be compared.
    pub(crate) fn repeat(&self, dir: &Path) -> Result<[PathBuf; 2]> {
        Ok([
            deb::write(&self.inputs, dir)?,
            tarball::write(&self.inputs, dir)?,
        ])
    }
}

/// Symbols are half of the binary and of use only in a debugger, so they lie beside it; the binary
/// names the file in which gdb finds them.
fn strip(from: &Path, to: &Path) -> Result<()> {
    let debug = to.with_extension("debug");
    let objcopy = |args: &[&str], files: [&Path; 2]| {
        exec::capture(Command::new("objcopy").args(args).args(files)).map(drop)
    };
    objcopy(&["--only-keep-debug"], [from, &debug])?;
    let link = format!("--add-gnu-debuglink={}", debug.display());
    let strip = ["--strip-all", "--remove-section=.comment", &link];
    objcopy(&strip, [from, to])
}

/// SHA256SUMS, as `sha256sum --check` reads it.
fn checksums(dir: &Path) -> Result<()> {
    let mut names: Vec<_> = fs::read_dir(dir)?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<Result<_>>()?;
    names.sort();
    let text = exec::capture(
        Command::new("sha256sum")
            .arg("--")
            .args(&names)
            .current_dir(dir),
    )?;
    fs::write(dir.join("SHA256SUMS"), text)?;
    Ok(())
}
