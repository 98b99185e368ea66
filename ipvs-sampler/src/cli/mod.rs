//! The command line.

mod common;
mod filter;
mod printed;
mod settings;
mod values;

use std::path::PathBuf;

use clap::{Arg, Args, Parser, Subcommand, ValueEnum};

use crate::system::failure::Exit;
pub use common::{Place, Selection, Tags};
#[cfg(test)]
pub(crate) use printed::SUBCOMMANDS;
pub use printed::{Completions, Man};
pub use settings::{Fixed, Reloadable, Settings};
pub use values::{Ebpf, Execd, Host, Live, Privileges, Rates};

/// High-rate sampler for Linux IPVS
///
/// Reads all virtual services and destinations by netlink and their counters live with an eBPF probe, and writes
/// them in the metric schema of Telegraf's ipvs input: to Telegraf, InfluxDB, Prometheus, files and sockets.
#[derive(Clone, Debug, Parser)]
#[command(name = "ipvs-sampler", version, help_template = HELP, after_long_help = exit_codes())]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What is printed without a subcommand, too.
const HELP: &str = "\
{about-with-newline}
Try first:
  sudo ipvs-sampler doctor               Check which data sources work here
  sudo ipvs-sampler once --format table  Print all services and destinations once
  sudo ipvs-sampler run --output stdout  Print samples until Ctrl-C

{usage-heading} {usage}

{all-args}{after-help}";

fn exit_codes() -> String {
    let codes = Exit::ALL.map(|exit| format!("\n  {:<3} {}", exit.code, exit.meaning));
    format!("Exit codes:{}", codes.concat())
}

/// The subcommands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Check which data sources work here, and how to fix the rest
    ///
    /// Briefly tries netlink, the eBPF probe and live reading, and prints a line for each: available, or
    /// why not and what to do.
    Doctor(Doctor),
    /// Print one complete snapshot and exit
    ///
    /// The snapshot comes from netlink alone: the eBPF probe is not used.
    Once(Once),
    /// Sample until interrupted
    ///
    /// Writes a complete snapshot at each interval, and, at each resolution, lines for what changed. SIGHUP reloads
    /// the configuration and reopens files; SIGTERM and SIGINT stop the sampler after a last complete snapshot.
    Run(Box<Run>),
    /// Check or show the configuration of run
    #[command(subcommand)]
    Config(Config),
    /// Print a shell completion script
    ///
    /// Example: ipvs-sampler completions bash > /etc/bash_completion.d/ipvs-sampler
    Completions(Completions),
    /// Print a manual page
    ///
    /// The page is in roff, the format of man(1).
    ///
    /// Example: ipvs-sampler man run | man -l -
    Man(Man),
}

/// `once`.
#[derive(Clone, Debug, Args)]
pub struct Once {
    /// Output format
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Influx)]
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
    /// Check the configuration without running
    ///
    /// Takes the options of ipvs-sampler run. Checks that every key is known, that every value is valid, and that
    /// secrets and certificates can be read.
    Check(Box<Run>),
    /// Print the configuration as a file, and where each value comes from
    ///
    /// Takes the options of ipvs-sampler run. Secrets are not shown.
    Show(Box<Run>),
}

/// `doctor`.
#[derive(Clone, Debug, Args)]
pub struct Doctor {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub place: Place,
}

const ELSEWHERE: &str =
    "Every option can also be set by a variable or in the configuration file: see --help.";

const ELSEWHERE_LONG: &str = "\
Every option except --config and --telegraf-execd can also be set by an environment variable or in the configuration \
file. The command line takes precedence over the environment, and the environment over the file:

  command line  --tag rack=7             --output stdout --output file:/a
  environment   IPVS_SAMPLER_TAG=rack=7  IPVS_SAMPLER_OUTPUT=\"stdout file:/a\"
  file          tag = { rack = \"7\" }     output = [\"stdout\", \"file:/a\"]";

/// `run`.
#[derive(Clone, Debug, Args)]
#[command(after_help = ELSEWHERE, after_long_help = ELSEWHERE_LONG, mut_args(with_variable))]
pub struct Run {
    /// Configuration file
    ///
    /// A file in TOML with the long options of ipvs-sampler run as keys. Without this option it is
    /// /etc/ipvs-sampler/config.toml, if that exists.
    ///
    /// Example: --config ./test.toml
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub settings: Settings,
}

/// The environment variable of an option of `run`; none where only the command line can set it.
#[must_use]
pub fn variable(option: &str) -> Option<String> {
    let is_set_elsewhere = !matches!(option, "help" | "telegraf-execd");
    is_set_elsewhere.then(|| format!("IPVS_SAMPLER_{}", option.replace('-', "_").to_uppercase()))
}

/// Has the long help name the variable.
fn with_variable(argument: Arg) -> Arg {
    let help = argument.get_long_help().or(argument.get_help());
    match (help, argument.get_long().and_then(variable)) {
        (Some(help), Some(variable)) => {
            let help = format!("{help}\n\nVariable: {variable}");
            argument.long_help(help)
        }
        _ => argument,
    }
}

/// Output formats of `once`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Line protocol in Telegraf's schema, as in a complete snapshot of run
    Influx,
    /// One JSON object on one line, with everything that netlink reports
    Json,
    /// A table to read, with the columns of ipvsadm
    Table,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    fn visit(command: &clap::Command, check: &mut impl FnMut(&clap::Command)) {
        check(command);
        for below in command.get_subcommands() {
            visit(below, check);
        }
    }

    fn text(help: Option<&clap::builder::StyledStr>) -> String {
        help.map(ToString::to_string).unwrap_or_default()
    }

    /// The longest summary that leaves room for the option and its default in a line of a wide terminal.
    const SUMMARY: usize = 62;

    #[test]
    fn a_summary_is_one_short_line_and_no_sentence() {
        visit(&Cli::command(), &mut |command| {
            let own = (command.get_name().to_owned(), text(command.get_about()));
            let arguments = command
                .get_arguments()
                .map(|argument| (argument.get_id().to_string(), text(argument.get_help())));
            for (name, summary) in arguments.chain([own]) {
                let name = format!("{}: {name}: {summary}", command.get_name());
                assert!(!summary.is_empty(), "{name}");
                assert!(summary.len() <= SUMMARY + 8, "{name}");
                assert!(!summary.contains('\n') && !summary.ends_with('.'), "{name}");
            }
        });
    }

    #[test]
    fn options_of_run_stand_under_headings_in_a_sensible_order() {
        let mut run = Cli::command();
        let run = run.find_subcommand_mut("run").unwrap();
        let help = run.render_help().to_string();
        let headings: Vec<_> = help
            .lines()
            .filter_map(|line| line.strip_suffix(':'))
            .filter(|line| !line.contains(' '))
            .collect();
        let expected = [
            "Options",
            "Sampling",
            "Outputs",
            "Lines",
            "Selection",
            "eBPF",
            "Service",
        ];
        assert_eq!(headings, expected, "{help}");
    }

    #[test]
    fn long_help_names_the_variable_of_every_option_that_has_one() {
        let mut program = Cli::command();
        let run = program.find_subcommand_mut("run").unwrap();
        for argument in run.get_arguments() {
            let long = argument.get_long().unwrap();
            let help = text(argument.get_long_help());
            let named = super::variable(long)
                .is_none_or(|variable| help.ends_with(&format!("\n\nVariable: {variable}")));
            assert!(named, "{long}: {help}");
        }
    }

    #[test]
    fn without_a_subcommand_it_says_what_to_try_first() {
        let error = Cli::try_parse_from(["ipvs-sampler"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let text = error.to_string();
        assert!(
            text.contains("Try first:") && text.lines().count() < 30,
            "{text}"
        );
    }

    #[test]
    fn a_wrong_option_suggests_the_right_one() {
        for (wrong, right) in [
            ("run --intervall 1s", "--interval"),
            ("run --outputs stdout", "--output"),
            ("runn", "run"),
        ] {
            let arguments = ["ipvs-sampler"].into_iter().chain(wrong.split(' '));
            let error = Cli::try_parse_from(arguments).unwrap_err().to_string();
            assert!(
                error.contains("similar") && error.contains(right),
                "{error}"
            );
        }
    }
}
