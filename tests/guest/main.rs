//! Pid 1 of the guest that `cargo xtask test` and `cargo xtask lab` boot.
//!
//! It makes a bare initramfs into a small system, does what the plan says (run tests, run the
//! sampler in a configured director, give a shell), reports `guest: exit CODE` on the console and
//! switches the machine off. Started as anything but pid 1 it generates the lab's traffic.

mod artifacts;
mod children;
mod director;
mod error;
mod modules;
mod plan;
mod sampler;
mod serial;
mod shell;
mod system;
mod tests;
mod traffic;

use std::process::ExitCode;

use error::Error;
use plan::{Mode, Plan};

fn main() -> ExitCode {
    if std::process::id() != 1 {
        return traffic::main();
    }
    let code = match run() {
        Ok(code) => code,
        Err(error) => {
            println!("guest: {error}");
            1
        }
    };
    // A test may have died in the middle of a line; the host looks at lines' beginnings.
    println!("\nguest: exit {code}");
    system::power_off()
}

fn run() -> Result<i32, Error> {
    system::prepare()?;
    modules::load();
    let plan = Plan::read()?;
    match plan.mode {
        Mode::Test => tests::run(&plan),
        Mode::Lab => {
            director::set_up()?;
            sampler::run(&plan)
        }
        Mode::Shell => {
            director::set_up()?;
            shell::run(&plan)
        }
    }
}
