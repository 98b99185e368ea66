//! The attributes of one service or destination, into the model. Pure.

use super::Error;
use super::attribute::{Attributes, bytes, counter, host_u16, host_u32, network_u16};
use super::uapi::{FORWARDING_MASK, destination, service, stats};
use crate::model::{
    Destination, DestinationKey, Forwarding, INET, Name, Service, ServiceKey, Stats, Tunnel,
    VirtualAddress,
};

/// Reads what is inside `IPVS_CMD_ATTR_SERVICE`. The service has no destinations yet.
pub(super) fn service(nest: &[u8]) -> Result<Service, Error> {
    let mut decoded = Service::default();
    let (mut family, mut protocol, mut address, mut port) = (None, None, None, None);
    let mut fwmark = 0;
    let mut counters = Counters::default();
    for attribute in Attributes::new(nest) {
        let (kind, value) = attribute?;
        match kind {
            service::AF => family = Some(host_u16(value)?),
            service::PROTOCOL => protocol = Some(host_u16(value)?),
            service::ADDR => address = Some(value),
            service::PORT => port = Some(network_u16(value)?),
            service::FWMARK => fwmark = host_u32(value)?,
            service::SCHED_NAME => decoded.scheduler = Name::from_kernel(value),
            service::FLAGS => decoded.flags = host_u32(value)?,
            service::TIMEOUT => decoded.timeout = host_u32(value)?,
            service::NETMASK => decoded.netmask = host_u32(value)?,
            service::PE_NAME => decoded.persistence_engine = Name::from_kernel(value),
            service::STATS => counters.narrow = Some(value),
            service::STATS64 => counters.wide = Some(value),
            _ => {}
        }
    }
    let family = family.ok_or_else(|| malformed("a service has no address family"))?;
    let address = match (fwmark, protocol, address, port) {
        (0, Some(protocol), Some(address), Some(port)) => VirtualAddress::Socket {
            protocol,
            address: inet_address(family, address)?,
            port,
        },
        (0, ..) => return Err(malformed("a service has neither address nor firewall mark")),
        _ => VirtualAddress::Fwmark(fwmark),
    };
    decoded.key = ServiceKey { address, family };
    decoded.stats = counters.read()?;
    Ok(decoded)
}

/// Reads what is inside `IPVS_CMD_ATTR_DEST`. `service_family` stands in for the family that old
/// kernels leave out.
pub(super) fn destination(nest: &[u8], service_family: u16) -> Result<Destination, Error> {
    let mut decoded = Destination::default();
    let mut family = service_family;
    let (mut address, mut port) = (None, None);
    let mut counters = Counters::default();
    for attribute in Attributes::new(nest) {
        let (kind, value) = attribute?;
        match kind {
            destination::ADDR => address = Some(value),
            destination::PORT => port = Some(network_u16(value)?),
            destination::FWD_METHOD => decoded.forwarding = forwarding(host_u32(value)?),
            destination::WEIGHT => decoded.weight = host_u32(value)?,
            destination::U_THRESH => decoded.upper_threshold = host_u32(value)?,
            destination::L_THRESH => decoded.lower_threshold = host_u32(value)?,
            destination::ACTIVE_CONNS => decoded.active_connections = host_u32(value)?,
            destination::INACT_CONNS => decoded.inactive_connections = host_u32(value)?,
            destination::PERSIST_CONNS => decoded.persistent_connections = host_u32(value)?,
            destination::ADDR_FAMILY => family = host_u16(value)?,
            destination::TUN_TYPE => [decoded.tunnel.kind] = bytes(value)?,
            destination::TUN_PORT => decoded.tunnel.port = network_u16(value)?,
            destination::TUN_FLAGS => decoded.tunnel.flags = host_u16(value)?,
            destination::STATS => counters.narrow = Some(value),
            destination::STATS64 => counters.wide = Some(value),
            _ => {}
        }
    }
    let (Some(address), Some(port)) = (address, port) else {
        return Err(malformed("a destination has no address or no port"));
    };
    decoded.key = DestinationKey {
        family,
        address: inet_address(family, address)?,
        port,
    };
    // Only a tunnel has these; elsewhere they are leftovers of an edit.
    if decoded.forwarding != Forwarding::Tunnel {
        decoded.tunnel = Tunnel::default();
    }
    decoded.stats = counters.read()?;
    Ok(decoded)
}

/// `IP_VS_CONN_F_MASQ` and its siblings (include/uapi/linux/ip_vs.h).
fn forwarding(connection_flags: u32) -> Forwarding {
    match connection_flags & FORWARDING_MASK {
        0 => Forwarding::Masquerade,
        1 => Forwarding::Local,
        2 => Forwarding::Tunnel,
        3 => Forwarding::Route,
        4 => Forwarding::Bypass,
        other => Forwarding::Unknown(other),
    }
}

/// The kernel sends all 16 bytes of its address union, and for IPv4 the last 12 hold whatever the
/// program that configured the service left there.
fn inet_address(family: u16, value: &[u8]) -> Result<[u8; 16], Error> {
    if family == INET {
        let [a, b, c, d] = bytes(value)?;
        Ok([a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    } else {
        bytes(value)
    }
}

/// The two nests of the same statistics: the wide one has every counter in 64 bits.
#[derive(Default)]
struct Counters<'a> {
    narrow: Option<&'a [u8]>,
    wide: Option<&'a [u8]>,
}

impl Counters<'_> {
    fn read(&self) -> Result<Stats, Error> {
        let mut read = Stats::default();
        let nest = self.wide.or(self.narrow).unwrap_or_default();
        for attribute in Attributes::new(nest) {
            let (kind, value) = attribute?;
            let field = match kind {
                stats::CONNS => &mut read.connections,
                stats::INPKTS => &mut read.packets_in,
                stats::OUTPKTS => &mut read.packets_out,
                stats::INBYTES => &mut read.bytes_in,
                stats::OUTBYTES => &mut read.bytes_out,
                stats::CPS => &mut read.connections_per_second,
                stats::INPPS => &mut read.packets_in_per_second,
                stats::OUTPPS => &mut read.packets_out_per_second,
                stats::INBPS => &mut read.bytes_in_per_second,
                stats::OUTBPS => &mut read.bytes_out_per_second,
                _ => continue,
            };
            *field = counter(value)?;
        }
        Ok(read)
    }
}

fn malformed(what: &'static str) -> Error {
    Error::Protocol { what }
}

#[cfg(test)]
mod tests {
    use super::super::attribute::append;
    use super::*;
    use crate::model::INET6;

    /// `10.0.0.<last>` as the kernel sends it, rubbish behind the four bytes included.
    fn ipv4(last: u8) -> [u8; 16] {
        let mut bytes = [0xee; 16];
        bytes[..4].copy_from_slice(&[10, 0, 0, last]);
        bytes
    }

    fn clean(last: u8) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&[10, 0, 0, last]);
        bytes
    }

    fn attributes(list: &[(u16, &[u8])]) -> Vec<u8> {
        let mut nest = Vec::new();
        for (kind, value) in list {
            append(&mut nest, *kind, value);
        }
        nest
    }

    fn counters(width: usize, value: u8) -> Vec<u8> {
        let mut number = u64::from(value).to_le_bytes();
        if cfg!(target_endian = "big") {
            number.rotate_left(8 - width);
            number[..width].reverse();
        }
        let mut nest = Vec::new();
        for kind in stats::CONNS..=stats::OUTBPS {
            append(&mut nest, kind, &number[..width]);
        }
        nest
    }

    #[test]
    fn a_persistent_one_packet_service_by_address() {
        let nest = attributes(&[
            (service::AF, &2_u16.to_ne_bytes()),
            (service::PROTOCOL, &17_u16.to_ne_bytes()),
            (service::ADDR, &ipv4(1)),
            (service::PORT, &53_u16.to_be_bytes()),
            (service::SCHED_NAME, b"wlc\0"),
            (service::PE_NAME, b"sip\0"),
            (service::FLAGS, &[7_u32.to_ne_bytes(), [0xff; 4]].concat()),
            (service::TIMEOUT, &300_u32.to_ne_bytes()),
            (service::NETMASK, &[255, 255, 255, 0]),
            (99, b"from the future"),
        ]);
        let decoded = super::service(&nest).unwrap();
        assert_eq!(
            decoded,
            Service {
                key: ServiceKey {
                    address: VirtualAddress::Socket {
                        protocol: 17,
                        address: clean(1),
                        port: 53,
                    },
                    family: INET,
                },
                scheduler: Name::from_kernel(b"wlc"),
                flags: Service::PERSISTENT | 2 | Service::ONE_PACKET,
                timeout: 300,
                netmask: u32::from_ne_bytes([255, 255, 255, 0]),
                persistence_engine: Name::from_kernel(b"sip"),
                ..Service::default()
            }
        );
    }

    #[test]
    fn one_firewall_mark_names_a_service_of_each_family() {
        for family in [INET, INET6] {
            let nest = attributes(&[
                (service::AF, &family.to_ne_bytes()),
                (service::FWMARK, &47_u32.to_ne_bytes()),
            ]);
            let key = super::service(&nest).unwrap().key;
            let address = VirtualAddress::Fwmark(47);
            assert_eq!(key, ServiceKey { address, family });
        }
    }

    #[test]
    fn a_service_without_identity_is_an_error() {
        for nest in [
            attributes(&[(service::FWMARK, &47_u32.to_ne_bytes())]),
            attributes(&[(service::AF, &2_u16.to_ne_bytes())]),
            attributes(&[
                (service::AF, &10_u16.to_ne_bytes()),
                (service::PROTOCOL, &6_u16.to_ne_bytes()),
                (service::ADDR, &[1, 2, 3, 4]),
                (service::PORT, &80_u16.to_be_bytes()),
            ]),
        ] {
            assert!(super::service(&nest).is_err());
        }
    }

    #[test]
    fn a_gue_tunnel_to_the_other_family() {
        let nest = attributes(&[
            (destination::ADDR, &ipv4(2)),
            (destination::PORT, &8080_u16.to_be_bytes()),
            // Bits above the method are the kernel's own.
            (destination::FWD_METHOD, &0x0102_u32.to_ne_bytes()),
            (destination::WEIGHT, &0_u32.to_ne_bytes()),
            (destination::U_THRESH, &9_u32.to_ne_bytes()),
            (destination::L_THRESH, &8_u32.to_ne_bytes()),
            (destination::ACTIVE_CONNS, &3_u32.to_ne_bytes()),
            (destination::INACT_CONNS, &2_u32.to_ne_bytes()),
            (destination::PERSIST_CONNS, &1_u32.to_ne_bytes()),
            (destination::TUN_TYPE, &[1]),
            (destination::TUN_PORT, &6080_u16.to_be_bytes()),
            (destination::TUN_FLAGS, &2_u16.to_ne_bytes()),
            (destination::ADDR_FAMILY, &2_u16.to_ne_bytes()),
        ]);
        assert_eq!(
            super::destination(&nest, INET6).unwrap(),
            Destination {
                key: DestinationKey {
                    family: INET,
                    address: clean(2),
                    port: 8080,
                },
                forwarding: Forwarding::Tunnel,
                upper_threshold: 9,
                lower_threshold: 8,
                active_connections: 3,
                inactive_connections: 2,
                persistent_connections: 1,
                tunnel: Tunnel {
                    kind: 1,
                    port: 6080,
                    flags: 2,
                },
                ..Destination::default()
            }
        );
    }

    #[test]
    fn an_old_kernel_leaves_family_and_wide_statistics_out() {
        let address = [0xfd; 16];
        let nest = attributes(&[
            (destination::ADDR, &address),
            (destination::PORT, &80_u16.to_be_bytes()),
            (destination::STATS, &counters(4, 5)),
        ]);
        let decoded = super::destination(&nest, INET6).unwrap();
        assert_eq!(decoded.key.family, INET6);
        assert_eq!(decoded.key.address, address);
        assert_eq!(decoded.stats.connections, 5);
        assert_eq!(decoded.stats.bytes_out_per_second, 5);
    }

    #[test]
    fn wide_statistics_win() {
        let nest = attributes(&[
            (destination::ADDR, &ipv4(2)),
            (destination::PORT, &80_u16.to_be_bytes()),
            (destination::STATS64, &counters(8, 6)),
            (destination::STATS, &counters(4, 5)),
        ]);
        let decoded = super::destination(&nest, INET).unwrap();
        assert_eq!(decoded.stats.packets_in, 6);
    }

    #[test]
    fn every_forwarding_method_has_its_name() {
        let methods: Vec<_> = (0..8).map(forwarding).collect();
        assert_eq!(
            methods,
            [
                Forwarding::Masquerade,
                Forwarding::Local,
                Forwarding::Tunnel,
                Forwarding::Route,
                Forwarding::Bypass,
                Forwarding::Unknown(5),
                Forwarding::Unknown(6),
                Forwarding::Unknown(7),
            ]
        );
    }
}
