//! Puts the eBPF object where the library embeds it from.
//!
//! `cargo xtask build` compiles the object and names it in `IPVS_SAMPLER_EBPF_OBJECT`. Without
//! that, an empty file stands in: checks, lints and unit tests need no eBPF toolchain, and a binary
//! built so says what it lacks when its probe is asked for.

use std::{env, fs, path::PathBuf, process::ExitCode};

const OBJECT: &str = "IPVS_SAMPLER_EBPF_OBJECT";

fn main() -> ExitCode {
    println!("cargo::rerun-if-env-changed={OBJECT}");
    println!("cargo::rerun-if-changed=build.rs");
    let Some(folder) = env::var_os("OUT_DIR") else {
        println!("cargo::error=OUT_DIR is not set: run this through cargo");
        return ExitCode::FAILURE;
    };
    let embedded = PathBuf::from(folder).join("ipvs-sampler-ebpf.o");
    let written = match env::var_os(OBJECT) {
        Some(object) => {
            println!("cargo::rerun-if-changed={}", object.display());
            fs::copy(&object, &embedded).map(|_| ()).map_err(|error| {
                format!(
                    "cannot copy {} ({OBJECT}): {error}; `cargo xtask build` makes the object and \
                     sets the variable",
                    object.display()
                )
            })
        }
        None => fs::write(&embedded, []).map_err(|error| error.to_string()),
    };
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            println!("cargo::error={message}");
            ExitCode::FAILURE
        }
    }
}
