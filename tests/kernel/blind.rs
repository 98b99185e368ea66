//! A probe that is attached and does not fire is not a probe: the sampler notices, says so, and comes back.

use std::collections::HashMap;

use support::{
    director::{self, ipvsadm},
    eventually,
    lines::{COUNTERS, Line},
    sampler::{self, Sampler},
    traffic,
};

use crate::{
    life::{Switch, in_mode},
    live::becomes_equal,
};

/// Switches of the kernel that keep attached kprobes from running.
const SWITCHES: [(&str, &str); 2] = [
    ("/proc/sys/kernel/ftrace_enabled", "kernel.ftrace_enabled"),
    ("/sys/kernel/debug/kprobes/enabled", "kprobes/enabled"),
];

fn off(path: &'static str) -> Switch {
    Switch::set(path, "0").expect("every supported kernel has it")
}

fn doctor() -> String {
    let output = sampler::output("doctor");
    assert_eq!(output.status.code(), Some(0), "netlink is enough");
    String::from_utf8(output.stdout).expect("text")
}

/// No counter of an object goes back from one line to the next.
fn nothing_goes_back(lines: &[Line]) {
    let mut last = HashMap::new();
    for line in lines {
        if !["ipvs_virtual_server", "ipvs_real_server"].contains(&line.measurement.as_str()) {
            continue;
        }
        for field in COUNTERS {
            let Some(&now) = line.numbers.get(field) else {
                continue;
            };
            let (address, port) = (line.tag("address"), line.tag("port"));
            let key = (field, line.service(), address.to_owned(), port.to_owned());
            let before = last.insert(key, now).unwrap_or(0);
            assert!(before <= now, "{field} went back from {before}: {line:?}");
        }
    }
}

#[test]
fn a_probe_that_is_switched_off_is_not_available() {
    for (path, word) in SWITCHES {
        director::mixed();
        let switched_off = off(path);
        let said = doctor();
        assert!(said.contains("events   unavailable"), "{said}");
        assert!(said.contains("live     unavailable"), "{said}");
        assert!(said.contains(word), "{said}");
        drop(switched_off);
        assert!(doctor().contains("live     available"));
    }
}

/// Also with an empty table, of which nothing is ever filled into a dump.
#[test]
fn a_run_that_begins_blind_sees_when_it_can() {
    let (path, word) = SWITCHES[0];
    director::mixed();
    let switched_off = off(path);
    let required = sampler::output("run --ebpf require --for 2s");
    let messages = String::from_utf8(required.stderr).expect("text");
    assert_eq!(required.status.code(), Some(77), "{messages}");
    assert!(messages.contains(word), "{messages}");
    ipvsadm("-C");
    let sampler = Sampler::run("--interval 500ms --resolution 50ms");
    let report = in_mode(&sampler, "netlink");
    assert!(report.texts["reason"].contains(word), "{report:?}");
    drop(switched_off);
    director::mixed();
    in_mode(&sampler, "live");
    traffic::connect("10.0.0.1:80", 7);
    becomes_equal(&sampler);
    let ended = sampler.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.messages);
}

#[test]
fn a_probe_that_is_switched_off_while_it_runs_is_noticed() {
    let [ftrace, kprobes] = SWITCHES;
    for ((path, word), mode) in [(ftrace, "events"), (kprobes, "live")] {
        director::mixed();
        let choice = if mode == "live" { "auto" } else { "off" };
        let sampler = Sampler::run(&format!(
            "--interval 500ms --resolution 50ms --live {choice}"
        ));
        in_mode(&sampler, mode);
        // Netlink does not know these yet when the probe goes blind.
        traffic::connect("10.0.0.1:80", 40);
        traffic::connect("[fd00::1]:80", 12);
        let switched_off = off(path);
        let report = in_mode(&sampler, "netlink");
        assert!(report.texts["reason"].contains(word), "{report:?}");
        ipvsadm("-a -t 10.0.0.1:80 -r 10.1.0.44:80 -m -w 2");
        traffic::connect("10.0.0.1:80", 10);
        drop(switched_off);
        in_mode(&sampler, mode);
        traffic::connect("10.0.0.1:80", 10);
        if mode == "live" {
            becomes_equal(&sampler);
        }
        let ended = sampler.stop();
        assert_eq!(ended.code, Some(0), "{}", ended.messages);
        nothing_goes_back(&ended.lines);
    }
}

#[test]
fn a_required_probe_that_goes_blind_ends_the_run() {
    let (path, word) = SWITCHES[0];
    director::mixed();
    let mut sampler = Sampler::live("--interval 500ms");
    let switched_off = off(path);
    let ended = sampler.wait();
    drop(switched_off);
    assert_eq!(ended.code, Some(77), "{}", ended.messages);
    assert!(ended.messages.contains(word), "{}", ended.messages);
}

/// What came between is known to the kernel alone, and counted as missed.
#[test]
fn what_a_blind_probe_missed_is_counted() {
    let (path, _) = SWITCHES[0];
    director::mixed();
    let sampler = Sampler::run("--interval 500ms --resolution 50ms");
    in_mode(&sampler, "live");
    let switched_off = off(path);
    traffic::connect("10.0.0.1:80", 25);
    in_mode(&sampler, "netlink");
    drop(switched_off);
    in_mode(&sampler, "live");
    eventually("25 missed", || {
        let report = sampler.report()?;
        (report.number("events_missed") == 25).then_some(())
    });
    let ended = sampler.stop();
    let missed: Vec<_> = ended
        .lines
        .iter()
        .filter(|line| line.measurement == "ipvs_sampler")
        .map(|line| line.number("events_missed"))
        .collect();
    assert!(missed.is_sorted(), "{missed:?}");
}
