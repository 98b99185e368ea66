//! Made-up services and destinations for property tests: every kind the kernel has.

use proptest::prelude::*;

use super::{
    Destination, DestinationKey, Forwarding, INET, INET6, Name, Service, ServiceKey, Snapshot,
    Stats, Tunnel, VirtualAddress,
};

/// A snapshot in key order, as a dump leaves it.
pub(crate) fn snapshot() -> impl Strategy<Value = Snapshot> {
    let of_one = (service(), prop::collection::vec(destination(), 0..6));
    prop::collection::vec(of_one, 0..6).prop_map(|listed| {
        let mut snapshot = Snapshot::default();
        for (mut service, destinations) in listed {
            service.first_destination = u32::try_from(snapshot.destinations.len()).unwrap();
            service.destination_count = u32::try_from(destinations.len()).unwrap();
            snapshot.services.push(service);
            snapshot.destinations.extend(destinations);
        }
        snapshot.sort();
        snapshot.repeated = 0;
        snapshot
    })
}

/// A service of any kind, without destinations.
pub(crate) fn service() -> impl Strategy<Value = Service> {
    (
        service_key(),
        prop::sample::select(vec!["wlc", "rr", "mh", "none"]),
        any::<[u32; 3]>(),
        prop::sample::select(vec!["", "sip"]),
        stats(),
    )
        .prop_map(
            |(key, scheduler, [flags, timeout, netmask], engine, stats)| Service {
                key,
                scheduler: Name::from_kernel(scheduler.as_bytes()),
                flags,
                timeout,
                netmask,
                persistence_engine: Name::from_kernel(engine.as_bytes()),
                stats,
                first_destination: 0,
                destination_count: 0,
                slot: None,
            },
        )
}

fn service_key() -> impl Strategy<Value = ServiceKey> {
    let socket = (prop::sample::select(vec![6, 17, 132]), address(), 0..4_u16).prop_map(
        |(protocol, (family, address), port)| ServiceKey {
            address: VirtualAddress::Socket {
                protocol,
                address,
                port,
            },
            family,
        },
    );
    let fwmark = (1..4_u32, family()).prop_map(|(mark, family)| ServiceKey {
        address: VirtualAddress::Fwmark(mark),
        family,
    });
    prop_oneof![socket, fwmark]
}

/// A destination of any kind.
pub(crate) fn destination() -> impl Strategy<Value = Destination> {
    let forwarding = prop::sample::select(vec![
        Forwarding::Masquerade,
        Forwarding::Local,
        Forwarding::Tunnel,
        Forwarding::Route,
        Forwarding::Bypass,
        Forwarding::Unknown(7),
    ]);
    let tunnel =
        any::<(u8, u16, u16)>().prop_map(|(kind, port, flags)| Tunnel { kind, port, flags });
    (
        address(),
        0..4_u16,
        forwarding,
        any::<[u32; 6]>(),
        tunnel,
        stats(),
    )
        .prop_map(
            |((family, address), port, forwarding, numbers, tunnel, stats)| Destination {
                overloaded: None,
                key: DestinationKey {
                    family,
                    address,
                    port,
                },
                forwarding,
                weight: numbers[0],
                upper_threshold: numbers[1],
                lower_threshold: numbers[2],
                active_connections: numbers[3],
                inactive_connections: numbers[4],
                persistent_connections: numbers[5],
                tunnel: match forwarding {
                    Forwarding::Tunnel => tunnel,
                    _ => Tunnel::default(),
                },
                stats,
                slot: None,
            },
        )
}

/// Few addresses, so that keys collide now and then.
fn address() -> impl Strategy<Value = (u16, [u8; 16])> {
    (family(), 0..3_u8).prop_map(|(family, last)| {
        let mut address = [0; 16];
        if family == INET {
            address[..4].copy_from_slice(&[10, 0, 0, last]);
        } else {
            address[0] = 0xfd;
            address[15] = last;
        }
        (family, address)
    })
}

fn family() -> impl Strategy<Value = u16> {
    prop::sample::select(vec![INET, INET6])
}

fn stats() -> impl Strategy<Value = Stats> {
    any::<[u64; 10]>().prop_map(|numbers| Stats {
        connections: numbers[0],
        packets_in: numbers[1],
        packets_out: numbers[2],
        bytes_in: numbers[3],
        bytes_out: numbers[4],
        connections_per_second: numbers[5],
        packets_in_per_second: numbers[6],
        packets_out_per_second: numbers[7],
        bytes_in_per_second: numbers[8],
        bytes_out_per_second: numbers[9],
    })
}
