//! Being scraped: each page is what the kernel says.

use std::collections::BTreeMap;

use support::{
    director::{self, ipvsadm},
    eventually, ipvsadm, let_the_estimator_run,
    metrics::{self, Labels, Page},
    sampler::{self, Sampler},
    scheduled_by_the_kernel, traffic,
};

use crate::{namespace::Director, snapshot};

const PORT: u16 = 10117;
/// One complete snapshot at the start, and then none: what changes comes from ticks.
const SCRAPED: &str = "--interval 1h --output stdout --output prometheus://:10117";

/// The service and destination that a sample is about, as [`ipvsadm`] names them.
fn key(labels: &Labels, of_destination: bool) -> (String, String) {
    let label = |name: &str| labels.get(name).map_or("", String::as_str);
    let socket = |address: &str, port: &str| {
        if address.contains(':') {
            format!("[{address}]:{port}")
        } else {
            format!("{address}:{port}")
        }
    };
    let prefix = if of_destination { "virtual_" } else { "" };
    let virtual_label = |name: &str| label(&format!("{prefix}{name}"));
    let service = if virtual_label("fwmark").is_empty() {
        let protocol = virtual_label("protocol").to_uppercase();
        let socket = socket(virtual_label("address"), virtual_label("port"));
        format!("{protocol} {socket}")
    } else {
        // Without one the service's family is the destination's.
        let family = match label("virtual_address_family") {
            "" => label("address_family"),
            family => family,
        };
        let family = if family == "inet6" { " IPv6" } else { "" };
        format!("FWM {}{family}", virtual_label("fwmark"))
    };
    let destination = if of_destination {
        socket(label("address"), label("port"))
    } else {
        String::new()
    };
    (service, destination)
}

/// Holds a page against ipvsadm's tables, each row and each number.
fn compare(page: &Page, stats: &ipvsadm::Table, list: &ipvsadm::Table) -> Result<(), String> {
    const COUNTERS: [&str; 5] = [
        "connections_total",
        "packets_in_total",
        "packets_out_total",
        "bytes_in_total",
        "bytes_out_total",
    ];
    const GAUGES: [&str; 3] = ["weight", "active_connections", "inactive_connections"];
    let column = |measurement: &str, name: &str| -> BTreeMap<_, _> {
        let samples = page.of(&format!("{measurement}_{name}"));
        let of_destination = measurement == "ipvs_real_server";
        samples
            .into_iter()
            .map(|(labels, value)| (key(labels, of_destination), value.to_owned()))
            .collect()
    };
    let expected = |table: &ipvsadm::Table, of_destination: bool, place: usize| -> BTreeMap<_, _> {
        let rows = table.iter();
        rows.filter(|((_, destination), _)| destination.is_empty() != of_destination)
            .map(|(key, words)| (key.clone(), words[place].clone()))
            .collect()
    };
    for (measurement, of_destination) in
        [("ipvs_virtual_server", false), ("ipvs_real_server", true)]
    {
        for (place, name) in COUNTERS.into_iter().enumerate() {
            let (found, expected) = (
                column(measurement, name),
                expected(stats, of_destination, place),
            );
            if found != expected {
                return Err(format!(
                    "{measurement} {name}: {found:#?}\nipvsadm: {expected:#?}"
                ));
            }
        }
    }
    for (place, name) in GAUGES.into_iter().enumerate() {
        let (found, expected) = (
            column("ipvs_real_server", name),
            expected(list, true, place + 1),
        );
        if found != expected {
            return Err(format!("{name}: {found:#?}\nipvsadm: {expected:#?}"));
        }
    }
    let schedulers: BTreeMap<_, _> = page
        .of("ipvs_virtual_server_info")
        .into_iter()
        .map(|(labels, _)| (key(labels, false), labels["sched"].clone()))
        .collect();
    if schedulers != expected(list, false, 0) {
        return Err(format!("schedulers: {schedulers:?}"));
    }
    Ok(())
}

/// Scrapes until nothing has changed meanwhile and the page is what ipvsadm says.
fn becomes_equal() {
    let mut last = String::new();
    eventually("a page that equals ipvsadm", || {
        let tables = || (ipvsadm::stats(), ipvsadm::list());
        let before = tables();
        let page = metrics::scrape(PORT);
        if tables() != before {
            return None;
        }
        let result = compare(&page, &before.0, &before.1);
        if let Err(difference) = &result
            && *difference != last
        {
            println!("not yet: {difference}");
            last.clone_from(difference);
        }
        result.ok()
    });
}

#[test]
fn a_scrape_equals_ipvsadm_after_the_estimator_has_run() {
    snapshot::configure();
    let sampler = Sampler::live(SCRAPED);
    traffic::connect("10.0.0.1:80", 20);
    traffic::connect("[fd00::1]:80", 4);
    traffic::send("10.0.0.1:53", 3);
    let_the_estimator_run();
    becomes_equal();
    let page = metrics::scrape(PORT);
    let mode = page.of("ipvs_sampler_mode_info");
    assert_eq!(mode[0].0["mode"], "live");
    assert_eq!(page.sum("ipvs_virtual_server_connections_total"), 60 + 27);
    drop(sampler);
}

#[test]
fn without_live_counters_a_page_is_as_old_as_the_others_and_says_so() {
    snapshot::configure();
    let sampler =
        Sampler::counting("--interval 500ms --output stdout --output prometheus://:10117");
    traffic::connect("10.0.0.1:80", 20);
    let_the_estimator_run();
    becomes_equal();
    assert_eq!(
        metrics::scrape(PORT).of("ipvs_sampler_mode_info")[0].0["mode"],
        "events"
    );
    drop(sampler);
}

#[test]
fn what_was_counted_before_a_scrape_is_in_it() {
    snapshot::configure();
    let sampler = Sampler::live(SCRAPED);
    let page = metrics::scrape(PORT);
    let before = page.sum("ipvs_virtual_server_connections_total");
    let kernel = scheduled_by_the_kernel();
    for round in 1..=5 {
        traffic::connect("10.0.0.1:80", 7);
        // No waiting for the estimator, which has not seen them.
        let page = metrics::scrape(PORT);
        let counted = scheduled_by_the_kernel() - kernel;
        assert_eq!(counted, 7 * round);
        for of in ["ipvs_virtual_server", "ipvs_real_server"] {
            let now = page.sum(&format!("{of}_connections_total"));
            assert_eq!(now - before, counted, "{of}");
        }
    }
    drop(sampler);
}

#[test]
fn what_is_deleted_vanishes_and_what_is_new_comes() {
    snapshot::configure();
    let sampler = Sampler::live(SCRAPED);
    let about = |page: &Page, address: &str| {
        let samples = page.samples.keys();
        let mut of = samples
            .filter(|(name, labels)| name.starts_with("ipvs_real") && labels["address"] == address);
        of.next().is_some()
    };
    assert!(about(&metrics::scrape(PORT), "10.1.0.3"));
    ipvsadm("-d -t 10.0.0.1:80 -r 10.1.0.3:80");
    // At once in one service, and the same address stays in another.
    let page = metrics::scrape(PORT);
    let of_service = |page: &Page| {
        let weights = page.of("ipvs_real_server_weight").into_iter();
        weights
            .filter(|(labels, _)| key(labels, true).0 == "TCP 10.0.0.1:80")
            .map(|(labels, _)| labels["address"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(of_service(&page), ["10.1.0.1", "10.1.0.2"]);
    assert!(about(&page, "10.1.0.3"), "of the firewall mark");
    ipvsadm("-D -t 10.0.0.1:80");
    assert_eq!(of_service(&metrics::scrape(PORT)), Vec::<String>::new());
    director::service(80, [7]);
    traffic::connect("10.0.0.1:80", 3);
    eventually("the new one", || {
        (of_service(&metrics::scrape(PORT)) == ["10.1.0.7"]).then_some(())
    });
    let_the_estimator_run();
    becomes_equal();
    drop(sampler);
}

/// /proc/net/ip_vs as node_exporter reads it: what it has of each backend, added up by its labels.
fn backends() -> BTreeMap<Labels, [u64; 3]> {
    let text = std::fs::read_to_string("/proc/net/ip_vs").expect("the table");
    let mut backends = BTreeMap::new();
    let mut service = Labels::new();
    let labels = |pairs: &[(&str, String)]| -> Labels {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect()
    };
    // `0A000001:0050` or `[2001:0db8:...]:0050`.
    let socket = |text: &str| {
        let (address, port) = text.rsplit_once(':').expect("a port");
        let port = u16::from_str_radix(port, 16).expect("a port").to_string();
        let address = match address.strip_prefix('[') {
            Some(address) => {
                let address = address.trim_end_matches(']');
                let address: std::net::Ipv6Addr = address.parse().expect("an address");
                address.to_string()
            }
            None => {
                let address = u32::from_str_radix(address, 16).expect("an address");
                std::net::Ipv4Addr::from(address).to_string()
            }
        };
        (address, port)
    };
    for line in text.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            [proto @ ("TCP" | "UDP" | "SCTP"), local, ..] => {
                let (address, port) = socket(local);
                service = labels(&[
                    ("proto", proto.into()),
                    ("local_address", address),
                    ("local_port", port),
                    ("local_mark", String::new()),
                ]);
            }
            ["FWM", mark, ..] => {
                service = labels(&[
                    ("proto", "FWM".into()),
                    ("local_address", String::new()),
                    ("local_port", "0".into()),
                    ("local_mark", mark.into()),
                ]);
            }
            ["->", remote, _forwarding, weight, active, inactive] if !service.is_empty() => {
                let (address, port) = socket(remote);
                let mut all = service.clone();
                all.extend(labels(&[
                    ("remote_address", address),
                    ("remote_port", port),
                ]));
                let sums = backends.entry(all).or_insert([0; 3]);
                for (sum, word) in sums.iter_mut().zip([active, inactive, weight]) {
                    *sum += word.parse::<u64>().expect("a number");
                }
            }
            _ => {}
        }
    }
    backends
}

/// /proc/net/ip_vs_stats as node_exporter reads it.
fn totals() -> Vec<u64> {
    let text = std::fs::read_to_string("/proc/net/ip_vs_stats").expect("the totals");
    let line = text.lines().nth(2).expect("a third line");
    let words = line.split_whitespace();
    words
        .map(|word| u64::from_str_radix(word, 16).expect("a number"))
        .collect()
}

#[test]
fn in_node_exporters_names_all_is_what_proc_says() {
    snapshot::configure();
    // The same real server by one mark in both families: node_exporter cannot tell them apart.
    ipvsadm("-a -f 7 -6 -r 10.1.0.3:0 -i -w 4");
    let held = traffic::hold("10.0.0.1:80", 5);
    let sampler = Sampler::live(&format!("{SCRAPED} --prometheus-compat node"));
    traffic::connect("10.0.0.1:80", 10);
    let_the_estimator_run();
    let number = |value: &str| value.parse::<u64>().expect("a number");
    eventually("the same page as /proc", || {
        let before = (backends(), totals());
        let page = metrics::scrape(PORT);
        if (backends(), totals()) != before {
            return None;
        }
        let (backends, totals) = before;
        for (place, name) in ["connections_active", "connections_inactive", "weight"]
            .into_iter()
            .enumerate()
        {
            let samples = page.of(&format!("node_ipvs_backend_{name}"));
            let found: BTreeMap<_, _> = samples
                .into_iter()
                .map(|(labels, value)| (labels.clone(), number(value)))
                .collect();
            let expected: BTreeMap<_, _> = backends
                .iter()
                .map(|(labels, numbers)| (labels.clone(), numbers[place]))
                .collect();
            assert_eq!(found, expected, "{name}");
        }
        let names = [
            "connections",
            "incoming_packets",
            "outgoing_packets",
            "incoming_bytes",
            "outgoing_bytes",
        ];
        let found = names.map(|name| page.sum(&format!("node_ipvs_{name}_total")));
        assert_eq!(found.to_vec(), totals);
        assert!(
            !page
                .samples
                .keys()
                .any(|(name, _)| name.starts_with("ipvs_real"))
        );
        Some(())
    });
    drop((sampler, held));
}

#[test]
fn network_namespaces_are_told_apart_by_a_label() {
    director::ready();
    let [blue, green] = ["blue", "green"].map(Director::new);
    let sampler = Sampler::live(&format!("{SCRAPED} --netns blue --netns green"));
    blue.connect(3);
    green.connect(5);
    let page = metrics::scrape(PORT);
    for (name, connections) in [("blue", "3"), ("green", "5")] {
        for metric in [
            "ipvs_virtual_server_connections_total",
            "ipvs_real_server_connections_total",
        ] {
            let samples = page.of(metric);
            assert_eq!(samples.len(), 2, "{metric}");
            let found = samples.iter().find(|(labels, _)| labels["netns"] == name);
            assert_eq!(found.expect(name).1, connections, "{metric}");
        }
    }
    drop(sampler);
}

#[test]
fn a_page_has_what_is_asked_for_and_nothing_else() {
    snapshot::configure();
    for (choice, services, destinations) in [
        ("--include destination=10.1.0.2", 0, 3),
        ("--exclude port=80", 8, 9),
    ] {
        let sampler = Sampler::live(&format!("{SCRAPED} {choice}"));
        let page = metrics::scrape(PORT);
        let rows = |name: &str| page.of(&format!("{name}_connections_total")).len();
        assert_eq!(rows("ipvs_virtual_server"), services, "{choice}");
        assert_eq!(rows("ipvs_real_server"), destinations, "{choice}");
        drop(sampler);
    }
}

#[test]
fn who_asks_for_openmetrics_gets_it() {
    snapshot::configure();
    let sampler = Sampler::live(&format!("{SCRAPED} --fields extended --tag rack=7"));
    let (head, body) = metrics::get(PORT, "application/openmetrics-text;version=1.0.0");
    assert!(
        head.contains("Content-Type: application/openmetrics-text; version=1.0.0"),
        "{head}"
    );
    assert!(body.ends_with("\n# EOF\n"));
    assert!(body.contains("# TYPE ipvs_real_server_connections counter\n"));
    assert!(body.contains("ipvs_real_server_connections_total{"));
    assert!(body.contains(",forwarding=\"tunnel\"} 1\n"));
    for line in body.lines().filter(|line| !line.starts_with('#')) {
        assert!(line.contains("rack=\"7\""), "{line}");
    }
    drop(sampler);
}

#[test]
fn an_address_that_is_taken_ends_the_program() {
    director::ready();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("listening");
    let port = taken.local_addr().expect("an address").port();
    let output = sampler::output(&format!("run --count 1 --output prometheus://:{port}"));
    let messages = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(74), "{messages}");
    assert!(
        messages.contains(&format!("prometheus://:{port}")),
        "{messages}"
    );
}

#[test]
fn health_says_the_mode_without_a_page() {
    director::serve([1]);
    let sampler = Sampler::live(SCRAPED);
    let (head, body) = metrics::ask(PORT, "/healthz", "*/*");
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert!(body.starts_with("ticking, mode live, "), "{body}");
    let ended = sampler.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.messages);
}
