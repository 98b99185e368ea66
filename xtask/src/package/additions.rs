//! `cargo xtask setup` in a Debian root: packages made for it, one of which conflicts with another's usual version
//! as Debian's `qemu-utils` of the backports does against `qemu-system-x86`.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};

use super::root::Root;
use crate::{arch::ARCH, debian::packages::System, exec, libtest::Counts};

/// Release, name, version, further fields.
const PACKAGES: [(&str, &str, &str, &str); 8] = [
    ("bookworm", "plain", "1", ""),
    ("bookworm", "tool-utils", "1", ""),
    ("bookworm", "tool-common", "1", ""),
    (
        "bookworm",
        "tool-system",
        "1",
        "Depends: tool-common (= 1)\n",
    ),
    ("bookworm", "loner", "1", "Conflicts: tool-utils (>= 2)\n"),
    (
        "bookworm-backports",
        "tool-utils",
        "2",
        "Breaks: tool-system (<< 2)\n",
    ),
    ("bookworm-backports", "tool-common", "2", ""),
    (
        "bookworm-backports",
        "tool-system",
        "2",
        "Depends: tool-common (= 2)\n",
    ),
];

type Check = fn(&Scene) -> Result<()>;

const CHECKS: [(&str, Check); 4] = [
    ("what_fits_is_installed_as_it_is", what_fits),
    (
        "backports_are_taken_where_only_they_fit",
        only_backports_fit,
    ),
    ("backports_that_apt_knows_are_taken", known_backports),
    ("what_does_not_fit_changes_nothing", what_does_not_fit),
];

/// Prints each check in libtest's form and counts it.
pub(crate) fn check(root: &Root) -> Counts {
    let mut counts = Counts::default();
    for (name, check) in CHECKS {
        let outcome = Scene::new(root).and_then(|scene| check(&scene));
        let word = match &outcome {
            Ok(()) => "ok".to_owned(),
            Err(error) => format!("FAILED\n  {error:#}"),
        };
        println!("[setup] test {name} ... {word}");
        counts.passed += u32::from(outcome.is_ok());
        counts.failed += u32::from(outcome.is_err());
    }
    counts
}

fn what_fits(scene: &Scene) -> Result<()> {
    scene.system.install(&["plain"])?;
    scene.has(&["plain 1", "tool-utils 2"])
}

fn only_backports_fit(scene: &Scene) -> Result<()> {
    // What this is about: apt by itself would remove the other one.
    let usual = scene.run("apt-get -s install tool-system")?;
    ensure!(usual.contains("Remv tool-utils"), "{usual}");
    scene.system.install(&["plain", "tool-system"])?;
    scene.has(&["plain 1", "tool-common 2", "tool-system 2", "tool-utils 2"])?;
    ensure!(
        scene.sources()? == "deb [trusted=yes] file:/repository bookworm main\n",
        "the sources were changed"
    );
    Ok(())
}

fn known_backports(scene: &Scene) -> Result<()> {
    scene.know(&["bookworm", "bookworm-backports"])?;
    scene.system.install(&["tool-system"])?;
    scene.has(&["tool-common 2", "tool-system 2", "tool-utils 2"])
}

fn what_does_not_fit(scene: &Scene) -> Result<()> {
    let Err(error) = scene.system.install(&["loner"]) else {
        bail!("it was installed");
    };
    let words = format!("{error:#}");
    ensure!(
        words.contains("loner cannot be installed") && words.contains("would remove tool-utils"),
        "{words}"
    );
    scene.has(&["tool-utils 2"])
}

/// A root of its own, with `tool-utils` of the backports installed.
struct Scene {
    _dir: tempfile::TempDir,
    root: PathBuf,
    system: System,
}

impl Scene {
    fn new(root: &Root) -> Result<Self> {
        let dir = tempfile::TempDir::with_prefix("ipvs-sampler-setup-")?;
        let place = dir.path().join("root");
        root.copy(&place)?;
        let scene = Self {
            system: System::within(&place),
            root: place,
            _dir: dir,
        };
        for release in ["bookworm", "bookworm-backports"] {
            scene.publish(release)?;
        }
        scene.know(&["bookworm"])?;
        scene.run("dpkg -i /repository/bookworm-backports_tool-utils_2.deb")?;
        scene.run("apt-get update")?;
        Ok(scene)
    }

    /// Makes the packages of a release, and its index.
    fn publish(&self, release: &str) -> Result<()> {
        let repository = self.root.join("repository");
        let index = repository.join("dists").join(release);
        let folder = format!("main/binary-{}", ARCH.debian);
        fs::create_dir_all(index.join(&folder))?;
        let mut packages = String::new();
        for (_, name, version, more) in PACKAGES.iter().filter(|(of, ..)| *of == release) {
            let file = format!("{release}_{name}_{version}.deb");
            let control = format!(
                "Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: Nobody <nobody@localhost>\n\
                 {more}Description: made for a test\n"
            );
            let tree = self.root.join("tmp").join(&file);
            fs::create_dir_all(tree.join("DEBIAN"))?;
            fs::write(tree.join("DEBIAN/control"), &control)?;
            let deb = repository.join(&file);
            let mut build = Command::new("dpkg-deb");
            build.args(["--root-owner-group", "--build"]);
            exec::capture(build.args([&tree, &deb]))?;
            let (sum, size) = sum_and_size(&deb)?;
            writeln!(
                packages,
                "{control}Filename: {file}\nSize: {size}\nSHA256: {sum}\n"
            )?;
        }
        let path = format!("{folder}/Packages");
        fs::write(index.join(&path), packages)?;
        let (sum, size) = sum_and_size(&index.join(&path))?;
        let reserved = if release == "bookworm" {
            ""
        } else {
            "NotAutomatic: yes\nButAutomaticUpgrades: yes\n"
        };
        let text = format!(
            "Origin: Test\nSuite: {release}\nCodename: {release}\nArchitectures: {}\nComponents: main\n\
             Date: Thu, 01 Jan 2026 00:00:00 UTC\n{reserved}SHA256:\n {sum} {size} {path}\n",
            ARCH.debian
        );
        fs::write(index.join("Release"), text)?;
        Ok(())
    }

    /// Makes these releases apt's sources.
    fn know(&self, releases: &[&str]) -> Result<()> {
        let lines = releases
            .iter()
            .map(|release| format!("deb [trusted=yes] file:/repository {release} main\n"));
        fs::write(self.list(), lines.collect::<String>())?;
        Ok(())
    }

    fn list(&self) -> PathBuf {
        self.root.join("etc/apt/sources.list")
    }

    fn sources(&self) -> Result<String> {
        Ok(fs::read_to_string(self.list())?)
    }

    fn run(&self, line: &str) -> Result<String> {
        exec::capture(
            Command::new("chroot")
                .arg(&self.root)
                .args(line.split_whitespace())
                .env("LC_ALL", "C"),
        )
    }

    /// Whether of the packages made here exactly these are installed.
    fn has(&self, expected: &[&str]) -> Result<()> {
        let names: Vec<_> = PACKAGES.iter().map(|(_, name, ..)| *name).collect();
        let all = self.run("dpkg-query -W -f ${Package}_${Version}_${db:Status-Abbrev}\\n")?;
        let ours = all.lines().filter_map(|line| {
            let (name, rest) = line.split_once('_')?;
            let (version, status) = rest.split_once('_')?;
            let installed = names.contains(&name) && status.starts_with("ii");
            installed.then(|| format!("{name} {version}"))
        });
        let ours: Vec<_> = ours.collect();
        ensure!(ours == expected, "{ours:?} installed, not {expected:?}");
        Ok(())
    }
}

fn sum_and_size(file: &Path) -> Result<(String, u64)> {
    let words = exec::capture(Command::new("sha256sum").arg(file))?;
    let sum = words.split_whitespace().next().context("no checksum")?;
    Ok((sum.to_owned(), fs::metadata(file)?.len()))
}
