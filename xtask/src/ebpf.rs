//! The programs that run inside the kernel: built, and linted.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow};

use crate::{arch::ARCH, cargo, exec, exec::progress, paths, paths::Workspace, toolchain};

pub(crate) const TARGET: &str = "bpfel-unknown-none";
/// The crate, its folder and its object.
pub(crate) const CRATE: &str = "ipvs-sampler-ebpf";

/// Names the object that build.rs of the program embeds.
pub(crate) const VARIABLE: &str = "IPVS_SAMPLER_EBPF_OBJECT";

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
        cargo::foreign(&toolchain.cargo)
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
            .env(
                "CARGO_ENCODED_RUSTFLAGS",
                flags(&["-Cdebuginfo=2", "-Clink-arg=--btf"]),
            )
            .env("RUSTC", &toolchain.rustc)
            // build-std is an unstable option, and Debian's compiler is a stable one.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("PATH", path),
    )
    .with_context(|| format!("cannot build {}", krate.display()))?;
    Ok(target.join(TARGET).join("release").join(CRATE))
}

/// Lints the crate as if it were for this machine: no compiler brings `core` for eBPF's target ready made, and the
/// one that compiles it may have no clippy. The release profile does without unwinding, as a crate without `std` must.
pub(crate) fn lint(workspace: &Workspace) -> Result<()> {
    exec::run(
        cargo::command()
            .current_dir(workspace.root.join(CRATE))
            .args(["clippy", "--quiet", "--release", "--", "-Dwarnings"])
            .env("CARGO_TARGET_DIR", workspace.target.join("ebpf-lints"))
            .env("CARGO_ENCODED_RUSTFLAGS", flags(&[])),
    )
}

/// The architecture selects aya-ebpf's register layout; debug information is what bpf-linker turns into BTF.
fn flags(more: &[&str]) -> String {
    let architecture = format!("--cfg=bpf_target_arch=\"{}\"", ARCH.machine);
    [&[&*architecture][..], more].concat().join("\u{1f}")
}

#[cfg(test)]
mod tests {
    use super::CRATE;

    #[test]
    fn the_crate_has_the_workspaces_lints() {
        let read = |path: &str| -> toml::Table {
            let path = format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"));
            std::fs::read_to_string(path).unwrap().parse().unwrap()
        };
        let workspace = &read("Cargo.toml")["workspace"]["lints"];
        assert_eq!(workspace, &read(&format!("{CRATE}/Cargo.toml"))["lints"]);
    }
}
