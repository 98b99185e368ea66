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
            help: "network namespace; absent unless one was chosen",
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
            "moments of connections that were overwritten before they could be fetched",
            |row| Unsigned(row.health.arrivals_lost),
        ),
        Field::<Self>::gauge(
            "connections_ahead",
            Of("connections"),
            "by how much connections are ahead of the kernel's counters in the last dump",
            |row| Unsigned(row.report.totals.ahead),
        ),
        Field::<Self>::gauge(
            "destinations",
            Of("destinations"),
            "destinations in the last dump",
            |row| Unsigned(row.report.destinations as u64),
        ),
        Field::<Self>::gauge(
            "destinations_uncounted",
            Of("destinations"),
            "destinations in the last dump that no probe counts for",
            |row| Unsigned(row.report.uncounted as u64),
        ),
        Field::<Self>::gauge(
            "difference_events_live",
            Of("connections"),
            "connections by which events and live counters contradict each other",
            |row| row.difference(|known| known.events_live),
        )
        .modes(Modes::Live),
        Field::<Self>::gauge(
            "difference_events_netlink",
            Of("connections"),
            "connections by which the last dump contradicts the events",
            |row| row.difference(|known| known.events_netlink),
        )
        .modes(Modes::Live),
        Field::<Self>::gauge(
            "difference_live_netlink",
            Of("connections"),
            "connections by which the last dump contradicts the live counters",
            |row| row.difference(|known| known.live_netlink),
        )
        .modes(Modes::Live),
        Field::<Self>::counter(
            "dump_failures",
            Of("dumps"),
            "netlink dumps that failed",
            |row| Unsigned(row.health.dump_failures),
        ),
        Field::<Self>::time(
            "dump_ns_max",
            "dump_max_seconds",
            "longest dump of the last interval",
            |row| Unsigned(row.health.ended.dump.longest),
        ),
        Field::<Self>::time(
            "dump_ns_p50",
            "dump_p50_seconds",
            "how long a dump took in the last interval: half were not longer",
            |row| Unsigned(row.health.ended.dump.p50),
        ),
        Field::<Self>::counter(
            "dump_repeats",
            Of("entries"),
            "entries that a dump told twice",
            |row| Unsigned(row.health.dump_repeats),
        ),
        Field::<Self>::counter(
            "dumps",
            Of("dumps"),
            "netlink dumps that succeeded",
            |row| Unsigned(row.health.dumps),
        ),
        Field::<Self>::counter(
            "events_foreign",
            Of("calls"),
            "calls in other network namespaces",
            |row| Unsigned(row.report.events.tally.foreign),
        ),
        Field::<Self>::gauge(
            "events_held",
            Of("connections"),
            "connections waiting for a dump to name their destination",
            |row| Unsigned(row.report.totals.held),
        ),
        Field::<Self>::counter(
            "events_missed",
            Of("connections"),
            "connections that the kernel counted and the probe did not see",
            |row| Unsigned(row.report.events.missed),
        ),
        Field::<Self>::counter(
            "events_no_slot",
            Of("connections"),
            "connections that found no room in the probe",
            |row| Unsigned(row.report.events.tally.no_slot),
        ),
        Field::<Self>::counter(
            "events_published",
            Of("connections"),
            "connections counted into the lines of a destination",
            |row| Unsigned(row.report.totals.published),
        ),
        Field::<Self>::counter(
            "events_seen",
            Of("connections"),
            "connections of this network namespace that the probe saw",
            |row| Unsigned(row.report.events.tally.counted + row.report.events.tally.no_slot),
        ),
        Field::<Self>::counter(
            "events_skipped",
            Of("calls"),
            "calls that are no connection of a client",
            |row| Unsigned(row.report.events.tally.skipped),
        ),
        Field::<Self>::counter(
            "events_unmatched",
            Of("connections"),
            "connections whose destination was never named",
            |row| Unsigned(row.report.totals.unmatched),
        ),
        Field::<Self>::counter(
            "lines_dropped",
            Of("lines"),
            "lines that any output dropped or had rejected",
            |row| Unsigned(row.health.lines_dropped),
        ),
        Field::<Self>::text("mode", "live, events, netlink or waiting", |row| {
            Text(row.report.mode.name())
        }),
        Field::<Self>::text("reason", "why the mode is not a better one", |row| {
            Text(row.report.mode.reason())
        }),
        Field::<Self>::counter(
            "records_lost",
            Of("records"),
            "records of connections that the full ring buffer refused",
            |row| Unsigned(row.report.events.tally.lost),
        ),
        Field::<Self>::counter(
            "records_lost_changes",
            Of("records"),
            "records of changes that the full ring buffer refused",
            |row| Unsigned(row.report.events.tally.lost_changes),
        ),
        Field::<Self>::counter(
            "records_lost_fills",
            Of("records"),
            "destinations of a dump that could not be learned for want of space",
            |row| Unsigned(row.report.events.tally.lost_fills),
        ),
        Field::<Self>::counter(
            "records_received",
            Of("records"),
            "records taken out of the ring buffer",
            |row| Unsigned(row.report.events.received),
        ),
        Field::<Self>::counter(
            "records_submitted",
            Of("records"),
            "records put into the ring buffer",
            |row| Unsigned(row.report.events.tally.submitted),
        ),
        Field::<Self>::gauge(
            "services",
            Of("services"),
            "virtual services in the last dump",
            |row| Unsigned(row.report.services as u64),
        ),
        Field::<Self>::time(
            "tick_late_ns_max",
            "tick_late_max_seconds",
            "latest begin of a tick after its deadline in the last interval",
            |row| Unsigned(row.health.ended.late.longest),
        ),
        Field::<Self>::time(
            "tick_late_ns_p50",
            "tick_late_p50_seconds",
            "how long after its deadline a tick began in the last interval: half were not later",
            |row| Unsigned(row.health.ended.late.p50),
        ),
        Field::<Self>::time(
            "tick_late_ns_p99",
            "tick_late_p99_seconds",
            "how long after its deadline a tick began in the last interval: 99 % were not later",
            |row| Unsigned(row.health.ended.late.p99),
        ),
        Field::<Self>::time(
            "tick_work_ns_max",
            "tick_work_max_seconds",
            "longest work of a tick in the last interval",
            |row| Unsigned(row.health.ended.work.longest),
        ),
        Field::<Self>::time(
            "tick_work_ns_p50",
            "tick_work_p50_seconds",
            "how long a tick worked in the last interval: half were not longer",
            |row| Unsigned(row.health.ended.work.p50),
        ),
        Field::<Self>::time(
            "tick_work_ns_p99",
            "tick_work_p99_seconds",
            "how long a tick worked in the last interval: 99 % were not longer",
            |row| Unsigned(row.health.ended.work.p99),
        ),
        Field::<Self>::counter("ticks", Of("ticks"), "ticks served", |row| {
            Unsigned(row.health.ticks)
        }),
        Field::<Self>::counter(
            "ticks_missed",
            Of("ticks"),
            "deadlines that passed while a tick was at work",
            |row| Unsigned(row.health.ticks_missed),
        ),
        Field::<Self>::text("version", "of the sampler", |_| {
            Text(env!("CARGO_PKG_VERSION"))
        })
        .metric(Left("ipvs_sampler_build_info has it")),
    ];
}
