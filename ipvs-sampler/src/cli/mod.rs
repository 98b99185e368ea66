//! The command line.

mod common;
mod filter;
mod printed;
mod settings;
mod values;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::system::failure::Exit;
pub use common::{Place, Selection, Tags};
#[cfg(test)]
pub(crate) use printed::SUBCOMMANDS;
pub use printed::{Completions, Man};
pub use settings::{Fixed, Reloadable, Settings};
pub use values::{Ebpf, Execd, Host, Live, Privileges, Rates};

/// High-rate sampler for Linux IPVS: all services and destinations by netlink, joined with
/// sub-second connection counts from an eBPF probe, in the metric schema of Telegraf's ipvs input.
#[derive(Clone, Debug, Parser)]
#[command(name = "ipvs-sampler", version, after_help = exit_codes())]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

fn exit_codes() -> String {
    let codes = Exit::ALL.map(|exit| format!("\n  {:<3} {}", exit.code, exit.meaning));
    format!("Exit codes:{}", codes.concat())
}

/// The subcommands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Print one complete snapshot of what the kernel says, and end
    Once(Once),
    /// Sample until interrupted
    Run(Box<Run>),
    /// Look at the configuration that `run` would have with the same options
    #[command(subcommand)]
    Config(Config),
    /// Say of each source whether it is available here, or why not and what to do
    Doctor(Doctor),
    /// Print what makes a shell complete this command line
    Completions(Completions),
    /// Print a page of the manual, as roff for man(1)
    Man(Man),
}

/// `once`.
#[derive(Clone, Debug, Args)]
pub struct Once {
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Influx)]
    pub format: Format,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub selection: Selection,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub tags: Tags,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub place: Place,
}

/// `config`.
#[derive(Clone, Debug, Subcommand)]
pub enum Config {
    /// Say whether it is right: whether every key is known, every value good, every secret readable
    Check(Box<Run>),
    /// Print it as a configuration file, with where each value comes from
    Show(Box<Run>),
}

/// `doctor`.
#[derive(Clone, Debug, Args)]
pub struct Doctor {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub place: Place,
}

const OPTIONS_ELSEWHERE: &str = "Each option can also be set in the environment (--log-format by \
IPVS_SAMPLER_LOG_FORMAT; what may be repeated is separated by spaces), and in the configuration file \
(log-format = \"json\", output = [\"stdout\"], tag = { rack = \"7\" }). The command line goes before \
the environment, and that before the file.";

/// `run`.
#[derive(Clone, Debug, Args)]
#[command(after_help = OPTIONS_ELSEWHERE)]
pub struct Run {
    /// Where options are that are given neither here nor in the environment [default:
    /// /etc/ipvs-sampler/config.toml, when there is one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub settings: Settings,
}

/// Output formats of `once`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Line protocol in Telegraf's schema
    Influx,
    /// One JSON object with all that the kernel tells
    Json,
    /// Text in the columns of ipvsadm
    Table,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
