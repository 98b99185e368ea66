//! Which mode is taken, why not a better one, and when that is thought over.

use std::{fs, os::unix::process::CommandExt as _};

use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};

use support::{
    director, eventually, let_the_estimator_run,
    sampler::{self, Sampler},
    sh, traffic,
};

use crate::btf;
use crate::{
    life::{Switch, in_mode},
    live::becomes_equal,
};

/// The offsets that the kernel's BTF tells, each made wrong in turn: a copy is mounted over it.
#[test]
fn wrong_offsets_are_caught_before_a_line_is_written() {
    const BTF: &str = "/sys/kernel/btf/ip_vs";
    director::mixed();
    let Ok(right) = std::fs::read(BTF) else {
        println!("this kernel has no {BTF}: there are no offsets to spoil");
        return;
    };
    // Connections that stay, so that no counter and no number of connections is 0.
    traffic::connect("10.0.0.1:80", 12);
    let_the_estimator_run();
    sh("ipvsadm -Z");
    let idle: Vec<_> = traffic::hold("10.0.0.1:80", 6);
    traffic::connect("10.0.0.1:80", 12);
    let_the_estimator_run();
    let members = [
        ("ip_vs_dest", "stats"),
        ("ip_vs_service", "stats"),
        ("ip_vs_stats", "cpustats"),
        ("ip_vs_stats", "kstats"),
        ("ip_vs_stats", "kstats0"),
        ("ip_vs_dest", "activeconns"),
        ("ip_vs_dest", "weight"),
    ];
    for (structure, member) in members {
        let wrong = btf::moved(&right, structure, member, 4);
        std::fs::write("/tmp/wrong-btf", wrong).expect("a copy");
        sh(&format!("mount --bind /tmp/wrong-btf {BTF}"));
        let sampler = Sampler::run("--interval 1s --resolution 50ms");
        sh(&format!("umount {BTF}"));
        let ended = sampler.stop();
        let first = ended
            .lines
            .iter()
            .find(|line| line.measurement == "ipvs_sampler")
            .expect("a report");
        assert_eq!(first.texts["mode"], "events", "{structure}.{member}");
        assert!(
            first.texts["reason"].contains("failed their check"),
            "{structure}.{member}: {first:?}"
        );
        let started_live = ended.messages.contains("live: every");
        assert!(!started_live, "{structure}.{member}: {}", ended.messages);
    }
    drop(idle);
}

/// What is not there is not made up: another layout than that of the oldest kernel is not guessed at.
#[test]
fn without_btf_of_the_module_only_the_oldest_kernel_is_read() {
    director::mixed();
    let oldest = !std::path::Path::new("/sys/kernel/btf/ip_vs").exists();
    sh("mkdir -p /tmp/btf");
    sh("cp /sys/kernel/btf/vmlinux /tmp/btf/vmlinux");
    sh("mount --bind /tmp/btf /sys/kernel/btf");
    let sampler = Sampler::run("--interval 1s --resolution 50ms");
    sh("umount /sys/kernel/btf");
    let ended = sampler.stop();
    let report = ended
        .lines
        .iter()
        .find(|line| line.measurement == "ipvs_sampler");
    let report = report.expect("a report");
    if oldest {
        assert_eq!(report.texts["mode"], "live", "{report:?}");
    } else {
        assert_eq!(report.texts["mode"], "events", "{report:?}");
        let reason = &report.texts["reason"];
        assert!(reason.contains("no /sys/kernel/btf/ip_vs"), "{reason}");
    }
}

#[test]
fn hidden_addresses_are_named_as_the_reason() {
    const RESTRICT: &str = "/proc/sys/kernel/kptr_restrict";
    director::mixed();
    let before = std::fs::read_to_string(RESTRICT).expect("a sysctl");
    std::fs::write(RESTRICT, "2").expect("a sysctl");
    let sampler = Sampler::run("--interval 1s");
    std::fs::write(RESTRICT, before).expect("a sysctl");
    let report = sampler.report().expect("a report");
    assert_eq!(report.texts["mode"], "events");
    assert!(
        report.texts["reason"].contains("kptr_restrict"),
        "{report:?}"
    );
}

#[test]
fn a_better_mode_is_taken_when_nothing_stands_against_it_any_more() {
    director::mixed();
    let hidden = Switch::set("/proc/sys/kernel/kptr_restrict", "2").expect("a sysctl");
    let sampler = Sampler::run("--interval 500ms --resolution 50ms");
    let report = in_mode(&sampler, "events");
    assert!(
        report.texts["reason"].contains("kptr_restrict"),
        "{report:?}"
    );
    drop(hidden);
    fs::write("/proc/sys/kernel/kptr_restrict", "0").expect("a sysctl");
    in_mode(&sampler, "live");
    traffic::connect("10.0.0.1:80", 5);
    becomes_equal(&sampler);
}

#[test]
fn a_probe_is_tried_again_when_it_may_be_attached() {
    const PARANOID: &str = "/proc/sys/kernel/perf_event_paranoid";
    director::mixed();
    let forbidden = Switch::set(PARANOID, "3").expect("a sysctl");
    let mut command = sampler::command("run --interval 500ms --resolution 50ms");
    // SAFETY: between fork and exec; the call is one prctl(2), which is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            Ok(remove_capability_from_bounding_set(
                CapabilitySet::SYS_ADMIN,
            )?)
        });
    }
    let sampler = Sampler::spawn(command);
    let report = in_mode(&sampler, "netlink");
    let reason = &report.texts["reason"];
    assert!(reason.contains("kernel.perf_event_paranoid=2"), "{reason}");
    fs::write(PARANOID, "2").expect("a sysctl");
    eventually("better than netlink", || {
        sampler
            .report()
            .filter(|line| line.texts["mode"] != "netlink")
    });
    drop(forbidden);
    let ended = sampler.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.messages);
}
