//! The service: its configuration while it runs, and what it is permitted.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use support::{
    director, eventually,
    sampler::{self, Sampler},
    traffic,
};

use crate::{life::in_mode, permission::unload};

fn hang_up(sampler: &Sampler) {
    let pid = i32::try_from(sampler.id()).expect("a pid");
    let pid = Pid::from_raw(pid).expect("a pid");
    kill_process(pid, Signal::HUP).expect("a signal");
}

fn said(sampler: &Sampler, what: &str) {
    eventually(what, || sampler.messages().contains(what).then_some(()));
}

#[test]
fn a_hang_up_reads_the_configuration_again() {
    const CONFIGURATION: &str = "/tmp/configuration.toml";
    const FORMER: &str = "/tmp/former-output";
    const LATER: &str = "/tmp/later-output";
    director::serve([1]);
    let write = |text: &str| fs::write(CONFIGURATION, text).expect("a file");
    write(&format!(
        "interval = '1s'\noutput = ['stdout', 'file:{FORMER}']\n"
    ));
    let sampler = Sampler::run(&format!("--resolution 50ms --config {CONFIGURATION}"));
    traffic::connect("10.0.0.1:80", 5);
    sampler.next_report();

    write("interval = '1s'\nintervall = '2s'\n");
    hang_up(&sampler);
    said(
        &sampler,
        "reload failed, keeping the current configuration: /tmp/configuration.toml:2: unknown key",
    );
    sampler.next_report();
    write("output = ['stdout', 'file:/nowhere/at/all']\n");
    hang_up(&sampler);
    said(&sampler, "cannot write to file:/nowhere/at/all");
    sampler.next_report();

    write(&format!(
        "interval = '500ms'\noutput = ['stdout', 'file:{LATER}']\nexclude = 'tcp'\n\
         ebpf-ring = 8192\n[tag]\nrack = '7'\n"
    ));
    hang_up(&sampler);
    said(
        &sampler,
        "configuration reloaded, changed: interval, output, tag, exclude",
    );
    said(&sampler, "changed, but needs a restart: ebpf-ring");
    let changed = sampler.lines().len();
    sampler.next_report();
    sampler.next_report();
    hang_up(&sampler);
    said(&sampler, "configuration reloaded, nothing changed");
    let ended = sampler.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.messages);

    let read = |path: &str| fs::read_to_string(path).expect("lines");
    let (former, later) = (read(FORMER), read(LATER));
    for path in [CONFIGURATION, FORMER, LATER] {
        fs::remove_file(path).expect("a file");
    }
    assert!(former.contains("ipvs_real_server,") && !former.contains("rack=7"));
    assert!(
        later.contains("rack=7") && !later.contains("ipvs_real_server,"),
        "{later}"
    );
    // Nothing is lost on the way from one to the other.
    assert_eq!(
        former.lines().count() + later.lines().count(),
        ended.lines.len()
    );
    for line in &ended.lines[changed..] {
        assert_eq!(line.tag("rack"), "7", "{line:?}");
    }
}

#[test]
fn however_many_hang_ups_there_are_ticks_go_on() {
    director::serve([1]);
    let sampler = Sampler::run("--interval 500ms --resolution 20ms");
    let done = AtomicBool::new(false);
    // A test that fails has to end, too.
    let latest = Instant::now() + Duration::from_secs(60);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) && Instant::now() < latest {
                hang_up(&sampler);
                thread::yield_now();
            }
        });
        for _ in 0..6 {
            sampler.next_report();
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(sampler.messages().matches("reloaded").count() > 6);
    assert_eq!(sampler.stop().code, Some(0));
}

/// (`Uid`, `CapPrm`, `CapEff`, `NoNewPrivs`) of each of its threads.
fn identities(sampler: &Sampler) -> Vec<[String; 4]> {
    let tasks = format!("/proc/{}/task", sampler.id());
    let tasks = fs::read_dir(tasks).expect("its threads");
    tasks
        .map(|task| {
            let status = fs::read_to_string(task.expect("one").path().join("status"));
            let status = status.expect("its status");
            ["Uid:", "CapPrm:", "CapEff:", "NoNewPrivs:"].map(|name| {
                let line = status.lines().find(|line| line.starts_with(name));
                let words = line.expect("such a line").split_whitespace().skip(1);
                words.collect::<Vec<_>>().join(" ")
            })
        })
        .collect()
}

fn bits(text: &str) -> u64 {
    u64::from_str_radix(text, 16).expect("a set of capabilities")
}

const NET_ADMIN: u64 = 1 << 12;
const SYS_ADMIN: u64 = 1 << 21;
const SYSLOG: u64 = 1 << 34;
const PERFMON: u64 = 1 << 38;
const BPF: u64 = 1 << 39;

#[test]
fn another_user_goes_on_with_what_a_new_probe_takes() {
    director::serve([1]);
    let sampler = Sampler::live("--interval 1s --resolution 50ms --user 65534");
    for [user, permitted, effective, no_new] in identities(&sampler) {
        assert_eq!(
            (user.as_str(), no_new.as_str()),
            ("65534 65534 65534 65534", "1")
        );
        assert_eq!(permitted, effective);
        let all = NET_ADMIN | SYSLOG | PERFMON | BPF;
        assert_eq!(bits(&effective) & !SYS_ADMIN, all);
    }
    traffic::connect("10.0.0.1:80", 5);
    unload();
    in_mode(&sampler, "waiting");
    director::serve([1]);
    in_mode(&sampler, "live");
    traffic::connect("10.0.0.1:80", 7);
    sampler.next_report();
    let ended = sampler.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.messages);
    let mut services = ended.lines.iter();
    let last = services.rfind(|line| line.measurement == "ipvs_virtual_server");
    assert_eq!(last.expect("a service").number("connections"), 7);
}

#[test]
fn with_the_least_privileges_it_samples_on_and_asks_to_be_started_again() {
    director::serve([1]);
    let mut sampler = Sampler::live("--interval 1s --resolution 50ms --privileges least");
    // Since 5.19 what is open needs no CAP_BPF.
    let old = is_before_5_19();
    for [user, permitted, effective, _] in identities(&sampler) {
        assert_eq!(user, "0 0 0 0");
        assert_eq!(permitted, effective);
        let allowed = if old { NET_ADMIN | BPF } else { NET_ADMIN };
        assert_eq!(bits(&effective) & !allowed, 0, "{effective}");
    }
    traffic::connect("10.0.0.1:80", 5);
    let report = sampler.next_report();
    assert_eq!(report.texts["mode"], "live");
    let mut lines = sampler.lines().into_iter();
    let last = lines.rfind(|line| line.measurement == "ipvs_virtual_server");
    assert_eq!(last.expect("a service").number("connections"), 5);
    unload();
    director::serve([1]);
    let ended = sampler.wait();
    assert_eq!(ended.code, Some(75), "{}", ended.messages);
    assert!(
        ended.messages.contains("--privileges least"),
        "{}",
        ended.messages
    );
}

fn is_before_5_19() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("a release");
    let mut numbers = release
        .split(['.', '-'])
        .map(|part| part.parse().unwrap_or(0));
    let version: (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    version < (5, 19)
}

#[test]
fn a_configuration_is_checked_and_shown() {
    const CONFIGURATION: &str = "/tmp/checked.toml";
    let run = |text: &str, arguments: &str| {
        fs::write(CONFIGURATION, text).expect("a file");
        let output = sampler::output(&format!("{arguments} --config {CONFIGURATION}"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let (code, said, _) = run("interval = '2s'\n", "config check");
    assert_eq!((code, said.as_str()), (Some(0), "configuration OK\n"));
    let (code, shown, _) = run("interval = '2s'\n", "config show");
    assert_eq!(code, Some(0));
    assert!(
        shown.contains("interval = \"2s\" # /tmp/checked.toml:1"),
        "{shown}"
    );
    let wrong = [
        (
            "intervall = '2s'\n",
            "checked.toml:1: unknown key intervall",
        ),
        (
            "output = 'influx2+http://a/?org=o&bucket=b&token-file=/nowhere'\n",
            "/nowhere",
        ),
    ];
    for (text, why) in wrong {
        let (code, _, messages) = run(text, "config check");
        assert_eq!(code, Some(78), "{messages}");
        assert!(messages.contains(why), "{messages}");
    }
    // Before anything is opened.
    let (code, _, _) = run("intervall = '2s'\n", "run --log-format json");
    assert_eq!(code, Some(78));
    fs::remove_file(CONFIGURATION).expect("a file");
}

#[test]
fn messages_can_be_json() {
    director::serve([1]);
    let sampler = Sampler::run("--interval 1s --log-format json");
    let ended = sampler.stop();
    for line in ended.messages.lines() {
        assert!(
            line.starts_with("{\"time\":\"2") && line.ends_with("\"}"),
            "{line}"
        );
    }
    assert!(
        ended.messages.contains("\"level\":\"info\""),
        "{}",
        ended.messages
    );
}
