//! `cargo xtask package-test`: what `dist` makes, tested.

use anyhow::Result;

use super::setup;
use crate::{guest::terminal, package, paths::Workspace, report::conclude};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    setup: setup::Args,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    setup::ensure(&args.setup)?;
    let interrupted = terminal::interruption()?;
    conclude(&package::reports(&Workspace::find()?, &interrupted)?)
}
