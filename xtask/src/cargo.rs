//! Cargo: the one that runs this program, and those of other toolchains.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::exec;

/// `cargo` of the toolchain that runs this program, without what `cargo run` set for it alone.
pub(crate) fn command() -> Command {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    without(cargo.as_ref(), describes_running_package)
}

/// Another toolchain's `cargo`: nothing of ours may choose its compiler, flags or folders.
pub(crate) fn foreign(cargo: &Path) -> Command {
    without(cargo.as_os_str(), |name| {
        describes_running_package(name) || selects_toolchain(name)
    })
}

/// Runs a build that prints JSON messages, and returns the name and path of each executable that was made.
pub(crate) fn executables(command: &mut Command) -> Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    let status = exec::each_line(
        command.arg("--message-format=json-render-diagnostics"),
        |line| found.extend(executable(line)),
    )?;
    if !status.success() {
        bail!("`{}` failed ({status})", exec::show(command));
    }
    Ok(found)
}

/// What `cargo metadata` says, with further arguments.
pub(crate) fn metadata(folder: Option<&Path>, args: &[&str]) -> Result<Value> {
    let mut command = command();
    command.args(["metadata", "--format-version=1"]).args(args);
    if let Some(folder) = folder {
        command.current_dir(folder);
    }
    serde_json::from_str(&exec::capture(&mut command)?).context("`cargo metadata` printed no JSON")
}

fn without(cargo: &OsStr, is_left_out: impl Fn(&OsStr) -> bool) -> Command {
    let mut command = Command::new(cargo);
    for (name, _) in env::vars_os().filter(|(name, _)| is_left_out(name)) {
        command.env_remove(name);
    }
    command
}

/// Variables that `cargo run` sets from the package it runs, which is xtask.
fn describes_running_package(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("CARGO_PKG_")
        || name.starts_with("CARGO_MANIFEST_")
        || matches!(
            &*name,
            "CARGO_BIN_NAME" | "CARGO_CRATE_NAME" | "CARGO_PRIMARY_PACKAGE"
        )
}

/// Variables that bind a build to the outer toolchain. `LD_LIBRARY_PATH` is among them: cargo
/// puts its toolchain's own libraries there for `cargo run`.
fn selects_toolchain(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("CARGO_TARGET_")
        || name.starts_with("CARGO_BUILD_")
        || name.starts_with("CARGO_PROFILE_")
        || matches!(
            &*name,
            "CARGO"
                | "CARGO_ENCODED_RUSTFLAGS"
                | "RUSTFLAGS"
                | "RUSTC"
                | "RUSTC_WRAPPER"
                | "RUSTC_WORKSPACE_WRAPPER"
                | "RUSTC_BOOTSTRAP"
                | "RUSTDOC"
                | "RUSTDOCFLAGS"
                | "RUSTUP_TOOLCHAIN"
                | "LD_LIBRARY_PATH"
        )
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
    fn only_the_outer_toolchain_is_dropped() {
        assert!(selects_toolchain(OsStr::new("CARGO_TARGET_DIR")));
        assert!(selects_toolchain(OsStr::new("RUSTUP_TOOLCHAIN")));
        assert!(!selects_toolchain(OsStr::new("CARGO_HOME")));
        assert!(!selects_toolchain(OsStr::new("CARGO_HTTP_TIMEOUT")));
    }

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
