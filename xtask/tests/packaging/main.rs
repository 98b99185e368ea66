//! What lies in packaging/ for operators to copy from: that it is well-formed, and that it speaks of options,
//! fields and metrics that there are.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, helpers included"
)]

mod container;
mod dashboards;
mod kubernetes;
mod names;
mod rules;
mod samples;

use std::{fs, path::PathBuf};

/// A file below packaging/.
fn read(path: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("../packaging").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Fails when `ipvs-sampler` does not take these arguments.
fn check_command_line<'a>(arguments: impl IntoIterator<Item = &'a str>) {
    use clap::Parser as _;
    // As Kubernetes fills them in.
    let fill = |argument: &str| {
        argument
            .replace("$(HOST_IP)", "192.0.2.1")
            .replace("$(NODE_NAME)", "lb1")
    };
    let arguments: Vec<_> = arguments.into_iter().map(fill).collect();
    let program = ["ipvs-sampler".to_owned()];
    let parsed = ipvs_sampler::cli::Cli::try_parse_from(program.iter().chain(&arguments));
    assert!(parsed.is_ok(), "{arguments:?}: {}", parsed.unwrap_err());
}
