//! What the kernel would send for a snapshot: the stand-in for a kernel in tests and benches.
//!
//! Follows `ip_vs_genl_fill_service` and `ip_vs_genl_fill_dest` (ip_vs_ctl.c): order of the
//! attributes, both nests of statistics, no nest flag, lists with the newest entry first, chunks
//! of at most 32 KiB, the end of a dump in a datagram of its own.

#[cfg(test)]
use neli::consts::genl::{CtrlAttr, CtrlCmd};
use neli::consts::nl::{NlmF, Nlmsg};

use super::attribute::append;
use super::capture;
use super::message::Request;
use super::request::{append_key, close, open};
use super::uapi::{FAMILY_VERSION, command, destination, service, stats, top};
use crate::model::{
    Destination, DestinationKey, Forwarding, INET, Name, Service, ServiceKey, Snapshot, Stats,
    VirtualAddress,
};

/// Largest chunk of a dump in bytes (`netlink_recvmsg`, net/netlink/af_netlink.c).
const CHUNK: usize = 32 * 1024 - 512;

/// A sorted snapshot of this many TCP services with this many real servers each, all with busy
/// counters. At most 65,536 of each.
#[must_use]
pub fn table(services: u32, destinations_each: u32) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for service in 0..services {
        let port = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
        snapshot.services.push(Service {
            key: ServiceKey {
                address: VirtualAddress::Socket {
                    protocol: 6,
                    address: address(192, service),
                    port: 443,
                },
                family: INET,
            },
            scheduler: Name::from_kernel(b"wlc"),
            flags: 2,
            netmask: u32::MAX,
            stats: busy(service),
            first_destination: service * destinations_each,
            destination_count: destinations_each,
            ..Service::default()
        });
        snapshot
            .destinations
            .extend((0..destinations_each).map(|number| Destination {
                key: DestinationKey {
                    family: INET,
                    address: address(10, number),
                    port: port(8000 + service),
                },
                weight: 100,
                active_connections: number * 7 % 1000,
                inactive_connections: number * 13 % 1000,
                stats: busy(number),
                ..Destination::default()
            }));
    }
    snapshot
}

fn address(network: u8, number: u32) -> [u8; 16] {
    let [.., high, low] = number.to_be_bytes();
    [network, 0, high, low, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}

/// Counters of a busy month, all different.
fn busy(number: u32) -> Stats {
    let number = u64::from(number);
    Stats {
        connections: 98_765_432 + number,
        packets_in: 4_876_543_210 + number,
        packets_out: 5_876_543_210 + number,
        bytes_in: 7_876_543_210_123 + number,
        bytes_out: 98_765_432_101_234 + number,
        connections_per_second: 1_234 + number,
        packets_in_per_second: 56_789 + number,
        packets_out_per_second: 67_890 + number,
        bytes_in_per_second: 89_012_345 + number,
        bytes_out_per_second: 890_123_456 + number,
    }
}

/// A capture of the whole dump of a sorted snapshot.
#[must_use]
pub fn capture(snapshot: &Snapshot) -> Vec<u8> {
    let mut request = Request {
        what: "make up a dump",
        family: 30,
        sequence: 2,
        port: 4321,
    };
    let mut bytes = Vec::new();
    for datagram in services(&snapshot.services, &request) {
        capture::append(&mut bytes, &datagram);
    }
    for (_, of_service) in snapshot.iter() {
        request.sequence += 1;
        for datagram in destinations(of_service, &request) {
            capture::append(&mut bytes, &datagram);
        }
    }
    bytes
}

/// The datagrams that answer a request for services.
pub(super) fn services(services: &[Service], request: &Request) -> Vec<Vec<u8>> {
    let entries = services.iter().rev().map(|service| {
        let mut nest = Vec::new();
        append_service(&mut nest, service);
        (command::NEW_SERVICE, top::SERVICE, nest)
    });
    datagrams(entries, request)
}

/// The datagrams that answer a request for the destinations of one service.
pub(super) fn destinations(destinations: &[Destination], request: &Request) -> Vec<Vec<u8>> {
    let entries = destinations.iter().rev().map(|destination| {
        let mut nest = Vec::new();
        append_destination(&mut nest, destination);
        (command::NEW_DEST, top::DEST, nest)
    });
    datagrams(entries, request)
}

/// The datagrams that answer a request for all families.
#[cfg(test)]
pub(super) fn families(families: &[(&str, u16)], request: &Request) -> Vec<Vec<u8>> {
    let mut chunks = Chunks::new(*request);
    for (name, number) in families {
        chunks.message(CtrlCmd::Newfamily.into(), 2, |message| {
            let name = [name.as_bytes(), b"\0"].concat();
            append(message, CtrlAttr::FamilyName.into(), &name);
            append(message, CtrlAttr::FamilyId.into(), &number.to_ne_bytes());
        });
    }
    chunks.end(0)
}

/// A datagram that refuses a request.
#[cfg(test)]
pub(super) fn refusal(number: i32, request: &Request) -> Vec<u8> {
    let mut bytes = Vec::new();
    let start = open(
        &mut bytes,
        Nlmsg::Error.into(),
        0,
        request.sequence,
        request.port,
    );
    bytes.extend_from_slice(&(-number).to_ne_bytes());
    close(&mut bytes, start);
    bytes
}

fn datagrams(entries: impl Iterator<Item = (u8, u16, Vec<u8>)>, request: &Request) -> Vec<Vec<u8>> {
    let mut chunks = Chunks::new(*request);
    for (command, kind, nest) in entries {
        chunks.message(command, FAMILY_VERSION, |message| {
            append(message, kind, &nest);
        });
    }
    chunks.end(0)
}

/// Packs messages into datagrams.
struct Chunks {
    request: Request,
    full: Vec<Vec<u8>>,
    filling: Vec<u8>,
}

impl Chunks {
    fn new(request: Request) -> Self {
        Self {
            request,
            full: Vec::new(),
            filling: Vec::new(),
        }
    }

    fn message(&mut self, command: u8, version: u8, fill: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = Vec::new();
        let Request {
            family,
            sequence,
            port,
            ..
        } = self.request;
        let start = open(&mut bytes, family, NlmF::MULTI.bits(), sequence, port);
        bytes.extend_from_slice(&[command, version, 0, 0]);
        fill(&mut bytes);
        close(&mut bytes, start);
        if self.filling.len() + bytes.len() > CHUNK {
            self.full.push(std::mem::take(&mut self.filling));
        }
        self.filling.append(&mut bytes);
    }

    fn end(mut self, outcome: i32) -> Vec<Vec<u8>> {
        if !self.filling.is_empty() {
            self.full.push(self.filling);
        }
        let mut done = Vec::new();
        let Request { sequence, port, .. } = self.request;
        let start = open(
            &mut done,
            Nlmsg::Done.into(),
            NlmF::MULTI.bits(),
            sequence,
            port,
        );
        done.extend_from_slice(&outcome.to_ne_bytes());
        close(&mut done, start);
        self.full.push(done);
        self.full
    }
}

fn append_service(nest: &mut Vec<u8>, decoded: &Service) {
    let text = |name: &str| [name.as_bytes(), b"\0"].concat();
    append_key(nest, &decoded.key);
    append(nest, service::SCHED_NAME, &text(decoded.scheduler.as_str()));
    let engine = decoded.persistence_engine.as_str();
    if !engine.is_empty() {
        append(nest, service::PE_NAME, &text(engine));
    }
    let flags = [decoded.flags.to_ne_bytes(), u32::MAX.to_ne_bytes()].concat();
    append(nest, service::FLAGS, &flags);
    append(nest, service::TIMEOUT, &decoded.timeout.to_ne_bytes());
    append(nest, service::NETMASK, &decoded.netmask.to_ne_bytes());
    append_stats(nest, service::STATS, service::STATS64, &decoded.stats);
}

fn append_destination(nest: &mut Vec<u8>, decoded: &Destination) {
    let forwarding = match decoded.forwarding {
        Forwarding::Masquerade => 0,
        Forwarding::Local => 1,
        Forwarding::Tunnel => 2,
        Forwarding::Route => 3,
        Forwarding::Bypass => 4,
        Forwarding::Unknown(method) => method,
    };
    append(nest, destination::ADDR, &decoded.key.address);
    append(nest, destination::PORT, &decoded.key.port.to_be_bytes());
    append(nest, destination::FWD_METHOD, &u32::to_ne_bytes(forwarding));
    for (kind, value) in [
        (destination::WEIGHT, decoded.weight),
        (destination::U_THRESH, decoded.upper_threshold),
        (destination::L_THRESH, decoded.lower_threshold),
        (destination::ACTIVE_CONNS, decoded.active_connections),
        (destination::INACT_CONNS, decoded.inactive_connections),
        (destination::PERSIST_CONNS, decoded.persistent_connections),
    ] {
        append(nest, kind, &value.to_ne_bytes());
    }
    append(nest, destination::TUN_TYPE, &[decoded.tunnel.kind]);
    append(
        nest,
        destination::TUN_PORT,
        &decoded.tunnel.port.to_be_bytes(),
    );
    append(
        nest,
        destination::TUN_FLAGS,
        &decoded.tunnel.flags.to_ne_bytes(),
    );
    append(
        nest,
        destination::ADDR_FAMILY,
        &decoded.key.family.to_ne_bytes(),
    );
    append_stats(
        nest,
        destination::STATS,
        destination::STATS64,
        &decoded.stats,
    );
}

fn append_stats(nest: &mut Vec<u8>, narrow_kind: u16, wide_kind: u16, values: &Stats) {
    let (mut narrow, mut wide) = (Vec::new(), Vec::new());
    for (kind, value) in [
        (stats::CONNS, values.connections),
        (stats::INPKTS, values.packets_in),
        (stats::OUTPKTS, values.packets_out),
        (stats::INBYTES, values.bytes_in),
        (stats::OUTBYTES, values.bytes_out),
        (stats::CPS, values.connections_per_second),
        (stats::INPPS, values.packets_in_per_second),
        (stats::OUTPPS, values.packets_out_per_second),
        (stats::INBPS, values.bytes_in_per_second),
        (stats::OUTBPS, values.bytes_out_per_second),
    ] {
        append(&mut wide, kind, &value.to_ne_bytes());
        if matches!(kind, stats::INBYTES | stats::OUTBYTES) {
            append(&mut narrow, kind, &value.to_ne_bytes());
        } else {
            let cut = u32::try_from(value & u64::from(u32::MAX)).unwrap_or_default();
            append(&mut narrow, kind, &cut.to_ne_bytes());
        }
    }
    append(nest, narrow_kind, &narrow);
    append(nest, wide_kind, &wide);
}
