//! `cargo xtask ebpf`: builds the programs that run inside the kernel.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow};

use crate::{exec, exec::progress, paths, paths::Workspace, toolchain};

const TARGET: &str = "bpfel-unknown-none";
const CRATE: &str = "ipvs-sampler-ebpf";

/// The architecture selects aya-ebpf's register layout; debug information is what bpf-linker
/// turns into BTF.
const RUSTFLAGS: [&str; 3] = [
    "--cfg=bpf_target_arch=\"x86_64\"",
    "-Cdebuginfo=2",
    "-Clink-arg=--btf",
];

pub(crate) fn run() -> Result<()> {
    let object = build(&Workspace::find()?)?;
    println!("{}", object.display());
    Ok(())
}

/// Builds the object and returns its absolute path.
pub(crate) fn build(workspace: &Workspace) -> Result<PathBuf> {
    build_crate(&workspace.root.join(CRATE), &workspace.target.join("ebpf"))
}

fn build_crate(krate: &Path, target: &Path) -> Result<PathBuf> {
    let toolchain = toolchain::find(&paths::cache()?).map_err(|missing| {
        anyhow!("cannot build the eBPF object without {missing}: run `cargo xtask setup`")
    })?;
    progress("building the eBPF object");
    // rustc runs the linker by name.
    let linker_dir = toolchain
        .linker
        .parent()
        .context("bpf-linker has no directory")?;
    let path = env::join_paths(
        [linker_dir.to_owned()]
            .into_iter()
            .chain(env::split_paths(&env::var_os("PATH").unwrap_or_default())),
    )?;
    exec::run(
        exec::foreign_cargo(&toolchain.cargo)
            .current_dir(krate)
            .args([
                "build",
                "--quiet",
                "--release",
                "--target",
                TARGET,
                "-Z",
                "build-std=core",
            ])
            .env("CARGO_TARGET_DIR", target)
            .env("CARGO_ENCODED_RUSTFLAGS", RUSTFLAGS.join("\u{1f}"))
            .env("RUSTC", &toolchain.rustc)
            // build-std is an unstable option, and Debian's compiler is a stable one.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("PATH", path),
    )
    .with_context(|| format!("cannot build {}", krate.display()))?;
    Ok(target.join(TARGET).join("release").join(CRATE))
}
