//! Counts are exact: what the probe counts, what is published, and what the kernel counts agree.

use std::net::TcpListener;

use support::{
    director::{self, ipvsadm},
    eventually, ipvsadm, let_the_estimator_run,
    lines::{Line, about},
    network::inside,
    sampler::{Ended, Sampler},
    scheduled_by_the_kernel, sh, traffic,
};

/// Holds the last complete snapshot against ipvsadm: `connections` of every destination.
#[track_caller]
fn equals_netlink(ended: &Ended) {
    let kernel = ipvsadm::connections();
    assert!(!kernel.is_empty());
    for ((service, destination), connections) in kernel {
        let line = about(&ended.lines, &service, &destination)
            .rfind(|line| line.is_full())
            .unwrap_or_else(|| panic!("no line of {service} -> {destination}"));
        assert_eq!(
            line.number("connections"),
            connections,
            "{service} -> {destination}"
        );
    }
}

/// `connections` of each destination never goes back.
#[track_caller]
fn never_goes_back(lines: &[Line]) {
    let mut last = std::collections::BTreeMap::new();
    for line in lines
        .iter()
        .filter(|line| line.measurement == "ipvs_real_server")
    {
        let key = (
            line.service(),
            line.destination(),
            line.tag("address_family").to_owned(),
        );
        let connections = line.number("connections");
        if let Some((before, at)) = last.insert(key, (connections, line.timestamp)) {
            assert!(before <= connections, "back from {before}: {line:?}");
            assert!(at < line.timestamp, "not later than {at}: {line:?}");
        }
    }
}

#[test]
fn every_connection_is_counted_published_and_named() {
    director::configure(
        "-A -t 10.0.0.1:80 -s wrr
        -a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 3
        -a -t 10.0.0.1:80 -r 10.1.0.2:80 -m -w 1
        -A -t [fd00::1]:80 -s rr
        -a -t [fd00::1]:80 -r [fd00:1::1]:80 -m
        -a -t [fd00::1]:80 -r [fd00:1::2]:80 -m
        -A -u 10.0.0.1:53 -s rr
        -a -u 10.0.0.1:53 -r 10.1.0.1:53 -m
        -a -u 10.0.0.1:53 -r 10.1.0.2:53 -m
        -A -u 10.0.0.1:54 -s rr -o
        -a -u 10.0.0.1:54 -r 10.1.0.3:53 -m",
    );
    let before = scheduled_by_the_kernel();
    let sampler = Sampler::counting("--interval 2s --resolution 50ms");
    traffic::connect("10.0.0.1:80", 2000);
    traffic::connect("[fd00::1]:80", 1000);
    traffic::send("10.0.0.1:53", 300);
    traffic::send("10.0.0.1:54", 100);
    let kernel = scheduled_by_the_kernel() - before;
    let_the_estimator_run();
    let ended = sampler.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.messages);

    let report = ended.lines.last().expect("lines");
    // A client that sends its first segment again in a slow guest may be scheduled twice: the kernel knows.
    assert!(kernel >= 3400, "{kernel}");
    assert_eq!(report.number("events_seen"), kernel);
    assert_eq!(report.number("events_published"), kernel);
    for nothing in [
        "events_held",
        "events_unmatched",
        "events_missed",
        "events_no_slot",
        "destinations_uncounted",
        "connections_ahead",
        "records_lost",
        "records_lost_changes",
        "records_lost_fills",
        "dump_failures",
    ] {
        assert_eq!(report.number(nothing), 0, "{nothing}: {report:?}");
    }
    assert_eq!(
        report.number("records_submitted"),
        report.number("records_received")
    );
    equals_netlink(&ended);
    never_goes_back(&ended.lines);

    // Between the complete snapshots each window has its own share.
    let windows = about(&ended.lines, "TCP 10.0.0.1:80", "10.1.0.1:80").filter(|l| !l.is_full());
    assert!(windows.count() > 10);
}

#[test]
fn what_was_scheduled_before_the_start_is_in_the_count() {
    // A destination of its own: one that comes back within two minutes is revived with whatever the
    // estimator had not yet seen of its former life.
    director::serve([20]);
    traffic::connect("10.0.0.1:80", 30);
    let_the_estimator_run();
    let sampler = Sampler::counting("--interval 1s");
    traffic::connect("10.0.0.1:80", 12);
    let line = eventually("42 connections", || {
        about(&sampler.lines(), "TCP 10.0.0.1:80", "10.1.0.20:80")
            .rfind(|line| line.number("connections") == 42)
            .cloned()
    });
    assert_eq!(line.number("connections"), 42);
}

#[test]
fn templates_and_other_network_namespaces_are_not_counted() {
    director::ready();
    ipvsadm("-A -t 10.0.0.1:80 -s rr -p 300");
    ipvsadm("-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m");

    // A second director, with a service of its own.
    sh("ip netns add elsewhere");
    sh("ip -n elsewhere link set lo up");
    sh("ip netns exec elsewhere ipvsadm -A -t 127.0.0.2:8080 -s rr");
    sh("ip netns exec elsewhere ipvsadm -a -t 127.0.0.2:8080 -r 127.0.0.1:80 -m");
    let there = inside("elsewhere", || {
        traffic::accept(TcpListener::bind("127.0.0.1:80").expect("listening"));
    });
    there.join().expect("server");

    let before = scheduled_by_the_kernel();
    let sampler = Sampler::counting("--interval 1s --resolution 100ms");
    traffic::connect("10.0.0.1:80", 10);
    let there = inside("elsewhere", || {
        for _ in 0..7 {
            std::net::TcpStream::connect("127.0.0.2:8080").expect("connecting elsewhere");
        }
        scheduled_by_the_kernel()
    });
    assert_eq!(
        there.join().expect("client"),
        7,
        "IPVS elsewhere did its part"
    );
    let here = scheduled_by_the_kernel() - before;
    sampler.next_report();
    let ended = sampler.stop();
    // The server's threads keep the namespace: let it at least have no service.
    sh("ip netns exec elsewhere ipvsadm -C");
    sh("ip netns del elsewhere");

    let report = ended.lines.last().expect("lines");
    assert!(here >= 10, "{here}");
    assert_eq!(report.number("events_seen"), here);
    assert_eq!(report.number("events_published"), here);
    // The persistence template of the one client; its four threads may race to make it.
    assert!(
        (1..=4).contains(&report.number("events_skipped")),
        "{report:?}"
    );
    assert_eq!(report.number("events_foreign"), 7);
}

#[test]
fn a_burst_shows_while_netlink_still_shows_nothing() {
    director::serve([1]);
    let_the_estimator_run();
    let sampler = Sampler::counting("--interval 60s --resolution 10ms");
    let netlink = || ipvsadm::connections().into_values().sum::<u64>();
    let published = |lines: &[Line]| {
        about(lines, "TCP 10.0.0.1:80", "10.1.0.1:80")
            .last()
            .map_or(0, |l| l.number("connections"))
    };
    // The estimator may run in the midst of a burst: then take the next one.
    for burst in 1..=20 {
        let before = netlink();
        traffic::connect("10.0.0.1:80", 20);
        let shown = eventually("the burst", || {
            let shown = published(&sampler.lines());
            (shown >= burst * 20).then_some(shown)
        });
        if netlink() == before {
            assert_eq!(shown, burst * 20);
            let lines = sampler.lines();
            let sum: u64 = about(&lines, "TCP 10.0.0.1:80", "10.1.0.1:80")
                .filter(|line| !line.is_full())
                .map(|line| line.number("cps"))
                .sum();
            assert!(sum > 0, "windows have rates");
            return;
        }
    }
    panic!("the estimator ran in every burst");
}
