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

// One name for each kind of value, in help, manual and documents.
const TIME: &str = "TIME";
const SIZE: &str = "SIZE";

// Help has them in the order in which options first name them.
const SAMPLING: &str = "Sampling";
const OUTPUTS: &str = "Outputs";
const LINES: &str = "Lines";
const SELECTION: &str = "Selection";
const EBPF: &str = "eBPF";
const SERVICE: &str = "Service";

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
    /// Time between complete snapshots
    ///
    /// A complete snapshot has a line for every virtual service, every destination and the sampler itself. The
    /// first one is written at once, the next ones at multiples of this time on the wall clock. A TIME is
    /// written like 10s, 500ms or 1m30s, from 1ms to ten years.
    ///
    /// Example: --interval 1s
    #[arg(help_heading = SAMPLING, long, value_name = TIME, default_value = "10s", value_parser = period)]
    pub interval: Duration,
    /// Time between lines for what changed
    ///
    /// Between complete snapshots, mode live writes every service and destination that changed, and mode
    /// events writes the destinations that connections were scheduled to. Has no effect without the eBPF
    /// probe.
    ///
    /// Example: --resolution 10ms
    #[arg(help_heading = SAMPLING, long, value_name = TIME, default_value = "100ms", value_parser = period)]
    pub resolution: Duration,
    /// How to compute rates
    ///
    /// Applies to cps, to packets per second and to bytes per second.
    #[arg(help_heading = SAMPLING, long, value_name = "METHOD", value_enum, default_value_t = Rates::Window)]
    pub rates: Rates,
    /// Where to write; may be repeated
    ///
    /// OUTPUT is stdout, file:PATH, unix:PATH, unixgram:PATH, tcp://HOST:PORT, udp://HOST:PORT,
    /// influx+http://HOST:PORT/?db=NAME (InfluxDB 1, VictoriaMetrics),
    /// influx2+http://HOST:PORT/?org=NAME&bucket=NAME, influx3+http://HOST:PORT/?db=NAME, or
    /// prometheus://HOST:PORT, which serves /metrics and /healthz there. The influx outputs also take https.
    ///
    /// Example: --output stdout --output prometheus://127.0.0.1:10117
    #[arg(help_heading = OUTPUTS, long, value_name = "OUTPUT", default_value = "stdout")]
    pub output: Vec<Target>,
    /// Prometheus naming scheme
    #[arg(help_heading = OUTPUTS, long, value_name = "SCHEME", value_enum, default_value_t = MetricNames::Native)]
    pub prometheus_compat: MetricNames,
    /// Add a tag to every line; may be repeated
    ///
    /// Prometheus gets it as a label. NAME cannot be the name of an existing tag or field, or end with a
    /// backslash.
    ///
    /// Example: --tag rack=7
    #[arg(help_heading = LINES, long, value_name = "NAME=VALUE", value_parser = tag)]
    pub tag: Vec<(String, String)>,
    /// The host tag: auto, on, off, or the name to use
    ///
    /// auto adds the host's name unless one of the outputs is standard output, whose reader adds its own.
    ///
    /// Example: --host lb1
    #[arg(help_heading = LINES, long, value_name = "HOST", default_value = "auto", value_parser = host)]
    pub host: Host,
    #[command(flatten, next_help_heading = SELECTION)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub selection: Selection,
    #[command(flatten, next_help_heading = LINES)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub tags: Tags,
}

/// What stays until the sampler is restarted.
#[derive(Clone, Debug, Args)]
pub struct Fixed {
    /// Stop after this long
    ///
    /// The sampler writes one last complete snapshot when it stops.
    ///
    /// Example: --for 30s
    #[arg(help_heading = SAMPLING, long = "for", value_name = TIME, value_parser = period)]
    pub for_: Option<Duration>,
    /// Stop after N complete snapshots
    ///
    /// An interval without a snapshot does not count: the dump failed, or IPVS was not loaded.
    ///
    /// Example: --count 3
    #[arg(help_heading = SAMPLING, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    #[command(flatten, next_help_heading = SELECTION)]
    #[allow(missing_docs, reason = "clap would print it")]
    pub place: Place,
    /// Use the eBPF probe
    #[arg(help_heading = EBPF, long, value_name = "WHEN", value_enum, default_value_t = Ebpf::Auto)]
    pub ebpf: Ebpf,
    /// Read all counters live at each tick
    #[arg(help_heading = EBPF, long, value_name = "WHEN", value_enum, default_value_t = Live::Auto)]
    pub live: Live,
    /// Show messages of the eBPF programs
    ///
    /// Messages of this LEVEL and above go to standard error: error, warn, info, debug or trace.
    ///
    /// Example: --ebpf-log debug
    #[arg(help_heading = EBPF, long, value_name = "LEVEL")]
    pub ebpf_log: Option<log::Level>,
    /// Size of the probe's ring buffer
    ///
    /// From 4KiB to 256MiB; a plain number is bytes. The size is rounded up to a power of two of pages. A
    /// larger buffer helps when records_lost rises.
    ///
    /// Example: --ebpf-ring 1MiB
    #[arg(help_heading = EBPF, long, value_name = SIZE, default_value = "256KiB", value_parser = ring)]
    pub ebpf_ring: u32,
    /// Size of each output's queue
    ///
    /// When the queue is full, its oldest lines are dropped and counted. A snapshot that is larger than the
    /// queue still waits as a whole. A SIZE is a number of bytes, or written like 64KiB, 64MiB or 1GiB.
    ///
    /// Example: --output-queue 256MiB
    #[arg(help_heading = OUTPUTS, long, value_name = SIZE, default_value = "64MiB", value_parser = size)]
    pub output_queue: usize,
    /// Set of fields to write
    #[arg(help_heading = LINES, display_order = 0, long, value_name = "SET", value_enum,
          default_value_t = FieldSet::All)]
    pub fields: FieldSet,
    /// Drop to this user after start-up
    ///
    /// USER is a name in /etc/passwd, or a number. Outputs are opened as this user.
    ///
    /// Example: --user nobody
    #[arg(help_heading = SERVICE, long, value_name = "USER")]
    pub user: Option<String>,
    /// Privileges to keep
    #[arg(help_heading = SERVICE, long, value_name = "POLICY", value_enum, default_value_t = Privileges::Reattach)]
    pub privileges: Privileges,
    /// Format of messages on standard error
    ///
    /// The default is text, or telegraf with --telegraf-execd.
    #[arg(help_heading = SERVICE, long, value_name = "FORMAT", value_enum)]
    pub log_format: Option<MessageFormat>,
    /// Run under Telegraf's execd input
    ///
    /// The sampler stops when its standard input is closed, and writes messages in Telegraf's format.
    ///
    /// Example: --telegraf-execd=stdin
    #[arg(help_heading = SERVICE, long, value_enum, value_name = "SIGNAL", num_args = 0..=1, require_equals = true,
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
