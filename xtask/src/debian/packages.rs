//! Installs Debian packages, and only ever adds: what is installed is neither removed nor downgraded.
//!
//! Where the version that apt would take does not fit what is installed, another one is looked for: in the
//! releases that apt knows, and in the backports of this Debian.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::{
    debian::sources::{self, Source},
    exec,
    exec::progress,
};

/// A Debian that packages go into.
pub(crate) struct System {
    /// Where its files are, seen from here.
    root: PathBuf,
    /// What makes a command run there, as root.
    enter: Vec<String>,
}

/// Where apt takes versions from.
#[derive(Clone, Debug, PartialEq, Eq)]
struct View {
    /// Options of apt-get.
    options: Vec<String>,
    /// For messages.
    words: String,
}

/// What `apt-get --simulate install` would do.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    removes: Vec<String>,
    downgrades: Vec<String>,
}

impl System {
    /// This machine.
    pub(crate) fn here() -> Self {
        let root = rustix::process::geteuid().is_root();
        let enter: &[&str] = if root { &[] } else { &["sudo"] };
        Self {
            root: "/".into(),
            enter: enter.iter().map(|&word| word.to_owned()).collect(),
        }
    }

    /// A Debian in a folder.
    pub(crate) fn within(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            enter: vec!["chroot".to_owned(), root.display().to_string()],
        }
    }

    /// Installs packages, or says what conflicts with it and changes nothing.
    pub(crate) fn install(&self, packages: &[&str]) -> Result<()> {
        let missing: Vec<_> = packages
            .iter()
            .copied()
            .filter(|package| !self.is_installed(package))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        progress(format!("installing {}", missing.join(" ")));
        let usual = View {
            options: Vec::new(),
            words: "apt's sources".to_owned(),
        };
        // Lists may be years old, or missing altogether as in a container.
        self.update(&usual)?;
        if self.objection(&usual, &missing)?.is_none() {
            return self.install_from(&usual, &missing);
        }
        let mut misfits = Vec::new();
        for package in missing {
            match self.objection(&usual, &[package])? {
                None => self.install_from(&usual, &[package])?,
                Some(why) => misfits.push((package, why)),
            }
        }
        for (package, why) in misfits {
            self.install_misfit(package, why)?;
        }
        Ok(())
    }

    /// Installs a package that apt's usual choice of versions does not fit.
    fn install_misfit(&self, package: &str, why: String) -> Result<()> {
        let mut tried = vec![why];
        for view in self.other_releases()? {
            match self.objection(&view, &[package])? {
                None => return self.install_from(&view, &[package]),
                Some(why) => tried.push(why),
            }
        }
        // Kept until the end: apt reads its list from there.
        if let Some((_list, view)) = self.backports()? {
            // An archive without them is not an error.
            match self.update(&view) {
                Ok(()) => match self.objection(&view, &[package])? {
                    None => return self.install_from(&view, &[package]),
                    Some(why) => tried.push(why),
                },
                Err(error) => tried.push(format!("{}: {error:#}", view.words)),
            }
        }
        bail!(
            "{package} cannot be installed beside what is installed:\n  {}\n\
             nothing was removed or downgraded for it; make room yourself (remove what conflicts with it, or \
             install a version of it that fits {package}), then run this again",
            tried.join("\n  ")
        )
    }

    /// Releases in apt's sources that apt takes versions from only when told to.
    fn other_releases(&self) -> Result<Vec<View>> {
        let policy = exec::capture(&mut self.command("apt-cache", &["policy"]))?;
        Ok(reserved_releases(&policy)
            .into_iter()
            .map(|release| View {
                words: release.clone(),
                options: vec![format!("--target-release={release}")],
            })
            .collect())
    }

    /// The backports of this Debian from the mirror that it uses, for one call of apt: its own list of sources
    /// stays as it is. `None` for anything but a Debian with a mirror.
    fn backports(&self) -> Result<Option<(TempDir, View)>> {
        let release = fs::read_to_string(self.root.join("etc/os-release")).unwrap_or_default();
        let etc = self.root.join("etc/apt");
        let mirror = sources::mirrors(&sources::read(&etc)).main;
        let (Some(codename), Some(mirror)) = (codename(&release), mirror) else {
            return Ok(None);
        };
        let release = format!("{codename}-backports");
        let list = etc.join("sources.list");
        let own = fs::read_to_string(&list).unwrap_or_default();
        let dir = TempDir::with_prefix_in("ipvs-sampler-apt-", self.root.join("tmp"))
            .context("no place for a list of sources")?;
        let list = dir.path().join("list");
        fs::write(&list, format!("{own}\n{}\n", line(&mirror, &release)))?;
        let seen = Path::new("/").join(list.strip_prefix(&self.root)?);
        let view = View {
            options: vec![
                format!("--option=Dir::Etc::SourceList={}", seen.display()),
                format!("--target-release={release}"),
            ],
            words: format!("{release} of {}", mirror.uri),
        };
        Ok(Some((dir, view)))
    }

    fn update(&self, view: &View) -> Result<()> {
        // Without the release, which is not known before.
        let options = view.options.iter().map(String::as_str);
        let options = options.filter(|option| !option.starts_with("--target-release"));
        let options: Vec<_> = options.collect();
        self.apt_get(&[&["update"], &options[..]].concat())
    }

    fn install_from(&self, view: &View, packages: &[&str]) -> Result<()> {
        if !view.options.is_empty() {
            progress(format!("{} from {}", packages.join(" "), view.words));
        }
        self.apt_get(&install(view, &["--no-remove"], packages))
    }

    /// Why these packages cannot be had without harm; `None` when they can.
    fn objection(&self, view: &View, packages: &[&str]) -> Result<Option<String>> {
        let arguments = install(view, &["--simulate"], packages);
        let mut command = self.command("apt-get", &arguments);
        let output = command.output().context("cannot start apt-get")?;
        let why = if output.status.success() {
            Plan::parse(&String::from_utf8_lossy(&output.stdout)).objection()
        } else {
            let words = String::from_utf8_lossy(&output.stderr);
            Some(words.split_whitespace().collect::<Vec<_>>().join(" "))
        };
        Ok(why.map(|why| format!("{}: {why}", view.words)))
    }

    fn is_installed(&self, package: &str) -> bool {
        exec::capture(&mut self.command("dpkg-query", &["-W", "-f", "${Status}", package]))
            .is_ok_and(|status| status == "install ok installed")
    }

    fn apt_get(&self, arguments: &[&str]) -> Result<()> {
        // Standard output belongs to the verb that asked for the installation.
        exec::run(
            self.command("apt-get", &[&["-q", "-y"], arguments].concat())
                .stdout(io::stderr()),
        )
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let settings = ["env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", program];
        let mut words = self.enter.iter().map(String::as_str).chain(settings);
        // There is always `env`.
        let mut command = Command::new(words.next().unwrap_or("env"));
        command.args(words).args(arguments);
        command
    }
}

fn install<'a>(view: &'a View, more: &[&'a str], packages: &[&'a str]) -> Vec<&'a str> {
    let options = view.options.iter().map(String::as_str);
    ["install", "--no-install-recommends"]
        .into_iter()
        .chain(options)
        .chain(more.iter().copied())
        .chain(packages.iter().copied())
        .collect()
}

impl Plan {
    /// From what apt-get says: indented names below a headline.
    fn parse(text: &str) -> Self {
        let below = |headline: &str| {
            let lines = text.lines().skip_while(|line| !line.contains(headline));
            let names = lines.skip(1).take_while(|line| line.starts_with(' '));
            names
                .flat_map(str::split_whitespace)
                .map(str::to_owned)
                .collect()
        };
        Self {
            removes: below("packages will be REMOVED:"),
            downgrades: below("packages will be DOWNGRADED:"),
        }
    }

    fn objection(&self) -> Option<String> {
        let words = |what: &str, names: &[String]| {
            (!names.is_empty()).then(|| format!("{what} {}", names.join(" ")))
        };
        let removes = words("would remove", &self.removes);
        let downgrades = words("would downgrade", &self.downgrades);
        let all: Vec<_> = removes.into_iter().chain(downgrades).collect();
        (!all.is_empty()).then(|| all.join(", "))
    }
}

/// The codename of a Debian, of os-release(5).
fn codename(os_release: &str) -> Option<&str> {
    let value = |key: &str| {
        let mut pairs = os_release.lines().filter_map(|line| line.split_once('='));
        let (_, value) = pairs.find(|(other, _)| *other == key)?;
        Some(value.trim_matches('"'))
    };
    value("ID").filter(|id| *id == "debian")?;
    value("VERSION_CODENAME")
}

/// The backports among what `apt-cache policy` lists, whose packages are not taken by themselves.
fn reserved_releases(policy: &str) -> Vec<String> {
    let names = policy.lines().filter_map(|line| {
        let release = line.trim().strip_prefix("release ")?;
        let name = release
            .split(',')
            .find_map(|part| part.strip_prefix("n="))?;
        name.contains("-backports").then(|| name.to_owned())
    });
    let mut names: Vec<_> = names.collect();
    names.sort();
    names.dedup();
    names
}

/// A line of sources.list(5) for another release of an archive, trusted as the archive is.
fn line(archive: &Source, release: &str) -> String {
    let signed = archive.signed_by.as_ref();
    let options = signed
        .map(|key| format!("signed-by={key}"))
        .into_iter()
        .chain(archive.trusted.then(|| "trusted=yes".to_owned()))
        .collect::<Vec<_>>()
        .join(" ");
    let options = if options.is_empty() {
        options
    } else {
        format!("[{options}] ")
    };
    format!("deb {options}{} {release} main", archive.uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFLICT: &str = "\
Reading package lists...
Building dependency tree...
The following additional packages will be installed:
  qemu-system-common qemu-system-data
The following packages will be REMOVED:
  qemu-utils
The following NEW packages will be installed:
  qemu-system-common qemu-system-data qemu-system-x86
0 upgraded, 3 newly installed, 1 to remove and 134 not upgraded.
Remv qemu-utils [1:10.0.2+ds-2+deb13u1~bpo12+1]
";

    #[test]
    fn what_would_remove_or_downgrade_is_objected_to() {
        let objection = |text: &str| Plan::parse(text).objection();
        assert_eq!(
            objection(CONFLICT).as_deref(),
            Some("would remove qemu-utils")
        );
        let downgrade = "The following packages will be DOWNGRADED:\n  a b\n  c\n0 upgraded\n";
        assert_eq!(
            objection(downgrade).as_deref(),
            Some("would downgrade a b c")
        );
        let harmless = CONFLICT.replace("REMOVED:\n  qemu-utils\n", "upgraded:\n  libc6\n");
        assert_eq!(objection(&harmless), None);
    }

    #[test]
    fn backports_are_those_of_this_debian_at_its_own_mirror() {
        let release = "ID=debian\nVERSION_CODENAME=bookworm\n";
        assert_eq!(codename(release), Some("bookworm"));
        assert_eq!(codename("ID=ubuntu\nVERSION_CODENAME=noble\n"), None);
        let mut archive = Source {
            uri: "http://mirror.test/debian".into(),
            suite: "bookworm".into(),
            components: vec!["main".into()],
            signed_by: Some("/k.gpg".into()),
            trusted: false,
        };
        assert_eq!(
            line(&archive, "bookworm-backports"),
            "deb [signed-by=/k.gpg] http://mirror.test/debian bookworm-backports main"
        );
        archive.signed_by = None;
        assert_eq!(line(&archive, "x"), "deb http://mirror.test/debian x main");
    }

    #[test]
    fn releases_that_wait_to_be_asked_for_are_backports() {
        let policy = "Package files:\n 100 /var/lib/dpkg/status\n     release a=now\n \
            100 http://mirror.test/debian bookworm-backports/main amd64 Packages\n     \
            release o=Debian,a=oldstable-backports,n=bookworm-backports,l=Debian,c=main,b=amd64\n     \
            origin mirror.test\n 500 http://mirror.test/debian bookworm/main amd64 Packages\n     \
            release v=12.15,o=Debian,a=oldstable,n=bookworm,l=Debian,c=main,b=amd64\n";
        assert_eq!(reserved_releases(policy), ["bookworm-backports"]);
    }
}
