//! The sampler's own measurement: how it knows what it publishes, and what it lost. All counts are
//! since the start; times are of the last interval.

use super::{Value, optional};
use crate::{
    model::{Counts, Differences, Health, Report},
    sink,
};

/// Its name. It has no tags but `netns`, when one was chosen.
pub const MEASUREMENT: &str = "ipvs_sampler";

/// How many fields it has: [`super::prometheus`] has to decide on each.
pub const FIELDS: usize = 38;

/// The fields, sorted by name.
#[must_use]
pub fn fields<'a>(health: &Health, report: &Report<'a>) -> [(&'static str, Value<'a>); FIELDS] {
    let Report {
        mode,
        services,
        destinations,
        uncounted,
        events,
        totals,
        differences,
    } = *report;
    let Counts {
        tally,
        received,
        missed,
    } = events;
    let number = Value::Unsigned;
    let count = |count: usize| number(count as u64);
    let difference = |of: fn(&Differences) -> u64| {
        differences
            .as_ref()
            .map_or(Value::Absent, |known| number(of(known)))
    };
    [
        ("arrivals_lost", number(health.arrivals_lost)),
        ("connections_ahead", number(totals.ahead)),
        ("destinations", count(destinations)),
        ("destinations_uncounted", count(uncounted)),
        (
            "difference_events_live",
            difference(|known| known.events_live),
        ),
        (
            "difference_events_netlink",
            difference(|known| known.events_netlink),
        ),
        (
            "difference_live_netlink",
            difference(|known| known.live_netlink),
        ),
        ("dump_failures", number(health.dump_failures)),
        ("dump_ns_max", number(health.ended.dump.longest)),
        ("dump_ns_p50", number(health.ended.dump.p50)),
        ("dump_repeats", number(health.dump_repeats)),
        ("dumps", number(health.dumps)),
        ("events_foreign", number(tally.foreign)),
        ("events_held", number(totals.held)),
        ("events_missed", number(missed)),
        ("events_no_slot", number(tally.no_slot)),
        ("events_published", number(totals.published)),
        ("events_seen", number(tally.counted + tally.no_slot)),
        ("events_skipped", number(tally.skipped)),
        ("events_unmatched", number(totals.unmatched)),
        ("lines_dropped", number(health.lines_dropped)),
        ("mode", Value::Text(mode.name())),
        ("reason", Value::Text(mode.reason())),
        ("records_lost", number(tally.lost)),
        ("records_lost_changes", number(tally.lost_changes)),
        ("records_lost_fills", number(tally.lost_fills)),
        ("records_received", number(received)),
        ("records_submitted", number(tally.submitted)),
        ("services", count(services)),
        ("tick_late_ns_max", number(health.ended.late.longest)),
        ("tick_late_ns_p50", number(health.ended.late.p50)),
        ("tick_late_ns_p99", number(health.ended.late.p99)),
        ("tick_work_ns_max", number(health.ended.work.longest)),
        ("tick_work_ns_p50", number(health.ended.work.p50)),
        ("tick_work_ns_p99", number(health.ended.work.p99)),
        ("ticks", number(health.ticks)),
        ("ticks_missed", number(health.ticks_missed)),
        ("version", Value::Text(env!("CARGO_PKG_VERSION"))),
    ]
}

/// The measurement about one output.
pub const OUTPUT_MEASUREMENT: &str = "ipvs_sampler_output";

/// Its tag.
pub const OUTPUT_TAG: &str = "output";

/// How many fields it has, as [`FIELDS`].
pub const OUTPUT_FIELDS: usize = 11;

/// The fields about one output, sorted by name. Counts are since the start.
#[must_use]
pub fn output_fields(report: &sink::Report<'_>) -> [(&'static str, Value<'static>); OUTPUT_FIELDS] {
    let sink::Counts {
        queued,
        written,
        dropped,
        rejected,
        uncertain,
        retries,
        requests,
        deleted,
    } = report.counts;
    let number = Value::Unsigned;
    [
        (
            "bytes_deleted",
            optional(deleted.map(|deleted| deleted.bytes)),
        ),
        ("bytes_waiting", number(report.waiting as u64)),
        (
            "files_deleted",
            optional(deleted.map(|deleted| deleted.files)),
        ),
        ("lines_dropped", number(dropped)),
        ("lines_queued", number(queued)),
        ("lines_rejected", number(rejected)),
        ("lines_uncertain", number(uncertain)),
        ("lines_written", number(written)),
        (
            "requests_abandoned",
            optional(requests.map(|requests| requests.abandoned)),
        ),
        (
            "requests_refused",
            optional(requests.map(|requests| requests.refused)),
        ),
        ("retries", number(retries)),
    ]
}

#[cfg(test)]
mod tests {
    use ipvs_sampler_common::Tally;

    use super::fields;
    use crate::{
        model::{Counts, Health, Mode, Report, Totals},
        schema::Value,
    };

    fn report(mode: &Mode) -> Report<'_> {
        Report {
            mode,
            services: 1,
            destinations: 2,
            uncounted: 0,
            events: Counts {
                tally: Tally {
                    counted: 5,
                    no_slot: 1,
                    ..Tally::default()
                },
                ..Counts::default()
            },
            totals: Totals::default(),
            differences: None,
        }
    }

    #[test]
    fn fields_are_sorted_and_none_is_there_twice() {
        let fields = fields(&Health::default(), &report(&Mode::Live));
        assert!(fields.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn what_found_no_slot_was_seen_all_the_same() {
        let fields = fields(&Health::default(), &report(&Mode::Waiting("no IPVS")));
        let seen = fields
            .iter()
            .find(|(name, _)| *name == "events_seen")
            .unwrap();
        assert_eq!(seen.1, Value::Unsigned(6));
    }
}
