//! The command line.

use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    manual::{Completions, Man},
    schema::is_tag,
    sink::Target,
};

/// High-rate sampler for Linux IPVS: all services and destinations by netlink, joined with
/// sub-second connection counts from an eBPF probe, in the metric schema of Telegraf's ipvs input.
#[derive(Clone, Debug, Parser)]
#[command(name = "ipvs-sampler", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, or the reader of standard output went away; 2 wrong \
usage; 69 IPVS (or a required probe) is not there; 70 a bug; 74 the output failed; 77 not permitted.";

/// The subcommands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Print one complete snapshot of what the kernel says, and end
    Once(Once),
    /// Sample until interrupted
    Run(Run),
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
    pub tags: Tags,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub place: Place,
}

/// `doctor`.
#[derive(Clone, Debug, Args)]
pub struct Doctor {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub place: Place,
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
pub struct Run {
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
    /// Where to write: stdout, file:PATH, unix:PATH, unixgram:PATH, tcp://HOST:PORT or
    /// udp://HOST:PORT. May be repeated
    #[arg(long, value_name = "OUTPUT", default_value = "stdout")]
    pub output: Vec<Target>,
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

fn host(text: &str) -> Result<Host, String> {
    match text {
        "" => Err("must not be empty; off leaves it out".into()),
        "auto" => Ok(Host::Auto),
        "on" => Ok(Host::On),
        "off" => Ok(Host::Off),
        name => Ok(Host::Name(name.into())),
    }
}

fn tag(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    if name.is_empty() || value.is_empty() {
        return Err("neither name nor value may be empty".into());
    }
    if name.starts_with('_') || name == "time" || is_tag(name) {
        return Err(format!("{name} is a tag or a name of its own already"));
    }
    Ok((name.into(), value.into()))
}

/// Shortest period: below it a tick would take longer than it lasts.
const SHORTEST: Duration = Duration::from_millis(1);
/// Longest period, so that nanoseconds never overflow.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

fn period(text: &str) -> Result<Duration, String> {
    let period = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write it like 10s, 100ms or 1m30s"))?;
    if (SHORTEST..=LONGEST).contains(&period) {
        Ok(period)
    } else {
        Err("must be at least 1ms and at most ten years".into())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::{Cli, Host, host, period, tag};

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn tags_have_a_name_of_their_own() {
        assert_eq!(tag("rack=a=1"), Ok(("rack".into(), "a=1".into())));
        for wrong in [
            "rack",
            "=1",
            "rack=",
            "address=1",
            "output=1",
            "time=1",
            "_x=1",
        ] {
            assert!(tag(wrong).is_err(), "{wrong}");
        }
        assert_eq!(host("off"), Ok(Host::Off));
        assert_eq!(host("lb1"), Ok(Host::Name("lb1".into())));
    }

    #[test]
    fn periods_are_bounded() {
        assert!(period("10ms").is_ok());
        for wrong in ["0s", "10", "-1s", "10us", "100y", ""] {
            assert!(period(wrong).is_err(), "{wrong}");
        }
    }
}
