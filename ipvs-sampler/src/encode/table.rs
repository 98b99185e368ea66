//! Text for people, in the columns of `ipvsadm -Ln`, `--stats --exact` and `--rate --exact` side
//! by side.

use std::fmt::Write;

use super::address;
use crate::model::{
    Destination, Forwarding, INET, INET6, Service, Snapshot, Stats, VirtualAddress,
};
use crate::schema::words;

/// ipvsadm's titles of the numbers behind both kinds of line.
const TITLES: [&str; 10] = [
    "Conns", "InPkts", "OutPkts", "InBytes", "OutBytes", "CPS", "InPPS", "OutPPS", "InBPS",
    "OutBPS",
];
/// ipvsadm's width of a real server's address and port; longer ones widen the table.
const REMOTE: usize = 28;
/// The least width of a number, as in ipvsadm.
const NUMBER: usize = 8;

/// Appends a snapshot as a table with two lines of titles. Bytes and packets in full.
pub fn table(out: &mut Vec<u8>, snapshot: &Snapshot) {
    let remotes = snapshot.destinations.iter().map(remote);
    let remote_width = remotes.map(|text| text.len()).fold(REMOTE, usize::max);

    let mut lines = Vec::new();
    for (service, destinations) in snapshot.iter() {
        lines.push((service_text(service), numbers(&service.stats)));
        for destination in destinations {
            let text = destination_text(destination, remote_width);
            lines.push((text, numbers(&destination.stats)));
        }
    }
    let titles = format!(
        "{:<width$} Forward Weight ActiveConn InActConn ",
        "  -> RemoteAddress:Port",
        width = remote_width + 5
    );
    let text_width = lines
        .iter()
        .map(|(text, _)| text.len())
        .fold(titles.len(), usize::max);
    let mut widths = TITLES.map(|title| title.len().max(NUMBER));
    for (_, numbers) in &lines {
        for (width, number) in widths.iter_mut().zip(numbers) {
            *width = number.len().max(*width);
        }
    }

    out.extend_from_slice(b"Prot LocalAddress:Port Scheduler Flags\n");
    append_line(out, &titles, text_width, &TITLES, &widths);
    for (text, numbers) in &lines {
        append_line(out, text, text_width, numbers, &widths);
    }
}

fn append_line(
    out: &mut Vec<u8>,
    text: &str,
    text_width: usize,
    columns: &[impl AsRef<str>; 10],
    widths: &[usize; 10],
) {
    let mut line = format!("{text:<text_width$}");
    for (column, width) in columns.iter().zip(widths) {
        append(&mut line, format_args!(" {:>width$}", column.as_ref()));
    }
    line.push('\n');
    out.extend_from_slice(line.as_bytes());
}

/// `print_service_entry` of ipvsadm.c.
fn service_text(service: &Service) -> String {
    let mut text = match &service.key.address {
        VirtualAddress::Fwmark(mark) if service.key.family == INET6 => format!("FWM  {mark} IPv6"),
        VirtualAddress::Fwmark(mark) => format!("FWM  {mark}"),
        VirtualAddress::Socket {
            protocol,
            address,
            port,
        } => {
            let name = words::protocol(*protocol)
                .map_or_else(|| protocol.to_string(), str::to_ascii_uppercase);
            let socket = socket_text(service.key.family, address, *port);
            format!("{name:<4} {socket}")
        }
    };
    append(&mut text, format_args!(" {}", service.scheduler.as_str()));
    text.push_str(&scheduler_flags(service));
    if service.flags & Service::PERSISTENT != 0 {
        append(&mut text, format_args!(" persistent {}", service.timeout));
        match (service.key.family, service.netmask) {
            (INET, u32::MAX) | (INET6, 128) => {}
            (INET, mask) => {
                let [a, b, c, d] = mask.to_ne_bytes();
                append(&mut text, format_args!(" mask {a}.{b}.{c}.{d}"));
            }
            (_, prefix) => append(&mut text, format_args!(" mask {prefix}")),
        }
        let engine = service.persistence_engine.as_str();
        if !engine.is_empty() {
            append(&mut text, format_args!(" pe {engine}"));
        }
    }
    if service.flags & Service::ONE_PACKET != 0 {
        text.push_str(" ops");
    }
    text
}

/// `IP_VS_SVC_F_SCHED1` to `3`, by the names that `sh` and `mh` give them
/// (include/uapi/linux/ip_vs.h).
fn scheduler_flags(service: &Service) -> String {
    let scheduler = service.scheduler.as_str();
    let has_names = matches!(scheduler, "sh" | "mh");
    let names: Vec<_> = [(8, 1), (16, 2), (32, 3)]
        .into_iter()
        .filter(|(bit, _)| service.flags & bit != 0)
        .map(|(_, number)| match number {
            1 if has_names => format!("{scheduler}-fallback"),
            2 if has_names => format!("{scheduler}-port"),
            _ => format!("flag-{number}"),
        })
        .collect();
    if names.is_empty() {
        String::new()
    } else {
        format!(" ({})", names.join(","))
    }
}

fn destination_text(destination: &Destination, remote_width: usize) -> String {
    let forwarding = match destination.forwarding {
        Forwarding::Masquerade => "Masq",
        Forwarding::Local => "Local",
        Forwarding::Tunnel => "Tunnel",
        Forwarding::Route => "Route",
        Forwarding::Bypass => "Bypass",
        Forwarding::Unknown(_) => "?",
    };
    format!(
        "  -> {:<remote_width$} {forwarding:<7} {:<6} {:<10} {:<10}",
        remote(destination),
        destination.weight,
        destination.active_connections,
        destination.inactive_connections,
    )
}

fn remote(destination: &Destination) -> String {
    let key = &destination.key;
    socket_text(key.family, &key.address, key.port)
}

fn socket_text(family: u16, bytes: &[u8; 16], port: u16) -> String {
    let mut address = Vec::new();
    address::append(&mut address, family, bytes);
    // An address is ASCII, so nothing is lost.
    let address = String::from_utf8_lossy(&address);
    if family == INET6 {
        format!("[{address}]:{port}")
    } else {
        format!("{address}:{port}")
    }
}

fn numbers(stats: &Stats) -> [String; 10] {
    [
        stats.connections,
        stats.packets_in,
        stats.packets_out,
        stats.bytes_in,
        stats.bytes_out,
        stats.connections_per_second,
        stats.packets_in_per_second,
        stats.packets_out_per_second,
        stats.bytes_in_per_second,
        stats.bytes_out_per_second,
    ]
    .map(|number| number.to_string())
}

fn append(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String never fails.
    let _ = text.write_fmt(arguments);
}
