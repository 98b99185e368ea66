//! One line per destination.

use super::{address, common::Common, family, fwmark, port, protocol};
use crate::schema::FieldSet::{All, Extended};
use crate::schema::Metric::{Gauge, Label, Left};
use crate::schema::Value::{Absent, Text, Unsigned};
use crate::schema::prometheus::INTERVAL;
use crate::schema::{DestinationRow, Field, Measurement, Tag, TagValue, words};

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
            Field {
                name: "active_connections",
                help: "connections in an active state now",
                set: All,
                metric: Gauge("active_connections", All),
                value: |row| Unsigned(row.destination.active_connections.into()),
            },
            Common::BYTES_IN,
            Common::BYTES_OUT,
            Common::BYTES_PER_SECOND_IN,
            Common::BYTES_PER_SECOND_OUT,
            Common::CONNECTIONS,
            Field {
                name: "connections_10ms_max",
                help: "most connections in any ten milliseconds since the last complete snapshot",
                set: Extended,
                metric: Left(INTERVAL),
                value: |row| row.arrivals(|arrivals| Some(arrivals.most_in_10ms.into())),
            },
            Field {
                name: "connections_1ms_max",
                help: "most connections in any millisecond since the last complete snapshot",
                set: Extended,
                metric: Left(INTERVAL),
                value: |row| row.arrivals(|arrivals| Some(arrivals.most_in_1ms.into())),
            },
            Common::CPS,
            Common::CPS_MAX,
            Field {
                name: "forwarding",
                help: "masq, local, tunnel, route, bypass or unknown",
                set: Extended,
                metric: Label("forwarding"),
                value: |row| Text(words::forwarding(row.destination.forwarding)),
            },
            Field {
                name: "inactive_connections",
                help: "connections in any other state now",
                set: All,
                metric: Gauge("inactive_connections", All),
                value: |row| Unsigned(row.destination.inactive_connections.into()),
            },
            Field {
                name: "interarrival_ns_max",
                help: "longest time between two connections in a row",
                set: Extended,
                metric: Left(INTERVAL),
                value: |row| row.gaps(|gaps| gaps.longest),
            },
            Field {
                name: "interarrival_ns_p50",
                help: "time between two connections in a row: half were not longer",
                set: Extended,
                metric: Left(INTERVAL),
                value: |row| row.gaps(|gaps| gaps.p50),
            },
            Field {
                name: "interarrival_ns_p99",
                help: "as above, 99 %",
                set: Extended,
                metric: Left(INTERVAL),
                value: |row| row.gaps(|gaps| gaps.p99),
            },
            Field {
                name: "interarrival_ns_p999",
                help: "as above, 99.9 %",
                set: Extended,
                metric: Left(INTERVAL),
                value: |row| row.gaps(|gaps| gaps.p999),
            },
            Field {
                name: "lower_threshold",
                help: "new connections again below so many",
                set: Extended,
                metric: Gauge("lower_threshold", Extended),
                value: |row| Unsigned(row.destination.lower_threshold.into()),
            },
            Field {
                name: "overloaded",
                help: "1 from the upper threshold down to the lower one, otherwise 0; in mode live",
                set: Extended,
                metric: Gauge("overloaded", Extended),
                value: |row| {
                    row.destination
                        .overloaded
                        .map_or(Absent, |overloaded| Unsigned(overloaded.into()))
                },
            },
            Field {
                name: "persistent_connections",
                help: "persistence templates now",
                set: Extended,
                metric: Gauge("persistent_connections", Extended),
                value: |row| Unsigned(row.destination.persistent_connections.into()),
            },
            Common::PKTS_IN,
            Common::PKTS_OUT,
            Common::PPS_IN,
            Common::PPS_IN_MAX,
            Common::PPS_OUT,
            Common::PPS_OUT_MAX,
            Field {
                name: "upper_threshold",
                help: "no new connections above so many; 0 means no limit",
                set: Extended,
                metric: Gauge("upper_threshold", Extended),
                value: |row| Unsigned(row.destination.upper_threshold.into()),
            },
            Field {
                name: "weight",
                help: "weight; 0 means no new connections",
                set: Extended,
                metric: Gauge("weight", All),
                value: |row| Unsigned(row.destination.weight.into()),
            },
        ],
    };
}
