//! `cargo xtask test` on the host with a parser of line protocol that has nothing to do with Rust: a package
//! of PyPI, and Debian 12's Python to run it. Both are unpacked into the cache and never installed.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{arch::ARCH, debian::apt::Apt, exec, paths};

/// Python with pip, and the libraries that not every machine has.
const PACKAGES: [&str; 8] = [
    "python3.11-minimal",
    "libpython3.11-minimal",
    "libpython3.11-stdlib",
    "python3-distutils",
    "python3-pip",
    "libexpat1",
    "libssl3",
    "zlib1g",
];

/// What of them the interpreter itself is linked with; pip alone needs the others.
const KEPT: [&str; 2] = ["libexpat.so.1", "libz.so.1"];

/// The parser, as pip's requirements file names it; pip refuses a file with another checksum.
const PARSER: &str = "line-protocol-parser==2.0.1 \
    --hash=sha256:1959aa1186203644e72144f67d1c16997a765fd6bde4c44682160b040d3b85b8\n";

/// Raised when the lists above or the steps below change.
const LAYOUT: &str = "1";

/// Where the tests look for the interpreter.
pub(crate) const VARIABLE: &str = "IPVS_SAMPLER_PYTHON";

/// The folder with the interpreter and the parser, from the cache or fetched.
pub(crate) fn get() -> Result<PathBuf> {
    paths::cached(
        &format!("python-{LAYOUT}"),
        "Python and its parser of line protocol (about 8 MB)",
        fetch,
    )
}

fn fetch(work: &Path, dir: &Path) -> Result<()> {
    let apt = Apt::debian_12(work)?;
    let root = work.join("root");
    apt.unpack(&PACKAGES.map(str::to_owned), &root)?;
    let wheel = download(work, &root)?;
    let kept = work.join("kept");
    let modules = kept.join("lib/python3.11");
    fs::create_dir_all(kept.join("bin"))?;
    fs::create_dir_all(kept.join("lib"))?;
    fs::rename(root.join("usr/bin/python3.11"), kept.join("bin/python3.11"))?;
    fs::rename(root.join("usr/lib/python3.11"), &modules)?;
    for name in KEPT {
        let from = libraries(&root).map(|path| path.join(name));
        let from = from.iter().find(|path| path.exists());
        let from = from.with_context(|| format!("no {name} in the packages"))?;
        // Not renamed: the library is a link to a file that has its version in its name.
        fs::copy(from, kept.join("lib").join(name))?;
    }
    // A wheel is a zip file. Beside the library's own modules the parser is found without a setting.
    let kept_python = || python(&kept, &[kept.join("lib")]);
    exec::capture(
        kept_python()?
            .args(["-m", "zipfile", "-e"])
            .args([&wheel, &modules]),
    )?;
    // It has to run here, whatever machine this is.
    exec::capture(kept_python()?.args(["-c", "import json, line_protocol_parser"]))?;
    fs::rename(&kept, dir)?;
    fs::remove_dir_all(work)?;
    Ok(())
}

/// Has pip fetch the parser, from where this machine's configuration of pip says.
fn download(work: &Path, root: &Path) -> Result<PathBuf> {
    let requirements = work.join("requirements.txt");
    fs::write(&requirements, PARSER)?;
    let wheels = work.join("wheels");
    fs::create_dir(&wheels)?;
    let mut command = python(&root.join("usr"), &libraries(root))?;
    command
        .arg(root.join("usr/lib/python3/dist-packages/pip"))
        .args(["download", "--quiet", "--disable-pip-version-check"])
        .args(["--no-cache-dir", "--retries=1", "--no-deps"])
        .args(["--only-binary=:all:", "--require-hashes"])
        .arg("--requirement")
        .arg(requirements)
        .arg("--dest")
        .arg(&wheels);
    exec::capture_as("pip download", &mut command)?;
    let wheel = fs::read_dir(&wheels)?.next();
    Ok(wheel.context("pip downloaded nothing")??.path())
}

/// Where the packages have their libraries.
fn libraries(root: &Path) -> [PathBuf; 2] {
    ["usr/lib", "lib"].map(|path| root.join(path).join(ARCH.multiarch))
}

/// The interpreter below `prefix`; nothing of the machine's own Python or of the user's has a say.
fn python(prefix: &Path, libraries: &[PathBuf]) -> Result<Command> {
    let mut command = Command::new(prefix.join("bin/python3.11"));
    command
        .args(["-I", "-S", "-B"])
        .env("LD_LIBRARY_PATH", env::join_paths(libraries)?);
    Ok(command)
}
