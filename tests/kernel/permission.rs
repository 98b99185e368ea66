//! Without privileges, and without the module: the right exit code, message and fallback.

use std::{os::unix::process::CommandExt as _, process::Command, time::Duration};

use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};

use support::{
    director, eventually,
    pace::pause,
    sampler::{self, Sampler},
    sh, traffic,
};

const NOBODY: u32 = 65534;

/// Takes IPVS out of the kernel, schedulers first. A module may be in use for a moment longer.
pub(crate) fn unload() {
    sh("ipvsadm -C");
    let mut refusal = String::new();
    for _ in 0..100 {
        let modules = std::fs::read_to_string("/proc/modules").expect("/proc/modules");
        let mut names: Vec<_> = modules
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .filter(|name| name.starts_with("ip_vs") || *name == "xt_ipvs")
            .collect();
        if names.is_empty() {
            return;
        }
        names.sort_unstable_by_key(|name| *name == "ip_vs");
        let output = Command::new("rmmod").args(&names).output().expect("rmmod");
        refusal = format!("{}{modules}", text(&output.stderr));
        pause(Duration::from_millis(200));
    }
    panic!("IPVS stays: {refusal}");
}

fn without_bpf(arguments: &str) -> Command {
    let mut command = sampler::command(arguments);
    // SAFETY: between fork and exec; the call is one prctl(2), which is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            for capability in [
                CapabilitySet::SYS_ADMIN,
                CapabilitySet::PERFMON,
                CapabilitySet::BPF,
            ] {
                remove_capability_from_bounding_set(capability)?;
            }
            Ok(())
        });
    }
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn without_any_privilege() {
    director::serve([1]);
    for arguments in [
        "once",
        "run --for 1s",
        "run --for 1s --ebpf require",
        "run --ebpf off",
    ] {
        let output = sampler::command(arguments)
            .uid(NOBODY)
            .gid(NOBODY)
            .output()
            .expect("running");
        let messages = text(&output.stderr);
        assert_eq!(output.status.code(), Some(77), "{arguments}: {messages}");
        assert!(
            messages.contains("CAP_NET_ADMIN"),
            "{arguments}: {messages}"
        );
        assert!(output.stdout.is_empty(), "{arguments}");
    }
}

#[test]
fn with_netlink_but_without_bpf() {
    director::serve([1]);
    let output = without_bpf("run --for 1s --ebpf require")
        .output()
        .expect("running");
    let messages = text(&output.stderr);
    assert_eq!(output.status.code(), Some(77), "{messages}");
    assert!(messages.contains("CAP_BPF"), "{messages}");

    let mut sampler = Sampler::spawn(without_bpf("run --interval 500ms --for 3s"));
    let ended = sampler.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.messages);
    assert_eq!(
        ended.messages.lines().count(),
        1,
        "one clear line: {}",
        ended.messages
    );
    assert!(
        ended.messages.contains("netlink only"),
        "{}",
        ended.messages
    );
    assert!(ended.messages.contains("CAP_BPF"), "{}", ended.messages);
    let report = ended.lines.last().expect("lines");
    assert_eq!(report.texts["mode"], "netlink");
    assert!(report.texts["reason"].contains("CAP_BPF"), "{report:?}");
    assert_eq!(report.number("destinations"), 1);
}

#[test]
fn without_the_module() {
    director::serve([1]);
    unload();
    for arguments in ["once", "run --for 1s --ebpf require", "doctor"] {
        let output = sampler::output(arguments);
        let messages = text(&output.stderr);
        assert_eq!(output.status.code(), Some(69), "{arguments}: {messages}");
        assert!(
            messages.contains("modprobe ip_vs"),
            "{arguments}: {messages}"
        );
    }

    let sampler = Sampler::run("--interval 500ms --resolution 50ms --live off");
    let report = sampler.next_report();
    assert_eq!(report.texts["mode"], "waiting");
    assert!(
        sampler.messages().contains("waiting"),
        "{}",
        sampler.messages()
    );
    // The sampler asked for IPVS all that time, and never by a way that loads it.
    let modules = std::fs::read_to_string("/proc/modules").expect("/proc/modules");
    assert!(!modules.contains("ip_vs"), "{modules}");

    director::serve([1]);
    eventually("counting", || {
        sampler
            .report()
            .filter(|line| line.texts["mode"] == "events")
    });
    traffic::connect("10.0.0.1:80", 4);
    eventually("four connections", || {
        sampler.lines().iter().rev().find(|line| {
            line.measurement == "ipvs_real_server" && line.number("connections") == 4
        })?;
        Some(())
    });
    let ended = sampler.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.messages);
}

/// What `doctor` says, by source.
fn diagnosis(output: &std::process::Output) -> Vec<String> {
    text(&output.stdout).lines().map(Into::into).collect()
}

#[test]
fn the_doctor_names_what_is_there_and_what_stands_against_the_rest() {
    director::serve([1]);
    let well = sampler::output("doctor");
    assert_eq!(well.status.code(), Some(0));
    let said = diagnosis(&well);
    assert_eq!(said[..2], ["netlink  available", "events   available"]);
    assert_eq!(said[2], "live     available");

    let poor = without_bpf("doctor").output().expect("running");
    assert_eq!(poor.status.code(), Some(0), "netlink is enough");
    let said = diagnosis(&poor);
    assert_eq!(said[0], "netlink  available");
    assert!(said[1].contains("CAP_BPF"), "{said:?}");

    let nobody = sampler::command("doctor")
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .expect("running");
    assert_eq!(nobody.status.code(), Some(77));
    assert!(diagnosis(&nobody)[0].contains("CAP_NET_ADMIN"));
}

#[test]
fn wrong_usage() {
    for arguments in [
        "",
        "run --interval 0s",
        "run --output udp:1",
        "once --format xml",
    ] {
        let output = sampler::output(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments}");
        assert!(
            output.stdout.is_empty() && !output.stderr.is_empty(),
            "{arguments}"
        );
    }
    assert_eq!(sampler::output("--help").status.code(), Some(0));
}
