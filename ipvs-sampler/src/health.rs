//! What the sampler knows of itself: the numbers behind the measurement `ipvs_sampler`.

use std::fmt;

use hdrhistogram::Histogram;

use crate::{events::Counts, model::Totals, schema::Value};

/// Name of the measurement.
pub const MEASUREMENT: &str = "ipvs_sampler";

/// Longest time that the histograms tell apart from longer ones: a minute, in ns.
const LONGEST_NS: u64 = 60_000_000_000;

/// How connections are known right now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Counted live by the probe, on top of the netlink dumps.
    Events,
    /// As netlink dumps tell, with the reason why not by the probe.
    Netlink(String),
    /// IPVS is not loaded.
    Waiting,
}

impl Mode {
    fn name(&self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Netlink(_) => "netlink",
            Self::Waiting => "waiting",
        }
    }

    fn reason(&self) -> &str {
        match self {
            Self::Events => "",
            Self::Netlink(reason) => reason,
            Self::Waiting => "IPVS is not loaded",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Events => formatter.write_str("events: the eBPF probe counts connections live"),
            Self::Netlink(reason) => write!(
                formatter,
                "netlink only, so connections are up to 2 s old and there are no lines between \
                 intervals: {reason}"
            ),
            Self::Waiting => formatter.write_str("IPVS was unloaded: waiting for it"),
        }
    }
}

/// A distribution of times within one interval.
pub struct Times(Histogram<u64>);

impl Times {
    fn new() -> Option<Self> {
        Histogram::new_with_max(LONGEST_NS, 2).ok().map(Self)
    }

    /// Adds one time.
    pub fn record(&mut self, nanoseconds: u64) {
        self.0.saturating_record(nanoseconds);
    }

    fn quantile(&self, quantile: f64) -> Value<'static> {
        Value::Unsigned(self.0.value_at_quantile(quantile))
    }

    fn longest(&self) -> Value<'static> {
        Value::Unsigned(self.0.max())
    }
}

/// Counts since the start, and times since the last report.
pub struct Health {
    /// Netlink dumps that succeeded.
    pub dumps: u64,
    /// Netlink dumps that failed.
    pub dump_failures: u64,
    /// Entries that a dump told twice.
    pub dump_repeats: u64,
    /// Ticks served.
    pub ticks: u64,
    /// Deadlines that passed while a tick was still at work.
    pub ticks_missed: u64,
    /// Lines dropped before a slow reader.
    pub lines_dropped: u64,
    /// Duration of each dump.
    pub dump_ns: Times,
    /// How long after its deadline each tick began.
    pub late_ns: Times,
    /// How long each tick worked.
    pub work_ns: Times,
}

/// What the report needs from elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// How connections are known.
    pub mode: &'a Mode,
    /// Services in the last dump.
    pub services: usize,
    /// Destinations in the last dump.
    pub destinations: usize,
    /// What the probe saw.
    pub events: Counts,
    /// What became of the counted connections.
    pub totals: Totals,
}

impl Health {
    /// Nothing done yet. `None` never happens: the histograms' bounds are constants that fit.
    #[must_use]
    pub fn new() -> Option<Self> {
        Some(Self {
            dumps: 0,
            dump_failures: 0,
            dump_repeats: 0,
            ticks: 0,
            ticks_missed: 0,
            lines_dropped: 0,
            dump_ns: Times::new()?,
            late_ns: Times::new()?,
            work_ns: Times::new()?,
        })
    }

    /// The fields of the measurement, sorted by name.
    #[must_use]
    pub fn fields<'a>(&self, report: &Report<'a>) -> [(&'static str, Value<'a>); 33] {
        let Report {
            mode,
            services,
            destinations,
            events,
            totals,
        } = *report;
        let Counts {
            tally,
            received,
            missed,
        } = events;
        let count = |count: usize| Value::Unsigned(count as u64);
        [
            ("connections_ahead", Value::Unsigned(totals.ahead)),
            ("destinations", count(destinations)),
            ("dump_failures", Value::Unsigned(self.dump_failures)),
            ("dump_ns_max", self.dump_ns.longest()),
            ("dump_ns_p50", self.dump_ns.quantile(0.5)),
            ("dump_repeats", Value::Unsigned(self.dump_repeats)),
            ("dumps", Value::Unsigned(self.dumps)),
            ("events_foreign", Value::Unsigned(tally.foreign)),
            ("events_held", Value::Unsigned(totals.held)),
            ("events_missed", Value::Unsigned(missed)),
            ("events_no_slot", Value::Unsigned(tally.no_slot)),
            ("events_published", Value::Unsigned(totals.published)),
            (
                "events_seen",
                Value::Unsigned(tally.counted + tally.no_slot),
            ),
            ("events_skipped", Value::Unsigned(tally.skipped)),
            ("events_unmatched", Value::Unsigned(totals.unmatched)),
            ("lines_dropped", Value::Unsigned(self.lines_dropped)),
            ("mode", Value::Text(mode.name())),
            ("reason", Value::Text(mode.reason())),
            ("records_lost", Value::Unsigned(tally.lost)),
            ("records_lost_changes", Value::Unsigned(tally.lost_changes)),
            ("records_lost_fills", Value::Unsigned(tally.lost_fills)),
            ("records_received", Value::Unsigned(received)),
            ("records_submitted", Value::Unsigned(tally.submitted)),
            ("services", count(services)),
            ("tick_late_ns_max", self.late_ns.longest()),
            ("tick_late_ns_p50", self.late_ns.quantile(0.5)),
            ("tick_late_ns_p99", self.late_ns.quantile(0.99)),
            ("tick_work_ns_max", self.work_ns.longest()),
            ("tick_work_ns_p50", self.work_ns.quantile(0.5)),
            ("tick_work_ns_p99", self.work_ns.quantile(0.99)),
            ("ticks", Value::Unsigned(self.ticks)),
            ("ticks_missed", Value::Unsigned(self.ticks_missed)),
            ("version", Value::Text(env!("CARGO_PKG_VERSION"))),
        ]
    }

    /// Begins the next interval's times.
    pub fn end_interval(&mut self) {
        for times in [&mut self.dump_ns, &mut self.late_ns, &mut self.work_ns] {
            times.0.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use ipvs_sampler_common::Tally;

    use super::{Health, Mode, Report};
    use crate::{events::Counts, model::Totals, schema::Value};

    fn report(mode: &Mode) -> Report<'_> {
        Report {
            mode,
            services: 1,
            destinations: 2,
            events: Counts {
                tally: Tally {
                    counted: 5,
                    no_slot: 1,
                    ..Tally::default()
                },
                ..Counts::default()
            },
            totals: Totals::default(),
        }
    }

    #[test]
    fn fields_are_sorted_and_none_is_there_twice() {
        let fields = Health::new().unwrap().fields(&report(&Mode::Events));
        assert!(fields.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn what_found_no_slot_was_seen_all_the_same() {
        let fields = Health::new().unwrap().fields(&report(&Mode::Waiting));
        let seen = fields
            .iter()
            .find(|(name, _)| *name == "events_seen")
            .unwrap();
        assert_eq!(seen.1, Value::Unsigned(6));
    }
}
