//! One line per destination.

use super::{address, common, family, fwmark, port, protocol};
use crate::model::{ArrivalSummary, Gaps};
use crate::schema::FieldSet::All;
use crate::schema::Metric::Gauge;
use crate::schema::Unit::{self, Nanoseconds, Of};
use crate::schema::Value::{self, Absent, Text, Unsigned};
use crate::schema::value::optional;
use crate::schema::{DestinationRow, Field, Measurement, Modes, Tag, TagValue, words};

/// Of times between connections.
const GAPS: &str = "in complete snapshots, when a connection followed an earlier one";

impl<'a> DestinationRow<'a> {
    /// `ipvs_real_server`.
    pub const MEASUREMENT: Measurement<'a, Self> = Measurement {
        name: "ipvs_real_server",
        tags: &[
            Tag {
                name: "address",
                help: "Address of the real server",
                series: true,
                value: |row, _| TagValue::Address {
                    family: row.destination.key.family,
                    bytes: &row.destination.key.address,
                },
            },
            Tag {
                name: "address_family",
                help: "Address family of the real server: inet or inet6",
                series: true,
                value: |row, _| family(row.destination.key.family),
            },
            Tag {
                name: "netns",
                help: "Network namespace, as given by --netns; absent without it",
                series: true,
                value: |_, style| style.netns(),
            },
            Tag {
                name: "port",
                help: "Port of the real server; 0 means the port of the connection",
                series: true,
                value: |row, _| TagValue::Number(u32::from(row.destination.key.port)),
            },
            Tag {
                name: "virtual_address",
                help: "Address of the virtual service; absent for a service by firewall mark",
                series: true,
                value: |row, _| address(row.service),
            },
            Tag {
                name: "virtual_fwmark",
                help: "Firewall mark of the virtual service; absent for a service by address",
                series: true,
                value: |row, _| fwmark(&row.service.key),
            },
            Tag {
                name: "virtual_port",
                help: "Port of the virtual service; absent for a service by firewall mark",
                series: true,
                value: |row, _| port(&row.service.key),
            },
            Tag {
                name: "virtual_protocol",
                help: "Protocol of the virtual service: tcp, udp or sctp; absent for a service by firewall mark",
                series: true,
                value: |row, _| protocol(&row.service.key),
            },
        ],
        fields: &[
            Field::<Self>::gauge(
                "active_connections",
                Of("connections"),
                "Connections in an active state now",
                |row| Unsigned(row.destination.active_connections.into()),
            ),
            common::bytes_in(),
            common::bytes_out(),
            common::bytes_per_second_in(),
            common::bytes_per_second_out(),
            common::connections(),
            Field::<Self>::gauge(
                "connections_10ms_max",
                Of("connections"),
                "Most connections within any 10 ms since the previous complete snapshot",
                |row| arrivals(row, |arrivals| Some(arrivals.most_in_10ms.into())),
            )
            .interval()
            .modes(Modes::Probe),
            Field::<Self>::gauge(
                "connections_1ms_max",
                Of("connections"),
                "Most connections within any 1 ms since the previous complete snapshot",
                |row| arrivals(row, |arrivals| Some(arrivals.most_in_1ms.into())),
            )
            .interval()
            .modes(Modes::Probe),
            common::cps(),
            common::cps_max(),
            Field::<Self>::property(
                "forwarding",
                "Forwarding method: masq, local, tunnel, route, bypass or unknown",
                |row| Text(words::forwarding(row.destination.forwarding)),
            )
            .extended(),
            Field::<Self>::gauge(
                "inactive_connections",
                Of("connections"),
                "Connections in any other state now",
                |row| Unsigned(row.destination.inactive_connections.into()),
            ),
            Field::<Self>::gauge(
                "interarrival_ns_max",
                Nanoseconds,
                "Longest time between two consecutive connections since the previous complete snapshot",
                |row| gaps(row, |gaps| gaps.longest),
            )
            .interval()
            .modes(Modes::Probe)
            .when(GAPS),
            Field::<Self>::gauge(
                "interarrival_ns_p50",
                Nanoseconds,
                "Median time between two consecutive connections since the previous complete snapshot",
                |row| gaps(row, |gaps| gaps.p50),
            )
            .interval()
            .modes(Modes::Probe)
            .when(GAPS),
            Field::<Self>::gauge(
                "interarrival_ns_p99",
                Nanoseconds,
                "99th percentile of the time between two consecutive connections",
                |row| gaps(row, |gaps| gaps.p99),
            )
            .interval()
            .modes(Modes::Probe)
            .when(GAPS),
            Field::<Self>::gauge(
                "interarrival_ns_p999",
                Nanoseconds,
                "99.9th percentile of the time between two consecutive connections",
                |row| gaps(row, |gaps| gaps.p999),
            )
            .interval()
            .modes(Modes::Probe)
            .when(GAPS),
            Field::<Self>::gauge(
                "lower_threshold",
                Of("connections"),
                "Connections below which an overloaded destination gets new connections again; 0 means three quarters of the upper threshold",
                |row| Unsigned(row.destination.lower_threshold.into()),
            )
            .extended(),
            Field::<Self>::gauge(
                "overloaded",
                Unit::None,
                "1 while the destination is overloaded: from reaching the upper threshold until falling below the lower one; otherwise 0",
                |row| {
                    row.destination
                        .overloaded
                        .map_or(Absent, |overloaded| Unsigned(overloaded.into()))
                },
            )
            .extended()
            .modes(Modes::Live),
            Field::<Self>::gauge(
                "persistent_connections",
                Of("connections"),
                "Persistence templates now",
                |row| Unsigned(row.destination.persistent_connections.into()),
            )
            .extended(),
            common::pkts_in(),
            common::pkts_out(),
            common::pps_in(),
            common::pps_in_max(),
            common::pps_out(),
            common::pps_out_max(),
            Field::<Self>::gauge(
                "upper_threshold",
                Of("connections"),
                "Connections at which the destination becomes overloaded; 0 means no limit",
                |row| Unsigned(row.destination.upper_threshold.into()),
            )
            .extended(),
            Field::<Self>::gauge(
                "weight",
                Unit::None,
                "Weight; 0 means no new connections",
                |row| Unsigned(row.destination.weight.into()),
            )
            .extended()
            .metric(Gauge("weight", All)),
        ],
    };
}

fn arrivals(row: &DestinationRow<'_>, of: fn(&ArrivalSummary) -> Option<u64>) -> Value<'static> {
    optional(row.interval.arrivals.as_ref().and_then(of))
}

fn gaps(row: &DestinationRow<'_>, of: fn(&Gaps) -> u64) -> Value<'static> {
    let arrivals = row.interval.arrivals.as_ref();
    optional(arrivals.and_then(|arrivals| arrivals.gaps.as_ref()).map(of))
}
