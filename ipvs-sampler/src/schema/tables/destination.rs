//! One line per destination.

use super::{address, common, family, fwmark, port, protocol};
use crate::model::{ArrivalSummary, Gaps};
use crate::schema::FieldSet::All;
use crate::schema::Metric::{Gauge, Left};
use crate::schema::Unit::{self, Nanoseconds, Of};
use crate::schema::Value::{self, Absent, Text, Unsigned};
use crate::schema::metric::INTERVAL;
use crate::schema::value::optional;
use crate::schema::{DestinationRow, Field, Measurement, Modes, Tag, TagValue, words};

/// Of times between connections.
const GAPS: &str = "two connections or more came since the last complete snapshot";

impl<'a> DestinationRow<'a> {
    /// `ipvs_real_server`.
    pub const MEASUREMENT: Measurement<'a, Self> = Measurement {
        name: "ipvs_real_server",
        tags: &[
            Tag {
                name: "address",
                help: "address of the real server",
                series: true,
                value: |row, _| TagValue::Address {
                    family: row.destination.key.family,
                    bytes: &row.destination.key.address,
                },
            },
            Tag {
                name: "address_family",
                help: "inet or inet6, of the real server",
                series: true,
                value: |row, _| family(row.destination.key.family),
            },
            Tag {
                name: "netns",
                help: "network namespace; absent unless one was chosen",
                series: true,
                value: |_, style| style.netns(),
            },
            Tag {
                name: "port",
                help: "port of the real server; 0 is the port of the connection",
                series: true,
                value: |row, _| TagValue::Number(u32::from(row.destination.key.port)),
            },
            Tag {
                name: "virtual_address",
                help: "address of the service; absent with virtual_fwmark",
                series: true,
                value: |row, _| address(row.service),
            },
            Tag {
                name: "virtual_fwmark",
                help: "firewall mark that selects the service's packets",
                series: true,
                value: |row, _| fwmark(&row.service.key),
            },
            Tag {
                name: "virtual_port",
                help: "port of the service; absent with virtual_fwmark",
                series: true,
                value: |row, _| port(&row.service.key),
            },
            Tag {
                name: "virtual_protocol",
                help: "tcp, udp or sctp; absent with virtual_fwmark",
                series: true,
                value: |row, _| protocol(&row.service.key),
            },
        ],
        fields: &[
            Field::<Self>::gauge(
                "active_connections",
                Of("connections"),
                "connections in an active state now",
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
                "most connections in any ten milliseconds since the last complete snapshot",
                |row| arrivals(row, |arrivals| Some(arrivals.most_in_10ms.into())),
            )
            .extended()
            .modes(Modes::Probe)
            .metric(Left(INTERVAL)),
            Field::<Self>::gauge(
                "connections_1ms_max",
                Of("connections"),
                "most connections in any millisecond since the last complete snapshot",
                |row| arrivals(row, |arrivals| Some(arrivals.most_in_1ms.into())),
            )
            .extended()
            .modes(Modes::Probe)
            .metric(Left(INTERVAL)),
            common::cps(),
            common::cps_max(),
            Field::<Self>::text(
                "forwarding",
                "masq, local, tunnel, route, bypass or unknown",
                |row| Text(words::forwarding(row.destination.forwarding)),
            )
            .extended(),
            Field::<Self>::gauge(
                "inactive_connections",
                Of("connections"),
                "connections in any other state now",
                |row| Unsigned(row.destination.inactive_connections.into()),
            ),
            Field::<Self>::gauge(
                "interarrival_ns_max",
                Nanoseconds,
                "longest time between two connections in a row",
                |row| gaps(row, |gaps| gaps.longest),
            )
            .extended()
            .modes(Modes::Probe)
            .when(GAPS)
            .metric(Left(INTERVAL)),
            Field::<Self>::gauge(
                "interarrival_ns_p50",
                Nanoseconds,
                "time between two connections in a row: half were not longer",
                |row| gaps(row, |gaps| gaps.p50),
            )
            .extended()
            .modes(Modes::Probe)
            .when(GAPS)
            .metric(Left(INTERVAL)),
            Field::<Self>::gauge(
                "interarrival_ns_p99",
                Nanoseconds,
                "as above, 99 %",
                |row| gaps(row, |gaps| gaps.p99),
            )
            .extended()
            .modes(Modes::Probe)
            .when(GAPS)
            .metric(Left(INTERVAL)),
            Field::<Self>::gauge(
                "interarrival_ns_p999",
                Nanoseconds,
                "as above, 99.9 %",
                |row| gaps(row, |gaps| gaps.p999),
            )
            .extended()
            .modes(Modes::Probe)
            .when(GAPS)
            .metric(Left(INTERVAL)),
            Field::<Self>::gauge(
                "lower_threshold",
                Of("connections"),
                "new connections again below so many",
                |row| Unsigned(row.destination.lower_threshold.into()),
            )
            .extended(),
            Field::<Self>::gauge(
                "overloaded",
                Unit::None,
                "1 from the upper threshold down to the lower one, otherwise 0; in mode live",
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
                "persistence templates now",
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
                "no new connections above so many; 0 means no limit",
                |row| Unsigned(row.destination.upper_threshold.into()),
            )
            .extended(),
            Field::<Self>::gauge(
                "weight",
                Unit::None,
                "weight; 0 means no new connections",
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
