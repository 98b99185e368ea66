//! What the sampler knows of itself: the numbers behind the measurement `ipvs_sampler`.

use std::fmt;

use hdrhistogram::Histogram;

use ipvs_sampler_common::Tally;

use super::{Differences, Totals};

/// Longest time that the histograms tell apart from longer ones: a minute, in ns.
const LONGEST_NS: u64 = 60_000_000_000;

/// How connections are known right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// All counters are read live, on top of the netlink dumps.
    Live,
    /// Connections are counted live by the probe, on top of the netlink dumps; with the reason why
    /// not all counters are.
    Events(&'static str),
    /// As netlink dumps tell, with the reason why not by the probe.
    Netlink(&'static str),
    /// There is nothing to look at, with the reason.
    Waiting(&'static str),
}

impl Mode {
    /// One word for it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Events(_) => "events",
            Self::Netlink(_) => "netlink",
            Self::Waiting(_) => "waiting",
        }
    }

    /// Whether more is known, or newer.
    #[must_use]
    pub fn is_better_than(&self, other: &Self) -> bool {
        let rank = |mode: &Self| match mode {
            Self::Live => 3,
            Self::Events(_) => 2,
            Self::Netlink(_) => 1,
            Self::Waiting(_) => 0,
        };
        rank(self) > rank(other)
    }

    /// Why it is no better one; empty when there is none.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Live => "",
            Self::Events(reason) | Self::Netlink(reason) | Self::Waiting(reason) => reason,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Live => formatter.write_str("live: every counter is read at each tick"),
            Self::Events(reason) => write!(
                formatter,
                "events: the eBPF probe counts connections live; all other counters are up to 2 s old (\
                 frozen while run_estimation=0): {reason}"
            ),
            Self::Netlink(reason) => write!(
                formatter,
                "netlink only: counters are up to 2 s old (frozen while \
                 run_estimation=0), and no lines are written between \
                 intervals: {reason}"
            ),
            Self::Waiting(reason) => write!(formatter, "waiting: {reason}"),
        }
    }
}

/// A distribution of times within one interval.
pub struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        match Histogram::new_with_max(LONGEST_NS, 2) {
            Ok(histogram) => Self(histogram),
            Err(_) => unreachable!("the bounds are constants that fit"),
        }
    }
}

impl Times {
    /// Adds one time.
    pub fn record(&mut self, nanoseconds: u64) {
        self.0.saturating_record(nanoseconds);
    }

    fn summary(&self) -> Summary {
        Summary {
            p50: self.0.value_at_quantile(0.5),
            p99: self.0.value_at_quantile(0.99),
            longest: self.0.max(),
        }
    }
}

/// Counts since the start, and times since the last report.
#[derive(Default)]
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
    /// Moments of connections that were overwritten before they could be fetched.
    pub arrivals_lost: u64,
    /// Lines dropped before a slow reader.
    pub lines_dropped: u64,
    /// Duration of each dump.
    pub dump_ns: Times,
    /// How long after its deadline each tick began.
    pub late_ns: Times,
    /// How long each tick worked.
    pub work_ns: Times,
    /// What these three were in the last interval that ended.
    pub ended: Ended,
}

/// The times of one interval.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ended {
    /// Of dumps.
    pub dump: Summary,
    /// Of ticks, after their deadline.
    pub late: Summary,
    /// Of the work of ticks.
    pub work: Summary,
}

/// A distribution of times in three numbers, in ns; 0 when there were none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    /// Half were not longer.
    pub p50: u64,
    /// As many percent were not longer.
    pub p99: u64,
    /// The longest.
    pub longest: u64,
}

/// What probes saw, since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// The programs' own counters.
    pub tally: Tally,
    /// Records taken from the ring buffer.
    pub received: u64,
    /// Connections that IPVS counted and no probe saw.
    pub missed: u64,
}

impl Counts {
    /// The sum, counter by counter.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            tally: self.tally.plus(other.tally),
            received: self.received + other.received,
            missed: self.missed + other.missed,
        }
    }
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
    /// Of them, how many no probe counts for.
    pub uncounted: usize,
    /// What the probe saw.
    pub events: Counts,
    /// What became of the counted connections.
    pub totals: Totals,
    /// How the three counts of connections compare, in [`Mode::Live`].
    pub differences: Option<Differences>,
}

impl Health {
    /// Keeps the times of this interval, and begins the next one's.
    pub fn end_interval(&mut self) {
        self.ended = Ended {
            dump: self.dump_ns.summary(),
            late: self.late_ns.summary(),
            work: self.work_ns.summary(),
        };
        for times in [&mut self.dump_ns, &mut self.late_ns, &mut self.work_ns] {
            times.0.reset();
        }
    }
}
