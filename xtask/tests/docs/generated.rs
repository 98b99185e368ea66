//! The pages that are made from tables and options are what would be made now. `cargo xtask docs` has this target
//! write them.

use std::{env, fs};

use crate::{metrics, options, pages::root};

/// Set by `cargo xtask docs`.
const WRITE: &str = "IPVS_SAMPLER_WRITE_DOCS";

fn hold(path: &str, text: &str) {
    let file = root().join(path);
    if env::var_os(WRITE).is_some() {
        fs::write(&file, text).unwrap();
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    let differs = found
        .lines()
        .zip(text.lines())
        .position(|(is, made)| is != made);
    let line = 1 + differs.unwrap_or(found.lines().count().min(text.lines().count()));
    assert!(
        found == text,
        "{path} is out of date from line {line} on; run `cargo xtask docs`\n  has:   {}\n  would: {}",
        found.lines().nth(line - 1).unwrap_or_default(),
        text.lines().nth(line - 1).unwrap_or_default(),
    );
}

#[test]
fn metrics_are_those_of_the_tables() {
    hold("docs/metrics.md", &metrics::page());
}

#[test]
fn options_are_those_of_the_command_line() {
    hold("docs/options.md", &options::page());
}
