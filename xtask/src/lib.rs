//! `cargo xtask VERB`: what the project needs beyond plain cargo.
//!
//! `verbs` has a file for each verb. What they share is in rooms (`debian`, `dist`, `guest`, `package`, `tidy`) and
//! in the files beside this one. It is a library so that the tests of the documents can ask it for its command line.

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

use clap::{CommandFactory as _, Parser, Subcommand};

/// The project's own tasks.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Install what the other verbs need
    Setup(verbs::setup::Args),
    /// Build the eBPF object and print its path
    Ebpf,
    /// Build the static ipvs-sampler binary with the eBPF object inside, and print its path
    Build,
    /// Build package, archive, bill of materials and checksums, and print their folder
    Dist,
    /// Build the packages and test them in a Debian root and in a guest with systemd
    PackageTest(verbs::package::Args),
    /// Boot a director with traffic in a guest, and show the sampler's output
    Lab(verbs::lab::Args),
    /// Run all tests: on the host, against real servers and Python's parser, on each kernel, on the packages
    Test(verbs::test::Args),
    /// Measure what a live sampler costs, on this machine and in a guest, and print a table
    Bench(verbs::bench::Args),
    /// Check the code against ARCHITECTURE.md: imports, clocks, `unsafe`, file lengths
    Tidy,
    /// Write the generated pages docs/metrics.md and docs/options.md
    Docs,
    /// Run everything that a change must pass: format, structure, lints, docs, tests
    Ci,
}

/// The definition of the command line.
#[must_use]
pub fn command_line() -> clap::Command {
    Cli::command()
}

/// The kernel series that the tests boot, and whether a test run fails without that kernel.
pub fn kernels() -> impl Iterator<Item = (&'static str, bool)> {
    let series = debian::kernel::Series::ALL.into_iter();
    series.map(|series| (series.name(), series.required()))
}

/// Does what the command line says.
#[must_use]
pub fn run() -> ExitCode {
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
        Verb::Docs => verbs::docs::run(),
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
