//! `once` says what ipvsadm says, for every kind of service there is.

use std::collections::BTreeMap;

use support::{director, ipvsadm, let_the_estimator_run, lines::Line, sampler, sh, traffic};

/// Every kind: TCP, UDP, SCTP, marks of both families, IPv6, persistent with and without a mask,
/// one-packet; every forwarding method, tunnels of all encapsulations and of the other family,
/// thresholds, weight 0, port 0.
const CONFIGURATION: &str = "\
    -A -t 10.0.0.1:80 -s wrr
    -a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 3
    -a -t 10.0.0.1:80 -r 10.1.0.2:80 -m -w 1 -x 100 -y 50
    -a -t 10.0.0.1:80 -r 10.1.0.3:80 -m -w 0
    -A -u 10.0.0.1:53 -s rr -o
    -a -u 10.0.0.1:53 -r 10.1.0.1:53 -m
    -A -u 10.0.0.1:54 -s rr
    -a -u 10.0.0.1:54 -r 10.1.0.2:53 -m
    -A --sctp-service 10.0.0.1:36412 -s lc
    -a --sctp-service 10.0.0.1:36412 -r 10.1.0.1:36412 -m
    -A -t 10.0.0.1:443 -s sh -p 300 -M 255.255.255.0
    -a -t 10.0.0.1:443 -r 10.1.0.1:443 -g
    -A -t [fd00::1]:80 -s wlc
    -a -t [fd00::1]:80 -r [fd00:1::1]:80 -m
    -a -t [fd00::1]:80 -r [fd00:1::2]:80 -m -w 2
    -A -t [fd00::1]:443 -s rr -p 600 -M 64
    -a -t [fd00::1]:443 -r 10.1.0.9:443 -i
    -A -f 7 -s rr
    -a -f 7 -r 10.1.0.1:0 -g
    -a -f 7 -r 10.1.0.2:8080 -i --tun-type gue --tun-port 6080
    -a -f 7 -r 10.1.0.3:0 -i --tun-type gre
    -A -f 7 -6 -s wlc
    -a -f 7 -6 -r [fd00:1::1]:0 -g
    -A -t 10.0.0.1:81 -s rr";

pub(crate) fn configure() {
    director::configure(CONFIGURATION);
    traffic::connect("10.0.0.1:80", 40);
    traffic::send("10.0.0.1:53", 9);
    traffic::send("10.0.0.1:54", 5);
    traffic::connect("[fd00::1]:80", 6);
    let_the_estimator_run();
}

#[test]
fn once_equals_ipvsadm_row_by_row() {
    configure();
    // Rates decay every 2 s: compare with what ipvsadm said the same before and after.
    for _ in 0..20 {
        let before = (ipvsadm::stats(), ipvsadm::rates(), ipvsadm::list());
        let lines = sampler::once();
        if before == (ipvsadm::stats(), ipvsadm::rates(), ipvsadm::list()) {
            return compare(&lines, &before.0, &before.1, &before.2);
        }
    }
    panic!("ipvsadm never said the same twice");
}

/// A firewall mark's family shows in ipvsadm's service rows only.
fn service_key(line: &Line) -> String {
    let name = line.service();
    let inet6 = line.tag("address_family") == "inet6" && name.starts_with("FWM");
    if inet6 { format!("{name} IPv6") } else { name }
}

fn compare(lines: &[Line], stats: &ipvsadm::Table, rates: &ipvsadm::Table, list: &ipvsadm::Table) {
    let mut seen = BTreeMap::new();
    let mut scheduled = 0;
    for line in lines {
        let destination = if line.measurement == "ipvs_real_server" {
            line.destination()
        } else {
            String::new()
        };
        let key = (service_key(line), destination);
        let words = |fields: &[&str]| -> Vec<String> {
            fields
                .iter()
                .map(|field| line.number(field).to_string())
                .collect()
        };
        let counters = words(&[
            "connections",
            "pkts_in",
            "pkts_out",
            "bytes_in",
            "bytes_out",
        ]);
        assert_eq!(counters, stats[&key], "counters of {key:?}");
        let per_second = words(&["cps", "pps_in", "pps_out"]);
        assert_eq!(per_second, rates[&key][..3], "rates of {key:?}");
        if key.1.is_empty() {
            assert_eq!(line.tag("sched"), list[&key][0], "scheduler of {key:?}");
            scheduled += line.number("connections");
        } else {
            let now = words(&["active_connections", "inactive_connections"]);
            assert_eq!(now, list[&key][2..], "connections of {key:?}");
        }
        assert!(seen.insert(key.clone(), ()).is_none(), "{key:?} twice");
    }
    assert_eq!(seen.len(), stats.len(), "{seen:?} of {stats:?}");
    assert_eq!(scheduled, 60, "the traffic shows");
}

#[test]
fn tags_are_those_of_telegraf() {
    configure();
    let lines = sampler::once();
    let netmask = |service: &str, family: &str| {
        let line = lines
            .iter()
            .find(|line| {
                line.measurement == "ipvs_virtual_server"
                    && line.service() == service
                    && line.tag("address_family") == family
            })
            .unwrap_or_else(|| panic!("no {service}"));
        line.tag("netmask").to_owned()
    };
    assert_eq!(netmask("TCP 10.0.0.1:443", "inet"), "24");
    assert_eq!(netmask("TCP 10.0.0.1:80", "inet"), "32");
    // Bits set in 64 and in 128, as Telegraf counts them.
    assert_eq!(netmask("TCP [fd00::1]:443", "inet6"), "1");
    assert_eq!(netmask("FWM 7", "inet6"), "1");

    let prefix = sampler::output("once --netmask prefix");
    let text = String::from_utf8(prefix.stdout).unwrap();
    let line = text
        .lines()
        .find(|line| line.contains("port=443,protocol=tcp,sched=rr"))
        .unwrap();
    assert!(line.contains("netmask=64,"), "{line}");

    // A tunnel's real server is of its own family.
    let tunnel = lines
        .iter()
        .find(|line| {
            line.tag("virtual_address") == "fd00::1"
                && line.tag("virtual_port") == "443"
                && line.measurement == "ipvs_real_server"
        })
        .unwrap();
    assert_eq!(
        (tunnel.tag("address"), tunnel.tag("address_family")),
        ("10.1.0.9", "inet")
    );
}

#[test]
fn json_and_table_tell_what_line_protocol_leaves_out() {
    configure();
    let json = sampler::output("once --format json");
    let json = String::from_utf8(json.stdout).unwrap();
    for word in [
        "\"tunnel\"",
        "\"route\"",
        "\"masq\"",
        "\"weight\":3",
        "\"gue\"",
    ] {
        assert!(json.contains(word), "no {word} in {json}");
    }
    let table = sampler::output("once --format table");
    let table = String::from_utf8(table.stdout).unwrap();
    let list = sh("ipvsadm -Ln");
    for line in list
        .lines()
        .filter(|line| line.contains("->") && !line.contains("Remote"))
    {
        // Destination, forwarding and weight, as ipvsadm has them side by side.
        let words: Vec<_> = line.split_whitespace().collect();
        let same = |other: &str| {
            let others: Vec<_> = other.split_whitespace().collect();
            others.len() >= 6 && others[..6] == words[..6]
        };
        assert!(table.lines().any(same), "no row {words:?} in\n{table}");
    }
    for service in list
        .lines()
        .filter(|line| line.starts_with("TCP") || line.starts_with("UDP"))
    {
        let name: Vec<_> = service.split_whitespace().take(3).collect();
        let same = |other: &str| other.split_whitespace().take(3).eq(name.iter().copied());
        assert!(table.lines().any(same), "no row {name:?} in\n{table}");
    }
}
