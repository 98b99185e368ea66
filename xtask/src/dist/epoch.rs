//! The time that all packed files get, as reproducible-builds.org has it.

use std::{env, path::Path, process::Command};

use anyhow::{Context as _, Result};

use crate::exec;

/// `SOURCE_DATE_EPOCH`, or when the sources were last committed.
pub(crate) fn find(root: &Path) -> Result<u64> {
    let text = match env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text,
        Err(_) => exec::capture(
            Command::new("git")
                .args(["log", "-1", "--format=%ct"])
                .current_dir(root),
        )
        .context("no time to give to packed files; set SOURCE_DATE_EPOCH to seconds since 1970")?,
    };
    text.trim()
        .parse()
        .with_context(|| format!("SOURCE_DATE_EPOCH is `{}`, not a number", text.trim()))
}

/// An epoch in the words of date(1).
pub(crate) fn format(epoch: u64, format: &str) -> Result<String> {
    let text = exec::capture(
        Command::new("date")
            .args(["--utc", &format!("--date=@{epoch}"), format])
            .env("LC_ALL", "C"),
    )?;
    Ok(text.trim().to_owned())
}
