//! Where things lie: the workspace, cargo's target directory and our cache.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::{cargo, exec::progress};

/// The workspace, as cargo sees it.
pub(crate) struct Workspace {
    /// The directory of the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Cargo's target directory, wherever the user has put it.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Asks cargo, so that configuration files and `CARGO_TARGET_DIR` count.
    pub(crate) fn find() -> Result<Self> {
        let metadata = cargo::metadata(None, &["--no-deps"])?;
        let path = |key: &str| {
            metadata[key]
                .as_str()
                .map(PathBuf::from)
                .with_context(|| format!("`cargo metadata` names no {key}"))
        };
        Ok(Self {
            root: path("workspace_root")?,
            target: path("target_directory")?,
        })
    }
}

/// Where kernels, the guest's userland and tools are kept between runs; created if missing.
pub(crate) fn cache() -> Result<PathBuf> {
    let dir = cache_from(|name| {
        env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    })
    .context("no place for a cache: set IPVS_SAMPLER_CACHE or HOME")?;
    let dir = std::path::absolute(dir)?;
    fs::create_dir_all(&dir).with_context(|| {
        format!(
            "cannot create the cache {}; set IPVS_SAMPLER_CACHE to another",
            dir.display()
        )
    })?;
    Ok(dir)
}

/// Keeps other runs from fetching the same things at the same time, until dropped.
pub(crate) fn lock_cache() -> Result<File> {
    let path = cache()?.join("lock");
    let open = || {
        let file = File::create(&path)?;
        file.lock()?;
        Ok::<_, std::io::Error>(file)
    };
    open().with_context(|| format!("cannot lock {}", path.display()))
}

/// An empty work place in the cache, for the holder of the lock. What a run that was killed has
/// left there is removed.
pub(crate) fn work_place(_lock: &File) -> Result<PathBuf> {
    let dir = cache()?.join("work");
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::create_dir(&dir)?;
    Ok(dir)
}

/// A folder of the cache; where it is missing, `make` makes it in a work place and renames it, so that what
/// is there is complete. `what` says what that is, and how much.
pub(crate) fn cached(
    name: &str,
    what: &str,
    make: impl FnOnce(&Path, &Path) -> Result<()>,
) -> Result<PathBuf> {
    let dir = cache()?.join(name);
    if dir.is_dir() {
        return Ok(dir);
    }
    let lock = lock_cache()?;
    // Another run may have made it in the meantime.
    if !dir.is_dir() {
        let work = work_place(&lock)?;
        progress(format!("fetching {what}, once"));
        make(&work, &dir).with_context(|| format!("cannot fetch {what}"))?;
    }
    Ok(dir)
}

/// Removes what is there of some folders below `root`.
pub(crate) fn prune<'a>(root: &Path, folders: impl Iterator<Item = &'a str>) -> Result<()> {
    for path in folders.map(|folder| root.join(folder)) {
        if path.exists() {
            fs::remove_dir_all(path)?;
        }
    }
    Ok(())
}

fn cache_from(var: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    var("IPVS_SAMPLER_CACHE")
        .or_else(|| Some(var("XDG_CACHE_HOME")?.join("ipvs-sampler")))
        .or_else(|| Some(var("HOME")?.join(".cache/ipvs-sampler")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_variable_wins_then_xdg_then_home() {
        let with = |set: &'static [(&str, &str)]| {
            cache_from(move |name| {
                set.iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| PathBuf::from(value))
            })
        };
        let all = &[
            ("IPVS_SAMPLER_CACHE", "/a"),
            ("XDG_CACHE_HOME", "/b"),
            ("HOME", "/c"),
        ];
        assert_eq!(with(all), Some("/a".into()));
        assert_eq!(with(&all[1..]), Some("/b/ipvs-sampler".into()));
        assert_eq!(with(&all[2..]), Some("/c/.cache/ipvs-sampler".into()));
        assert_eq!(with(&[]), None);
    }
}
