//! `cargo xtask ebpf` and `cargo xtask build`: make one file, and print its path.

use anyhow::Result;

use crate::{
    build::{Built, PROGRAM},
    ebpf,
    paths::Workspace,
};

pub(crate) fn object() -> Result<()> {
    let object = ebpf::build(&Workspace::find()?)?;
    println!("{}", object.display());
    Ok(())
}

pub(crate) fn program() -> Result<()> {
    let built = Built::program(&Workspace::find()?)?;
    println!("{}", built.find(PROGRAM)?.display());
    Ok(())
}
