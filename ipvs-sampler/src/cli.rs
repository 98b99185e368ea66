//! The command line.

mod filter;
mod printed;
mod values;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use filter::filter;
#[cfg(test)]
pub(crate) use printed::SUBCOMMANDS;
pub use printed::{Completions, Man};
use values::{host, period, size, tag};

use crate::{
    failure::Exit, messages::Format as MessageFormat, model::Filter, privileges::User, sink::Target,
};

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

/// Which services and destinations.
#[derive(Clone, Debug, Default, Args)]
pub struct Selection {
    /// Only what fits: conditions joined by commas, such as tcp,address=10.0.0.0/8,port=80-90 or
    /// fwmark=7; destination=CIDR and destination-port=PORT are about destinations alone. When
    /// repeated, fitting one is enough
    #[arg(long, value_name = "FILTER", value_parser = filter)]
    pub include: Vec<Filter>,
    /// Not what fits, written as for --include. May be repeated
    #[arg(long, value_name = "FILTER", value_parser = filter)]
    pub exclude: Vec<Filter>,
}

/// Where to look.
#[derive(Clone, Debug, Args)]
pub struct Place {
    /// A network namespace to look into in place of this one: its name (ip netns), a path, or pid:N
    /// for that of a process. May be repeated
    #[arg(long, value_name = "NAMESPACE")]
    pub netns: Vec<String>,
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

/// `run`.
#[derive(Clone, Debug, Args)]
#[command(after_help = OPTIONS_ELSEWHERE)]
pub struct Run {
    /// Where options are that are given neither here nor in the environment [default:
    /// /etc/ipvs-sampler/config.toml, when there is one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Time between complete snapshots, such as 10s or 500ms
    #[arg(long, default_value = "10s", value_parser = period)]
    pub interval: Duration,
    /// Time between lines for what changed, or was scheduled to, while the probe runs
    #[arg(long, default_value = "100ms", value_parser = period)]
    pub resolution: Duration,
    /// Whether to use the eBPF probe
    #[arg(long, value_enum, default_value_t = Ebpf::Auto)]
    pub ebpf: Ebpf,
    /// Whether to read all counters live, at each tick, where the probe can
    #[arg(long, value_enum, default_value_t = Live::Auto)]
    pub live: Live,
    /// Which fields lines have
    #[arg(long, value_enum, default_value_t = Fields::Telegraf)]
    pub fields: Fields,
    /// What cps and pps are
    #[arg(long, value_enum, default_value_t = Rates::Window)]
    pub rates: Rates,
    /// End after so long
    #[arg(long = "for", value_name = "DURATION", value_parser = period)]
    pub for_: Option<Duration>,
    /// End after so many complete snapshots (without IPVS there are none)
    #[arg(long, value_name = "SNAPSHOTS", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Where to write: stdout, file:PATH, unix:PATH, unixgram:PATH, tcp://HOST:PORT, udp://HOST:PORT,
    /// influx+http://HOST:PORT/?db=NAME (influx2, influx3), or prometheus://HOST:PORT to be scraped at.
    /// May be repeated
    #[arg(long, value_name = "OUTPUT", default_value = "stdout")]
    pub output: Vec<Target>,
    /// How much may wait for each output, such as 64MiB; beyond that the oldest lines are dropped. A longer snapshot waits whole
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size)]
    pub output_queue: usize,
    /// Whose names the metrics for Prometheus have
    #[arg(long, value_enum, value_name = "NAMES", default_value_t = Names::Native)]
    pub prometheus_compat: Names,
    /// A further tag of every line. May be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = tag)]
    pub tag: Vec<(String, String)>,
    /// The tag host: auto (the host's name, unless standard output is an output), on, off, or a name
    #[arg(long, default_value = "auto", value_parser = host)]
    pub host: Host,
    /// Run for Telegraf's execd input: ends when standard input does, messages as Telegraf reads them.
    /// With stdin, each line on standard input asks for a complete snapshot (signal = "STDIN")
    #[arg(long, value_enum, value_name = "SIGNAL", num_args = 0..=1, require_equals = true,
          default_missing_value = "none")]
    pub telegraf_execd: Option<Execd>,
    /// Show the eBPF programs' own messages on standard error: those of this level (error, warn,
    /// info, debug or trace) and the more serious ones
    #[arg(long, value_name = "LEVEL")]
    pub ebpf_log: Option<log::Level>,
    /// Size of the ring buffer between the eBPF programs and the sampler, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 256 * 1024,
          value_parser = clap::value_parser!(u32).range(4096..=(1 << 28)))]
    pub ebpf_ring: u32,
    /// After the start, go on as this user: a name in /etc/passwd, or a number
    #[arg(long)]
    pub user: Option<User>,
    /// Which privileges to keep once all is open
    #[arg(long, value_enum, default_value_t = Privileges::Reattach)]
    pub privileges: Privileges,
    /// How messages on standard error are written [default: telegraf with --telegraf-execd, else text]
    #[arg(long, value_enum)]
    pub log_format: Option<MessageFormat>,
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

/// How tags are written.
#[derive(Clone, Copy, Debug, Args)]
pub struct Tags {
    /// What the netmask tag counts
    #[arg(long, value_enum, default_value_t = Netmask::Popcount)]
    pub netmask: Netmask,
}

/// Choices for the netmask tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Netmask {
    /// As Telegraf: the number of bits set, also in an IPv6 prefix length (64 gives 1)
    Popcount,
    /// The length of the prefix, for IPv6 too
    Prefix,
}

/// Choices for the probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Ebpf {
    /// Use it where it can run, say why where it cannot
    Auto,
    /// End when it cannot run
    Require,
    /// Netlink alone
    Off,
}

/// Choices for privileges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Privileges {
    /// Those that a new probe takes, for when IPVS is loaded anew or grows
    Reattach,
    /// Only what the running one takes: where a new one is needed, end with exit code 75, for a service
    /// manager to start all again
    Least,
}

/// Choices for the live counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Live {
    /// Read them where that can be done, say why where it cannot
    Auto,
    /// Connections by events alone
    Off,
}

/// Choices for fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fields {
    /// Those of Telegraf's ipvs input
    Telegraf,
    /// Also weights, thresholds, bytes per second, peaks, and how connections arrived
    Extended,
}

/// Choices for rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Rates {
    /// Counted since the tick before, where that is known
    Window,
    /// The kernel's own moving average, in steps of 2 s
    Kernel,
}

/// Choices for the names of Prometheus' metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Names {
    /// Our own
    Native,
    /// Those of node_exporter's ipvs collector
    Node,
}

/// Choices for the tag `host`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// The host's name, unless standard output is an output: its reader knows better.
    Auto,
    /// The host's name.
    On,
    /// None.
    Off,
    /// This name.
    Name(String),
}

/// How Telegraf's `execd` input asks for samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Execd {
    /// Not at all: samples come at the interval
    None,
    /// By a line on standard input
    Stdin,
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
