//! One line per virtual service.

use super::{address, common, family, fwmark, port, protocol};
use crate::schema::FieldSet::Extended;
use crate::schema::Metric::Gauge;
use crate::schema::Unit::Seconds;
use crate::schema::Value::Unsigned;
use crate::schema::{Field, Measurement, ServiceRow, Tag, TagValue};

impl<'a> ServiceRow<'a> {
    /// `ipvs_virtual_server`.
    pub const MEASUREMENT: Measurement<'a, Self> = Measurement {
        name: "ipvs_virtual_server",
        tags: &[
            Tag {
                name: "address",
                help: "Address of the virtual service; absent for a service by firewall mark",
                series: true,
                value: |row, _| address(row.service),
            },
            Tag {
                name: "address_family",
                help: "Address family of the virtual service: inet or inet6",
                series: true,
                value: |row, _| family(row.service.key.family),
            },
            Tag {
                name: "fwmark",
                help: "Firewall mark of the virtual service; absent for a service by address",
                series: true,
                value: |row, _| fwmark(&row.service.key),
            },
            Tag {
                name: "netmask",
                help: "Granularity of persistence, written as --netmask says",
                series: false,
                value: |row, style| style.netmask(row.service),
            },
            Tag {
                name: "netns",
                help: "Network namespace, as given by --netns; absent without it",
                series: true,
                value: |_, style| style.netns(),
            },
            Tag {
                name: "port",
                help: "Port of the virtual service; absent for a service by firewall mark",
                series: true,
                value: |row, _| port(&row.service.key),
            },
            Tag {
                name: "protocol",
                help: "Protocol of the virtual service: tcp, udp or sctp; absent for a service by firewall mark",
                series: true,
                value: |row, _| protocol(&row.service.key),
            },
            Tag {
                name: "sched",
                help: "Scheduler",
                series: false,
                value: |row, _| TagValue::Text(row.service.scheduler.as_str()),
            },
        ],
        fields: &[
            common::bytes_in(),
            common::bytes_out(),
            common::bytes_per_second_in(),
            common::bytes_per_second_out(),
            common::connections(),
            common::cps(),
            common::cps_max(),
            Field::<Self>::property(
                "flags",
                "IP_VS_SVC_F_* bits: 1 persistent, 4 one-packet, 8, 16 and 32 flags of the scheduler",
                |row| Unsigned(row.service.flags.into()),
            )
            .extended(),
            common::pkts_in(),
            common::pkts_out(),
            common::pps_in(),
            common::pps_in_max(),
            common::pps_out(),
            common::pps_out_max(),
            Field::<Self>::gauge(
                "timeout",
                Seconds,
                "Persistence timeout",
                |row| Unsigned(row.service.timeout.into()),
            )
            .extended()
            .metric(Gauge("persistence_timeout_seconds", Extended)),
        ],
    };
}
