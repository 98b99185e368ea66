//! `cargo xtask test` on the host against real servers: Debian 12's own, unpacked into the cache and never
//! installed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{arch::ARCH, debian::apt::Apt, exec, paths};

/// The servers, and the one library that not every machine has.
const PACKAGES: [&str; 4] = ["influxdb", "victoria-metrics", "prometheus", "libzstd1"];

/// What of the packages is kept.
const KEPT: [&str; 4] = [
    "usr/bin/influxd",
    "usr/bin/prometheus",
    "usr/bin/promtool",
    "usr/bin/victoria-metrics",
];

/// And of its libraries.
const LIBRARY: &str = "libzstd.so.1";

/// Raised when the lists above change.
const LAYOUT: &str = "1";

/// Where the tests look for the programs.
pub(crate) const VARIABLE: &str = "IPVS_SAMPLER_SERVERS";

/// The folder with the servers' programs and libraries, from the cache or fetched.
pub(crate) fn get() -> Result<PathBuf> {
    paths::cached(
        &format!("servers-{LAYOUT}"),
        "InfluxDB, VictoriaMetrics and Prometheus (about 50 MB)",
        fetch,
    )
}

/// Whether the tests have to run here: on the Debian that the packages are of.
pub(crate) fn required() -> bool {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    is_their_debian(&release)
}

fn is_their_debian(release: &str) -> bool {
    let has = |wanted: &str| release.lines().any(|line| line.replace('"', "") == wanted);
    has("ID=debian") && has("VERSION_ID=12")
}

fn fetch(work: &Path, dir: &Path) -> Result<()> {
    let apt = Apt::debian_12(work)?;
    let root = work.join("root");
    apt.unpack(&PACKAGES.map(str::to_owned), &root)?;
    let kept = work.join("kept");
    fs::create_dir(&kept)?;
    let library = ARCH.library(LIBRARY);
    for path in KEPT.into_iter().chain([&*library]) {
        let from = root.join(path);
        let name = from.file_name().context("a path without a name")?;
        // Not renamed: the library is a link to a file that has its version in its name.
        fs::copy(&from, kept.join(name)).with_context(|| format!("no {path} in the packages"))?;
    }
    // They have to run here, whatever machine this is.
    for program in ["prometheus", "promtool", "victoria-metrics"] {
        run(&kept, program, "--version")?;
    }
    run(&kept, "influxd", "version")?;
    fs::rename(&kept, dir)?;
    fs::remove_dir_all(work)?;
    Ok(())
}

fn run(dir: &Path, program: &str, argument: &str) -> Result<()> {
    exec::capture(command(dir, program).arg(argument)).map(drop)
}

/// One of the programs in the folder, with the libraries beside it.
pub(crate) fn command(dir: &Path, program: &str) -> Command {
    let mut command = Command::new(dir.join(program));
    command.env("LD_LIBRARY_PATH", dir);
    command
}

#[cfg(test)]
mod tests {
    use super::is_their_debian;

    #[test]
    fn only_debian_12_has_to_run_them() {
        assert!(is_their_debian("ID=debian\nVERSION_ID=\"12\"\n"));
        assert!(!is_their_debian("ID=debian\nVERSION_ID=\"13\"\n"));
        assert!(!is_their_debian(
            "ID=ubuntu\nVERSION_ID=\"12\"\nID_LIKE=debian\n"
        ));
        assert!(!is_their_debian(""));
    }
}
