//! Debian's stock kernels: fetched once, kept in the cache, never installed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;

use crate::{
    arch::ARCH,
    debian::{apt::Apt, modules},
    exec::progress,
    paths,
};

/// A kernel series that ipvs-sampler is tested on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Series {
    #[value(name = "5.10")]
    V5_10,
    #[value(name = "6.1")]
    V6_1,
    #[value(name = "6.12")]
    V6_12,
    #[value(name = "7.2")]
    V7_2,
}

impl Series {
    pub(crate) const ALL: [Self; 4] = [Self::V5_10, Self::V6_1, Self::V6_12, Self::V7_2];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::V5_10 => "5.10",
            Self::V6_1 => "6.1",
            Self::V6_12 => "6.12",
            Self::V7_2 => "7.2",
        }
    }

    /// The suites whose metapackage is of this series; apt takes the newest of them.
    fn suites(self) -> &'static [&'static str] {
        match self {
            Self::V5_10 => &["bullseye", "bullseye-security"],
            Self::V6_1 => &["bookworm", "bookworm-security"],
            Self::V6_12 => &["trixie", "trixie-security"],
            // Debian's development suite: it moves on, and then this series is to be had no more.
            Self::V7_2 => &["sid"],
        }
    }

    /// Whether a test run without this kernel is a failed one.
    pub(crate) fn required(self) -> bool {
        matches!(self, Self::V6_1 | Self::V6_12)
    }
}

/// A kernel ready to boot.
pub(crate) struct Kernel {
    pub(crate) series: Series,
    /// As `uname -r` says it.
    pub(crate) release: String,
    /// Where everything made from this kernel is kept.
    pub(crate) dir: PathBuf,
}

/// Raised when what is written to the cache changes, so that older content is made again.
const LAYOUT: &str = "1";

impl Kernel {
    /// Takes the kernel from the cache, or fetches it. A cached kernel needs no network.
    pub(crate) fn get(series: Series) -> Result<Self> {
        let dir = paths::cache()?.join("kernels").join(series.name());
        let release = match cached_release(&dir) {
            Some(release) => release,
            None => fetch_once(series, &dir)?,
        };
        Ok(Self {
            series,
            release,
            dir,
        })
    }

    pub(crate) fn image(&self) -> PathBuf {
        self.dir.join("vmlinuz")
    }

    /// Holds `lib/modules/RELEASE`.
    pub(crate) fn modules(&self) -> PathBuf {
        self.dir.join("modules")
    }
}

fn cached_release(dir: &Path) -> Option<String> {
    let ready = fs::read_to_string(dir.join("ready")).ok()?;
    let (layout, release) = ready.trim().split_once(' ')?;
    (layout == LAYOUT).then(|| release.to_owned())
}

fn fetch_once(series: Series, dir: &Path) -> Result<String> {
    let lock = paths::lock_cache()?;
    // Another run may have fetched it in the meantime.
    if let Some(release) = cached_release(dir) {
        return Ok(release);
    }
    let work = paths::work_place(&lock)?;
    progress(format!(
        "fetching kernel {} (about 100 MB, once)",
        series.name()
    ));
    fetch(series, &work, dir).with_context(|| format!("cannot fetch kernel {}", series.name()))
}

/// Fetches next to the final place and renames at the end: what is there is complete.
fn fetch(series: Series, work: &Path, dir: &Path) -> Result<String> {
    let apt = Apt::new(&work.join("apt"), series.suites())?;
    // One suite of two may be gone (archived) while the other serves: only a package that
    // cannot be resolved is an error, and then apt's complaint about the suites explains it.
    let update = apt.update();
    let unpacked = work.join("unpacked");
    let fetched = packages(&apt, series).and_then(|names| apt.unpack(&names, &unpacked));
    if let (Err(complaint), Err(error)) = (update, &fetched) {
        bail!("{error:#}; before that: {complaint:#}");
    }
    fetched?;

    let (modules, release) = find_modules(&unpacked)?;
    let ready = work.join("ready");
    fs::create_dir(&ready)?;
    let image = [
        unpacked.join(format!("boot/vmlinuz-{release}")),
        modules.join("vmlinuz"),
    ]
    .into_iter()
    .find(|path| path.is_file())
    .with_context(|| format!("the packages of {release} hold no vmlinuz"))?;
    fs::copy(image, ready.join("vmlinuz"))?;
    modules::stage(&modules, &ready.join("modules"), &release)?;
    fs::write(ready.join("ready"), format!("{LAYOUT} {release}\n"))?;
    if dir.exists() {
        fs::remove_dir_all(dir)?;
    }
    if let Some(parent) = dir.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::rename(&ready, dir)?;
    fs::remove_dir_all(work)?;
    Ok(release)
}

/// The packages that hold the kernel, from the suite's metapackage on. Until 7.1 the image
/// package holds everything; later it depends on linux-binary-… and linux-modules-….
fn packages(apt: &Apt, series: Series) -> Result<Vec<String>> {
    let mut found: Vec<String> = Vec::new();
    let mut open = vec![format!("linux-image-{}", ARCH.debian)];
    let suffix = format!("-{}", ARCH.debian);
    while let Some(package) = open.pop() {
        for name in apt.depends(&package)? {
            if name.starts_with("linux-") && name.ends_with(&suffix) && !found.contains(&name) {
                found.push(name.clone());
                open.push(name);
            }
        }
    }
    let wanted = format!("linux-image-{}.", series.name());
    if !found.iter().any(|name| name.starts_with(&wanted)) {
        bail!(
            "Debian now offers {} in place of a {} kernel",
            found.join(", "),
            series.name()
        );
    }
    Ok(found)
}

/// The one `lib/modules/RELEASE` in the unpacked packages, and the release.
fn find_modules(unpacked: &Path) -> Result<(PathBuf, String)> {
    for base in ["lib/modules", "usr/lib/modules"] {
        let Ok(entries) = fs::read_dir(unpacked.join(base)) else {
            continue;
        };
        for entry in entries {
            let path = entry?.path();
            if path.join("kernel").is_dir()
                && let Some(release) = path.file_name().and_then(|name| name.to_str())
            {
                return Ok((path.clone(), release.to_owned()));
            }
        }
    }
    bail!("the packages hold no lib/modules/RELEASE/kernel")
}
