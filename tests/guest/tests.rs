//! Runs test binaries, one after the other.

use std::{fs, process::Command};

use crate::{
    artifacts,
    children::{pid_of, wait_for},
    error::Error,
    plan::Plan,
};

/// 0 if all of them passed.
pub(crate) fn run(plan: &Plan) -> Result<i32, Error> {
    fs::create_dir_all(artifacts::DIRECTORY)?;
    let mut code = 0;
    for name in &plan.tests {
        let child = Command::new(format!("/tests/{name}"))
            // Tests share one kernel's IPVS tables.
            .arg("--test-threads=1")
            .args(&plan.args)
            .env("RUST_BACKTRACE", "1")
            .env("IPVS_SAMPLER_ARTIFACTS", artifacts::DIRECTORY)
            .spawn()
            .map_err(|error| format!("cannot start /tests/{name}: {error}"))?;
        let ended = wait_for(pid_of(&child)?)?;
        if ended != 0 {
            println!("\nguest: {name} ended with {ended}");
            code = 1;
        }
    }
    artifacts::hand_over()?;
    Ok(code)
}
