//! What each field and tag is as a Prometheus metric, and the names that other exporters have.
//!
//! Fields of services and destinations say it in their own tables ([`super::Field::metric`]), which do not
//! compile without; those about the sampler itself say it here, in the order of
//! [`super::sampler::fields`].

use Metric::{Counter, Gauge, Label, Left, Seconds};

use super::{
    DestinationRow,
    FieldSet::{self, All},
    TagValue, sampler, words,
};
use crate::model::{Service, VirtualAddress};

/// What becomes of a field. Names lack the measurement's before, and a counter's `_total` behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// It only rises, but for a reset.
    Counter(&'static str),
    /// It rises and falls. With the smallest set of fields that has it.
    Gauge(&'static str, FieldSet),
    /// As a gauge of all sets; the field is in nanoseconds, the metric in seconds.
    Seconds(&'static str),
    /// A label of the `_info` metric.
    Label(&'static str),
    /// No metric, for this reason.
    Left(&'static str),
}

/// Of rates.
pub(super) const RATE: &str = "rate() of the counter tells it, over any time";
/// Of what has been since the last complete snapshot.
pub(super) const INTERVAL: &str = "it is about one interval, and who scrapes would miss some";

/// Behind the measurement's name, the metric whose labels are all that does not tell series apart.
pub const INFO: (&str, &str) = ("info", "what is configured");

/// A further label of destinations, see [`virtual_address_family`].
pub const VIRTUAL_ADDRESS_FAMILY: &str = "virtual_address_family";

/// The service's family where the destination's is another one: without it, two services by the same firewall
/// mark could have the same series twice.
#[must_use]
pub fn virtual_address_family(row: &DestinationRow<'_>) -> TagValue<'static> {
    let family = row.service.key.family;
    match words::address_family(family) {
        Some(word) if family != row.destination.key.family => TagValue::Text(word),
        _ => TagValue::Absent,
    }
}

/// The fields of `ipvs_sampler`: name, metric, help.
pub const SAMPLER: [(&str, Metric, &str); sampler::FIELDS] = [
    (
        "arrivals_lost",
        Counter("arrivals_lost"),
        "moments of connections that were overwritten before they could be fetched",
    ),
    (
        "connections_ahead",
        Gauge("connections_ahead", All),
        "by how much connections are ahead of the kernel's counters in the last dump",
    ),
    (
        "destinations",
        Gauge("destinations", All),
        "destinations in the last dump",
    ),
    (
        "destinations_uncounted",
        Gauge("destinations_uncounted", All),
        "destinations in the last dump that no probe counts for",
    ),
    (
        "difference_events_live",
        Gauge("difference_events_live", All),
        "connections by which events and live counters contradict each other",
    ),
    (
        "difference_events_netlink",
        Gauge("difference_events_netlink", All),
        "connections by which the last dump contradicts the events",
    ),
    (
        "difference_live_netlink",
        Gauge("difference_live_netlink", All),
        "connections by which the last dump contradicts the live counters",
    ),
    (
        "dump_failures",
        Counter("dump_failures"),
        "netlink dumps that failed",
    ),
    (
        "dump_ns_max",
        Seconds("dump_max_seconds"),
        "longest dump of the last interval",
    ),
    (
        "dump_ns_p50",
        Seconds("dump_p50_seconds"),
        "how long a dump took in the last interval: half were not longer",
    ),
    (
        "dump_repeats",
        Counter("dump_repeats"),
        "entries that a dump told twice",
    ),
    ("dumps", Counter("dumps"), "netlink dumps that succeeded"),
    (
        "events_foreign",
        Counter("events_foreign"),
        "calls in other network namespaces",
    ),
    (
        "events_held",
        Gauge("events_held", All),
        "connections waiting for a dump to name their destination",
    ),
    (
        "events_missed",
        Counter("events_missed"),
        "connections that the kernel counted and the probe did not see",
    ),
    (
        "events_no_slot",
        Counter("events_no_slot"),
        "connections that found no room in the probe",
    ),
    (
        "events_published",
        Counter("events_published"),
        "connections counted into the lines of a destination",
    ),
    (
        "events_seen",
        Counter("events_seen"),
        "connections of this network namespace that the probe saw",
    ),
    (
        "events_skipped",
        Counter("events_skipped"),
        "calls that are no connection of a client",
    ),
    (
        "events_unmatched",
        Counter("events_unmatched"),
        "connections whose destination was never named",
    ),
    (
        "lines_dropped",
        Counter("lines_dropped"),
        "lines that any output dropped or had rejected",
    ),
    ("mode", Label("mode"), "live, events, netlink or waiting"),
    (
        "reason",
        Label("reason"),
        "why the mode is not a better one",
    ),
    (
        "records_lost",
        Counter("records_lost"),
        "records of connections that the full ring buffer refused",
    ),
    (
        "records_lost_changes",
        Counter("records_lost_changes"),
        "records of changes that the full ring buffer refused",
    ),
    (
        "records_lost_fills",
        Counter("records_lost_fills"),
        "destinations of a dump that could not be learned for want of space",
    ),
    (
        "records_received",
        Counter("records_received"),
        "records taken out of the ring buffer",
    ),
    (
        "records_submitted",
        Counter("records_submitted"),
        "records put into the ring buffer",
    ),
    (
        "services",
        Gauge("services", All),
        "virtual services in the last dump",
    ),
    (
        "tick_late_ns_max",
        Seconds("tick_late_max_seconds"),
        "latest begin of a tick after its deadline in the last interval",
    ),
    (
        "tick_late_ns_p50",
        Seconds("tick_late_p50_seconds"),
        "how long after its deadline a tick began in the last interval: half were not later",
    ),
    (
        "tick_late_ns_p99",
        Seconds("tick_late_p99_seconds"),
        "how long after its deadline a tick began in the last interval: 99 % were not later",
    ),
    (
        "tick_work_ns_max",
        Seconds("tick_work_max_seconds"),
        "longest work of a tick in the last interval",
    ),
    (
        "tick_work_ns_p50",
        Seconds("tick_work_p50_seconds"),
        "how long a tick worked in the last interval: half were not longer",
    ),
    (
        "tick_work_ns_p99",
        Seconds("tick_work_p99_seconds"),
        "how long a tick worked in the last interval: 99 % were not longer",
    ),
    ("ticks", Counter("ticks"), "ticks served"),
    (
        "ticks_missed",
        Counter("ticks_missed"),
        "deadlines that passed while a tick was at work",
    ),
    (
        "version",
        Left("ipvs_sampler_build_info has it"),
        "of the sampler",
    ),
];

/// The metric whose labels are `mode` and `reason`.
pub const MODE_INFO: (&str, &str) = (
    "mode_info",
    "how connections are known, and why it is no better mode",
);

/// Metrics about a page that are no fields of `ipvs_sampler`, whose lines have a timestamp: when the last
/// dump had ended, and when the page's counters were read.
pub const MOMENTS: [(Metric, &str); 2] = [
    (
        Seconds("snapshot_timestamp_seconds"),
        "when the last netlink dump had ended, since 1970",
    ),
    (
        Seconds("tick_timestamp_seconds"),
        "when the tick that these numbers are of was at work, since 1970",
    ),
];

/// The metric with the sampler's version.
pub const BUILD_INFO: (&str, &str) = ("build_info", "version of ipvs-sampler");

/// The fields of `ipvs_sampler_output`, in the order of [`sampler::output_fields`].
pub const OUTPUT: [(&str, Metric, &str); sampler::OUTPUT_FIELDS] = [
    (
        "bytes_deleted",
        Counter("bytes_deleted"),
        "bytes of former files that rotation deleted",
    ),
    (
        "bytes_waiting",
        Gauge("bytes_waiting", All),
        "bytes in the queue",
    ),
    (
        "files_deleted",
        Counter("files_deleted"),
        "former files that rotation deleted",
    ),
    (
        "lines_dropped",
        Counter("lines_dropped"),
        "lines given up: nobody took them in time",
    ),
    (
        "lines_queued",
        Counter("lines_queued"),
        "lines, or samples of a page, that were handed over to the output",
    ),
    (
        "lines_rejected",
        Counter("lines_rejected"),
        "lines that the other side refused for good",
    ),
    (
        "lines_uncertain",
        Counter("lines_uncertain"),
        "lines that the other side took or refused: its answer does not say which",
    ),
    (
        "lines_written",
        Counter("lines_written"),
        "lines, or samples of a page, that the other side has taken",
    ),
    (
        "requests_abandoned",
        Counter("requests_abandoned"),
        "requests whose client left before it had the whole page",
    ),
    (
        "requests_refused",
        Counter("requests_refused"),
        "connections and requests that were refused",
    ),
    (
        "retries",
        Counter("retries"),
        "connections made again and requests repeated",
    ),
];

/// The names of node_exporter's `ipvs` collector (collector/ipvs_linux.go): metric, help.
pub mod node {
    /// What the network namespace counted, in the order of `IPVS`'s counters; `_total` is added.
    pub const TOTALS: [(&str, &str); 5] = [
        (
            "node_ipvs_connections",
            "The total number of connections made.",
        ),
        (
            "node_ipvs_incoming_packets",
            "The total number of incoming packets.",
        ),
        (
            "node_ipvs_outgoing_packets",
            "The total number of outgoing packets.",
        ),
        (
            "node_ipvs_incoming_bytes",
            "The total amount of incoming data.",
        ),
        (
            "node_ipvs_outgoing_bytes",
            "The total amount of outgoing data.",
        ),
    ];

    /// Of each destination.
    pub const BACKENDS: [(&str, &str); 3] = [
        (
            "node_ipvs_backend_connections_active",
            "The current active connections by local and remote address.",
        ),
        (
            "node_ipvs_backend_connections_inactive",
            "The current inactive connections by local and remote address.",
        ),
        (
            "node_ipvs_backend_weight",
            "The current backend weight by local and remote address.",
        ),
    ];

    /// Its labels, in its order. `local_` is the virtual service, `remote_` the destination.
    pub const LABELS: [&str; 6] = [
        "local_address",
        "local_mark",
        "local_port",
        "proto",
        "remote_address",
        "remote_port",
    ];
}

/// `TCP`, `UDP`, `SCTP` or `FWM`, as /proc/net/ip_vs has them.
#[must_use]
pub fn node_protocol(service: &Service) -> &'static str {
    match service.key.address {
        VirtualAddress::Fwmark(_) => "FWM",
        VirtualAddress::Socket { protocol: 6, .. } => "TCP",
        VirtualAddress::Socket { protocol: 17, .. } => "UDP",
        VirtualAddress::Socket { protocol: 132, .. } => "SCTP",
        VirtualAddress::Socket { .. } => "IP",
    }
}

/// Whether a metric of ours has a label of this name already, which a further tag then cannot have.
#[must_use]
pub fn is_label(name: &str) -> bool {
    let own = super::names::is_tag(name) || name == VIRTUAL_ADDRESS_FAMILY || name == "version";
    let of = |metric: Metric| matches!(metric, Label(label) if label == name);
    own || SAMPLER.iter().any(|(_, metric, _)| of(*metric))
        || super::ServiceRow::MEASUREMENT
            .fields
            .iter()
            .any(|field| of(field.metric))
        || DestinationRow::MEASUREMENT
            .fields
            .iter()
            .any(|field| of(field.metric))
        || node::LABELS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::{Metric, OUTPUT, SAMPLER};
    use crate::{
        model::{Counts, Health, Mode, Report, Totals},
        schema::{DestinationRow, FieldSet, Measurement, ServiceRow, Value, sampler},
        sink,
    };

    #[test]
    fn every_field_about_the_sampler_is_decided_on() {
        let report = Report {
            mode: &Mode::Live,
            services: 0,
            destinations: 0,
            uncounted: 0,
            events: Counts::default(),
            totals: Totals::default(),
            differences: None,
        };
        let fields = sampler::fields(&Health::default(), &report);
        for ((name, value), (decided, metric, _)) in fields.iter().zip(SAMPLER) {
            assert_eq!(*name, decided);
            let text = matches!(value, Value::Text(_));
            let other = matches!(metric, Metric::Label(_) | Metric::Left(_));
            assert_eq!(text, other, "{name}");
            let nanoseconds = matches!(metric, Metric::Seconds(_));
            assert_eq!(name.contains("_ns_"), nanoseconds, "{name}");
        }
        let output = sink::Report {
            label: "",
            counts: sink::Counts::default(),
            waiting: 0,
        };
        let fields = sampler::output_fields(&output);
        for ((name, _), (decided, _, _)) in fields.iter().zip(OUTPUT) {
            assert_eq!(*name, decided);
        }
    }

    #[test]
    fn no_two_metrics_have_the_same_name_and_none_has_a_suffix_of_its_own() {
        fn names<Row>(measurement: &Measurement<'_, Row>) -> Vec<(&'static str, FieldSet)> {
            let metrics = measurement
                .fields
                .iter()
                .map(|field| (field.metric, field.set));
            metrics
                .filter_map(|(metric, set)| match metric {
                    Metric::Counter(name) | Metric::Seconds(name) => Some((name, FieldSet::All)),
                    Metric::Gauge(name, with) => {
                        assert!(with <= set, "{name}");
                        Some((name, with))
                    }
                    Metric::Label(_) | Metric::Left(_) => None,
                })
                .collect()
        }
        for names in [
            names(&ServiceRow::MEASUREMENT),
            names(&DestinationRow::MEASUREMENT),
        ] {
            let mut sorted: Vec<_> = names.iter().map(|(name, _)| *name).collect();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), names.len());
            assert!(sorted.iter().all(|name| !name.ends_with("_total")));
        }
    }
}
