//! What can be lost is counted, and costs no connection.

use std::process::Stdio;

use support::{
    director::{self, ipvsadm},
    eventually, ipvsadm, let_the_estimator_run,
    lines::about,
    sampler::{self, Sampler, drain},
    scheduled_by_the_kernel, traffic,
};

#[test]
fn a_ring_buffer_too_small_loses_records_but_no_connections() {
    const DESTINATIONS: usize = 360;
    // A port of its own: to other ports there may be connections left, which are not scheduled.
    director::ready();
    ipvsadm("-A -u 10.0.0.1:55 -s rr -o");
    let mut rules = String::new();
    for n in 1..=DESTINATIONS / 2 {
        for port in [53, 54] {
            rules.push_str(&format!("-a -u 10.0.0.1:55 -r 10.1.0.{n}:{port} -m\n"));
        }
    }
    director::restore(&rules);
    // 4096 bytes hold 170 records; 360 destinations send one each within one window.
    let sampler = Sampler::counting("--interval 4s --resolution 2s --ebpf-ring 4096");
    for _ in 0..4 {
        traffic::send("10.0.0.1:55", DESTINATIONS * 2);
    }
    let_the_estimator_run();
    let ended = sampler.stop();
    let report = ended.lines.last().expect("lines");
    assert!(report.number("records_lost") > 0, "{report:?}");
    assert_eq!(
        report.number("records_submitted"),
        report.number("records_received")
    );
    let sent = (DESTINATIONS * 2 * 4) as u64;
    assert_eq!(report.number("events_seen"), sent);
    assert_eq!(report.number("events_published"), sent);
    for ((service, destination), connections) in ipvsadm::connections() {
        assert_eq!(connections, 8, "round robin");
        let last = about(&ended.lines, &service, &destination)
            .last()
            .expect("a line");
        assert_eq!(last.number("connections"), 8, "{destination}");
    }
}

#[test]
fn more_destinations_than_the_probe_had_room_for() {
    // 4096 slots at the start; what comes after gets a larger probe, and nothing steps back.
    const MARKS: usize = 5;
    const EACH: usize = 900;
    director::ready();
    let sampler = Sampler::counting("--interval 5s --resolution 100ms");
    let mut rules = director::marks(MARKS, EACH);
    rules.push_str("-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m\n");
    director::restore(&rules);
    eventually("all destinations in a dump", || {
        sampler
            .report()
            .filter(|report| report.number("destinations") == (MARKS * EACH + 1) as u64)
            .filter(|report| report.number("destinations_uncounted") == 0)
    });
    let before = scheduled_by_the_kernel();
    traffic::connect("10.0.0.1:80", 10);
    let made = scheduled_by_the_kernel() - before;
    assert!(made >= 10, "{made}");
    eventually("the connections of the last one", || {
        sampler.find(|line| {
            line.measurement == "ipvs_real_server"
                && line.service() == "TCP 10.0.0.1:80"
                && line.number("connections") == made
        })
    });
    let ended = sampler.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.messages);
    let report = ended.lines.last().expect("lines");
    assert_eq!(report.number("events_no_slot"), 0, "{report:?}");
    assert_eq!(report.number("events_missed"), 0, "{report:?}");
}

#[test]
fn a_reader_that_goes_away_is_a_quiet_end() {
    director::serve([]);
    let mut child = sampler::command("run --interval 50ms")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starting");
    let stdout = child.stdout.take().expect("a pipe");
    let stderr = child.stderr.take().expect("a pipe");
    drop(stdout);
    assert_eq!(child.wait().expect("waiting").code(), Some(0));
    let messages = String::from_utf8(drain(stderr)).expect("text");
    assert!(!messages.contains("error"), "{messages}");
}

#[test]
fn an_output_that_fails_has_its_exit_code() {
    director::serve([]);
    let full = std::fs::File::create("/dev/full").expect("a full disk");
    let mut to_full = sampler::command("run --interval 50ms");
    to_full.stdout(full).stderr(std::process::Stdio::piped());
    let nowhere = sampler::command("run --interval 50ms --output file:/nowhere/at/all");
    for mut command in [to_full, nowhere] {
        let child = command.spawn().expect("starting");
        let ended = child.wait_with_output().expect("waiting");
        assert_eq!(ended.status.code(), Some(74), "{command:?}");
    }

    // A file may have room again.
    let ended = sampler::output("run --interval 100ms --count 3 --output file:/dev/full");
    let messages = String::from_utf8(ended.stderr).expect("text");
    assert_eq!(ended.status.code(), Some(0), "{messages}");
    assert!(messages.contains(" lines dropped: "), "{messages}");
}

#[test]
fn a_count_and_a_time_end_a_run() {
    director::serve([]);
    let ended = sampler::output("run --interval 200ms --count 3");
    assert_eq!(ended.status.code(), Some(0));
    let text = String::from_utf8(ended.stdout).expect("text");
    assert_eq!(text.matches("ipvs_virtual_server,").count(), 3, "{text}");
    let ended = sampler::output("run --interval 10h --for 700ms");
    assert_eq!(ended.status.code(), Some(0));
    let text = String::from_utf8(ended.stdout).expect("text");
    assert_eq!(
        text.matches("ipvs_virtual_server,").count(),
        2,
        "first and last: {text}"
    );
}
