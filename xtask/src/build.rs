//! Static binaries, the eBPF object inside: of the program, and of what runs in guests.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{cargo, ebpf, exec, exec::progress, paths::Workspace};

/// The program's package, and its executable.
pub(crate) const PROGRAM: &str = "ipvs-sampler";
/// The executable that is the guest's first process.
pub(crate) const INIT: &str = "guest-init";
/// The package that it belongs to, as all tests that are not a crate's own.
pub(crate) const TESTS: &str = "ipvs-sampler-tests";

/// Executables that cargo made, by target name.
pub(crate) struct Built(Vec<(String, PathBuf)>);

impl Built {
    /// The program alone.
    pub(crate) fn program(workspace: &Workspace) -> Result<Self> {
        static_release(
            workspace,
            &[format!("--package={PROGRAM}"), format!("--bin={PROGRAM}")],
        )
    }

    /// What a guest runs: the program, `INIT`, and one target of the tests when it is named.
    pub(crate) fn for_guest(workspace: &Workspace, test: Option<&str>) -> Result<Self> {
        let packages = [PROGRAM, TESTS].map(|name| format!("--package={name}"));
        let binaries = [PROGRAM, INIT].map(|name| format!("--bin={name}"));
        let test = test.map(|name| format!("--test={name}"));
        let targets: Vec<_> = packages.into_iter().chain(binaries).chain(test).collect();
        static_release(workspace, &targets)
    }

    pub(crate) fn find(&self, name: &str) -> Result<&Path> {
        self.0
            .iter()
            .find(|(target, _)| target == name)
            .map(|(_, path)| path.as_path())
            .with_context(|| format!("cargo built no executable `{name}`"))
    }
}

/// Builds targets that need no library of the machine they run on.
fn static_release(workspace: &Workspace, targets: &[String]) -> Result<Built> {
    let object = ebpf::build(workspace)?;
    progress("building static binaries");
    let mut command = cargo::command();
    command
        .args(["build", "--release"])
        // With a target named, flags reach only what is built for it, not build scripts and
        // macros; and the results stay apart from plain builds.
        .args(["--target", &host()?])
        .args(targets)
        .env("CARGO_ENCODED_RUSTFLAGS", flags())
        .env(ebpf::VARIABLE, object);
    cargo::executables(&mut command).map(Built)
}

/// The user's own flags, with static linking added.
fn flags() -> String {
    let own = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_else(|_| {
        let flags = env::var("RUSTFLAGS").unwrap_or_default();
        flags.split_whitespace().collect::<Vec<_>>().join("\u{1f}")
    });
    let separator = if own.is_empty() { "" } else { "\u{1f}" };
    format!("{own}{separator}-Ctarget-feature=+crt-static")
}

fn host() -> Result<String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let about = exec::capture(Command::new(rustc).arg("-vV"))?;
    about
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .context("`rustc -vV` names no host")
}
