//! What ipvsadm says, as tables.

use std::collections::BTreeMap;

use super::sh;

/// By service (`TCP 10.0.0.1:80`, `FWM 7`, `FWM 7 IPv6`) and destination (empty for the service's
/// own row), the row's remaining words.
pub type Table = BTreeMap<(String, String), Vec<String>>;

/// `ipvsadm -Ln`: of services scheduler and flags, of destinations forwarding, weight, active and
/// inactive connections.
pub fn list() -> Table {
    table("ipvsadm -Ln")
}

/// `--stats --exact`: connections, packets and bytes in and out.
pub fn stats() -> Table {
    table("ipvsadm -Ln --stats --exact")
}

/// `--rate --exact`: per second.
pub fn rates() -> Table {
    table("ipvsadm -Ln --rate --exact")
}

/// Connections of each destination.
pub fn connections() -> BTreeMap<(String, String), u64> {
    stats()
        .into_iter()
        .filter(|((_, destination), _)| !destination.is_empty())
        .map(|(key, words)| (key, words[0].parse().expect("a number")))
        .collect()
}

fn table(command: &str) -> Table {
    parse(&sh(command))
}

fn parse(text: &str) -> Table {
    let mut table = Table::new();
    let mut service = String::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("->") => {
                let Some(destination) = words.next().filter(|word| !word.starts_with("Remote"))
                else {
                    continue;
                };
                let rest = words.map(Into::into).collect();
                table.insert((service.clone(), destination.into()), rest);
            }
            Some(protocol @ ("TCP" | "UDP" | "SCTP" | "FWM")) => {
                let address = words.next().expect("an address");
                service = format!("{protocol} {address}");
                let mut rest: Vec<String> = words.map(Into::into).collect();
                if protocol == "FWM" && rest.first().is_some_and(|word| word == "IPv6") {
                    rest.remove(0);
                    service.push_str(" IPv6");
                }
                table.insert((service.clone(), String::new()), rest);
            }
            _ => {}
        }
    }
    table
}
