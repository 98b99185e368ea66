//! Runs other programs, and says which one failed and what it printed.

use std::{
    env,
    ffi::OsStr,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Command, ExitStatus, Stdio},
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

/// Runs a program and hands over each line of its standard output as it comes.
pub(crate) fn each_line(command: &mut Command, mut heard: impl FnMut(&str)) -> Result<ExitStatus> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", show(command)))?;
    let stdout = child.stdout.take().context("no standard output")?;
    for line in BufReader::new(stdout).lines() {
        heard(&line?);
    }
    Ok(child.wait()?)
}

/// The command as a person would type it.
pub(crate) fn show(command: &Command) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_carries_the_programs_words() {
        let error = capture(Command::new("sh").args(["-c", "echo why >&2; exit 3"])).unwrap_err();
        assert!(error.to_string().contains("why"), "{error}");
    }
}
