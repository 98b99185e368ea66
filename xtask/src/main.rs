//! `cargo xtask VERB`: what the project needs beyond plain cargo.
//!
//! One file or folder per verb (`setup`, `ebpf`, `build`, `dist`, `package-test`, `lab`, `test`, `bench`,
//! `tidy`, `ci`); the other files are the subjects that the verbs share: the eBPF toolchain, Debian's packages,
//! kernels, the guest's root file system and QEMU.

mod apt;
mod artifacts;
mod bench;
mod build;
mod ci;
mod console;
mod cpio;
mod dist;
mod ebpf;
mod exec;
mod guest;
mod initramfs;
mod kernel;
mod lab;
mod libtest;
mod modules;
mod package;
mod packages;
mod paths;
mod plan;
mod python;
mod qemu;
mod servers;
mod setup;
mod silence;
mod sources;
mod summary;
mod terminal;
mod test;
mod tidy;
mod toolchain;
mod userland;

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
    Setup(setup::Args),
    /// Build the eBPF object and print its path
    Ebpf,
    /// Build the static ipvs-sampler binary, the eBPF object inside, and print its path
    Build,
    /// Make packages, archive, bill of materials and checksums, and print the folder they are in
    Dist,
    /// Make them, install them in a Debian root and in a guest with systemd, and test them there
    PackageTest(package::Args),
    /// Boot a kernel with a configured director and traffic, and watch ipvs-sampler there
    Lab(lab::Args),
    /// Run the host's tests, those against real servers and Python's parser, the kernel tests on each kernel,
    /// then those of the packages
    Test(test::Args),
    /// Measure what a live sampler costs, here and in a guest, and print a table
    Bench(bench::Args),
    /// Hold the code against ARCHITECTURE.md: who imports whom, where clocks and `unsafe` may be
    Tidy,
    /// Everything that a change must pass: format, structure, lints, docs, tests
    Ci,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().verb {
        Verb::Setup(args) => setup::run(&args),
        Verb::Ebpf => ebpf::run(),
        Verb::Build => build::run(),
        Verb::Dist => dist::run(),
        Verb::PackageTest(args) => package::run(&args),
        Verb::Lab(args) => lab::run(&args),
        Verb::Test(args) => test::run(&args),
        Verb::Bench(args) => bench::run(&args),
        Verb::Tidy => tidy::run(),
        Verb::Ci => ci::run(),
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
