//! Too little memory: a smaller probe or a clear word, and nobody gets killed.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    process::{Command, Output},
    time::Duration,
};

use rustix::{
    process::{Resource, Rlimit, setrlimit},
    thread::{CapabilitySet, remove_capability_from_bounding_set},
};

use support::{
    director::{self, ipvsadm},
    eventually,
    pace::pause,
    sampler::{self, Sampler},
    traffic,
};

use crate::life::in_mode;

const KIB: u64 = 1024;

/// The command without the privilege to raise the limit of locked memory.
fn limited(arguments: &str, bytes: u64) -> Command {
    let mut command = sampler::command(arguments);
    // SAFETY: between fork and exec; the calls are one prlimit(2) and one prctl(2), which are
    // async-signal-safe.
    unsafe {
        command.pre_exec(move || {
            let limit = Some(bytes);
            setrlimit(
                Resource::Memlock,
                Rlimit {
                    current: limit,
                    maximum: limit,
                },
            )?;
            remove_capability_from_bounding_set(CapabilitySet::SYS_RESOURCE)?;
            Ok(())
        });
    }
    command
}

fn said(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Before 5.11 BPF's maps count as locked memory.
fn counts_as_locked_memory() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("a release");
    release.starts_with("5.10.")
}

#[test]
fn a_limit_of_locked_memory_is_named() {
    director::mixed();
    let doctor = limited("doctor", 64 * KIB).output().expect("running");
    let said = said(&doctor);
    let sampler = Sampler::spawn(limited("run --interval 500ms", 64 * KIB));
    if counts_as_locked_memory() {
        for word in ["RLIMIT_MEMLOCK", "CAP_SYS_RESOURCE"] {
            assert!(said.contains(word), "{said}");
            let report = in_mode(&sampler, "netlink");
            assert!(report.texts["reason"].contains(word), "{report:?}");
        }
    } else {
        assert!(said.contains("live     available"), "{said}");
        in_mode(&sampler, "live");
    }
}

/// Locked memory for the first probe, and hardly for a larger one.
#[test]
fn a_probe_that_cannot_grow_goes_on() {
    const EACH: usize = 900;
    const MARKS: usize = 5;
    director::mixed();
    // One service has lines: how fast thousands can be read is not the question.
    let sampler = Sampler::spawn(limited(
        "run --interval 2s --resolution 100ms --include tcp,port=80",
        2560 * KIB,
    ));
    in_mode(&sampler, "live");
    traffic::connect("10.0.0.1:80", 9);
    let rules = director::marks(MARKS, EACH);
    director::restore(&rules);
    eventually("all destinations in a dump", || {
        let report = sampler.report()?;
        (report.number("destinations") > (MARKS * EACH) as u64).then_some(())
    });
    traffic::connect("10.0.0.1:80", 9);
    eventually("all eighteen", || {
        sampler.lines().iter().rev().find(|line| {
            line.measurement == "ipvs_virtual_server"
                && line.service() == "TCP 10.0.0.1:80"
                && line.number("connections") == 18
        })?;
        Some(())
    });
    sampler.next_report();
    let ended = sampler.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.messages);
    let report = ended.lines.last().expect("lines");
    let messages = &ended.messages;
    assert_eq!(report.texts["mode"], "live", "{messages}");
    assert!(!messages.contains("security module"), "{messages}");
    assert!(!messages.contains("netlink only"), "{messages}");
    let said = messages.contains("not enough memory for a full probe")
        || messages.contains("cannot load a larger probe");
    // The warning may come while the table is being filled, and all may have room in the end.
    let uncounted = report.number("destinations_uncounted") > 0;
    assert!(said || !uncounted, "{report:?}: {messages}");
    if !counts_as_locked_memory() {
        assert!(messages.contains("probe restarted"), "{messages}");
        assert!(!said, "{messages}");
    }
}

/// A group that ends what takes more memory than this.
struct Group {
    path: &'static str,
}

impl Group {
    fn new(path: &'static str, mebibytes: u64) -> Self {
        fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+memory").expect("a controller");
        fs::create_dir(path).expect("a group");
        let limit = (mebibytes * KIB * KIB).to_string();
        fs::write(format!("{path}/memory.max"), limit).expect("a limit");
        Self { path }
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        let path = self.path;
        command.args([
            "-c",
            &format!("echo $$ > {path}/cgroup.procs && exec ipvs-sampler {arguments}"),
        ]);
        command
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for _ in 0..50 {
            if fs::remove_dir(self.path).is_ok() {
                return;
            }
            pause(Duration::from_millis(100));
        }
    }
}

#[test]
fn a_memory_cgroup_is_looked_at_before_a_probe_is_loaded() {
    director::mixed();
    let small = Group::new("/sys/fs/cgroup/small", 24);
    let doctor = small.command("doctor").output().expect("running");
    let said = said(&doctor);
    assert!(said.contains("memory cgroup"), "{said}");
    assert!(said.contains("MemoryMax"), "{said}");
    let sampler = Sampler::spawn(small.command("run --interval 500ms"));
    let report = in_mode(&sampler, "netlink");
    assert!(
        report.texts["reason"].contains("memory cgroup"),
        "{report:?}"
    );
    let ended = sampler.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.messages);

    let larger = Group::new("/sys/fs/cgroup/larger", 96);
    let sampler = Sampler::spawn(larger.command("run --interval 500ms"));
    in_mode(&sampler, "live");
    // Where the estimate says that it fits, it does.
    let peak = sampler.status("VmHWM");
    println!("a probe's start took {peak} kB at most");
    ipvsadm("-C");
    let ended = sampler.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.messages);
}
