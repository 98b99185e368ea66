//! The configuration changes under load.

use std::{collections::BTreeSet, time::Duration};

use support::{
    director::{self, ipvsadm},
    eventually, ipvsadm, let_the_estimator_run,
    lines::about,
    pace::pause,
    sampler::Sampler,
    traffic::{self, Load},
};

const SERVICE: &str = "TCP 10.0.0.1:80";

fn two_destinations() {
    director::serve([1, 2]);
}

/// After a quiet time, the sampler's word on every destination is the kernel's.
#[track_caller]
fn agrees_when_quiet(sampler: Sampler) {
    let_the_estimator_run();
    let ended = sampler.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.messages);
    let kernel = ipvsadm::connections();
    let last = ended.lines.last().expect("lines").timestamp;
    let mut named = BTreeSet::new();
    for line in ended
        .lines
        .iter()
        .filter(|line| line.measurement == "ipvs_real_server" && line.timestamp == last)
    {
        let key = (line.service(), line.destination());
        assert_eq!(
            Some(&line.number("connections")),
            kernel.get(&key),
            "{key:?}"
        );
        named.insert(key);
    }
    assert!(named.iter().eq(kernel.keys()), "{named:?} of {kernel:?}");
    let report = ended.lines.last().expect("lines");
    assert_eq!(
        report.number("events_seen"),
        report.number("events_published")
            + report.number("events_held")
            + report.number("events_unmatched"),
        "{report:?}"
    );
    assert_eq!(report.number("events_held"), 0, "{report:?}");
    assert_eq!(report.number("events_missed"), 0, "{report:?}");
}

#[test]
fn a_destination_is_deleted_and_comes_back_under_load() {
    two_destinations();
    let sampler = Sampler::counting("--interval 1s --resolution 20ms");
    let load = Load::start(&["10.0.0.1:80"]);
    for _ in 0..10 {
        pause(Duration::from_millis(200));
        ipvsadm("-d -t 10.0.0.1:80 -r 10.1.0.2:80");
        pause(Duration::from_millis(100));
        ipvsadm("-a -t 10.0.0.1:80 -r 10.1.0.2:80 -m");
    }
    load.goes_on(20);
    drop(load);
    agrees_when_quiet(sampler);
}

#[test]
fn a_service_is_created_anew_with_the_same_destinations() {
    two_destinations();
    let sampler = Sampler::counting("--interval 1s --resolution 20ms");
    let load = Load::start(&["10.0.0.1:80"]);
    for _ in 0..5 {
        pause(Duration::from_millis(300));
        ipvsadm("-D -t 10.0.0.1:80");
        director::service(80, [2, 1]);
    }
    drop(load);
    agrees_when_quiet(sampler);
}

#[test]
fn counters_are_zeroed_under_load() {
    two_destinations();
    let sampler = Sampler::counting("--interval 1s --resolution 20ms");
    let load = Load::start(&["10.0.0.1:80"]);
    pause(Duration::from_millis(2500));
    // More than what is looked for after zeroing.
    load.goes_on(60);
    let before = sampler.count();
    ipvsadm("-Z");
    eventually("a count that starts anew", || {
        about(&sampler.lines()[before..], SERVICE, "10.1.0.1:80")
            .any(|line| line.number("connections") < 20)
            .then_some(())
    });
    pause(Duration::from_millis(500));
    ipvsadm("-Z -t 10.0.0.1:80");
    pause(Duration::from_millis(500));
    drop(load);
    agrees_when_quiet(sampler);
}

#[test]
fn everything_is_cleared_and_configured_anew_under_load() {
    two_destinations();
    let sampler = Sampler::counting("--interval 1s --resolution 20ms");
    let load = Load::start(&["10.0.0.1:80", "10.0.0.1:8080"]);
    pause(Duration::from_millis(500));
    ipvsadm("-C");
    sampler.next_report();
    let cleared = sampler.report().expect("a report");
    assert_eq!(
        (cleared.number("services"), cleared.number("destinations")),
        (0, 0)
    );

    // The addresses have changed places: pointers that come again have other names now.
    director::service(8080, [2]);
    director::service(80, [3]);
    let line = eventually("a line of the new service", || {
        about(&sampler.lines(), "TCP 10.0.0.1:8080", "10.1.0.2:80")
            .rfind(|line| line.number("connections") > 3)
            .cloned()
    });
    assert_eq!(line.tag("virtual_port"), "8080");
    drop(load);
    agrees_when_quiet(sampler);
}

#[test]
fn a_service_added_under_load_has_its_first_connections_too() {
    two_destinations();
    let sampler = Sampler::counting("--interval 60s --resolution 20ms");
    let load = Load::start(&["10.0.0.1:80"]);
    pause(Duration::from_millis(300));
    director::service(8080, [7]);
    traffic::connect("10.0.0.1:8080", 5);
    // Long before the interval: the unknown destination asked for a dump.
    eventually("the new destination's five connections", || {
        about(&sampler.lines(), "TCP 10.0.0.1:8080", "10.1.0.7:80")
            .any(|line| line.number("connections") == 5)
            .then_some(())
    });
    drop(load);
    agrees_when_quiet(sampler);
}

#[test]
fn the_programs_own_messages_are_shown_when_asked_for() {
    two_destinations();
    let quiet = Sampler::counting("--interval 1s");
    let talking = Sampler::counting("--interval 1s --ebpf-log debug");
    ipvsadm("-d -t 10.0.0.1:80 -r 10.1.0.2:80");
    eventually("a message of the program", || {
        talking.messages().contains("ends its life").then_some(())
    });
    quiet.next_report();
    assert_eq!(
        quiet.stop().messages.lines().count(),
        1,
        "the mode, and no more"
    );
}

#[test]
fn the_module_is_loaded_anew() {
    two_destinations();
    let sampler = Sampler::counting("--interval 1s --resolution 50ms");
    traffic::connect("10.0.0.1:80", 10);
    sampler.next_report();
    crate::permission::unload();
    eventually("waiting", || {
        sampler
            .report()
            .filter(|report| report.texts["mode"] == "waiting")
    });
    two_destinations();
    eventually("counting again", || {
        sampler
            .report()
            .filter(|report| report.texts["mode"] == "events")
    });
    traffic::connect("10.0.0.1:80", 6);
    agrees_when_quiet(sampler);
}
