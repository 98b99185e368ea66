//! What each field and tag is as a Prometheus metric, and the names that other exporters have.
//!
//! Fields say it in their tables (`Field::metric`), which do not compile without. Here stands what is no
//! field.

use super::metric::Metric::{self, Label, Seconds};
use super::{DestinationRow, Measurement, TagValue, sampler::SamplerRow, words};
use crate::model::{Service, VirtualAddress};

/// Behind the measurement's name, the metric whose labels are all that does not tell series apart.
pub const INFO: (&str, &str) = ("info", "What is configured, as labels");

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

/// The metric whose labels are `mode` and `reason`.
pub const MODE_INFO: (&str, &str) = ("mode_info", "Mode, and why it is not a better one");

/// Metrics about a page that are no fields of `ipvs_sampler`, whose lines have a timestamp: when the last
/// dump had ended, and when the page's counters were read.
pub const MOMENTS: [(Metric, &str); 2] = [
    (
        Seconds("snapshot_timestamp_seconds"),
        "End of the last netlink dump, as Unix time",
    ),
    (
        Seconds("tick_timestamp_seconds"),
        "Tick that these numbers are from, as Unix time",
    ),
];

/// The metric with the sampler's version.
pub const BUILD_INFO: (&str, &str) = ("build_info", "Version of ipvs-sampler");

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
    own || has_label(&super::ServiceRow::MEASUREMENT, name)
        || has_label(&DestinationRow::MEASUREMENT, name)
        || has_label(&SamplerRow::MEASUREMENT, name)
        || node::LABELS.contains(&name)
}

fn has_label<Row>(measurement: &Measurement<'_, Row>, name: &str) -> bool {
    let mut fields = measurement.fields.iter();
    fields.any(|field| matches!(field.metric, Label(label) if label == name))
}

#[cfg(test)]
mod tests {
    use super::Metric;
    use crate::{
        schema::{
            DestinationRow, FieldSet, Kind, Measurement, ServiceRow, Unit, sampler::SamplerRow,
        },
        sink::OutputReport,
    };

    #[test]
    fn a_metric_is_of_its_fields_kind_and_unit() {
        fn check<Row>(measurement: &Measurement<'_, Row>) {
            for field in measurement.fields {
                let name = field.name;
                let kind = match field.metric {
                    Metric::Counter(_) => Kind::Counter,
                    Metric::Gauge(..) | Metric::Seconds(_) => Kind::Gauge,
                    Metric::Label(_) => Kind::Property,
                    Metric::Left(_) => field.kind,
                };
                assert_eq!(field.kind, kind, "{name}");
                let nanoseconds = field.unit == Unit::Nanoseconds;
                assert_eq!(name.contains("_ns_"), nanoseconds, "{name}");
                let seconds = matches!(field.metric, Metric::Seconds(_));
                let left = matches!(field.metric, Metric::Left(_));
                assert!(nanoseconds == seconds || nanoseconds && left, "{name}");
                assert!(
                    field.unit != Unit::None || field.kind != Kind::Counter,
                    "{name}"
                );
            }
        }
        check(&ServiceRow::MEASUREMENT);
        check(&DestinationRow::MEASUREMENT);
        check(&SamplerRow::MEASUREMENT);
        check(&OutputReport::MEASUREMENT);
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
            names(&SamplerRow::MEASUREMENT),
            names(&OutputReport::MEASUREMENT),
        ] {
            let mut sorted: Vec<_> = names.iter().map(|(name, _)| *name).collect();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), names.len());
            assert!(sorted.iter().all(|name| !name.ends_with("_total")));
        }
    }
}
