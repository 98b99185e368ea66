//! `cargo xtask ci`: everything that a change must pass, from the quickest on.

use anyhow::Result;

use super::{setup, test};
use crate::{cargo, ebpf, exec, exec::progress, paths::Workspace, tidy};

pub(crate) fn run() -> Result<()> {
    let workspace = Workspace::find()?;
    progress("format");
    exec::run(cargo::command().args(["fmt", "--all", "--check"]))?;
    exec::run(
        cargo::command()
            .args(["fmt", "--check"])
            .current_dir(workspace.root.join(ebpf::CRATE)),
    )?;
    progress("structure");
    tidy::run()?;
    progress("lints");
    exec::run(cargo::command().args([
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--",
        "-Dwarnings",
    ]))?;
    ebpf::lint(&workspace)?;
    progress("documentation");
    exec::run(
        cargo::command()
            .args(["doc", "--quiet", "--workspace", "--no-deps"])
            .env("RUSTDOCFLAGS", "-Dwarnings"),
    )?;
    setup::ensure(&setup::Args::unattended())?;
    test::run(&test::Args::default())
}
