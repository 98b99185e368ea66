//! apt with a configuration of its own: fetches packages of any suite without touching what the
//! machine has installed or where the machine's own apt looks (apt.conf(5)).

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    debian::sources::{self, DEBIAN_KEYRING, Source},
    exec,
};

/// One private view of the archive, made of a few suites.
pub(crate) struct Apt {
    dir: PathBuf,
    options: Vec<String>,
}

impl Apt {
    /// Debian 12's archive as it is now, seen from a work place.
    pub(crate) fn debian_12(work: &Path) -> Result<Self> {
        let apt = Self::new(&work.join("apt"), &["bookworm"])?;
        apt.update()?;
        Ok(apt)
    }

    /// Prepares the configuration below `dir` for `suites`, at the mirrors this machine uses.
    pub(crate) fn new(dir: &Path, suites: &[&str]) -> Result<Self> {
        if exec::find_on_path("apt-get").is_none() {
            bail!("packages come from Debian's archive and this machine has no apt-get");
        }
        let mirrors = sources::mirrors(&sources::read(Path::new("/etc/apt")));
        if mirrors.main.is_none() {
            bail!(
                "/etc/apt names no Debian archive (a `deb` source of a Debian suite, component \
                 main, signed by debian-archive-keyring): add one to fetch packages from"
            );
        }
        let mut list = String::new();
        for suite in suites {
            let mirror = if suite.ends_with("-security") {
                &mirrors.security
            } else {
                &mirrors.main
            };
            if let Some(Source { uri, signed_by, .. }) = mirror {
                let key = signed_by.as_deref().unwrap_or(DEBIAN_KEYRING);
                // A suite past its support keeps an expired, still signed, Release file.
                writeln!(
                    list,
                    "deb [signed-by={key} check-valid-until=no] {uri} {suite} main"
                )?;
            }
        }
        for part in ["lists/partial", "cache/archives/partial"] {
            let path = dir.join(part);
            fs::create_dir_all(&path)
                .with_context(|| format!("cannot create {}", path.display()))?;
        }
        fs::write(dir.join("sources.list"), list)?;
        // With no status file apt takes nothing as installed, so it resolves whole closures.
        fs::write(dir.join("status"), "")?;
        let at = dir.display();
        let options = [
            format!("Dir::Etc::SourceList={at}/sources.list"),
            "Dir::Etc::SourceParts=/dev/null".into(),
            "Dir::Etc::Preferences=/dev/null".into(),
            "Dir::Etc::PreferencesParts=/dev/null".into(),
            format!("Dir::State::Lists={at}/lists"),
            format!("Dir::State::Status={at}/status"),
            format!("Dir::Cache={at}/cache"),
            "Acquire::Languages=none".into(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".into(),
            "APT::Default-Release=".into(),
            // The folder need not be readable by apt's own unprivileged user.
            "APT::Sandbox::User=".into(),
        ];
        Ok(Self {
            dir: dir.to_owned(),
            options: options.into(),
        })
    }

    /// Runs one of apt's programs; an error leaves our many options out.
    fn run(&self, program: &str, args: &[&str]) -> Result<String> {
        let mut command = Command::new(program);
        command.current_dir(&self.dir).env("LC_ALL", "C");
        for option in &self.options {
            command.args(["-o", option]);
        }
        exec::capture_as(&format!("{program} {}", args.join(" ")), command.args(args))
    }

    /// Fetches the suites' package lists.
    pub(crate) fn update(&self) -> Result<()> {
        // Without the option a mirror that does not answer is but a warning.
        self.run("apt-get", &["-qq", "--error-on=any", "update"])
            .map(drop)
    }

    /// The packages that `package` depends on, in its newest version.
    pub(crate) fn depends(&self, package: &str) -> Result<Vec<String>> {
        let record = self.run("apt-cache", &["show", "--no-all-versions", package])?;
        Ok(depends_field(&record))
    }

    /// Every package that installing `packages` on an empty machine needs, themselves included.
    pub(crate) fn closure(&self, packages: &[&str]) -> Result<Vec<String>> {
        let install = [
            "-s",
            "-o",
            "Debug::NoLocking=true",
            "--no-install-recommends",
            "install",
        ];
        let plan = self.run("apt-get", &[&install, packages].concat())?;
        Ok(simulated_installs(&plan))
    }

    /// Downloads packages, checked against the archive's signature, and unpacks them below `root`.
    pub(crate) fn unpack(&self, packages: &[String], root: &Path) -> Result<()> {
        fs::create_dir_all(root)?;
        let names = packages.iter().map(String::as_str);
        // Downloads land in the current directory.
        self.run(
            "apt-get",
            &["-qq", "download"]
                .into_iter()
                .chain(names)
                .collect::<Vec<_>>(),
        )?;
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "deb") {
                exec::capture(Command::new("dpkg").arg("-x").arg(&path).arg(root))?;
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// The names in the first `Depends:` field, versions and alternatives dropped.
fn depends_field(record: &str) -> Vec<String> {
    let Some(field) = record
        .lines()
        .find_map(|line| line.strip_prefix("Depends:"))
    else {
        return Vec::new();
    };
    field
        .split(',')
        .filter_map(|dependency| dependency.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

/// The names in the `Inst NAME (VERSION ...)` lines of `apt-get -s install`.
fn simulated_installs(plan: &str) -> Vec<String> {
    plan.lines()
        .filter_map(|line| line.strip_prefix("Inst ")?.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_dependencies() {
        let record = "Package: linux-image-amd64\nVersion: 7.2.13-1\n\
            Depends: linux-base-amd64 (= 7.2.13-1), linux-image-7.2.13+deb14-amd64 (= 7.2.13-1), \
            initramfs-tools (>= 0.120) | linux-initramfs-tool\nDepends: not-this\n";
        assert_eq!(
            depends_field(record),
            [
                "linux-base-amd64",
                "linux-image-7.2.13+deb14-amd64",
                "initramfs-tools"
            ]
        );
        assert!(depends_field("Package: x\n").is_empty());
    }

    #[test]
    fn names_in_a_simulation() {
        let plan = "Reading package lists...\nInst libc6 (2.36-9 Debian:12.15 [amd64]) []\n\
            Inst kmod (30-1 Debian:12.15 [amd64])\nConf kmod (30-1 Debian:12.15 [amd64])\n";
        assert_eq!(simulated_installs(plan), ["libc6", "kmod"]);
    }
}
