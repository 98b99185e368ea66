//! Only what is asked for: in lines, in records, in what is read live.

use support::{
    director,
    lines::Line,
    sampler::{self, Sampler},
    scheduled_by_the_kernel, traffic,
};

fn configure() {
    director::serve([1, 2]);
    director::service(81, [3]);
}

/// Of services and destinations.
fn rows(lines: &[Line]) -> impl Iterator<Item = &Line> {
    lines.iter().filter(|line| {
        line.measurement.starts_with("ipvs_") && !line.measurement.starts_with("ipvs_sampler")
    })
}

#[test]
fn what_is_left_out_is_counted_but_neither_printed_nor_recorded() {
    for sampler in [
        Sampler::live as fn(&str) -> Sampler,
        Sampler::counting as fn(&str) -> Sampler,
    ] {
        configure();
        let sampler = sampler("--interval 1s --resolution 20ms --exclude port=81");
        let before = sampler.next_report();
        let begin = scheduled_by_the_kernel();
        traffic::connect("10.0.0.1:81", 20);
        let made = scheduled_by_the_kernel() - begin;
        let after = sampler.next_report();
        let grown = |field: &str| after.number(field) - before.number(field);
        assert_eq!(grown("records_submitted"), 0);
        assert_eq!(
            (grown("events_seen"), grown("events_published")),
            (made, made)
        );
        traffic::connect("10.0.0.1:80", 20);
        let last = sampler.next_report();
        assert!(last.number("records_submitted") > after.number("records_submitted"));
        let ended = sampler.stop();
        assert!(rows(&ended.lines).count() > 10);
        for line in rows(&ended.lines) {
            assert!(!line.service().ends_with(":81"), "{line:?}");
        }
        let services = ended
            .lines
            .iter()
            .rfind(|line| line.measurement == "ipvs_virtual_server");
        assert_eq!(services.expect("a service").number("connections"), 20);
    }
}

#[test]
fn a_single_destination_can_be_asked_for() {
    configure();
    let sampler = Sampler::live("--interval 1s --resolution 20ms --include destination=10.1.0.2");
    traffic::connect("10.0.0.1:80", 10);
    sampler.next_report();
    let ended = sampler.stop();
    for line in rows(&ended.lines) {
        assert_eq!(
            (line.measurement.as_str(), line.tag("address")),
            ("ipvs_real_server", "10.1.0.2")
        );
    }
    let last = rows(&ended.lines).last().expect("a line");
    assert_eq!(last.number("connections"), 5);
}

#[test]
fn a_service_by_events_hears_of_destinations_that_are_left_out() {
    configure();
    let sampler = Sampler::counting(
        "--interval 2s --resolution 20ms --fields extended --exclude destination=10.1.0.0/16",
    );
    let before = sampler.next_report();
    traffic::connect("10.0.0.1:80", 20);
    let after = sampler.next_report();
    // Else all of an interval's connections would seem to have come in its last window.
    assert!(after.number("records_submitted") > before.number("records_submitted"));
    let ended = sampler.stop();
    for line in rows(&ended.lines) {
        assert_eq!(line.measurement, "ipvs_virtual_server", "{line:?}");
    }
    let services = rows(&ended.lines).filter(|line| line.service().ends_with(":80"));
    let last = services.last().expect("a service");
    assert_eq!(last.number("connections"), 20);
}

#[test]
fn a_snapshot_once_has_what_is_asked_for_in_each_format() {
    configure();
    let text = |format: &str| {
        let output = sampler::output(&format!("once --format {format} --include tcp,port=81"));
        assert!(output.status.success());
        String::from_utf8(output.stdout).expect("text")
    };
    assert_eq!(text("influx").lines().count(), 2);
    for format in ["influx", "json", "table"] {
        let text = text(format);
        assert!(
            text.contains("10.1.0.3") && !text.contains("10.1.0.1"),
            "{text}"
        );
    }
}
