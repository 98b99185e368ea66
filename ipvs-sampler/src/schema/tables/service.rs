//! One line per virtual service.

use super::{address, common::Common, family, fwmark, port, protocol};
use crate::schema::FieldSet::Extended;
use crate::schema::Metric::{Gauge, Label};
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
                series: true,
                value: |row, _| address(row.service),
            },
            Tag {
                name: "address_family",
                help: "inet or inet6",
                series: true,
                value: |row, _| family(row.service.key.family),
            },
            Tag {
                name: "fwmark",
                help: "firewall mark that selects the service's packets",
                series: true,
                value: |row, _| fwmark(&row.service.key),
            },
            Tag {
                name: "netmask",
                help: "granularity of persistence: one bits of the mask",
                series: false,
                value: |row, style| style.netmask(row.service),
            },
            Tag {
                name: "netns",
                help: "network namespace; absent unless one was chosen",
                series: true,
                value: |_, style| style.netns(),
            },
            Tag {
                name: "port",
                help: "port of the service; absent with fwmark",
                series: true,
                value: |row, _| port(&row.service.key),
            },
            Tag {
                name: "protocol",
                help: "tcp, udp or sctp; absent with fwmark",
                series: true,
                value: |row, _| protocol(&row.service.key),
            },
            Tag {
                name: "sched",
                help: "scheduler",
                series: false,
                value: |row, _| TagValue::Text(row.service.scheduler.as_str()),
            },
        ],
        fields: &[
            Common::BYTES_IN,
            Common::BYTES_OUT,
            Common::BYTES_PER_SECOND_IN,
            Common::BYTES_PER_SECOND_OUT,
            Common::CONNECTIONS,
            Common::CPS,
            Common::CPS_MAX,
            Field {
                name: "flags",
                help: "IP_VS_SVC_F_* bits: 1 persistent, 4 one-packet, 8 and up the scheduler's",
                set: Extended,
                metric: Label("flags"),
                value: |row| Unsigned(row.service.flags.into()),
            },
            Common::PKTS_IN,
            Common::PKTS_OUT,
            Common::PPS_IN,
            Common::PPS_IN_MAX,
            Common::PPS_OUT,
            Common::PPS_OUT_MAX,
            Field {
                name: "timeout",
                help: "persistence timeout in seconds",
                set: Extended,
                metric: Gauge("persistence_timeout_seconds", Extended),
                value: |row| Unsigned(row.service.timeout.into()),
            },
        ],
    };
}
