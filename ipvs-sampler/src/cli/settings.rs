//! The options of `run`: those that a reload can change, and the others.

use std::time::Duration;

use clap::{Args, Command};

use super::{
    common::{Place, Selection, Tags},
    values::{Ebpf, Execd, Host, Live, Privileges, Rates, host, period, ring, size, tag},
};
use crate::{
    encode::MetricNames, schema::FieldSet, sink::Target, system::messages::Format as MessageFormat,
};

/// What `run` takes, wherever it stands.
#[derive(Clone, Debug, Args)]
pub struct Settings {
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub reloadable: Reloadable,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub fixed: Fixed,
}

/// What a reload can change.
#[derive(Clone, Debug, Args)]
pub struct Reloadable {
    /// Time between complete snapshots, such as 10s or 500ms
    #[arg(help_heading = "Sampling", long, default_value = "10s", value_parser = period)]
    pub interval: Duration,
    /// Time between lines for what changed, or was scheduled to, while the probe runs
    #[arg(help_heading = "Sampling", long, default_value = "100ms", value_parser = period)]
    pub resolution: Duration,
    /// What cps and pps are
    #[arg(help_heading = "Sampling", long, value_enum, default_value_t = Rates::Window)]
    pub rates: Rates,
    /// Where to write: stdout, file:PATH, unix:PATH, unixgram:PATH, tcp://HOST:PORT, udp://HOST:PORT,
    /// influx+http://HOST:PORT/?db=NAME (influx2, influx3), or prometheus://HOST:PORT to be scraped at.
    /// May be repeated
    #[arg(
        help_heading = "Outputs",
        long,
        value_name = "OUTPUT",
        default_value = "stdout"
    )]
    pub output: Vec<Target>,
    /// Whose names the metrics for Prometheus have
    #[arg(help_heading = "Outputs", long, value_enum, value_name = "NAMES", default_value_t = MetricNames::Native)]
    pub prometheus_compat: MetricNames,
    /// A further tag of every line. May be repeated
    #[arg(help_heading = "Lines", long, value_name = "NAME=VALUE", value_parser = tag)]
    pub tag: Vec<(String, String)>,
    /// The tag host: auto (the host's name, unless standard output is an output), on, off, or a name
    #[arg(help_heading = "Lines", long, default_value = "auto", value_parser = host)]
    pub host: Host,
    #[command(flatten, next_help_heading = "Selection")]
    #[allow(missing_docs, reason = "clap would print it")]
    pub selection: Selection,
    #[command(flatten, next_help_heading = "Lines")]
    #[allow(missing_docs, reason = "clap would print it")]
    pub tags: Tags,
}

/// What stays until the sampler is started again.
#[derive(Clone, Debug, Args)]
pub struct Fixed {
    /// End after so long
    #[arg(help_heading = "Sampling", long = "for", value_name = "DURATION", value_parser = period)]
    pub for_: Option<Duration>,
    /// End after so many complete snapshots (without IPVS there are none)
    #[arg(help_heading = "Sampling", long, value_name = "SNAPSHOTS", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    #[command(flatten, next_help_heading = "Selection")]
    #[allow(missing_docs, reason = "clap would print it")]
    pub place: Place,
    /// Whether to use the eBPF probe
    #[arg(help_heading = "eBPF", long, value_enum, default_value_t = Ebpf::Auto)]
    pub ebpf: Ebpf,
    /// Whether to read all counters live, at each tick, where the probe can
    #[arg(help_heading = "eBPF", long, value_enum, default_value_t = Live::Auto)]
    pub live: Live,
    /// Show the eBPF programs' own messages on standard error: those of this level (error, warn,
    /// info, debug or trace) and the more serious ones
    #[arg(help_heading = "eBPF", long, value_name = "LEVEL")]
    pub ebpf_log: Option<log::Level>,
    /// Size of the ring buffer between the eBPF programs and the sampler, from 4KiB to 256MiB, rounded up to
    /// a power of two of pages
    #[arg(help_heading = "eBPF", long, value_name = "SIZE", default_value = "256KiB", value_parser = ring)]
    pub ebpf_ring: u32,
    /// How much may wait for each output, such as 64MiB; beyond that the oldest lines are dropped. A longer snapshot waits whole
    #[arg(help_heading = "Outputs", long, value_name = "SIZE", default_value = "64MiB", value_parser = size)]
    pub output_queue: usize,
    /// Which fields lines have
    #[arg(help_heading = "Lines", long, value_enum, default_value_t = FieldSet::All)]
    pub fields: FieldSet,
    /// After the start, go on as this user: a name in /etc/passwd, or a number
    #[arg(help_heading = "Daemon", long)]
    pub user: Option<String>,
    /// Which privileges to keep once all is open
    #[arg(help_heading = "Daemon", long, value_enum, default_value_t = Privileges::Reattach)]
    pub privileges: Privileges,
    /// How messages on standard error are written [default: telegraf with --telegraf-execd, else text]
    #[arg(help_heading = "Daemon", long, value_enum)]
    pub log_format: Option<MessageFormat>,
    /// Run for Telegraf's execd input: ends when standard input does, messages as Telegraf reads them.
    /// With stdin, each line on standard input asks for a complete snapshot (signal = "STDIN")
    #[arg(help_heading = "Daemon", long, value_enum, value_name = "SIGNAL", num_args = 0..=1, require_equals = true,
          default_missing_value = "none")]
    pub telegraf_execd: Option<Execd>,
}

impl Reloadable {
    /// The long names of these options.
    #[must_use]
    pub fn keys() -> Vec<String> {
        let options = Self::augment_args(Command::new("reload"));
        let names = options.get_arguments().filter_map(clap::Arg::get_long);
        names.map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Reloadable;

    #[test]
    fn a_reload_changes_what_takes_no_privileges_and_no_new_probe() {
        let mut keys = Reloadable::keys();
        keys.sort_unstable();
        assert_eq!(
            keys,
            [
                "exclude",
                "host",
                "include",
                "interval",
                "netmask",
                "output",
                "prometheus-compat",
                "rates",
                "resolution",
                "tag",
            ]
        );
    }
}
