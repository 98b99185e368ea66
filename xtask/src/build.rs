//! `cargo xtask build`, and the static builds that the guest runs.

use std::{
    env,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{ebpf, exec, exec::progress, paths::Workspace};

pub(crate) fn run() -> Result<()> {
    let workspace = Workspace::find()?;
    let object = ebpf::build(&workspace)?;
    let built = static_release(&object, &["-p", "ipvs-sampler", "--bin", "ipvs-sampler"])?;
    println!("{}", built.find("ipvs-sampler")?.display());
    Ok(())
}

/// Executables that cargo made, by target name.
pub(crate) struct Built(Vec<(String, PathBuf)>);

impl Built {
    pub(crate) fn find(&self, name: &str) -> Result<&Path> {
        self.0
            .iter()
            .find(|(target, _)| target == name)
            .map(|(_, path)| path.as_path())
            .with_context(|| format!("cargo built no executable `{name}`"))
    }
}

/// Builds targets that need no library of the machine they run on, the eBPF object inside.
pub(crate) fn static_release(object: &Path, targets: &[&str]) -> Result<Built> {
    progress("building static binaries");
    let mut child = exec::cargo()
        .args([
            "build",
            "--release",
            "--message-format=json-render-diagnostics",
        ])
        // With a target named, flags reach only what is built for it, not build scripts and
        // macros; and the results stay apart from plain builds.
        .args(["--target", &host()?])
        .args(targets)
        .env("CARGO_ENCODED_RUSTFLAGS", flags())
        .env("IPVS_SAMPLER_EBPF_OBJECT", object)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let stdout = child
        .stdout
        .take()
        .context("cargo has no standard output")?;
    let mut executables = Vec::new();
    for line in BufReader::new(stdout).lines() {
        executables.extend(executable(&line?));
    }
    if !child.wait()?.success() {
        bail!("cargo could not build {}", targets.join(" "));
    }
    Ok(Built(executables))
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

/// The name and path in one of cargo's `compiler-artifact` messages.
fn executable(message: &str) -> Option<(String, PathBuf)> {
    let message: Value = serde_json::from_str(message).ok()?;
    let path = message["executable"].as_str()?;
    Some((message["target"]["name"].as_str()?.to_owned(), path.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_in_cargos_messages() {
        let binary = r#"{"reason":"compiler-artifact","target":{"name":"kernel"},"executable":"/t/kernel-1"}"#;
        let library = r#"{"reason":"compiler-artifact","target":{"name":"lib"},"executable":null}"#;
        assert_eq!(
            executable(binary),
            Some(("kernel".into(), "/t/kernel-1".into()))
        );
        assert_eq!(executable(library), None);
        assert_eq!(executable("no json"), None);
    }
}
