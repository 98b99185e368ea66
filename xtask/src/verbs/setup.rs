//! `cargo xtask setup`: installs what the other verbs need and this machine lacks.

use std::{
    fs,
    io::{self, IsTerminal as _, Write as _},
    path::Path,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    arch::ARCH,
    cargo,
    debian::packages::System,
    exec,
    exec::progress,
    paths,
    toolchain::{self, Missing},
};

#[derive(clap::Args, Default)]
#[group(id = "setup")]
pub(crate) struct Args {
    /// Install what is missing without asking (root is never asked)
    #[arg(long)]
    yes: bool,
}

impl Args {
    /// For a run that nobody watches.
    pub(crate) fn unattended() -> Self {
        Self { yes: true }
    }
}

/// Programs and the Debian packages that bring them.
const PROGRAMS: [(&str, &str); 8] = [
    (ARCH.qemu, ARCH.qemu_package),
    ("depmod", "kmod"),
    ("xz", "xz-utils"),
    ("dpkg", "dpkg"),
    ("gzip", "gzip"),
    ("tar", "tar"),
    ("objcopy", "binutils"),
    ("wget", "wget"),
];

const COMPILER_PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];
/// For building bpf-linker with the LLVM that rustc-web carries.
const LINKER_PACKAGES: [&str; 4] = ["llvm-22-dev", "g++", "zlib1g-dev", "libzstd-dev"];
const LINKER_INSTALL: [&str; 7] = [
    "install",
    "bpf-linker",
    "--version=0.13.0",
    "--locked",
    "--no-default-features",
    "--features=llvm-22",
    "--quiet",
];
const LLVM_PREFIX: &str = "/usr/lib/llvm-22";

pub(crate) fn run(args: &Args) -> Result<()> {
    if !ensure(args)? {
        progress("nothing to do");
    }
    Ok(())
}

/// What this machine lacks.
#[derive(Debug, Default, PartialEq, Eq)]
struct Need {
    packages: Vec<&'static str>,
    linker: bool,
}

impl Need {
    fn of(machine: &Machine) -> Self {
        let mut need = Self {
            packages: machine.programs.clone(),
            linker: false,
        };
        if machine.toolchain == Some(Missing::Compiler) {
            need.packages.extend(COMPILER_PACKAGES);
        }
        // Without a compiler nothing is known about linkers: the one that is there may do.
        need.linker = match &machine.toolchain {
            Some(Missing::Linker { .. }) => true,
            Some(Missing::Compiler) => !machine.has_linker,
            None => false,
        };
        if need.linker {
            need.packages.extend(LINKER_PACKAGES);
        }
        need
    }

    fn is_empty(&self) -> bool {
        self.packages.is_empty() && !self.linker
    }
}

struct Machine {
    /// Packages of missing programs.
    programs: Vec<&'static str>,
    toolchain: Option<Missing>,
    has_linker: bool,
}

impl Machine {
    fn inspect(cache: &Path) -> Self {
        Self {
            programs: PROGRAMS
                .into_iter()
                .filter(|(program, _)| exec::find_on_path(program).is_none())
                .map(|(_, package)| package)
                .collect(),
            toolchain: toolchain::find(cache).err(),
            has_linker: exec::find_on_path("bpf-linker").is_some()
                || toolchain::tools(cache).join("bin/bpf-linker").exists(),
        }
    }
}

/// Installs what is missing, and says whether anything was.
pub(crate) fn ensure(args: &Args) -> Result<bool> {
    let cache = paths::cache()?;
    let need = Need::of(&Machine::inspect(&cache));
    if need.is_empty() {
        return Ok(false);
    }
    let what = describe(&need);
    if !is_debian_like(&fs::read_to_string("/etc/os-release").unwrap_or_default()) {
        bail!("only Debian's packages are known here; install by other means:\n{what}");
    }
    if !rustix::process::geteuid().is_root() && !args.yes {
        ask(&what)?;
    }
    let system = System::here();
    system.install(&need.packages)?;
    // A compiler that has just come may need another linker than the one that was there.
    let need = Need::of(&Machine::inspect(&cache));
    if need.linker {
        system.install(&LINKER_PACKAGES)?;
        install_linker(&cache)?;
    }
    let need = Need::of(&Machine::inspect(&cache));
    if !need.is_empty() {
        bail!(
            "after installing, this machine still lacks:\n{}",
            describe(&need)
        );
    }
    Ok(true)
}

fn describe(need: &Need) -> String {
    let mut text = format!("  Debian packages: {}", need.packages.join(" "));
    if need.linker {
        text.push_str(&format!(
            "\n  bpf-linker: LLVM_PREFIX={LLVM_PREFIX} cargo {}",
            LINKER_INSTALL.join(" ")
        ));
    }
    text
}

fn ask(what: &str) -> Result<()> {
    if !io::stdin().is_terminal() {
        bail!("missing on this machine:\n{what}\nrun `cargo xtask setup --yes` to install it");
    }
    eprint!("To be installed:\n{what}\nGo on? [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if !matches!(answer.trim(), "y" | "Y" | "yes") {
        bail!("nothing was installed");
    }
    Ok(())
}

fn install_linker(cache: &Path) -> Result<()> {
    progress("building bpf-linker (a minute or two, once)");
    exec::run(
        cargo::command()
            .args(LINKER_INSTALL)
            .arg("--force")
            .arg("--root")
            .arg(toolchain::tools(cache))
            .env("LLVM_PREFIX", LLVM_PREFIX)
            // Its executable would otherwise land among this project's own.
            .env_remove("CARGO_TARGET_DIR")
            .stdout(io::stderr()),
    )
    .context("cannot install bpf-linker")
}

/// os-release(5): `ID=debian`, or a derivative that names debian in `ID_LIKE`.
fn is_debian_like(os_release: &str) -> bool {
    os_release
        .lines()
        .filter_map(|line| line.split_once('='))
        .filter(|(key, _)| matches!(*key, "ID" | "ID_LIKE"))
        .any(|(_, value)| {
            value
                .trim_matches('"')
                .split_whitespace()
                .any(|id| id == "debian")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(toolchain: Option<Missing>, has_linker: bool) -> Machine {
        Machine {
            programs: Vec::new(),
            toolchain,
            has_linker,
        }
    }

    #[test]
    fn a_complete_machine_needs_nothing() {
        assert!(Need::of(&machine(None, true)).is_empty());
    }

    #[test]
    fn a_bare_machine_needs_compiler_and_linker() {
        let mut bare = machine(Some(Missing::Compiler), false);
        bare.programs.push("xz-utils");
        let need = Need::of(&bare);
        assert!(need.linker);
        assert_eq!(need.packages[..2], ["xz-utils", "rustc-web"]);
        assert!(need.packages.contains(&"llvm-22-dev"));
    }

    #[test]
    fn a_linker_that_is_there_is_kept() {
        let need = Need::of(&machine(Some(Missing::Compiler), true));
        assert!(!need.linker);
        assert_eq!(need.packages, COMPILER_PACKAGES);
    }

    #[test]
    fn debian_and_its_derivatives() {
        assert!(is_debian_like("NAME=x\nID=debian\nVERSION_ID=\"12\"\n"));
        assert!(is_debian_like("ID=other\nID_LIKE=\"ubuntu debian\"\n"));
        assert!(!is_debian_like(
            "ID=fedora\nHOME_URL=\"https://debian.example\"\n"
        ));
    }
}
