//! One JSON object with everything a snapshot holds.

use super::address;
use crate::model::{
    Destination, Forwarding, Service, ServiceKey, Snapshot, Stats, Tunnel, VirtualAddress,
};
use crate::schema::{Netmask, words};
use crate::system::json::Writer;

/// Appends a snapshot as one line of JSON, with the name of its network namespace when there is one.
/// `timestamp_ns` is nanoseconds since 1970. All numbers are exact 64-bit integers.
pub fn json(out: &mut Vec<u8>, snapshot: &Snapshot, netns: Option<&str>, timestamp_ns: i64) {
    let mut json = Writer::new(out);
    json.object(|json| {
        if let Some(netns) = netns {
            json.key("netns").text(netns);
        }
        json.key("timestamp_ns").number(timestamp_ns);
        json.key("services").array(|json| {
            for (service, destinations) in snapshot.iter() {
                json.object(|json| append_service(json, service, destinations));
            }
        });
    });
    out.push(b'\n');
}

fn append_service(json: &mut Writer<'_>, service: &Service, destinations: &[Destination]) {
    // Taken apart in full, so that a new attribute cannot be forgotten here.
    let Service {
        key: ServiceKey { address, family },
        scheduler,
        flags,
        timeout,
        netmask,
        persistence_engine,
        stats,
        first_destination: _,
        destination_count: _,
        slot: _,
    } = service;
    append_word(
        json,
        "address_family",
        words::address_family(*family),
        *family,
    );
    match address {
        VirtualAddress::Fwmark(mark) => json.key("fwmark").number(*mark),
        VirtualAddress::Socket {
            protocol,
            address,
            port,
        } => {
            append_word(json, "protocol", words::protocol(*protocol), *protocol);
            append_address(json, *family, address);
            json.key("port").number(*port);
        }
    }
    json.key("scheduler").text(scheduler.as_str());
    json.key("flags").number(*flags);
    json.key("persistent")
        .boolean(flags & Service::PERSISTENT != 0);
    json.key("one_packet")
        .boolean(flags & Service::ONE_PACKET != 0);
    json.key("timeout_seconds").number(*timeout);
    json.key("netmask_prefix")
        .number(Netmask::Prefix.number(*family, *netmask));
    json.key("persistence_engine");
    match persistence_engine.as_str() {
        "" => json.null(),
        name => json.text(name),
    }
    append_stats(json, stats);
    json.key("destinations").array(|json| {
        for destination in destinations {
            json.object(|json| append_destination(json, destination));
        }
    });
}

fn append_destination(json: &mut Writer<'_>, destination: &Destination) {
    let Destination {
        key,
        forwarding,
        weight,
        upper_threshold,
        lower_threshold,
        active_connections,
        inactive_connections,
        persistent_connections,
        overloaded: _,
        tunnel: Tunnel { kind, port, flags },
        stats,
        slot: _,
    } = destination;
    append_word(
        json,
        "address_family",
        words::address_family(key.family),
        key.family,
    );
    append_address(json, key.family, &key.address);
    json.key("port").number(key.port);
    json.key("forwarding").text(words::forwarding(*forwarding));
    json.key("weight").number(*weight);
    json.key("upper_threshold").number(*upper_threshold);
    json.key("lower_threshold").number(*lower_threshold);
    json.key("active_connections").number(*active_connections);
    json.key("inactive_connections")
        .number(*inactive_connections);
    json.key("persistent_connections")
        .number(*persistent_connections);
    json.key("tunnel");
    if *forwarding == Forwarding::Tunnel {
        json.object(|json| {
            json.key("type").text(words::tunnel(*kind));
            json.key("port").number(*port);
            json.key("flags").number(*flags);
        });
    } else {
        json.null();
    }
    append_stats(json, stats);
}

fn append_stats(json: &mut Writer<'_>, stats: &Stats) {
    let Stats {
        connections,
        packets_in,
        packets_out,
        bytes_in,
        bytes_out,
        connections_per_second,
        packets_in_per_second,
        packets_out_per_second,
        bytes_in_per_second,
        bytes_out_per_second,
    } = *stats;
    json.key("stats").object(|json| {
        for (name, number) in [
            ("connections", connections),
            ("packets_in", packets_in),
            ("packets_out", packets_out),
            ("bytes_in", bytes_in),
            ("bytes_out", bytes_out),
            ("connections_per_second", connections_per_second),
            ("packets_in_per_second", packets_in_per_second),
            ("packets_out_per_second", packets_out_per_second),
            ("bytes_in_per_second", bytes_in_per_second),
            ("bytes_out_per_second", bytes_out_per_second),
        ] {
            json.key(name).number(number);
        }
    });
}

fn append_word(json: &mut Writer<'_>, name: &str, word: Option<&str>, number: u16) {
    match word {
        Some(word) => json.key(name).text(word),
        None => json.key(name).text(itoa::Buffer::new().format(number)),
    }
}

fn append_address(json: &mut Writer<'_>, family: u16, bytes: &[u8; 16]) {
    let mut text = Vec::new();
    address::append(&mut text, family, bytes);
    // An address is ASCII, so nothing is lost.
    json.key("address").text(&String::from_utf8_lossy(&text));
}
