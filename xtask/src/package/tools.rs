//! Programs that judge what we ship: Debian's own, unpacked into the cache and never installed.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};

use crate::{apt::Apt, exec::progress, paths};

/// A program of a package, from the cache or fetched.
pub(crate) fn get(package: &str, program: &str) -> Result<PathBuf> {
    let dir = paths::cache()?.join("judges").join(package);
    let path = dir.join("usr/bin").join(program);
    if path.is_file() {
        return Ok(path);
    }
    let lock = paths::lock_cache()?;
    // Another run may have fetched it in the meantime.
    if path.is_file() {
        return Ok(path);
    }
    let work = paths::work_place(&lock)?;
    progress(format!("fetching {program} (once)"));
    let apt = Apt::new(&work.join("apt"), &["bookworm"])?;
    apt.update()?;
    let ready = work.join("ready");
    apt.unpack(&[package.to_owned()], &ready)
        .with_context(|| format!("cannot fetch {package}"))?;
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::create_dir_all(dir.parent().context("the cache has no folder")?)?;
    fs::rename(&ready, &dir)?;
    fs::remove_dir_all(work)?;
    Ok(path)
}
