//! `cargo xtask VERB`: what the project needs beyond plain cargo.
//!
//! `verbs` has a file for each verb. What they share is in rooms (`debian`, `dist`, `guest`, `package`, `tidy`) and
//! in the files beside this one.

mod arch;
mod build;
mod cargo;
mod debian;
mod dist;
mod ebpf;
mod exec;
mod guest;
mod libtest;
mod package;
mod paths;
mod report;
mod tidy;
mod toolchain;
mod verbs;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's own tasks.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Install what the other verbs need and this machine lacks
    Setup(verbs::setup::Args),
    /// Build the eBPF object and print its path
    Ebpf,
    /// Build the static ipvs-sampler binary, the eBPF object inside, and print its path
    Build,
    /// Make packages, archive, bill of materials and checksums, and print the folder they are in
    Dist,
    /// Make them, install them in a Debian root and in a guest with systemd, and test them there
    PackageTest(verbs::package::Args),
    /// Boot a kernel with a configured director and traffic, and watch ipvs-sampler there
    Lab(verbs::lab::Args),
    /// Run the host's tests, those against real servers and Python's parser, the kernel tests on each kernel,
    /// then those of the packages
    Test(verbs::test::Args),
    /// Measure what a live sampler costs, here and in a guest, and print a table
    Bench(verbs::bench::Args),
    /// Hold the code against ARCHITECTURE.md: who imports whom, where clocks and `unsafe` may be
    Tidy,
    /// Everything that a change must pass: format, structure, lints, docs, tests
    Ci,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().verb {
        Verb::Setup(args) => verbs::setup::run(&args),
        Verb::Ebpf => verbs::build::object(),
        Verb::Build => verbs::build::program(),
        Verb::Dist => verbs::dist::run(),
        Verb::PackageTest(args) => verbs::package::run(&args),
        Verb::Lab(args) => verbs::lab::run(&args),
        Verb::Test(args) => verbs::test::run(&args),
        Verb::Bench(args) => verbs::bench::run(&args),
        Verb::Tidy => tidy::run(),
        Verb::Ci => verbs::ci::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
