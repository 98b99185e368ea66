//! The advice that `doctor` gives is tried: the obstacle, the words, the remedy, and then all is well. Switches that
//! keep probes from firing are tried in blind.rs, limits in limits.rs, privileges in permission.rs and ladder.rs.

use std::process::Command;

use support::{
    director,
    lines::Line,
    sampler::{self, Sampler},
    sh,
};

use crate::life::in_mode;

/// Runs shell commands in a mount namespace that ends with them, and `doctor` between them.
fn doctor_says(obstacle: &str, remedy: &str) -> [String; 2] {
    let doctor = "ipvs-sampler doctor 2>&1";
    let script = format!("{obstacle} && {doctor}; echo ---; {remedy} && {doctor}");
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c", &script])
        .output()
        .expect("unshare");
    let said = String::from_utf8(output.stdout).expect("text");
    let (before, after) = said.split_once("---\n").unwrap_or_else(|| {
        panic!("{said}{}", String::from_utf8_lossy(&output.stderr));
    });
    [before.to_owned(), after.to_owned()]
}

#[test]
fn what_stands_against_a_source_is_named_and_the_remedy_helps() {
    director::mixed();
    for (obstacle, words, remedy) in [
        (
            "mount -t proc -o subset=pid proc /proc",
            "subset=pid",
            "mount -t proc proc /proc",
        ),
        (
            "umount -l /proc",
            "proc is not mounted",
            "mount -t proc proc /proc",
        ),
        (
            "umount -l /sys",
            "sysfs is not mounted",
            "mount -t sysfs sysfs /sys",
        ),
        (
            "echo 2 > /proc/sys/kernel/kptr_restrict",
            "kernel.kptr_restrict",
            "echo 1 > /proc/sys/kernel/kptr_restrict",
        ),
    ] {
        let [before, after] = doctor_says(obstacle, remedy);
        assert!(
            before.contains("netlink  available"),
            "{obstacle}: {before}"
        );
        assert!(before.contains("unavailable"), "{obstacle}: {before}");
        assert!(before.contains(words), "{obstacle}: {before}");
        let well = "netlink  available\nevents   available\nlive     available\n";
        assert_eq!(after, well, "{remedy}");
    }
    sh("sysctl -q -w kernel.kptr_restrict=0");
}

/// Digits as long as a kernel address.
fn address_in(text: &str) -> Option<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .find(|word| {
            let (digits, least) = match word.strip_prefix("0x") {
                Some(digits) => (digits, 9),
                None => (*word, 16),
            };
            digits.len() >= least && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
}

/// It cannot be undone while the kernel runs: this test's name in main.rs puts it last.
pub(crate) fn lockdown_is_named_and_no_address_leaves() {
    const LOCKDOWN: &str = "/sys/kernel/security/lockdown";
    director::mixed();
    let running = Sampler::run("--interval 500ms --resolution 50ms");
    in_mode(&running, "live");
    let _ = Command::new("mount")
        .args(["-t", "securityfs", "securityfs", "/sys/kernel/security"])
        .status();
    std::fs::write(LOCKDOWN, "confidentiality").expect("lockdown");
    let output = sampler::output("doctor");
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8(output.stdout).expect("text");
    assert!(
        said.contains("events   unavailable: the kernel is locked down"),
        "{said}"
    );
    assert_eq!(address_in(&said), None, "{said}");
    let path = said
        .lines()
        .find_map(|line| line.split_once("the verifier's log is in "));
    let (_, path) = path.expect("the verifier had its say");
    let log = std::fs::read_to_string(path).expect("the verifier's log");
    assert!(!log.is_empty());
    assert_eq!(address_in(&log), None, "{log}");

    let ended = sampler::output("run --interval 200ms --count 3 --ebpf-log debug");
    assert_eq!(ended.status.code(), Some(0));
    let (text, messages) = (ended.stdout, ended.stderr);
    let text = String::from_utf8(text).expect("text");
    let messages = String::from_utf8(messages).expect("text");
    assert_eq!(address_in(&messages), None, "{messages}");
    let reports: Vec<_> = text
        .lines()
        .map(Line::parse)
        .filter(|line| line.measurement == "ipvs_sampler")
        .collect();
    assert_eq!(reports.len(), 3);
    for report in &reports {
        assert_eq!(report.texts["mode"], "netlink");
        let reason = &report.texts["reason"];
        assert!(
            reason.contains("locked down") && reason.len() < 200,
            "{reason}"
        );
        assert_eq!(address_in(reason), None);
    }
    // One that was loaded before goes on, or says that it cannot.
    let report = running.next_report();
    match report.texts["mode"].as_str() {
        "live" => {}
        mode => assert!(
            report.texts["reason"].contains("locked down"),
            "{mode}: {report:?}"
        ),
    }
}
