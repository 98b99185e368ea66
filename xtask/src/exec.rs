//! Runs other programs, and says which one failed and what it printed.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

/// Tells the user what is going on; standard output is kept for results.
pub(crate) fn progress(message: impl AsRef<str>) {
    eprintln!("xtask: {}", message.as_ref());
}

/// Runs a program whose output the user shall see.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start `{}`", show(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", show(command));
    }
    Ok(())
}

/// Runs a program and returns its standard output; on failure the error carries both streams.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    capture_as(&show(command), command)
}

/// As `capture`, with a name of the caller's choice for the command.
pub(crate) fn capture_as(name: &str, command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{name}`"))?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let words = format!("{}\n{}", stdout.trim(), stderr.trim());
        bail!("`{name}` failed ({}): {}", output.status, words.trim());
    }
    Ok(stdout.into_owned())
}

/// The command as a person would type it.
fn show(command: &Command) -> String {
    let words: Vec<_> = [command.get_program()]
        .into_iter()
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect();
    words.join(" ")
}

/// The file that `name` would run.
pub(crate) fn find_on_path(name: &str) -> Option<PathBuf> {
    // A user's PATH often lacks the sbin directories, where Debian keeps depmod.
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")])
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

/// `cargo` of the toolchain that runs this program, without what `cargo run` set for it alone.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        if describes_running_package(&name) {
            command.env_remove(name);
        }
    }
    command
}

/// Another toolchain's `cargo`: nothing of ours may choose its compiler, flags or folders.
pub(crate) fn foreign_cargo(cargo: &Path) -> Command {
    let mut command = Command::new(cargo);
    for (name, _) in env::vars_os() {
        if describes_running_package(&name) || selects_toolchain(&name) {
            command.env_remove(name);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_carries_the_programs_words() {
        let error = capture(Command::new("sh").args(["-c", "echo why >&2; exit 3"])).unwrap_err();
        assert!(error.to_string().contains("why"), "{error}");
    }

    #[test]
    fn only_the_outer_toolchain_is_dropped() {
        assert!(selects_toolchain(OsStr::new("CARGO_TARGET_DIR")));
        assert!(selects_toolchain(OsStr::new("RUSTUP_TOOLCHAIN")));
        assert!(!selects_toolchain(OsStr::new("CARGO_HOME")));
        assert!(!selects_toolchain(OsStr::new("CARGO_HTTP_TIMEOUT")));
    }
}
