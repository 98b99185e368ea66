//! One line about the sampler itself: how it knows what it publishes, and what it lost. All counts are since the
//! start; times are of the last interval.

use crate::model::Differences;
use crate::schema::{
    Field, Measurement,
    Metric::Left,
    Modes, Tag,
    Unit::Of,
    Value,
    Value::{Text, Unsigned},
    sampler::{FIELDS, MEASUREMENT, SamplerRow},
    value::optional,
};

impl SamplerRow<'_> {
    fn difference(&self, of: fn(&Differences) -> u64) -> Value<'static> {
        optional(self.report.differences.as_ref().map(of))
    }
}

impl<'a> SamplerRow<'a> {
    /// `ipvs_sampler`.
    pub const MEASUREMENT: Measurement<'a, Self> = Measurement {
        name: MEASUREMENT,
        tags: &[Tag {
            name: "netns",
            help: "Network namespace, as given by --netns; absent without it",
            series: true,
            value: |_, style| style.netns(),
        }],
        fields: &Self::FIELDS,
    };

    /// Sorted by name.
    pub(in crate::schema) const FIELDS: [Field<Self>; FIELDS] = [
        Field::<Self>::counter(
            "arrivals_lost",
            Of("connections"),
            "Arrival times of connections that were overwritten before they were read",
            |row| Unsigned(row.health.arrivals_lost),
        ),
        Field::<Self>::gauge(
            "connections_ahead",
            Of("connections"),
            "How far connections of all destinations are ahead of the kernel's counters in the last dump",
            |row| Unsigned(row.report.totals.ahead),
        ),
        Field::<Self>::gauge(
            "destinations",
            Of("destinations"),
            "Destinations in the last dump",
            |row| Unsigned(row.report.destinations as u64),
        ),
        Field::<Self>::gauge(
            "destinations_uncounted",
            Of("destinations"),
            "Destinations in the last dump that the probe does not count",
            |row| Unsigned(row.report.uncounted as u64),
        ),
        Field::<Self>::gauge(
            "difference_events_live",
            Of("connections"),
            "Connections by which events and live counters disagree since the probe started",
            |row| row.difference(|known| known.events_live),
        )
        .modes(Modes::Live),
        Field::<Self>::gauge(
            "difference_events_netlink",
            Of("connections"),
            "Connections by which events and the last dump disagree",
            |row| row.difference(|known| known.events_netlink),
        )
        .modes(Modes::Live),
        Field::<Self>::gauge(
            "difference_live_netlink",
            Of("connections"),
            "Connections by which live counters and the last dump disagree",
            |row| row.difference(|known| known.live_netlink),
        )
        .modes(Modes::Live),
        Field::<Self>::counter(
            "dump_failures",
            Of("dumps"),
            "Netlink dumps that failed",
            |row| Unsigned(row.health.dump_failures),
        ),
        Field::<Self>::time(
            "dump_ns_max",
            "dump_max_seconds",
            "Longest duration of a dump in the last interval",
            |row| Unsigned(row.health.ended.dump.longest),
        ),
        Field::<Self>::time(
            "dump_ns_p50",
            "dump_p50_seconds",
            "Median duration of a dump in the last interval",
            |row| Unsigned(row.health.ended.dump.p50),
        ),
        Field::<Self>::counter(
            "dump_repeats",
            Of("entries"),
            "Entries that a dump returned twice because the configuration changed meanwhile",
            |row| Unsigned(row.health.dump_repeats),
        ),
        Field::<Self>::counter(
            "dumps",
            Of("dumps"),
            "Netlink dumps that succeeded",
            |row| Unsigned(row.health.dumps),
        ),
        Field::<Self>::counter(
            "events_foreign",
            Of("calls"),
            "Calls in other network namespaces",
            |row| Unsigned(row.report.events.tally.foreign),
        ),
        Field::<Self>::gauge(
            "events_held",
            Of("connections"),
            "Connections seen that wait for a dump to name their destination",
            |row| Unsigned(row.report.totals.held),
        ),
        Field::<Self>::counter(
            "events_missed",
            Of("connections"),
            "Connections that the kernel counted and the probe did not see",
            |row| Unsigned(row.report.events.missed),
        ),
        Field::<Self>::counter(
            "events_no_slot",
            Of("connections"),
            "Connections seen for which the probe had no room; it is then restarted with more",
            |row| Unsigned(row.report.events.tally.no_slot),
        ),
        Field::<Self>::counter(
            "events_published",
            Of("connections"),
            "Connections seen that are counted in the lines of a destination",
            |row| Unsigned(row.report.totals.published),
        ),
        Field::<Self>::counter(
            "events_seen",
            Of("connections"),
            "Connections of this network namespace that the probe saw",
            |row| Unsigned(row.report.events.tally.counted + row.report.events.tally.no_slot),
        ),
        Field::<Self>::counter(
            "events_skipped",
            Of("calls"),
            "Calls that are not a client's connection: templates, synchronized connections, FTP data, cache bypass",
            |row| Unsigned(row.report.events.tally.skipped),
        ),
        Field::<Self>::counter(
            "events_unmatched",
            Of("connections"),
            "Connections seen that are in no line: the destination was gone before a dump named it",
            |row| Unsigned(row.report.totals.unmatched),
        ),
        Field::<Self>::counter(
            "lines_dropped",
            Of("lines"),
            "Lines that any output dropped or a server rejected",
            |row| Unsigned(row.health.lines_dropped),
        ),
        Field::<Self>::property("mode", "Mode: live, events, netlink or waiting", |row| {
            Text(row.report.mode.name())
        }),
        Field::<Self>::property(
            "reason",
            "Why the mode is not a better one; empty in mode live",
            |row| Text(row.report.mode.reason()),
        ),
        Field::<Self>::counter(
            "records_lost",
            Of("records"),
            "Records of connections lost because the ring buffer was full; no connection is lost by it",
            |row| Unsigned(row.report.events.tally.lost),
        ),
        Field::<Self>::counter(
            "records_lost_changes",
            Of("records"),
            "Records of deletions and zeroings lost because the ring buffer was full",
            |row| Unsigned(row.report.events.tally.lost_changes),
        ),
        Field::<Self>::counter(
            "records_lost_fills",
            Of("records"),
            "Destinations of a dump that could not be learned because the ring buffer was full",
            |row| Unsigned(row.report.events.tally.lost_fills),
        ),
        Field::<Self>::counter(
            "records_received",
            Of("records"),
            "Records read from the ring buffer",
            |row| Unsigned(row.report.events.received),
        ),
        Field::<Self>::counter(
            "records_submitted",
            Of("records"),
            "Records written to the ring buffer",
            |row| Unsigned(row.report.events.tally.submitted),
        ),
        Field::<Self>::gauge(
            "services",
            Of("services"),
            "Virtual services in the last dump",
            |row| Unsigned(row.report.services as u64),
        ),
        Field::<Self>::time(
            "tick_late_ns_max",
            "tick_late_max_seconds",
            "Longest delay of a tick after its deadline in the last interval",
            |row| Unsigned(row.health.ended.late.longest),
        ),
        Field::<Self>::time(
            "tick_late_ns_p50",
            "tick_late_p50_seconds",
            "Median delay of a tick after its deadline in the last interval",
            |row| Unsigned(row.health.ended.late.p50),
        ),
        Field::<Self>::time(
            "tick_late_ns_p99",
            "tick_late_p99_seconds",
            "99th percentile of the delay of a tick after its deadline in the last interval",
            |row| Unsigned(row.health.ended.late.p99),
        ),
        Field::<Self>::time(
            "tick_work_ns_max",
            "tick_work_max_seconds",
            "Longest duration of a tick in the last interval",
            |row| Unsigned(row.health.ended.work.longest),
        ),
        Field::<Self>::time(
            "tick_work_ns_p50",
            "tick_work_p50_seconds",
            "Median duration of a tick in the last interval",
            |row| Unsigned(row.health.ended.work.p50),
        ),
        Field::<Self>::time(
            "tick_work_ns_p99",
            "tick_work_p99_seconds",
            "99th percentile of the duration of a tick in the last interval",
            |row| Unsigned(row.health.ended.work.p99),
        ),
        Field::<Self>::counter("ticks", Of("ticks"), "Ticks served", |row| {
            Unsigned(row.health.ticks)
        }),
        Field::<Self>::counter(
            "ticks_missed",
            Of("ticks"),
            "Deadlines that passed while the previous tick was still running",
            |row| Unsigned(row.health.ticks_missed),
        ),
        Field::<Self>::property("version", "Version of ipvs-sampler", |_| {
            Text(env!("CARGO_PKG_VERSION"))
        })
        .metric(Left("label version of ipvs_sampler_build_info")),
    ];
}
