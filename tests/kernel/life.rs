//! The life of a director, read live: what it depends on comes and goes.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use support::{
    director::{self, ipvsadm},
    eventually, let_the_estimator_run,
    lines::{Line, about},
    pace::pause,
    sampler::{self, Sampler},
    scheduled_by_the_kernel, sh, totals, traffic,
};

use crate::{
    live::{all_counts_agree, becomes_equal},
    permission::unload,
};

/// Writes a file of /proc or /sys, and what was there before when dropped.
pub(crate) struct Switch {
    path: &'static str,
    before: String,
}

impl Switch {
    /// `None` on a kernel without it.
    pub(crate) fn set(path: &'static str, value: &str) -> Option<Self> {
        if !Path::new(path).exists() {
            println!("this kernel has no {path}");
            return None;
        }
        let before = fs::read_to_string(path).expect("a switch");
        fs::write(path, value).expect("a switch");
        Some(Self { path, before })
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        fs::write(self.path, &self.before).expect("a switch");
    }
}

pub(crate) fn in_mode(sampler: &Sampler, mode: &str) -> Line {
    eventually(mode, || {
        sampler.report().filter(|line| line.texts["mode"] == mode)
    })
}

#[test]
fn the_module_is_loaded_anew_while_it_is_read() {
    director::mixed();
    let sampler = Sampler::live("--interval 1s --resolution 20ms");
    traffic::connect("10.0.0.1:80", 20);
    for _ in 0..2 {
        unload();
        in_mode(&sampler, "waiting");
        director::mixed();
        in_mode(&sampler, "live");
        traffic::connect("10.0.0.1:80", 9);
        becomes_equal(&sampler);
    }
    let ended = sampler.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.messages);
    let report = ended.lines.last().expect("lines");
    for difference in ["events_live", "events_netlink", "live_netlink"] {
        assert_eq!(report.number(&format!("difference_{difference}")), 0);
    }
}

/// Removed and loaded again within one interval: nothing of before is taken for something of now.
#[test]
fn the_module_is_loaded_anew_between_two_dumps() {
    director::mixed();
    let sampler = Sampler::live("--interval 15s --resolution 50ms");
    traffic::connect("10.0.0.1:80", 20);
    // Right after a dump, so that the next one comes when all is loaded again.
    let reports = || sampler.report().map_or(0, |line| line.number("dumps"));
    let before = reports();
    eventually("a dump", || (reports() > before).then_some(()));
    unload();
    director::mixed();
    traffic::connect("10.0.0.1:80", 7);
    let now = scheduled_by_the_kernel();
    sampler.next_report();
    becomes_equal(&sampler);
    let ended = sampler.stop();
    let last = ended.lines.last().expect("lines");
    assert_eq!(last.texts["mode"], "live", "{last:?}");
    assert!(
        ended.messages.contains("the ip_vs module was reloaded"),
        "{}",
        ended.messages
    );
    let sum: u64 = ended
        .lines
        .iter()
        .filter(|line| {
            line.timestamp == last.timestamp && line.measurement == "ipvs_virtual_server"
        })
        .map(|line| line.number("connections"))
        .sum();
    assert_eq!(sum, now);
}

#[test]
fn the_estimator_is_stopped_and_started_while_it_is_read() {
    director::mixed();
    let sampler = Sampler::live("--interval 1s --resolution 20ms");
    let connections = || {
        let lines = sampler.lines();
        let last = |service: &str| {
            lines
                .iter()
                .rfind(|line| {
                    line.measurement == "ipvs_virtual_server" && line.service() == service
                })
                .map_or(0, |line| line.number("connections"))
        };
        last("TCP 10.0.0.1:80") + last("UDP 10.0.0.1:56") + last("TCP [fd00::1]:80")
    };
    let start = totals()[0];
    let first = connections();
    for (switch, stop) in [
        ("/proc/sys/net/ipv4/vs/run_estimation", "0"),
        ("/proc/sys/net/ipv4/vs/est_cpulist", ""),
    ] {
        let stopped = if stop.is_empty() {
            // An empty write does not reach the kernel: a line of nothing does.
            Switch::set(switch, "\n")
        } else {
            Switch::set(switch, stop)
        };
        traffic::connect("10.0.0.1:80", 15);
        eventually("each connection, the estimator standing still", || {
            (connections() - first == totals()[0] - start).then_some(())
        });
        drop(stopped);
        let_the_estimator_run();
    }
    becomes_equal(&sampler);
    let report = sampler.next_report();
    assert_eq!(report.texts["mode"], "live", "{report:?}");
    assert_eq!(report.number("difference_events_live"), 0, "{report:?}");
}

#[test]
fn a_processor_goes_and_comes_back() {
    director::mixed();
    let sampler = Sampler::live("--interval 1s --resolution 20ms");
    let load = traffic::Load::start(&["10.0.0.1:80", "[fd00::1]:80"]);
    pause(Duration::from_millis(500));
    let Some(offline) = Switch::set("/sys/devices/system/cpu/cpu1/online", "0") else {
        return;
    };
    pause(Duration::from_millis(1500));
    drop(offline);
    pause(Duration::from_millis(1000));
    load.goes_on(10);
    drop(load);
    becomes_equal(&sampler);
    let report = sampler.next_report();
    all_counts_agree(&report);
}

#[test]
fn the_wall_clock_is_set_forth_and_back() {
    director::mixed();
    let begin = Instant::now();
    let sampler = Sampler::live("--interval 1s --resolution 50ms");
    let load = traffic::Load::start(&["10.0.0.1:80"]);
    pause(Duration::from_secs(1));
    let set = |by: i64| {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("after 1970")
            .as_secs();
        let then = i64::try_from(now).expect("a time") + by;
        sh(&format!("date -s @{then}"));
    };
    let fastest = |lines: &[Line]| {
        about(lines, "TCP 10.0.0.1:80", "10.1.0.41:80")
            .map(|line| line.number("cps"))
            .max()
    };
    let before = fastest(&sampler.lines());
    for by in [3600, -7200, 3600 - 4] {
        set(by);
        pause(Duration::from_millis(1500));
    }
    // Often, so that some fall into a tick.
    for _ in 0..20 {
        set(30);
        set(-30);
    }
    drop(load);
    becomes_equal(&sampler);
    let ended = sampler.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.messages);
    // Rates are over time that passed, not over time that was set.
    let after = fastest(&ended.lines);
    assert!(
        after <= before.map(|cps| cps * 20 + 1000),
        "{before:?} {after:?}"
    );
    let report = ended.lines.last().expect("lines");
    assert_eq!(report.texts["mode"], "live");
    // Ticks of 50 ms in the time that passed, and no more for the hours that were set.
    let deadlines = report.number("ticks") + report.number("ticks_missed");
    let due = u64::try_from(begin.elapsed().as_millis() / 50).expect("a time");
    assert!((60..due + 200).contains(&deadlines), "{due}: {report:?}");
}

/// By events, by live counters, by netlink: three counts of the same connections.
#[test]
fn three_counts_agree_over_thousands_of_connections_and_changes() {
    const DIFFERENCES: [&str; 3] = [
        "difference_events_live",
        "difference_events_netlink",
        "difference_live_netlink",
    ];
    director::mixed();
    let begin = scheduled_by_the_kernel();
    let sampler = Sampler::live("--interval 1s --resolution 50ms");
    for round in 0..10 {
        traffic::connect("10.0.0.1:80", 300);
        traffic::send("10.0.0.1:56", 100);
        traffic::connect("[fd00::1]:80", 100);
        match round % 3 {
            0 => {
                ipvsadm("-d -t 10.0.0.1:80 -r 10.1.0.42:80");
                ipvsadm("-a -t 10.0.0.1:80 -r 10.1.0.42:80 -m");
            }
            1 => {
                ipvsadm("-D -t [fd00::1]:80");
                ipvsadm("-A -t [fd00::1]:80 -s wlc");
                ipvsadm("-a -t [fd00::1]:80 -r [fd00:1::1]:80 -m");
            }
            _ => sh("ipvsadm -Z -t 10.0.0.1:80").clear(),
        }
    }
    let made = scheduled_by_the_kernel() - begin;
    assert!(made >= 5000, "{made}");
    becomes_equal(&sampler);
    let ended = sampler.stop();
    let reports = ended
        .lines
        .iter()
        .filter(|line| line.measurement == "ipvs_sampler");
    let mut compared = 0;
    for report in reports {
        for difference in DIFFERENCES {
            assert_eq!(report.number(difference), 0, "{difference}: {report:?}");
        }
        compared += 1;
    }
    assert!(compared > 5);
    let report = ended.lines.last().expect("lines");
    assert_eq!(report.number("events_missed"), 0, "{report:?}");
    assert_eq!(report.number("events_seen"), made, "{report:?}");
}

#[test]
fn a_millisecond_holds_for_a_minute() {
    director::mixed();
    for number in 1..=45 {
        ipvsadm(&format!(
            "-a -t 10.0.0.1:80 -r 10.1.0.{}:80 -m",
            100 + number
        ));
    }
    // Into a file: how fast the test can read is not the question.
    const FILE: &str = "/tmp/minute";
    let arguments = format!("run --interval 5s --resolution 1ms --output file:{FILE}");
    let sampler = Sampler::spawn(sampler::command(&arguments));
    let load = traffic::Load::start(&["10.0.0.1:80", "[fd00::1]:80"]);
    // By then every buffer has been as large as it gets, also where the guest is slow.
    eventually("two intervals", || {
        let text = fs::read_to_string(FILE).ok()?;
        let reports = text
            .lines()
            .filter(|line| line.starts_with("ipvs_sampler,"));
        (reports.count() > 3).then_some(())
    });
    let early = sampler.status("VmRSS");
    pause(Duration::from_secs(50));
    let late = sampler.status("VmRSS");
    drop(load);
    let ended = sampler.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.messages);
    let text = fs::read_to_string(FILE).expect("lines");
    fs::remove_file(FILE).expect("a file");
    let reports: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("ipvs_sampler,"))
        .map(Line::parse)
        .collect();
    // Without the beginning, when the probe starts.
    let [_, first, .., last, _end] = &reports[..] else {
        panic!("{} reports", reports.len());
    };
    assert_eq!(last.texts["mode"], "live", "{last:?}");
    let of = |field: &str| last.number(field) - first.number(field);
    let due = u64::try_from((last.timestamp - first.timestamp) / 1_000_000).expect("time passed");
    println!(
        "{} ticks served, {} missed, of {due}; resident {early} kB, then {late} kB",
        of("ticks"),
        of("ticks_missed")
    );
    let counted = of("ticks") + of("ticks_missed");
    assert!(
        counted.abs_diff(due) < due / 20,
        "each deadline is accounted for: {counted} of {due}"
    );
    assert_eq!(last.number("lines_dropped"), 0, "{last:?}");
    assert!(late <= early + 2048, "resident: {early} kB, then {late} kB");
}
