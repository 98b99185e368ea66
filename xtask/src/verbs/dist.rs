//! `cargo xtask dist`: makes all that is handed out, and prints the folder.

use anyhow::Result;

use crate::{dist, paths::Workspace};

pub(crate) fn run() -> Result<()> {
    let dist = dist::make(&Workspace::find()?)?;
    println!("{}", dist.dir.display());
    Ok(())
}
