//! A made-up director of every kind, how its sampler is doing, and the lines of both.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr},
};

use influxdb_line_protocol::{FieldValue, parse_lines};
use ipvs_sampler::{
    encode::Influx,
    model::{
        Counts, Destination, DestinationKey, Forwarding, Health, INET, INET6, Mode, Name, Report,
        Service, ServiceKey, Snapshot, Stats, Totals, VirtualAddress,
    },
    schema::{DestinationRow, FieldSet, ServiceRow, TagStyle, TagValue, Value, sampler},
    sink,
};

fn inet(text: &str) -> [u8; 16] {
    let address: Ipv4Addr = text.parse().unwrap();
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&address.octets());
    bytes
}

fn inet6(text: &str) -> [u8; 16] {
    text.parse::<Ipv6Addr>().unwrap().octets()
}

/// Ten different numbers that begin with `first`.
fn stats(first: u64) -> Stats {
    Stats {
        connections: first,
        packets_in: first + 1,
        packets_out: first + 2,
        bytes_in: first + 3,
        bytes_out: first + 4,
        connections_per_second: first + 5,
        packets_in_per_second: first + 6,
        packets_out_per_second: first + 7,
        bytes_in_per_second: first + 8,
        bytes_out_per_second: first + 9,
    }
}

/// TCP, UDP and SCTP, both families, a mark in both, tunnels to the other family. `largest` is the first
/// of the largest numbers.
pub fn director(largest: u64) -> Snapshot {
    let socket = |protocol, address, port| VirtualAddress::Socket {
        protocol,
        address,
        port,
    };
    let services = [
        (socket(6, inet("192.0.2.1"), 443), INET),
        (socket(17, inet6("2001:db8::53"), 53), INET6),
        (socket(132, inet("192.0.2.2"), 36412), INET),
        (VirtualAddress::Fwmark(47), INET),
        (VirtualAddress::Fwmark(47), INET6),
        (VirtualAddress::Fwmark(u32::MAX), INET),
    ];
    let mut snapshot = Snapshot::default();
    for (number, (address, family)) in (0..).zip(services) {
        let first_destination = u32::try_from(snapshot.destinations.len()).unwrap();
        for (address, family, port) in [
            // By the same mark in both families they would be the same point, as they are in Telegraf.
            (inet("10.0.0.1"), INET, 8443 + u16::from(family == INET6)),
            (inet("10.0.0.2"), INET, u16::from(family == INET6)),
            (inet6("fd00::1"), INET6, 65535 - u16::from(family == INET6)),
        ] {
            let place = 1000 + 20 * snapshot.destinations.len() as u64;
            snapshot.destinations.push(Destination {
                key: DestinationKey {
                    family,
                    address,
                    port,
                },
                forwarding: Forwarding::Tunnel,
                weight: 7,
                upper_threshold: 100,
                lower_threshold: 50,
                active_connections: 12,
                inactive_connections: 34,
                persistent_connections: 56,
                overloaded: Some(false),
                stats: stats(place),
                ..Destination::default()
            });
        }
        snapshot.services.push(Service {
            key: ServiceKey { address, family },
            scheduler: Name::from_kernel(b"wlc"),
            timeout: 300,
            netmask: u32::MAX,
            stats: stats(if number == 0 { largest } else { 100 * number }),
            first_destination,
            destination_count: 3,
            ..Service::default()
        });
    }
    snapshot
}

/// Tags that need every escape there is.
pub fn tags() -> Vec<(String, String)> {
    [
        ("a b,c=d", "e f,g=h"),
        ("host", "lb1"),
        ("path", r#"C:\temp\"quoted""#),
        ("über", "größer 漢字"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// What the sampler says of itself.
pub fn with_report<T>(work: impl FnOnce(&Health, &Report<'_>) -> T) -> T {
    let mut health = Health {
        ticks: 77,
        ..Health::default()
    };
    health.dumps = 7;
    health.ended.work.p99 = 1_234_567;
    let mode = Mode::Events(r#"it said "no", \ and more"#);
    let report = Report {
        mode: &mode,
        services: 6,
        destinations: 18,
        uncounted: 1,
        events: Counts::default(),
        totals: Totals::default(),
        differences: None,
    };
    work(&health, &report)
}

/// How an output is doing.
pub fn output() -> sink::OutputReport<'static> {
    sink::OutputReport {
        label: "influx+http://127.0.0.1:8086/?db=lb&gzip=off",
        counts: sink::LineCounts {
            queued: 28,
            written: 5,
            dropped: 6,
            rejected: 7,
            uncertain: 11,
            retries: 8,
            requests: Some(sink::RequestCounts {
                refused: 9,
                abandoned: 12,
            }),
            deleted: Some(sink::Deleted {
                files: 13,
                bytes: 14,
            }),
        },
        waiting: 10,
    }
}

/// All lines of a complete snapshot.
pub fn lines(snapshot: &Snapshot, timestamp: i64) -> Vec<u8> {
    let encoder = Influx {
        style: TagStyle {
            netns: Some("blue one".into()),
            further: tags(),
            ..TagStyle::default()
        },
    };
    let mut out = Vec::new();
    for (service, destinations) in snapshot.iter() {
        let set = FieldSet::Extended;
        encoder.service(&mut out, &ServiceRow::new(service), set, timestamp);
        for destination in destinations {
            let row = DestinationRow::new(service, destination);
            encoder.destination(&mut out, &row, set, timestamp);
        }
    }
    with_report(|health, report| {
        let fields = sampler::fields(health, report);
        let tags = [("netns", encoder.style.netns())];
        encoder.fields(&mut out, sampler::MEASUREMENT, &tags, &fields, timestamp);
    });
    let report = output();
    let tags = [(sampler::OUTPUT_TAG, TagValue::Text(report.label))];
    let fields: &[(&str, Value<'_>)] = &sampler::output_fields(&report);
    encoder.fields(
        &mut out,
        sampler::OUTPUT_MEASUREMENT,
        &tags,
        fields,
        timestamp,
    );
    out
}

/// A value with its type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Typed {
    /// With the suffix `i`.
    Integer(i64),
    /// In quotes.
    Text(String),
}

/// A point: measurement, tags, timestamp.
pub type Point = (String, BTreeMap<String, String>, i64);

/// Points and their fields, as a parser that is not ours reads them.
pub fn points(lines: &[u8]) -> BTreeMap<Point, BTreeMap<String, Typed>> {
    let text = str::from_utf8(lines).unwrap();
    let mut points = BTreeMap::new();
    for line in parse_lines(text) {
        let line = line.unwrap();
        let tags = line.series.tag_set.iter().flatten();
        let tags = tags.map(|(name, value)| (name.to_string(), value.to_string()));
        let fields = line.field_set.iter().map(|(name, value)| {
            let value = match value {
                FieldValue::I64(number) => Typed::Integer(*number),
                FieldValue::String(text) => Typed::Text(text.to_string()),
                other => panic!("a field of another type: {other:?}"),
            };
            (name.to_string(), value)
        });
        let point = (
            line.series.measurement.to_string(),
            tags.collect(),
            line.timestamp.unwrap(),
        );
        let before = points.insert(point, fields.collect());
        assert!(before.is_none(), "a point twice");
    }
    points
}
