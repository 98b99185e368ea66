//! One line per virtual service.

use super::{address, family, fwmark, port, protocol};
use crate::schema::FieldSet::{All, Extended, Scheduled};
use crate::schema::Value::Unsigned;
use crate::schema::{Field, Measurement, ServiceRow, Tag, TagValue};

impl<'a> ServiceRow<'a> {
    /// `ipvs_virtual_server`.
    pub const MEASUREMENT: Measurement<'a, Self> = Measurement {
        name: "ipvs_virtual_server",
        tags: &[
            Tag {
                name: "address",
                help: "address of the service; absent with fwmark",
                value: |row, _| address(row.service),
            },
            Tag {
                name: "address_family",
                help: "inet or inet6",
                value: |row, _| family(row.service.key.family),
            },
            Tag {
                name: "fwmark",
                help: "firewall mark that selects the service's packets",
                value: |row, _| fwmark(&row.service.key),
            },
            Tag {
                name: "netmask",
                help: "granularity of persistence: one bits of the mask",
                value: |row, style| style.netmask(row.service),
            },
            Tag {
                name: "netns",
                help: "network namespace; absent unless one was chosen",
                value: |_, style| style.netns(),
            },
            Tag {
                name: "port",
                help: "port of the service; absent with fwmark",
                value: |row, _| port(&row.service.key),
            },
            Tag {
                name: "protocol",
                help: "tcp, udp or sctp; absent with fwmark",
                value: |row, _| protocol(&row.service.key),
            },
            Tag {
                name: "sched",
                help: "scheduler",
                value: |row, _| TagValue::Text(row.service.scheduler.as_str()),
            },
        ],
        fields: &[
            Field {
                name: "bytes_in",
                help: "bytes towards real servers since creation or zeroing",
                set: All,
                value: |row| Unsigned(row.service.stats.bytes_in),
            },
            Field {
                name: "bytes_out",
                help: "bytes back since creation or zeroing",
                set: All,
                value: |row| Unsigned(row.service.stats.bytes_out),
            },
            Field {
                name: "bytes_per_second_in",
                help: "bytes towards real servers per second",
                set: Extended,
                value: |row| Unsigned(row.service.stats.bytes_in_per_second),
            },
            Field {
                name: "bytes_per_second_out",
                help: "bytes back per second",
                set: Extended,
                value: |row| Unsigned(row.service.stats.bytes_out_per_second),
            },
            Field {
                name: "connections",
                help: "connections scheduled since creation or zeroing",
                set: Scheduled,
                value: |row| Unsigned(row.service.stats.connections),
            },
            Field {
                name: "cps",
                help: "connections scheduled per second",
                set: Scheduled,
                value: |row| Unsigned(row.service.stats.connections_per_second),
            },
            Field {
                name: "cps_max",
                help: "highest connections per second of any tick since the last complete snapshot",
                set: Extended,
                value: |row| row.peak(|peak| Some(peak.connections)),
            },
            Field {
                name: "flags",
                help: "IP_VS_SVC_F_* bits: 1 persistent, 4 one-packet, 8 and up the scheduler's",
                set: Extended,
                value: |row| Unsigned(row.service.flags.into()),
            },
            Field {
                name: "pkts_in",
                help: "packets towards real servers since creation or zeroing",
                set: All,
                value: |row| Unsigned(row.service.stats.packets_in),
            },
            Field {
                name: "pkts_out",
                help: "packets back since creation or zeroing",
                set: All,
                value: |row| Unsigned(row.service.stats.packets_out),
            },
            Field {
                name: "pps_in",
                help: "packets towards real servers per second",
                set: All,
                value: |row| Unsigned(row.service.stats.packets_in_per_second),
            },
            Field {
                name: "pps_in_max",
                help: "highest pps_in of any tick since the last complete snapshot; in mode live",
                set: Extended,
                value: |row| row.peak(|peak| peak.packets_in),
            },
            Field {
                name: "pps_out",
                help: "packets back per second",
                set: All,
                value: |row| Unsigned(row.service.stats.packets_out_per_second),
            },
            Field {
                name: "pps_out_max",
                help: "highest pps_out of any tick since the last complete snapshot; in mode live",
                set: Extended,
                value: |row| row.peak(|peak| peak.packets_out),
            },
            Field {
                name: "timeout",
                help: "persistence timeout in seconds",
                set: Extended,
                value: |row| Unsigned(row.service.timeout.into()),
            },
        ],
    };
}
