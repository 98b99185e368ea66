//! What single options take: text in, a value or the reason against it out.

use std::time::Duration;

use clap::{ValueEnum, builder::PossibleValue};

use crate::{
    encode::MetricNames,
    schema::{self, FieldSet, Netmask},
    sink::bytes,
};

/// Choices for the probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Ebpf {
    /// Use it if it can run; otherwise say why and use netlink alone
    Auto,
    /// Exit if it cannot run; mode events is enough
    Require,
    /// Use netlink alone
    Off,
}

/// Choices for privileges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Privileges {
    /// Keep what a new probe needs, for when IPVS is reloaded or outgrows the current probe
    Reattach,
    /// Keep only what the running probe needs; exit with code 75 when a new one is needed, so that the service
    /// manager restarts the sampler
    Least,
}

/// Choices for the live counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Live {
    /// Read them if the probe can; otherwise say why and fall back to mode events
    Auto,
    /// Never read them; count connections by events
    Off,
}

/// Choices for rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Rates {
    /// Change since the previous tick divided by the elapsed time, where known
    Window,
    /// The kernel's moving average, updated every 2 s, as ipvsadm shows it
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
    /// Telegraf's signal = "none": snapshots come at the interval
    None,
    /// Telegraf's signal = "STDIN": each line on standard input also requests a complete snapshot
    Stdin,
}

impl ValueEnum for Netmask {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Popcount, Self::Prefix]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Self::Popcount => PossibleValue::new("popcount").help(
                "As Telegraf does: number of bits set, even in an IPv6 prefix length (64 becomes 1)",
            ),
            Self::Prefix => {
                PossibleValue::new("prefix").help("Prefix length for IPv4 and IPv6")
            }
        })
    }
}

impl ValueEnum for FieldSet {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::All, Self::Extended]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            // What lines in between have is not for the operator to choose.
            Self::Scheduled => None,
            Self::All => {
                Some(PossibleValue::new("telegraf").help("The fields of Telegraf's ipvs input"))
            }
            Self::Extended => {
                Some(PossibleValue::new("extended").help(
                    "Also weights, thresholds, bytes per second, peaks and interarrival times",
                ))
            }
        }
    }
}

impl ValueEnum for MetricNames {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Native, Self::Node]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Self::Native => PossibleValue::new("native")
                .help("The sampler's own names: ipvs_virtual_server_*, ipvs_real_server_*"),
            Self::Node => PossibleValue::new("node")
                .help("Names of node_exporter's ipvs collector: node_ipvs_*"),
        })
    }
}

pub(super) fn host(text: &str) -> Result<Host, String> {
    match text {
        "" => Err("must not be empty; use off to leave the tag out".into()),
        "auto" => Ok(Host::Auto),
        "on" => Ok(Host::On),
        "off" => Ok(Host::Off),
        name => Ok(Host::Name(name.into())),
    }
}

pub(super) fn tag(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    if name.is_empty() || value.is_empty() {
        return Err("the name and the value must not be empty".into());
    }
    if name.ends_with('\\') {
        return Err("line protocol cannot hold a name that ends with a backslash".into());
    }
    if name.starts_with('_') || name == "time" {
        return Err(format!(
            "{name} is reserved by databases; choose another name"
        ));
    }
    if let Some(owner) = schema::owner(name) {
        return Err(format!("{name} is already {owner}; choose another name"));
    }
    Ok((name.into(), value.into()))
}

pub(super) fn size(text: &str) -> Result<usize, String> {
    usize::try_from(bytes(text)?).map_err(|_| "is more than this machine can address".into())
}

/// A ring buffer has at least a page, and the kernel sets no more aside.
const RING: std::ops::RangeInclusive<u64> = 4096..=1 << 28;

pub(super) fn ring(text: &str) -> Result<u32, String> {
    let bytes = bytes(text)?;
    let fitting = u32::try_from(bytes).ok();
    fitting
        .filter(|_| RING.contains(&bytes))
        .ok_or_else(|| format!("{text} is not between 4KiB and 256MiB"))
}

/// Shortest period: below it a tick would take longer than it lasts.
const SHORTEST: Duration = Duration::from_millis(1);
/// Longest period, so that nanoseconds never overflow.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

pub(super) fn period(text: &str) -> Result<Duration, String> {
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
    use super::{Host, host, period, ring, tag};

    #[test]
    fn tags_have_a_name_of_their_own() {
        assert_eq!(tag("rack=a=1"), Ok(("rack".into(), "a=1".into())));
        for wrong in [
            "rack",
            "=1",
            "rack=",
            r"rack\=1",
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
    fn a_ring_buffer_has_a_size_within_bounds() {
        for (text, bytes) in [("4096", 4096), ("256KiB", 1 << 18), ("256MiB", 1 << 28)] {
            assert_eq!(ring(text), Ok(bytes), "{text}");
        }
        for wrong in ["4095", "257MiB", "1GiB", "17179869184GiB", "64KB", ""] {
            assert!(ring(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn periods_are_bounded() {
        assert!(period("10ms").is_ok());
        for wrong in ["0s", "10", "-1s", "10us", "100y", ""] {
            assert!(period(wrong).is_err(), "{wrong}");
        }
    }
}
