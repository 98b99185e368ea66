//! The Debian package: a staged root with control files, packed by `dpkg-deb`, which sorts, gives
//! everything to root and takes times from `SOURCE_DATE_EPOCH`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use super::{epoch, inputs::Inputs, tree::Tree};
use crate::{arch::ARCH, exec};

/// Scripts of the package, below packaging/debian.
const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];
const CONFFILE: &str = "etc/ipvs-sampler/config.toml";
const DOC: &str = "usr/share/doc/ipvs-sampler";

/// Writes `ipvs-sampler_VERSION_ARCHITECTURE.deb` into `dir`.
pub(crate) fn write(inputs: &Inputs, dir: &Path) -> Result<PathBuf> {
    let architecture = ARCH.debian;
    let version = debian_version(&inputs.version);
    let work = tempfile::TempDir::with_prefix("ipvs-sampler-deb-")?;
    let tree = Tree::new(&work.path().join("root"))?;
    files(&tree, inputs, &version)?;
    let size = installed_kib(tree.root())?;
    let sums = sums(tree.root())?;
    tree.write("DEBIAN/md5sums", 0o644, sums)?;
    tree.write("DEBIAN/conffiles", 0o644, format!("/{CONFFILE}\n"))?;
    tree.write(
        "DEBIAN/control",
        0o644,
        control(&version, architecture, size, &maintainer()),
    )?;
    let debian = inputs.workspace.join("packaging/debian");
    for script in SCRIPTS {
        tree.copy(&debian.join(script), &format!("DEBIAN/{script}"), 0o755)?;
    }
    let package = dir.join(format!("ipvs-sampler_{version}_{architecture}.deb"));
    exec::capture(
        Command::new("dpkg-deb")
            .args(["--root-owner-group", "-Zxz", "--build"])
            .args([tree.root(), &package])
            .env("SOURCE_DATE_EPOCH", inputs.epoch.to_string()),
    )?;
    Ok(package)
}

fn files(tree: &Tree, inputs: &Inputs, version: &str) -> Result<()> {
    let packaging = inputs.workspace.join("packaging");
    let debian = packaging.join("debian");
    tree.copy(&inputs.binary, "usr/bin/ipvs-sampler", 0o755)?;
    tree.copy(
        &packaging.join("ipvs-sampler.service"),
        "lib/systemd/system/ipvs-sampler.service",
        0o644,
    )?;
    tree.copy(&packaging.join("config.toml"), CONFFILE, 0o644)?;
    for page in tree.manual(inputs, "usr/share/man/man1")? {
        tree.gzip(&page)?;
    }
    for (shell, path) in [
        ("bash", "usr/share/bash-completion/completions/ipvs-sampler"),
        ("zsh", "usr/share/zsh/vendor-completions/_ipvs-sampler"),
        (
            "fish",
            "usr/share/fish/vendor_completions.d/ipvs-sampler.fish",
        ),
    ] {
        tree.completions(inputs, shell, path)?;
    }
    tree.samples(inputs, &format!("{DOC}/examples"))?;
    tree.copy(
        &debian.join("lintian-overrides"),
        "usr/share/lintian/overrides/ipvs-sampler",
        0o644,
    )?;
    let read = |name: &str| fs::read_to_string(inputs.workspace.join(name));
    tree.write(
        &format!("{DOC}/copyright"),
        0o644,
        copyright(&read("LICENSE-MIT")?),
    )?;
    let notices = format!("{DOC}/THIRD-PARTY-LICENSES");
    tree.write(&notices, 0o644, &inputs.notices)?;
    tree.gzip(&notices)?;
    let bill = format!("{DOC}/ipvs-sampler.cdx.json");
    tree.copy(&inputs.bill, &bill, 0o644)?;
    tree.gzip(&bill)?;
    let upstream = format!("{DOC}/changelog");
    tree.copy(&inputs.workspace.join("CHANGELOG.md"), &upstream, 0o644)?;
    tree.gzip(&upstream)?;
    let date = epoch::format(inputs.epoch, "+%a, %d %b %Y %H:%M:%S +0000")?;
    let debian = format!("{DOC}/changelog.Debian");
    tree.write(&debian, 0o644, changelog(version, &maintainer(), &date))?;
    tree.gzip(&debian)
}

/// A version of cargo in Debian's order: what comes before a release sorts before it by `~`
/// (deb-version(7)). The revision is that of the packaging, which is made with the release.
fn debian_version(version: &str) -> String {
    format!("{}-1", version.replacen('-', "~", 1))
}

/// Who answers for the package, by the variables of Debian's own tools. Whoever hands it out sets them.
fn maintainer() -> String {
    let var = |name, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
    format!(
        "{} <{}>",
        var("DEBFULLNAME", "ipvs-sampler contributors"),
        var("DEBEMAIL", "ipvs-sampler@example.org"),
    )
}

fn control(version: &str, architecture: &str, size: u64, maintainer: &str) -> String {
    format!(
        "Package: ipvs-sampler\n\
         Version: {version}\n\
         Architecture: {architecture}\n\
         Maintainer: {maintainer}\n\
         Installed-Size: {size}\n\
         Suggests: ipvsadm, telegraf\n\
         Section: net\n\
         Priority: optional\n\
         Description: high-rate sampler for Linux IPVS\n \
         Samples all virtual services and destinations of IPVS many times per second.\n \
         It joins what netlink tells with counters that an eBPF program reads from\n \
         the kernel at each tick, and writes them in the schema of Telegraf's ipvs\n \
         input.\n \
         .\n \
         The package has a systemd service, which is neither enabled nor started on\n \
         installation, sample configurations, alert rules and dashboards.\n"
    )
}

fn changelog(version: &str, maintainer: &str, date: &str) -> String {
    format!(
        "ipvs-sampler ({version}) unstable; urgency=medium\n\n  \
         * Packaged with this version; changelog.gz has what is new in it.\n\n \
         -- {maintainer}  {date}\n"
    )
}

/// Debian's machine-readable form (copyright-format 1.0), with the text of the MIT license. Each Debian
/// system has that of the Apache license.
fn copyright(mit: &str) -> String {
    let holder = mit
        .lines()
        .find_map(|line| line.strip_prefix("Copyright (c) "))
        .unwrap_or_default();
    let mut text = format!(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\
         Upstream-Name: ipvs-sampler\n\n\
         Files: *\n\
         Copyright: {holder}\n\
         License: MIT or Apache-2.0\n\
         Comment: THIRD-PARTY-LICENSES.gz beside this file has those of the crates\n \
         that are inside the program.\n\n\
         License: MIT\n"
    );
    let body = mit
        .lines()
        .skip_while(|line| !line.starts_with("Permission"));
    for line in body {
        text.push_str(if line.is_empty() { " ." } else { " " });
        text.push_str(line);
        text.push('\n');
    }
    text.push_str(
        "\nLicense: Apache-2.0\n \
         On Debian systems the full text of the Apache License, version 2.0, is in\n \
         /usr/share/common-licenses/Apache-2.0.\n",
    );
    text
}

/// As dpkg-gencontrol(1) counts: each file in full KiB, each folder as one.
fn installed_kib(root: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        sum += if entry.file_type()?.is_dir() {
            1 + installed_kib(&entry.path())?
        } else {
            entry.metadata()?.len().div_ceil(1024)
        };
    }
    Ok(sum)
}

/// Checksums for `dpkg --verify`.
fn sums(root: &Path) -> Result<String> {
    let find =
        "find . -type f ! -path './etc/*' -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 md5sum --";
    exec::capture(Command::new("sh").args(["-c", find]).current_dir(root))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_before_a_release_sorts_before_it() {
        assert_eq!(debian_version("0.1.0"), "0.1.0-1");
        assert_eq!(debian_version("1.0.0-rc.1"), "1.0.0~rc.1-1");
    }

    #[test]
    fn the_description_is_folded() {
        let text = control("1-1", "amd64", 10, "x <x@y>");
        let (_, description) = text.split_once("Description: ").unwrap();
        assert!(
            description
                .lines()
                .skip(1)
                .all(|line| line.starts_with(' '))
        );
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    }

    #[test]
    fn paragraphs_of_a_license_stay_apart() {
        let mit = "MIT License\n\nCopyright (c) 2026 someone\n\nPermission is\n\nTHE SOFTWARE\n";
        let text = copyright(mit);
        assert!(text.contains("Copyright: 2026 someone\n"), "{text}");
        assert!(
            text.contains("License: MIT\n Permission is\n .\n THE SOFTWARE\n"),
            "{text}"
        );
    }
}
