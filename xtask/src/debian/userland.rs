//! The programs in the guest: Debian's own, unpacked into the cache and never installed.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use crate::{arch::ARCH, debian::apt::Apt, exec, paths};

/// What the guest's init, the tests and a person at the lab's shell call.
const PACKAGES: [&str; 7] = [
    "ipvsadm",
    "iproute2",
    "kmod",
    "busybox-static",
    "bash",
    "iptables",
    "nftables",
];

/// Dependencies that only maintainer scripts, an init system or odd corners need.
const LEFT_OUT: [&str; 10] = [
    "base-files",
    "debconf",
    "debianutils",
    "gawk",
    "gcc-12-base",
    "lsb-base",
    "mawk",
    "netbase",
    "original-awk",
    "sysvinit-utils",
];

/// Folders that the guest has no use for.
const PRUNED: [&str; 5] = [
    "etc/init.d",
    "usr/share",
    "usr/lib/tc",
    "usr/lib/locale",
    "var",
];

/// And what of the libraries.
const PRUNED_LIBRARIES: [&str; 2] = ["gconv", "perl-base"];

/// Raised when the lists above or the steps below change.
const LAYOUT: &str = "1";

/// Applets lie apart, last on the guest's PATH: busybox's `ip` must not hide iproute2's.
const APPLETS: &str = "usr/libexec/busybox";

/// The root directory of the guest's programs, from the cache or fetched.
pub(crate) fn get() -> Result<PathBuf> {
    paths::cached(
        &format!("userland-{LAYOUT}"),
        "the guest's programs (about 10 MB)",
        fetch,
    )
}

fn fetch(work: &Path, dir: &Path) -> Result<()> {
    let apt = Apt::debian_12(work)?;
    let mut packages = apt.closure(&PACKAGES)?;
    packages.retain(|name| !LEFT_OUT.contains(&name.as_str()));
    let root = work.join("root");
    apt.unpack(&packages, &root)?;
    let libraries = PRUNED_LIBRARIES.map(|name| ARCH.library(name));
    paths::prune(
        &root,
        PRUNED
            .into_iter()
            .chain(libraries.iter().map(String::as_str)),
    )?;
    link_programs(&root)?;
    fs::rename(&root, dir)?;
    fs::remove_dir_all(work)?;
    Ok(())
}

/// Makes the links that packages leave to their maintainer scripts.
fn link_programs(root: &Path) -> Result<()> {
    let link = |target: &str, at: &str| {
        let at = root.join(at);
        if at.is_symlink() {
            Ok(())
        } else {
            symlink(target, at)
        }
    };
    link("bash", "bin/sh")?;
    // Debian's alternatives system would make these.
    for name in ["iptables", "iptables-save", "iptables-restore"] {
        link("xtables-nft-multi", &format!("usr/sbin/{name}"))?;
    }
    for name in ["ip6tables", "ip6tables-save", "ip6tables-restore"] {
        link("xtables-nft-multi", &format!("usr/sbin/{name}"))?;
    }
    fs::create_dir_all(root.join(APPLETS))?;
    for applet in exec::capture(Command::new(root.join("bin/busybox")).arg("--list"))?.lines() {
        link("/bin/busybox", &format!("{APPLETS}/{applet}"))?;
    }
    Ok(())
}
