//! `cargo xtask docs`: writes the pages of docs/ that are made from tables and options.
//!
//! The test target `docs` knows how: it holds the pages against the same text. With a variable, it writes them.

use anyhow::Result;

use crate::{cargo, exec};

pub(crate) fn run() -> Result<()> {
    exec::run(
        cargo::command()
            .args(["test", "--quiet", "--package=xtask", "--test=docs"])
            .args(["--", "generated::"])
            .env("IPVS_SAMPLER_WRITE_DOCS", "1"),
    )
}
