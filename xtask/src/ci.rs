//! `cargo xtask ci`: everything that a change must pass, from the quickest on.

use anyhow::Result;

use crate::{exec, exec::progress, paths::Workspace, setup, test, tidy};

pub(crate) fn run() -> Result<()> {
    progress("format");
    exec::run(exec::cargo().args(["fmt", "--all", "--check"]))?;
    exec::run(
        exec::cargo()
            .args(["fmt", "--check"])
            .current_dir(Workspace::find()?.root.join("ipvs-sampler-ebpf")),
    )?;
    progress("structure");
    tidy::run()?;
    progress("lints");
    exec::run(exec::cargo().args([
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--",
        "-Dwarnings",
    ]))?;
    progress("documentation");
    exec::run(
        exec::cargo()
            .args(["doc", "--quiet", "--workspace", "--no-deps"])
            .env("RUSTDOCFLAGS", "-Dwarnings"),
    )?;
    setup::ensure(&setup::Args::unattended())?;
    test::run(&test::Args::default())
}
