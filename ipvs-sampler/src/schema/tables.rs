//! The two tables.

use super::FieldSet::{All, Scheduled};
use super::{DestinationRow, Field, Measurement, ServiceRow, Tag, TagValue, words};
use crate::model::{Service, ServiceKey, VirtualAddress};

impl<'a> ServiceRow<'a> {
    /// `ipvs_virtual_server`: one line per virtual service.
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
                value: |row, netmask| {
                    let Service {
                        key, netmask: mask, ..
                    } = row.service;
                    TagValue::Number(netmask.number(key.family, *mask))
                },
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
                value: |row| row.service.stats.bytes_in,
            },
            Field {
                name: "bytes_out",
                help: "bytes back since creation or zeroing",
                set: All,
                value: |row| row.service.stats.bytes_out,
            },
            Field {
                name: "connections",
                help: "connections scheduled since creation or zeroing",
                set: Scheduled,
                value: |row| row.connections,
            },
            Field {
                name: "cps",
                help: "connections scheduled per second",
                set: Scheduled,
                value: |row| row.connections_per_second,
            },
            Field {
                name: "pkts_in",
                help: "packets towards real servers since creation or zeroing",
                set: All,
                value: |row| row.service.stats.packets_in,
            },
            Field {
                name: "pkts_out",
                help: "packets back since creation or zeroing",
                set: All,
                value: |row| row.service.stats.packets_out,
            },
            Field {
                name: "pps_in",
                help: "packets towards real servers per second",
                set: All,
                value: |row| row.service.stats.packets_in_per_second,
            },
            Field {
                name: "pps_out",
                help: "packets back per second",
                set: All,
                value: |row| row.service.stats.packets_out_per_second,
            },
        ],
    };
}

impl<'a> DestinationRow<'a> {
    /// `ipvs_real_server`: one line per destination.
    pub const MEASUREMENT: Measurement<'a, Self> = Measurement {
        name: "ipvs_real_server",
        tags: &[
            Tag {
                name: "address",
                help: "address of the real server",
                value: |row, _| TagValue::Address {
                    family: row.destination.key.family,
                    bytes: &row.destination.key.address,
                },
            },
            Tag {
                name: "address_family",
                help: "inet or inet6, of the real server",
                value: |row, _| family(row.destination.key.family),
            },
            Tag {
                name: "port",
                help: "port of the real server; 0 is the port of the connection",
                value: |row, _| TagValue::Number(u32::from(row.destination.key.port)),
            },
            Tag {
                name: "virtual_address",
                help: "address of the service; absent with virtual_fwmark",
                value: |row, _| address(row.service),
            },
            Tag {
                name: "virtual_fwmark",
                help: "firewall mark that selects the service's packets",
                value: |row, _| fwmark(&row.service.key),
            },
            Tag {
                name: "virtual_port",
                help: "port of the service; absent with virtual_fwmark",
                value: |row, _| port(&row.service.key),
            },
            Tag {
                name: "virtual_protocol",
                help: "tcp, udp or sctp; absent with virtual_fwmark",
                value: |row, _| protocol(&row.service.key),
            },
        ],
        fields: &[
            Field {
                name: "active_connections",
                help: "connections in an active state now",
                set: All,
                value: |row| u64::from(row.destination.active_connections),
            },
            Field {
                name: "bytes_in",
                help: "bytes towards the real server since creation or zeroing",
                set: All,
                value: |row| row.destination.stats.bytes_in,
            },
            Field {
                name: "bytes_out",
                help: "bytes back since creation or zeroing",
                set: All,
                value: |row| row.destination.stats.bytes_out,
            },
            Field {
                name: "connections",
                help: "connections scheduled since creation or zeroing",
                set: Scheduled,
                value: |row| row.connections,
            },
            Field {
                name: "cps",
                help: "connections scheduled per second",
                set: Scheduled,
                value: |row| row.connections_per_second,
            },
            Field {
                name: "inactive_connections",
                help: "connections in any other state now",
                set: All,
                value: |row| u64::from(row.destination.inactive_connections),
            },
            Field {
                name: "pkts_in",
                help: "packets towards the real server since creation or zeroing",
                set: All,
                value: |row| row.destination.stats.packets_in,
            },
            Field {
                name: "pkts_out",
                help: "packets back since creation or zeroing",
                set: All,
                value: |row| row.destination.stats.packets_out,
            },
            Field {
                name: "pps_in",
                help: "packets towards the real server per second",
                set: All,
                value: |row| row.destination.stats.packets_in_per_second,
            },
            Field {
                name: "pps_out",
                help: "packets back per second",
                set: All,
                value: |row| row.destination.stats.packets_out_per_second,
            },
        ],
    };
}

fn family(number: u16) -> TagValue<'static> {
    word_or_number(words::address_family(number), number)
}

fn word_or_number(word: Option<&'static str>, number: u16) -> TagValue<'static> {
    word.map_or(TagValue::Number(u32::from(number)), TagValue::Text)
}

fn address(service: &Service) -> TagValue<'_> {
    match &service.key.address {
        VirtualAddress::Socket { address, .. } => TagValue::Address {
            family: service.key.family,
            bytes: address,
        },
        VirtualAddress::Fwmark(_) => TagValue::Absent,
    }
}

fn port(key: &ServiceKey) -> TagValue<'static> {
    match key.address {
        VirtualAddress::Socket { port, .. } => TagValue::Number(u32::from(port)),
        VirtualAddress::Fwmark(_) => TagValue::Absent,
    }
}

fn protocol(key: &ServiceKey) -> TagValue<'static> {
    match key.address {
        VirtualAddress::Socket { protocol, .. } => {
            word_or_number(words::protocol(protocol), protocol)
        }
        VirtualAddress::Fwmark(_) => TagValue::Absent,
    }
}

fn fwmark(key: &ServiceKey) -> TagValue<'static> {
    match key.address {
        VirtualAddress::Socket { .. } => TagValue::Absent,
        VirtualAddress::Fwmark(mark) => TagValue::Number(mark),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_fields_are_sorted_by_name() {
        fn check<Row>(measurement: &Measurement<'_, Row>) {
            let tags = measurement.tags.iter().map(|tag| tag.name);
            let fields = measurement.fields.iter().map(|field| field.name);
            assert!(tags.is_sorted_by(|one, next| one < next));
            assert!(fields.is_sorted_by(|one, next| one < next));
        }
        check(&ServiceRow::MEASUREMENT);
        check(&DestinationRow::MEASUREMENT);
    }
}
