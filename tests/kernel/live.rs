//! Every counter of every service and destination, as it is at this instant.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use support::{
    director::{self, ipvsadm},
    eventually, ipvsadm, let_the_estimator_run,
    lines::{COUNTERS, Line, about},
    pace::{pause, soon},
    sampler::Sampler,
    sh, totals, traffic,
};

/// Every counter is read live, and the ways of counting agree.
#[track_caller]
pub(crate) fn all_counts_agree(report: &Line) {
    assert_eq!(report.texts["mode"], "live", "{report:?}");
    assert_eq!(report.number("difference_events_live"), 0, "{report:?}");
    assert_eq!(report.number("events_missed"), 0, "{report:?}");
}

fn mixed_load() {
    for _ in 0..4 {
        traffic::connect("10.0.0.1:80", 60);
        traffic::send("10.0.0.1:56", 25);
        traffic::connect("[fd00::1]:80", 30);
    }
}

fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970");
    i64::try_from(since.as_nanos()).expect("before 2262")
}

/// Reads the totals all the time, with the moments before and after each reading.
struct Watch {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<Vec<(i64, [u64; 5], i64)>>,
}

impl Watch {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut readings = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let before = now();
                readings.push((before, totals(), now()));
                thread::sleep(Duration::from_millis(3));
            }
            readings
        });
        Self { stop, thread }
    }

    fn end(self) -> Vec<(i64, [u64; 5], i64)> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the watch")
    }
}

/// At each tick, the sum over services of every counter lies between the kernel's totals read before
/// and after. Returns how many ticks could be compared.
fn ticks_fit(lines: &[Line], start: [u64; 5], watched: &[(i64, [u64; 5], i64)]) -> usize {
    // A line is stamped when all was read; the reading began within the tick's work.
    let work = lines
        .iter()
        .filter_map(|line| line.numbers.get("tick_work_ns_max"));
    let work = work.max().expect("a report") + 1_000_000;
    let mut services = BTreeMap::new();
    let mut compared = 0;
    // What is said of outputs has a moment of its own, before anything is read.
    let of_ticks = |line: &&Line| line.measurement != "ipvs_sampler_output";
    let mut lines = lines.iter().filter(of_ticks).peekable();
    while let Some(line) = lines.next() {
        if line.measurement == "ipvs_virtual_server" {
            services.insert(line.service(), COUNTERS.map(|field| line.number(field)));
        }
        if lines
            .peek()
            .is_some_and(|next| next.timestamp == line.timestamp)
        {
            continue;
        }
        let at = line.timestamp;
        let before = watched.iter().rfind(|(_, _, read)| *read < at - work);
        let after = watched.iter().find(|(begun, _, _)| *begun > at);
        let (Some((_, before, _)), Some((_, after, _))) = (before, after) else {
            continue;
        };
        for (index, field) in COUNTERS.iter().enumerate() {
            let sum: u64 = services.values().map(|counters| counters[index]).sum();
            let range = before[index] - start[index]..=after[index] - start[index];
            assert!(
                range.contains(&sum),
                "{field} at {at}: {sum} is not in {range:?}"
            );
        }
        compared += 1;
    }
    compared
}

/// Waits until the last lines equal ipvsadm in every field of every row: once it is quiet and the
/// estimator has run. Segments of connections that were cut off may come for a while.
pub(crate) fn becomes_equal(sampler: &Sampler) {
    let equal = soon(Duration::from_millis(500), || {
        let (stats, list) = (ipvsadm::stats(), ipvsadm::list());
        compare(&sampler.lines(), &stats, &list)
    });
    if let Err(difference) = equal {
        panic!("never equal: {difference}");
    }
}

/// Every row of ipvsadm against the last line about it.
fn compare(lines: &[Line], stats: &ipvsadm::Table, list: &ipvsadm::Table) -> Result<(), String> {
    for (key, counters) in stats {
        let (service, destination) = key;
        let is_service = destination.is_empty();
        let line = if is_service {
            lines.iter().rfind(|line| {
                line.measurement == "ipvs_virtual_server" && line.service() == *service
            })
        } else {
            about(lines, service, destination).last()
        };
        let line = line.ok_or_else(|| format!("no line of {key:?}"))?;
        let words = |fields: &[&str]| -> Vec<String> {
            fields
                .iter()
                .map(|field| line.number(field).to_string())
                .collect()
        };
        let mut said = words(&COUNTERS);
        let mut expected = counters.clone();
        if !is_service {
            said.extend(words(&["active_connections", "inactive_connections"]));
            expected.extend_from_slice(&list[key][2..]);
        }
        if said != expected {
            return Err(format!("{key:?}: {said:?}, ipvsadm {expected:?}"));
        }
    }
    Ok(())
}

#[test]
fn every_tick_fits_the_kernels_totals_and_when_quiet_all_equals_ipvsadm() {
    director::mixed();
    let start = totals();
    let sampler = Sampler::live("--interval 1s --resolution 10ms");
    let watch = Watch::start();
    mixed_load();
    let watched = watch.end();
    becomes_equal(&sampler);
    let ended = sampler.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.messages);
    let compared = ticks_fit(&ended.lines, start, &watched);
    assert!(compared > 10, "only {compared} ticks");
    let report = ended.lines.last().expect("lines");
    assert_eq!(report.texts["mode"], "live", "to the end: {report:?}");
    // By events, by live counters: two independent counts.
    let connections: u64 = ipvsadm::connections().into_values().sum();
    assert_eq!(report.number("events_published"), connections);
}

#[test]
fn only_live_rows_are_right_when_the_estimator_stands_still() {
    const SWITCH: &str = "/proc/sys/net/ipv4/vs/run_estimation";
    director::mixed();
    if !std::path::Path::new(SWITCH).exists() {
        println!("this kernel has no run_estimation: its estimator always runs");
        return;
    }
    let start = totals();
    let sampler = Sampler::live("--interval 500ms --resolution 50ms");
    std::fs::write(SWITCH, "0").expect("the switch");
    let_the_estimator_run();
    let before = ipvsadm::stats();
    mixed_load();
    sampler.next_report();
    let lines = sampler.lines();
    let report = lines
        .iter()
        .rfind(|line| line.measurement == "ipvs_sampler");
    let last = report.expect("a report").timestamp;
    let frozen = ipvsadm::stats() == before;
    let end = totals();
    std::fs::write(SWITCH, "1").expect("the switch");
    assert!(frozen, "ipvsadm stands still");
    for (index, field) in COUNTERS.iter().enumerate() {
        let sum: u64 = lines
            .iter()
            .filter(|line| line.timestamp == last && line.measurement == "ipvs_virtual_server")
            .map(|line| line.number(field))
            .sum();
        assert_eq!(sum, end[index] - start[index], "{field}");
    }
}

/// What is configured again and again, under load, is right in the end.
fn churn(change: impl Fn()) {
    director::mixed();
    let sampler = Sampler::live("--interval 1s --resolution 20ms");
    let load = traffic::Load::start(&["10.0.0.1:80", "[fd00::1]:80"]);
    for _ in 0..6 {
        pause(Duration::from_millis(250));
        change();
    }
    load.goes_on(10);
    drop(load);
    becomes_equal(&sampler);
    let ended = sampler.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.messages);
    assert_eq!(ended.lines.last().expect("lines").texts["mode"], "live");
}

#[test]
fn a_destination_is_deleted_and_comes_back_under_load() {
    churn(|| {
        ipvsadm("-d -t 10.0.0.1:80 -r 10.1.0.42:80");
        pause(Duration::from_millis(60));
        ipvsadm("-a -t 10.0.0.1:80 -r 10.1.0.42:80 -m");
    });
}

#[test]
fn services_are_created_anew_under_load() {
    churn(|| {
        ipvsadm("-D -t 10.0.0.1:80");
        director::service(80, [42, 41]);
    });
}

#[test]
fn everything_is_cleared_and_configured_anew_under_load() {
    churn(director::mixed);
}

#[test]
fn weights_are_edited_all_the_time_and_live_stays() {
    churn(|| {
        for weight in 1..30 {
            ipvsadm(&format!("-e -t 10.0.0.1:80 -r 10.1.0.42:80 -m -w {weight}"));
        }
    });
}

/// Extended fields, under a burst whose size is known.
#[test]
fn extended_fields_say_how_connections_arrived() {
    director::mixed();
    // One that no other test uses: its connections would count.
    ipvsadm("-a -t 10.0.0.1:80 -r 10.1.0.49:80 -m -w 0 -x 500 -y 400");
    let sampler = Sampler::live("--interval 2s --resolution 20ms --fields extended");
    sampler.next_report();
    let begin = Instant::now();
    traffic::send("10.0.0.1:56", 40);
    // How long that took on this machine, up to the tick that counted the last one.
    eventually("forty", || {
        sampler.find(|line| line.tag("protocol") == "udp" && line.number("connections") >= 40)
    });
    let seconds = 1 + begin.elapsed().as_secs();
    pause(Duration::from_millis(100));
    sampler.next_report();
    let ended = sampler.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.messages);
    let name = "TCP 10.0.0.1:80";
    let quiet = about(&ended.lines, name, "10.1.0.49:80")
        .last()
        .expect("a line");
    for (field, value) in [
        ("weight", 0),
        ("upper_threshold", 500),
        ("lower_threshold", 400),
        ("overloaded", 0),
        ("connections_1ms_max", 0),
    ] {
        assert_eq!(quiet.number(field), value, "{field}: {quiet:?}");
    }
    assert_eq!(quiet.texts["forwarding"], "masq");
    assert!(!quiet.numbers.contains_key("interarrival_ns_p50"));
    // The interval in which all of it fell, or the two; more where it took longer than one.
    let busy: Vec<_> = about(&ended.lines, "UDP 10.0.0.1:56", "10.1.0.43:53")
        .filter(|line| {
            line.numbers
                .get("connections_10ms_max")
                .is_some_and(|n| *n > 0)
        })
        .collect();
    assert!(
        (1..=2 + seconds / 2).contains(&(busy.len() as u64)),
        "{busy:?}"
    );
    for line in &busy {
        let number = |field| line.number(field);
        assert!(number("connections_1ms_max") <= number("connections_10ms_max"));
        assert!(number("connections_10ms_max") <= 40);
        assert!(number("interarrival_ns_p50") <= number("interarrival_ns_p99"));
        assert!(number("interarrival_ns_p999") <= number("interarrival_ns_max"));
    }
    // The fastest window was not slower than all of them together.
    let fastest = busy.iter().map(|line| line.number("cps_max")).max();
    assert!(fastest.expect("a line") * seconds >= 40, "{busy:?}");
    let report = ended.lines.last().expect("lines");
    assert_eq!(report.number("arrivals_lost"), 0);
}

/// Where netlink's own rates are wanted.
#[test]
fn the_kernels_rates_are_there_on_request() {
    director::mixed();
    let sampler = Sampler::live("--interval 1s --resolution 50ms --rates kernel");
    let load = traffic::Load::start(&["10.0.0.1:80"]);
    let begin = Instant::now();
    let distinct = |lines: &[Line], field: &str| {
        let mut values: Vec<_> = lines
            .iter()
            .filter(|line| line.measurement == "ipvs_virtual_server")
            .filter(|line| line.tag("protocol") == "tcp" && line.tag("address_family") == "inet")
            .map(|line| line.number(field))
            .collect();
        values.dedup();
        values.len()
    };
    pause(Duration::from_secs(7));
    eventually("connections at once, and rates", || {
        let lines = sampler.lines();
        (distinct(&lines, "connections") > 20 && distinct(&lines, "cps") >= 2).then_some(())
    });
    let ended = sampler.stop();
    drop(load);
    // What the estimator says changes every two seconds.
    let most = 3 + begin.elapsed().as_secs() as usize / 2;
    let cps = distinct(&ended.lines, "cps");
    assert!(cps <= most, "{cps} in {:?}", begin.elapsed());
}

#[test]
fn fifty_changes_per_second_under_load() {
    director::mixed();
    let sampler = Sampler::live("--interval 1s --resolution 20ms");
    let load = traffic::Load::start(&["10.0.0.1:80", "[fd00::1]:80"]);
    let begin = Instant::now();
    let mut changes = 0;
    for round in 0..80 {
        // Five at a time: added, edited, deleted, deleted and added again.
        let name = 100 + round % 7;
        let script = format!(
            "-a -t 10.0.0.1:80 -r 10.1.0.{name}:80 -m -w 1
             -e -t 10.0.0.1:80 -r 10.1.0.{name}:80 -m -w 2
             -d -t 10.0.0.1:80 -r 10.1.0.42:80
             -a -t 10.0.0.1:80 -r 10.1.0.42:80 -m -w 1
             -d -t 10.0.0.1:80 -r 10.1.0.{name}:80"
        );
        director::restore(&script);
        changes += script.lines().count();
        pause(Duration::from_millis(60));
    }
    let seconds = begin.elapsed().as_secs_f64();
    println!("{changes} changes in {seconds:.1} s");
    drop(load);
    becomes_equal(&sampler);
    let report = sampler.next_report();
    all_counts_agree(&report);
    assert_eq!(report.number("records_lost_changes"), 0, "{report:?}");
}

#[test]
fn zeroing_is_the_kernels_and_new_objects_are_live_at_once() {
    director::mixed();
    let sampler = Sampler::live("--interval 60s --resolution 20ms");
    traffic::connect("10.0.0.1:80", 30);
    let_the_estimator_run();
    sh("ipvsadm -Z");
    let count = |service: &str, destination: &str| {
        let lines = sampler.lines();
        about(&lines, service, destination)
            .last()
            .map(|line| line.number("connections"))
    };
    eventually("zero", || {
        (count("TCP 10.0.0.1:80", "10.1.0.41:80") == Some(0)).then_some(())
    });

    director::service(8080, [44]);
    traffic::connect("10.0.0.1:8080", 5);
    eventually("five", || {
        (count("TCP 10.0.0.1:8080", "10.1.0.44:80") == Some(5)).then_some(())
    });
    let ended = sampler.stop();
    let line = about(&ended.lines, "TCP 10.0.0.1:8080", "10.1.0.44:80")
        .last()
        .expect("a line");
    assert!(line.is_full() && line.number("pkts_in") >= 15, "{line:?}");
}
