//! A small Debian 12 with systemd, made once by debootstrap and kept in the cache; and the same as the
//! first root of a guest.

use std::{
    fs::{self, File},
    io::BufWriter,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{
    arch::ARCH,
    debian::{
        apt::Apt,
        sources::{self, DEBIAN_KEYRING},
    },
    exec,
    guest::cpio::Archive,
    paths,
};

/// What is in it beyond what every Debian has.
const PACKAGES: &str = "systemd,kmod,ipvsadm,iproute2,man-db,bsdextrautils,zsh,fish";

/// What the guest has no use for.
const PRUNED: [&str; 6] = [
    "usr/share/doc",
    "usr/share/locale",
    "usr/share/man",
    "usr/share/fish",
    "usr/share/zsh",
    "usr/share/zoneinfo",
];

/// And what of the libraries.
const PRUNED_LIBRARIES: [&str; 3] = ["gconv", "zsh", "perl-base"];

/// Raised when the lists above or the steps below change.
const LAYOUT: &str = "1";

/// The root, not to be changed.
pub(crate) struct Root(PathBuf);

impl Root {
    /// Copies it, for a test to do with as it likes.
    pub(crate) fn copy(&self, to: &Path) -> Result<()> {
        copy(&self.0.join("root"), to)
    }

    /// It as a cpio archive.
    pub(crate) fn archive(&self) -> PathBuf {
        self.0.join("guest.cpio")
    }
}

/// Takes it from the cache, or makes it.
pub(crate) fn get() -> Result<Root> {
    paths::cached(
        &format!("package-root-{LAYOUT}"),
        "a Debian root to install packages in (about 100 MB)",
        make,
    )
    .map(Root)
}

fn make(work: &Path, dir: &Path) -> Result<()> {
    let apt = Apt::debian_12(work)?;
    let tool = work.join("debootstrap");
    apt.unpack(&["debootstrap".to_owned()], &tool)?;
    let mirror = sources::mirrors(&sources::read(Path::new("/etc/apt"))).main;
    let mirror = mirror.context("/etc/apt names no Debian archive")?;
    let keyring = mirror.signed_by.as_deref().unwrap_or(DEBIAN_KEYRING);
    let ready = work.join("ready");
    let root = ready.join("root");
    fs::create_dir(&ready)?;
    exec::capture(
        Command::new(tool.join("usr/sbin/debootstrap"))
            .args(["--variant=minbase", &format!("--include={PACKAGES}")])
            .arg(format!("--keyring={keyring}"))
            .arg("bookworm")
            .arg(&root)
            .arg(&mirror.uri)
            .env("DEBOOTSTRAP_DIR", tool.join("usr/share/debootstrap"))
            .env("LC_ALL", "C"),
    )?;
    for fetched in ["var/cache/apt", "var/lib/apt/lists"] {
        fs::remove_dir_all(root.join(fetched))?;
    }
    let guest = work.join("guest");
    copy(&root, &guest)?;
    let libraries = PRUNED_LIBRARIES.map(|name| ARCH.library(name));
    paths::prune(
        &guest,
        PRUNED
            .into_iter()
            .chain(libraries.iter().map(String::as_str)),
    )?;
    // Not compressed: an emulated guest would take longer to unpack it than to copy it.
    let mut archive = Archive::new(BufWriter::new(File::create(ready.join("guest.cpio"))?));
    archive.tree(&guest, Path::new(""))?;
    archive.finish()?;
    fs::rename(&ready, dir)?;
    fs::remove_dir_all(work)?;
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let command = &mut Command::new("cp");
    exec::capture(command.args(["-a", "--reflink=auto"]).args([from, to])).map(drop)
}
